//! Refresh schedules: when a refresh starts by itself (rules 6.10).
//! Owns their shape. Must not know when one is due.

use serde::{Deserialize, Serialize};

use crate::{Instant, RefreshRequest, ScheduleId};

/// Says when a refresh starts by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub id: ScheduleId,
    pub is_active: bool,
    /// An IANA or a Windows name.
    pub timezone_id: String,
    /// Five fields each, evaluated in the time zone.
    pub cron_schedules: Vec<String>,
    /// What to refresh.
    pub request: RefreshRequest,
}

/// A schedule with how far it was followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRecord {
    pub schedule: Schedule,
    /// What was due up to here has run, or was not to be run.
    pub followed_through: Instant,
}

/// Names a time zone that a schedule can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Timezone {
    /// As it stands in `timezoneId`.
    pub id: String,
    /// As people read it.
    pub name: String,
}
