//! Owns the command line's grammar and its help. Must not do anything.

mod access;
mod audit;
mod bench;
mod bulk;
mod clock;
mod customer;
mod limits;
mod schedule;
mod simulate;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::access::{KeyCommand, KeySetArgs, RoleCommand};
pub(crate) use self::audit::{AuditArgs, AuditOutcome};
pub(crate) use self::bench::{ApiArgs, BenchArgs, BenchCommand, SizeArgs};
pub(crate) use self::bulk::BulkArgs;
pub(crate) use self::clock::ClockCommand;
pub(crate) use self::customer::CustomerCommand;
pub(crate) use self::limits::LimitsCommand;
pub(crate) use self::schedule::{ScheduleArgs, ScheduleCommand};
pub(crate) use self::simulate::SimulateArgs;
use crate::config::Flags;

/// Real-time updates of customer profiles, beside a slow batch pipeline.
#[derive(Debug, Parser)]
#[command(name = "sanntid", version, propagate_version = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(subcommand)]
    pub command: Command,
}

/// Says which server to call, and how to print.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServerArgs {
    /// The server to call [env: SANNTID_URL] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// The key to call it with [env: SANNTID_KEY]
    #[arg(long, global = true, value_name = "KEY")]
    pub key: Option<String>,
    /// The PEM file of the authority that vouches for an https:// server [env: SANNTID_CA] [default: those that browsers trust]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Prints the server's JSON instead of tables
    #[arg(long, global = true)]
    pub json: bool,
}

const EXAMPLES: &str = "\
Examples:
  sanntid demo
      Shows everything with made-up customers; nothing is left behind.
  sanntid serve --data-dir /srv/sanntid
      Runs the server; the key is in /srv/sanntid/admin.key.
  export SANNTID_KEY=$(cat /srv/sanntid/admin.key)
  sanntid instance create Contoso
  sanntid snapshot push --instance ID --manifest snapshot.json
  sanntid patch --instance ID C00001 City=Bergen --for 2h
  sanntid get --instance ID C00001 --card";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs the server
    Serve(ServeArgs),
    /// Shows everything in a minute: a server with made-up customers and live writes
    Demo(DemoArgs),
    /// Creates, lists, renames and deletes instances
    #[command(subcommand)]
    Instance(InstanceCommand),
    /// Reads or replaces the activity configuration of an instance
    #[command(subcommand)]
    Activities(ActivitiesCommand),
    /// Reads or changes the real-time settings of an instance
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// Uploads snapshots
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Changes fields of a profile for a while
    Patch(PatchArgs),
    /// Adds an activity to a customer's timeline
    Activity(ActivityArgs),
    /// Sends many updates or activities from a file, a line each
    Bulk(BulkArgs),
    /// Reads entities, a customer's card or timeline
    Get(GetArgs),
    /// Writes the source of truth of an entity as CSV
    Export(ExportArgs),
    /// Writes all that is kept of a person, or erases what callers wrote
    #[command(subcommand)]
    Customer(CustomerCommand),
    /// Lists refresh jobs, or shows or cancels one
    Jobs(JobsArgs),
    /// Says when refreshes start by themselves
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Refreshes from data sources and waits for the end
    Refresh(RefreshArgs),
    /// Refreshes from what is loaded, as of another instant, and waits for the end
    Simulate(SimulateArgs),
    /// Makes, lists and deletes data sources
    #[command(subcommand)]
    Source(SourceCommand),
    /// Lists an instance's keys, makes one anew, enables and disables them
    #[command(subcommand)]
    Key(KeyCommand),
    /// Says who may do what in an instance
    #[command(subcommand)]
    Role(RoleCommand),
    /// Shows what an instance may use, or sets it
    #[command(subcommand)]
    Limits(LimitsCommand),
    /// Lists what was done and what was refused, newest first
    Audit(AuditArgs),
    /// Measures this program on this machine
    Bench(BenchArgs),
    /// Shows the server's clock, or confirms it after a jump
    #[command(subcommand)]
    Clock(ClockCommand),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every key of the configuration is described in docs/CONFIG.md. It can stand in the file, in the
environment (store.cache_bytes is SANNTID_STORE_CACHE_BYTES) and in --set; the latter wins.
The administrator's key comes from SANNTID_ADMIN_KEY, else from DIR/admin.key, which is made at the
first start.

Examples:
  sanntid serve --data-dir /srv/sanntid --listen 127.0.0.1:8080
  sanntid serve --config sanntid.toml --set log.level=debug")]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub config: Flags,
    /// Prints the effective configuration and ends
    #[arg(long)]
    pub print_config: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  sanntid demo
  sanntid demo --port 8080 --seconds 30")]
