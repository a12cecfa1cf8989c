//! Measures the server so that outsiders can do it again: `sanntid bench`.
//!
//! Owns the data set, the load, the peers it is compared with, and what is reported.
//! Must not measure a server in its own process, nor print; must not be used by what it measures.
//!
//! *Invariant:* the same options give the same data and the same requests.
//! *Invariant:* what is compared is measured in the same run, in turns.

mod api;
mod bare;
mod child;
mod contend;
mod data;
mod during;
mod error;
mod fairness;
mod http;
mod load;
mod loaded;
mod peers;
mod process;
mod refresh;
mod report;
mod restart;
mod site;
mod source;
mod store;
mod switch;
mod throughput;
mod timer;
mod turns;

use std::path::PathBuf;

use sanntid_types::Clock;

pub use bare::{BareOptions, bare_server};
pub use during::{DuringOptions, during};
pub use error::Error;
pub use fairness::{FairnessOptions, fairness};
pub use refresh::{RefreshOptions, refresh};
pub use report::{Report, Table};
pub use restart::{RestartOptions, restart};
pub use switch::{SwitchOptions, switch};
pub use throughput::{ApiOptions, WORKLOADS, api_load};
pub use timer::Timer;

/// What every measurement needs.
pub struct Bench<'a> {
    /// The program that can serve; this one.
    pub program: PathBuf,
    /// Keys of the configuration that the measured servers get, as `key=value`.
    pub server_settings: Vec<String>,
    pub timer: Timer,
    pub clock: &'a dyn Clock,
    pub narrator: &'a dyn Narrator,
}

/// Tells people how far it is.
pub trait Narrator: Sync {
    /// Something begins that has so many steps, where that is known.
    fn begin(&self, what: &str, steps: Option<u64>);
    /// So many steps of it are done in all.
    fn at(&self, steps: u64, remark: &str);
    /// It has ended.
    fn end(&self, remark: &str);
    /// Whether the user asked to stop.
    fn is_stopped(&self) -> bool;
}

impl Bench<'_> {
    /// Ends a measurement that the user does not want any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.narrator.is_stopped() {
            return Err(Error::Interrupted);
        }
        Ok(())
    }
}
