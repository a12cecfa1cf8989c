//! What the core decides to store, and what it finds stored. Owns the shapes, not their bytes.

use sanntid_types::{
    ActivityId, ActivityState, CallerName, EntityName, Instant, Position, ProfileId, Row,
    UnifiedActivity,
};
use serde::{Deserialize, Serialize};

use crate::overlay::Overlay;

/// Names whose activity it is. Resolved at reading, so that an activity follows its customer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Owner {
    /// Given by `CustomerId`; follows redirects.
    Profile(ProfileId),
    /// Given by a source row's foreign key; re-resolves through the key ring (rules 6.6).
    Key {
        /// `{dataSourceName}_{entityName}` of the alternate key.
        entity: String,
        key: String,
    },
}

/// Remembers an activity id: what tells a repeat from a conflict (rules 4.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityIdentity {
    /// Hash of the normalized document.
    pub content: [u8; 32],
    pub state: ActivityState,
    pub expires_at: Instant,
    pub owner: Owner,
    pub time: Instant,
}

/// Holds a real-time activity as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredActivity {
    pub activity: UnifiedActivity,
    pub owner: Owner,
    /// The configured source entity of a source-format activity; `None` for the unified format.
    pub source_entity: Option<EntityName>,
    pub state: ActivityState,
    pub accepted_at: Instant,
    pub expires_at: Instant,
    pub position: Position,
    pub caller: Option<CallerName>,
}

/// Holds an activity of the source's timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceActivity {
    pub id: ActivityId,
    pub time: Instant,
    /// The profile whose timeline it stands in; `None` while its key matches none.
    pub profile: Option<ProfileId>,
    pub content: SourceContent,
}

/// Says what the source's timeline holds of an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceContent {
    /// A row of the source, not yet projected.
    Row { entity: EntityName, row: Row },
    /// A real-time activity that a simulation took in, in the form in which it was accepted.
    Absorbed {
        /// As [`StoredActivity::source_entity`].
        entity: Option<EntityName>,
        activity: Box<UnifiedActivity>,
    },
}

impl SourceActivity {
    /// Takes a real-time activity as if the source had brought it for `profile` (rules 6.9).
    pub fn absorbed(stored: StoredActivity, profile: ProfileId) -> Self {
        Self {
            id: stored.activity.id.clone(),
            time: stored.activity.time,
            profile: Some(profile),
            content: SourceContent::Absorbed {
                entity: stored.source_entity,
                activity: Box::new(stored.activity),
            },
        }
    }
}

/// Says one thing to store. Records of one batch are stored together or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// Replaces the overrides kept under exactly this profile id.
    Overlay {
        profile: ProfileId,
        overlay: Overlay,
    },
    /// Adds an activity and remembers its id.
    Activity {
        activity: Box<StoredActivity>,
        identity: ActivityIdentity,
    },
    /// Advances the instance's write counter and the floor of `accepted_at`.
    Head {
        position: Position,
        accepted_at: Instant,
    },
}
