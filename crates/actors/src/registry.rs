//! Owns which tenants are in memory: their slots, their start, restart and departure.
//!
//! The real supervisor: an actor that panics is dropped, and its `Alive` says so. Must not decide
//! writes. Never two owners of one instance.

mod ownership;

use std::{
    collections::{HashMap, hash_map},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use parking_lot::RwLock;
use sanntid_types::{Clock, Error, InstanceId, Instant};
use tokio::sync::{mpsc, watch};

pub(crate) use self::ownership::{Alive, ClosedSlot};
use crate::{
    config::Config,
    outcome::{overloaded, unavailable},
    running::{Calls, Permit, Place, Running},
    tenant::TenantActor,
};

enum Slot {
    /// Being started; `begun` once somebody is at it.
    Starting {
        begun: bool,
        /// What readers may look at meanwhile, where it ran before.
        last: Option<Arc<Running>>,
    },
    Running(Arc<Running>),
    /// Leaving memory; nobody else may own the instance yet.
    Stopping,
    /// Crashed; started again at `at`. Reads go on with what was committed.
    Restarting {
        last: Arc<Running>,
        at: Instant,
    },
    /// Its stored data can't be read.
    Broken {
        reason: String,
        since: Instant,
    },
    /// Held by an administrative change.
    Closed {
        is_empty: bool,
    },
}

struct Entry {
    slot: Slot,
    /// Tells this occupancy of the slot from earlier ones; never reused.
    serial: u64,
    /// Says to those who wait that they should look again.
    changed: watch::Sender<()>,
    delay: Duration,
}

/// Asks the supervisor for something that takes time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Start(InstanceId, u64),
    StartLater(InstanceId, u64, Duration),
}

/// All slots of a node.
pub(crate) struct Registry {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    /// Calls in flight and calls that wait for a tenant to start.
    pub(crate) calls: Calls,
    entries: RwLock<HashMap<InstanceId, Entry>>,
    serials: AtomicU64,
    is_shut: AtomicBool,
    tasks: mpsc::UnboundedSender<Task>,
}

/// What a look into a slot gives.
pub(crate) enum Look {
    Running(Arc<Running>),
    /// Wait for this to change and look again.
    Wait(watch::Receiver<()>),
}

/// What an attempt to close a slot gives.
pub(crate) enum Close {
    Empty(ClosedSlot),
    /// This one must leave first; the slot's next change says that it has.
    Leaving(ClosedSlot, Addr<TenantActor>, watch::Receiver<()>),
    /// Another start, stop or change is under way: wait for this to change and try again.
    Wait(watch::Receiver<()>),
}

impl Registry {
    /// Makes an empty registry and the queue of its supervisor.
    ///
    /// The queue needs no bound of its own: it holds at most one task for each slot.
    pub(crate) fn new(
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Task>) {
        let (tasks, queue) = mpsc::unbounded_channel();
        let registry = Arc::new(Self {
            config,
            clock,
            calls: Calls::default(),
            entries: RwLock::default(),
            serials: AtomicU64::new(0),
            is_shut: AtomicBool::new(false),
            tasks,
        });
        (registry, queue)
    }

    /// The tenant, where it runs: no lock that a start could hold, no waiting.
    pub(crate) fn running(&self, id: InstanceId) -> Option<Arc<Running>> {
        match &self.entries.read().get(&id)?.slot {
            Slot::Running(running) => Some(Arc::clone(running)),
            Slot::Starting { .. }
            | Slot::Stopping
            | Slot::Restarting { .. }
            | Slot::Broken { .. }
            | Slot::Closed { .. } => None,
        }
    }

    /// What a reader may look at: also that of a tenant that is restarted.
    pub(crate) fn readable(&self, id: InstanceId) -> Option<Arc<Running>> {
        match &self.entries.read().get(&id)?.slot {
            Slot::Running(running) | Slot::Restarting { last: running, .. } => {
                Some(Arc::clone(running))
            }
            Slot::Starting { last, .. } => last.clone(),
            Slot::Stopping | Slot::Broken { .. } | Slot::Closed { .. } => None,
        }
    }

