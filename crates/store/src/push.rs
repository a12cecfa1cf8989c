//! Owns the push for an engine that has stopped compacting although it lags behind.
//!
//! The engine looks for something to compact after each flush. What it can't begin then, because
//! another compaction holds the tables, it forgets; and if writers wait for room, no flush comes
//! that would remind it. Must not be waited for, and must not run twice at a time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{fjall_open::Open, gate::Gate, kv::Space};

/// Pushes one engine.
#[derive(Default)]
pub(crate) struct Push(Arc<AtomicBool>);

/// Says when a push is over, however it ended.
struct Under(Arc<AtomicBool>);

impl Drop for Under {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Push {
    /// Has a thread do the next compaction of a space, where there is one and none does so yet.
    pub(crate) fn give(&self, gate: &Arc<Gate<Open>>, space: Space) {
        if self.0.swap(true, Ordering::AcqRel) {
            return;
        }
        let (under, gate) = (Under(Arc::clone(&self.0)), Arc::clone(gate));
        let push = move || {
            let _under = under;
            let Ok(lease) = gate.enter() else {
                return;
            };
            if let Err(error) = lease.get().compact_next(space) {
                tracing::warn!(%error, space = space.name(), "a compaction has failed");
            }
        };
        let begun = thread::Builder::new().name("compaction".to_owned());
        if let Err(error) = begun.spawn(push) {
            tracing::warn!(%error, "no thread could be started for a compaction");
        }
    }
}