pub(crate) struct DemoArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Ends by itself after so many seconds, at the earliest when the story is told
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
}

impl DemoArgs {
    /// Where the demo listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

/// Names an instance.
#[derive(Clone, Debug, Args)]
pub(crate) struct InstanceArg {
    /// The instance's id, as `sanntid instance list` shows it
    #[arg(long, value_name = "ID")]
    pub instance: String,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  sanntid instance create Contoso --type sandbox
  sanntid instance list
  sanntid instance delete 8f0c5e9e-3f0e-4e0c-9d39-6a1f4d6f0c11 --yes")]
pub(crate) enum InstanceCommand {
    /// Creates an instance and prints its id
    Create {
        name: String,
        /// What it is for
        #[arg(long = "type", value_enum, default_value_t = TypeArg::Sandbox)]
        instance_type: TypeArg,
        /// The id to give it, a UUID
        #[arg(long)]
        id: Option<String>,
    },
    /// Lists all instances
    List,
    /// Describes one instance
    Get { id: String },
    /// Gives an instance another name
    Rename { id: String, name: String },
    /// Deletes an instance with everything in it
    Delete(EndArgs),
    /// Empties an instance; its name and configuration stay
    Reset(EndArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub(crate) enum TypeArg {
    Trial,
    Sandbox,
    Production,
    PitchDemo,
    Pov,
}

#[derive(Debug, Args)]
pub(crate) struct EndArgs {
    pub id: String,
    /// Does not ask
    #[arg(long)]
    pub yes: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ActivitiesCommand {
    /// Prints the configuration
    Get {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Replaces the configuration as a whole
    Set {
        #[command(flatten)]
        instance: InstanceArg,
        /// A JSON file; - is standard input
        file: String,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  sanntid settings get --instance ID
  sanntid settings set --instance ID refreshClears=never profileTtlDefault=8h asOfMarginSecs=5")]
pub(crate) enum SettingsCommand {
    /// Prints the settings
    Get {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Changes the given settings; the others stay
    Set {
        #[command(flatten)]
        instance: InstanceArg,
        #[arg(required = true, value_name = "KEY=VALUE")]
        pairs: Vec<String>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "\
The rows are those of the last refresh: real-time updates and activities are never among them.

Examples:
  sanntid export --instance ID Customer > customers.csv
  sanntid export --instance ID Customer --out customers.csv")]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The entity, as the snapshot names it, or UnifiedActivity
    pub entity: String,
    /// What kind of file to write
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub format: ExportFormat,
    /// The file to write [default: the standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum ExportFormat {
    Csv,
    Parquet,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Uploads the files of a manifest, commits, and waits for the refresh
    Push(PushArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Files are sent as they are, one after the other; what ends in .gz is sent as gzip.
What was interrupted goes on with the same command. The exit code is 1 when the refresh fails.

Examples:
  sanntid snapshot push --instance ID --manifest snapshot.json
  sanntid snapshot push --instance ID --manifest snapshot.json --files /exports --as-of now")]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The manifest, which names the files
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// The folder of the files [default: the manifest's]
    #[arg(long, value_name = "DIR")]
    pub files: Option<PathBuf>,
    /// When the source was read, `now` or RFC 3339 [default: the manifest's asOf]
    #[arg(long, value_name = "WHEN")]
    pub as_of: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
key=value sends a text, key:=value sends JSON: a number, true, null.

Examples:
  sanntid patch --instance ID C00001 City=Bergen
  sanntid patch --instance ID C00001 Income:=52000.50 Occupation:=null --for 2h --caller crm
  sanntid patch --instance ID C00001 --body '{\"City\": \"Bergen\"}'")]
pub(crate) struct PatchArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// The profile's id
    pub profile: String,
    #[command(flatten)]
    pub document: DocumentArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
key=value sends a text, key:=value sends JSON: a number, true, null.

Examples:
  sanntid activity --instance ID UnifiedActivity CustomerId=C00001 ActivityType=Call \\
      ActivityTime=2026-11-23T12:00:00Z Title='Asked about an order'
  sanntid activity --instance ID Ecommerce_OnlinePurchases --body @purchase.json")]
pub(crate) struct ActivityArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// UnifiedActivity, or a configured activity source
    pub entity: String,
    #[command(flatten)]
    pub document: DocumentArgs,
    /// Holds the activity until its customer is known, instead of refusing it
    #[arg(long)]
    pub hold: bool,
}

/// What to send, and for how long it holds.
#[derive(Debug, Args)]
pub(crate) struct DocumentArgs {
    /// Fields, as key=text or key:=json
    #[arg(value_name = "KEY=VALUE")]
    pub pairs: Vec<String>,
    /// The whole document: JSON, @FILE, or - for standard input
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// When it ends, RFC 3339
    #[arg(long, value_name = "TIME", conflicts_with = "lasting")]
    pub valid_until: Option<String>,
    /// How long it holds, such as 90s, 2h or 30d
    #[arg(long = "for", value_name = "SPAN", value_parser = humantime::parse_duration)]
    pub lasting: Option<std::time::Duration>,
    /// Who writes, kept with the change
    #[arg(long, value_name = "NAME")]
    pub caller: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sanntid get --instance ID Customer --filter \"City eq 'Bergen'\" --select CustomerId,City --top 20
  sanntid get --instance ID \"Customer('C00001')\" --explain
  sanntid get --instance ID C00001 --card
  sanntid get --instance ID C00001 --timeline --top 5
  sanntid get --instance ID UnifiedActivity --filter \"CustomerId eq 'C00001'\"")]
pub(crate) struct GetArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// An entity, one of its rows, or with --card and --timeline a profile's id
    pub path: String,
    /// Rows that match, as OData's $filter
    #[arg(long, conflicts_with_all = ["card", "timeline"])]
    pub filter: Option<String>,
    /// Attributes, with commas between
    #[arg(long, conflicts_with_all = ["card", "timeline"])]
    pub select: Option<String>,
    /// How to sort, such as "Income desc"
    #[arg(long, conflicts_with_all = ["card", "timeline"])]
    pub orderby: Option<String>,
    /// How many rows at most
    #[arg(long)]
    pub top: Option<usize>,
    /// Counts all rows that match
    #[arg(long, conflicts_with_all = ["card", "timeline"])]
    pub count: bool,
    /// The customer card: each field with where its value comes from
    #[arg(long, conflicts_with = "timeline")]
    pub card: bool,
    /// The customer's timeline, newest first
    #[arg(long)]
    pub timeline: bool,
    /// Tells for each real-time value what the source says and until when it holds
    #[arg(long, conflicts_with_all = ["card", "timeline"])]
    pub explain: bool,
    /// What to read
    #[arg(long, value_enum, default_value_t = ViewArg::Merged, conflicts_with_all = ["card", "timeline"])]
    pub view: ViewArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ViewArg {
    /// The source with live real-time values on top
    Merged,
    /// The source of truth alone
    Source,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// Shows this job with its stages, report and first rejected rows
    pub job: Option<String>,
    /// How many jobs at most
    #[arg(long, default_value_t = 20)]
    pub top: usize,
    /// Cancels the job; one that has ended stays as it is
    #[arg(long, requires = "job")]
    pub cancel: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The exit code is 1 when the refresh fails; nothing new to load is no failure.

Examples:
  sanntid refresh --instance ID
  sanntid refresh --instance ID --source 3f2504e0-4f89-41d3-9a0c-0305e82c3301 --force")]
pub(crate) struct RefreshArgs {
    #[command(flatten)]
    pub instance: InstanceArg,
    /// A data source, as `sanntid source list` shows it; may be repeated [default: all]
    #[arg(long, value_name = "ID")]
    pub source: Vec<String>,
    /// Loads also what has not changed
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
A data source is a folder of the server, or a prefix of a bucket, with a snapshot.json and its
files. The server's configuration says what may be read: actors.data_source_folders,
actors.data_source_buckets, and secrets.NAME for the keys of buckets.

Examples:
  sanntid source put --instance ID file:///srv/contoso --name nightly
  sanntid source list --instance ID
  sanntid source delete --instance ID 3f2504e0-4f89-41d3-9a0c-0305e82c3301")]
pub(crate) enum SourceCommand {
    /// Makes a data source, or replaces the one with the given id
    Put {
        #[command(flatten)]
        instance: InstanceArg,
        /// Where it lies, such as file:///srv/contoso, s3://bucket/prefix or az://container/prefix
        location: String,
        /// The secret of the server's configuration that a bucket is read with
        #[arg(long, value_name = "NAME")]
        credentials: Option<String>,
        /// What people call it
        #[arg(long)]
        name: String,
        /// Its id, a UUID [default: a new one]
        #[arg(long)]
        id: Option<String>,
    },
    /// Lists the data sources
    List {
        #[command(flatten)]
        instance: InstanceArg,
    },
    /// Deletes a data source; what it brought stays
    Delete {
        #[command(flatten)]
        instance: InstanceArg,
        id: String,
    },
}

#[cfg(test)]
mod tests;