    /// Looks for the tenant of an instance that exists, and has it started where it is not there.
    pub(crate) fn look(&self, id: InstanceId) -> Result<Look, Error> {
        self.check_open(id)?;
        if let Some(running) = self.running(id) {
            return Ok(Look::Running(running));
        }
        let mut entries = self.entries.write();
        let entry = match entries.entry(id) {
            hash_map::Entry::Occupied(entry) => entry.into_mut(),
            hash_map::Entry::Vacant(place) => {
                let (begun, last) = (false, None);
                let entry = place.insert(self.new_entry(Slot::Starting { begun, last }));
                self.ask(Task::Start(id, entry.serial));
                return Ok(Look::Wait(entry.changed.subscribe()));
            }
        };
        match &entry.slot {
            Slot::Running(running) => Ok(Look::Running(Arc::clone(running))),
            Slot::Starting { .. } | Slot::Stopping | Slot::Closed { .. } => {
                // They are calls of this tenant, too, if not yet in flight.
                if entry.changed.receiver_count() >= self.config.tenant_calls_max {
                    return Err(overloaded("tenantCalls"));
                }
                Ok(Look::Wait(entry.changed.subscribe()))
            }
            Slot::Restarting { at, .. } => Err(unavailable(
                id,
                &format!("is restarted after a failure at {at}; nothing was stored"),
            )),
            Slot::Broken { reason, since } => Err(unavailable(
                id,
                &format!("is out of service since {since}: {reason}"),
            )),
        }
    }

    /// Waits until a slot changes; counts as a call meanwhile.
    pub(crate) async fn wait(
        self: &Arc<Self>,
        id: InstanceId,
        mut changed: watch::Receiver<()>,
    ) -> Result<(), Error> {
        let _place = Place::take(self)?;
        let waited = tokio::time::timeout(self.config.start_wait_max, changed.changed()).await;
        // A sender that is gone is a change, too: the slot was emptied.
        waited
            .map(|_| ())
            .map_err(|_| unavailable(id, "does not start in time; nothing was stored"))
    }

    /// Takes the right to have one more call in flight.
    pub(crate) fn enter(
        self: &Arc<Self>,
        id: InstanceId,
        running: &Arc<Running>,
    ) -> Result<Permit, Error> {
        self.check_open(id)?;
        Permit::take(self, running)
    }

    /// Takes no calls from now on and starts nothing more; what was accepted goes on.
    pub(crate) fn shut(&self) {
        self.is_shut.store(true, Ordering::Release);
    }

    /// Notes that a start has succeeded.
    pub(crate) fn started(&self, id: InstanceId, serial: u64, running: Running) {
        self.settle(id, serial, Slot::Running(Arc::new(running)));
    }

    /// Notes that an instance does not exist.
    pub(crate) fn not_found(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        if entries.get(&id).is_some_and(|entry| entry.serial == serial) {
            entries.remove(&id);
        }
    }

    /// Parks a tenant whose stored data can't be read.
    pub(crate) fn broken(&self, id: InstanceId, serial: u64, detail: &str) {
        tracing::error!(instance_id = %id, detail, "tenant is out of service");
        let reason = "its stored data can't be read".to_owned();
        let since = self.clock.now();
        self.settle(id, serial, Slot::Broken { reason, since });
    }

    /// Tries a start again that failed for a reason that passes.
    pub(crate) fn start_failed(&self, id: InstanceId, serial: u64) {
        self.with(id, serial, |entry| {
            if let Slot::Starting { begun, .. } = &mut entry.slot {
                *begun = false;
                self.ask(Task::StartLater(id, serial, entry.delay));
            }
        });
    }

    /// Says whether a start that was asked for is still wanted; it is given to one only.
    ///
    /// Whoever gets the `Alive` owns the instance until that is dropped.
    pub(crate) fn begin_start(self: &Arc<Self>, id: InstanceId, serial: u64) -> Option<Alive> {
        let begun = self.with(id, serial, |entry| {
            let last = match &entry.slot {
                Slot::Starting { begun: false, last } => last.clone(),
                Slot::Restarting { last, .. } => Some(Arc::clone(last)),
                Slot::Starting { begun: true, .. }
                | Slot::Running(_)
                | Slot::Stopping
                | Slot::Broken { .. }
                | Slot::Closed { .. } => return false,
            };
            entry.slot = Slot::Starting { begun: true, last };
            true
        });
        let alive = || Alive {
            registry: Arc::clone(self),
            id,
            serial,
        };
        begun.unwrap_or(false).then(alive)
    }

