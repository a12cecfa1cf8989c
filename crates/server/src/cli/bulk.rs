//! Owns the grammar of `sanntid bulk`. Must not do anything.

use clap::Args;

use crate::cli::InstanceArg;

#[derive(Debug, Args)]
#[command(after_help = "\
A line of the file is {\"id\": \"C00001\", \"body\": {…}} for Customer, whose profiles it updates, and
{\"body\": {…}} for any other entity, to which it adds activities; validUntil, caller and, for
activities, onUnknownCustomer may stand beside the body. Files that end in .gz and .zst are unpacked.
Lines that were refused are printed with their numbers; the exit code is 1 when there are any.
The same file can be sent again: activities that are stored already are not stored twice.

Examples:
  sanntid bulk --instance ID updates.ndjson
  sanntid bulk --instance ID --entity UnifiedActivity activities.ndjson.gz
  export-visits | sanntid bulk --instance ID --entity UnifiedActivity -")]
pub(crate) struct BulkArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// Customer, UnifiedActivity, or a configured activity source
    #[arg(long, default_value = "Customer")]
    pub entity: String,
    /// The file with a write on each line; - is standard input
    pub file: String,
}
