//! Owns the two ways to hold a slot: as the instance's owner, and closed to everybody.
//!
//! Both are given up when they are dropped, whatever the reason: a panic, a caller that is gone.
//! Must not start anything itself.

use std::sync::Arc;

use sanntid_types::InstanceId;

use super::{Registry, Slot, Task};

/// The ownership of an instance: nobody else has it while this lives.
pub(crate) struct Alive {
    pub(super) registry: Arc<Registry>,
    pub(super) id: InstanceId,
    pub(super) serial: u64,
}

impl Alive {
    /// Notes that the owner leaves by itself, which is no failure.
    pub(crate) fn leave(&self) {
        self.registry.with(self.id, self.serial, |entry| {
            if let Slot::Running(_) = &entry.slot {
                entry.slot = Slot::Stopping;
            }
        });
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.registry.gone(self.id, self.serial);
    }
}

/// A slot that nobody gets into.
pub(crate) struct ClosedSlot {
    pub(super) registry: Arc<Registry>,
    pub(super) id: InstanceId,
    pub(super) serial: u64,
}

impl Drop for ClosedSlot {
    fn drop(&mut self) {
        self.registry.reopen(self.id, self.serial);
    }
}

impl Registry {
    /// Notes that an owner is gone: it left, or it failed.
    fn gone(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) else {
            return;
        };
        let last = match &mut entry.slot {
            Slot::Running(last) => Some(Arc::clone(last)),
            Slot::Starting { begun: true, last } => last.take(),
            Slot::Stopping => {
                entries.remove(&id);
                return;
            }
            Slot::Closed { is_empty } => {
                *is_empty = true;
                entry.changed.send_replace(());
                return;
            }
            // Its start was given up in order.
            Slot::Starting { begun: false, .. } | Slot::Restarting { .. } | Slot::Broken { .. } => {
                return;
            }
        };
        let now = self.clock.now();
        let healthy_since = now.minus(self.config.healthy_after);
        let delay = match &last {
            Some(last) if last.started_at <= healthy_since => self.config.restart_delay_min,
            _ => entry.delay,
        };
        tracing::error!(instance_id = %id, ?delay, "tenant crashed; it is restarted");
        metrics::counter!("sanntid_tenant_crashes_total").increment(1);
        entry.delay = (delay * 2).min(self.config.restart_delay_max);
        entry.slot = match last {
            Some(last) => Slot::Restarting {
                last,
                at: now.plus(delay),
            },
            None => Slot::Starting {
                begun: false,
                last: None,
            },
        };
        entry.changed.send_replace(());
        self.ask(Task::StartLater(id, serial, delay));
    }

    fn reopen(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) else {
            return;
        };
        match entry.slot {
            Slot::Closed { is_empty: true } => {
                entries.remove(&id);
            }
            // Its owner was asked to leave and will; until then nobody else may come.
            Slot::Closed { is_empty: false } => entry.slot = Slot::Stopping,
            Slot::Starting { .. }
            | Slot::Running(_)
            | Slot::Stopping
            | Slot::Restarting { .. }
            | Slot::Broken { .. } => {}
        }
    }
}
