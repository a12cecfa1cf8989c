//! Owns the count of what a tenant keeps of what came by calls, made in steps of bounded length.
//!
//! Must not count what has ended, whether or not its record is gone.

use std::ops::Bound;

use bytes::Bytes;
use sanntid_engine::{Overlay, StoredActivity, TenantState};
use sanntid_types::{Instant, ProfileId, Usage};

use crate::{
    codec,
    error::Result,
    key::{Key, activities},
    kv::{Order, Snapshot, Space, prefix_end},
};

/// Counts what one tenant keeps.
///
/// Within one step it sees one moment. What is written between steps, behind where it is, is counted
/// like the rest: whoever adds up what is written meanwhile has it twice, never too little.
#[derive(Debug)]
pub struct Counter {
    /// The ranges that are left, the next one last.
    ranges: Vec<(Space, Bytes, Bytes)>,
    skip: usize,
    usage: Usage,
}

impl Counter {
    /// Begins a count of the life that `tenant` is in.
    pub fn new(tenant: &TenantState) -> Self {
        let overlays = Key::tenant(tenant.incarnation);
        let skip = overlays.as_bytes().len();
        let acts = Key::tenant(tenant.incarnation).byte(activities::ACTIVITY);
        let range = |space, prefix: &Key| {
            let end = prefix_end(prefix.as_bytes()).unwrap_or_else(|| vec![u8::MAX; 32]);
            let from = Bytes::copy_from_slice(prefix.as_bytes());
            (space, from, Bytes::from(end))
        };
        Self {
            ranges: vec![
                range(Space::Activities, &acts),
                range(Space::Overlay, &overlays),
            ],
            skip,
            usage: Usage::default(),
        }
    }

    /// Counts up to `budget` records, and takes them from it; gives the count once it is complete.
    ///
    /// # Errors
    /// As for reading the snapshot; the count goes on from there with the next call.
    pub fn step(
        &mut self,
        snapshot: &dyn Snapshot,
        tenant: &TenantState,
        now: Instant,
        budget: &mut usize,
    ) -> Result<Option<Usage>> {
        while let Some((space, from, end)) = self.ranges.pop() {
            let bounds = (Bound::Included(&*from), Bound::Excluded(&*end));
            let mut entries = snapshot.range(space, bounds.0, bounds.1, Order::Ascending);
            let mut next = from.clone();
            let stopped = loop {
                let entry = match entries.next().transpose() {
                    Ok(Some(entry)) => entry,
                    Ok(None) => break None,
                    Err(error) => break Some(Err(error)),
                };
                next = entry.0.clone();
                if *budget == 0 {
                    break Some(Ok(()));
                }
                *budget -= 1;
                match self.count(space, &entry, tenant, now) {
                    Ok(usage) => self.usage = self.usage.plus(usage),
                    Err(error) => break Some(Err(error)),
                }
            };
            if let Some(stopped) = stopped {
                drop(entries);
                self.ranges.push((space, next, end));
                return stopped.map(|()| None);
            }
        }
        Ok(Some(self.usage))
    }

    fn count(
        &self,
        space: Space,
        (key, value): &(Bytes, Bytes),
        tenant: &TenantState,
        now: Instant,
    ) -> Result<Usage> {
        let is_live = codec::lifetime(value).is_none_or(|lifetime| lifetime.expires_at > now);
        if !is_live {
            return Ok(Usage::default());
        }
        if space == Space::Activities {
            return Ok(codec::read_expiring::<StoredActivity>(value)?.usage());
        }
        let mut overlay: Overlay = codec::read_expiring(value)?;
        overlay.compact(tenant, now);
        let id = key.get(self.skip..).unwrap_or_default();
        let id = std::str::from_utf8(id).ok();
        let id = id.and_then(|id| ProfileId::parse(id).ok());
        let id = id.ok_or_else(|| codec::corrupt("an overlay's key holds no profile id"))?;
        Ok(overlay.usage(&id))
    }
}
