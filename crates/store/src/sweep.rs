//! Owns background reclamation: what is dead for good is removed, within a budget.
//!
//! Must not touch what can still be read: a life, a table, an override or an activity is removed
//! one hour after it ended at the earliest (rules 2.3). Correctness never depends on it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use parking_lot::RwLock;
use sanntid_types::{Clock, Incarnation, Instant};

use crate::{
    catalog, codec,
    error::Result,
    key::{Key, meta},
    kv::{Kv, Progress, Space, WriteBatch, prefix_end},
    reclaim::{Fate, Reclaim},
};

/// How long what has ended is kept.
const KEPT: Duration = Duration::from_secs(3600);
/// Deletes of one batch, so that no batch is too large and no commit waits long behind one.
const STEP_RECORDS_MAX: usize = 4096;
/// Notes of clearings kept per tenant.
const CLEARED_MAX: usize = 64;

/// Removes up to `budget_records` records of ended lives and of tables that were given up.
///
/// Says whether more is due now.
///
/// # Errors
/// As for [`Kv::commit`]; it can be called again.
pub fn sweep(kv: &dyn Kv, now: Instant, budget_records: usize) -> Result<bool> {
    let mut budget = budget_records;
    let snapshot = kv.snapshot()?;
    let dropped = catalog::dropped(&*snapshot)?;
    let tables = catalog::dead_tables(&*snapshot)?;
    drop(snapshot);
    let is_due = |since: Instant| since.plus(KEPT) <= now;
    for (incarnation, _) in dropped.into_iter().filter(|(_, since)| is_due(*since)) {
        for (space, key) in ranges_of(incarnation) {
            if !remove(kv, space, &key, &mut budget)? {
                return Ok(true);
            }
        }
        let mut batch = WriteBatch::new();
        catalog::forget_dropped(&mut batch, incarnation);
        kv.commit(batch)?;
    }
    for (incarnation, table, _) in tables.into_iter().filter(|(.., since)| is_due(*since)) {
        if !remove(
            kv,
            Space::Base,
            &Key::table(incarnation, table),
            &mut budget,
        )? {
            return Ok(true);
        }
        let mut batch = WriteBatch::new();
        catalog::forget_table(&mut batch, incarnation, table);
        kv.commit(batch)?;
    }
    Ok(false)
}

fn ranges_of(incarnation: Incarnation) -> impl Iterator<Item = (Space, Key)> {
    let spaces = [Space::Base, Space::Overlay, Space::Activities];
    let data = spaces
        .into_iter()
        .map(move |space| (space, Key::tenant(incarnation)));
    let of_tenant = meta::OF_TENANT.into_iter();
    data.chain(of_tenant.map(move |kind| (Space::Meta, Key::of_tenant(kind, incarnation))))
}

/// Removes what a range holds; says whether it is empty now.
fn remove(kv: &dyn Kv, space: Space, range: &Key, budget: &mut usize) -> Result<bool> {
    let end = prefix_end(range.as_bytes()).unwrap_or_else(|| vec![u8::MAX; 32]);
    while *budget > 0 {
        let records = STEP_RECORDS_MAX.min(*budget);
        let Progress { deleted, done } =
            kv.delete_range_step(space, range.as_bytes(), &end, records)?;
        *budget = budget.saturating_sub(deleted);
        if done {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Lets compactions drop overrides and activities that have ended.
pub struct Expiry {
    clock: Arc<dyn Clock>,
    paused: AtomicBool,
    cleared: RwLock<HashMap<Incarnation, Vec<Cleared>>>,
}

#[derive(Clone, Copy)]
struct Cleared {
    through: Instant,
    at: Instant,
}

impl Expiry {
    /// Decides by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            paused: AtomicBool::new(false),
            cleared: RwLock::default(),
        })
    }

    /// Notes that a tenant's overrides accepted no later than `through` are cleared, since `at`.
    pub fn note_cleared(&self, incarnation: Incarnation, through: Instant, at: Instant) {
        let mut cleared = self.cleared.write();
        let notes = cleared.entry(incarnation).or_default();
        if notes.iter().any(|note| note.through >= through) {
            return;
        }
        let kept_since = at.minus(KEPT);
        let due = notes
            .iter()
            .filter(|note| note.at <= kept_since)
            .map(|note| note.through)
            .max();
        notes.retain(|note| note.at > kept_since || Some(note.through) == due);
        // The newest gives way, so that the older ones become due however many come.
        notes.truncate(CLEARED_MAX - 1);
        notes.push(Cleared { through, at });
    }

    /// Forgets an ended life, of which the sweep removes everything.
    pub fn forget(&self, incarnation: Incarnation) {
        self.cleared.write().remove(&incarnation);
    }

    /// Stops or resumes dropping, for a clock that can't be trusted (rules 2.4).
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }
}

impl Reclaim for Expiry {
    fn fate(&self, space: Space, key: &[u8], value: &[u8]) -> Fate {
        if !matches!(space, Space::Overlay | Space::Activities)
            || self.paused.load(Ordering::Relaxed)
        {
            return Fate::Keep;
        }
        let (Some(lifetime), Some(incarnation)) = (codec::lifetime(value), key.first_chunk())
        else {
            return Fate::Keep;
        };
        let kept_since = self.clock.now().minus(KEPT);
        if lifetime.expires_at <= kept_since {
            return Fate::Drop;
        }
        let Some(newest) = lifetime.cleared_by else {
            return Fate::Keep;
        };
        let incarnation = Incarnation(u64::from_be_bytes(*incarnation));
        let cleared = self.cleared.read();
        let notes = cleared.get(&incarnation).into_iter().flatten();
        let is_cleared = |note: &Cleared| note.at <= kept_since && newest <= note.through;
        if notes.into_iter().any(is_cleared) {
            Fate::Drop
        } else {
            Fate::Keep
        }
    }
}
