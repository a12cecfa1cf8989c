//! Owns one running refresh: `RefreshActor` loads beside the current generation, asks the tenant
//! for the switch, counts its effect and ends the job.
//!
//! The work is done on a thread of its own; the actor waits for it, so that a panic there is seen.

use std::sync::Arc;

use actix::{
    Actor, ActorContext, AsyncContext, Context,
    fut::{ActorFutureExt, wrap_future},
};
use sanntid_engine::CallError;
use sanntid_store::{Loader, catalog};
use sanntid_types::{Error, ErrorCode, InstanceId, JobKind, JobReport, Retry, StageName};

use super::{
    apart, copy, effect,
    end::{self, Outcome},
    input,
    load::{self, Plan},
    run::{Failure, Run},
    simulate,
    sources::{self, Opened},
    switch::{self, Decided, Switched},
    timeline,
};
use crate::{node::Shared, tenant::Change};

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
    instance: InstanceId,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.refreshes.has_ended(self.instance);
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
    tracing::info!(instance_id = %run.instance, job_id = %run.job, "a refresh begins");
    let switched = to_switch(&shared, &run).await;
    let report = match switched {
        Ok(switched) => count(&run, switched).await,
        Err(failure) => {
            run.progress.fail(failure.status());
            Err(failure)
        }
    };
    let outcome = Outcome::of(report);
    let mut again = shared.refreshes.again.subscribe();
    loop {
        let (ending, outcome) = (Arc::clone(&run), outcome.clone());
        let ended = aside(move || end::write(&ending, outcome)).await;
        let Err(failure) = ended else { return };
        tracing::warn!(instance_id = %run.instance, ?failure, "the end of a refresh can't be stored");
        // Whoever starts the instance's next job, or the next start, finds it interrupted.
        if !failure.may_pass() || shared.refreshes.is_stopping() || again.changed().await.is_err() {
            return;
        }
    }
}

/// Counts what a switch did; what it did stays done, whether or not that can be counted.
async fn count(run: &Arc<Run>, switched: Switched) -> Result<JobReport, Failure> {
    let counting = Arc::clone(run);
    let counted = aside(move || effect::count(&counting, switched)).await;
    run.progress.done(StageName::ProfileStore);
    counted
}

async fn to_switch(shared: &Arc<Shared>, run: &Arc<Run>) -> Result<Switched, Failure> {
    let sources = Arc::new(open_sources(shared, run).await?);
    let opened = Arc::clone(&sources);
    let mut plan = Arc::new(apart::read(run, move |run| load_input(run, &opened)).await?);
    run.progress.begin(StageName::ProfileStore, None);
    simulate::stretch(shared, run).await?;
    let mut erasures = run.state.erasures;
    for _ in 0..=REPROJECTIONS_MAX {
        let (deciding, new, opened) = (Arc::clone(run), Arc::clone(&plan), Arc::clone(&sources));
        let decide = move |change: &mut Change<'_>| {
            sources::check(change, &opened)?;
            let decided = switch::decide(change, (&deciding.kind, deciding.job), &new, erasures)?;
            if let Decided::Switched(_) = decided {
                sources::note_loaded(change, &deciding.kind, &opened, &new);
            }
            Ok(decided)
        };
        match ask(shared, run, decide).await? {
            Decided::Switched(switched) => return Ok(*switched),
            Decided::ProjectAgain => {
                plan = Arc::new(project_again(shared, run, &plan).await?);
            }
            Decided::AbsorbAgain => {
                erasures = erasures_done(shared, run).await?;
                plan = Arc::new(absorb_again(shared, run, &plan).await?);
            }
        }
    }
    let text = "the activity configuration kept changing, or data kept being erased; nothing was \
                changed";
    Err(Error::new(ErrorCode::Interrupted, text).into())
}

/// Has the tenant decide. Where it can't at present, it is asked again at each round of upkeep:
/// what took hours to load must not be lost to a tenant that is just restarted.
async fn ask<T: Send + 'static>(
    shared: &Arc<Shared>,
    run: &Run,
    decide: impl Fn(&mut Change<'_>) -> Result<T, Error> + Clone + Send + 'static,
) -> Result<T, Failure> {
    let mut again = shared.refreshes.again.subscribe();
    loop {
        run.progress.check()?;
        match shared.change(run.instance, decide.clone()).await {
            Ok(answer) => return Ok(answer),
            Err(CallError::Refused(error)) if error.code.retry() == Retry::Later => {
                tracing::debug!(instance_id = %run.instance, %error, "a refresh waits");
                if again.changed().await.is_err() {
                    return Err(error.into());
                }
            }
            Err(CallError::Refused(error)) => return Err(error.into()),
            Err(CallError::Unknown) => {
                let text = "the switch met a failing disk: whether it happened shows after the \
                            store has recovered";
                return Err(Error::new(ErrorCode::StorePoisoned, text).into());
            }
        }
    }
}

