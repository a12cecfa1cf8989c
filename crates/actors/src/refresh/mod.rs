//! Owns refreshes: which jobs wait and run, their order and their end (rules 6.11).
//!
//! One runs per instance at a time. A job is a durable record; what a crash interrupts is failed at
//! the next start, what waits goes on waiting.

mod effect;
mod load;
mod moves;
mod profiles;
mod progress;
mod rows;
mod run;
mod runner;
mod switch;
mod timeline;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use actix::{Actor, ArbiterHandle};
use parking_lot::Mutex;
use sanntid_engine::CallError;
use sanntid_store::{
    WriteBatch,
    catalog::{self, TableState},
};
use sanntid_types::{Error, ErrorCode, Incarnation, InstanceId, Job, JobId, JobKind, JobStatus};
use tokio::sync::watch;

pub(crate) use self::progress::Progress;
use self::{run::Run, runner::RefreshActor};
use crate::{
    node::Shared,
    outcome::{call_error, refusal},
    tenant::Change,
    uploads::queued,
};

/// The refreshes of a node.
pub(crate) struct Refreshes {
    running_max: usize,
    state: Mutex<State>,
    /// Counts ended runs, to wait for.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    arbiter: Option<ArbiterHandle>,
    running: HashMap<InstanceId, Running>,
    /// Instances that have jobs waiting.
    waiting: HashSet<InstanceId>,
    is_stopping: bool,
}

struct Running {
    job: JobId,
    progress: Arc<Progress>,
}

impl Refreshes {
    pub(crate) fn new(running_max: usize) -> Self {
        Self {
            running_max,
            state: Mutex::default(),
            ended: watch::channel(0).0,
        }
    }

    /// Names the thread on which refresh actors live.
    pub(crate) fn attach(&self, arbiter: ArbiterHandle) {
        self.state.lock().arbiter = Some(arbiter);
    }

