//! Owns `sanntid refresh`: asks for a refresh from data sources and shows it until it has ended.

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use sanntid_types::JobStatus;

use super::{Context, snapshot};
use crate::cli::RefreshArgs;

pub(super) fn run(context: &Context, arguments: &RefreshArgs) -> anyhow::Result<()> {
    let instance = context.instance(&arguments.instance);
    let asked = instance.refresh(&arguments.source, arguments.force)?;
    let stages = ProgressBar::new_spinner();
    let waited = instance.wait_for_job(&asked.job_id, |job| {
        stages.set_message(snapshot::stage_of(job));
        stages.tick();
    });
    stages.finish_and_clear();
    let job = waited.context("the refresh goes on; sanntid jobs shows it")?;
    snapshot::show(context, &instance, &job)?;
    if !matches!(job.job_status, JobStatus::Successful | JobStatus::Skipped) {
        bail!("the refresh did not succeed");
    }
    Ok(())
}
