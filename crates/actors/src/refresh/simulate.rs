//! Owns simulated refreshes: the current generation once more, as of another instant (rules 6.9).
//!
//! Must not read a data source, nor change what was accepted: what is absorbed is copied, and the
//! originals stay until they are cleared or expire.

use std::{sync::Arc, time::Duration};

use sanntid_engine::{
    CallError, EntityTable, OverlayEffect, Switch, TenantState, cleared_fields, overlay_effect,
    profile,
};
use sanntid_store::{Snapshot, TenantView, catalog, records};
use sanntid_types::{
    Actor, CUSTOMER, ClearedField, DryRun, Error, ErrorCode, InstanceId, InstanceType, Instant,
    Job, JobKind, JobReport, Simulation, SimulationRequest, StageName,
};

use super::{
    absorb::{self, Absorption},
    load::{Plan, StoreView},
    new_job, noted,
    run::{Failure, Run},
};
use crate::{
    node::{Shared, not_found},
    outcome::refusal,
    tenant::Change,
};

/// Activities counted between two looks at the wish to stop.
const ACTIVITIES_TOGETHER: u64 = 2_000;
/// How many fields a dry run names.
const CLEARS_MAX: usize = 100;

/// Queues a simulation; from now on no write falls before its `as_of` (rules 2.2).
pub(crate) async fn submit(
    shared: &Arc<Shared>,
    instance: InstanceId,
    request: SimulationRequest,
    by: Actor,
) -> Result<Job, CallError> {
    request.check()?;
    if shared.record_of(instance)?.info.instance_type == InstanceType::Production {
        let text = "an instance of the type production takes no simulation but a dry run";
        return Err(Error::new(ErrorCode::InvalidArgument, text)
            .with_target("dryRun")
            .into());
    }
    let jobs_max = shared.config.jobs_queued_max;
    let queue = move |change: &mut Change<'_>| {
        let as_of = as_of(&change.state, &request, change.now)?;
        change.state.open_refresh(as_of);
        let simulation = Simulation {
            as_of,
            absorb: request.absorb,
            duration_secs: request.duration_secs,
        };
        let kind = JobKind::Simulate(simulation);
        let note = noted(&kind);
        let job = new_job(change, kind, jobs_max)?;
        change.note(by, note.about(job.id))?;
        Ok(job)
    };
    shared.change(instance, queue).await
}

/// Says what a simulation would do; changes nothing.
pub(crate) fn dry_run(
    shared: &Shared,
    instance: InstanceId,
    request: &SimulationRequest,
) -> Result<DryRun, CallError> {
    request.check()?;
    let snapshot = shared.kv.snapshot().map_err(|error| refusal(&error))?;
    // State and real-time data of one moment.
    let record = catalog::instance(&*snapshot, instance).map_err(|error| refusal(&error))?;
    let record = record.ok_or_else(|| not_found(instance))?;
    let state = catalog::tenant(&*snapshot, record.incarnation);
    let state = state.map_err(|error| refusal(&error))?;
    let state = state.ok_or_else(|| not_found(instance))?;
    let now = state.now(shared.clock.now());
    let as_of = as_of(&state, request, now)?;
    let report = present(&*snapshot, &state, as_of, || Ok(()));
    let mut report = report.map_err(Failure::into_error)?;
    let view = TenantView::of(snapshot, &state);
    let clears = would_clear(&view, &state, now, &mut report).map_err(Failure::into_error)?;
    if request.absorb {
        for found in absorb::activities(&view, &state, (as_of, now)) {
            found.map_err(Failure::into_error)?;
            report.activities += 1;
            report.activities_superseded += 1;
        }
    }
    Ok(DryRun { report, clears })
}

/// The instant that a request means, checked (rules 6.5).
fn as_of(state: &TenantState, request: &SimulationRequest, now: Instant) -> Result<Instant, Error> {
    if state.customer().is_none() {
        let text = "there is no generation to simulate with: load a snapshot first";
        return Err(Error::new(ErrorCode::InvalidArgument, text));
    }
    state.check_as_of(request.as_of.unwrap_or(now), now)
}

