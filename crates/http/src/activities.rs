//! The activity configuration: which source entities are activities, and how.
//! Owns its answer's shape; what is valid is the core's part.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload};
use sanntid_engine::{TenantState, is_pending};
use sanntid_types::ActivityConfig;
use serde::Serialize;

use crate::caller::Caller;
use crate::job_model::GraphJobInfo;
use crate::query::Query;
use crate::reply::{Reply, json, ok};
use crate::request::Instance;
use crate::server::Shared;
use crate::{body, schemas};

/// One configured source, with whether a snapshot has brought its entity.
#[derive(Serialize)]
struct Configured<'a> {
    #[serde(flatten)]
    config: &'a ActivityConfig,
    state: &'static str,
}

fn configured<'a>(tenant: &TenantState, configs: &'a [ActivityConfig]) -> Vec<Configured<'a>> {
    let with_state = |config: &'a ActivityConfig| Configured {
        config,
        state: if is_pending(tenant, config) {
            "pending"
        } else {
            "active"
        },
    };
    configs.iter().map(with_state).collect()
}

/// Show the activity configuration.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/activities",
    operation_id = "get_activities",
    tag = "Configuration",
    responses((status = 200, description = "The configured sources", body = Vec<schemas::ActivitySource>))
)]
pub(crate) async fn get(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    ok(&configured(&reading.tenant, &reading.tenant.activities))
}

/// Replace the activity configuration.
///
/// It holds for real-time activities at once. An entity that no snapshot has brought may be
/// declared ahead (`pending`).
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/manage/activities",
    operation_id = "set_activities",
    tag = "Configuration",
    request_body(
        content = Vec<schemas::ActivitySource>,
        example = json!([{
            "entityName": "Ecommerce_OnlinePurchases", "primaryKey": "PurchaseId",
            "timestamp": "PurchasedOn", "title": "Subject", "description": "ProductId", "url": null,
            "activityType": "SalesOrder", "activityName": "Online purchase",
            "showInTimeline": true, "icon": "cart",
            "relationship": {"foreignKey": "ContactId", "toEntity": "Ecommerce_Contacts"},
            "semanticFields": {"SalesOrderId": "PurchaseId", "TotalAmount": "TotalPrice"}
        }])
    ),
    responses(
        (status = 200, description = "Stored", body = Vec<schemas::ActivitySource>),
        (status = 202, description = "Stored; a job makes the timeline of loaded rows anew", body = GraphJobInfo)
    )
)]
pub(crate) async fn put(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let activities = body::parse(&body)?;
    let by = caller.actor(&request);
    let answer = shared.tenants.set_activities(instance.0, activities, by);
    let answer = answer.await?;
    if let Some(job) = answer.job {
        return json(StatusCode::ACCEPTED, &GraphJobInfo::new(job, true));
    }
    let reading = shared.tenants.read(instance.0).await?;
    ok(&configured(&reading.tenant, &answer.activities))
}
