//! Owns the view over one tenant's records: how the core's port reads keys and values.
//!
//! Must not decide what shows: the core does.

use std::ops::Bound;

use bytes::Bytes;
use sanntid_engine::{
    ActivityIdentity, Overlay, Owner, SourceActivity, StoredActivity, View, ViewError,
};
use sanntid_types::{ActivityId, Incarnation, Instant, ProfileId, Row, TableId};

use crate::{
    codec,
    error::{Error, Result},
    key::{self, Key, base},
    kv::{Entries, Order, Snapshot, Space},
    table::{ActivityPlace, TimelineRow},
};

/// Reads one incarnation's records in a snapshot.
pub struct TenantView<S> {
    snapshot: S,
    incarnation: Incarnation,
}

impl<S: Snapshot> TenantView<S> {
    /// Looks at one incarnation.
    pub fn new(snapshot: S, incarnation: Incarnation) -> Self {
        Self {
            snapshot,
            incarnation,
        }
    }

    /// The overlays of all profiles in ascending order of their id.
    pub fn overlays(&self) -> impl Iterator<Item = Result<(ProfileId, Overlay)>> + '_ {
        let prefix = Key::tenant(self.incarnation);
        let skip = prefix.as_bytes().len();
        let entries = self
            .snapshot
            .prefix(Space::Overlay, prefix.as_bytes(), Order::Ascending);
        entries.map(move |entry| {
            let (key, value) = entry?;
            Ok((profile_id(key.get(skip..))?, codec::read_expiring(&value)?))
        })
    }

    /// All real-time activities, in no meaningful order.
    pub fn realtime_activities(&self) -> impl Iterator<Item = Result<StoredActivity>> + '_ {
        let prefix = Key::tenant(self.incarnation).byte(key::activities::ACTIVITY);
        let entries = self
            .snapshot
            .prefix(Space::Activities, prefix.as_bytes(), Order::Ascending);
        entries.map(|entry| codec::read_expiring(&entry?.1))
    }

    /// All redirects of a generation: old id, new id and since when.
    pub fn redirects(
        &self,
        table: TableId,
    ) -> impl Iterator<Item = Result<(ProfileId, (ProfileId, Instant))>> + '_ {
        let prefix = Key::table(self.incarnation, table).byte(base::REDIRECT);
        let skip = prefix.as_bytes().len();
        let entries = self
            .snapshot
            .prefix(Space::Base, prefix.as_bytes(), Order::Ascending);
        entries.map(move |entry| {
            let (key, value) = entry?;
            Ok((profile_id(key.get(skip..))?, codec::read_compact(&value)?))
        })
    }

    /// The rows of an entity that is no profile, in the order of their keys.
    pub fn rows(&self, table: TableId) -> impl Iterator<Item = Result<Row>> + '_ {
        let prefix = Key::table(self.incarnation, table).byte(base::ROW);
        let entries = self
            .snapshot
            .prefix(Space::Base, prefix.as_bytes(), Order::Ascending);
        entries.map(|entry| codec::read_row(&entry?.1))
    }

    /// Whether an entity that is no profile holds a row of this key.
    pub fn has_row(&self, table: TableId, row_key: &str) -> Result<bool> {
        let key = Key::table(self.incarnation, table)
            .byte(base::ROW)
            .part(row_key);
        Ok(self.snapshot.get(Space::Base, key.as_bytes())?.is_some())
    }

    fn base(&self, key: &Key) -> std::result::Result<Option<Bytes>, ViewError> {
        self.snapshot
            .get(Space::Base, key.as_bytes())
            .map_err(view_error)
    }

    fn scan<'a, T: 'a>(
        &'a self,
        space: Space,
        prefix: &Key,
        from: Bound<&[u8]>,
        read: impl Fn(&[u8], &[u8]) -> Result<T> + 'a,
    ) -> Box<dyn Iterator<Item = std::result::Result<T, ViewError>> + 'a> {
        let skip = prefix.as_bytes().len();
        let end = crate::kv::prefix_end(prefix.as_bytes());
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let entries: Entries<'a> = self.snapshot.range(space, from, upper, Order::Ascending);
        Box::new(entries.map(move |entry| {
            let (key, value) = entry.map_err(view_error)?;
            let rest = key.get(skip..).unwrap_or_default();
            read(rest, &value).map_err(view_error)
        }))
    }
}

impl<S: Snapshot> View for TenantView<S> {
    fn profile(
        &self,
        table: TableId,
        id: &ProfileId,
    ) -> std::result::Result<Option<Row>, ViewError> {
        let key = Key::table(self.incarnation, table).byte(base::PROFILE);
        let value = self.base(&key.bytes(id.as_str().as_bytes()))?;
        value
            .map(|value| codec::read_row(&value))
            .transpose()
            .map_err(view_error)
    }

