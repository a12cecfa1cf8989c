//! Starts a server before a mock, and stops it.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use sanntid_http::{AdminKey, Config, Front, Stopper, Tls, serve};
use sanntid_types::{Clock, Instant, Limits};

use crate::client::{Answer, Call, INSTANCE, KEY};
use crate::mock::Mock;

/// A server that runs until it is dropped.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) mock: Arc<Mock>,
    stopper: Stopper,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let limits = Limits {
            // The clock stands, and some tests try many keys.
            failed_attempts_per_second: 10_000,
            ..Limits::default()
        };
        Self::limited(config, limits, Hand::new())
    }

    /// Starts one with limits, counted by a clock that stands until it is told to go on.
    pub(crate) fn limited(config: Config, limits: Limits, clock: Arc<Hand>) -> Self {
        Self::launch(config, limits, clock, None)
    }

    /// Starts one that speaks nothing but TLS.
    pub(crate) fn secured(config: Config, tls: Tls) -> Self {
        Self::launch(config, Limits::default(), Hand::new(), Some(tls))
    }

    fn launch(config: Config, limits: Limits, clock: Arc<Hand>, tls: Option<Tls>) -> Self {
        let mock = Arc::new(Mock::new());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (tenants, access): (Arc<Mock>, Arc<Mock>) = (Arc::clone(&mock), Arc::clone(&mock));
        let audit = Arc::clone(&mock);
        let (started, starting) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let front = Front {
                tenants,
                access,
                audit,
                keys: AdminKey::new(KEY),
                tokens: None,
                metrics: Arc::new(|| "sanntid_up 1\n".to_owned()),
                parquet: crate::exports::write,
                tls,
                clock,
                limits,
                config: Config {
                    workers: 1,
                    ..config
                },
            };
            actix_rt::System::new().block_on(async move {
                let server = serve(listener, front).expect("a server");
                started.send(server.stopper()).expect("the test waits");
                server.await.expect("a good end");
            });
        });
        Self {
            address,
            mock,
            stopper: starting.recv().expect("a started server"),
            thread: Some(thread),
        }
    }

    /// Sends a request to a path of the API, relative to the instance.
    pub(crate) fn send(&self, call: &Call) -> Answer {
        call.send(self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send(&Call::get(&at(path)))
    }

    /// Stops it, waiting for what is under way.
    pub(crate) fn stop(&mut self) {
        let stopper = self.stopper.clone();
        actix_rt::System::new().block_on(async move { stopper.stop(true).await });
        self.thread
            .take()
            .expect("not stopped yet")
            .join()
            .expect("a good end");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            let stopper = self.stopper.clone();
            actix_rt::System::new().block_on(async move { stopper.stop(false).await });
            if thread.join().is_err() && !std::thread::panicking() {
                panic!("the server ended badly");
            }
        }
    }
}

/// A clock that is moved by hand.
pub(crate) struct Hand(AtomicI64);

impl Hand {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_700_000_000_000)))
    }

    pub(crate) fn advance(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A path of the mock's instance.
pub(crate) fn at(path: &str) -> String {
    format!("/api/instances/{INSTANCE}{path}")
}
