//! Owns `fairness`: what callers of one instance feel of another at full load.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::child::Server;
use crate::load::closed::{self, Until};
use crate::load::open::Pace;
use crate::load::pick::Pick;
use crate::load::work::{Kind, Requests, Work};
use crate::report::rounded;
use crate::site::Site;
use crate::source::{Size, Source};
use crate::turns::{self, Both};
use crate::{Bench, Error, Report, data, loaded};

/// The instance whose callers are asked what they feel.
const QUIET: &str = "5a11d000-0000-4000-8002-000000000001";
/// How long the other is at full load before it is looked, and after.
const AROUND: Duration = Duration::from_millis(500);
/// Connections that write to the quiet instance, and as many that read.
const QUIET_CONNECTIONS: u32 = 4;

/// What `fairness` is told.
#[derive(Clone, Debug)]
pub struct FairnessOptions {
    pub profiles: u64,
    pub rounds: u32,
    /// How long each measurement lasts.
    pub span: Duration,
    /// Patches a second of the quiet instance, and as many reads.
    pub rate: u32,
    /// Connections of the loud instance, each of which asks again once it is answered.
    pub connections: u32,
    pub folder: Option<PathBuf>,
}

/// Measures an instance with few requests, in turns alone and beside one at full load.
///
/// # Errors
/// Every [`Error`].
pub fn fairness(bench: &Bench<'_>, options: &FairnessOptions) -> Result<Report, Error> {
    let site = Site::open(options.folder.as_deref())?;
    let size = Size {
        profiles: options.profiles,
        activities: 0,
    };
    let source = Source::make(bench, &site, size)?;
    let server = loaded::empty(bench, &site, "fairness", &source)?;
    loaded::load(bench, &server, &source)?;
    server.api.create_instance(QUIET, "Quiet")?;
    server.api.put_source(QUIET, &source.folder)?;
    let job = server.api.refresh(QUIET)?;
    server.api.wait_for_job(bench, QUIET, &job, |_| ())?;
    let settings = json!({
        "profilesOfEach": size.profiles, "rounds": options.rounds,
        "seconds": options.span.as_secs_f64(), "patchesPerSecond": options.rate,
        "readsPerSecond": options.rate, "connectionsBeside": options.connections,
    });
    let mut report = Report::new(bench, "fairness", settings);
    let (mut rounds, mut beside) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let salt = u64::from(round) * 2;
        let mut alone = None;
        if round % 2 == 0 {
            alone = Some(measure(bench, &server, options, salt)?);
        }
        let (with, per_second) = measure_beside(bench, &server, options, salt + 1)?;
        let alone = match alone {
            Some(alone) => alone,
            None => measure(bench, &server, options, salt)?,
        };
        rounds.push([alone, with]);
        beside.push(json!({"round": round + 1, "perSecond": rounded(per_second)}));
    }
    server.process.stop()?;
    turns::tables(&mut report, "neighbour", &rounds);
    report.table("patches of the neighbour", &["round", "perSecond"], beside);
    Ok(report.finished())
}

fn measure(
    bench: &Bench<'_>,
    server: &Server,
    options: &FairnessOptions,
    salt: u64,
) -> Result<Both, Error> {
    bench.check()?;
    let pace = Pace {
        per_second: options.rate,
        connections: QUIET_CONNECTIONS,
    };
    let asked = (QUIET, options.profiles);
    turns::ask(bench, server, asked, (pace, options.span), salt)
}

/// The same beside the loud instance, and how many patches that had answered in a second.
fn measure_beside(
    bench: &Bench<'_>,
    server: &Server,
    options: &FairnessOptions,
    salt: u64,
) -> Result<(Both, f64), Error> {
    let instances = [data::INSTANCE.to_owned()];
    let pick = Pick::Even(options.profiles);
    let work = Requests::new(&server.api, Kind::Patch, pick, &instances, salt);
    let work: Arc<dyn Work> = Arc::new(work);
    let connections = usize::try_from(options.connections).unwrap_or(1);
    let until = Until::After(options.span + AROUND * 2);
    let (address, timer) = (server.api.address, bench.timer);
    thread::scope(|scope| {
        let loud = scope.spawn(|| closed::run(address, connections, &work, until, timer));
        timer.wait(AROUND);
        let felt = measure(bench, server, options, salt)?;
        let loud = loud.join();
        let loud = loud.map_err(|_| Error::unexpected("the load crashed"))??;
        Ok((felt, loud.without_refusals()?.per_second()))
    })
}
