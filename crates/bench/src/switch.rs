//! Owns `switch`: how long a write waits while a generation gives way to the next.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sanntid_types::Instant;
use serde_json::{Value, json};

use crate::api::{Api, Job, job_id};
use crate::child::Server;
use crate::load::closed::{self, Until};
use crate::load::open::{self, Pace, Sample};
use crate::load::pick::Pick;
use crate::load::work::{Kind, Requests, Work};
use crate::report::rounded;
use crate::site::Site;
use crate::source::{Size, Source};
use crate::{Bench, Error, Report, data, loaded};

/// Written before and after the job, so that the window around the switch is covered.
const MARGIN: Duration = Duration::from_millis(500);
/// How far the window around the switch reaches beyond its stage: timestamps are in milliseconds.
const WINDOW: Duration = Duration::from_millis(20);
/// What follows the switch within its stage is counting; a blocked write shows at its start.
const SWITCH_MAX: Duration = Duration::from_millis(250);
const IDLE: Duration = Duration::from_secs(3);
const SEEDING_CONNECTIONS: usize = 64;

/// What `switch` is told.
#[derive(Clone, Debug)]
pub struct SwitchOptions {
    /// Profiles, one server for each; a tenth as many overlay fields are cleared at each switch.
    pub sizes: Vec<u64>,
    pub rounds: u32,
    /// Patches a second.
    pub rate: u32,
    /// Connections that write, one measurement for each.
    pub connections: Vec<u32>,
    pub folder: Option<PathBuf>,
}

/// What makes a new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trigger {
    /// The current rows again, with a later `asOf`.
    Simulation,
    /// All rows anew.
    Refresh,
}

/// Measures the longest wait of patches around switches, at several sizes.
///
/// # Errors
/// Every [`Error`].
pub fn switch(bench: &Bench<'_>, options: &SwitchOptions) -> Result<Report, Error> {
    let site = Site::open(options.folder.as_deref())?;
    let settings = json!({
        "sizes": options.sizes, "rounds": options.rounds, "patchesPerSecond": options.rate,
    });
    let mut report = Report::new(bench, "switch", settings);
    let mut rows = Vec::new();
    for profiles in &options.sizes {
        let size = Size {
            profiles: *profiles,
            activities: 0,
        };
        let source = Source::make(bench, &site, size)?;
        let server = loaded::empty(bench, &site, "switch", &source)?;
        loaded::load(bench, &server, &source)?;
        let trigger = trigger(&server.api)?;
        for connections in &options.connections {
            for round in 1..=options.rounds {
                let pace = Pace {
                    per_second: options.rate,
                    connections: *connections,
                };
                let salt = u64::from(round) * 1000 + u64::from(*connections);
                let measured = Round {
                    bench,
                    server: &server,
                    source: &source,
                    pace,
                    salt,
                }
                .run(trigger)?;
                let mut row = measured;
                if let Some(fields) = row.as_object_mut() {
                    fields.insert("round".to_owned(), json!(round));
                }
                rows.push(row);
            }
        }
        server.process.stop()?;
    }
    report.table("longest wait of a patch, in milliseconds", &COLUMNS, rows);
    report.remark(
        "atSwitchMs: the longest wait of a patch that was under way at the switch; elsewhereMs: in \
         the rest of the job; idleMs: in 3 s without a job; stageMs: the server's own figure for \
         the stage profileStore, which counts what was cleared after the switch",
    );
    Ok(report.finished())
}

const COLUMNS: [&str; 10] = [
    "profiles",
    "cleared",
    "by",
    "connections",
    "round",
    "patches",
    "atSwitchMs",
    "elsewhereMs",
    "idleMs",
    "stageMs",
];

/// A simulation leaves out the reading; where it is not served, all is read anew.
fn trigger(api: &Api) -> Result<Trigger, Error> {
    let path = format!(
        "/api/instances/{}/workflows/main/simulations",
        data::INSTANCE
    );
    let dry = json!({"dryRun": true});
    let (status, _) = api.try_call("POST", &path, Some(&dry))?;
    Ok(if status == 200 {
        Trigger::Simulation
    } else {
        Trigger::Refresh
    })
}

struct Round<'a> {
    bench: &'a Bench<'a>,
    server: &'a Server,
    source: &'a Source,
    pace: Pace,
    salt: u64,
}

