//! Owns the threads of a node: shards, the supervisor and its upkeep; their start and their end.
//!
//! Must not know what a call means.

use std::{
    cell::RefCell,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use actix::{Arbiter, ArbiterHandle};
use parking_lot::Mutex;
use sanntid_engine::{CallError, TenantState};
use sanntid_sources::Buckets;
use sanntid_store::{AuditPruner, Expiry, Health, Kv, Pruner, Snapshot, Sweeper, catalog};
use sanntid_types::{Clock, Error, ErrorCode, InstanceId};
use tokio::sync::mpsc;

use crate::{
    access::Known,
    audit::{self, Attempts},
    buckets,
    config::Config,
    erase::Erasures,
    outcome::{Delivery, Reply, ReplyTo, overloaded, refusal, unavailable},
    published::Published,
    refresh::{self, Refreshes},
    registry::{Look, Registry, Task},
    running::Running,
    schedule::Schedules,
    shard::Shard,
    tenant::{Call, Command, Decide, Leave, TenantActor},
    upkeep,
    usage::{self, Counting},
};

/// How often a call is given to a tenant that was about to leave when it came.
pub(crate) const ATTEMPTS_MAX: usize = 3;

thread_local! {
    static SHARD: RefCell<Option<Rc<RefCell<Shard>>>> = const { RefCell::new(None) };
}

/// Everything that the parts of a node share.
pub(crate) struct Shared {
    pub(crate) registry: Arc<Registry>,
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Config,
    pub(crate) expiry: Arc<Expiry>,
    /// Keeps its place in what is reclaimed.
    pub(crate) sweeper: Mutex<Sweeper>,
    /// Keeps its place among the jobs, and whether it has more to do.
    pub(crate) pruner: Mutex<(Pruner, bool)>,
    pub(crate) refreshes: Refreshes,
    pub(crate) schedules: Schedules,
    pub(crate) counting: Counting,
    pub(crate) erasures: Erasures,
    pub(crate) buckets: Buckets,
    /// Where the parts of uploads lie.
    pub(crate) uploads: PathBuf,
    pub(crate) known_access: Known,
    pub(crate) attempts: Attempts,
    /// As `pruner`, of audit records.
    pub(crate) audit_pruner: Mutex<(AuditPruner, bool)>,
    /// Held while the list of instances, or who may do what in one, is changed.
    pub(crate) instance_changes: Mutex<()>,
    /// The thread of what is no tenant's: supervision, upkeep, refreshes. It must not be blocked.
    pub(crate) control: ArbiterHandle,
    shards: Vec<ArbiterHandle>,
}

/// Owns the tenants of one process; implements [`sanntid_engine::Tenants`].
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    arbiters: Mutex<Vec<Arbiter>>,
}

impl Node {
    /// Starts the threads; must be called within an actix system.
    ///
    /// Jobs that a crash interrupted are marked failed, queued ones go on.
    ///
    /// # Errors
    /// When the configuration is out of range or the store can't be read.
    pub fn start(
        config: Config,
        kv: Arc<dyn Kv>,
        data_dir: &Path,
        clock: Arc<dyn Clock>,
        expiry: Arc<Expiry>,
    ) -> Result<Arc<Self>, Error> {
        let invalid = |error: crate::ConfigError| {
            Error::new(ErrorCode::InvalidArgument, error.to_string()).with_target(error.field)
        };
        config.validate().map_err(invalid)?;
        let waiting = refresh::recover(&*kv, clock.now()).map_err(|error| refusal(&error))?;
        let schedules = Schedules::recover(&*kv).map_err(|error| refusal(&error))?;
        let erasures = Erasures::recover(&*kv).map_err(|error| refusal(&error))?;
        let control = Arbiter::new();
        let shards: Vec<Arbiter> = (0..config.shards).map(|_| Arbiter::new()).collect();
        let (registry, tasks) = Registry::new(config.clone(), Arc::clone(&clock));
        let shared = Arc::new(Shared {
            registry,
            kv,
            clock,
            expiry,
            sweeper: Mutex::default(),
            pruner: Mutex::default(),
            refreshes: Refreshes::new(config.refreshes_max, waiting),
            schedules,
            counting: Counting::default(),
            erasures,
            buckets: buckets::of_config(&config),
            uploads: data_dir.join("uploads"),
            known_access: Known::default(),
            attempts: Attempts::default(),
            audit_pruner: Mutex::default(),
            instance_changes: Mutex::new(()),
            control: control.handle(),
            shards: shards.iter().map(Arbiter::handle).collect(),
            config,
        });
        for shard in &shards {
            let kv = Arc::clone(&shared.kv);
            let batch_bytes_max = shared.config.batch_bytes_max;
            shard.spawn_fn(move || {
                SHARD.set(Some(Shard::new(kv, batch_bytes_max)));
            });
        }
        control.spawn(supervise(Arc::clone(&shared), tasks));
        control.spawn(upkeep::run(Arc::clone(&shared)));
        control.spawn(audit::note_attempts(Arc::clone(&shared)));
        control.spawn(refresh::start_waiting(Arc::clone(&shared)));
        let arbiters = Mutex::new(std::iter::once(control).chain(shards).collect());
        Ok(Arc::new(Self { shared, arbiters }))
    }

