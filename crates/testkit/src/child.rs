//! Owns a server in a process of its own, to be killed at any moment.
//!
//! The child is the test's own program again, told by a file in its folder to be a server. Must not
//! kill anything but the child it spawned.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
};

use sanntid_server::{Config, Secret};

use crate::{Http, hold, server::KEY};

const MARKER: &str = "be-a-server";
/// Where a child may read data sources, within its folder.
const SOURCES: &str = "sources";

/// A server process; killed with its value.
pub struct ChildServer {
    pub http: Http,
    child: Child,
    held: mpsc::Receiver<()>,
}

/// Serves for good where this process was spawned as a [`ChildServer`]; else does nothing.
///
/// To be called by the test that [`ChildServer::spawn`] is told of.
pub fn serve_if_marked() {
    let Ok(marker) = fs::read_to_string(MARKER) else {
        return;
    };
    let (free_space_min_bytes, hold_at) = marker.split_once('\n').unwrap();
    let free_space_min_bytes = free_space_min_bytes.parse().unwrap();
    if !hold_at.is_empty() {
        hold::hold_at(hold_at);
    }
    let sources = std::env::current_dir().unwrap().join(SOURCES);
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: "data".into(),
        admin_key: Some(Secret::new(KEY)),
        ..Config::default()
    };
    config.store.free_space_min_bytes = free_space_min_bytes;
    config.actors.data_source_folders = vec![sources];
    // Tests write as fast as they can, and often to one profile.
    config.limits.requests_per_second = 0;
    config.limits.caller_requests_per_second = 0;
    config.limits.profile_writes_per_second = 0;
    let ready = |address| {
        let mut output = std::io::stderr().lock();
        writeln!(output, "\nlistening on {address}").unwrap();
    };
    sanntid_server::run(&config, ready).unwrap();
}

impl ChildServer {
    /// Spawns a server on `folder/data`; `test` is the full name of the test that serves.
    pub fn spawn(folder: &Path, test: &str, free_space_min_bytes: u64) -> Self {
        Self::begin(folder, test, &format!("{free_space_min_bytes}\n"))
    }

    /// As [`Self::spawn`]; a refresh stands still for good where it says `moment` of its `stage`.
    ///
    /// Data sources may lie in `folder/sources`.
    pub fn spawn_held(folder: &Path, test: &str, (stage, moment): (&str, &str)) -> Self {
        Self::begin(folder, test, &format!("0\n{stage} {moment}"))
    }

    fn begin(folder: &Path, test: &str, marker: &str) -> Self {
        fs::write(folder.join(MARKER), marker).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture", "--test-threads=1"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let Some(Ok(line)) = lines.next() else {
                child.kill().ok();
                panic!("the child has ended before it was ready: {said:#?}");
            };
            if let Some(address) = line.strip_prefix("listening on ") {
                break address.parse().unwrap();
            }
            said.push(line);
        };
        // Reads on, so that the child never waits for somebody to take its log.
        let (holds, held) = mpsc::channel();
        std::thread::spawn(move || {
            let marks = lines
                .map_while(Result::ok)
                .filter(|line| line == hold::HELD);
            // Nobody listens any more once the test has what it waited for.
            marks.for_each(|_| holds.send(()).unwrap_or_default());
        });
        Self {
            http: Http::new(address, Some(KEY)),
            child,
            held,
        }
    }

    /// Waits until a refresh stands still where it was told to.
    pub fn wait_until_held(&self) {
        self.held.recv().expect("the child has ended before");
    }

    /// Kills it: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has ended by itself; says whether it did so well.
    pub fn wait(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

impl Drop for ChildServer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
