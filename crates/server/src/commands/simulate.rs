//! Owns `sanntid simulate`: asks for a simulated refresh and shows it until it has ended.

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use sanntid_types::JobStatus;
use serde_json::{Value, json};

use super::{Context, snapshot};
use crate::cli::SimulateArgs;
use crate::output;

const ROUTE: &str = "/workflows/main/simulations";
const CLEARS: &str = "clears";

pub(super) fn run(context: &Context, arguments: &SimulateArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    let answer = instance.send("POST", ROUTE, &body_of(arguments))?.body;
    if arguments.dry_run {
        return show_report(context, answer);
    }
    let job = answer.get("jobId").and_then(Value::as_str);
    let job = job.context("the server gave no job")?;
    let stages = ProgressBar::new_spinner();
    let waited = instance.wait_for_job(job, |job| {
        stages.set_message(snapshot::stage_of(job));
        stages.tick();
    });
    stages.finish_and_clear();
    let job = waited.context("the simulation goes on; sanntid jobs shows it")?;
    snapshot::show(context, &instance, &job)?;
    if job.job_status != JobStatus::Successful {
        bail!("the simulation did not succeed");
    }
    Ok(())
}

fn body_of(arguments: &SimulateArgs) -> Value {
    let mut body = json!({"dryRun": arguments.dry_run, "absorb": arguments.absorb});
    if let Some(fields) = body.as_object_mut() {
        let as_of = arguments.as_of.as_ref();
        fields.extend(as_of.map(|as_of| ("asOf".to_owned(), json!(as_of))));
        // Whole seconds: a shorter wait would be none.
        let seconds = arguments.duration.map(|length| {
            let is_whole = length.subsec_nanos() == 0;
            length.as_secs() + u64::from(!is_whole)
        });
        fields.extend(seconds.map(|seconds| ("durationSeconds".to_owned(), json!(seconds))));
    }
    body
}

fn show_report(context: &Context, mut report: Value) -> anyhow::Result<()> {
    let output = context.output;
    if output.json {
        return Ok(output::document(&report)?);
    }
    let fields = report.as_object_mut();
    let clears = fields.and_then(|fields| fields.remove(CLEARS));
    output.object(&report)?;
    let rows = clears.and_then(|clears| clears.as_array().cloned());
    let rows = rows.unwrap_or_default();
    if !rows.is_empty() {
        output::line("\nfirst fields that it would clear")?;
        output.rows(&rows, &["profileId", "field"])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn body(options: &[&str]) -> Value {
        let words = ["sanntid", "simulate", "--instance", "i"];
        let cli = Cli::try_parse_from(words.iter().chain(options)).expect("good options");
        match cli.command {
            Command::Simulate(arguments) => body_of(&arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_become_the_request() {
        assert_eq!(body(&[]), json!({"dryRun": false, "absorb": false}));
        let all = [
            "--as-of",
            "2026-11-23T12:00:00Z",
            "--dry-run",
            "--absorb",
            "--duration",
            "1m 500ms",
        ];
        let expected = json!({
            "dryRun": true, "absorb": true, "asOf": "2026-11-23T12:00:00Z", "durationSeconds": 61
        });
        assert_eq!(body(&all), expected);
    }
}
