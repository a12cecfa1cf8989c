//! Owns `sanntid bulk`: progress while it runs, the lines that failed, and the sum at the end.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Context;
use crate::bulk::{Totals, send};
use crate::cli::BulkArgs;
use crate::client::{Refusal, RefusalDetail};
use crate::output::{self, Output, note};

pub(super) fn run(context: &Context, arguments: &BulkArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    let (bar, mut input) = open(&arguments.file)?;
    let output = context.output;
    let mut totals = Totals::default();
    let sent = send(
        &instance,
        &arguments.entity,
        &mut *input,
        &mut totals,
        &mut |answer| bar.suspend(|| show(output, answer)),
    );
    bar.finish_and_clear();
    sum_up(output, totals)?;
    sent.context(
        "not all lines were sent; the same command sends all of them again, which is safe",
    )?;
    if totals.failed > 0 {
        bail!("{} lines were refused", totals.failed);
    }
    Ok(())
}

/// Opens a file, unpacked as its name says, with a bar that tells how far it is read.
fn open(name: &str) -> anyhow::Result<(ProgressBar, Box<dyn BufRead>)> {
    if name == "-" {
        let bar = ProgressBar::new_spinner();
        let style = "{spinner} {bytes} sent {bytes_per_sec}";
        let bar = bar.with_style(ProgressStyle::with_template(style)?);
        let input = bar.wrap_read(io::stdin());
        return Ok((bar, Box::new(BufReader::new(input))));
    }
    let file = File::open(name).with_context(|| name.to_owned())?;
    let bar = ProgressBar::new(file.metadata()?.len());
    let style = "{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let bar = bar.with_style(ProgressStyle::with_template(style)?);
    let file = bar.wrap_read(file);
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str());
    let input: Box<dyn Read> = match ending {
        Some("gz") => Box::new(MultiGzDecoder::new(file)),
        Some("zst") => Box::new(zstd::Decoder::new(file)?),
        _ => Box::new(file),
    };
    Ok((bar, Box::new(BufReader::new(input))))
}

/// Prints a line that was refused.
fn show(output: Output, answer: &Value) -> io::Result<()> {
    if output.json {
        return output::line(&answer.to_string());
    }
    let error = answer.get("error").cloned().unwrap_or_default();
    let refusal: Refusal = serde_json::from_value(error).unwrap_or_default();
    let status = answer.get("status").and_then(Value::as_u64).unwrap_or(0);
    let number = answer.get("line").and_then(Value::as_u64).unwrap_or(0);
    let text = output::cell(&refusal.message.into());
    output::line(&format!(
        "line {number}: {text} ({status} {})",
        refusal.error_code
    ))?;
    for RefusalDetail { target, message } in refusal.details {
        let target = output::cell(&target.unwrap_or_default().into());
        output::line(&format!("  {target}: {}", output::cell(&message.into())))?;
    }
    Ok(())
}

fn sum_up(output: Output, totals: Totals) -> io::Result<()> {
    let Totals {
        lines,
        stored,
        replayed,
        held,
        failed,
    } = totals;
    if output.json {
        let sum = json!({
            "lines": lines, "stored": stored, "replayed": replayed, "held": held, "failed": failed
        });
        return output::line(&sum.to_string());
    }
    note(&format!(
        "{lines} lines: {stored} stored, {held} held ({replayed} of these before), {failed} refused"
    ));
    Ok(())
}