/// Waits until no erasure is under way; says how many there have been.
async fn erasures_done(shared: &Arc<Shared>, run: &Run) -> Result<u64, Failure> {
    let mut again = shared.refreshes.again.subscribe();
    loop {
        let look = |change: &mut Change<'_>| {
            let state = &change.state;
            Ok((state.erasing.is_empty(), state.erasures))
        };
        let (are_done, erasures) = ask(shared, run, look).await?;
        if are_done || again.changed().await.is_err() {
            return Ok(erasures);
        }
        run.progress.check()?;
    }
}

/// Makes anew what of a loaded generation may hold erased data that a simulation takes, or took, in.
async fn absorb_again(shared: &Arc<Shared>, run: &Arc<Run>, plan: &Plan) -> Result<Plan, Failure> {
    if !matches!(run.kind, JobKind::Simulate(_)) {
        return project_again(shared, run, plan).await;
    }
    apart::read(run, |run| load_input(run, &[])).await
}

/// Opens the data sources that a job reads; no later write falls before what they have seen.
async fn open_sources(shared: &Arc<Shared>, run: &Arc<Run>) -> Result<Vec<Opened>, Failure> {
    let JobKind::Refresh(request) = &run.kind else {
        return Ok(Vec::new());
    };
    run.progress.begin(StageName::Ingestion, None);
    shared.refreshes.left_behind.check()?;
    let request = request.clone();
    let opened = apart::read(run, move |run| sources::open(run, &request)).await?;
    let entering = opened.clone();
    ask(shared, run, move |change| sources::enter(change, &entering)).await
}

fn load_input(run: &Run, sources: &[Opened]) -> Result<Plan, Failure> {
    let upload = match run.kind {
        JobKind::Upload(upload) => {
            let snapshot = run.shared.kv.snapshot()?;
            let record = catalog::upload(&*snapshot, run.state.incarnation, upload)?;
            let lost = || Error::new(ErrorCode::SnapshotNotFound, "the upload is gone");
            Some(record.ok_or_else(lost)?)
        }
        JobKind::Reproject => None,
        JobKind::Copy(source) => return copy::load(run, source),
        JobKind::Simulate(ref simulation) => return simulate::load(run, simulation),
        JobKind::Refresh(_) => return load::load(run, input::of_sources(sources)?),
        JobKind::Sources => {
            return Err(Error::new(ErrorCode::NotServed, "no source is configured").into());
        }
    };
    let now = run.shared.clock.now();
    let inputs = match &upload {
        Some(upload) => {
            run.state.check_as_of(upload.manifest.as_of, now)?;
            input::of_upload(run, upload)?
        }
        None => Vec::new(),
    };
    load::load(run, inputs)
}

/// Makes the timeline of a loaded generation anew, with the configuration as it is now.
async fn project_again(shared: &Arc<Shared>, run: &Arc<Run>, plan: &Plan) -> Result<Plan, Failure> {
    let look = |change: &mut Change<'_>| {
        let state = &change.state;
        Ok((state.incarnation, state.activities.clone()))
    };
    let (incarnation, configs) = ask(shared, run, look).await?;
    let mut plan = plan.clone();
    let run = Arc::clone(run);
    aside(move || {
        if incarnation != run.state.incarnation {
            return Err(switch::was_reset().into());
        }
        run.rejections.lock().forget_activities();
        let mut loader = Loader::new(&*run.shared.kv, incarnation);
        let built = timeline::build(&run, &mut loader, &configs, &plan.switch.entities)?;
        let absorbed_in = plan.switch.timeline.filter(|_| plan.switch.simulated);
        let built = match absorbed_in {
            Some(before) => {
                // A simulation and a copy take in what the current timeline does not hold.
                let takes_in = matches!(run.kind, JobKind::Simulate(_) | JobKind::Copy(_));
                let current = run.state.timeline.filter(|_| !takes_in);
                let from = (before, current);
                timeline::carry_absorbed(&run, &mut loader, from, built, |_| false)?
            }
            None => built,
        };
        run.settle(&mut loader)?;
        run.progress.done(StageName::Activity);
        if let Some(before) = plan.switch.timeline.replace(built.table) {
            plan.new_tables.retain(|table| *table != before);
        }
        plan.new_tables.push(built.table);
        plan.switch.projected_with = built.projected_with;
        plan.report.activities = built.matched;
        plan.report.activities_unmatched = built.unmatched;
        plan.report.rows_rejected = run.rejections.lock().rejected();
        Ok(plan)
    })
    .await
}

/// Runs blocking work aside; a panic there fails the refresh and nothing else.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(apart::panicked()),
    }
}
