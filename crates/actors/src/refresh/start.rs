//! Owns the start of jobs: what waits begins when there is room, the first that came first.
//!
//! Must not run anything itself, nor block the thread that others wait for.

use std::{collections::VecDeque, sync::Arc};

use actix::Actor;
use sanntid_store::{
    Kv, WriteBatch,
    catalog::{self, TableState},
};
use sanntid_types::{Incarnation, InstanceId, Instant, JobId, JobStatus};

use super::{Progress, RefreshActor, Running, end::end_interrupted, run::Run, sources};
use crate::node::{Shared, settled_snapshot};

/// Fails what a crash interrupted and finds what waits; for the start of a node.
pub(crate) fn recover(kv: &dyn Kv, now: Instant) -> sanntid_store::Result<VecDeque<InstanceId>> {
    let snapshot = kv.snapshot()?;
    let mut waiting = VecDeque::new();
    let mut batch = WriteBatch::new();
    for (incarnation, id) in catalog::active_jobs(&*snapshot)? {
        let state = match catalog::tenant(&*snapshot, incarnation) {
            Err(sanntid_store::Error::Corrupt { detail }) => {
                // Its tenant is out of service; the others must not be for its sake.
                tracing::error!(job_id = %id, detail, "a job's tenant can't be read");
                continue;
            }
            read => read?,
        };
        let (Some(state), Some(mut job)) = (state, catalog::job(&*snapshot, incarnation, id)?)
        else {
            catalog::forget_active_job(&mut batch, incarnation, id);
            continue;
        };
        if job.status == JobStatus::Queued {
            if !waiting.contains(&state.instance) {
                waiting.push_back(state.instance);
            }
            continue;
        }
        tracing::warn!(instance_id = %state.instance, job_id = %id, "a refresh was interrupted");
        end_interrupted(&mut job, now);
        catalog::put_job(&mut batch, incarnation, &job);
        sources::note_end(&*snapshot, incarnation, &job, &mut batch)?;
        give_up_tables(&*snapshot, &mut batch, incarnation, id, now)?;
    }
    drop(snapshot);
    if !batch.is_empty() {
        kv.commit(batch)?;
    }
    Ok(waiting)
}

/// Starts jobs whenever there may be one to start.
pub(crate) async fn start_waiting(shared: Arc<Shared>) {
    loop {
        shared.refreshes.wake.notified().await;
        let on_disk = Arc::clone(&shared);
        let started = tokio::task::spawn_blocking(move || start_all(&on_disk));
        if let Err(error) = started.await {
            tracing::error!(%error, "jobs could not be started");
        }
    }
}

/// Gives up the tables that a job was filling.
pub(super) fn give_up_tables(
    snapshot: &dyn sanntid_store::Snapshot,
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    job: JobId,
    now: Instant,
) -> sanntid_store::Result<()> {
    for (table, state) in catalog::tables(snapshot, incarnation)? {
        if state == TableState::Loading(job) {
            catalog::give_up_table(batch, incarnation, table, now);
        }
    }
    Ok(())
}

fn start_all(shared: &Arc<Shared>) {
    let _not_cancelled_meanwhile = shared.refreshes.starting.lock();
    // Each instance is looked at once: one that can't be read must not keep others waiting.
    let round = shared.refreshes.state.lock().waiting.len();
    for _ in 0..round {
        let Some(id) = next(shared) else { return };
        match begin(shared, id) {
            Ok(Some(run)) => launch(shared, run),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(instance_id = %id, %error, "a refresh can't be started yet");
                shared.refreshes.state.lock().wait(id);
            }
        }
    }
}

/// Takes the next instance off the queue; whoever queues it from now on queues it anew.
fn next(shared: &Shared) -> Option<InstanceId> {
    let mut state = shared.refreshes.state.lock();
    if state.is_stopping || state.running.len() >= shared.refreshes.running_max {
        return None;
    }
    let is_free = |id: &InstanceId| !state.running.contains_key(id);
    let at = state.waiting.iter().position(is_free)?;
    state.waiting.remove(at)
}

/// Marks the oldest waiting job of an instance as running; `None` where none waits.
fn begin(shared: &Arc<Shared>, id: InstanceId) -> sanntid_store::Result<Option<Run>> {
    let snapshot = settled_snapshot(&*shared.kv)?;
    let Some(record) = catalog::instance(&*snapshot, id)? else {
        return Ok(None);
    };
    let incarnation = record.incarnation;
    let Some(state) = catalog::tenant(&*snapshot, incarnation)? else {
        return Ok(None);
    };
    let now = shared.clock.now();
    let mut batch = WriteBatch::new();
    let mut oldest = None;
    for job in catalog::active_jobs_of(&*snapshot, incarnation)? {
        let Some(mut job) = catalog::job(&*snapshot, incarnation, job)? else {
            continue;
        };
        if job.status == JobStatus::Queued {
            oldest = oldest.or(Some(job));
        } else {
            // Nothing of this instance runs: the store failed when this one began or ended.
            end_interrupted(&mut job, now);
            catalog::put_job(&mut batch, incarnation, &job);
            sources::note_end(&*snapshot, incarnation, &job, &mut batch)?;
            give_up_tables(&*snapshot, &mut batch, incarnation, job.id, now)?;
        }
    }
    drop(snapshot);
    if let Some(job) = &mut oldest {
        job.status = JobStatus::Running;
        job.started_at = Some(now);
        catalog::put_job(&mut batch, incarnation, job);
    }
    if !batch.is_empty() {
        shared.kv.commit(batch)?;
    }
    Ok(oldest.map(|job| {
        let limit = shared.config.refresh_time_max;
        let progress = Progress::new(job.id, Arc::clone(&shared.clock), limit);
        Run::new(Arc::clone(shared), &job, Arc::new(state), progress)
    }))
}

fn launch(shared: &Arc<Shared>, run: Run) {
    let mut state = shared.refreshes.state.lock();
    // There may be more jobs behind this one.
    state.wait(run.instance);
    let progress = Arc::clone(&run.progress);
    let job = run.job;
    state
        .running
        .insert(run.instance, Running { job, progress });
    drop(state);
    // Made here: where the thread is gone, dropping it frees the place.
    let actor = RefreshActor::new(Arc::clone(shared), run);
    shared.control.spawn_fn(move || {
        actor.start();
    });
}
