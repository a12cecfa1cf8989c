//! Owns walks over all records of one kind, for those who count, copy or take in what there is.
//!
//! Must not decide what shows: the core does.

use sanntid_engine::{Overlay, StoredActivity};
use sanntid_types::{Instant, ProfileId, Row, TableId};

use crate::{
    codec,
    error::Result,
    key::{self, Key, base},
    kv::{Snapshot, Space},
    view::{TenantView, profile_id},
};

impl<S: Snapshot> TenantView<S> {
    /// The overlays of all profiles in ascending order of their id.
    pub fn overlays(&self) -> impl Iterator<Item = Result<(ProfileId, Overlay)>> + '_ {
        let all = Key::tenant(self.incarnation());
        let all = self.under(Space::Overlay, &all, |rest, value| {
            let (id, overlay) = (profile_id(rest)?, codec::read_expiring(value)?);
            let left = self.left_out().overlay(&id, overlay);
            Ok(left.map(|overlay| (id, overlay)))
        });
        all.filter_map(Result::transpose)
    }

    /// All real-time activities, in no meaningful order.
    pub fn realtime_activities(&self) -> impl Iterator<Item = Result<StoredActivity>> + '_ {
        let all = Key::tenant(self.incarnation()).byte(key::activities::ACTIVITY);
        let all = self.under(Space::Activities, &all, |_, value| {
            codec::read_expiring(value)
        });
        all.filter(|stored| self.shows(stored))
    }

    /// All redirects of a generation: old id, new id and since when.
    pub fn redirects(
        &self,
        table: TableId,
    ) -> impl Iterator<Item = Result<(ProfileId, (ProfileId, Instant))>> + '_ {
        let all = self.table(table, base::REDIRECT);
        self.under(Space::Base, &all, |rest, value| {
            Ok((profile_id(rest)?, codec::read_compact(value)?))
        })
    }

    /// The rows of an entity that is no profile, in the order of their keys; rows whose keys are
    /// longer than 512 bytes stand first, in no meaningful order.
    pub fn rows(&self, table: TableId) -> impl Iterator<Item = Result<Row>> + '_ {
        let all = self.table(table, base::ROW);
        self.under(Space::Base, &all, |_, value| codec::read_row(value))
    }

    /// Whether an entity that is no profile holds a row of this key.
    pub fn has_row(&self, table: TableId, row_key: &str) -> Result<bool> {
        let key = self.table(table, base::ROW).part(row_key);
        Ok(self.snapshot().get(Space::Base, key.as_bytes())?.is_some())
    }
}
