//! Owns `during`: what callers feel of a refresh that runs meanwhile.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::child::Server;
use crate::load::Latencies;
use crate::load::open::{self, Pace, latencies};
use crate::load::pick::Pick;
use crate::load::work::{Kind, Requests};
use crate::report::rounded;
use crate::site::Site;
use crate::source::{Size, Source};
use crate::timer::{median, spread};
use crate::{Bench, Error, Report, api, data, loaded};

/// After a load was ended, before the next measurement without one.
const SETTLE: Duration = Duration::from_secs(3);
const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];
const KINDS: [&str; 2] = ["PATCH", "GET"];

const EACH: [&str; 8] = [
    "round", "refresh", "request", "answers", "p50", "p99", "p99.9", "worst",
];
const RATIOS: [&str; 7] = [
    "request",
    "percentile",
    "withoutMs",
    "withMs",
    "ratio",
    "from",
    "to",
];

/// What `during` is told.
#[derive(Clone, Debug)]
pub struct DuringOptions {
    pub profiles: u64,
    pub activities: u64,
    pub rounds: u32,
    /// How long each measurement lasts.
    pub span: Duration,
    /// Patches a second, and as many reads.
    pub rate: u32,
    pub connections: u32,
    pub folder: Option<PathBuf>,
}

/// Latencies of patches and reads, in the order of [`KINDS`].
type Both = [Latencies; 2];

/// Measures single patches and reads at a fixed rate, in turns with and without a refresh.
///
/// # Errors
/// Every [`Error`].
pub fn during(bench: &Bench<'_>, options: &DuringOptions) -> Result<Report, Error> {
    let site = Site::open(options.folder.as_deref())?;
    let size = Size {
        profiles: options.profiles,
        activities: options.activities,
    };
    let source = Source::make(bench, &site, size)?;
    let server = loaded::empty(bench, &site, "during", &source)?;
    loaded::load(bench, &server, &source)?;
    let settings = json!({
        "profiles": size.profiles, "activities": size.activities, "rounds": options.rounds,
        "seconds": options.span.as_secs_f64(), "patchesPerSecond": options.rate,
        "readsPerSecond": options.rate, "connectionsOfEach": options.connections,
    });
    let mut report = Report::new(bench, "during", settings);
    let mut rounds: Vec<[Both; 2]> = Vec::new();
    let mut cut_short = 0;
    for round in 0..options.rounds {
        let mut without = None;
        if round % 2 == 0 {
            without = Some(measure(bench, &server, options, u64::from(round) * 2)?);
        }
        let job = server.api.refresh(data::INSTANCE)?;
        wait_until_running(bench, &server, &job)?;
        let with = measure(bench, &server, options, u64::from(round) * 2 + 1)?;
        if server.api.job(data::INSTANCE, &job)?.is_ended() {
            cut_short += 1;
        } else {
            end(bench, &server, &job)?;
        }
        bench.timer.wait(SETTLE);
        let without = match without {
            Some(without) => without,
            None => measure(bench, &server, options, u64::from(round) * 2)?,
        };
        rounds.push([without, with]);
    }
    server.process.stop()?;
    report.table("latency in milliseconds, each round", &EACH, each(&rounds));
    report.table(
        "median of the rounds, with a refresh to without",
        &RATIOS,
        ratios(&rounds),
    );
    if cut_short > 0 {
        report.remark(format!(
            "in {cut_short} of {} rounds the refresh was done before the measurement: use more \
             profiles or fewer seconds",
            options.rounds
        ));
    }
    Ok(report.finished())
}

/// Patches and reads at the same time, for a span.
fn measure(
    bench: &Bench<'_>,
    server: &Server,
    options: &DuringOptions,
    salt: u64,
) -> Result<Both, Error> {
    let address = server.api.address;
    let instances = [data::INSTANCE.to_owned()];
    let pace = Pace {
        per_second: options.rate,
        connections: options.connections,
    };
    let run = |kind: Kind| {
        let pick = Pick::Even(options.profiles);
        let work = Requests::new(&server.api, kind, pick, &instances, salt);
        let never = AtomicBool::new(false);
        let span = Some(options.span);
        open::run(address, pace, &work, bench.timer, &never, span).map(|found| latencies(&found))
    };
    bench.check()?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| run(Kind::Read));
        let patches = run(Kind::Patch)?;
        let reads = reader
            .join()
            .map_err(|_| Error::unexpected("the reader crashed"))??;
        Ok([patches, reads])
    })
}

fn wait_until_running(bench: &Bench<'_>, server: &Server, job: &str) -> Result<(), Error> {
    loop {
        bench.check()?;
        let found = server.api.job(data::INSTANCE, job)?;
        if found.is_ended() || found.running().is_some() {
            return Ok(());
        }
        bench.timer.wait(api::POLL / 20);
    }
}

/// Cancels a job and waits for its end.
fn end(bench: &Bench<'_>, server: &Server, job: &str) -> Result<(), Error> {
    let path = format!(
        "/api/instances/{}/workflows/main/jobs/{job}/cancel",
        data::INSTANCE
    );
    // It may have ended by itself meanwhile, which is as good.
    server.api.try_call("POST", &path, None)?;
    while !server.api.job(data::INSTANCE, job)?.is_ended() {
        bench.check()?;
        bench.timer.wait(api::POLL);
    }
    Ok(())
}

fn each(rounds: &[[Both; 2]]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (round, turns) in rounds.iter().enumerate() {
        for (turn, both) in ["without", "with"].iter().zip(turns) {
            for (kind, latencies) in KINDS.iter().zip(both) {
                let percentile = |percent| rounded(latencies.percentile_ms(percent));
                rows.push(json!({
                    "round": round + 1, "refresh": turn, "request": kind,
                    "answers": latencies.count(), "p50": percentile(50.0),
                    "p99": percentile(99.0), "p99.9": percentile(99.9),
                    "worst": rounded(latencies.worst_ms()),
                }));
            }
        }
    }
    rows
}

fn ratios(rounds: &[[Both; 2]]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (index, kind) in KINDS.iter().enumerate() {
        for percent in PERCENTS {
            let of = |both: &Both| {
                both.get(index)
                    .map_or(0.0, |found| found.percentile_ms(percent))
            };
            let without: Vec<f64> = rounds.iter().map(|[without, _]| of(without)).collect();
            let with: Vec<f64> = rounds.iter().map(|[_, with]| of(with)).collect();
            let ratios: Vec<f64> = with.iter().zip(&without).map(|(a, b)| a / b).collect();
            let (low, high) = spread(&ratios);
            rows.push(json!({
                "request": kind, "percentile": percent, "withoutMs": rounded(median(&without)),
                "withMs": rounded(median(&with)), "ratio": rounded(median(&ratios)),
                "from": rounded(low), "to": rounded(high),
            }));
        }
    }
    rows
}
