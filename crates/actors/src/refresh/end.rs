//! Owns how a job ends: its record, the rows that it could not use, what it leaves behind.
//!
//! Must not undo a switch: a job that has switched was successful, whatever came after.

use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{
    Error, ErrorCode, Incarnation, Instant, Job, JobId, JobKind, JobReport, JobStatus, StageName,
};

use super::{
    run::{Failure, Run, interrupted},
    sources,
    start::give_up_tables,
};
use crate::node::settled_snapshot;

/// Rejected rows that are written together.
const REJECTIONS_TOGETHER: usize = 1_000;

/// How a run came out.
#[derive(Clone)]
pub(crate) struct Outcome {
    status: JobStatus,
    report: Option<JobReport>,
    error: Option<Error>,
}

impl Outcome {
    /// Takes what a run gave.
    pub(crate) fn of(report: Result<JobReport, Failure>) -> Self {
        match report {
            Ok(report) => Self {
                status: JobStatus::Successful,
                report: Some(report),
                error: None,
            },
            Err(failure) => Self {
                status: failure.status(),
                report: None,
                error: Some(failure.into_error()),
            },
        }
    }
}

/// Writes how a job ended, and gives up what it loaded where nobody will use it.
///
/// It can be repeated.
pub(crate) fn write(run: &Run, outcome: Outcome) -> Result<(), Failure> {
    let kv = &*run.shared.kv;
    let incarnation = run.state.incarnation;
    // Whether the switch has happened must not be in doubt when tables are given up.
    let snapshot = settled_snapshot(kv)?;
    let is_ours = catalog::instance(&*snapshot, run.instance)?
        .is_some_and(|record| record.incarnation == incarnation);
    let job = catalog::job(&*snapshot, incarnation, run.job)?;
    let Some(mut job) = job.filter(|job| is_ours && !job.status.is_ended()) else {
        // The instance was deleted or reset meanwhile, and its jobs went with it.
        return Ok(());
    };
    let now = run.shared.clock.now();
    if outcome.report.is_none() && job.report.is_some() {
        tracing::warn!(error = ?outcome.error, "a refresh has switched, but its effect is unknown");
        run.progress.done(StageName::ProfileStore);
        end_interrupted(&mut job, now);
    } else {
        job.status = outcome.status;
        job.report = outcome.report;
        job.error = outcome.error;
        job.ended_at = Some(now);
    }
    job.stages = run.progress.stages();
    let mut batch = WriteBatch::new();
    // Tables that the switch has made current are not among these.
    give_up_tables(&*snapshot, &mut batch, incarnation, run.job, now)?;
    sources::note_end(&*snapshot, incarnation, &job, &mut batch)?;
    drop(snapshot);
    put_rejections(run, incarnation, run.job)?;
    catalog::put_job(&mut batch, incarnation, &job);
    kv.commit(batch)?;
    if let JobKind::Upload(upload) = job.kind {
        run.shared.remove_files(incarnation, upload);
    }
    tracing::info!(
        instance_id = %run.instance, job_id = %run.job, status = ?job.status, "a refresh has ended"
    );
    Ok(())
}

/// Ends a job that nobody runs any more. One that has switched was successful all the same.
pub(crate) fn end_interrupted(job: &mut Job, now: Instant) {
    job.ended_at = Some(now);
    if job.report.is_some() {
        let text = "interrupted after the switch: the effect on real-time data was not counted";
        job.status = JobStatus::Successful;
        job.error = Some(Error::new(ErrorCode::Interrupted, text));
    } else {
        job.status = JobStatus::Failed;
        job.error = Some(interrupted());
    }
}

/// Writes the rows that could not be used; they become durable with the job's end.
fn put_rejections(run: &Run, incarnation: Incarnation, job: JobId) -> Result<(), Failure> {
    let rejections = run.rejections.lock();
    let mut number = 0;
    for together in rejections.kept().chunks(REJECTIONS_TOGETHER) {
        let mut batch = WriteBatch::new();
        for rejection in together {
            catalog::put_rejection(&mut batch, incarnation, job, number, rejection);
            number += 1;
        }
        run.shared.kv.load(batch)?;
    }
    Ok(())
}
