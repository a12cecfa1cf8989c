//! How much an overlay or an activity counts towards what an instance may keep.
//! Owns the measure: of the same record it is always the same. Must not know a limit.

use sanntid_types::{ProfileId, UnifiedActivity, Usage};

use crate::overlay::Overlay;
use crate::record::{Owner, StoredActivity};

/// What a record counts besides its texts: instants, position, and what finds it.
const RECORD_BYTES: usize = 64;

impl Overlay {
    /// What the overrides of one profile count. Those of one field that lie over each other are one
    /// field.
    pub fn usage(&self, profile: &ProfileId) -> Usage {
        let mut usage = Usage::default();
        for (attribute, entries) in self.named_fields() {
            usage.overlay_fields += 1;
            for entry in entries {
                let caller = entry
                    .caller
                    .as_ref()
                    .map_or(0, |caller| caller.as_str().len());
                let texts = attribute.len() + entry.value.as_json().len() + caller;
                usage.stored_bytes += bytes(RECORD_BYTES + texts);
            }
        }
        if usage.overlay_fields > 0 {
            usage.stored_bytes += bytes(profile.as_str().len());
        }
        usage
    }
}

impl StoredActivity {
    /// What an activity counts, with what remembers its id.
    pub fn usage(&self) -> Usage {
        let owner = match &self.owner {
            Owner::Profile(id) => id.as_str().len(),
            Owner::Key { entity, key } => entity.len() + key.len(),
        };
        let id = self.activity.id.as_str().len();
        let caller = self
            .caller
            .as_ref()
            .map_or(0, |caller| caller.as_str().len());
        // Owner and id stand in both records.
        let texts = texts(&self.activity) + 2 * (owner + id) + caller;
        Usage {
            overlay_fields: 0,
            activities: 1,
            stored_bytes: bytes(2 * RECORD_BYTES + texts),
        }
    }
}

fn texts(activity: &UnifiedActivity) -> usize {
    let optional = [
        &activity.activity_type_display,
        &activity.activity_name,
        &activity.title,
        &activity.description,
        &activity.external_url,
        &activity.entity_name,
        &activity.actual_activity_id,
        &activity.semantic_data,
    ];
    let given = optional.into_iter().flatten();
    activity.activity_type.len() + given.map(String::len).sum::<usize>()
}

fn bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
