//! How the workflow of an instance stands and what it did: stages as published nodes and tasks.
//! Owns how the kept jobs become the state of each stage. Must not change jobs.

use actix_web::HttpRequest;
use actix_web::web::Data;
use sanntid_types::{Error, Instant, Job, JobId, JobKind, JobStatus, StageName};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::job_model::{CiResult, GraphTaskInfo, tasks};
use crate::query::Query;
use crate::reply::{Reply, ok};
use crate::request::{Instance, check_workflow};
use crate::server::Shared;

/// How many of the newest jobs are looked at.
const JOBS_LOOKED_AT: usize = 1_000;
const TASKS_DEFAULT: usize = 100;
const TASKS_MAX: usize = 1_000;

/// What a re-projection runs: it reads nothing anew.
const OF_REPROJECTION: [StageName; 3] = [
    StageName::Activity,
    StageName::Search,
    StageName::ProfileStore,
];

/// One stage of the workflow with its newest run.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphNodeInfo {
    #[schema(value_type = String, example = "ingestion")]
    operation_type: StageName,
    #[schema(value_type = String, example = "ingestion")]
    identifier: StageName,
    /// The job of the newest run.
    #[schema(value_type = Vec<String>)]
    job_ids: [JobId; 1],
    #[schema(value_type = String, example = "successful")]
    task_status: JobStatus,
    /// The job whose run of this stage was the last that ended well.
    #[schema(value_type = Vec<String>)]
    last_success_job_ids: Vec<JobId>,
    /// When the job of the newest run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    end_timestamp: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_successful_timestamp: Option<Instant>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ci_error: Option<CiResult>,
}

/// Show how each stage of the workflow stands.
///
/// A stage shows the job that runs, else the one that waits, else the last that ended. One of which
/// no kept job tells is left out, so before the first job there is none.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/status",
    operation_id = "get_workflow_status",
    tag = "Jobs",
    responses((status = 200, description = "The stages, in the order in which they run", body = Vec<GraphNodeInfo>))
)]
pub(crate) async fn status(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let jobs = shared.tenants.jobs(instance.0, JOBS_LOOKED_AT).await?;
    let nodes = StageName::ALL.into_iter();
    let nodes = nodes.filter_map(|stage| node(&jobs, stage));
    ok(&nodes.collect::<Vec<_>>())
}

/// List the tasks that jobs have run, newest first.
///
/// A job of which no stage is known, as one that a crash interrupted, is one task of its own.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/history",
    operation_id = "get_list_of_workflow_task_information_history",
    tag = "Jobs",
    params(("top" = Option<u32>, Query, description = "How many, 1 to 1000; by default 100", example = 100)),
    responses((status = 200, description = "The tasks that have begun", body = Vec<GraphTaskInfo>))
)]
pub(crate) async fn history(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    check_workflow(&request)?;
    let top = query.number("top", 1..=TASKS_MAX)?.unwrap_or(TASKS_DEFAULT);
    query.finish()?;
    // Each job that has begun gives a task at least.
    let jobs = shared.tenants.jobs(instance.0, JOBS_LOOKED_AT).await?;
    let begun = jobs.iter().filter(|job| job.status != JobStatus::Queued);
    let tasks = begun.flat_map(|job| tasks(job).into_iter().rev());
    let tasks = tasks.filter(GraphTaskInfo::has_begun).take(top);
    ok(&tasks.collect::<Vec<_>>())
}

/// How a stage stands by the jobs, newest first; `None` where none of them runs it.
fn node(jobs: &[Job], stage: StageName) -> Option<GraphNodeInfo> {
    let runs = jobs.iter().filter(|job| has_stage(job, stage));
    let newest_with = |status| runs.clone().find(|job| job.status == status);
    // Of those that wait, the next one is the oldest.
    let waiting = || runs.clone().rfind(|job| job.status == JobStatus::Queued);
    let shown = newest_with(JobStatus::Running)
        .or_else(waiting)
        .or_else(|| runs.clone().next())?;
    let succeeded = runs.clone().find(|job| job.status == JobStatus::Successful);
    let status = status_of(shown, stage);
    let has_failed = status == JobStatus::Failed;
    let error: Option<&Error> = shown.error.as_ref().filter(|_| has_failed);
    Some(GraphNodeInfo {
        operation_type: stage,
        identifier: stage,
        job_ids: [shown.id],
        task_status: status,
        last_success_job_ids: succeeded.map(|job| job.id).into_iter().collect(),
        end_timestamp: shown.ended_at,
        last_successful_timestamp: succeeded.and_then(|job| job.ended_at),
        ci_error: error.map(CiResult::from),
    })
}