    /// Gives the addresses of tenants that nobody has called for a while, and marks them leaving.
    pub(crate) fn evict_idle(&self, now: Instant) -> Vec<Addr<TenantActor>> {
        let since = now.minus(self.config.tenant_idle);
        let is_idle =
            |slot: &Slot| matches!(slot, Slot::Running(running) if running.is_idle(since));
        let any_idle = self
            .entries
            .read()
            .values()
            .any(|entry| is_idle(&entry.slot));
        if !any_idle {
            return Vec::new();
        }
        let mut entries = self.entries.write();
        let mut leaving = Vec::new();
        for entry in entries.values_mut() {
            if let Slot::Running(running) = &entry.slot
                && is_idle(&entry.slot)
            {
                leaving.push(running.addr.clone());
                entry.slot = Slot::Stopping;
            }
        }
        leaving
    }

    /// Keeps everybody out of a slot, for an administrative change.
    pub(crate) fn close(self: &Arc<Self>, id: InstanceId) -> Result<Close, Error> {
        self.check_open(id)?;
        let mut entries = self.entries.write();
        let (entry, addr) = match entries.entry(id) {
            hash_map::Entry::Vacant(place) => (place.insert(self.new_entry(Slot::Stopping)), None),
            hash_map::Entry::Occupied(entry) => {
                let entry = entry.into_mut();
                match &entry.slot {
                    Slot::Running(running) => {
                        let addr = running.addr.clone();
                        (entry, Some(addr))
                    }
                    Slot::Restarting { .. } | Slot::Broken { .. } => (entry, None),
                    Slot::Starting { .. } | Slot::Stopping | Slot::Closed { .. } => {
                        return Ok(Close::Wait(entry.changed.subscribe()));
                    }
                }
            }
        };
        entry.slot = Slot::Closed {
            is_empty: addr.is_none(),
        };
        let closed = ClosedSlot {
            registry: Arc::clone(self),
            id,
            serial: entry.serial,
        };
        Ok(match addr {
            None => Close::Empty(closed),
            Some(addr) => Close::Leaving(closed, addr, entry.changed.subscribe()),
        })
    }

    /// All tenants that run.
    pub(crate) fn all(&self) -> Vec<Arc<Running>> {
        let entries = self.entries.read();
        let running = entries.values().filter_map(|entry| match &entry.slot {
            Slot::Running(running) => Some(Arc::clone(running)),
            Slot::Starting { .. }
            | Slot::Stopping
            | Slot::Restarting { .. }
            | Slot::Broken { .. }
            | Slot::Closed { .. } => None,
        });
        running.collect()
    }

    /// How many tenants are in memory.
    pub(crate) fn len(&self) -> usize {
        self.entries.read().len()
    }

    /// Changes with the slot, for tests that wait for it.
    #[cfg(test)]
    pub(crate) fn changing(&self, id: InstanceId) -> Option<watch::Receiver<()>> {
        Some(self.entries.read().get(&id)?.changed.subscribe())
    }

    /// Which occupancy of the slot this is.
    #[cfg(test)]
    pub(crate) fn serial(&self, id: InstanceId) -> Option<u64> {
        Some(self.entries.read().get(&id)?.serial)
    }

    /// The delay of the next restart.
    #[cfg(test)]
    pub(crate) fn delay(&self, id: InstanceId) -> Option<Duration> {
        Some(self.entries.read().get(&id)?.delay)
    }

    fn check_open(&self, id: InstanceId) -> Result<(), Error> {
        if self.is_shut.load(Ordering::Acquire) {
            let why = "is not served any more, the server is shutting down; nothing was stored";
            return Err(unavailable(id, why));
        }
        Ok(())
    }

    fn new_entry(&self, slot: Slot) -> Entry {
        Entry {
            slot,
            serial: self.serials.fetch_add(1, Ordering::Relaxed),
            changed: watch::channel(()).0,
            delay: self.config.restart_delay_min,
        }
    }

    fn settle(&self, id: InstanceId, serial: u64, slot: Slot) {
        self.with(id, serial, |entry| {
            entry.slot = slot;
            entry.changed.send_replace(());
        });
    }

    fn with<T>(
        &self,
        id: InstanceId,
        serial: u64,
        work: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let mut entries = self.entries.write();
        let entry = entries.get_mut(&id).filter(|entry| entry.serial == serial);
        entry.map(work)
    }

    fn ask(&self, task: Task) {
        // Without a supervisor the node is shutting down, and nothing is started any more.
        self.tasks.send(task).ok();
    }
}
