//! Owns the binary `sanntid`: configuration, wiring, the life of the server, the command line.
//!
//! Must not hold rules of the product: the crates below decide, this one starts and calls them.
//!
//! *Invariant:* `config` alone reads the environment, `clock` alone the clocks, `wiring` alone
//! joins the crates.

mod admin_key;
mod api;
mod bulk;
mod cli;
mod client;
mod clock;
mod commands;
mod config;
mod demo;
mod key_values;
mod logging;
mod metrics;
mod output;
mod push;
mod serve;
mod signals;
mod tls;
mod wiring;

pub use admin_key::FILE_NAME as ADMIN_KEY_FILE;
pub use api::{ArrivedPart, Instance, JobView, OpenSnapshot, TaskView};
pub use bulk::{Totals, send as send_lines};
pub use client::{Answer, Client, Refusal};
pub use clock::{JumpGuard, Reading, Stopwatch, SystemClock};
pub use commands::main;
pub use config::{Config, Environment, Flags, LogConfig, LogFormat, Secret};
pub use push::{Part, PartKind, PartPacking, Progress, Silent, push};
pub use serve::{run, run_until, run_with_clock};
pub use signals::Interrupt;
pub use tls::TlsConfig;
