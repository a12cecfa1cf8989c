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
};

use sanntid_server::{Config, Secret};

use crate::{Http, server::KEY};

const MARKER: &str = "be-a-server";

/// A server process; killed with its value.
pub struct ChildServer {
    pub http: Http,
    child: Child,
}

/// Serves for good where this process was spawned as a [`ChildServer`]; else does nothing.
///
/// To be called by the test that [`ChildServer::spawn`] is told of.
pub fn serve_if_marked() {
    let Ok(marker) = fs::read_to_string(MARKER) else {
        return;
    };
    let free_space_min_bytes = marker.trim().parse().unwrap();
    let mut config = Config {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        data_dir: "data".into(),
        admin_key: Some(Secret::new(KEY)),
        ..Config::default()
    };
    config.store.free_space_min_bytes = free_space_min_bytes;
    let ready = |address| {
        let mut output = std::io::stderr().lock();
        writeln!(output, "\nlistening on {address}").unwrap();
    };
    sanntid_server::run(&config, ready).unwrap();
}

impl ChildServer {
    /// Spawns a server on `folder/data`; `test` is the full name of the test that serves.
    pub fn spawn(folder: &Path, test: &str, free_space_min_bytes: u64) -> Self {
        fs::write(folder.join(MARKER), free_space_min_bytes.to_string()).unwrap();
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
        std::thread::spawn(move || lines.for_each(drop));
        Self {
            http: Http::new(address, Some(KEY)),
            child,
        }
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
