//! Owns cancelling jobs: one that waits ends at once, one that runs as soon as it notices.

use std::sync::Arc;

use sanntid_engine::CallError;
use sanntid_store::{
    WriteBatch,
    catalog::{self, AuditLogNumber},
};
use sanntid_types::{Actor, AuditNote, Error, ErrorCode, InstanceId, Job, JobId, JobStatus};

use super::{find_job, shown};
use crate::{audit, node::Shared, outcome::call_error};

/// Cancels a job and gives it as it ended; of an ended one it changes nothing.
pub(crate) async fn cancel(
    shared: &Arc<Shared>,
    id: InstanceId,
    job: JobId,
    by: Actor,
) -> Result<Job, CallError> {
    let mut ended = shared.refreshes.ended.subscribe();
    let incarnation = shared.record_of(id)?.incarnation;
    let found = shared
        .aside(move |shared| cancel_here(shared, id, job, by))
        .await?;
    if found.status.is_ended() {
        return Ok(found);
    }
    while shared.refreshes.progress(id, job).is_some() {
        if ended.changed().await.is_err() {
            break;
        }
    }
    let found = find_job(shared, incarnation, job)?;
    Ok(shown(shared, id, found))
}

fn cancel_here(shared: &Shared, id: InstanceId, job: JobId, by: Actor) -> Result<Job, CallError> {
    let not_started_meanwhile = shared.refreshes.starting.lock();
    let record = shared.record_of(id)?;
    let mut found = find_job(shared, record.incarnation, job)?;
    let now = shared.clock.now();
    let mut batch = WriteBatch::new();
    let log = AuditLogNumber::of(&record);
    audit::done(&mut batch, log, now, by, AuditNote::of(job));
    if found.status != JobStatus::Queued {
        if let Some(progress) = shared.refreshes.progress(id, job) {
            progress.cancel();
            // One that waits must look at once.
            shared.refreshes.again.send_replace(());
        }
        drop(not_started_meanwhile);
        // The wish is not kept waiting for its record: the store may be busy with this very job.
        let committed = shared.kv.commit(batch);
        committed.map_err(|error| call_error(&error))?;
        return Ok(found);
    }
    found.status = JobStatus::Aborted;
    found.ended_at = Some(now);
    found.error = Some(Error::new(
        ErrorCode::Cancelled,
        "the job was cancelled before it ran",
    ));
    catalog::put_job(&mut batch, record.incarnation, &found);
    let committed = shared.kv.commit(batch);
    committed.map_err(|error| call_error(&error))?;
    Ok(found)
}
