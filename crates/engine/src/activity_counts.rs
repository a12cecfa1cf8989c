//! How many activities of which type a profile's timeline shows.
//! Owns the grouping; what is visible is the timeline's part.

use std::collections::BTreeMap;

use sanntid_types::{Error, Instant, ProfileId};

use crate::ports::View;
use crate::tenant::TenantState;
use crate::timeline::{TimelineQuery, timeline};

/// Counts the activities of one type that one profile's timeline shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityTypeCount {
    pub activity_type: String,
    pub activity_type_display: Option<String>,
    pub count: u64,
}

/// Counts the visible activities of `profile`, which exists, by type, then by display name.
pub fn activity_counts(
    view: &dyn View,
    tenant: &TenantState,
    clock: Instant,
    profile: &ProfileId,
) -> Result<Vec<ActivityTypeCount>, Error> {
    let mut counts = BTreeMap::new();
    for entry in timeline(view, tenant, clock, profile, TimelineQuery::default())? {
        let activity = entry?.activity;
        let kind = (activity.activity_type, activity.activity_type_display);
        *counts.entry(kind).or_insert(0) += 1;
    }
    let counted = counts
        .into_iter()
        .map(
            |((activity_type, activity_type_display), count)| ActivityTypeCount {
                activity_type,
                activity_type_display,
                count,
            },
        );
    Ok(counted.collect())
}
