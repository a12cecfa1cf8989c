//! Owns activities that a simulation took into a source's timeline: their form, beside that of rows.
//!
//! Must not decide which are taken in. They stand under the keys of the source's own and go with
//! their table.

use sanntid_engine::{SourceActivity, SourceContent, ViewError};
use sanntid_types::{ActivityId, EntityName, Instant, ProfileId, Row, TableId, UnifiedActivity};
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    error::Result,
    key::{self, Key, base},
    kv::{Snapshot, Space},
    table::Loader,
    view::{TenantView, activity_id, cut_off, profile_id},
};

/// Where the absorbed activity of an id stands.
#[derive(Serialize, Deserialize)]
pub(crate) struct Place {
    time: Instant,
    profile: ProfileId,
}

/// An absorbed activity in the timeline of its profile.
#[derive(Serialize, Deserialize)]
struct Entry {
    entity: Option<EntityName>,
    activity: UnifiedActivity,
}

impl Loader<'_> {
    /// Keeps the row that the source brought of a profile whose values are absorbed.
    pub fn original(&mut self, table: TableId, id: &ProfileId, row: &Row) -> Result<()> {
        let key = self.key(table, base::ORIGINAL);
        self.put(key.bytes(id.as_str().as_bytes()), &codec::row(row))
    }

    /// Adds an absorbed activity to the timeline of its profile; one that is in no timeline, or a
    /// row, is not added.
    pub fn absorbed(&mut self, table: TableId, source: &SourceActivity) -> Result<()> {
        let SourceContent::Absorbed { entity, activity } = &source.content else {
            return Ok(());
        };
        let Some(profile) = source.profile.clone() else {
            return Ok(());
        };
        let id = source.id.as_str().as_bytes();
        let key = self.key(table, base::TIMELINE).id(&profile);
        let key = key.newest_first(source.time).bytes(id);
        let entry = Entry {
            entity: entity.clone(),
            activity: (**activity).clone(),
        };
        let place = Place {
            time: source.time,
            profile,
        };
        self.put(key, &codec::absorbed(&entry))?;
        let key = self.key(table, base::ACTIVITY).bytes(id);
        self.put(key, &codec::absorbed(&place))
    }
}

impl<S: Snapshot> TenantView<S> {
    /// The row that the source brought, of a profile whose values were absorbed.
    pub fn original(
        &self,
        table: TableId,
        id: &ProfileId,
    ) -> std::result::Result<Option<Row>, ViewError> {
        let key = self.table(table, base::ORIGINAL);
        let key = key.bytes(id.as_str().as_bytes());
        self.get(Space::Base, &key, codec::read_row)
    }

    /// The absorbed activities of a timeline, in the order of their profiles.
    pub fn absorbed(&self, table: TableId) -> impl Iterator<Item = Result<SourceActivity>> + '_ {
        let all = self.table(table, base::TIMELINE);
        let entries = self.under(Space::Base, &all, |rest, value| {
            if !codec::is_absorbed(value) {
                return Ok(None);
            }
            let end = rest
                .iter()
                .position(|byte| *byte == 0)
                .ok_or_else(cut_off)?;
            let (profile, rest) = rest.split_at_checked(end).ok_or_else(cut_off)?;
            let rest = rest.get(1..).ok_or_else(cut_off)?;
            read_entry(profile_id(profile)?, rest, value).map(Some)
        });
        let all = entries.filter_map(Result::transpose);
        all.filter(move |found| {
            let shows = |found: &SourceActivity| self.left_out().shows_source(table, found);
            found.as_ref().map_or(true, shows)
        })
    }

    /// The absorbed activity of an id, whose place was found.
    pub(crate) fn absorbed_at(
        &self,
        table: TableId,
        id: &ActivityId,
        place: Place,
    ) -> std::result::Result<SourceActivity, ViewError> {
        let key = self.table(table, base::TIMELINE).id(&place.profile);
        let rest = Key::empty().newest_first(place.time);
        let rest = rest.bytes(id.as_str().as_bytes());
        let key = key.bytes(rest.as_bytes());
        let found = self.get(Space::Base, &key, |value| {
            read_entry(place.profile.clone(), rest.as_bytes(), value)
        });
        found?.ok_or_else(|| ViewError::Corrupt(format!("the activity {id} is lost")))
    }
}

/// Reads where an absorbed activity stands.
pub(crate) fn read_place(value: &[u8]) -> Result<Place> {
    codec::read_absorbed(value)
}

/// Reads an absorbed activity; `rest` is its key behind the profile.
pub(crate) fn read_entry(profile: ProfileId, rest: &[u8], value: &[u8]) -> Result<SourceActivity> {
    let (time, id) = rest.split_at_checked(8).ok_or_else(cut_off)?;
    let entry: Entry = codec::read_absorbed(value)?;
    Ok(SourceActivity {
        id: activity_id(id)?,
        time: key::read_newest_first(time).ok_or_else(cut_off)?,
        profile: Some(profile),
        content: SourceContent::Absorbed {
            entity: entry.entity,
            activity: Box::new(entry.activity),
        },
    })
}