    fn profiles<'a>(
        &'a self,
        table: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = std::result::Result<(ProfileId, Row), ViewError>> + 'a> {
        let prefix = Key::table(self.incarnation, table).byte(base::PROFILE);
        let last = after.map(|id| prefix.clone().bytes(id.as_str().as_bytes()));
        let from = match &last {
            Some(last) => Bound::Excluded(last.as_bytes()),
            None => Bound::Included(prefix.as_bytes()),
        };
        self.scan(Space::Base, &prefix, from, |rest, value| {
            Ok((profile_id(Some(rest))?, codec::read_row(value)?))
        })
    }

    fn resolve_key(
        &self,
        table: TableId,
        entity: &str,
        key: &str,
    ) -> std::result::Result<Option<ProfileId>, ViewError> {
        let ring = Key::table(self.incarnation, table).byte(base::KEY);
        let value = self.base(&ring.part(entity).part(key))?;
        value
            .map(|value| profile_id(Some(&value)))
            .transpose()
            .map_err(view_error)
    }

    fn redirect(
        &self,
        table: TableId,
        id: &ProfileId,
    ) -> std::result::Result<Option<ProfileId>, ViewError> {
        let key = Key::table(self.incarnation, table).byte(base::REDIRECT);
        let value = self.base(&key.bytes(id.as_str().as_bytes()))?;
        let read = |value: Bytes| codec::read_compact::<(ProfileId, Instant)>(&value);
        let found = value.map(read).transpose().map_err(view_error)?;
        Ok(found.map(|(new, _)| new))
    }

    fn former_ids(
        &self,
        table: TableId,
        id: &ProfileId,
    ) -> std::result::Result<Vec<ProfileId>, ViewError> {
        let prefix = Key::table(self.incarnation, table)
            .byte(base::FORMER)
            .id(id);
        let from = Bound::Included(prefix.as_bytes());
        self.scan(Space::Base, &prefix, from, |rest, _| profile_id(Some(rest)))
            .collect()
    }

    fn overlay(&self, id: &ProfileId) -> std::result::Result<Option<Overlay>, ViewError> {
        let key = Key::overlay(self.incarnation, id);
        let value = self
            .snapshot
            .get(Space::Overlay, key.as_bytes())
            .map_err(view_error)?;
        value
            .map(|value| codec::read_expiring(&value))
            .transpose()
            .map_err(view_error)
    }

    fn identity(
        &self,
        id: &ActivityId,
    ) -> std::result::Result<Option<ActivityIdentity>, ViewError> {
        let key = Key::identity(self.incarnation, id);
        let value = self
            .snapshot
            .get(Space::Activities, key.as_bytes())
            .map_err(view_error)?;
        value
            .map(|value| codec::read_expiring(&value))
            .transpose()
            .map_err(view_error)
    }

    fn source_activity(
        &self,
        table: TableId,
        id: &ActivityId,
    ) -> std::result::Result<Option<SourceActivity>, ViewError> {
        let key = Key::table(self.incarnation, table).byte(base::ACTIVITY);
        let Some(value) = self.base(&key.bytes(id.as_str().as_bytes()))? else {
            return Ok(None);
        };
        let place: ActivityPlace = codec::read_compact(&value).map_err(view_error)?;
        let row = match (&place.row, &place.profile) {
            (Some(row), _) => row.clone(),
            (None, Some(profile)) => {
                let key = Key::table(self.incarnation, table)
                    .byte(base::TIMELINE)
                    .id(profile);
                let key = key.newest_first(place.time).bytes(id.as_str().as_bytes());
                let value = self.base(&key)?.ok_or_else(|| lost(id))?;
                codec::read_compact::<TimelineRow>(&value)
                    .map_err(view_error)?
                    .row
            }
            (None, None) => return Err(lost(id)),
        };
        Ok(Some(SourceActivity {
            entity: place.entity,
            id: id.clone(),
            time: place.time,
            profile: place.profile,
            row: Row::from_bytes(&row).ok_or_else(|| lost(id))?,
        }))
    }

    fn source_timeline<'a>(
        &'a self,
        table: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Box<dyn Iterator<Item = std::result::Result<SourceActivity, ViewError>> + 'a> {
        let prefix = Key::table(self.incarnation, table)
            .byte(base::TIMELINE)
            .id(profile);
        let from = prefix.clone().newest_first(until);
        let profile = profile.clone();
        self.scan(
            Space::Base,
            &prefix,
            Bound::Included(from.as_bytes()),
            move |rest, value| {
                let (time, id) = rest.split_at_checked(8).ok_or_else(cut_off)?;
                let stored: TimelineRow = codec::read_compact(value)?;
                Ok(SourceActivity {
                    entity: stored.entity,
                    id: activity_id(id)?,
                    time: key::read_newest_first(time).ok_or_else(cut_off)?,
                    profile: Some(profile.clone()),
                    row: Row::from_bytes(&stored.row).ok_or_else(cut_off)?,
                })
            },
        )
    }

    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> std::result::Result<Option<StoredActivity>, ViewError> {
        let key = Key::activities(self.incarnation, owner).newest_first(time);
        let key = key.bytes(id.as_str().as_bytes());
        let value = self
            .snapshot
            .get(Space::Activities, key.as_bytes())
            .map_err(view_error)?;
        value
            .map(|value| codec::read_expiring(&value))
            .transpose()
            .map_err(view_error)
    }

    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = std::result::Result<StoredActivity, ViewError>> + 'a> {
        let prefix = Key::activities(self.incarnation, owner);
        let from = prefix.clone().newest_first(until);
        self.scan(
            Space::Activities,
            &prefix,
            Bound::Included(from.as_bytes()),
            |_, value| codec::read_expiring(value),
        )
    }
}

/// Says to the core why stored state can't be read.
pub(crate) fn view_error(error: Error) -> ViewError {
    match error {
        Error::Corrupt { detail } => ViewError::Corrupt(detail),
        other => ViewError::Unavailable(other.to_string()),
    }
}

fn profile_id(bytes: Option<&[u8]>) -> Result<ProfileId> {
    let text = bytes
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default();
    ProfileId::parse(text).map_err(|error| codec::corrupt(&error.message))
}

fn activity_id(bytes: &[u8]) -> Result<ActivityId> {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    ActivityId::parse(text).map_err(|error| codec::corrupt(&error.message))
}

fn cut_off() -> Error {
    codec::corrupt("a timeline's entry is cut off")
}

fn lost(id: &ActivityId) -> ViewError {
    ViewError::Corrupt(format!("the row of the activity {id} is lost"))
}
