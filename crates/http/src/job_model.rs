//! The published shapes of jobs and their tasks. Owns how a job's stages become tasks.

use sanntid_types::{
    Error, ErrorCode, Instant, Job, JobId, JobKind, JobReport, JobStatus, JobSubmission, Stage,
    StageName,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::status;

/// One job with how far it came.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphJobInfo {
    #[schema(value_type = String, format = "uuid")]
    job_id: JobId,
    #[schema(value_type = String, example = "full")]
    job_type: &'static str,
    #[schema(value_type = String, example = "onDemand")]
    job_submission_kind: JobSubmission,
    #[schema(value_type = String, example = "running")]
    job_status: JobStatus,
    #[schema(value_type = String, example = "all")]
    operation_type: &'static str,
    #[schema(value_type = String, format = "date-time")]
    submitted_timestamp: Instant,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    start_timestamp: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    end_timestamp: Option<Instant>,
    /// One per stage, in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<GraphTaskInfo>>,
    id_list: Vec<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    ci_error: Option<CiResult>,
    report: Report,
}

/// One stage of a job.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GraphTaskInfo {
    #[schema(value_type = String, format = "uuid")]
    task_id: uuid::Uuid,
    #[schema(value_type = String, example = "running")]
    task_status: JobStatus,
    #[schema(value_type = String, example = "ingestion")]
    operation_type: TaskOperation,
    #[schema(value_type = Vec<String>)]
    job_ids: [JobId; 1],
    /// When its job was submitted.
    #[schema(value_type = String, format = "date-time")]
    submitted_timestamp: Instant,
    /// When its job ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    end_timestamp: Option<Instant>,
    /// Rows done so far.
    rows: u64,
    /// Of how many, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ci_error: Option<CiResult>,
}

/// What a task does: a stage, or a whole job of which no stage is known.
#[derive(Serialize)]
#[serde(untagged)]
enum TaskOperation {
    Stage(StageName),
    Job(&'static str),
}

/// Why a job or a task failed.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CiResult {
    #[schema(value_type = String)]
    exception_culprit: &'static str,
    #[schema(value_type = String)]
    error_code: ErrorCode,
    #[schema(value_type = String)]
    result_severity: &'static str,
    message: String,
}

impl From<&Error> for CiResult {
    fn from(error: &Error) -> Self {
        let by_system = status(error.code).is_server_error();
        Self {
            exception_culprit: if by_system { "system" } else { "user" },
            error_code: error.code,
            result_severity: match error.code {
                ErrorCode::NothingChanged => "warning",
                _ => "error",
            },
            message: error.message.clone(),
        }
    }
}

/// What a job did; the counts stand there once it has ended well.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    #[schema(value_type = Vec<Object>)]
    stages: Vec<Stage>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    counts: Option<JobReport>,
}

impl GraphJobInfo {
    /// Describes a job, with or without its tasks.
    pub(crate) fn new(job: Job, with_tasks: bool) -> Self {
        let id_list = match &job.kind {
            JobKind::Refresh(request) => request.sources.iter().map(ToString::to_string).collect(),
            _ => Vec::new(),
        };
        let tasks = || job.stages.iter().map(|stage| task(&job, stage)).collect();
        Self {
            job_id: job.id,
            job_type: "full",
            job_submission_kind: job.submission,
            job_status: job.status,
            operation_type: operation_type(&job.kind),
            submitted_timestamp: job.submitted_at,
            start_timestamp: job.started_at,
            end_timestamp: job.ended_at,
            tasks: with_tasks.then(tasks),
            id_list,
            ci_error: job.error.as_ref().map(CiResult::from),
            report: Report {
                stages: job.stages,
                counts: job.report,
            },
        }
    }
}

/// The tasks of a job in order. A job of which no stage is known is one task.
pub(crate) fn tasks(job: &Job) -> Vec<GraphTaskInfo> {
    if job.stages.is_empty() {
        return vec![GraphTaskInfo {
            task_id: task_id(job.id, "job"),
            task_status: job.status,
            operation_type: TaskOperation::Job(operation_type(&job.kind)),
            job_ids: [job.id],
            submitted_timestamp: job.submitted_at,
            end_timestamp: job.ended_at,
            rows: 0,
            rows_total: None,
            ci_error: job.error.as_ref().map(CiResult::from),
        }];
    }
    job.stages.iter().map(|stage| task(job, stage)).collect()
}

impl GraphTaskInfo {
    /// Whether it does not only wait.
    pub(crate) fn has_begun(&self) -> bool {
        self.task_status != JobStatus::Queued
    }
}

fn operation_type(kind: &JobKind) -> &'static str {
    match kind {
        JobKind::Upload(_)
        | JobKind::Copy(_)
        | JobKind::Sources
        | JobKind::Refresh(_)
        | JobKind::Simulate(_) => "all",
        JobKind::Reproject => "activity",
    }
}

fn task(job: &Job, stage: &Stage) -> GraphTaskInfo {
    let failed = stage.status == JobStatus::Failed;
    GraphTaskInfo {
        task_id: task_id(job.id, &format!("{:?}", stage.name)),
        task_status: stage.status,
        operation_type: TaskOperation::Stage(stage.name),
        job_ids: [job.id],
        submitted_timestamp: job.submitted_at,
        end_timestamp: job.ended_at,
        rows: stage.rows,
        rows_total: stage.rows_total,
        ci_error: job.error.as_ref().filter(|_| failed).map(CiResult::from),
    }
}

/// The same id for the same stage of the same job, always.
fn task_id(job: JobId, stage: &str) -> uuid::Uuid {
    let mut hash = blake3::Hasher::new();
    hash.update(job.0.as_bytes());
    hash.update(stage.as_bytes());
    let mut id = [0; 16];
    hash.finalize_xof().fill(&mut id);
    uuid::Builder::from_custom_bytes(id).into_uuid()
}
