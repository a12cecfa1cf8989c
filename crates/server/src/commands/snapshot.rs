//! Owns `sanntid snapshot push`: progress while it runs, and how a job is shown.

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use sanntid_types::{Clock, Instant, JobStatus};
use serde_json::Value;

use super::Context;
use crate::api::{Instance, JobView};
use crate::cli::PushArgs;
use crate::client::Error;
use crate::clock::SystemClock;
use crate::output::{self, note};
use crate::push::{Part, Progress, push as upload};
use crate::wiring::snapshot_folder;

/// How many rejected rows are shown.
const REJECTIONS_SHOWN: usize = 10;
const REJECTION_COLUMNS: [&str; 6] = ["kind", "entity", "file", "row", "column", "reason"];

pub(super) fn push(context: &Context, arguments: &PushArgs) -> anyhow::Result<()> {
    let (mut manifest, parts) = snapshot_folder(&arguments.manifest, arguments.files.as_deref())?;
    if let Some(text) = &arguments.as_of {
        manifest.as_of = as_of(text)?;
    }
    let instance = context.instance(&arguments.instance);
    let bars = Bars::new();
    let committed = upload(&instance, &manifest, &parts, &bars);
    bars.0.finish_and_clear();
    let may_go_on = !matches!(committed, Ok(_) | Err(Error::Refused(_)));
    let committed = if may_go_on {
        committed.context("not all has arrived; the same command goes on from there")
    } else {
        committed.map_err(anyhow::Error::from)
    };
    let stages = ProgressBar::new_spinner();
    let waited = instance.wait_for_job(&committed?.job_id, |job| {
        stages.set_message(stage_of(job));
        stages.tick();
    });
    stages.finish_and_clear();
    let job = waited.context("the refresh goes on; sanntid jobs shows it")?;
    show(context, &instance, &job)?;
    if job.job_status != JobStatus::Successful {
        bail!("the refresh did not succeed");
    }
    Ok(())
}

/// Prints a job with its report, and where rows were rejected, the first of them.
pub(super) fn show(context: &Context, instance: &Instance, job: &JobView) -> anyhow::Result<()> {
    let output = context.output;
    if output.json {
        output::document(&instance.get(&crate::api::job_path(&job.job_id))?)?;
    } else {
        let status = serde_json::to_value(job.job_status)?;
        output::line(&format!("job {}  {}", job.job_id, output::cell(&status)))?;
        if let Some(report) = job.report() {
            output.object(&serde_json::to_value(report)?)?;
        }
        if let Some(failure) = job.failure() {
            let how = match job.job_status {
                JobStatus::Skipped => "skipped",
                _ => "failed",
            };
            output::line(&format!("{how}: {failure}"))?;
        }
    }
    let failed = job.job_status == JobStatus::Failed;
    let rejected = job
        .report()
        .is_some_and(|report| report.rows_rejected > 0 || report.activities_unmatched > 0);
    if output.json || !(failed || rejected) {
        return Ok(());
    }
    let rejections = instance.rejections(&job.job_id, REJECTIONS_SHOWN)?;
    if !rejections.is_empty() {
        output::line("\nfirst rows that could not be used")?;
        output.rows(&rejections, &REJECTION_COLUMNS)?;
    }
    Ok(())
}

fn as_of(text: &str) -> anyhow::Result<Instant> {
    if text == "now" {
        return Ok(SystemClock::new().now());
    }
    Instant::parse(text)
        .with_context(|| format!("--as-of: expected now or an RFC 3339 time, got {text:?}"))
}

pub(super) fn stage_of(job: &JobView) -> String {
    match job.running() {
        None => "waiting for the refresh".to_owned(),
        Some(task) => {
            let name = serde_json::to_value(task.operation_type).unwrap_or(Value::Null);
            let name = output::cell(&name);
            match task.rows_total {
                Some(total) => format!("{name}: {} of {total} rows", task.rows),
                None => format!("{name}: {} rows", task.rows),
            }
        }
    }
}

/// Draws a bar for the file that is being sent; where there is no terminal, a line for each.
struct Bars(ProgressBar);

impl Bars {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = "{msg:32} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        Self(bar)
    }
}

impl Progress for Bars {
    fn begin(&self, part: &Part) {
        self.0.reset();
        self.0.set_length(part.bytes);
        self.0.set_message(name_of(part));
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn end(&self, part: &Part) {
        let line = format!("sent {} ({} bytes)", name_of(part), part.bytes);
        tell(&self.0, &line);
    }

    fn skip(&self, part: &Part) {
        let line = format!("{} had arrived before", name_of(part));
        tell(&self.0, &line);
    }
}

fn tell(bar: &ProgressBar, line: &str) {
    if bar.is_hidden() {
        note(line);
    } else {
        bar.println(line);
    }
}

fn name_of(part: &Part) -> String {
    let name = part.path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_of_is_now_or_a_time() {
        assert!(as_of("now").is_ok());
        let given = as_of("2026-11-23T02:00:00+01:00").unwrap();
        assert_eq!(given.to_string(), "2026-11-23T01:00:00.000Z");
        for bad in ["", "yesterday", "2026-11-23"] {
            assert!(as_of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_running_stage_is_told() {
        let job: JobView = serde_json::from_str(
            r#"{"jobId": "j", "jobStatus": "running", "operationType": "all", "tasks": [
                {"operationType": "ingestion", "taskStatus": "successful", "rows": 7},
                {"operationType": "profileStore", "taskStatus": "running", "rows": 3, "rowsTotal": 9}]}"#,
        )
        .unwrap();
        assert_eq!(stage_of(&job), "profileStore: 3 of 9 rows");
        let ended = JobView {
            tasks: Vec::new(),
            ..job
        };
        assert_eq!(stage_of(&ended), "waiting for the refresh");
    }
}
