//! Owns measuring patches and reads at a fixed rate in turns, without and with something beside them.
//! Must not know what that is.

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
use crate::timer::{median, spread};
use crate::{Bench, Error, Report};

const PERCENTS: [f64; 3] = [50.0, 99.0, 99.9];
const KINDS: [&str; 2] = ["PATCH", "GET"];

const RATIOS: [&str; 7] = [
    "request",
    "percentile",
    "withoutMs",
    "withMs",
    "ratio",
    "from",
    "to",
];

/// Latencies of patches and reads, in the order of [`KINDS`].
pub(crate) type Both = [Latencies; 2];

/// Patches and reads of an instance with so many profiles at the same time, each at a pace, for a
/// span.
pub(crate) fn ask(
    bench: &Bench<'_>,
    server: &Server,
    (instance, profiles): (&str, u64),
    (pace, span): (Pace, Duration),
    salt: u64,
) -> Result<Both, Error> {
    let instances = [instance.to_owned()];
    let run = |kind: Kind| {
        let work = Requests::new(&server.api, kind, Pick::Even(profiles), &instances, salt);
        let never = AtomicBool::new(false);
        let found = open::run(
            server.api.address,
            pace,
            &work,
            bench.timer,
            &never,
            Some(span),
        );
        found.map(|found| latencies(&found))
    };
    thread::scope(|scope| {
        let reader = scope.spawn(|| run(Kind::Read));
        let patches = run(Kind::Patch)?;
        let reads = reader
            .join()
            .map_err(|_| Error::unexpected("the reader crashed"))??;
        Ok([patches, reads])
    })
}

/// Tells of rounds, each without and with `beside`.
pub(crate) fn tables(report: &mut Report, beside: &'static str, rounds: &[[Both; 2]]) {
    let columns = [
        "round", beside, "request", "answers", "p50", "p99", "p99.9", "worst",
    ];
    let title = "latency in milliseconds, each round";
    report.table(title, &columns, each(beside, rounds));
    let title = format!("median of the rounds, with a {beside} to without");
    report.table(&title, &RATIOS, ratios(rounds));
}

fn each(beside: &str, rounds: &[[Both; 2]]) -> Vec<Value> {
    let mut rows = Vec::new();
    for (round, turns) in rounds.iter().enumerate() {
        for (turn, both) in ["without", "with"].iter().zip(turns) {
            for (kind, latencies) in KINDS.iter().zip(both) {
                let percentile = |percent| rounded(latencies.percentile_ms(percent));
                rows.push(json!({
                    "round": round + 1, beside: turn, "request": kind,
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
