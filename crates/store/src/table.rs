//! Owns writing the tables of a generation: rows, the key ring, redirects, the timeline.
//!
//! Must not read: who loads decides what is a duplicate. Nothing refers to a table before the
//! switch that names it, so its records are written past the journal, sorted.

use std::ops::Bound;

use bytes::Bytes;
use sanntid_types::{ActivityId, EntityName, Incarnation, Instant, ProfileId, Row, TableId};
use serde::{Deserialize, Serialize};

use crate::{
    codec,
    error::{Error, Result},
    key::{Key, base},
    kv::{Health, Kv, Order, Snapshot, Space, prefix_end},
    sorter::Sorter,
};

/// Records between two questions whether to go on.
const RECORDS_TOGETHER: usize = 1_000_000;

/// A source's activity in the timeline of its profile.
#[derive(Serialize, Deserialize)]
pub(crate) struct TimelineRow {
    pub(crate) entity: EntityName,
    pub(crate) row: Bytes,
}

/// Where the activity of an id stands.
#[derive(Serialize, Deserialize)]
pub(crate) struct ActivityPlace {
    pub(crate) entity: EntityName,
    pub(crate) time: Instant,
    pub(crate) profile: Option<ProfileId>,
    /// The row itself, where no timeline holds it.
    pub(crate) row: Option<Bytes>,
}

/// One record of a table, to be copied; where it stands in the table and what it holds.
pub struct TableRecord {
    key: Bytes,
    value: Bytes,
}

impl TableRecord {
    /// Whether it stands for an activity, in the timeline of a profile or of nobody yet.
    pub fn is_activity(&self) -> bool {
        self.key.first() == Some(&base::ACTIVITY)
    }

    /// Whether it is an activity's place in the timeline of a profile.
    pub fn is_in_timeline(&self) -> bool {
        self.key.first() == Some(&base::TIMELINE)
    }
}

/// Reads all records of a table in their order, whatever they are.
pub fn records(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    table: TableId,
) -> impl Iterator<Item = Result<TableRecord>> + '_ {
    records_after(snapshot, incarnation, table, None)
}

/// As [`records`], those behind one of them. Whoever writes beside reading many must read so, from
/// a snapshot anew every few: as long as one is held, what is written stays in memory.
pub fn records_after<'s>(
    snapshot: &'s dyn Snapshot,
    incarnation: Incarnation,
    table: TableId,
    after: Option<&TableRecord>,
) -> impl Iterator<Item = Result<TableRecord>> + use<'s> {
    let prefix = Key::table(incarnation, table);
    let skip = prefix.as_bytes().len();
    let end = prefix_end(prefix.as_bytes());
    let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let from = after.map(|record| prefix.clone().bytes(&record.key));
    let lower = from
        .as_ref()
        .map_or(Bound::Included(&prefix), Bound::Excluded);
    let lower = lower.map(Key::as_bytes);
    let entries = snapshot.range(Space::Base, lower, upper, Order::Ascending);
    entries.map(move |entry| {
        let (key, value) = entry?;
        Ok(TableRecord {
            key: key.slice(skip.min(key.len())..),
            value,
        })
    })
}

/// Loads records of one instance's tables: they are sorted first, and written then.
///
/// Under each key one record is written, the last that was added. What was settled must not be added
/// again: the store would have to merge it.
pub struct Loader<'a> {
    kv: &'a dyn Kv,
    incarnation: Incarnation,
    sorter: Sorter,
}

impl<'a> Loader<'a> {
    /// Begins to load.
    pub fn new(kv: &'a dyn Kv, incarnation: Incarnation) -> Self {
        Self {
            kv,
            incarnation,
            sorter: Sorter::new(),
        }
    }

    /// Adds a profile.
    pub fn profile(&mut self, table: TableId, id: &ProfileId, row: &Row) -> Result<()> {
        let key = self.key(table, base::PROFILE).bytes(id.as_str().as_bytes());
        self.put(key, &codec::row(row))
    }

    /// Adds a key of a profile to the key ring.
    pub fn key_of(
        &mut self,
        table: TableId,
        entity: &str,
        key: &str,
        id: &ProfileId,
    ) -> Result<()> {
        let ring = self.key(table, base::KEY).part(entity).part(key);
        self.put(ring, &codec::compact(id))
    }

    /// Adds a redirect.
    pub fn redirect(
        &mut self,
        table: TableId,
        old: &ProfileId,
        new: &ProfileId,
        since: Instant,
    ) -> Result<()> {
        let key = self
            .key(table, base::REDIRECT)
            .bytes(old.as_str().as_bytes());
        self.put(key, &codec::compact(&(new, since)))?;
        let former = self
            .key(table, base::FORMER)
            .id(new)
            .bytes(old.as_str().as_bytes());
        self.put(former, &[])
    }

    /// Adds a row of an entity that is no profile.
    pub fn row(&mut self, table: TableId, row_key: &str, row: &Row) -> Result<()> {
        let key = self.key(table, base::ROW).part(row_key);
        self.put(key, &codec::row(row))
    }

