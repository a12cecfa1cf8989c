//! Owns the grammar of `sanntid clock …`. Must not do anything.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_help = "\
A clock that jumps by more than a minute stops writes and refreshes until it is back where it was
expected. Where the new time is the right one, say so: what has expired by then is gone.

Examples:
  sanntid clock show
  sanntid clock confirm")]
pub(crate) enum ClockCommand {
    /// Shows the server's time, and whether it trusts its clock
    Show,
    /// Confirms that the server's time is right, so that writes go on
    Confirm,
}
