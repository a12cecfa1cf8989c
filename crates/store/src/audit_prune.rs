//! Owns the background removal of audit records that are old or too many, and of ended logs, within
//! a budget.
//!
//! Must not touch what is within the limits. Correctness never depends on it.

use std::ops::Bound;

use sanntid_types::Instant;

use crate::{
    catalog,
    error::Result,
    key::{Key, meta, read_newest_first},
    kv::{Kv, Order, Snapshot, Space, WriteBatch, prefix_end},
};

/// Records that one step deletes, so that no commit waits long behind it.
const STEP_RECORDS_MAX: usize = 4096;

/// How long audit records are kept.
#[derive(Clone, Copy, Debug)]
pub struct AuditLimits {
    /// Older ones go.
    pub oldest: Instant,
    /// What was done and what was refused are counted apart, in each log.
    pub records_max: usize,
}

/// Removes audit records beyond the limits, a budget at a time.
///
/// Goes from one log to the next and remembers where it is; one that remembers nothing starts from
/// the front and does the same.
#[derive(Debug, Default)]
pub struct AuditPruner {
    /// Where to go on, in this round.
    from: Option<Vec<u8>>,
    /// The log and kind in which that is, and how many were counted of it.
    counted: (Vec<u8>, usize),
}

/// What a look at the logs has found.
enum Found {
    /// Everything from this key to that one, which is the end of a log's kind, can go.
    Old(Vec<u8>, Vec<u8>),
    /// The budget was used up.
    More,
    Nothing,
}

impl AuditPruner {
    /// Looks at about `budget_records` records, and removes about as many; says whether more is due
    /// in this round.
    ///
    /// # Errors
    /// As for [`Kv::commit`]; it can be called again.
    pub fn prune(
        &mut self,
        kv: &dyn Kv,
        limits: AuditLimits,
        budget_records: usize,
    ) -> Result<bool> {
        let step = STEP_RECORDS_MAX.min(budget_records);
        let snapshot = kv.snapshot()?;
        if let Some(log) = catalog::ended_log(&*snapshot)? {
            drop(snapshot);
            let lower = catalog::log_range(log);
            let upper = prefix_end(&lower).unwrap_or_default();
            if kv
                .delete_range_step(Space::Meta, &lower, &upper, step)?
                .done
            {
                let mut batch = WriteBatch::new();
                catalog::forget_log(&mut batch, log);
                kv.commit(batch)?;
            }
            return Ok(true);
        }
        let found = self.look(&*snapshot, limits, budget_records)?;
        drop(snapshot);
        match found {
            Found::Old(lower, upper) => {
                let progress = kv.delete_range_step(Space::Meta, &lower, &upper, step)?;
                self.from = Some(if progress.done { upper } else { lower });
                Ok(true)
            }
            Found::More => Ok(true),
            Found::Nothing => {
                *self = Self::default();
                Ok(false)
            }
        }
    }

    /// Counts on until something is old or too much: what stands behind it is older still.
    fn look(
        &mut self,
        snapshot: &dyn Snapshot,
        limits: AuditLimits,
        budget_records: usize,
    ) -> Result<Found> {
        let all = Key::meta(meta::AUDIT).into_bytes();
        let end = prefix_end(&all).unwrap_or_default();
        let from = self.from.take().unwrap_or_else(|| all.to_vec());
        let bounds = (Bound::Included(&*from), Bound::Excluded(&*end));
        let mut entries = snapshot.range(Space::Meta, bounds.0, bounds.1, Order::Ascending);
        let mut last = None;
        for entry in entries.by_ref().take(budget_records) {
            let (key, _) = entry?;
            let of = catalog::log_and_kind(&key)?;
            if self.counted.0 != of {
                self.counted = (of.to_vec(), 0);
            }
            let time = key.get(of.len()..).unwrap_or_default();
            let at = time.first_chunk::<8>().map(|time| read_newest_first(time));
            let is_old = at.flatten().is_none_or(|at| at < limits.oldest);
            if is_old || self.counted.1 >= limits.records_max {
                let upper = prefix_end(of).unwrap_or_default();
                return Ok(Found::Old(key.to_vec(), upper));
            }
            self.counted.1 += 1;
            last = Some(key);
        }
        let Some(last) = last else {
            return Ok(Found::Nothing);
        };
        let mut behind = last.to_vec();
        behind.push(0);
        self.from = Some(behind);
        Ok(match entries.next() {
            Some(_) => Found::More,
            None => Found::Nothing,
        })
    }
}
