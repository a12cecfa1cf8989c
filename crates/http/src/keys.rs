//! The two keys of an instance: listed, made anew, enabled and disabled. Owns their shapes.
//! Must not keep, log or show a key's text but in the answer to its making.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{ApiKeys, Error, ErrorCode, Instant, KeySlot, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;

/// The keys of an instance and what they may do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeysInfo {
    /// Whether the API may be used: else keys are unknown, and only administrators are let in.
    enabled: bool,
    /// What whoever has a key may do.
    #[schema(value_type = String, example = "contributor")]
    role: Role,
    /// Those that were made.
    keys: Vec<KeyInfo>,
}

/// One key, without its text.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyInfo {
    #[schema(value_type = String, example = "primary")]
    name: &'static str,
    /// The end of its text, so that people can tell keys apart.
    #[schema(example = "…a1b2")]
    hint: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Instant,
    created_by: String,
}

/// What shall change about the keys; what is not named stays.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct KeysRequest {
    enabled: Option<bool>,
    /// `viewer`, `contributor` or `administrator`.
    #[schema(example = "viewer")]
    role: Option<String>,
}

/// A key that was just made.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NewKeyInfo {
    #[schema(value_type = String, example = "secondary")]
    name: &'static str,
    /// Its text: it is never shown again.
    key: String,
    #[schema(example = "…a1b2")]
    hint: String,
    #[schema(value_type = String, format = "date-time")]
    created_at: Instant,
}

impl From<&ApiKeys> for KeysInfo {
    fn from(keys: &ApiKeys) -> Self {
        let made = |slot| {
            let key = keys.get(slot)?;
            Some(KeyInfo {
                name: KeySlot::name(slot),
                hint: hint(&key.hint),
                created_at: key.made_at,
                created_by: key.made_by.clone(),
            })
        };
        Self {
            enabled: keys.enabled,
            role: keys.role,
            keys: KeySlot::ALL.into_iter().filter_map(made).collect(),
        }
    }
}

fn hint(end: &str) -> String {
    format!("…{end}")
}

/// List an instance's keys, without their texts.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/keys",
    operation_id = "get_keys",
    tag = "Access",
    responses((status = 200, description = "What is known of them", body = KeysInfo))
)]
pub(crate) async fn get(
    shared: Data<Shared>,
    _caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let access = shared.access_of(instance)?;
    let access = access.ok_or_else(|| request::no_instance(instance))?;
    ok(&KeysInfo::from(&access.keys))
}

/// Enable or disable the API of an instance, and say what its keys may do.
///
/// While it is disabled both keys are unknown, and of users, groups and apps only administrators are
/// let in. What is not named stays.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/manage/keys",
    operation_id = "set_keys",
    tag = "Access",
    request_body(content = KeysRequest, example = json!({"enabled": true, "role": "viewer"})),
    responses((status = 200, description = "As it is now", body = KeysInfo))
)]
pub(crate) async fn put(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    Instance(instance): Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let KeysRequest { enabled, role } = body::parse(&body)?;
    let role = role.as_deref().map(self::role).transpose()?;
    if enabled.is_none() && role.is_none() {
        let text = "the body names no change; expected enabled, role or both";
        return Err(Error::new(ErrorCode::InvalidBody, text).into());
    }
    let by = caller.actor(&request);
    let keys = shared.access.set_keys(instance, enabled, role, by).await?;
    ok(&KeysInfo::from(&keys))
}

/// Make one of an instance's keys anew.
///
/// The answer is the only place where its text ever stands. The key that was there before is unknown
/// from then on; the other one goes on.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/manage/keys/{keyName}/regenerate",
    operation_id = "regenerate_key",
    tag = "Access",
    responses((status = 200, description = "The new key", body = NewKeyInfo))
)]
pub(crate) async fn regenerate(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let name = request::segment(&request, "keyName")?;
    let slot = KeySlot::parse(&name).ok_or_else(|| {
        let text = format!(
            "there is no key {}: there are primary and secondary",
            shown(&name)
        );
        Error::new(ErrorCode::RouteNotFound, text).with_target("keyName")
    })?;
    let by = caller.actor(&request);
    let made = shared.access.renew_key(instance, slot, by).await?;
    ok(&NewKeyInfo {
        name: made.slot.name(),
        key: made.text,
        hint: hint(&made.key.hint),
        created_at: made.key.made_at,
    })
}

/// Reads the name of a role.
pub(crate) fn role(name: &str) -> Result<Role, Error> {
    Role::parse(name).ok_or_else(|| {
        let known = Role::ALL.map(Role::name).join(", ");
        let text = format!("there is no role {}: there are {known}", shown(name));
        Error::new(ErrorCode::InvalidArgument, text).with_target("role")
    })
}
