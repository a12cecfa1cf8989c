//! Owns `restart`: how long a server with much data takes to answer again after it ended.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Server;
use crate::load::closed::{self, Until};
use crate::load::pick::Pick;
use crate::load::work::{Kind, Requests, Work};
use crate::refresh::{self, MAIN};
use crate::report::rounded;
use crate::site::Site;
use crate::{Bench, Error, RefreshOptions, Report, data};

const CONNECTIONS: usize = 16;
/// How long a server may take to become ready.
const READY_MAX: Duration = Duration::from_secs(600);
const LOOK_EVERY: Duration = Duration::from_millis(2);

const COLUMNS: [&str; 6] = [
    "end",
    "round",
    "endSeconds",
    "listeningSeconds",
    "readySeconds",
    "readSeconds",
];

/// What `restart` is told.
#[derive(Clone, Debug)]
pub struct RestartOptions {
    /// What is loaded first, where the folder holds no server yet.
    pub load: RefreshOptions,
    pub rounds: u32,
    /// Patches before each end, so that there is something to recover.
    pub patches: u64,
}

/// How a server ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// SIGTERM, as an operator stops it.
    Stopped,
    /// SIGKILL.
    Killed,
}

/// Ends and starts a server in turns, both ways.
///
/// # Errors
/// Every [`Error`].
pub fn restart(bench: &Bench<'_>, options: &RestartOptions) -> Result<Report, Error> {
    let site = Site::open(options.load.folder.as_deref())?;
    refresh::prepare(bench, &site, &options.load)?;
    let settings = json!({"rounds": options.rounds, "patchesBeforeEach": options.patches});
    let mut report = Report::new(bench, "restart", settings);
    let mut rows = Vec::new();
    for round in 1..=options.rounds {
        for end in [End::Stopped, End::Killed] {
            rows.push(once(bench, &site, options, end, round)?);
        }
    }
    report.table("seconds", &COLUMNS, rows);
    report.remark(
        "readySeconds: from starting the process until /readyz answers 200; readSeconds: until a \
         profile that was there before has been read; the patches before the end are all answered \
         before it, and one of them is looked for",
    );
    Ok(report.finished())
}

fn once(
    bench: &Bench<'_>,
    site: &Site,
    options: &RestartOptions,
    end: End,
    round: u32,
) -> Result<Value, Error> {
    let timer = bench.timer;
    let data_dir = site.server(MAIN);
    let server = Server::start(bench, &data_dir, &site.sources())?;
    ready(bench, &server)?;
    let salt = u64::from(round) + bench.clock.now().as_millis().unsigned_abs();
    let instances = [data::INSTANCE.to_owned()];
    let pick = Pick::Even(options.load.profiles);
    let work: Arc<dyn Work> = Arc::new(Requests::new(
        &server.api,
        Kind::Patch,
        pick,
        &instances,
        salt,
    ));
    let until = Until::Answers(options.patches);
    closed::run(server.api.address, CONNECTIONS, &work, until, timer)?.without_refusals()?;
    // The profile that is looked for afterwards gets a value that no other run has written.
    let city = format!("Restart {salt}");
    let customer = data::customer_id(0);
    let path = format!("/api/instances/{}/data/Customer/{customer}", data::INSTANCE);
    server
        .api
        .call("PATCH", &path, Some(&json!({"City": city})))?;
    let start = timer.now();
    match end {
        End::Stopped => server.process.stop()?,
        End::Killed => server.process.kill()?,
    }
    let ended = timer.since(start);

    let start = timer.now();
    let server = Server::start(bench, &data_dir, &site.sources())?;
    let listening = timer.since(start);
    ready(bench, &server)?;
    let is_ready = timer.since(start);
    let found = server.api.call("GET", &path, None)?;
    let read = timer.since(start);
    if found.get("City") != Some(&json!(city)) {
        return Err(Error::unexpected(format!(
            "a patch was answered before the server ended and is lost: expected {city}"
        )));
    }
    server.process.stop()?;
    let seconds = |span: Duration| rounded(span.as_secs_f64());
    Ok(json!({
        "end": match end { End::Stopped => "stopped", End::Killed => "killed" },
        "round": round,
        "endSeconds": seconds(ended),
        "listeningSeconds": seconds(listening),
        "readySeconds": seconds(is_ready),
        "readSeconds": seconds(read),
    }))
}

/// Waits until the server can take writes.
fn ready(bench: &Bench<'_>, server: &Server) -> Result<(), Error> {
    let start = bench.timer.now();
    loop {
        bench.check()?;
        let (status, _) = server.api.try_call("GET", "/readyz", None)?;
        if status == 200 {
            return Ok(());
        }
        if bench.timer.since(start) > READY_MAX {
            return Err(Error::unexpected("a server does not become ready"));
        }
        bench.timer.wait(LOOK_EVERY);
    }
}
