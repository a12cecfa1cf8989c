//! Runs the binary as a child process that never outlives its test.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// No step of a test takes longer, however busy the machine.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(60);
pub(crate) const KEY: &str = "a-key-for-tests-0123456789";

/// The binary with an environment of its own.
pub(crate) fn sanntid() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sanntid"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SANNTID_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command to its end.
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// A server that runs.
pub(crate) struct Server {
    child: Option<Child>,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(data_dir: &Path) -> Self {
        let mut command = sanntid();
        command.env("SANNTID_ADMIN_KEY", KEY);
        Self::start_with(&mut command, data_dir)
    }

    pub(crate) fn start_with(command: &mut Command, data_dir: &Path) -> Self {
        let mut child = command
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--set",
                "log.level=warn",
            ])
            .arg("--data-dir")
            .arg(data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        lines.read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let Some(url) = url else {
            let mut errors = String::new();
            let mut stderr = child.stderr.take().expect("piped");
            stderr.read_to_string(&mut errors).expect("UTF-8");
            panic!("the server printed {line:?} and {errors}");
        };
        Self {
            child: Some(child),
            url,
        }
    }

    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").expect("http")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    /// Waits for the end; gives the status and what stood on standard error.
    pub(crate) fn wait(mut self, span: Duration) -> (ExitStatus, String) {
        let child = self.child.take().expect("it runs");
        let pid = Pid::from_child(&child);
        let (sender, receiver) = mpsc::channel();
        let waiter = std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(ended) = receiver.recv_timeout(span) else {
            kill_process(pid, Signal::KILL).expect("it runs");
            panic!("the server did not end within {span:?}");
        };
        waiter.join().expect("joined").expect("sent");
        let ended = ended.expect("an exit status");
        (ended.status, text(&ended.stderr))
    }

    /// Runs a client command against it, successfully.
    pub(crate) fn call(&self, arguments: &[&str]) -> String {
        let output = self.try_call(arguments);
        let errors = text(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        text(&output.stdout)
    }

    pub(crate) fn try_call(&self, arguments: &[&str]) -> Output {
        output(
            sanntid()
                .args(arguments)
                .env("SANNTID_URL", &self.url)
                .env("SANNTID_KEY", KEY),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be ended");
            child.wait().expect("it has ended");
        }
    }
}
