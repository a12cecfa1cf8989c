//! Owns the records of jobs, the list of those that have not ended, and the rows they rejected.
//!
//! Must not decide which job runs.

use std::collections::BTreeSet;

use sanntid_types::{Incarnation, Job, JobId, RowRejection};

use super::{dropped, get_json, json_under, number_at, put_json};
use crate::{
    codec,
    error::Result,
    key::{Key, meta},
    kv::{Order, Snapshot, Space, WriteBatch},
};

/// Reads one job.
pub fn job(snapshot: &dyn Snapshot, incarnation: Incarnation, id: JobId) -> Result<Option<Job>> {
    get_json(snapshot, &Key::job(meta::JOB, incarnation, id))
}

/// Reads jobs, newest first.
pub fn jobs(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> impl Iterator<Item = Result<Job>> + '_ {
    let prefix = Key::of_tenant(meta::JOB, incarnation);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Descending);
    entries.map(|entry| codec::read_json(&entry?.1))
}

/// Writes one job. Ids are version 7, so that later jobs stand behind earlier ones.
pub fn put_job(batch: &mut WriteBatch, incarnation: Incarnation, job: &Job) {
    put_json(batch, Key::job(meta::JOB, incarnation, job.id), job);
    let active = Key::job(meta::ACTIVE_JOB, incarnation, job.id).into_bytes();
    if job.status.is_ended() {
        batch.delete(Space::Meta, active);
    } else {
        batch.put(Space::Meta, active, Vec::new());
    }
}

/// Removes a job that has ended; its rejected rows are removed before it.
pub(crate) fn remove_job(batch: &mut WriteBatch, incarnation: Incarnation, job: JobId) {
    let key = Key::job(meta::JOB, incarnation, job);
    batch.delete(Space::Meta, key.into_bytes());
}

/// Reads whose job a key names, and which.
pub(crate) fn job_key(key: &[u8]) -> Result<(Incarnation, JobId)> {
    let id = key.get(9..).and_then(|id| uuid::Uuid::from_slice(id).ok());
    let id = id.ok_or_else(|| codec::corrupt("a job's key is cut off"))?;
    Ok((Incarnation(number_at(key, 1)?), JobId(id)))
}

/// Takes a job off the list of those that have not ended, whatever it says itself.
pub fn forget_active_job(batch: &mut WriteBatch, incarnation: Incarnation, job: JobId) {
    batch.delete(
        Space::Meta,
        Key::job(meta::ACTIVE_JOB, incarnation, job).into_bytes(),
    );
}

/// The jobs of all tenants that have not ended, in the order of their tenants and ids.
///
/// A job ends with the life that it belongs to.
pub fn active_jobs(snapshot: &dyn Snapshot) -> Result<Vec<(Incarnation, JobId)>> {
    active_under(snapshot, &Key::meta(meta::ACTIVE_JOB))
}

/// The jobs of one tenant that have not ended, oldest first.
pub fn active_jobs_of(snapshot: &dyn Snapshot, incarnation: Incarnation) -> Result<Vec<JobId>> {
    let found = active_under(snapshot, &Key::of_tenant(meta::ACTIVE_JOB, incarnation))?;
    Ok(found.into_iter().map(|(_, job)| job).collect())
}

/// Reads rejected rows of a job in the order in which they were met.
pub fn rejections(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    job: JobId,
) -> impl Iterator<Item = Result<RowRejection>> + '_ {
    json_under(snapshot, &Key::job(meta::REJECTION, incarnation, job))
}

/// Writes the `number`-th rejected row of a job.
pub fn put_rejection(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    job: JobId,
    number: u64,
    rejection: &RowRejection,
) {
    put_json(
        batch,
        Key::job(meta::REJECTION, incarnation, job).number(number),
        rejection,
    );
}

fn active_under(snapshot: &dyn Snapshot, prefix: &Key) -> Result<Vec<(Incarnation, JobId)>> {
    let ended: BTreeSet<Incarnation> = dropped(snapshot)?
        .into_iter()
        .map(|(life, _)| life)
        .collect();
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    let jobs = entries.map(|entry| job_key(&entry?.0));
    let is_active = |job: &Result<(Incarnation, JobId)>| match job {
        Ok((life, _)) => !ended.contains(life),
        Err(_) => true,
    };
    jobs.filter(is_active).collect()
}
