//! Owns one running refresh: `RefreshActor` loads beside the current generation, asks the tenant
//! for the switch, counts its effect and ends the job.
//!
//! The work is done on a thread of its own; the actor waits for it, so that a panic there is seen.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, AsyncContext, Context,
    fut::{ActorFutureExt, wrap_future},
};
use sanntid_engine::{CallError, TenantState};
use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{Error, ErrorCode, Instant, Job, JobKind, JobReport, JobStatus, StageName};

use super::{
    effect,
    load::{self, Plan},
    run::{Failure, Rejections, Run, interrupted},
    switch::{self, Switched},
    timeline,
};
use crate::node::Shared;

/// How often the activity stage runs again because its configuration changed meanwhile.
const REPROJECTIONS_MAX: u32 = 3;

/// Runs one refresh and is gone with it.
pub(crate) struct RefreshActor {
    shared: Arc<Shared>,
    run: Option<Run>,
    /// Frees the instance for its next job, however this one ends.
    _place: Place,
}

struct Place {
    shared: Arc<Shared>,
    instance: sanntid_types::InstanceId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.refreshes.has_ended(self.instance);
        super::pump(&self.shared);
    }
}

impl RefreshActor {
    pub(crate) fn new(shared: Arc<Shared>, run: Run) -> Self {
        let place = Place {
            shared: Arc::clone(&shared),
            instance: run.instance,
        };
        Self {
            shared,
            run: Some(run),
            _place: place,
        }
    }
}

impl Actor for RefreshActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let Some(run) = self.run.take() else {
            return context.stop();
        };
        let done = wrap_future::<_, Self>(refresh(Arc::clone(&self.shared), Arc::new(run)));
        context.spawn(ActorFutureExt::map(done, |(), _, context| context.stop()));
    }
}

/// Runs a refresh to its end and writes how it ended.
async fn refresh(shared: Arc<Shared>, run: Arc<Run>) {
    let instance = run.instance;
    tracing::info!(instance_id = %instance, job_id = %run.job, "a refresh begins");
    let outcome = to_switch(&shared, &run).await;
    let report = match outcome {
        Ok(switched) => {
            let counting = Arc::clone(&run);
            let counted = aside(move || effect::count(&counting, switched)).await;
            run.progress.done(StageName::ProfileStore);
            counted
        }
        Err(failure) => {
            run.progress.fail(failure.status());
            Err(failure)
        }
    };
    let ending = Arc::clone(&run);
    let ended = aside(move || end(&ending, report)).await;
    if let Err(failure) = ended {
        // The record still says that it runs; the next start of the server will find it so.
        tracing::error!(instance_id = %instance, ?failure, "the end of a refresh can't be stored");
    }
}

async fn to_switch(shared: &Arc<Shared>, run: &Arc<Run>) -> Result<Switched, Failure> {
    let loading = Arc::clone(run);
    let mut plan = aside(move || load_upload(&loading)).await?;
    run.progress.begin(StageName::ProfileStore, None);
    for _ in 0..=REPROJECTIONS_MAX {
        run.progress.check()?;
        let (job, new) = (run.job, Arc::new(plan));
        let to_commit = Arc::clone(&new);
        let switched = shared
            .change(run.instance, move |change| {
                switch::decide(change, job, &to_commit)
            })
            .await;
        match switched {
            Ok(Some(switched)) => return Ok(switched),
            Ok(None) => {
                plan = Arc::try_unwrap(new).unwrap_or_else(|shared| (*shared).clone());
                plan = project_again(shared, run, plan).await?;
            }
            Err(CallError::Refused(error)) => return Err(error.into()),
            Err(CallError::Unknown) => {
                let text = "the switch met a failing disk: whether it happened shows after the \
                            store has recovered";
                return Err(Error::new(ErrorCode::StorePoisoned, text).into());
            }
        }
    }
    let text = "the activity configuration kept changing; nothing was changed";
    Err(Error::new(ErrorCode::Interrupted, text).into())
}