/// Counts what a switch would do to overlays, and names the first fields that it would clear.
fn would_clear(
    view: &StoreView,
    state: &TenantState,
    now: Instant,
    report: &mut JobReport,
) -> Result<Vec<ClearedField>, Failure> {
    let mut after = state.clone();
    after.switch(as_of_switch(state, report.as_of));
    let (mut effect, mut clears) = (OverlayEffect::default(), Vec::new());
    for overlay in view.overlays() {
        let (id, overlay) = overlay?;
        effect += overlay_effect(state, &after, &overlay, now);
        if clears.len() == CLEARS_MAX {
            continue;
        }
        for field in cleared_fields(state, &after, &overlay, now) {
            // Of a profile that is hidden at present, the id under which it was written.
            let shown = profile(view, state, now, &id)?.map(|found| found.id);
            clears.push(ClearedField {
                profile_id: shown.unwrap_or_else(|| id.clone()),
                field: field.to_owned(),
            });
            if clears.len() == CLEARS_MAX {
                break;
            }
        }
    }
    report.overlay_fields_cleared = effect.cleared;
    report.overlay_fields_kept = effect.kept;
    Ok(clears)
}

/// The current generation as one whose customers were read up to `as_of`.
fn as_of_switch(state: &TenantState, as_of: Instant) -> Switch {
    let at = |entity: &EntityTable| {
        let is_customer = entity.schema.name.as_str() == CUSTOMER;
        EntityTable {
            as_of: if is_customer { as_of } else { entity.as_of },
            ..entity.clone()
        }
    };
    Switch {
        entities: state.entities.iter().map(at).collect(),
        timeline: state.timeline,
        projected_with: state.projected_with.clone(),
        simulated: true,
    }
}

/// Counts what the current generation holds.
fn present(
    snapshot: &dyn Snapshot,
    state: &TenantState,
    as_of: Instant,
    go_on: impl Fn() -> Result<(), Failure>,
) -> Result<JobReport, Failure> {
    let (mut activities, mut in_timelines) = (0_u64, 0);
    if let Some(table) = state.timeline {
        for record in records(snapshot, state.incarnation, table) {
            let record = record?;
            if activities.is_multiple_of(ACTIVITIES_TOGETHER) {
                go_on()?;
            }
            activities += u64::from(record.is_activity());
            in_timelines += u64::from(record.is_in_timeline());
        }
    }
    Ok(JobReport {
        as_of,
        rows_read: 0,
        rows_rejected: 0,
        profiles: state.customer().map_or(0, |customer| customer.rows),
        activities: in_timelines,
        activities_unmatched: activities.saturating_sub(in_timelines),
        overlay_fields_cleared: 0,
        overlay_fields_kept: 0,
        activities_superseded: 0,
        activities_attached: 0,
        profiles_moved: 0,
        profiles_vanished: 0,
        generation: state.generation.next(),
    })
}

/// Makes the generation that a simulation switches to.
pub(crate) fn load(run: &Run, simulation: &Simulation) -> Result<Plan, Failure> {
    let now = run.state.now(run.shared.clock.now());
    let as_of = run.state.check_as_of(simulation.as_of, now)?;
    let snapshot = run.shared.kv.snapshot()?;
    let mut switch = as_of_switch(&run.state, as_of);
    let rows = run.state.customer().map(|customer| customer.rows);
    run.progress.begin(StageName::Ingestion, rows);
    let go_on = || run.progress.check().map_err(Failure::from);
    let mut report = present(&*snapshot, &run.state, as_of, go_on)?;
    let mut new_tables = Vec::new();
    if simulation.absorb {
        let view = TenantView::new(snapshot, run.state.incarnation);
        let mut absorption = Absorption::new(run, &view, (as_of, now));
        absorption.customers(&mut switch)?;
        run.progress.done(StageName::Ingestion);
        run.progress.begin(StageName::Activity, None);
        report.activities += absorption.activities(&mut switch)?;
        new_tables = absorption.finish()?;
    }
    for stage in StageName::ALL {
        if stage != StageName::ProfileStore {
            run.progress.done(stage);
        }
    }
    Ok(Plan {
        switch,
        new_tables,
        report,
        brings_data: true,
    })
}

/// Waits until a simulation has taken as long as it is to take; writes go on meanwhile.
pub(crate) async fn stretch(shared: &Arc<Shared>, run: &Run) -> Result<(), Failure> {
    let JobKind::Simulate(simulation) = &run.kind else {
        return Ok(());
    };
    let length = Duration::from_secs(u64::from(simulation.duration_secs));
    let until = run.begun_at.plus(length);
    let mut again = shared.refreshes.again.subscribe();
    loop {
        run.progress.check()?;
        if shared.clock.now() >= until || again.changed().await.is_err() {
            return Ok(());
        }
    }
}