    /// Interrupts what runs and waits until it has ended.
    pub(crate) async fn stop(&self) {
        let mut ended = self.ended.subscribe();
        {
            let mut state = self.state.lock();
            state.is_stopping = true;
            state
                .running
                .values()
                .for_each(|running| running.progress.interrupt());
        }
        while !self.state.lock().running.is_empty() {
            if ended.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops the run of an instance that is no more.
    pub(crate) fn cancel_of(&self, id: InstanceId) {
        let mut state = self.state.lock();
        state.waiting.remove(&id);
        if let Some(running) = state.running.get(&id) {
            running.progress.cancel();
        }
    }

    fn progress(&self, id: InstanceId, job: JobId) -> Option<Arc<Progress>> {
        let state = self.state.lock();
        let running = state.running.get(&id).filter(|running| running.job == job);
        running.map(|running| Arc::clone(&running.progress))
    }

    fn has_ended(&self, id: InstanceId) {
        self.state.lock().running.remove(&id);
        self.ended.send_modify(|count| *count += 1);
    }
}

/// Shows a job as it stands now: one that runs with its live stages.
pub(crate) fn shown(shared: &Shared, id: InstanceId, mut job: Job) -> Job {
    if job.status == JobStatus::Running
        && let Some(progress) = shared.refreshes.progress(id, job.id)
    {
        job.stages = progress.stages();
    }
    job
}

/// Queues a job within a change of its tenant; an equal one that has not ended is joined.
pub(crate) fn new_job(
    change: &mut Change<'_>,
    kind: JobKind,
    jobs_max: usize,
) -> Result<Job, Error> {
    let incarnation = change.state.incarnation;
    let active = catalog::active_jobs_of(change.snapshot, incarnation);
    let active = active.map_err(|error| refusal(&error))?;
    for id in &active {
        let job =
            catalog::job(change.snapshot, incarnation, *id).map_err(|error| refusal(&error))?;
        let joins = |job: &Job| match job.kind {
            // Each upload is a job of its own; a re-projection must see what was configured last.
            JobKind::Upload(_) => false,
            JobKind::Reproject => job.kind == kind && job.status == JobStatus::Queued,
            JobKind::Sources => job.kind == kind,
        };
        if let Some(job) = job.filter(joins) {
            return Ok(job);
        }
    }
    if active.len() >= jobs_max {
        let text = format!(
            "{} jobs wait or run already; let them end or cancel one",
            active.len()
        );
        return Err(Error::new(ErrorCode::Overloaded, text).with_target("jobsQueued"));
    }
    let mut job = queued(JobId(uuid::Uuid::now_v7()), kind, change.now);
    if job.kind == JobKind::Sources {
        // Without a configured source there is nothing to read.
        job.status = JobStatus::Skipped;
        job.started_at = Some(change.now);
        job.ended_at = Some(change.now);
    }
    catalog::put_job(&mut change.batch, incarnation, &job);
    Ok(job)
}

/// Fails what a crash interrupted and finds what waits; for the start of a node.
pub(crate) fn recover(shared: &Shared) -> sanntid_store::Result<()> {
    let snapshot = shared.kv.snapshot()?;
    let now = shared.clock.now();
    let mut batch = WriteBatch::new();
    for (incarnation, id) in catalog::active_jobs(&*snapshot)? {
        let state = catalog::tenant(&*snapshot, incarnation)?;
        let job = catalog::job(&*snapshot, incarnation, id)?;
        let (Some(state), Some(mut job)) = (state, job) else {
            catalog::forget_active_job(&mut batch, incarnation, id);
            continue;
        };
        if job.status == JobStatus::Queued {
            shared.refreshes.state.lock().waiting.insert(state.instance);
            continue;
        }
        tracing::warn!(instance_id = %state.instance, job_id = %id, "a refresh was interrupted");
        runner::end_interrupted(&mut job, now);
        catalog::put_job(&mut batch, incarnation, &job);
        give_up_tables(&*snapshot, &mut batch, incarnation, id, now)?;
    }
    drop(snapshot);
    if batch.is_empty() {
        Ok(())
    } else {
        shared.kv.commit(batch)
    }
}

/// Gives up the tables that a job was filling.
fn give_up_tables(
    snapshot: &dyn sanntid_store::Snapshot,
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    job: JobId,
    now: sanntid_types::Instant,
) -> sanntid_store::Result<()> {
    for (table, state) in catalog::tables(snapshot, incarnation)? {
        if state == TableState::Loading(job) {
            catalog::give_up_table(batch, incarnation, table, now);
        }
    }
    Ok(())
}

/// Notes that an instance has a job waiting, and starts what may run.
pub(crate) async fn submit(shared: &Arc<Shared>, id: InstanceId) -> Result<(), CallError> {
    let submitted = shared.aside(move |shared| {
        shared.refreshes.state.lock().waiting.insert(id);
        pump(shared);
        Ok(())
    });
    submitted.await
}

/// Starts jobs while there is room.
pub(crate) fn pump(shared: &Arc<Shared>) {
    while start_one(shared) {}
}

fn start_one(shared: &Arc<Shared>) -> bool {
    let mut state = shared.refreshes.state.lock();
    if state.is_stopping || state.running.len() >= shared.refreshes.running_max {
        return false;
    }
    let Some(arbiter) = state.arbiter.clone() else {
        return false;
    };
    let ready = state
        .waiting
        .iter()
        .find(|id| !state.running.contains_key(id))
        .copied();
    let Some(id) = ready else { return false };
    let run = match begin(shared, id) {
        Ok(Some(run)) => run,
        Ok(None) => {
            state.waiting.remove(&id);
            return true;
        }
        Err(error) => {
            tracing::warn!(instance_id = %id, %error, "a refresh can't be started yet");
            return false;
        }
    };
    let progress = Arc::clone(&run.progress);
    state.running.insert(
        id,
        Running {
            job: run.job,
            progress,
        },
    );
    drop(state);
    let shared = Arc::clone(shared);
    arbiter.spawn_fn(move || {
        RefreshActor::new(shared, run).start();
    })
}

/// Marks the oldest waiting job of an instance as running; `None` where none waits.
fn begin(shared: &Arc<Shared>, id: InstanceId) -> sanntid_store::Result<Option<Run>> {
    let snapshot = shared.kv.snapshot()?;
    let Some(record) = catalog::instance(&*snapshot, id)? else {
        return Ok(None);
    };
    let incarnation = record.incarnation;
    let Some(state) = catalog::tenant(&*snapshot, incarnation)? else {
        return Ok(None);
    };
    let mut found = None;
    for job in catalog::active_jobs_of(&*snapshot, incarnation)? {
        let job = catalog::job(&*snapshot, incarnation, job)?;
        found = job.filter(|job| job.status == JobStatus::Queued);
        if found.is_some() {
            break;
        }
    }
    drop(snapshot);
    let Some(mut job) = found else {
        return Ok(None);
    };
    let now = shared.clock.now();
    job.status = JobStatus::Running;
    job.started_at = Some(now);
    let mut batch = WriteBatch::new();
    catalog::put_job(&mut batch, incarnation, &job);
    shared.kv.commit(batch)?;
    let deadline = now.plus(shared.config.refresh_time_max);
    Ok(Some(Run {
        shared: Arc::clone(shared),
        instance: id,
        job: job.id,
        state: Arc::new(state),
        progress: Progress::new(Arc::clone(&shared.clock), deadline),
    }))
}

/// Cancels a job: one that waits ends at once, one that runs as soon as it notices.
pub(crate) async fn cancel(
    shared: &Arc<Shared>,
    id: InstanceId,
    job: JobId,
) -> Result<Job, CallError> {
    let mut ended = shared.refreshes.ended.subscribe();
    let record = shared.record_of(id)?;
    let found = find_job(shared, record.incarnation, job)?;
    if found.status == JobStatus::Queued {
        // The lock keeps the job from being started meanwhile.
        let on_lock = Arc::clone(shared);
        let aborted = shared
            .aside(move |_| abort_waiting(&on_lock, record.incarnation, job))
            .await?;
        if let Some(aborted) = aborted {
            return Ok(aborted);
        }
    }
    if let Some(progress) = shared.refreshes.progress(id, job) {
        progress.cancel();
        while shared.refreshes.progress(id, job).is_some() {
            if ended.changed().await.is_err() {
                break;
            }
        }
    }
    let found = find_job(shared, record.incarnation, job)?;
    Ok(shown(shared, id, found))
}

fn abort_waiting(
    shared: &Shared,
    incarnation: Incarnation,
    id: JobId,
) -> Result<Option<Job>, CallError> {
    let _not_started_meanwhile = shared.refreshes.state.lock();
    let mut job = find_job(shared, incarnation, id)?;
    if job.status != JobStatus::Queued {
        return Ok(None);
    }
    let now = shared.clock.now();
    job.status = JobStatus::Aborted;
    job.ended_at = Some(now);
    job.error = Some(Error::new(
        ErrorCode::Cancelled,
        "the job was cancelled before it ran",
    ));
    let mut batch = WriteBatch::new();
    catalog::put_job(&mut batch, incarnation, &job);
    shared
        .kv
        .commit(batch)
        .map_err(|error| call_error(&error))?;
    Ok(Some(job))
}

/// Finds a job.
pub(crate) fn find_job(
    shared: &Shared,
    incarnation: Incarnation,
    job: JobId,
) -> Result<Job, Error> {
    let snapshot = shared.kv.snapshot().map_err(|error| refusal(&error))?;
    let found = catalog::job(&*snapshot, incarnation, job).map_err(|error| refusal(&error))?;
    found.ok_or_else(|| {
        Error::new(ErrorCode::JobNotFound, format!("there is no job {job}"))
            .with_target(job.to_string())
    })
}
