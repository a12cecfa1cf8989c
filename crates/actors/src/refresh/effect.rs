//! Owns counting what a switch did to real-time data (rules 6.8), from one snapshot after it.

use sanntid_engine::{OverlayEffect, StoredActivity, View, overlay_effect, owner_profile};
use sanntid_store::TenantView;
use sanntid_types::JobReport;

use super::{
    run::{Failure, Run},
    switch::{Around, Switched},
};

/// Completes the report of a switch.
pub(crate) fn count(run: &Run, switched: Switched) -> Result<JobReport, Failure> {
    let Switched { around, mut report } = switched;
    let stage = sanntid_types::StageName::ProfileStore;
    tracing::debug!(job_id = %run.job, ?stage, "a switch is done");
    let view = TenantView::of(run.shared.kv.snapshot()?, &around.after);
    let now = around.at;
    run.shared.note_cleared(&around.after);
    let mut effect = OverlayEffect::default();
    for overlay in view.overlays() {
        effect += overlay_effect(&around.before, &around.after, &overlay?.1, now);
    }
    report.overlay_fields_cleared = effect.cleared;
    report.overlay_fields_kept = effect.kept;
    for stored in view.realtime_activities() {
        let stored = stored?;
        if stored.expires_at > now {
            report.activities_superseded += u64::from(is_superseded(&view, &around, &stored)?);
            report.activities_attached += u64::from(is_attached(&view, &around, &stored)?);
        }
    }
    Ok(report)
}

/// Whether the new generation, and not the one before, brings an activity of this id.
fn is_superseded(
    view: &dyn View,
    around: &Around,
    stored: &StoredActivity,
) -> Result<bool, Failure> {
    let brings = |table: Option<sanntid_types::TableId>| match table {
        Some(table) => Ok(view.source_activity(table, &stored.activity.id)?.is_some()),
        None => Ok::<_, Failure>(false),
    };
    Ok(brings(around.after.timeline)? && !brings(around.before.timeline)?)
}

/// Whether its customer is known now and was not before.
fn is_attached(view: &dyn View, around: &Around, stored: &StoredActivity) -> Result<bool, Failure> {
    let known = |tenant| Ok::<_, Failure>(owner_profile(view, tenant, &stored.owner)?.is_some());
    Ok(known(&around.after)? && !known(&around.before)?)
}
