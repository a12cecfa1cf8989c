//! Owns `during`: what callers feel of a refresh that runs meanwhile.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::child::Server;
use crate::load::open::Pace;
use crate::site::Site;
use crate::source::{Size, Source};
use crate::turns::{self, Both};
use crate::{Bench, Error, Report, api, data, loaded};

/// After a load was ended, before the next measurement without one.
const SETTLE: Duration = Duration::from_secs(3);
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
    turns::tables(&mut report, "refresh", &rounds);
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
    bench.check()?;
    let pace = Pace {
        per_second: options.rate,
        connections: options.connections,
    };
    let asked = (data::INSTANCE, options.profiles);
    turns::ask(bench, server, asked, (pace, options.span), salt)
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
