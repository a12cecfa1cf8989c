//! Owns refreshes: which jobs wait and run, their order and their end (rules 6.11).
//!
//! One runs per instance at a time. A job is a durable record; what a crash interrupts is failed at
//! the next start, what waits goes on waiting.

mod absorb;
mod ahead;
mod apart;
mod cancel;
mod copy;
mod effect;
mod end;
mod input;
mod load;
mod members;
mod moves;
mod profiles;
mod progress;
mod rejections;
mod rows;
mod run;
mod runner;
mod seen;
mod simulate;
mod sources;
mod start;
mod switch;
mod timeline;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use parking_lot::Mutex;
use sanntid_store::catalog;
use sanntid_types::{
    AuditNote, Error, ErrorCode, Incarnation, InstanceId, Instant, Job, JobId, JobKind, JobStatus,
    JobSubmission,
};
use tokio::sync::{Notify, watch};

pub(crate) use self::progress::Progress;
use self::runner::RefreshActor;
#[cfg(test)]
pub(crate) use self::{
    apart::read as read_apart,
    progress::Stop,
    run::{Failure, Run},
};
pub(crate) use self::{
    apart::within,
    cancel::cancel,
    simulate::{dry_run, submit as simulate},
    sources::check_request,
    start::{recover, start_waiting},
};
use crate::{node::Shared, outcome::refusal, tenant::Change};

/// The refreshes of a node.
pub(crate) struct Refreshes {
    running_max: usize,
    /// Held for a moment only: readers ask for progress.
    state: Mutex<State>,
    /// Held while a waiting job is started or cancelled, commits included.
    starting: Mutex<()>,
    /// Wakes whoever starts jobs.
    wake: Notify,
    /// Counts ended runs, to wait for.
    pub(crate) ended: watch::Sender<u64>,
    /// Says to a run that waits, for the store or for its time, that it may look again.
    again: watch::Sender<()>,
    pub(crate) left_behind: Arc<apart::LeftBehind>,
}

struct State {
    running: HashMap<InstanceId, Running>,
    /// Instances that may have jobs waiting, each once; the first is served first.
    waiting: VecDeque<InstanceId>,
    is_stopping: bool,
}

struct Running {
    job: JobId,
    progress: Arc<Progress>,
}

impl Refreshes {
    /// Begins with the instances that have jobs waiting.
    pub(crate) fn new(running_max: usize, waiting: VecDeque<InstanceId>) -> Self {
        let wake = Notify::new();
        wake.notify_one();
        Self {
            running_max,
            state: Mutex::new(State {
                running: HashMap::new(),
                waiting,
                is_stopping: false,
            }),
            starting: Mutex::new(()),
            wake,
            ended: watch::channel(0).0,
            again: watch::channel(()).0,
            left_behind: Arc::default(),
        }
    }

    /// Notes that an instance may have a job waiting.
    pub(crate) fn queue(&self, id: InstanceId) {
        self.state.lock().wait(id);
        self.wake.notify_one();
    }

    /// Has everything tried again that waits for the store.
    pub(crate) fn try_again(&self) {
        self.again.send_replace(());
        self.wake.notify_one();
    }

    /// Interrupts what runs and waits until it has ended; nothing is started any more.
    pub(crate) async fn stop(shared: &Arc<Shared>) {
        let mut ended = shared.refreshes.ended.subscribe();
        let marked = shared.aside(|shared| {
            let _none_on_its_way = shared.refreshes.starting.lock();
            let mut state = shared.refreshes.state.lock();
            state.is_stopping = true;
            for running in state.running.values() {
                running.progress.interrupt();
            }
            Ok(())
        });
        if marked.await.is_err() {
            return;
        }
        shared.refreshes.again.send_replace(());
        while !shared.refreshes.state.lock().running.is_empty() {
            if ended.changed().await.is_err() {
                return;
            }
        }
    }

    /// Stops the run of an instance whose life has ended.
    pub(crate) fn cancel_of(&self, id: InstanceId) {
        if let Some(running) = self.state.lock().running.get(&id) {
            running.progress.cancel();
            // One that waits must look at once.
            self.again.send_replace(());
        }
    }

    pub(crate) fn progress(&self, id: InstanceId, job: JobId) -> Option<Arc<Progress>> {
        let state = self.state.lock();
        let running = state.running.get(&id).filter(|running| running.job == job);
        running.map(|running| Arc::clone(&running.progress))
    }

    fn is_stopping(&self) -> bool {
        self.state.lock().is_stopping
    }

    fn has_ended(&self, id: InstanceId) {
        self.state.lock().running.remove(&id);
        self.ended.send_modify(|count| *count += 1);
        self.wake.notify_one();
    }
}

impl State {
    fn wait(&mut self, id: InstanceId) {
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
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
            JobKind::Upload(_) | JobKind::Copy(_) | JobKind::Simulate(_) => false,
            JobKind::Reproject => job.kind == kind && job.status == JobStatus::Queued,
            JobKind::Sources | JobKind::Refresh(_) => job.kind == kind,
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
    let mut job = queued(kind, change.now);
    if matches!(job.kind, JobKind::Refresh(_)) && !sources::are_any(change)? {
        // Without a configured source there is nothing to read.
        job.status = JobStatus::Skipped;
        job.started_at = Some(change.now);
        job.ended_at = Some(change.now);
    }
    catalog::put_job(&mut change.batch, incarnation, &job);
    change.has_new_job = true;
    Ok(job)
}

/// What a record says of a job that was asked for.
pub(crate) fn noted(kind: &JobKind) -> AuditNote {
    let note = AuditNote::default();
    match kind {
        JobKind::Upload(upload) => note.with("upload", upload),
        JobKind::Sources => note.with("kind", "sources"),
        JobKind::Reproject => note.with("kind", "activity"),
        JobKind::Copy(source) => note.with("copyOf", source),
        JobKind::Refresh(request) => {
            let sources = request.sources.iter().map(ToString::to_string);
            let sources = sources.collect::<Vec<_>>().join(", ");
            note.with("kind", "refresh")
                .with("sources", if sources.is_empty() { "all" } else { &sources })
                .with("forced", request.forced)
        }
        JobKind::Simulate(simulation) => note
            .with("asOf", simulation.as_of)
            .with("absorb", simulation.absorb)
            .with("durationSeconds", simulation.duration_secs),
    }
}

/// A job that waits.
pub(crate) fn queued(kind: JobKind, now: Instant) -> Job {
    Job {
        id: JobId(uuid::Uuid::now_v7()),
        kind,
        submission: JobSubmission::OnDemand,
        status: JobStatus::Queued,
        submitted_at: now,
        started_at: None,
        ended_at: None,
        stages: Vec::new(),
        report: None,
        error: None,
    }
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
