//! Owns processes that are measured: a server of this same program, and how they end.
//! Must not end any process that it did not start.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::Bench;
use crate::api::Api;
use crate::error::{Doing, Error};
use crate::process::{Usage, usage};

/// The key of servers that live for a measurement.
const KEY: &str = "bench-key-0123456789abcdef";
const LISTENING: &str = "listening on ";
/// Limits that are counted while measuring, and never met.
const COUNTED: [&str; 3] = ["requests", "caller_requests", "profile_writes"];
const COUNTED_MOST: &str = "1000000";

/// A process that says where it listens; killed with its value.
pub(crate) struct Listening {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Listening {
    /// Starts a command and waits for the line that tells its address.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, Error> {
        let what = command.get_program().display().to_string();
        let doing = || format!("starting {what}");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .doing(doing)?;
        let stdout = child.stdout.take();
        let mut lines = stdout
            .into_iter()
            .flat_map(|out| BufReader::new(out).lines());
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address = line.strip_prefix(LISTENING)?.trim_start_matches("http://");
            address.parse().ok()
        });
        // Reads on, so that the child never waits for somebody to take what it says.
        thread::spawn(move || lines.for_each(drop));
        let mut started = Self {
            child,
            address: address.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        };
        if address.is_none() {
            let ended = started.child.wait().doing(doing)?;
            let text = format!("{what} has ended before it listened: {ended}");
            return Err(Error::unexpected(text));
        }
        Ok(started)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Usage {
        usage(self.child.id())
    }

    /// Asks it to stop, as an operator would, and waits for its end.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let doing = || "stopping a server".to_owned();
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(Into::into)
                .doing(doing)?;
        }
        let status = self.child.wait().doing(doing)?;
        if !status.success() {
            return Err(Error::unexpected(format!("a server ended with {status}")));
        }
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(mut self) -> Result<(), Error> {
        let doing = || "killing a server".to_owned();
        self.child.kill().doing(doing)?;
        self.child.wait().doing(doing).map(drop)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A server of this program.
pub(crate) struct Server {
    pub(crate) process: Listening,
    pub(crate) api: Api,
}

impl Server {
    /// Starts a server on a data folder; what it logs stands in `server.log` beside that.
    ///
    /// It gets nothing of this process's environment: what it runs with stands in the report.
    pub(crate) fn start(bench: &Bench<'_>, data_dir: &Path, sources: &Path) -> Result<Self, Error> {
        let log = data_dir.with_extension("log");
        let log = File::options().create(true).append(true).open(&log);
        let log = log.doing(|| "opening the server's log".to_owned())?;
        let mut command = Command::new(&bench.program);
        command
            .env_clear()
            .env("SANNTID_ADMIN_KEY", KEY)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data_dir)
            .arg("--set")
            .arg(format!("actors.data_source_folders={}", sources.display()))
            .stderr(log);
        for limit in COUNTED {
            let setting = format!("limits.{limit}_per_second={COUNTED_MOST}");
            command.args(["--set", &setting]);
        }
        for setting in &bench.server_settings {
            command.args(["--set", setting]);
        }
        let process = Listening::spawn(&mut command)?;
        let api = Api::new(process.address, KEY);
        Ok(Self { process, api })
    }
}
