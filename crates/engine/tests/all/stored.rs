//! What a store holds for one instance, in plain maps. Tables of past generations stay.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use sanntid_engine::{
    ActivityIdentity, Overlay, Owner, SourceActivity, StoredActivity, TenantState, View, ViewError,
};
use sanntid_types::{ActivityId, Instant, ProfileId, Row, TableId};

type Answer<T> = Result<T, ViewError>;
type Answers<'a, T> = Box<dyn Iterator<Item = Answer<T>> + 'a>;

#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) rows: BTreeMap<(TableId, ProfileId), Row>,
    pub(crate) keys: BTreeMap<(TableId, String, String), ProfileId>,
    pub(crate) redirects: BTreeMap<TableId, BTreeMap<ProfileId, (ProfileId, Instant)>>,
    pub(crate) source: BTreeMap<(TableId, ActivityId), SourceActivity>,
    pub(crate) overlays: BTreeMap<ProfileId, Overlay>,
    pub(crate) identities: BTreeMap<ActivityId, ActivityIdentity>,
    pub(crate) realtime: BTreeMap<(Owner, Reverse<Instant>, ActivityId), StoredActivity>,
}

impl Stored {
    /// Removes what is final for good.
    pub(crate) fn reclaim(&mut self, tenant: &TenantState, now: Instant) {
        for overlay in self.overlays.values_mut() {
            overlay.compact(tenant, now);
        }
        self.overlays.retain(|_, overlay| !overlay.is_empty());
        self.identities.retain(|_, known| known.expires_at > now);
        self.realtime.retain(|_, stored| stored.expires_at > now);
    }

    /// Writes everything that real-time calls stored as bytes would be, and reads it back.
    pub(crate) fn restart(&mut self) {
        for overlay in self.overlays.values_mut() {
            *overlay = read_back(overlay);
        }
        for known in self.identities.values_mut() {
            *known = read_back(known);
        }
        for stored in self.realtime.values_mut() {
            *stored = read_back(stored);
        }
    }
}

pub(crate) fn read_back<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let bytes = serde_json::to_vec(value).expect("writes");
    serde_json::from_slice(&bytes).expect("reads")
}

impl View for Stored {
    fn profile(&self, table: TableId, id: &ProfileId) -> Answer<Option<Row>> {
        Ok(self.rows.get(&(table, id.clone())).cloned())
    }

    fn profiles<'a>(
        &'a self,
        table: TableId,
        after: Option<&ProfileId>,
    ) -> Answers<'a, (ProfileId, Row)> {
        let after = after.cloned();
        let rows = self.rows.iter().filter(move |((of, id), _)| {
            *of == table && after.as_ref().is_none_or(|after| id > after)
        });
        Box::new(rows.map(|((_, id), row)| Ok((id.clone(), row.clone()))))
    }

    fn resolve_key(&self, table: TableId, entity: &str, key: &str) -> Answer<Option<ProfileId>> {
        let place = (table, entity.to_owned(), key.to_owned());
        Ok(self.keys.get(&place).cloned())
    }

    fn redirect(&self, table: TableId, id: &ProfileId) -> Answer<Option<ProfileId>> {
        let redirects = self.redirects.get(&table);
        let moved = redirects.and_then(|redirects| redirects.get(id));
        Ok(moved.map(|(new, _)| new.clone()))
    }

    fn former_ids(&self, table: TableId, id: &ProfileId) -> Answer<Vec<ProfileId>> {
        let redirects = self.redirects.get(&table).into_iter().flatten();
        let formers = redirects.filter(|(_, (new, _))| new == id);
        Ok(formers.map(|(old, _)| old.clone()).collect())
    }

    fn overlay(&self, id: &ProfileId) -> Answer<Option<Overlay>> {
        Ok(self.overlays.get(id).cloned())
    }

    fn identity(&self, id: &ActivityId) -> Answer<Option<ActivityIdentity>> {
        Ok(self.identities.get(id).cloned())
    }

    fn source_activity(&self, table: TableId, id: &ActivityId) -> Answer<Option<SourceActivity>> {
        Ok(self.source.get(&(table, id.clone())).cloned())
    }

    fn source_timeline<'a>(
        &'a self,
        table: TableId,
        profile: &ProfileId,
        until: Instant,
    ) -> Answers<'a, SourceActivity> {
        let of_table = self.source.iter().filter(|((of, _), _)| *of == table);
        let mut found: Vec<_> = of_table
            .map(|(_, source)| source)
            .filter(|source| source.profile.as_ref() == Some(profile) && source.time <= until)
            .collect();
        found.sort_by_key(|source| (Reverse(source.time), &source.id));
        Box::new(found.into_iter().cloned().map(Ok))
    }

    fn realtime_activity(
        &self,
        owner: &Owner,
        time: Instant,
        id: &ActivityId,
    ) -> Answer<Option<StoredActivity>> {
        let place = (owner.clone(), Reverse(time), id.clone());
        Ok(self.realtime.get(&place).cloned())
    }

    fn realtime_timeline<'a>(
        &'a self,
        owner: &Owner,
        until: Instant,
    ) -> Answers<'a, StoredActivity> {
        let owner = owner.clone();
        let found = self.realtime.iter();
        let found = found.filter(move |((of, time, _), _)| *of == owner && time.0 <= until);
        Box::new(found.map(|(_, stored)| Ok(stored.clone())))
    }
}
