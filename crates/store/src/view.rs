//! Owns the view over one tenant's records: how the core's port reads keys and values.
//!
//! Must not decide what shows: the core does.

use std::ops::Bound;

use sanntid_engine::{
    ActivityIdentity, Overlay, Owner, SourceActivity, SourceContent, StoredActivity, TenantState,
    View, ViewError,
};
use sanntid_types::{ActivityId, Incarnation, Instant, ProfileId, Row, TableId};

use crate::{
    absorbed, codec,
    erased::LeftOut,
    error::{Error, Result},
    key::{self, Key, base},
    kv::{Order, Snapshot, Space, prefix_end},
    row_place,
    table::{ActivityPlace, TimelineRow},
};

type Viewed<T> = std::result::Result<T, ViewError>;

/// Reads one incarnation's records in a snapshot.
pub struct TenantView<S> {
    snapshot: S,
    incarnation: Incarnation,
    /// A table that is known to hold no redirect.
    unmoved: Option<TableId>,
    left_out: LeftOut,
}

impl<S: Snapshot> TenantView<S> {
    /// Looks at all records of one incarnation, also at those that are being erased.
    pub fn new(snapshot: S, incarnation: Incarnation) -> Self {
        Self {
            snapshot,
            incarnation,
            unmoved: None,
            left_out: LeftOut::default(),
        }
    }

    /// Looks at what there is of a tenant.
    pub fn of(snapshot: S, tenant: &TenantState) -> Self {
        Self {
            left_out: LeftOut::of(tenant),
            ..Self::new(snapshot, tenant.incarnation)
        }
    }

    /// Spares the search for former ids in a table that [`Self::has_redirects`] denied any.
    #[must_use]
    pub fn with_unmoved(mut self, table: Option<TableId>) -> Self {
        self.unmoved = table;
        self
    }

    /// Whether anybody moved in a table. A table that is loaded does not change.
    pub fn has_redirects(&self, table: TableId) -> Result<bool> {
        Ok(self.redirects(table).next().transpose()?.is_some())
    }

    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    pub(crate) fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// What it looks into.
    pub fn snapshot(&self) -> &S {
        &self.snapshot
    }

    /// A row without what a simulation put over it, where that is erased.
    fn restored(&self, table: TableId, id: &ProfileId, row: Row) -> Viewed<Row> {
        if !self.left_out.takes_values(table, id) {
            return Ok(row);
        }
        Ok(self.original(table, id)?.unwrap_or(row))
    }

    pub(crate) fn shows(&self, stored: &Result<StoredActivity>) -> bool {
        let shows = |stored: &StoredActivity| self.left_out.shows(stored);
        self.left_out.is_empty() || stored.as_ref().map_or(true, shows)
    }

    pub(crate) fn table(&self, table: TableId, kind: u8) -> Key {
        Key::table(self.incarnation, table).byte(kind)
    }

    pub(crate) fn get<T>(
        &self,
        space: Space,
        key: &Key,
        read: impl FnOnce(&[u8]) -> Result<T>,
    ) -> Viewed<Option<T>> {
        let value = self.snapshot.get(space, key.as_bytes());
        let found = value.and_then(|value| value.map(|value| read(&value)).transpose());
        found.map_err(view_error)
    }

    /// Reads all entries under a prefix: `read` takes what stands behind it in the key, and the
    /// value.
    pub(crate) fn under<'a, T: 'a>(
        &'a self,
        space: Space,
        prefix: &Key,
        read: impl Fn(&[u8], &[u8]) -> Result<T> + 'a,
    ) -> Box<dyn Iterator<Item = Result<T>> + 'a> {
        self.under_from(space, prefix, Bound::Included(prefix), read)
    }

    /// As `under`, from a key on that goes on from the prefix.
    fn under_from<'a, T: 'a>(
        &'a self,
        space: Space,
        prefix: &Key,
        from: Bound<&Key>,
        read: impl Fn(&[u8], &[u8]) -> Result<T> + 'a,
    ) -> Box<dyn Iterator<Item = Result<T>> + 'a> {
        let skip = prefix.as_bytes().len();
        let end = prefix_end(prefix.as_bytes());
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let lower = from.map(Key::as_bytes);
        let entries = self.snapshot.range(space, lower, upper, Order::Ascending);
        Box::new(entries.map(move |entry| {
            let (key, value) = entry?;
            read(key.get(skip..).unwrap_or_default(), &value)
        }))
    }
}

impl<S: Snapshot> View for TenantView<S> {
    fn profile(&self, table: TableId, id: &ProfileId) -> Viewed<Option<Row>> {
        let key = self.table(table, base::PROFILE);
        let key = key.bytes(id.as_str().as_bytes());
        let row = self.get(Space::Base, &key, codec::read_row)?;
        match row {
            Some(row) => self.restored(table, id, row).map(Some),
            None => Ok(None),
        }
    }