impl Round<'_> {
    fn run(&self, trigger: Trigger) -> Result<Value, Error> {
        let (bench, api) = (self.bench, &self.server.api);
        let profiles = self.source.size.profiles;
        self.seed(profiles)?;
        let instances = [data::INSTANCE.to_owned()];
        let patches = Requests::new(
            api,
            Kind::Patch,
            Pick::Even(profiles),
            &instances,
            self.salt,
        );
        let never = AtomicBool::new(false);
        let idle = open::run(
            api.address,
            self.pace,
            &patches,
            bench.timer,
            &never,
            Some(IDLE),
        )?;
        let over = AtomicBool::new(false);
        let (samples, job, origin) = thread::scope(|scope| {
            let writer = scope
                .spawn(|| open::run(api.address, self.pace, &patches, bench.timer, &over, None));
            bench.timer.wait(MARGIN);
            let job = self.job(trigger);
            bench.timer.wait(MARGIN);
            over.store(true, Ordering::Relaxed);
            let samples = writer.join();
            let samples = samples.map_err(|_| Error::unexpected("the writer crashed"))??;
            let (job, origin) = job?;
            Ok::<_, Error>((samples, job, origin))
        })?;
        let (began, ended) = stage(&job, origin)?;
        let at_switch =
            open::worst_within(&samples, began.saturating_sub(WINDOW), began + SWITCH_MAX);
        let before = |sample: &&Sample| sample.end + WINDOW < began;
        let after = |sample: &&Sample| sample.start > began + SWITCH_MAX;
        let rest: Vec<Sample> = samples
            .iter()
            .filter(|s| before(s) || after(s))
            .copied()
            .collect();
        let millis = |span: Duration| rounded(span.as_secs_f64() * 1e3);
        let worst =
            |samples: &[Sample]| millis(open::worst_within(samples, Duration::ZERO, Duration::MAX));
        Ok(json!({
            "profiles": profiles,
            "cleared": job.count("overlayFieldsCleared"),
            "by": match trigger {
                Trigger::Simulation => "simulation",
                Trigger::Refresh => "refresh",
            },
            "connections": self.pace.connections,
            "patches": samples.len(),
            "atSwitchMs": millis(at_switch),
            "elsewhereMs": worst(&rest),
            "idleMs": worst(&idle),
            "stageMs": millis(ended.saturating_sub(began)),
        }))
    }

    /// Overrides a field of some profiles each, so that there is something to clear.
    fn seed(&self, profiles: u64) -> Result<(), Error> {
        let api = &self.server.api;
        // A patch of the load sets two fields.
        let count = (profiles / 20).max(1);
        let instances = [data::INSTANCE.to_owned()];
        let work = Requests::new(api, Kind::Patch, Pick::Each(count), &instances, 0);
        let work: Arc<dyn Work> = Arc::new(work);
        self.bench.narrator.begin("overriding fields", None);
        let until = Until::Answers(count);
        let timer = self.bench.timer;
        let seeded = closed::run(api.address, SEEDING_CONNECTIONS, &work, until, timer)?;
        seeded.without_refusals()?;
        self.bench.narrator.end("");
        Ok(())
    }

    /// Makes a new generation; also tells what the timer said when the wall clock was at zero.
    fn job(&self, trigger: Trigger) -> Result<(Job, i128), Error> {
        let (bench, api) = (self.bench, &self.server.api);
        let now = bench.clock.now();
        let micros = i128::try_from(bench.timer.now().as_micros()).unwrap_or(0);
        let origin = micros - i128::from(now.as_millis()) * 1000;
        let job = match trigger {
            Trigger::Refresh => {
                self.source.tell(&now.to_string())?;
                api.refresh(data::INSTANCE)?
            }
            Trigger::Simulation => {
                let path = format!(
                    "/api/instances/{}/workflows/main/simulations",
                    data::INSTANCE
                );
                let body = json!({"asOf": now.to_string(), "absorb": false});
                job_id(&api.call("POST", &path, Some(&body))?)?
            }
        };
        bench.narrator.begin("the job", None);
        let job = api.wait_for_job(bench, data::INSTANCE, &job, |job| {
            if let Some((stage, rows)) = job.running() {
                bench.narrator.at(rows, &stage);
            }
        })?;
        bench.narrator.end("");
        Ok((job, origin))
    }
}

/// When the stage of the switch began and when the job ended, by the timer.
fn stage(job: &Job, origin: i128) -> Result<(Duration, Duration), Error> {
    let ended = job.document.get("endTimestamp").and_then(Value::as_str);
    let ended = ended.and_then(Instant::parse);
    let ended = ended.ok_or_else(|| Error::unexpected("a job without its end"))?;
    let micros = i128::from(ended.as_millis()) * 1000 + origin;
    let ended = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    let took = Duration::from_millis(job.stage_ms("profileStore"));
    Ok((ended.saturating_sub(took), ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_is_placed_on_the_timer() {
        let document = json!({"endTimestamp": "1970-01-01T00:00:10.000Z", "report": {"stages": [
            {"name": "profileStore", "status": "successful", "rows": 0, "durationMs": 1500}]}});
        let job = Job {
            status: "successful".to_owned(),
            document,
        };
        let (began, ended) = stage(&job, -4_000_000).unwrap();
        assert_eq!(
            (began, ended),
            (Duration::from_millis(4_500), Duration::from_secs(6))
        );
    }
}