    /// Ends the node: running refreshes are interrupted, accepted writes are committed and answered.
    pub async fn stop(&self) {
        Refreshes::stop(&self.shared).await;
        self.shared.registry.shut();
        for running in self.shared.registry.all() {
            // One that is gone already needs no farewell.
            running.addr.clone().send(Leave).await.ok();
        }
        let noted = self.shared.aside(|shared| shared.commit_attempts());
        if let Err(error) = noted.await {
            tracing::warn!(?error, "refused attempts are not noted");
        }
        let arbiters = std::mem::take(&mut *self.arbiters.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for arbiter in arbiters {
                arbiter.stop();
                if arbiter.join().is_err() {
                    tracing::error!("a thread of the node had panicked");
                }
            }
        });
        if joined.await.is_err() {
            tracing::error!("the threads of the node could not be joined");
        }
    }
}

impl Shared {
    /// Finds the tenant of an instance, starting it where need be.
    pub(crate) async fn tenant(&self, id: InstanceId) -> Result<Arc<Running>, Error> {
        if let Some(running) = self.registry.running(id) {
            return Ok(running);
        }
        for _ in 0..ATTEMPTS_MAX {
            // An id that nobody has costs one read and no start.
            let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
            let found = catalog::instance(&*snapshot, id).map_err(|error| refusal(&error))?;
            drop(snapshot);
            found.ok_or_else(|| not_found(id))?;
            match self.registry.look(id)? {
                Look::Running(running) => return Ok(running),
                Look::Wait(changed) => self.registry.wait(id, changed).await?,
            }
            if let Some(running) = self.registry.running(id) {
                return Ok(running);
            }
        }
        Err(unavailable(id, "does not start; nothing was stored"))
    }

    /// Has a tenant handle a call; `command` is made anew for each attempt.
    pub(crate) async fn call(
        self: &Arc<Self>,
        id: InstanceId,
        mut command: impl FnMut() -> Command,
    ) -> Result<Reply, CallError> {
        for _ in 0..ATTEMPTS_MAX {
            let running = self.tenant(id).await?;
            let _permit = self.registry.enter(id, &running)?;
            let (reply, answer) = ReplyTo::new();
            match running.addr.try_send(Call {
                command: command(),
                reply,
            }) {
                Ok(()) => match answer.await {
                    Ok(Delivery::Done(answer)) => return answer,
                    Ok(Delivery::NotHandled) | Err(_) => {}
                    Ok(Delivery::Failed) => {
                        return Err(unavailable(id, "has failed; nothing was stored").into());
                    }
                },
                Err(actix::dev::SendError::Full(_)) => return Err(overloaded("tenantCalls").into()),
                Err(actix::dev::SendError::Closed(_)) => {}
            }
        }
        Err(unavailable(id, "could not take the call; nothing was stored").into())
    }

