//! Refresh jobs: submitted, listed, watched, cancelled. Owns the published requests.

use std::collections::BTreeSet;

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_engine::JobRequest;
use sanntid_types::{DataSourceId, Error, ErrorCode, JobId, RefreshRequest};
use serde::Deserialize;
use serde::de::IgnoredAny;
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::job_model::GraphJobInfo;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance, check_workflow};
use crate::schemas;
use crate::server::Shared;

const JOBS_DEFAULT: usize = 20;
const JOBS_MAX: usize = 100;
const REJECTIONS_DEFAULT: usize = 100;
const REJECTIONS_MAX: usize = 1000;

/// Published operation types of the batch pipeline, which delivers snapshots and is not here.
const PIPELINE_OPERATIONS: [&str; 27] = [
    "derivedEntity",
    "hierarchy",
    "dataPreparation",
    "map",
    "realtimeM3Search",
    "match",
    "merge",
    "profileStore",
    "search",
    "contact",
    "attributeMeasures",
    "entityMeasures",
    "measures",
    "segmentation",
    "segmentMembership",
    "enrichment",
    "preEnrichment",
    "transform",
    "intelligence",
    "aiBuilder",
    "insights",
    "export",
    "modelManagement",
    "relationship",
    "roleAssignment",
    "analysis",
    "semanticEntity",
];

/// Asks for a job. Further published fields are accepted and mean nothing here.
#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub(crate) struct OnDemandJobRequest {
    /// `all` or `ingestion` refresh from the data sources, `activity` makes the timeline anew.
    #[schema(example = "all")]
    operation_type: Option<String>,
    identifiers: Option<Vec<String>>,
    force_run_requested: Option<bool>,
    #[serde(rename = "graphName")]
    #[schema(ignore)]
    _graph_name: Option<IgnoredAny>,
    #[serde(rename = "submissionKind")]
    #[schema(ignore)]
    _submission_kind: Option<IgnoredAny>,
    #[serde(rename = "jobType")]
    #[schema(ignore)]
    _job_type: Option<IgnoredAny>,
    #[serde(rename = "inputRefreshMode")]
    #[schema(ignore)]
    _input_refresh_mode: Option<IgnoredAny>,
    #[serde(rename = "options")]
    #[schema(ignore)]
    _options: Option<IgnoredAny>,
}

/// Submit a job.
///
/// A request equal to one that waits or runs joins it and answers the same job. The query options
/// and the body say the same; the options win.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/workflows/{workflowName}/jobs",
    operation_id = "submit_a_workflow_job",
    tag = "Jobs",
    params(
        ("operationType" = Option<String>, Query, description = "`all`, `ingestion` or `activity`", example = "all"),
        ("identifiers" = Option<Vec<String>>, Query, description = "Data sources; without any, all"),
        ("forceRunRequested" = Option<bool>, Query, description = "Run even where nothing has changed"),
    ),
    request_body(content = Option<OnDemandJobRequest>, example = json!({"operationType": "all"})),
    responses((status = 200, description = "The job", body = GraphJobInfo))
)]
pub(crate) async fn submit(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    mut query: Query,
    payload: Payload,
) -> Reply {
    check_workflow(&request)?;
    let operation = query.option("operationType")?;
    let identifiers = query.all("identifiers");
    let forced = query.flag("forceRunRequested")?;
    query.finish()?;
    let asked = if body::is_sent(request.headers()) {
        let body = body::read_default(&request, payload, &shared).await?;
        body::parse(&body)?
    } else {
        OnDemandJobRequest::default()
    };
    let operation = operation.or(asked.operation_type);
    let identifiers = match identifiers.is_empty() {
        true => asked.identifiers.unwrap_or_default(),
        false => identifiers,
    };
    let refresh = RefreshRequest {
        sources: sources(&identifiers)?,
        forced: forced.or(asked.force_run_requested).unwrap_or(false),
    };
    let wanted = job_request(operation.as_deref().unwrap_or("all"), refresh)?;
    let by = caller.actor(&request);
    let job = shared.tenants.submit_job(instance.0, wanted, by).await?;
    ok(&GraphJobInfo::new(job, true))
}

