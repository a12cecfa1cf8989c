//! Owns the switch: the one durable step that makes a loaded generation current (rules 6.2).

use sanntid_engine::TenantState;
use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{Error, ErrorCode, Instant, JobId, JobKind, JobReport};

use super::load::Plan;
use crate::{outcome::refusal, tenant::Change};

/// The state of a tenant around its switch.
pub(crate) struct Around {
    pub(crate) before: TenantState,
    pub(crate) after: TenantState,
    pub(crate) at: Instant,
}

/// A switch that was decided; it is committed with the change that it belongs to.
pub(crate) struct Switched {
    pub(crate) around: Around,
    pub(crate) report: JobReport,
}

/// Says what becomes of a plan.
pub(crate) enum Decided {
    Switched(Box<Switched>),
    /// The timeline was made with another configuration.
    ProjectAgain,
    /// It may hold what was erased since.
    AbsorbAgain,
}

/// Decides about a switch to a plan that was made when there had been so many erasures.
pub(crate) fn decide(
    change: &mut Change<'_>,
    (kind, job): (&JobKind, JobId),
    plan: &Plan,
    erasures: u64,
) -> Result<Decided, Error> {
    let incarnation = change.state.incarnation;
    let found = catalog::job(change.snapshot, incarnation, job).map_err(|error| refusal(&error))?;
    let mut job = found.ok_or_else(was_reset)?;
    if !same_projection(change, plan) {
        return Ok(Decided::ProjectAgain);
    }
    // A copy takes in what another instance holds.
    let may_hold_erased = plan.switch.simulated && !matches!(kind, JobKind::Copy(_));
    if may_hold_erased && !change.state.is_free_of_erased(erasures) {
        return Ok(Decided::AbsorbAgain);
    }
    if plan.brings_data {
        change.state.check_as_of(plan.report.as_of, change.now)?;
    }
    let before = change.state.clone();
    change.state.switch(plan.switch.clone());
    let mut report = plan.report.clone();
    report.generation = change.state.generation;
    job.report = Some(report.clone());
    mark_tables(&mut change.batch, &before, plan, change.now);
    catalog::put_job(&mut change.batch, incarnation, &job);
    let around = Around {
        before,
        after: change.state.clone(),
        at: change.now,
    };
    Ok(Decided::Switched(Box::new(Switched { around, report })))
}

/// Says that the life in which a refresh ran has ended.
pub(crate) fn was_reset() -> Error {
    let text = "the instance was reset meanwhile; nothing was changed";
    Error::new(ErrorCode::JobNotFound, text)
}

/// Whether the present configuration projects rows as the plan's did.
fn same_projection(change: &Change<'_>, plan: &Plan) -> bool {
    let mut as_planned = change.state.clone();
    as_planned.entities.clone_from(&plan.switch.entities);
    as_planned
        .projected_with
        .clone_from(&plan.switch.projected_with);
    !sanntid_engine::needs_reprojection(&as_planned, &change.state.activities)
}

fn mark_tables(batch: &mut WriteBatch, before: &TenantState, plan: &Plan, now: Instant) {
    let incarnation = before.incarnation;
    for table in &plan.new_tables {
        catalog::put_table(batch, incarnation, *table, catalog::TableState::Live);
    }
    let stays = |table| {
        plan.switch
            .entities
            .iter()
            .any(|entity| entity.table == table)
    };
    let replaced = before
        .entities
        .iter()
        .map(|entity| entity.table)
        .filter(|table| !stays(*table));
    let timeline = before
        .timeline
        .filter(|table| plan.switch.timeline != Some(*table));
    for table in replaced.chain(timeline) {
        catalog::give_up_table(batch, incarnation, table, now);
    }
}
