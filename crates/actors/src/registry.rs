//! Owns which tenants are in memory: their slots, their start, restart and departure.
//!
//! The real supervisor: an actor that panics is dropped, and its `Alive` says so. Must not decide
//! writes. Never two owners of one instance.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix::Addr;
use parking_lot::RwLock;
use sanntid_types::{Clock, Error, ErrorCode, InstanceId, Instant};
use tokio::sync::{mpsc, watch};

use crate::{config::Config, outcome::overloaded, published::Published, tenant::TenantActor};

/// A tenant that takes calls.
pub(crate) struct Running {
    pub(crate) addr: Addr<TenantActor>,
    pub(crate) published: Arc<Published>,
    calls: AtomicUsize,
    used_at: AtomicI64,
    started_at: Instant,
}

impl Running {
    pub(crate) fn new(addr: Addr<TenantActor>, published: Arc<Published>, now: Instant) -> Self {
        Self {
            addr,
            published,
            calls: AtomicUsize::new(0),
            used_at: AtomicI64::new(now.as_millis()),
            started_at: now,
        }
    }

    /// Notes a use, so that the tenant stays in memory.
    pub(crate) fn touch(&self, now: Instant) {
        self.used_at.store(now.as_millis(), Ordering::Relaxed);
    }
}

/// The right to have one call in flight.
pub(crate) struct Permit {
    running: Arc<Running>,
    registry: Arc<Registry>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.calls.fetch_sub(1, Ordering::AcqRel);
        self.registry.calls.fetch_sub(1, Ordering::AcqRel);
    }
}

enum Slot {
    /// Being started; `begun` once somebody is at it.
    Starting {
        begun: bool,
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
    Closed,
}

struct Entry {
    slot: Slot,
    /// Tells this occupancy of the slot from earlier ones.
    serial: u64,
    changed: watch::Sender<u64>,
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
    entries: RwLock<HashMap<InstanceId, Entry>>,
    calls: AtomicUsize,
    tasks: mpsc::UnboundedSender<Task>,
}

/// What a look into a slot gives.
pub(crate) enum Look {
    Running(Arc<Running>),
    /// Wait for this to change and look again.
    Wait(watch::Receiver<u64>),
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
        let entries = RwLock::default();
        let calls = AtomicUsize::new(0);
        (
            Arc::new(Self {
                config,
                clock,
                entries,
                calls,
                tasks,
            }),
            queue,
        )
    }

    /// The tenant, where it runs: no lock that a start could hold, no waiting.
    pub(crate) fn running(&self, id: InstanceId) -> Option<Arc<Running>> {
        match &self.entries.read().get(&id)?.slot {
            Slot::Running(running) => Some(Arc::clone(running)),
            _ => None,
        }
    }

    /// What a reader may look at: also that of a tenant that is about to be restarted.
    pub(crate) fn readable(&self, id: InstanceId) -> Option<Arc<Running>> {
        match &self.entries.read().get(&id)?.slot {
            Slot::Running(running) | Slot::Restarting { last: running, .. } => {
                Some(Arc::clone(running))
            }
            Slot::Starting { .. } | Slot::Stopping | Slot::Broken { .. } | Slot::Closed => None,
        }
    }

