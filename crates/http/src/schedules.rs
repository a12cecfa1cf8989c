//! Refresh schedules: listed, made, forgotten. Owns their published shape.

use std::collections::BTreeSet;

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{
    DataSourceId, Error, ErrorCode, InstanceId, RefreshRequest, Schedule, ScheduleId,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::jobs::sources;
use crate::query::{Query, shown};
use crate::reply::{Reply, no_content, ok};
use crate::request::{self, Instance, check_workflow};
use crate::server::Shared;
use crate::{body, schemas};

/// What a schedule shall be. `subType` and `jobType` are accepted and mean nothing here.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ScheduleRequest {
    /// `all` or `ingestion`: a refresh from the data sources.
    #[schema(example = "all")]
    operation_type: Option<String>,
    /// Data sources; without any, all.
    identifiers: Option<Vec<String>>,
    /// By default true.
    is_active: Option<bool>,
    /// An IANA or a Windows name.
    #[schema(example = "Europe/Oslo")]
    timezone_id: String,
    /// Minute, hour, `*`, `*`, day of the week (Sunday is 0 or 7; names are allowed); 1 to 24.
    #[schema(example = json!(["0 2 * * *"]))]
    cron_schedules: Vec<String>,
    /// One that exists is replaced; without it there is a new one.
    #[schema(format = "uuid")]
    schedule_id: Option<String>,
    #[schema(format = "uuid")]
    instance_id: Option<String>,
    #[serde(rename = "subType")]
    #[schema(ignore)]
    _sub_type: Option<IgnoredAny>,
    #[serde(rename = "jobType")]
    #[schema(ignore)]
    _job_type: Option<IgnoredAny>,
}

/// A refresh schedule.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WorkflowRefreshSchedule {
    #[schema(value_type = String, example = "all")]
    operation_type: &'static str,
    #[schema(value_type = String, example = "noSubType")]
    sub_type: &'static str,
    #[schema(value_type = Vec<String>)]
    identifiers: Vec<DataSourceId>,
    #[schema(value_type = String, example = "full")]
    job_type: &'static str,
    is_active: bool,
    #[schema(example = "Europe/Oslo")]
    timezone_id: String,
    #[schema(example = json!(["0 2 * * *"]))]
    cron_schedules: Vec<String>,
    #[schema(value_type = String, format = "uuid")]
    schedule_id: ScheduleId,
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
}

impl ScheduleRequest {
    fn check(self, instance: Instance) -> Result<Schedule, Error> {
        let operation = self.operation_type.as_deref().unwrap_or("all");
        if !matches!(operation, "all" | "none" | "ingestion") {
            let text = format!(
                "the operation type {} can't be scheduled: there are all and ingestion",
                shown(operation)
            );
            return Err(invalid("operationType", text));
        }
        let named = self.instance_id.as_deref();
        if named.is_some_and(|named| InstanceId::parse(named) != Some(instance.0)) {
            let text = "the schedule names another instance than the path".to_owned();
            return Err(invalid("instanceId", text));
        }
        let id = match self.schedule_id {
            None => ScheduleId(uuid::Uuid::new_v4()),
            Some(text) => ScheduleId::parse(&text).ok_or_else(|| {
                let text = format!("the id of a schedule is a UUID, not {}", shown(&text));
                invalid("scheduleId", text)
            })?,
        };
        Ok(Schedule {
            id,
            is_active: self.is_active.unwrap_or(true),
            timezone_id: self.timezone_id,
            cron_schedules: self.cron_schedules,
            request: RefreshRequest {
                sources: sources(&self.identifiers.unwrap_or_default())?,
                forced: false,
            },
        })
    }
}

fn described(instance: Instance, schedules: Vec<Schedule>) -> Vec<WorkflowRefreshSchedule> {
    let described = |schedule: Schedule| WorkflowRefreshSchedule {
        operation_type: "all",
        sub_type: "noSubType",
        identifiers: schedule.request.sources,
        job_type: "full",
        is_active: schedule.is_active,
        timezone_id: schedule.timezone_id,
        cron_schedules: schedule.cron_schedules,
        schedule_id: schedule.id,
        instance_id: instance.0,
    };
    schedules.into_iter().map(described).collect()
}

