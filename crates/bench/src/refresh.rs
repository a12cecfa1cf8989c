//! Owns `refresh`: how fast a snapshot is loaded, beside what the store alone takes.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::api::Job;
use crate::error::Doing;
use crate::report::rounded;
use crate::site::{Site, bytes_below, remove};
use crate::source::{Size, Source};
use crate::timer::per_second;
use crate::{Bench, Error, Report, loaded, store};

/// The server whose data stay.
pub(crate) const MAIN: &str = "main";
/// Most records that the store alone is measured with.
const RAW_RECORDS_MAX: u64 = 5_000_000;
/// Records that a profile becomes: its row and its key.
const PROFILE_RECORDS: u64 = 2;
/// Records that an activity becomes: its row, its place by id, its place in a timeline.
const ACTIVITY_RECORDS: u64 = 3;
const MIB: f64 = 1_048_576.0;

const SERVER: [&str; 8] = [
    "rows",
    "seconds",
    "rowsPerSecond",
    "cpuSeconds",
    "cpuMicrosPerRow",
    "rssPeakMiB",
    "writtenMiB",
    "storedMiB",
];
const ALONE: [&str; 4] = [
    "storeAlone",
    "recordsPerSecond",
    "refreshRowsToIt",
    "refreshRecordsToIt",
];

/// What `refresh` is told.
#[derive(Clone, Debug)]
pub struct RefreshOptions {
    pub profiles: u64,
    pub activities: u64,
    /// Where data set and server lie; without one, in a folder that is removed at the end.
    pub folder: Option<PathBuf>,
}

/// A refresh that went well, seen from outside.
struct Outcome {
    job: Job,
    span: Duration,
    cpu: Duration,
    rss_peak_bytes: u64,
    written_bytes: u64,
    stored_bytes: u64,
}

/// Loads a data set through a server's data source, and records of its size into a store alone.
///
/// The server's data stay in the folder given, so that `restart` can go on with them.
///
/// # Errors
/// Every [`Error`].
pub fn refresh(bench: &Bench<'_>, options: &RefreshOptions) -> Result<Report, Error> {
    let site = Site::open(options.folder.as_deref())?;
    let size = size_of(options);
    let source = Source::make(bench, &site, size)?;
    let settings = json!({
        "profiles": size.profiles, "activities": size.activities,
        "sourceMiB": rounded(source.bytes as f64 / MIB),
    });
    let mut report = Report::new(bench, "refresh", settings);
    let raw = |synced: bool| {
        let folder = site.server("raw");
        remove(&folder)?;
        let measured = store::ingest(bench, &folder, size.profiles.min(RAW_RECORDS_MAX), synced);
        remove(&folder)?;
        measured
    };
    // One before and one after: what else the machine does shows in their difference.
    let before = raw(false)?;
    let outcome = load(bench, &site, &source)?;
    let after = raw(false)?;
    let synced = raw(true)?;

    let rows = outcome.job.count("rowsRead");
    report.table(
        "stages",
        &["stage", "rows", "seconds", "rowsPerSecond"],
        stages(&outcome.job),
    );
    report.table("server", &SERVER, vec![totals(&outcome, rows)]);
    let records = size.profiles * PROFILE_RECORDS + size.activities * ACTIVITY_RECORDS;
    let pace = |ingest: &store::Ingest| per_second(ingest.records, ingest.span);
    let kinds = [
        ("loaded, before", pace(&before)),
        ("loaded, after", pace(&after)),
        ("committed, 1 MiB each", pace(&synced)),
    ];
    let row = |(kind, raw): (&str, f64)| {
        json!({
            "storeAlone": kind,
            "recordsPerSecond": rounded(raw),
            "refreshRowsToIt": rounded(per_second(rows, outcome.span) / raw),
            "refreshRecordsToIt": rounded(per_second(records, outcome.span) / raw),
        })
    };
    report.table(
        "the store alone, records of the same size",
        &ALONE,
        kinds.map(row).into(),
    );
    report.remark(format!(
        "a profile becomes {PROFILE_RECORDS} records, an activity {ACTIVITY_RECORDS}: {records} in \
         all; refreshRecordsToIt counts those, refreshRowsToIt the rows of the files"
    ));
    Ok(report.finished())
}

/// Loads a data set into a server whose data stay, unless they are there.
pub(crate) fn prepare(
    bench: &Bench<'_>,
    site: &Site,
    options: &RefreshOptions,
) -> Result<(), Error> {
    let size = size_of(options);
    let noted = fs::read(site.server(MAIN).with_extension("json")).unwrap_or_default();
    if serde_json::from_slice::<Value>(&noted).ok() == Some(note_of(size)) {
        return Ok(());
    }
    let source = Source::make(bench, site, size)?;
    load(bench, site, &source).map(drop)
}

fn load(bench: &Bench<'_>, site: &Site, source: &Source) -> Result<Outcome, Error> {
    let note = site.server(MAIN).with_extension("json");
    remove(&note)?;
    let server = loaded::empty(bench, site, MAIN, source)?;
    let before = server.process.usage();
    let start = bench.timer.now();
    let job = loaded::load(bench, &server, source)?;
    let span = bench.timer.since(start);
    let usage = server.process.usage();
    server.process.stop()?;
    let noted = fs::write(&note, note_of(source.size).to_string());
    noted.doing(|| "noting what the server holds".to_owned())?;
    Ok(Outcome {
        job,
        span,
        cpu: usage.cpu.saturating_sub(before.cpu),
        rss_peak_bytes: usage.rss_peak_bytes,
        written_bytes: usage.written_bytes.saturating_sub(before.written_bytes),
        stored_bytes: bytes_below(&site.server(MAIN)),
    })
}

fn size_of(options: &RefreshOptions) -> Size {
    Size {
        profiles: options.profiles,
        activities: options.activities,
    }
}

/// What stands beside a server's folder once it holds a data set.
fn note_of(size: Size) -> Value {
    json!({"profiles": size.profiles, "activities": size.activities})
}

fn stages(job: &Job) -> Vec<Value> {
    let row = |stage: &Value| {
        let number = |field: &str| stage.get(field).and_then(Value::as_u64).unwrap_or(0);
        let span = Duration::from_millis(number("durationMs"));
        json!({
            "stage": stage.get("name"), "rows": number("rows"),
            "seconds": rounded(span.as_secs_f64()),
            "rowsPerSecond": rounded(per_second(number("rows"), span)),
        })
    };
    job.stages().iter().map(row).collect()
}

fn totals(outcome: &Outcome, rows: u64) -> Value {
    json!({
        "rows": rows,
        "seconds": rounded(outcome.span.as_secs_f64()),
        "rowsPerSecond": rounded(per_second(rows, outcome.span)),
        "cpuSeconds": rounded(outcome.cpu.as_secs_f64()),
        "cpuMicrosPerRow": rounded(outcome.cpu.as_secs_f64() * 1e6 / rows.max(1) as f64),
        "rssPeakMiB": rounded(outcome.rss_peak_bytes as f64 / MIB),
        "writtenMiB": rounded(outcome.written_bytes as f64 / MIB),
        "storedMiB": rounded(outcome.stored_bytes as f64 / MIB),
    })
}