    /// Has a tenant decide about a change and commit it by itself; gives what `decide` gave.
    pub(crate) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        id: InstanceId,
        decide: impl FnOnce(&mut crate::tenant::Change<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, CallError> {
        let result = Arc::new(Mutex::new(None));
        let decide = Arc::new(Mutex::new(Some(decide)));
        let reply = self.call(id, || {
            let (result, decide) = (Arc::clone(&result), Arc::clone(&decide));
            let command: Decide = Box::new(move |change| {
                // Taken when it runs: an attempt that nobody handled leaves it for the next.
                let decide = decide.lock().take();
                let decide = decide.ok_or_else(|| unavailable(id, "failed meanwhile"))?;
                *result.lock() = Some(decide(change)?);
                Ok(())
            });
            Command::Change(command)
        });
        reply.await?;
        let value = result.lock().take();
        value.ok_or(CallError::Unknown)
    }
}

/// Takes a snapshot in which nothing is in doubt: what a failed write left shows only after the
/// store was re-opened.
///
/// Whoever decides by what is stored, and is not its only owner, must read it so: otherwise the
/// store could be re-opened between the look and the commit.
pub(crate) fn settled_snapshot(kv: &dyn Kv) -> sanntid_store::Result<Box<dyn Snapshot>> {
    match kv.health() {
        Health::Ok | Health::DiskFull { .. } => kv.snapshot(),
        Health::Poisoned => Err(sanntid_store::Error::Poisoned),
        Health::Reopening => Err(sanntid_store::Error::Reopening),
        Health::Closed => Err(sanntid_store::Error::Closed),
    }
}

/// Whether nothing is in doubt at present.
pub(crate) fn is_settled(kv: &dyn Kv) -> bool {
    match kv.health() {
        Health::Ok | Health::DiskFull { .. } => true,
        Health::Poisoned | Health::Reopening | Health::Closed => false,
    }
}

/// Says that there is no such instance.
pub(crate) fn not_found(id: InstanceId) -> Error {
    Error::new(
        ErrorCode::InstanceNotFound,
        format!("there is no instance {id}"),
    )
    .with_target(id.to_string())
}

/// Starts tenants as the registry asks, each on its shard.
async fn supervise(shared: Arc<Shared>, mut tasks: mpsc::UnboundedReceiver<Task>) {
    while let Some(task) = tasks.recv().await {
        match task {
            Task::Start(id, serial) => start(&shared, id, serial),
            Task::StartLater(id, serial, delay) => {
                let shared = Arc::clone(&shared);
                actix_rt::spawn(async move {
                    tokio::time::sleep(delay.max(Duration::from_millis(1))).await;
                    start(&shared, id, serial);
                });
            }
        }
    }
}

fn start(shared: &Arc<Shared>, id: InstanceId, serial: u64) {
    let of_shards = u128::try_from(shared.shards.len()).unwrap_or(1);
    let index = usize::try_from(id.0.as_u128() % of_shards).unwrap_or(0);
    let Some(shard) = shared.shards.get(index) else {
        return;
    };
    let on_shard = Arc::clone(shared);
    if !shard.spawn_fn(move || start_here(&on_shard, id, serial)) {
        tracing::debug!(instance_id = %id, "the shard is gone, nothing is started");
    }
}

fn start_here(shared: &Arc<Shared>, id: InstanceId, serial: u64) {
    let Some(shard) = SHARD.with_borrow(Clone::clone) else {
        return;
    };
    // Dropped without a start, it has the registry try again.
    let Some(alive) = shared.registry.begin_start(id, serial) else {
        return;
    };
    // An earlier owner may have left something staged.
    shard.borrow_mut().flush();
    let in_doubt = settled_snapshot(&*shared.kv).is_err();
    let state = match shared.state_of(id) {
        Ok(Some(state)) => state,
        Ok(None) => return shared.registry.not_found(id, serial),
        Err(sanntid_store::Error::Corrupt { detail }) => {
            return shared.registry.broken(id, serial, &detail);
        }
        Err(error) => {
            tracing::warn!(instance_id = %id, %error, "a tenant can't be started yet");
            return shared.registry.start_failed(id, serial);
        }
    };
    shared.note_cleared(&state);
    if !state.erasing.is_empty() {
        shared.erasures.note(id);
    }
    let published = Arc::new(Published::new(state.clone()));
    published.set_in_doubt(in_doubt);
    let usage = shared.kv.snapshot();
    let usage = usage.and_then(|snapshot| usage::known(&*snapshot, &state, &published));
    let usage = match usage {
        Ok(usage) => usage,
        Err(error) => {
            tracing::warn!(instance_id = %id, %error, "a tenant can't be started yet");
            return shared.registry.start_failed(id, serial);
        }
    };
    let owned = (state, usage);
    let of_actor = Arc::clone(&published);
    let addr = TenantActor::start_here(Arc::clone(shared), shard, owned, of_actor, alive);
    let running = Running::new(addr, published, shared.clock.now());
    shared.registry.started(id, serial, running);
}

impl Shared {
    fn state_of(&self, id: InstanceId) -> sanntid_store::Result<Option<TenantState>> {
        let snapshot = self.kv.snapshot()?;
        let Some(record) = catalog::instance(&*snapshot, id)? else {
            return Ok(None);
        };
        let state = catalog::tenant(&*snapshot, record.incarnation)?;
        let lost = || sanntid_store::Error::Corrupt {
            detail: "its state is missing".to_owned(),
        };
        state.ok_or_else(lost).map(Some)
    }

    /// Tells reclamation what refreshes have cleared.
    pub(crate) fn note_cleared(&self, state: &TenantState) {
        if let Some(through) = state.cleared_through {
            let now = self.clock.now();
            self.expiry.note_cleared(state.incarnation, through, now);
        }
    }
}
