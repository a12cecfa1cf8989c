//! Owns the grammar of `sanntid audit`. Must not do anything.

use clap::{ArgGroup, Args, ValueEnum};

#[derive(Debug, Args)]
#[command(
    group = ArgGroup::new("log").required(true),
    after_help = "\
Examples:
  sanntid audit --instance ID
  sanntid audit --instance ID --outcome refused --from 2026-11-01T00:00:00Z
  sanntid audit --instance ID --action set_realtime_settings --json
  sanntid audit --server"
)]
pub(crate) struct AuditArgs {
    /// The instance whose log it is
    #[arg(long, value_name = "ID", group = "log")]
    pub instance: Option<String>,
    /// The server's own log: instances made and deleted, the clock confirmed
    #[arg(long = "server", group = "log")]
    pub of_server: bool,
    /// None that is older
    #[arg(long, value_name = "INSTANT")]
    pub from: Option<String>,
    /// None of this instant or later
    #[arg(long, value_name = "INSTANT")]
    pub to: Option<String>,
    /// Only those of this caller
    #[arg(long)]
    pub actor: Option<String>,
    /// Only those of this operation
    #[arg(long)]
    pub action: Option<String>,
    /// Only what was done, or what was refused
    #[arg(long, value_enum)]
    pub outcome: Option<AuditOutcome>,
    /// How many at most, newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub top: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditOutcome {
    Done,
    Refused,
}