fn load_upload(run: &Run) -> Result<Plan, Failure> {
    let snapshot = run.shared.kv.snapshot()?;
    let incarnation = run.state.incarnation;
    let job = catalog::job(&*snapshot, incarnation, run.job)?;
    let upload = match job.map(|job| job.kind) {
        Some(JobKind::Upload(upload)) => {
            let record = catalog::upload(&*snapshot, incarnation, upload)?;
            let lost = || Error::new(ErrorCode::SnapshotNotFound, "the upload is gone");
            Some(record.ok_or_else(lost)?)
        }
        Some(JobKind::Reproject) => None,
        Some(JobKind::Sources) | None => {
            return Err(Error::new(ErrorCode::JobNotFound, "the job is gone").into());
        }
    };
    drop(snapshot);
    let now = run.shared.clock.now();
    if let Some(upload) = &upload {
        run.state.check_as_of(upload.manifest.as_of, now)?;
    }
    load::load(run, upload.as_ref())
}

/// Makes the timeline of a loaded generation anew, with the configuration as it is now.
async fn project_again(shared: &Arc<Shared>, run: &Arc<Run>, plan: Plan) -> Result<Plan, Failure> {
    let state = shared.tenant(run.instance).await?.published.state();
    let (shared, run) = (Arc::clone(shared), Arc::clone(run));
    aside(move || {
        let again = Run {
            shared: Arc::clone(&shared),
            instance: run.instance,
            job: run.job,
            state,
            progress: Arc::clone(&run.progress),
        };
        let mut plan = plan;
        let mut loader = sanntid_store::Loader::new(&*shared.kv, again.state.incarnation);
        let mut rejections = Rejections::new(&again);
        let built = timeline::build(&again, &mut loader, &plan.switch.entities, &mut rejections)?;
        rejections.flush()?;
        loader.finish()?;
        if let Some(before) = plan.switch.timeline.replace(built.table) {
            plan.new_tables.retain(|table| *table != before);
        }
        plan.new_tables.push(built.table);
        plan.switch.projected_with = built.projected_with;
        plan.report.activities = built.matched;
        plan.report.activities_unmatched = built.unmatched;
        Ok(plan)
    })
    .await
}

/// Writes how a job ended, and gives up what it loaded where nobody will use it.
fn end(run: &Run, report: Result<JobReport, Failure>) -> Result<(), Failure> {
    let kv = &*run.shared.kv;
    let incarnation = run.state.incarnation;
    let snapshot = kv.snapshot()?;
    let Some(mut job) = catalog::job(&*snapshot, incarnation, run.job)? else {
        return Ok(());
    };
    let is_ours = catalog::instance(&*snapshot, run.instance)?
        .is_some_and(|record| record.incarnation == incarnation);
    if !is_ours {
        // The instance was deleted or reset meanwhile; its jobs went with it.
        return Ok(());
    }
    let now = run.shared.clock.now();
    let mut batch = WriteBatch::new();
    job.stages = run.progress.stages();
    job.ended_at = Some(now);
    match report {
        Ok(report) => {
            job.status = JobStatus::Successful;
            job.report = Some(report);
        }
        Err(failure) if job.report.is_some() => {
            tracing::warn!(
                ?failure,
                "a refresh has switched, but its effect was not counted"
            );
            end_interrupted(&mut job, now);
        }
        Err(failure) => {
            job.status = failure.status();
            job.error = Some(failure.into_error());
        }
    }
    // Tables that the switch has made current are not among these.
    super::give_up_tables(&*snapshot, &mut batch, incarnation, run.job, now)?;
    drop(snapshot);
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

/// Runs blocking work aside; a panic there fails the refresh and nothing else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => {
            tracing::error!(%error, "a refresh has panicked");
            let text = "the refresh failed by a fault of the server; nothing was changed";
            Err(Error::new(ErrorCode::Internal, text).into())
        }
    }
}

/// The state of a tenant around its switch.
pub(crate) struct Around {
    pub(crate) before: TenantState,
    pub(crate) after: TenantState,
}
