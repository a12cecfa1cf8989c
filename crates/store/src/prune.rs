//! Owns the background removal of old jobs with the rows that they rejected, within a budget.
//!
//! Must not touch a job that has not ended, nor the last one that brought data: that one says where
//! the current generation comes from. Correctness never depends on it.

use std::ops::Bound;

use bytes::Bytes;
use sanntid_types::{Incarnation, JobId, JobKind, JobStatus};

use crate::{
    catalog,
    error::Result,
    key::{Key, meta},
    kv::{Kv, Order, Snapshot, Space, WriteBatch, prefix_end},
};

/// Rejected rows that one step deletes, so that no commit waits long behind it.
const STEP_RECORDS_MAX: usize = 4096;

/// Removes the jobs of living instances that are too many, a budget at a time.
///
/// Goes from one instance to the next and remembers where it is; one that remembers nothing starts
/// from the front and does the same.
#[derive(Debug, Default)]
pub struct Pruner {
    /// The instances up to this one are done, in this round.
    after: Option<Incarnation>,
}

/// The jobs of one instance, oldest first.
struct Jobs {
    of: Incarnation,
    ids: Vec<JobId>,
}

impl Pruner {
    /// Looks at about `budget_records` jobs and removes about as many records: of each instance what
    /// is older than its newest `kept` jobs.
    ///
    /// Says whether more is due in this round.
    ///
    /// # Errors
    /// As for [`Kv::commit`]; it can be called again.
    pub fn prune(&mut self, kv: &dyn Kv, kept: usize, budget_records: usize) -> Result<bool> {
        // Two budgets: looking at many jobs must not keep any of them from being removed.
        let (mut to_look, mut to_remove) = (budget_records, budget_records);
        while to_look > 0 && to_remove > 0 {
            let snapshot = kv.snapshot()?;
            let Some(jobs) = next_jobs(&*snapshot, self.after)? else {
                self.after = None;
                return Ok(false);
            };
            to_look = to_look.saturating_sub(jobs.ids.len());
            let old = old_jobs(&*snapshot, &jobs, kept)?;
            drop(snapshot);
            for job in old {
                if !remove(kv, jobs.of, job, &mut to_remove)? {
                    return Ok(true);
                }
            }
            self.after = Some(jobs.of);
        }
        Ok(true)
    }
}

/// The jobs of the first instance behind `after` that has any.
fn next_jobs(snapshot: &dyn Snapshot, after: Option<Incarnation>) -> Result<Option<Jobs>> {
    let all = Key::meta(meta::JOB).into_bytes();
    let from = match after {
        Some(after) => prefix_end(Key::of_tenant(meta::JOB, after).as_bytes()),
        None => Some(all.to_vec()),
    };
    let (Some(from), Some(end)) = (from, prefix_end(&all)) else {
        return Ok(None);
    };
    let (lower, upper) = (Bound::Included(&*from), Bound::Excluded(&*end));
    let mut found: Option<Jobs> = None;
    for entry in snapshot.range(Space::Meta, lower, upper, Order::Ascending) {
        let (of, id) = catalog::job_key(&entry?.0)?;
        let jobs = found.get_or_insert_with(|| Jobs {
            of,
            ids: Vec::new(),
        });
        if jobs.of != of {
            break;
        }
        jobs.ids.push(id);
    }
    Ok(found)
}

/// Those of them that may go.
fn old_jobs(snapshot: &dyn Snapshot, jobs: &Jobs, kept: usize) -> Result<Vec<JobId>> {
    let old = jobs.ids.len().saturating_sub(kept);
    if old == 0 {
        return Ok(Vec::new());
    }
    let last_good = last_good(snapshot, jobs.of)?;
    let mut may_go = Vec::new();
    for id in jobs.ids.iter().take(old) {
        let job = catalog::job(snapshot, jobs.of, *id)?;
        let has_ended = job.is_some_and(|job| job.status.is_ended());
        if has_ended && Some(*id) != last_good {
            may_go.push(*id);
        }
    }
    Ok(may_go)
}

/// The newest job that brought data.
fn last_good(snapshot: &dyn Snapshot, of: Incarnation) -> Result<Option<JobId>> {
    for job in catalog::jobs(snapshot, of) {
        let job = job?;
        if job.status == JobStatus::Successful && job.kind != JobKind::Reproject {
            return Ok(Some(job.id));
        }
    }
    Ok(None)
}

/// Removes a job, its rows first; says whether it is gone.
fn remove(kv: &dyn Kv, of: Incarnation, job: JobId, budget: &mut usize) -> Result<bool> {
    let lower: Bytes = Key::job(meta::REJECTION, of, job).into_bytes();
    let Some(upper) = prefix_end(&lower) else {
        return Ok(true);
    };
    loop {
        let records = STEP_RECORDS_MAX.min(*budget);
        if records == 0 {
            return Ok(false);
        }
        let progress = kv.delete_range_step(Space::Meta, &lower, &upper, records)?;
        *budget = budget.saturating_sub(progress.deleted);
        if progress.done {
            break;
        }
    }
    let mut batch = WriteBatch::new();
    catalog::remove_job(&mut batch, of, job);
    kv.commit(batch)?;
    *budget = budget.saturating_sub(1);
    Ok(true)
}
