//! Owns background reclamation of whole lives and tables, within a budget.
//!
//! Must not touch what can still be read: a life or a table goes one hour after it ended at the
//! earliest (rules 2.3). Correctness never depends on it.

use std::{ops::Bound, time::Duration};

use bytes::Bytes;
use sanntid_types::{Incarnation, Instant};

use crate::{
    catalog,
    error::{Error, Result},
    key::{Key, meta},
    kv::{Epoch, Kv, Order, Space, WriteBatch, prefix_end},
};

/// How long what has ended is kept.
pub(crate) const KEPT: Duration = Duration::from_secs(3600);
/// Deletes of one batch, so that no batch is too large and no commit waits long behind one.
const STEP_RECORDS_MAX: usize = 4096;

/// Removes up to `budget_records` records, as a [`Sweeper`] that remembers nothing.
///
/// # Errors
/// As for [`Sweeper::sweep`].
pub fn sweep(kv: &dyn Kv, now: Instant, budget_records: usize) -> Result<bool> {
    Sweeper::default().sweep(kv, now, budget_records)
}

/// Removes ended lives and tables that were given up, a budget at a time.
///
/// Remembers how far it came, because a scan over what is deleted already costs as much as one over
/// records. One that remembers nothing starts from the front and does the same.
#[derive(Debug, Default)]
pub struct Sweeper {
    range: Option<Begun>,
    /// Ranges that are empty and stay so, of the life at work.
    emptied: Vec<(Space, Bytes)>,
}

/// A range of which a part is deleted.
#[derive(Debug)]
struct Begun {
    space: Space,
    range: Bytes,
    /// Everything before this key is deleted.
    next: Bytes,
    /// Deletes are not synced one by one: they can be lost if the store was re-opened since.
    since: Epoch,
}

impl Sweeper {
    /// Removes up to `budget_records` records of ended lives and of tables that were given up.
    ///
    /// Says whether more is due now.
    ///
    /// # Errors
    /// As for [`Kv::commit`]; it can be called again.
    pub fn sweep(&mut self, kv: &dyn Kv, now: Instant, budget_records: usize) -> Result<bool> {
        let mut budget = budget_records;
        let snapshot = kv.snapshot()?;
        let dropped = catalog::dropped(&*snapshot)?;
        let tables = catalog::dead_tables(&*snapshot)?;
        drop(snapshot);
        let is_due = |since: Instant| since.plus(KEPT) <= now;
        for (life, _) in dropped.into_iter().filter(|(_, since)| is_due(*since)) {
            for (space, range) in ranges_of(life) {
                if !self.remove(kv, space, &range, &mut budget)? {
                    return Ok(true);
                }
            }
            self.emptied.clear();
            let mut batch = WriteBatch::new();
            catalog::forget_dropped(&mut batch, life);
            kv.commit(batch)?;
        }
        for (life, table, _) in tables.into_iter().filter(|(.., since)| is_due(*since)) {
            if !self.remove(kv, Space::Base, &Key::table(life, table), &mut budget)? {
                return Ok(true);
            }
            self.emptied.clear();
            let mut batch = WriteBatch::new();
            catalog::forget_table(&mut batch, life, table);
            kv.commit(batch)?;
        }
        Ok(false)
    }

    /// Removes what a range holds; says whether it is empty for good.
    fn remove(
        &mut self,
        kv: &dyn Kv,
        space: Space,
        range: &Key,
        budget: &mut usize,
    ) -> Result<bool> {
        let range = Bytes::copy_from_slice(range.as_bytes());
        if self.emptied.contains(&(space, range.clone())) {
            return Ok(true);
        }
        let end = prefix_end(&range).unwrap_or_else(|| vec![u8::MAX; 32]);
        let begun = match &mut self.range {
            Some(begun) if begun.space == space && begun.range == range => begun,
            other => other.insert(Begun {
                space,
                range: range.clone(),
                next: range.clone(),
                since: kv.load(WriteBatch::new())?,
            }),
        };
        while *budget > 0 {
            let records = STEP_RECORDS_MAX.min(*budget);
            let after = key_after(kv, space, &begun.next, &end, records)?;
            let upper = after.as_deref().unwrap_or(&end);
            let progress = kv.delete_range_step(space, &begun.next, upper, records)?;
            *budget = budget.saturating_sub(progress.deleted);
            if let Some(after) = after {
                begun.next = after;
                continue;
            }
            let synced = match kv.sync(begun.since) {
                Ok(()) => true,
                Err(Error::LoadInterrupted) => false,
                Err(other) => return Err(other),
            };
            self.range = None;
            if synced {
                self.emptied.push((space, range));
            }
            return Ok(synced);
        }
        Ok(false)
    }
}

/// Finds the key behind the next `records` ones; none if that many are not there.
fn key_after(
    kv: &dyn Kv,
    space: Space,
    from: &[u8],
    end: &[u8],
    records: usize,
) -> Result<Option<Bytes>> {
    let snapshot = kv.snapshot()?;
    let bounds = (Bound::Included(from), Bound::Excluded(end));
    let mut entries = snapshot.range(space, bounds.0, bounds.1, Order::Ascending);
    Ok(entries.nth(records).transpose()?.map(|(key, _)| key))
}

fn ranges_of(incarnation: Incarnation) -> impl Iterator<Item = (Space, Key)> {
    let spaces = [Space::Base, Space::Overlay, Space::Activities];
    let data = spaces
        .into_iter()
        .map(move |space| (space, Key::tenant(incarnation)));
    let of_tenant = meta::OF_TENANT.into_iter();
    data.chain(of_tenant.map(move |kind| (Space::Meta, Key::of_tenant(kind, incarnation))))
}
