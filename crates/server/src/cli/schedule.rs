//! Owns the grammar of `sanntid schedule …`. Must not do anything.

use clap::{Args, Subcommand};

use super::InstanceArg;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
A schedule is daily or weekly: minute, hour, *, *, day of the week (Sunday is 0 or 7).

Examples:
  sanntid schedule set --instance ID --cron \"0 2 * * *\" --timezone Europe/Oslo
  sanntid schedule set --instance ID --cron \"0 6 * * MON-FRI\" --cron \"0 9 * * SAT,SUN\" --timezone UTC
  sanntid schedule list --instance ID
  sanntid schedule delete --instance ID 3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
pub(crate) enum ScheduleCommand {
    /// Lists the refresh schedules of an instance
    List {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Makes a refresh schedule, or replaces one
    Set(ScheduleArgs),
    /// Forgets a refresh schedule
    Delete {
        #[command(flatten)]
        instance: InstanceArg,
        /// The schedule, as `sanntid schedule list` shows it
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ScheduleArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The schedule to replace [default: a new one]
    pub id: Option<String>,
    /// When, as cron; may be repeated
    #[arg(long, required = true, value_name = "LINE")]
    pub cron: Vec<String>,
    /// Where the clock hangs: an IANA or a Windows name
    #[arg(long, value_name = "NAME")]
    pub timezone: String,
    /// A data source to refresh; may be repeated [default: all]
    #[arg(long, value_name = "ID")]
    pub source: Vec<String>,
    /// Keeps it without following it
    #[arg(long)]
    pub inactive: bool,
}
