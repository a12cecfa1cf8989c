//! Roles and who has them: listed, given, taken. Owns their published shapes.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{
    Assignment, Detail, Error, ErrorCode, InstanceAccess, InstanceId, PrincipalId, PrincipalType,
    Role,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::data_sources::OkResult;
use crate::error::Failure;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;
use crate::{body, keys};

/// A role that a principal can have.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleDefinition {
    #[schema(value_type = String)]
    description: &'static str,
    #[schema(value_type = String, example = "contributor")]
    role_name: Role,
}

/// What a principal may do.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RoleAssignment {
    principal_id: String,
    #[schema(value_type = String, example = "user")]
    principal_type: PrincipalType,
    #[schema(value_type = Vec<String>, example = json!(["contributor"]))]
    roles: Vec<Role>,
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
}

/// What a principal shall be able to do. `principalId` and `instanceId` may repeat the path's.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RoleAssignmentRequest {
    principal_id: Option<String>,
    /// `user`, `group` or `app`.
    #[schema(example = "user")]
    principal_type: Option<String>,
    /// At least one; the highest counts.
    #[schema(example = json!(["contributor"]))]
    roles: Option<Vec<String>>,
    #[schema(format = "uuid")]
    instance_id: Option<String>,
}

impl RoleAssignmentRequest {
    /// Reads it as the assignment of the principal that the path names; says all that is wrong.
    fn check(self, instance: InstanceId, principal: PrincipalId) -> Result<Assignment, Error> {
        let mut problems = Vec::new();
        let mut refuse = |target: &str, text: String| {
            problems.push(Detail::new(ErrorCode::InvalidArgument, target, text));
        };
        let named = self.principal_id.as_deref();
        if named.is_some_and(|named| named != principal.as_str()) {
            refuse("principalId", "it is another than the path's".to_owned());
        }
        let named = self.instance_id.as_deref();
        if named.is_some_and(|named| InstanceId::parse(named) != Some(instance)) {
            refuse("instanceId", "it is another than the path's".to_owned());
        }
        let kind = self.principal_type.as_deref().unwrap_or_default();
        let kind = PrincipalType::parse(kind);
        if kind.is_none() {
            refuse("principalType", "expected user, group or app".to_owned());
        }
        let mut roles = Vec::new();
        for name in self.roles.iter().flatten() {
            match keys::role(name) {
                Ok(role) => roles.push(role),
                Err(error) => refuse("roles", error.message),
            }
        }
        if self.roles.is_none_or(|roles| roles.is_empty()) {
            let known = Role::ALL.map(Role::name).join(", ");
            refuse("roles", format!("expected at least one of {known}"));
        }
        roles.sort_unstable();
        roles.dedup();
        match kind {
            Some(kind) if problems.is_empty() => Ok(Assignment {
                principal,
                kind,
                roles,
            }),
            _ => Err(Error::of_details("the assignment can't be made", problems)),
        }
    }
}

fn described(instance: InstanceId, assignments: &[Assignment]) -> Vec<RoleAssignment> {
    let described = |one: &Assignment| RoleAssignment {
        principal_id: one.principal.as_str().to_owned(),
        principal_type: one.kind,
        roles: one.roles.clone(),
        instance_id: instance,
    };
    assignments.iter().map(described).collect()
}

/// List the roles that there are.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/rbac/roles",
    operation_id = "get_all_role_definitions",
    tag = "Access",
    responses((status = 200, description = "Each includes those before it", body = Vec<RoleDefinition>))
)]
pub(crate) async fn roles(
    shared: Data<Shared>,
    _caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    // Of an instance that does not exist nothing is told, to the operator either.
    shared
        .access_of(instance)?
        .ok_or_else(|| request::no_instance(instance))?;
    let definition = |role: Role| RoleDefinition {
        description: match role {
            Role::Viewer => "Reads all data and configuration but that of access",
            Role::Contributor => "Also writes updates and activities",
            Role::Administrator => "Also configures, refreshes, simulates and gives access",
        },
        role_name: role,
    };
    ok(&Role::ALL.map(definition))
}

/// Tell the caller's own role.
///
/// A key is an app whose id is `key:primary` or `key:secondary`. Roles that come by a group are among
/// those of the caller.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/rbac/myrole",
    operation_id = "get_current_user_role",
    tag = "Access",
    responses((status = 200, description = "The highest of them counts", body = RoleAssignment))
)]
pub(crate) async fn mine(
    shared: Data<Shared>,
    caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let access = shared.access_of(instance)?;
    let access = access.ok_or_else(|| request::no_instance(instance))?;
    ok(&own(&caller, instance, &access))
}

fn own(caller: &Caller, instance: InstanceId, access: &InstanceAccess) -> RoleAssignment {
    let (principal_id, principal_type) = match caller {
        Caller::Operator | Caller::Key(_) => (caller.name(), PrincipalType::App),
        Caller::Principal(principals) => (principals.id.as_str().to_owned(), principals.kind),
    };
    RoleAssignment {
        principal_id,
        principal_type,
        roles: caller.roles_in(instance, access),
        instance_id: instance,
    }
}

/// List who has a role.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/rbac/assignments",
    operation_id = "get_all_role_assignments",
    tag = "Access",
    responses((status = 200, description = "In the order of their ids", body = Vec<RoleAssignment>))
)]
pub(crate) async fn list(
    shared: Data<Shared>,
    _caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let access = shared.access_of(instance)?;
    let access = access.ok_or_else(|| request::no_instance(instance))?;
    ok(&described(instance, &access.assignments))
}

/// Give a principal roles, in place of those that it has.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
    operation_id = "update_a_role_assignment",
    tag = "Access",
    request_body(
        content = RoleAssignmentRequest,
        example = json!({"principalType": "user", "roles": ["contributor"]})
    ),
    responses((status = 200, description = "All assignments", body = Vec<RoleAssignment>))
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
    let principal = principal(&request)?;
    let body = body::read_default(&request, payload, &shared).await?;
    let asked = body::parse::<RoleAssignmentRequest>(&body)?;
    let assignment = asked.check(instance, principal)?;
    let by = caller.actor(&request);
    let all = shared.access.assign(instance, assignment, by).await?;
    ok(&described(instance, &all))
}

/// Take all roles from a principal; of one that has none nothing changes.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/rbac/principals/{principalId}/assignment",
    operation_id = "deletes_a_role_assignment",
    tag = "Access",
    responses((status = 200, description = "It has none now", body = OkResult))
)]
pub(crate) async fn delete(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    Instance(instance): Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let principal = principal(&request)?;
    let by = caller.actor(&request);
    shared.access.unassign(instance, principal, by).await?;
    ok(&OkResult { status_code: 200 })
}

fn principal(request: &HttpRequest) -> Result<PrincipalId, Failure> {
    let text = request::segment(request, "principalId")?;
    PrincipalId::parse(&text).map_err(|error| {
        let text = format!("{} names no principal: {}", shown(&text), error.message);
        Error::new(error.code, text)
            .with_target("principalId")
            .into()
    })
}