    /// Lets a row of an entity that is no profile be found by its `CustomerId`.
    pub fn row_of_customer(&mut self, table: TableId, customer: &str, row_key: &str) -> Result<()> {
        let key = self.key(table, base::OF_CUSTOMER);
        self.put(key.part(customer).part(row_key), &[])
    }

    /// Says how many members a segment has, beside the rows of its memberships.
    pub fn segment(&mut self, table: TableId, name: &str, members: u64) -> Result<()> {
        let key = self.key(table, base::SEGMENT).part(name);
        self.put(key, &codec::compact(&(name, members)))
    }

    /// Adds an activity to the timeline of its profile, or aside where its key matches none.
    pub fn activity(
        &mut self,
        table: TableId,
        entity: &EntityName,
        id: &ActivityId,
        time: Instant,
        profile: Option<&ProfileId>,
        row: &Row,
    ) -> Result<()> {
        let bytes = Bytes::copy_from_slice(row.as_bytes());
        let place = ActivityPlace {
            entity: entity.clone(),
            time,
            profile: profile.cloned(),
            row: profile.is_none().then(|| bytes.clone()),
        };
        let key = self
            .key(table, base::ACTIVITY)
            .bytes(id.as_str().as_bytes());
        self.put(key, &codec::compact(&place))?;
        let Some(profile) = profile else {
            return Ok(());
        };
        let key = self
            .key(table, base::TIMELINE)
            .id(profile)
            .newest_first(time);
        let entry = TimelineRow {
            entity: entity.clone(),
            row: bytes,
        };
        self.put(key.bytes(id.as_str().as_bytes()), &codec::compact(&entry))
    }

    /// Adds a record of another table, of this life or another, as it is.
    pub fn copy(&mut self, table: TableId, record: &TableRecord) -> Result<()> {
        let key = Key::table(self.incarnation, table).bytes(&record.key);
        self.put(key, &record.value)
    }

    /// Whether a profile was added and is not settled yet.
    ///
    /// # Errors
    /// Fails when what was added can't be read back.
    pub fn has_profile(&mut self, table: TableId, id: &ProfileId) -> Result<bool> {
        let key = self.key(table, base::PROFILE).bytes(id.as_str().as_bytes());
        Ok(self.sorter.get(key.as_bytes())?.is_some())
    }

    /// The profile to which a key was added that is not settled yet.
    ///
    /// # Errors
    /// As for [`Loader::has_profile`].
    pub fn holder(&mut self, table: TableId, entity: &str, key: &str) -> Result<Option<ProfileId>> {
        let key = self.key(table, base::KEY).part(entity).part(key);
        let found = self.sorter.get(key.as_bytes())?;
        found.map(|value| codec::read_compact(&value)).transpose()
    }

    /// Whether a row of an entity that is no profile was added and is not settled yet.
    ///
    /// # Errors
    /// As for [`Loader::has_profile`].
    pub fn has_row(&mut self, table: TableId, row_key: &str) -> Result<bool> {
        let key = self.key(table, base::ROW).part(row_key);
        Ok(self.sorter.get(key.as_bytes())?.is_some())
    }

    /// Whether an activity was added and is not settled yet.
    ///
    /// # Errors
    /// As for [`Loader::has_profile`].
    pub fn has_activity(&mut self, table: TableId, id: &ActivityId) -> Result<bool> {
        let key = self
            .key(table, base::ACTIVITY)
            .bytes(id.as_str().as_bytes());
        Ok(self.sorter.get(key.as_bytes())?.is_some())
    }

    /// Writes what was added: durable, and visible to later snapshots. `go_on` is asked now and then
    /// whether to.
    ///
    /// # Errors
    /// As for [`Kv::ingest`], and what `go_on` gives; the tables are of no use then.
    pub fn settle<E: From<Error>>(
        &mut self,
        mut go_on: impl FnMut() -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if self.sorter.is_empty() {
            return Ok(());
        }
        let mut sorted = self.sorter.take().peekable();
        while sorted.peek().is_some() {
            go_on()?;
            let mut some = sorted.by_ref().take(RECORDS_TOGETHER);
            self.kv.ingest(Space::Base, &mut some)?;
        }
        Ok(())
    }

    /// As [`Loader::settle`], whatever happens meanwhile.
    ///
    /// # Errors
    /// As for [`Kv::ingest`].
    pub fn finish(mut self) -> Result<()> {
        self.settle(|| Ok(()))
    }

    pub(crate) fn key(&self, table: TableId, kind: u8) -> Key {
        Key::table(self.incarnation, table).byte(kind)
    }

    pub(crate) fn put(&mut self, key: Key, value: &[u8]) -> Result<()> {
        if self.sorter.is_full() {
            if let Health::DiskFull { free_bytes } = self.kv.health() {
                let needed_bytes = free_bytes.saturating_add(1);
                return Err(Error::DiskFull {
                    free_bytes,
                    needed_bytes,
                });
            }
            self.sorter.spill(|| self.kv.scratch())?;
        }
        self.sorter.add(key.as_bytes(), value);
        Ok(())
    }
}
