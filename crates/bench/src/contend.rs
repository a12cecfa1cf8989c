//! Owns who is compared: the server, the bare server, and the peers that are there.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::api::Api;
use crate::child::{Listening, Server};
use crate::load::Latencies;
use crate::load::closed::{self, Until};
use crate::load::pick::Pick;
use crate::load::work::{Kind, Requests, Work};
use crate::peers::{postgres, redis, restate};
use crate::process::usage;
use crate::{Bench, Error};

/// Updates in one request of the pipelined Redis.
const PIPELINED: u64 = 16;

/// What is asked of everybody.
pub(crate) struct Task<'a> {
    pub(crate) kind: Kind,
    pub(crate) pick: Pick,
    pub(crate) instances: &'a [String],
    pub(crate) profiles: u64,
    pub(crate) connections: usize,
    pub(crate) span: Duration,
    pub(crate) salt: u64,
}

/// How one of them did.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) per_second: f64,
    pub(crate) latencies: Latencies,
    /// Of each write or read, where it is known.
    pub(crate) server_cpu: Option<Duration>,
    pub(crate) client_cpu: Option<Duration>,
}

/// Somebody who is measured.
pub(crate) enum Contender<'a> {
    Sanntid(&'a Server),
    Bare(Listening),
    Redis {
        address: SocketAddr,
        pid: u32,
        together: u64,
    },
    Postgres(&'a str),
    Restate(SocketAddr),
}

impl Contender<'_> {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sanntid(_) => "sanntid".to_owned(),
            Self::Bare(_) => "bare".to_owned(),
            Self::Redis { together: 1, .. } => "redis".to_owned(),
            Self::Redis { together, .. } => format!("redis x{together}"),
            Self::Postgres(_) => "postgres".to_owned(),
            Self::Restate(_) => "restate".to_owned(),
        }
    }

    /// Whether it is another program, which can do patches alone.
    pub(crate) fn is_peer(&self) -> bool {
        !matches!(self, Self::Sanntid(_) | Self::Bare(_))
    }

    /// Does the task.
    pub(crate) fn run(
        &self,
        bench: &Bench<'_>,
        folder: &Path,
        task: &Task<'_>,
    ) -> Result<Figures, Error> {
        let pick = task.pick.clone();
        let (address, pid, work): (SocketAddr, u32, Arc<dyn Work>) = match self {
            Self::Sanntid(server) => {
                let (api, kind) = (&server.api, task.kind);
                let work = Requests::new(api, kind, pick, task.instances, task.salt);
                (api.address, server.process.pid(), Arc::new(work))
            }
            Self::Bare(process) => {
                let api = Api::new(process.address, "none");
                let work = Requests::new(&api, task.kind, pick, task.instances, task.salt);
                (process.address, process.pid(), Arc::new(work))
            }
            Self::Redis {
                address,
                pid,
                together,
            } => {
                let together = *together;
                (*address, *pid, Arc::new(redis::Updates { pick, together }))
            }
            Self::Restate(address) => (*address, 0, Arc::new(restate::Calls { pick })),
            Self::Postgres(url) => {
                let (connections, span) = (task.connections, task.span);
                let done = postgres::upsert(url, folder, task.profiles, connections, span)?;
                return Ok(Figures {
                    per_second: done.per_second,
                    latencies: done.latencies,
                    server_cpu: None,
                    client_cpu: None,
                });
            }
        };
        let before = usage(pid).cpu;
        let until = Until::After(task.span);
        let measured = closed::run(address, task.connections, &work, until, bench.timer)?;
        let measured = measured.without_refusals()?;
        let server = usage(pid).cpu.saturating_sub(before);
        let each = |cpu: Duration| cpu / u32::try_from(measured.done.max(1)).unwrap_or(u32::MAX);
        Ok(Figures {
            per_second: measured.per_second(),
            server_cpu: (pid != 0).then(|| each(server)),
            client_cpu: Some(each(measured.client_cpu)),
            latencies: measured.latencies,
        })
    }
}

/// Starts the bare server of this program.
pub(crate) fn bare<'a>(
    bench: &Bench<'_>,
    workers: u32,
    read_bytes: usize,
    activity_bytes: usize,
) -> Result<Contender<'a>, Error> {
    let mut command = Command::new(&bench.program);
    command.env_clear().args(["bench", "bare-server"]);
    command.args(["--workers", &workers.to_string()]);
    command.args(["--read-bytes", &read_bytes.to_string()]);
    command.args(["--activity-bytes", &activity_bytes.to_string()]);
    Ok(Contender::Bare(Listening::spawn(&mut command)?))
}

/// Finds a Redis; twice, for it is also measured with many updates in one request.
pub(crate) fn redis<'a>(address: SocketAddr) -> Result<(String, [Contender<'a>; 2]), Error> {
    let about = redis::about(address)?;
    let said = format!(
        "Redis {}, appendonly={}, appendfsync={}",
        about.version, about.appendonly, about.appendfsync
    );
    let of = |together| Contender::Redis {
        address,
        pid: about.pid,
        together,
    };
    Ok((said, [of(1), of(PIPELINED)]))
}