fn invalid(target: &str, text: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, text).with_target(target)
}

/// List the refresh schedules.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/schedules",
    operation_id = "get_workflow_schedules",
    tag = "Schedules",
    responses((status = 200, description = "All of them", body = Vec<WorkflowRefreshSchedule>))
)]
pub(crate) async fn list(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let schedules = shared.tenants.schedules(instance.0).await?;
    ok(&described(instance, schedules))
}

/// Make or replace a refresh schedule.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/workflows/{workflowName}/schedules",
    operation_id = "create_workflow_refresh_schedule",
    tag = "Schedules",
    request_body(
        content = ScheduleRequest,
        example = json!({"timezoneId": "Europe/Oslo", "cronSchedules": ["0 2 * * *", "30 12 * * MON-FRI"]})
    ),
    responses((status = 200, description = "The schedule", body = WorkflowRefreshSchedule))
)]
pub(crate) async fn create(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let schedule = body::parse::<ScheduleRequest>(&body)?.check(instance)?;
    let by = caller.actor(&request);
    let stored = shared.tenants.put_schedules(instance.0, vec![schedule], by);
    let stored = described(instance, stored.await?);
    ok(&stored.first())
}

/// Make or replace several refresh schedules, all or none.
///
/// Schedules that are not named stay as they are.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/workflows/{workflowName}/schedules/batch",
    operation_id = "create_a_batch_of_workflow_refresh_schedules",
    tag = "Schedules",
    request_body(
        content = Vec<ScheduleRequest>,
        example = json!([{"timezoneId": "Europe/Oslo", "cronSchedules": ["0 2 * * *"]}])
    ),
    responses((
        status = 200,
        description = "The schedules in the order of the request",
        body = Vec<WorkflowRefreshSchedule>
    ))
)]
pub(crate) async fn create_batch(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let asked: Vec<ScheduleRequest> = body::parse(&body)?;
    let checked = asked.into_iter().map(|asked| asked.check(instance));
    let schedules = checked.collect::<Result<Vec<Schedule>, Error>>()?;
    let mut ids = BTreeSet::new();
    if !schedules.iter().all(|schedule| ids.insert(schedule.id)) {
        let text = "a schedule stands twice in the batch".to_owned();
        return Err(invalid("scheduleId", text).into());
    }
    let by = caller.actor(&request);
    let stored = shared.tenants.put_schedules(instance.0, schedules, by);
    ok(&described(instance, stored.await?))
}

/// Forget a refresh schedule; a job that it has started goes on.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/workflows/{workflowName}/schedules/{scheduleId}",
    operation_id = "delete_workflow_schedule",
    tag = "Schedules",
    responses((status = 204, description = "It is forgotten"))
)]
pub(crate) async fn delete(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    let text = request::segment(&request, "scheduleId")?;
    let id = ScheduleId::parse(&text).ok_or_else(|| {
        let message = format!("there is no schedule {}: its id is a UUID", shown(&text));
        Error::new(ErrorCode::ScheduleNotFound, message).with_target("scheduleId")
    })?;
    let by = caller.actor(&request);
    shared.tenants.delete_schedule(instance.0, id, by).await?;
    Ok(no_content())
}

/// List the time zones that a schedule can have.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/workflows/{workflowName}/schedules/supportedTimezones",
    operation_id = "get_supported_timezones",
    tag = "Schedules",
    responses((
        status = 200,
        description = "Windows names and IANA names",
        body = Vec<schemas::TimezoneDetail>
    ))
)]
pub(crate) async fn timezones(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    check_workflow(&request)?;
    query.finish()?;
    ok(&shared.tenants.timezones(instance.0).await?)
}
