//! Simulations: refreshes that need no data source (rules 6.9), and what a dry run of one says.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorCode, Instant, JobReport, ProfileId};

/// Longest time for which a simulation can be stretched: one hour.
pub const SIMULATION_SECS_MAX: u32 = 3_600;

/// Says what a simulated refresh does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// The instant up to which the source would have been read.
    pub as_of: Instant,
    /// Whether the new generation takes in what was accepted up to `as_of`.
    pub absorb: bool,
    /// Seconds from its start that the job takes at least; at most [`SIMULATION_SECS_MAX`].
    pub duration_secs: u32,
}

/// Asks for a simulation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SimulationRequest {
    /// Without one, the moment at which it is queued.
    pub as_of: Option<Instant>,
    pub absorb: bool,
    pub duration_secs: u32,
}

impl SimulationRequest {
    /// Refuses a duration that is too long.
    pub fn check(&self) -> Result<(), Error> {
        if self.duration_secs <= SIMULATION_SECS_MAX {
            return Ok(());
        }
        let text = format!("a simulation takes at most {SIMULATION_SECS_MAX} seconds");
        Err(Error::new(ErrorCode::InvalidArgument, text).with_target("durationSeconds"))
    }
}

/// Says what a simulation would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DryRun {
    /// The report that the switch would give.
    pub report: JobReport,
    /// The first of the fields that it would clear, in the order of their profiles.
    pub clears: Vec<ClearedField>,
}

/// Names a field whose real-time value a switch clears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearedField {
    /// The profile that it belongs to now.
    pub profile_id: ProfileId,
    pub field: String,
}
