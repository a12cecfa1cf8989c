//! Owns what a view leaves out because it is being erased, and the removal of these records.
//!
//! Must not decide what is erased: the core does. Removal is done in steps, each within a budget and
//! in its caller's batch, so that no erasure makes a batch or a wait that grows with it.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use sanntid_engine::{
    ActivityIdentity, Erased, Erasure, Overlay, Owner, SourceActivity, SourceContent,
    StoredActivity, TenantState,
};
use sanntid_types::{Incarnation, Instant, ProfileId, RowRejection, TableId};

use crate::{
    absorbed, catalog, codec,
    error::Result,
    key::{Key, base, meta},
    kv::{Order, Snapshot, Space, WriteBatch, prefix_end},
};

/// What a view leaves out; mostly nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeftOut(Option<Arc<Vec<Erasure>>>);

impl LeftOut {
    pub(crate) fn of(tenant: &TenantState) -> Self {
        Self((!tenant.erasing.is_empty()).then(|| Arc::clone(&tenant.erasing)))
    }

    fn erasures(&self) -> impl Iterator<Item = &Erasure> {
        self.0.iter().flat_map(|erasures| erasures.iter())
    }

    /// Whether there is anything to leave out.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn shows(&self, stored: &StoredActivity) -> bool {
        let mut erasures = self.erasures();
        !erasures.any(|erasure| erasure.takes(&stored.owner, stored.position))
    }

    pub(crate) fn shows_source(&self, table: TableId, found: &SourceActivity) -> bool {
        match (&found.content, &found.profile) {
            (SourceContent::Absorbed { .. }, Some(profile)) => {
                let mut erasures = self.erasures();
                !erasures.any(|erasure| erasure.takes_absorbed(table, profile))
            }
            _ => true,
        }
    }

    pub(crate) fn takes_values(&self, table: TableId, profile: &ProfileId) -> bool {
        let mut erasures = self.erasures();
        erasures.any(|erasure| erasure.takes_values(table, profile))
    }

    /// Whether an identity may be one of an erased activity, whose record then tells.
    pub(crate) fn concerns(&self, identity: &ActivityIdentity) -> bool {
        let mut erasures = self.erasures();
        erasures.any(|erasure| erasure.person.owners.contains(&identity.owner))
    }

    /// What is left of an overlay.
    pub(crate) fn overlay(&self, id: &ProfileId, mut overlay: Overlay) -> Option<Overlay> {
        for erasure in self.erasures() {
            if erasure.person.ids().any(|its| its == id) {
                overlay.erase_through(erasure.through);
            }
        }
        (!overlay.is_empty()).then_some(overlay)
    }
}

/// How much one step of an erasure looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EraseBudget {
    pub records: usize,
    /// Of values.
    pub bytes: usize,
}

/// Removes the records of one erasure, step by step, and counts what had not ended.
///
/// A step that was not committed is repeated from an earlier copy. A new one starts from the front
/// and does the same.
#[derive(Clone, Debug)]
pub struct Eraser {
    erasure: Erasure,
    /// Those behind it are still to be looked at.
    stages: Vec<Stage>,
    last: Option<Bytes>,
    erased: Erased,
}

/// One range of keys in which there may be something of the person.
#[derive(Clone, Debug)]
enum Stage {
    Overlay(ProfileId),
    Activities(Owner),
    Absorbed(TableId),
    /// Of a profile with values that a simulation put there.
    Values(TableId),
    Rejections,
}

/// What is needed of an instance besides its records.
struct Around<'a> {
    tenant: &'a TenantState,
    now: Instant,
}

impl Eraser {
    /// Begins with an erasure, which was found to take so many fields: a later update leaves none of
    /// them in its record.
    pub fn new(erasure: Erasure, overlay_fields: u64) -> Self {
        let person = &erasure.person;
        // The last one first.
        let mut stages = vec![Stage::Rejections];
        stages.extend(person.owners.iter().cloned().map(Stage::Activities));
        stages.extend(erasure.timeline.map(Stage::Absorbed));
        stages.extend(erasure.customers.map(Stage::Values));
        stages.extend(person.ids().cloned().map(Stage::Overlay));
        Self {
            stages,
            last: None,
            erased: Erased {
                profile: person.profile.clone(),
                overlay_fields,
                activities: 0,
                rejections: 0,
            },
            erasure,
        }
    }

