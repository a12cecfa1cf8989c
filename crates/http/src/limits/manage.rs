//! `…/manage/limits`: what an instance may use, and what it uses. Owns the JSON shapes.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{InstanceLimits, Limits, Usage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::query::Query;
use crate::reply::{Reply, ok};
use crate::request::Instance;
use crate::server::Shared;

/// The limits of one instance; 0 stands for none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LimitSettings {
    /// Requests per second of the instance; as many may come at once.
    #[schema(example = 10000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_second: Option<u32>,
    /// Bytes of bodies per second of the instance: 65536 to 4294967295.
    #[schema(example = 268435456)]
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_second: Option<u64>,
    /// Requests under way at the same time.
    #[schema(example = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    concurrent_requests: Option<u32>,
    /// Requests per second of one key or principal.
    #[schema(example = 10000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    caller_requests_per_second: Option<u32>,
    /// Updates per second of one profile.
    #[schema(example = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    profile_writes_per_second: Option<u32>,
    /// Items of a batch, or lines of a bulk request.
    #[schema(example = 0)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_items: Option<u32>,
    /// Fields of one update.
    #[schema(example = 1000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    fields_per_update: Option<u32>,
    /// Overridden fields that live at the same time.
    #[schema(example = 20000000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    overlay_fields: Option<u64>,
    /// Activities that live at the same time and came by calls.
    #[schema(example = 20000000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    activities: Option<u64>,
    /// Bytes of live updates and activities that came by calls.
    #[schema(example = 17179869184_u64)]
    #[serde(skip_serializing_if = "Option::is_none")]
    stored_bytes: Option<u64>,
}

impl From<&Limits> for LimitSettings {
    fn from(limits: &Limits) -> Self {
        Self {
            requests_per_second: Some(limits.requests_per_second),
            bytes_per_second: Some(limits.bytes_per_second),
            concurrent_requests: Some(limits.concurrent_requests),
            caller_requests_per_second: Some(limits.caller_requests_per_second),
            profile_writes_per_second: Some(limits.profile_writes_per_second),
            batch_items: Some(limits.batch_items),
            fields_per_update: Some(limits.fields_per_update),
            overlay_fields: Some(limits.overlay_fields),
            activities: Some(limits.activities),
            stored_bytes: Some(limits.stored_bytes),
        }
    }
}

impl From<InstanceLimits> for LimitSettings {
    fn from(own: InstanceLimits) -> Self {
        Self {
            requests_per_second: own.requests_per_second,
            bytes_per_second: own.bytes_per_second,
            concurrent_requests: own.concurrent_requests,
            caller_requests_per_second: own.caller_requests_per_second,
            profile_writes_per_second: own.profile_writes_per_second,
            batch_items: own.batch_items,
            fields_per_update: own.fields_per_update,
            overlay_fields: own.overlay_fields,
            activities: own.activities,
            stored_bytes: own.stored_bytes,
        }
    }
}

impl From<LimitSettings> for InstanceLimits {
    fn from(own: LimitSettings) -> Self {
        Self {
            requests_per_second: own.requests_per_second,
            bytes_per_second: own.bytes_per_second,
            concurrent_requests: own.concurrent_requests,
            caller_requests_per_second: own.caller_requests_per_second,
            profile_writes_per_second: own.profile_writes_per_second,
            batch_items: own.batch_items,
            fields_per_update: own.fields_per_update,
            overlay_fields: own.overlay_fields,
            activities: own.activities,
            stored_bytes: own.stored_bytes,
        }
    }
}

/// What an instance keeps of what came by calls. What has ended counts until it is counted anew.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LimitUse {
    #[schema(example = 1200)]
    overlay_fields: u64,
    #[schema(example = 350)]
    activities: u64,
    #[schema(example = 98000)]
    stored_bytes: u64,
}

/// What an instance may use, and what it uses.
#[derive(Serialize, ToSchema)]
pub(crate) struct LimitsAnswer {
    /// What is in effect.
    limits: LimitSettings,
    /// What was set for this instance; the rest is as the server is configured.
    own: LimitSettings,
    #[serde(rename = "use")]
    used: LimitUse,
}

/// Show the limits of an instance.
///
/// What is in effect, what of it was set for this instance, and how much of what is kept is in use.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/limits",
    operation_id = "get_limits",
    tag = "Configuration",
    responses((status = 200, description = "The limits", body = LimitsAnswer))
)]
pub(crate) async fn get(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let used = shared.access.usage(instance.0).await?;
    let access = shared.access_of(instance.0)?.unwrap_or_default();
    answer(&shared, access.limits.clone(), used)
}

/// Replace the limits of an instance.
///
/// What is left out is as the server is configured; 0 stands for no limit. Holds from the answer on.
/// Only the server's operator may do this: nobody gives themselves a larger share. It is not limited
/// itself.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/manage/limits",
    operation_id = "set_limits",
    tag = "Configuration",
    request_body(
        content = LimitSettings,
        example = json!({"requestsPerSecond": 500, "activities": 1000000})
    ),
    responses((status = 200, description = "The limits as they are now", body = LimitsAnswer))
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
    let own: InstanceLimits = body::parse_object::<LimitSettings>(&body)?.into();
    shared.limits.defaults().with(&own).check()?;
    let by = caller.actor(&request);
    let own = shared.access.set_limits(instance.0, own, by).await?;
    let used = shared.access.usage(instance.0).await?;
    answer(&shared, own, used)
}

fn answer(shared: &Shared, own: InstanceLimits, used: Usage) -> Reply {
    let Usage {
        overlay_fields,
        activities,
        stored_bytes,
    } = used;
    ok(&LimitsAnswer {
        limits: (&shared.limits.defaults().with(&own)).into(),
        own: own.into(),
        used: LimitUse {
            overlay_fields,
            activities,
            stored_bytes,
        },
    })
}