/// Reads ids of data sources: sorted, each once.
pub(crate) fn sources(identifiers: &[String]) -> Result<Vec<DataSourceId>, Error> {
    let read = |text: &String| {
        DataSourceId::parse(text).ok_or_else(|| {
            let message = format!("there is no data source {}: its id is a UUID", shown(text));
            Error::new(ErrorCode::DataSourceNotFound, message).with_target("identifiers")
        })
    };
    let read: Result<BTreeSet<DataSourceId>, Error> = identifiers.iter().map(read).collect();
    Ok(read?.into_iter().collect())
}

fn job_request(operation: &str, refresh: RefreshRequest) -> Result<JobRequest, Error> {
    match operation {
        "all" | "none" | "ingestion" => Ok(JobRequest::Refresh(refresh)),
        "activity" => Ok(JobRequest::Reproject),
        other if PIPELINE_OPERATIONS.contains(&other) => {
            let text = format!(
                "a job of the operation type {other} belongs to the batch pipeline that delivers \
                 snapshots: here are all, ingestion and activity"
            );
            Err(Error::new(ErrorCode::NotServed, text).with_target("operationType"))
        }
        other => {
            let text = format!(
                "the operation type {} is unknown: there are all, ingestion and activity",
                shown(other)
            );
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("operationType"))
        }
    }
}

/// List the recent jobs.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/jobs",
    operation_id = "get_list_of_recent_workflow_jobs",
    tag = "Jobs",
    params(
        ("top" = Option<u32>, Query, description = "How many, 1 to 100; by default 20", example = 20),
        ("includeTasks" = Option<bool>, Query, description = "With their tasks; by default so"),
    ),
    responses((status = 200, description = "Newest first", body = Vec<GraphJobInfo>))
)]
pub(crate) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    check_workflow(&request)?;
    let top = query.number("top", 1..=JOBS_MAX)?.unwrap_or(JOBS_DEFAULT);
    let with_tasks = query.flag("includeTasks")?.unwrap_or(true);
    query.finish()?;
    let jobs = shared.tenants.jobs(instance.0, top).await?;
    let jobs = jobs
        .into_iter()
        .map(|job| GraphJobInfo::new(job, with_tasks));
    ok(&jobs.collect::<Vec<_>>())
}

/// Show a job.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}",
    operation_id = "get_a_workflow_job_information",
    tag = "Jobs",
    params(("includeTasks" = Option<bool>, Query, description = "With its tasks; by default so")),
    responses((status = 200, description = "The job", body = GraphJobInfo))
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    check_workflow(&request)?;
    let with_tasks = query.flag("includeTasks")?.unwrap_or(true);
    query.finish()?;
    let job = shared.tenants.job(instance.0, job_id(&request)?).await?;
    ok(&GraphJobInfo::new(job, with_tasks))
}

/// Cancel a job.
///
/// Gives `aborted`; of a job that has ended it changes nothing.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/cancel",
    operation_id = "cancel_a_workflow_job",
    tag = "Jobs",
    responses((status = 200, description = "The job", body = GraphJobInfo))
)]
pub(crate) async fn cancel(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let (id, by) = (job_id(&request)?, caller.actor(&request));
    let job = shared.tenants.cancel_job(instance.0, id, by);
    ok(&GraphJobInfo::new(job.await?, true))
}

/// List the rows that a job could not use.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/jobs/{jobId}/rejections",
    operation_id = "get_job_rejections",
    tag = "Jobs",
    params(("top" = Option<u32>, Query, description = "How many, 1 to 1000; by default 100", example = 100)),
    responses((
        status = 200,
        description = "In the order in which the job met them",
        body = Vec<schemas::RowRejection>,
        example = json!([{
            "kind": "rejected", "entity": "Customer", "part": 1, "row": 17, "key": "c9",
            "column": "DateOfBirth", "reason": "\"n/a\" is no Edm.Date"
        }])
    ))
)]
pub(crate) async fn rejections(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    check_workflow(&request)?;
    let top = query.number("top", 1..=REJECTIONS_MAX)?;
    query.finish()?;
    let top = top.unwrap_or(REJECTIONS_DEFAULT);
    let rows = shared
        .tenants
        .job_rejections(instance.0, job_id(&request)?, top);
    ok(&rows.await?)
}

fn job_id(request: &HttpRequest) -> Result<JobId, Error> {
    let text = request::segment(request, "jobId")?;
    JobId::parse(&text).ok_or_else(|| {
        let message = format!("there is no job {}: its id is a UUID", shown(&text));
        Error::new(ErrorCode::JobNotFound, message)
    })
}