    /// Which erasure it is.
    pub fn erasure(&self) -> &Erasure {
        &self.erasure
    }

    /// What was removed so far.
    pub fn erased(&self) -> &Erased {
        &self.erased
    }

    /// Adds the removal of the next records to a batch; `true` once nothing is left.
    ///
    /// Nothing of the erasure's tenant may be written between the snapshot and the commit.
    pub fn step(
        &mut self,
        snapshot: &dyn Snapshot,
        batch: &mut WriteBatch,
        (tenant, now): (&TenantState, Instant),
        budget: EraseBudget,
    ) -> Result<bool> {
        let around = Around { tenant, now };
        let (mut records, mut bytes) = (budget.records, budget.bytes);
        while let Some(stage) = self.stages.last().cloned() {
            let prefix = self.prefix(tenant.incarnation, &stage);
            let (space, end) = (stage.space(), prefix_end(prefix.as_bytes()));
            let last = self.last.take();
            let lower = last
                .as_deref()
                .map_or(Bound::Included(prefix.as_bytes()), Bound::Excluded);
            let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let is_one = matches!(stage, Stage::Overlay(_) | Stage::Values(_));
            for entry in snapshot.range(space, lower, upper, Order::Ascending) {
                let (key, value) = entry?;
                if is_one && key != prefix.as_bytes() {
                    break;
                }
                self.remove(snapshot, batch, &around, (&stage, &key, &value))?;
                records = records.saturating_sub(1);
                bytes = bytes.saturating_sub(value.len());
                if records == 0 || bytes == 0 {
                    self.last = Some(key);
                    return Ok(false);
                }
            }
            self.stages.pop();
        }
        Ok(true)
    }

    fn prefix(&self, life: Incarnation, stage: &Stage) -> Key {
        match stage {
            Stage::Overlay(id) => Key::overlay(life, id),
            Stage::Activities(owner) => Key::activities(life, owner),
            Stage::Absorbed(table) => {
                let timeline = Key::table(life, *table).byte(base::TIMELINE);
                timeline.id(&self.erasure.person.profile)
            }
            Stage::Values(table) => {
                let originals = Key::table(life, *table).byte(base::ORIGINAL);
                originals.bytes(self.erasure.person.profile.as_str().as_bytes())
            }
            Stage::Rejections => Key::of_tenant(meta::REJECTION, life),
        }
    }

    /// Removes one record, where it is the person's.
    fn remove(
        &mut self,
        snapshot: &dyn Snapshot,
        batch: &mut WriteBatch,
        around: &Around<'_>,
        (stage, key, value): (&Stage, &Bytes, &Bytes),
    ) -> Result<()> {
        match stage {
            Stage::Overlay(id) => self.remove_overlay(batch, around, id, value),
            Stage::Activities(_) => self.remove_activity(snapshot, batch, around, (key, value)),
            Stage::Absorbed(table) => {
                self.remove_absorbed(snapshot, batch, around, (*table, key, value))
            }
            Stage::Values(table) => {
                self.restore_values(snapshot, batch, around, (*table, key, value))
            }
            Stage::Rejections => {
                let row: RowRejection = codec::read_json(value)?;
                if self.erasure.person.has_rejected(&row) {
                    batch.delete(Space::Meta, key.clone());
                    self.erased.rejections += 1;
                }
                Ok(())
            }
        }
    }

    fn remove_overlay(
        &mut self,
        batch: &mut WriteBatch,
        around: &Around<'_>,
        id: &ProfileId,
        value: &[u8],
    ) -> Result<()> {
        let before: Overlay = codec::read_expiring(value)?;
        let mut overlay = before.clone();
        overlay.erase_through(self.erasure.through);
        if overlay != before {
            let key = Key::overlay(around.tenant.incarnation, id);
            catalog::put_overlay(batch, key, &overlay);
        }
        Ok(())
    }

