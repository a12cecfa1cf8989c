//! Owns the grammar of `sanntid bench`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Says what is common to all measurements.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Each measurement starts servers of this same program, in folders of their own, and ends them.
Figures depend on the machine: compare what stands in one report. docs/BENCH.md says how they come
about.

Examples:
  sanntid bench refresh --profiles 1000000 --activities 2000000 --dir /srv/bench
  sanntid bench restart --profiles 1000000 --activities 2000000 --dir /srv/bench
  sanntid bench switch --sizes 10000,1000000 --json > switch.json")]
pub(crate) struct BenchArgs {
    /// Sets a key of the measured servers' configuration, as in `http.workers=4`; repeatable
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Where data set and servers lie and stay; else in a folder that is removed at the end
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    #[command(subcommand)]
    pub command: BenchCommand,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Loads a made-up snapshot: rows per second, memory, and the store's own pace
    Refresh(SizeArgs),
    /// How long a write waits while a generation gives way to the next
    Switch(SwitchArgs),
    /// How long a server takes to answer again after it ended
    Restart {
        #[command(flatten)]
        size: SizeArgs,
        #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
        rounds: u32,
        /// Patches before each end, so that there is something to recover
        #[arg(long, default_value_t = 20_000)]
        patches: u64,
    },
    /// What callers feel of a refresh that runs meanwhile
    During(DuringArgs),
    /// What callers of one instance feel of another at full load
    Fairness(FairnessArgs),
    /// What goes through the front door, beside a bare server and other programs
    Api(ApiArgs),
    /// Serves the least that answers the same requests
    #[command(hide = true)]
    BareServer {
        #[arg(long)]
        workers: usize,
        #[arg(long)]
        read_bytes: usize,
        #[arg(long)]
        activity_bytes: usize,
    },
}

/// Says how large the made-up snapshot is.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct SizeArgs {
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub profiles: u64,
    #[arg(long, default_value_t = 2_000_000)]
    pub activities: u64,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct SwitchArgs {
    /// Profiles, one server for each; a tenth as many fields are cleared at each switch
    #[arg(long, value_delimiter = ',', default_values_t = [10_000, 1_000_000],
          value_parser = clap::value_parser!(u64).range(1..))]
    pub sizes: Vec<u64>,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// Patches a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Connections that write, one measurement for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8],
          value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DuringArgs {
    #[command(flatten)]
    pub size: SizeArgs,
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Patches a second, and as many reads
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Connections that write, and as many that read
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub connections: u32,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct FairnessArgs {
    /// Profiles of each of the two instances
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub profiles: u64,
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Patches a second of the quiet instance, and as many reads
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rate: u32,
    /// Connections of the loud instance
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub connections: u32,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "\
examples/bench/run starts the other programs with durable settings and calls this.

Example:
  sanntid bench api --workload patch-skewed --workload read-skewed --redis 127.0.0.1:6379")]
pub(crate) struct ApiArgs {
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub profiles: u64,
    /// Instances of the workload with many of them
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub tenants: u64,
    /// Connections, one measurement for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64],
          value_parser = clap::value_parser!(u32).range(1..=4_096))]
    pub connections: Vec<u32>,
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub rounds: u32,
    /// How long each measurement lasts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Which workload; repeatable [default: all]
    #[arg(long, value_name = "NAME", value_parser = sanntid_bench::WORKLOADS)]
    pub workload: Vec<String>,
    /// Threads that serve, here and in the bare server
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub workers: u32,
    /// A Redis to compare with
    #[arg(long, value_name = "ADDRESS")]
    pub redis: Option<SocketAddr>,
    /// A PostgreSQL to compare with, as psql takes it; needs psql and pgbench
    #[arg(long, value_name = "URL")]
    pub postgres: Option<String>,
    /// A Restate with the object of examples/bench to compare with; its ingress
    #[arg(long, value_name = "ADDRESS")]
    pub restate: Option<SocketAddr>,
}
