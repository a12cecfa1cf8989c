//! Owns a server within the test's process: the whole stack on a port of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::JoinHandle,
};

use sanntid_server::{Config, Secret};
use sanntid_types::Clock;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::{Http, SimulatedClock};

/// The administrator's key of every test server.
pub const KEY: &str = "test-key-0123456789abcdef0123456789";

/// A server that ends with its value.
pub struct TestServer {
    pub http: Http,
    pub clock: Arc<SimulatedClock>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    folder: Folder,
}

enum Folder {
    Own(TempDir),
    Given(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Own(folder) => folder.path(),
            Self::Given(path) => path,
        }
    }
}

impl TestServer {
    /// Starts with the defaults, in a folder that goes with it.
    pub fn start() -> Self {
        Self::start_with(|_| ())
    }

    /// Starts with changed settings.
    pub fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Folder::Own(tempfile::tempdir().unwrap());
        Self::open(folder, Arc::new(SimulatedClock::new()), change)
    }

    /// Starts on a folder that stays, with a clock that may have been used before.
    pub fn start_in(path: &Path, clock: &Arc<SimulatedClock>) -> Self {
        Self::open(Folder::Given(path.to_owned()), Arc::clone(clock), |_| ())
    }

    /// Starts on a folder that stays, with changed settings.
    pub fn start_on(path: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let clock = Arc::new(SimulatedClock::new());
        Self::open(Folder::Given(path.to_owned()), clock, change)
    }

    fn open(folder: Folder, clock: Arc<SimulatedClock>, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: folder.path().to_owned(),
            admin_key: Some(Secret::new(KEY)),
            ..Config::default()
        };
        // The clock stands: what is counted by the second would never come again.
        config.limits.requests_per_second = 0;
        config.limits.caller_requests_per_second = 0;
        config.limits.profile_writes_per_second = 0;
        config.limits.bytes_per_second = 0;
        config.limits.failed_attempts_per_second = 0;
        change(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let (sender, ready) = mpsc::channel();
        let for_server: Arc<dyn Clock> = clock.clone();
        let thread = std::thread::spawn(move || {
            let ready = |address| sender.send(address).unwrap();
            let stopped = async { drop(stopped.await) };
            sanntid_server::run_with_clock(&config, for_server, stopped, ready).unwrap();
        });
        let address = ready
            .recv()
            .expect("the server has ended before it was ready");
        let http = Http::new(address, Some(KEY));
        Self {
            http,
            clock,
            address,
            stop: Some(stop),
            thread: Some(thread),
            folder,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its data lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops it as a signal would, and waits until it has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Dropped, it tells the server to stop.
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the server has panicked");
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.end();
    }
}