    /// Looks for the tenant of an instance that exists, and has it started where it is not there.
    pub(crate) fn look(&self, id: InstanceId) -> Result<Look, Error> {
        if let Some(running) = self.running(id) {
            return Ok(Look::Running(running));
        }
        let mut entries = self.entries.write();
        let Some(entry) = entries.get(&id) else {
            let serial = 1;
            let (changed, receiver) = watch::channel(serial);
            let delay = self.config.restart_delay_min;
            entries.insert(
                id,
                Entry {
                    slot: Slot::Starting { begun: false },
                    serial,
                    changed,
                    delay,
                },
            );
            self.ask(Task::Start(id, serial));
            return Ok(Look::Wait(receiver));
        };
        match &entry.slot {
            Slot::Running(running) => Ok(Look::Running(Arc::clone(running))),
            Slot::Starting { .. } | Slot::Stopping | Slot::Closed => {
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

    /// Waits until a slot changes.
    pub(crate) async fn wait(
        &self,
        id: InstanceId,
        mut changed: watch::Receiver<u64>,
    ) -> Result<(), Error> {
        let waited = tokio::time::timeout(self.config.start_wait_max, changed.changed()).await;
        // A sender that is gone is a change, too: the slot was emptied.
        waited
            .map(|_| ())
            .map_err(|_| unavailable(id, "does not start in time; nothing was stored"))
    }

    /// Takes the right to have one more call in flight.
    pub(crate) fn enter(self: &Arc<Self>, running: &Arc<Running>) -> Result<Permit, Error> {
        let permit = Permit {
            running: Arc::clone(running),
            registry: Arc::clone(self),
        };
        let of_node = self.calls.fetch_add(1, Ordering::AcqRel);
        let of_tenant = running.calls.fetch_add(1, Ordering::AcqRel);
        if of_node >= self.config.node_calls_max {
            return Err(overloaded("nodeCalls"));
        }
        if of_tenant >= self.config.tenant_calls_max {
            return Err(overloaded("tenantCalls"));
        }
        running.touch(self.clock.now());
        Ok(permit)
    }

    /// Notes that a start has succeeded; where the slot was given away meanwhile, it is refused.
    pub(crate) fn started(&self, id: InstanceId, serial: u64, running: Running) {
        self.settle(id, serial, Slot::Running(Arc::new(running)));
    }

    /// Notes that an instance does not exist.
    pub(crate) fn not_found(&self, id: InstanceId, serial: u64) {
        self.remove(id, serial);
    }

    /// Parks a tenant whose stored data can't be read.
    pub(crate) fn broken(&self, id: InstanceId, serial: u64, reason: String) {
        tracing::error!(instance_id = %id, reason, "tenant is out of service");
        self.settle(
            id,
            serial,
            Slot::Broken {
                reason,
                since: self.clock.now(),
            },
        );
    }

    /// Tries a start again that failed for a reason that passes.
    pub(crate) fn start_failed(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        if let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) {
            entry.slot = Slot::Starting { begun: false };
            self.ask(Task::StartLater(id, serial, entry.delay));
        }
    }

    /// Whether a start that was asked for is still wanted; it is given to one only.
    pub(crate) fn begin_start(&self, id: InstanceId, serial: u64) -> bool {
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) else {
            return false;
        };
        let is_wanted = matches!(
            entry.slot,
            Slot::Starting { begun: false } | Slot::Restarting { .. }
        );
        if is_wanted {
            entry.slot = Slot::Starting { begun: true };
        }
        is_wanted
    }

    /// Notes that an actor is gone: it left, or it crashed.
    fn gone(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) else {
            return;
        };
        match &entry.slot {
            Slot::Running(running) => {
                let now = self.clock.now();
                if now >= running.started_at.plus(self.config.healthy_after) {
                    entry.delay = self.config.restart_delay_min;
                }
                let delay = entry.delay;
                tracing::error!(instance_id = %id, ?delay, "tenant crashed; it is restarted");
                metrics::counter!("sanntid_tenant_crashes_total").increment(1);
                let last = Arc::clone(running);
                entry.slot = Slot::Restarting {
                    last,
                    at: now.plus(delay),
                };
                entry.delay = (delay * 2).min(self.config.restart_delay_max);
                entry.serial += 1;
                let serial = entry.serial;
                entry.changed.send_replace(serial);
                self.ask(Task::StartLater(id, serial, delay));
            }
            Slot::Starting { .. } => {
                entry.slot = Slot::Starting { begun: false };
                self.ask(Task::StartLater(id, serial, entry.delay));
            }
            Slot::Closed => {
                entry.serial += 1;
                entry.changed.send_replace(entry.serial);
            }
            Slot::Stopping | Slot::Restarting { .. } | Slot::Broken { .. } => {
                entries.remove(&id);
            }
        }
    }

