//! The settings of one instance (`GET/PUT …/manage/realtime`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Says whether a refresh ends the updates that its source has had the chance to see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RefreshClears {
    #[default]
    Always,
    /// An update ends at its `validUntil` alone.
    Never,
}

/// Holds what an administrator can set per instance (rules 6.3, 3.4, 4.6).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub refresh_clears: RefreshClears,
    /// Subtracted from `as_of` before comparing, for sources with a fast clock.
    pub as_of_margin: Duration,
    pub profile_ttl_default: Duration,
    pub activity_ttl_default: Duration,
    pub rows_rejected_max_percent: f64,
}

impl Settings {
    /// The longest a real-time update or activity may live: 30 days.
    pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
    /// How far over `TTL_MAX` a `validUntil` is cut instead of refused: 5 minutes.
    pub const TTL_TOLERANCE: Duration = Duration::from_secs(300);
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            refresh_clears: RefreshClears::Always,
            as_of_margin: Duration::ZERO,
            profile_ttl_default: Duration::from_secs(4 * 3600),
            activity_ttl_default: Self::TTL_MAX,
            rows_rejected_max_percent: 1.0,
        }
    }
}