    fn profiles<'a>(
        &'a self,
        table: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Viewed<(ProfileId, Row)>> + 'a> {
        let all = self.table(table, base::PROFILE);
        let last = after.map(|id| all.clone().bytes(id.as_str().as_bytes()));
        let from = last.as_ref().map_or(Bound::Included(&all), Bound::Excluded);
        let profiles = self.under_from(Space::Base, &all, from, |rest, value| {
            Ok((profile_id(rest)?, codec::read_row(value)?))
        });
        Box::new(profiles.map(move |entry| {
            let (id, row) = entry.map_err(view_error)?;
            let row = self.restored(table, &id, row)?;
            Ok((id, row))
        }))
    }

    fn resolve_key(&self, table: TableId, entity: &str, key: &str) -> Viewed<Option<ProfileId>> {
        let key = self.table(table, base::KEY).part(entity).part(key);
        self.get(Space::Base, &key, codec::read_compact)
    }

    fn redirect(&self, table: TableId, id: &ProfileId) -> Viewed<Option<ProfileId>> {
        let key = self.table(table, base::REDIRECT);
        let key = key.bytes(id.as_str().as_bytes());
        let found = self.get(
            Space::Base,
            &key,
            codec::read_compact::<(ProfileId, Instant)>,
        )?;
        Ok(found.map(|(new, _)| new))
    }

    fn former_ids(&self, table: TableId, id: &ProfileId) -> Viewed<Vec<ProfileId>> {
        if self.unmoved == Some(table) {
            return Ok(Vec::new());
        }
        let all = self.table(table, base::FORMER).id(id);
        let ids = self.under(Space::Base, &all, |rest, _| profile_id(rest));
        ids.map(|id| id.map_err(view_error)).collect()
    }

    fn row(&self, table: TableId, key: &str) -> Viewed<Option<Row>> {
        let key = self.table(table, base::ROW).part(key);
        self.get(Space::Base, &key, codec::read_row)
    }

    fn rows_after<'a>(
        &'a self,
        table: TableId,
        after: Option<&str>,
    ) -> Box<dyn Iterator<Item = Viewed<(String, Row)>> + 'a> {
        let all = self.table(table, base::ROW);
        let last = after.map(|place| all.clone().bytes(&row_place::read(place)));
        let from = last.as_ref().map_or(Bound::Included(&all), Bound::Excluded);
        let rows = self.under_from(Space::Base, &all, from, |rest, value| {
            Ok((row_place::text(rest)?, codec::read_row(value)?))
        });
        Box::new(rows.map(|entry| entry.map_err(view_error)))
    }

    fn rows_of_customer<'a>(
        &'a self,
        table: TableId,
        customer: &str,
    ) -> Box<dyn Iterator<Item = Viewed<(String, Row)>> + 'a> {
        let all = self.table(table, base::OF_CUSTOMER).part(customer);
        let rows = self.table(table, base::ROW);
        let places = self.under(Space::Base, &all, |rest, _| {
            Ok((row_place::text(rest)?, rows.clone().bytes(rest)))
        });
        let places: Vec<_> = places.collect();
        Box::new(places.into_iter().map(move |entry| {
            let (place, key) = entry.map_err(view_error)?;
            let row = self.get(Space::Base, &key, codec::read_row)?;
            let row = row.ok_or_else(|| ViewError::Corrupt("a customer's row is lost".to_owned()));
            Ok((place, row?))
        }))
    }

    fn is_indexed_by_customer(&self, table: TableId) -> Viewed<bool> {
        let all = self.table(table, base::OF_CUSTOMER);
        let first = self.under(Space::Base, &all, |_, _| Ok(())).next();
        Ok(first.transpose().map_err(view_error)?.is_some())
    }

    fn segments(&self, table: TableId) -> Viewed<Option<Vec<(String, u64)>>> {
        let all = self.table(table, base::SEGMENT);
        let read = self.under(Space::Base, &all, |_, value| codec::read_compact(value));
        let mut segments: Vec<(String, u64)> = read.collect::<Result<_>>().map_err(view_error)?;
        // Long names stand by their hash.
        segments.sort_unstable();
        Ok(Some(segments).filter(|segments| !segments.is_empty()))
    }

    fn overlay(&self, id: &ProfileId) -> Viewed<Option<Overlay>> {
        let key = Key::overlay(self.incarnation, id);
        let found = self.get(Space::Overlay, &key, codec::read_expiring)?;
        if self.left_out.is_empty() {
            return Ok(found);
        }
        Ok(found.and_then(|overlay| self.left_out.overlay(id, overlay)))
    }

    fn identity(&self, id: &ActivityId) -> Viewed<Option<ActivityIdentity>> {
        let key = Key::identity(self.incarnation, id);
        let found: Option<ActivityIdentity> =
            self.get(Space::Activities, &key, codec::read_expiring)?;
        match found {
            Some(found) if self.left_out.concerns(&found) => {
                let activity = self.realtime_activity(&found.owner, found.time, id)?;
                Ok(activity.map(|_| found))
            }
            found => Ok(found),
        }
    }

    fn source_activity(&self, table: TableId, id: &ActivityId) -> Viewed<Option<SourceActivity>> {
        let key = self.table(table, base::ACTIVITY);
        let key = key.bytes(id.as_str().as_bytes());
        let place = self.get(Space::Base, &key, |value| {
            if codec::is_absorbed(value) {
                return Ok(Err(absorbed::read_place(value)?));
            }
            codec::read_compact::<ActivityPlace>(value).map(Ok)
        })?;
        let place = match place {
            None => return Ok(None),
            Some(Err(place)) => {
                let found = self.absorbed_at(table, id, place)?;
                return Ok(Some(found).filter(|found| self.left_out.shows_source(table, found)));
            }
            Some(Ok(place)) => place,
        };
        let row = match (place.row, &place.profile) {
            (Some(row), _) => Some(row),
            (None, Some(profile)) => {
                let key = self.table(table, base::TIMELINE).id(profile);
                let key = key.newest_first(place.time).bytes(id.as_str().as_bytes());
                let entry = self.get(Space::Base, &key, codec::read_compact::<TimelineRow>)?;
                entry.map(|entry| entry.row)
            }
            (None, None) => None,
        };
        let row = row
            .and_then(|row| Row::from_bytes(&row))
            .ok_or_else(|| ViewError::Corrupt(format!("the row of the activity {id} is lost")))?;
        Ok(Some(SourceActivity {
            id: id.clone(),
            time: place.time,
            profile: place.profile,
            content: SourceContent::Row {
                entity: place.entity,
                row,
            },
        }))
    }

    fn source_timeline<'a>(
        &'a self,
        table: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Viewed<SourceActivity>> + 'a> {
        let all = self.table(table, base::TIMELINE).id(profile);
        let from = all.clone().newest_first(until);
        let profile = profile.clone();
        let read = move |rest: &[u8], value: &[u8]| {
            if codec::is_absorbed(value) {
                return absorbed::read_entry(profile.clone(), rest, value);
            }
            let (time, id) = rest.split_at_checked(8).ok_or_else(cut_off)?;
            let stored: TimelineRow = codec::read_compact(value)?;
            Ok(SourceActivity {
                id: activity_id(id)?,
                time: key::read_newest_first(time).ok_or_else(cut_off)?,
                profile: Some(profile.clone()),
                content: SourceContent::Row {
                    entity: stored.entity,
                    row: Row::from_bytes(&stored.row).ok_or_else(cut_off)?,
                },
            })
        };
        let entries = self.under_from(Space::Base, &all, Bound::Included(&from), read);
        let shows = move |found: &SourceActivity| self.left_out.shows_source(table, found);
        let entries = entries.filter(move |entry| entry.as_ref().map_or(true, shows));
        Box::new(entries.map(|entry| entry.map_err(view_error)))
    }

    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Viewed<Option<StoredActivity>> {
        let key = Key::activity(self.incarnation, owner, time, id);
        let found = self.get(Space::Activities, &key, codec::read_expiring)?;
        Ok(found.filter(|stored| self.left_out.shows(stored)))
    }

    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Viewed<StoredActivity>> + 'a> {
        let all = Key::activities(self.incarnation, owner);
        let from = all.clone().newest_first(until);
        let from = Bound::Included(&from);
        let entries = self.under_from(Space::Activities, &all, from, |_, value| {
            codec::read_expiring(value)
        });
        let entries = entries.filter(|stored| self.shows(stored));
        Box::new(entries.map(|entry| entry.map_err(view_error)))
    }
}

/// Says to the core why stored state can't be read.
pub(crate) fn view_error(error: Error) -> ViewError {
    match error {
        Error::Corrupt { detail } => ViewError::Corrupt(detail),
        other => ViewError::Unavailable(other.to_string()),
    }
}

pub(crate) fn profile_id(bytes: &[u8]) -> Result<ProfileId> {
    ProfileId::parse(text(bytes)?).map_err(|error| codec::corrupt(&error.message))
}

pub(crate) fn activity_id(bytes: &[u8]) -> Result<ActivityId> {
    ActivityId::parse(text(bytes)?).map_err(|error| codec::corrupt(&error.message))
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| codec::corrupt("an id in a key is no text"))
}

pub(crate) fn cut_off() -> Error {
    codec::corrupt("a timeline's entry is cut off")
}
