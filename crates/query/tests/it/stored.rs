//! What a store would hold, in plain maps, with a count of what is read of it.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Bound;

use sanntid_engine::{
    ActivityIdentity, Overlay, Owner, SourceActivity, StoredActivity, View, ViewError,
};
use sanntid_types::{ActivityId, Instant, ProfileId, Row, TableId};

/// Counts reads, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Profiles read by id.
    pub(crate) profiles: u64,
    /// Profiles read in a walk.
    pub(crate) walked: u64,
    pub(crate) keys: u64,
    /// Timelines opened.
    pub(crate) timelines: u64,
    /// Activities read of timelines.
    pub(crate) activities: u64,
    /// Rows of read-only tables.
    pub(crate) rows: u64,
}

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) profiles: BTreeMap<ProfileId, Row>,
    pub(crate) keys: BTreeMap<String, ProfileId>,
    pub(crate) redirects: BTreeMap<ProfileId, ProfileId>,
    pub(crate) overlays: BTreeMap<ProfileId, Overlay>,
    pub(crate) identities: BTreeMap<ActivityId, ActivityIdentity>,
    pub(crate) source: BTreeMap<ActivityId, SourceActivity>,
    pub(crate) realtime: BTreeMap<(Owner, Reverse<Instant>, ActivityId), StoredActivity>,
    /// Rows of read-only tables with their customer, by key.
    pub(crate) tables: BTreeMap<TableId, BTreeMap<String, (String, Row)>>,
    /// Whether tables are as older versions loaded them.
    pub(crate) is_unindexed: bool,
    /// The segments that were counted at loading, of any table.
    pub(crate) counted: Option<Vec<(String, u64)>>,
    reads: Cell<Reads>,
    /// After how many more reads the store fails.
    pub(crate) breaks_after: Cell<Option<u64>>,
}

impl Stored {
    /// What has been read since the last call.
    pub(crate) fn take_reads(&self) -> Reads {
        self.reads.take()
    }

    fn read<T>(&self, count: impl FnOnce(&mut Reads), found: T) -> Result<T, ViewError> {
        let mut reads = self.reads.get();
        count(&mut reads);
        self.reads.set(reads);
        match self.breaks_after.get() {
            Some(0) => Err(ViewError::Unavailable("gone".to_owned())),
            left => {
                self.breaks_after.set(left.map(|left| left - 1));
                Ok(found)
            }
        }
    }
}

impl View for Stored {
    fn profile(&self, _: TableId, id: &ProfileId) -> Result<Option<Row>, ViewError> {
        self.read(|reads| reads.profiles += 1, self.profiles.get(id).cloned())
    }
    fn profiles<'a>(
        &'a self,
        _: TableId,
        after: Option<&ProfileId>,
    ) -> Box<dyn Iterator<Item = Result<(ProfileId, Row), ViewError>> + 'a> {
        let start = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.clone()));
        let rows = self.profiles.range((start, Bound::Unbounded));
        Box::new(
            rows.map(|(id, row)| self.read(|reads| reads.walked += 1, (id.clone(), row.clone()))),
        )
    }
    fn resolve_key(
        &self,
        _: TableId,
        entity: &str,
        key: &str,
    ) -> Result<Option<ProfileId>, ViewError> {
        assert_eq!(entity, "Shop_Contacts");
        self.read(|reads| reads.keys += 1, self.keys.get(key).cloned())
    }
    fn redirect(&self, _: TableId, id: &ProfileId) -> Result<Option<ProfileId>, ViewError> {
        Ok(self.redirects.get(id).cloned())
    }
    fn former_ids(&self, _: TableId, id: &ProfileId) -> Result<Vec<ProfileId>, ViewError> {
        let formers = self.redirects.iter().filter(|(_, new)| *new == id);
        Ok(formers.map(|(old, _)| old.clone()).collect())
    }
    fn row(&self, table: TableId, key: &str) -> Result<Option<Row>, ViewError> {
        let found = self.tables.get(&table).and_then(|rows| rows.get(key));
        self.read(|reads| reads.rows += 1, found.map(|(_, row)| row.clone()))
    }
    fn rows_after<'a>(
        &'a self,
        table: TableId,
        after: Option<&str>,
    ) -> Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a> {
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.to_owned()));
        let rows = self.tables.get(&table).into_iter();
        let rows = rows.flat_map(move |rows| rows.range((start.clone(), Bound::Unbounded)));
        Box::new(
            rows.map(|(key, (_, row))| {
                self.read(|reads| reads.rows += 1, (key.clone(), row.clone()))
            }),
        )
    }
    fn rows_of_customer<'a>(
        &'a self,
        table: TableId,
        customer: &str,
    ) -> Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a> {
        assert!(!self.is_unindexed, "there is no index");
        let customer = customer.to_owned();
        let rows = self.tables.get(&table).into_iter().flatten();
        let rows = rows.filter(move |(_, (of, _))| *of == customer);
        Box::new(
            rows.map(|(key, (_, row))| {
                self.read(|reads| reads.rows += 1, (key.clone(), row.clone()))
            }),
        )
    }
    fn is_indexed_by_customer(&self, table: TableId) -> Result<bool, ViewError> {
        Ok(!self.is_unindexed && self.tables.contains_key(&table))
    }
    fn segments(&self, _: TableId) -> Result<Option<Vec<(String, u64)>>, ViewError> {
        Ok(self.counted.clone())
    }
    fn overlay(&self, id: &ProfileId) -> Result<Option<Overlay>, ViewError> {
        Ok(self.overlays.get(id).cloned())
    }
    fn identity(&self, id: &ActivityId) -> Result<Option<ActivityIdentity>, ViewError> {
        Ok(self.identities.get(id).cloned())
    }
    fn source_activity(
        &self,
        _: TableId,
        id: &ActivityId,
    ) -> Result<Option<SourceActivity>, ViewError> {
        Ok(self.source.get(id).cloned())
    }
    fn source_timeline<'a>(
        &'a self,
        _: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<SourceActivity, ViewError>> + 'a> {
        let opened = self.read(|reads| reads.timelines += 1, ());
        let mut found: Vec<_> = self
            .source
            .values()
            .filter(|source| source.profile.as_ref() == Some(profile) && source.time <= until)
            .cloned()
            .collect();
        found.sort_by_key(|source| (Reverse(source.time), source.id.clone()));
        let entries = found
            .into_iter()
            .map(|source| self.read(|reads| reads.activities += 1, source));
        Box::new(opened.err().map(Err).into_iter().chain(entries))
    }
    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Result<Option<StoredActivity>, ViewError> {
        let place = (owner.clone(), Reverse(time), id.clone());
        Ok(self.realtime.get(&place).cloned())
    }
    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Box<dyn Iterator<Item = Result<StoredActivity, ViewError>> + 'a> {
        let owner = owner.clone();
        Box::new(
            self.realtime
                .iter()
                .filter(move |((of, time, _), _)| *of == owner && time.0 <= until)
                .map(|(_, stored)| self.read(|reads| reads.activities += 1, stored.clone())),
        )
    }
}
