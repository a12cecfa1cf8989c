//! Owns what compactions may drop: overrides and activities that have ended for good.
//!
//! Must not touch what can still be read: it goes one hour after it ended at the earliest (rules
//! 2.3). Correctness never depends on it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::RwLock;
use sanntid_types::{Clock, Incarnation, Instant};

use crate::{
    codec,
    kv::Space,
    reclaim::{Fate, Reclaim},
    sweep::KEPT,
};

/// Notes of clearings kept per tenant.
const CLEARED_MAX: usize = 64;

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
