//! Owns the grammar of `sanntid customer …`. Must not do anything.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::InstanceArg;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  sanntid customer export --instance ID c1 --out c1.json
  sanntid customer erase --instance ID c1 --yes")]
pub(crate) enum CustomerCommand {
    /// Writes all that is kept of a customer as one JSON document
    Export(CustomerExportArgs),
    /// Erases what callers wrote about a customer, for good; what the source brought stays
    Erase {
        #[command(flatten)]
        instance: InstanceArg,
        /// The profile's id, a former one or one that has vanished
        profile: String,
        /// Confirms it; there is no way back
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CustomerExportArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The profile's id, a former one or one that has vanished
    pub profile: String,
    /// The file to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}