fn has_stage(job: &Job, stage: StageName) -> bool {
    job.kind != JobKind::Reproject || OF_REPROJECTION.contains(&stage)
}

/// The status of one stage; of a job that waits, or whose stages are not known, the job's.
fn status_of(job: &Job, stage: StageName) -> JobStatus {
    let mut stages = job.stages.iter();
    let found = stages.find(|known| known.name == stage);
    found.map_or(job.status, |known| known.status)
}

#[cfg(test)]
mod tests {
    use sanntid_types::{ErrorCode, JobSubmission, RefreshRequest, Stage};

    use super::*;

    fn job(number: u128, kind: JobKind, status: JobStatus, stages: &[JobStatus]) -> Job {
        let stages = StageName::ALL.into_iter().zip(stages);
        Job {
            id: JobId(uuid::Uuid::from_u128(number)),
            kind,
            submission: JobSubmission::OnDemand,
            status,
            submitted_at: Instant::MIN,
            started_at: None,
            ended_at: status.is_ended().then_some(Instant::MAX),
            stages: stages
                .map(|(name, status)| Stage {
                    name,
                    status: *status,
                    rows: 0,
                    rows_total: None,
                    duration_ms: 0,
                })
                .collect(),
            report: None,
            error: (status == JobStatus::Failed)
                .then(|| Error::new(ErrorCode::Interrupted, "interrupted")),
        }
    }

    /// The job that is shown for a stage, its status there, and the job that succeeded last.
    fn shown(jobs: &[Job], stage: StageName) -> Option<(u128, JobStatus, Option<u128>)> {
        let node = node(jobs, stage)?;
        let last = node.last_success_job_ids.first();
        assert_eq!(
            node.ci_error.is_some(),
            node.task_status == JobStatus::Failed
        );
        Some((
            node.job_ids[0].0.as_u128(),
            node.task_status,
            last.map(|job| job.0.as_u128()),
        ))
    }

    #[test]
    fn a_stage_shows_what_runs_then_what_waits_then_what_ended() {
        use JobStatus::{Aborted, Failed, Queued, Running, Skipped, Successful};
        let refresh = || JobKind::Refresh(RefreshRequest::default());
        let good = || job(1, refresh(), Successful, &[Successful; 6]);
        let bad = || job(2, refresh(), Failed, &[Successful, Failed, Skipped]);
        let crashed = || job(3, refresh(), Failed, &[]);
        let remade = || job(4, JobKind::Reproject, Successful, &[Successful; 6]);
        let running = || job(5, refresh(), Running, &[Successful, Running, Queued]);
        let waiting = |number| job(number, refresh(), Queued, &[]);
        let (ingestion, map, search) = (StageName::Ingestion, StageName::Map, StageName::Search);
        for (jobs, stage, expected) in [
            (vec![], ingestion, None),
            (vec![remade()], ingestion, None),
            (vec![remade()], search, Some((4, Successful, Some(4)))),
            (vec![good()], map, Some((1, Successful, Some(1)))),
            (
                vec![bad(), good()],
                ingestion,
                Some((2, Successful, Some(1))),
            ),
            (vec![bad(), good()], map, Some((2, Failed, Some(1)))),
            (vec![crashed(), good()], map, Some((3, Failed, Some(1)))),
            (vec![remade(), bad()], map, Some((2, Failed, None))),
            (vec![running(), good()], map, Some((5, Running, Some(1)))),
            (vec![running()], StageName::Merge, Some((5, Queued, None))),
            (
                vec![waiting(7), waiting(6), running()],
                map,
                Some((5, Running, None)),
            ),
            (
                vec![waiting(7), waiting(6), good()],
                map,
                Some((6, Queued, Some(1))),
            ),
            (
                vec![job(8, refresh(), Aborted, &[])],
                map,
                Some((8, Aborted, None)),
            ),
        ] {
            let ids: Vec<u128> = jobs.iter().map(|job| job.id.0.as_u128()).collect();
            assert_eq!(shown(&jobs, stage), expected, "{ids:?} {stage:?}");
        }
    }
}
