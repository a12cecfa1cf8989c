//! Owns the grammar of `sanntid limits …`. Must not do anything.

use clap::Subcommand;

use super::InstanceArg;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  sanntid limits show --instance ID
  sanntid limits set --instance ID requestsPerSecond=500 activities=1000000
  sanntid limits set --instance ID requestsPerSecond=default storedBytes=0")]
pub(crate) enum LimitsCommand {
    /// Shows what an instance may use, and what it keeps
    Show {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Changes some limits of an instance; for the server's operator alone
    Set {
        #[command(flatten)]
        instance: InstanceArg,
        /// A limit and how much: a number, 0 for no limit, or default for that of the server
        #[arg(required = true, value_name = "NAME=NUMBER")]
        limits: Vec<String>,
    },
}