    /// Gives the addresses of tenants that nobody has called for a while, and marks them leaving.
    pub(crate) fn evict_idle(&self, now: Instant) -> Vec<Addr<TenantActor>> {
        let unused_since = now.minus(self.config.tenant_idle);
        let is_idle = |slot: &Slot| match slot {
            Slot::Running(running) => {
                running.calls.load(Ordering::Acquire) == 0
                    && Instant::from_millis(running.used_at.load(Ordering::Relaxed)) <= unused_since
            }
            _ => false,
        };
        if !self
            .entries
            .read()
            .values()
            .any(|entry| is_idle(&entry.slot))
        {
            return Vec::new();
        }
        let mut entries = self.entries.write();
        let idle = entries.values_mut().filter(|entry| is_idle(&entry.slot));
        idle.filter_map(
            |entry| match std::mem::replace(&mut entry.slot, Slot::Stopping) {
                Slot::Running(running) => Some(running.addr.clone()),
                _ => None,
            },
        )
        .collect()
    }

    /// Keeps everybody out of a slot, for an administrative change.
    ///
    /// Gives the address of the actor that must leave first, where there is one; the slot's next
    /// change says that it has. `None` where another start, stop or change is under way: wait.
    pub(crate) fn close(
        &self,
        id: InstanceId,
    ) -> Option<(Option<Addr<TenantActor>>, watch::Receiver<u64>)> {
        let mut entries = self.entries.write();
        let Some(entry) = entries.get_mut(&id) else {
            let (changed, receiver) = watch::channel(1);
            let delay = self.config.restart_delay_min;
            entries.insert(
                id,
                Entry {
                    slot: Slot::Closed,
                    serial: 1,
                    changed,
                    delay,
                },
            );
            return Some((None, receiver));
        };
        let addr = match &entry.slot {
            Slot::Running(running) => Some(running.addr.clone()),
            Slot::Restarting { .. } | Slot::Broken { .. } => None,
            Slot::Starting { .. } | Slot::Stopping | Slot::Closed => return None,
        };
        entry.slot = Slot::Closed;
        if addr.is_none() {
            entry.serial += 1;
        }
        Some((addr, entry.changed.subscribe()))
    }

    /// Waits for the present change of a slot, where one is under way.
    pub(crate) fn changing(&self, id: InstanceId) -> Option<watch::Receiver<u64>> {
        self.entries
            .read()
            .get(&id)
            .map(|entry| entry.changed.subscribe())
    }

    /// Lets others in again.
    pub(crate) fn reopen(&self, id: InstanceId) {
        let mut entries = self.entries.write();
        if entries
            .get(&id)
            .is_some_and(|entry| matches!(entry.slot, Slot::Closed))
        {
            entries.remove(&id);
        }
    }

    /// The addresses of all tenants that run.
    pub(crate) fn all(&self) -> Vec<Addr<TenantActor>> {
        let entries = self.entries.read();
        let running = entries.values().filter_map(|entry| match &entry.slot {
            Slot::Running(running) => Some(running.addr.clone()),
            _ => None,
        });
        running.collect()
    }

    /// How many tenants are in memory.
    pub(crate) fn len(&self) -> usize {
        self.entries.read().len()
    }

    fn settle(&self, id: InstanceId, serial: u64, slot: Slot) {
        let mut entries = self.entries.write();
        if let Some(entry) = entries.get_mut(&id).filter(|entry| entry.serial == serial) {
            entry.slot = slot;
            entry.changed.send_replace(serial);
        }
    }

    fn remove(&self, id: InstanceId, serial: u64) {
        let mut entries = self.entries.write();
        if entries.get(&id).is_some_and(|entry| entry.serial == serial) {
            entries.remove(&id);
        }
    }

    fn ask(&self, task: Task) {
        // Without a supervisor the node is shutting down, and nothing is started any more.
        self.tasks.send(task).ok();
    }
}

/// Tells the registry when its holder is dropped.
pub(crate) struct Alive {
    registry: Arc<Registry>,
    id: InstanceId,
    serial: u64,
}

impl Alive {
    pub(crate) fn new(registry: Arc<Registry>, id: InstanceId, serial: u64) -> Self {
        Self {
            registry,
            id,
            serial,
        }
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.registry.gone(self.id, self.serial);
    }
}

/// Says that an instance can't be served at present; never that it does not exist.
pub(crate) fn unavailable(id: InstanceId, why: &str) -> Error {
    Error::new(
        ErrorCode::TenantUnavailable,
        format!("the instance {id} {why}"),
    )
    .with_target("tenant")
}
