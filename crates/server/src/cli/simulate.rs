//! Owns the grammar of `sanntid simulate`. Must not do anything.

use std::time::Duration;

use clap::Args;

use super::InstanceArg;

#[derive(Debug, Args)]
#[command(after_help = "\
Needs no data source: the current generation is switched to once more, as one that was read up to the
given instant. What was accepted by then is cleared, so that the source's old values come back; with
--absorb it becomes a part of the new generation. The generation is marked simulated: it can't be
exported until a refresh brings customers again. A production instance takes --dry-run only.

Examples:
  sanntid simulate --instance ID --dry-run
  sanntid simulate --instance ID --absorb --duration 5s
  sanntid simulate --instance ID --as-of 2026-11-23T12:00:00Z")]
pub(crate) struct SimulateArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The instant up to which the source would have been read, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<String>,
    /// Only says what the switch would do
    #[arg(long)]
    pub dry_run: bool,
    /// Takes what was accepted up to then into the new generation
    #[arg(long)]
    pub absorb: bool,
    /// How long the refresh takes at least, such as 5s or 2m
    #[arg(long, value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
}