    fn remove_activity(
        &mut self,
        snapshot: &dyn Snapshot,
        batch: &mut WriteBatch,
        around: &Around<'_>,
        (key, value): (&Bytes, &[u8]),
    ) -> Result<()> {
        let stored: StoredActivity = codec::read_expiring(value)?;
        if !self.erasure.takes(&stored.owner, stored.position) {
            return Ok(());
        }
        batch.delete(Space::Activities, key.clone());
        self.erased.activities += u64::from(stored.expires_at > around.now);
        // The id is free from the erasure on: by now it may name another activity.
        let life = around.tenant.incarnation;
        let identity_key = Key::identity(life, &stored.activity.id).into_bytes();
        let identity = identity(snapshot, &identity_key)?;
        let is_its_own = |identity: &ActivityIdentity| {
            identity.owner == stored.owner && identity.time == stored.activity.time
        };
        if identity.as_ref().is_some_and(is_its_own) {
            batch.delete(Space::Activities, identity_key);
        }
        Ok(())
    }

    /// Removes what a simulation took in; where there is the original yet, that one is counted.
    fn remove_absorbed(
        &mut self,
        snapshot: &dyn Snapshot,
        batch: &mut WriteBatch,
        around: &Around<'_>,
        (table, key, value): (TableId, &Bytes, &[u8]),
    ) -> Result<()> {
        // Another timeline is the current one: the removal of this one is under way.
        if !codec::is_absorbed(value) || around.tenant.timeline != Some(table) {
            return Ok(());
        }
        let life = around.tenant.incarnation;
        let person = &self.erasure.person;
        let timeline = Key::table(life, table).byte(base::TIMELINE);
        let skip = timeline.id(&person.profile).as_bytes().len();
        let rest = key.get(skip..).unwrap_or_default();
        let entry = absorbed::read_entry(person.profile.clone(), rest, value)?;
        batch.delete(Space::Base, key.clone());
        let place = Key::table(life, table).byte(base::ACTIVITY);
        let place = place.bytes(entry.id.as_str().as_bytes());
        batch.delete(Space::Base, place.into_bytes());
        let original = identity(snapshot, Key::identity(life, &entry.id).as_bytes())?;
        let has_ended = original.is_none_or(|original| original.expires_at <= around.now);
        self.erased.activities += u64::from(has_ended);
        Ok(())
    }

    /// Puts the source's own row in the place of the one with what a simulation took in.
    fn restore_values(
        &mut self,
        snapshot: &dyn Snapshot,
        batch: &mut WriteBatch,
        around: &Around<'_>,
        (table, key, original): (TableId, &Bytes, &Bytes),
    ) -> Result<()> {
        let customers = around.tenant.customer();
        if customers.is_none_or(|customers| customers.table != table) {
            return Ok(());
        }
        let profiles = Key::table(around.tenant.incarnation, table).byte(base::PROFILE);
        let profile = profiles.bytes(self.erasure.person.profile.as_str().as_bytes());
        let profile = profile.into_bytes();
        if let Some(row) = snapshot.get(Space::Base, &profile)? {
            let (row, original) = (codec::read_row(&row)?, codec::read_row(original)?);
            let pairs = row.iter().zip(original.iter());
            let changed = pairs.filter(|(row, original)| row != original).count();
            self.erased.overlay_fields += changed as u64;
        }
        batch.put(Space::Base, profile, original.clone());
        batch.delete(Space::Base, key.clone());
        Ok(())
    }
}

fn identity(snapshot: &dyn Snapshot, key: &[u8]) -> Result<Option<ActivityIdentity>> {
    let found = snapshot.get(Space::Activities, key)?;
    found.map(|value| codec::read_expiring(&value)).transpose()
}

impl Stage {
    fn space(&self) -> Space {
        match self {
            Self::Overlay(_) => Space::Overlay,
            Self::Activities(_) => Space::Activities,
            Self::Absorbed(_) | Self::Values(_) => Space::Base,
            Self::Rejections => Space::Meta,
        }
    }
}
