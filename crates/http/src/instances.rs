//! Instances: listed, created, renamed, emptied, deleted. Owns their published shapes.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_engine::NewInstance;
use sanntid_types::{
    Detail, Error, ErrorCode, InstanceId, InstanceInfo as Info, InstanceName, InstanceType, Instant,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::error::{ErrorBody, Failure};
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::Instance;
use crate::server::Shared;

/// One instance in a list.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceInfo {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    #[schema(value_type = String)]
    name: InstanceName,
    #[schema(value_type = String, example = "sandbox")]
    instance_type: InstanceType,
}

/// One instance.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceMetadata {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    #[schema(value_type = String)]
    name: InstanceName,
    #[schema(value_type = String, example = "active")]
    provisioning_state: &'static str,
    #[schema(value_type = String, example = "sandbox")]
    instance_type: InstanceType,
    version: u64,
    #[schema(value_type = String, format = "date-time")]
    created_utc: Instant,
    created_by: String,
    #[schema(value_type = String, format = "date-time")]
    updated_utc: Instant,
    updated_by: String,
}

impl From<Info> for InstanceMetadata {
    fn from(info: Info) -> Self {
        Self {
            instance_id: info.id,
            name: info.name,
            provisioning_state: "active",
            instance_type: info.instance_type,
            version: info.version,
            created_utc: info.created_at,
            created_by: info.created_by,
            updated_utc: info.updated_at,
            updated_by: info.updated_by,
        }
    }
}

/// Asks for a new instance, or for another name of one. Further published fields are accepted and
/// mean nothing here.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceCreationRequest {
    instance_metadata: InstanceMetadataRequest,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, IgnoredAny>,
}

/// Asks for a copy of an instance.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceCopyRequest {
    #[schema(value_type = String, format = "uuid")]
    instance_id_to_copy: InstanceId,
    #[serde(flatten)]
    creation: InstanceCreationRequest,
}

/// The published fields of an instance that a caller can set.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstanceMetadataRequest {
    /// 1 to 200 characters.
    name: String,
    #[schema(value_type = Option<String>, example = "sandbox")]
    instance_type: Option<InstanceType>,
    /// A UUID; made where it is not given.
    #[schema(value_type = Option<String>, format = "uuid")]
    instance_id: Option<InstanceId>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: BTreeMap<String, IgnoredAny>,
}

/// Published fields of a request that are accepted and mean nothing here.
const REQUEST_FIELDS: [&str; 7] = [
    "byosaResourceMetadata",
    "cdsResourceMetadata",
    "isCdsMdlStorageEnabled",
    "isCiToByosaMigrationEnabled",
    "bapProvisioningType",
    "isPbiProvisioningRequired",
    "isDataverseUpdateRequested",
];

/// Published fields of an instance that are accepted and mean nothing here.
const METADATA_FIELDS: [&str; 23] = [
    "isB2B",
    "isB2C",
    "isByoPbi",
    "isByoSynapse",
    "isCdsMdlOrCdsByodl",
    "provisioningState",
    "refreshSchedule",
    "expiryTimeUtc",
    "region",
    "cdsOrgInfo",
    "cdsMdlInfo",
    "maxTrialExtensionsAllowed",
    "trialExtensionHistory",
    "isRefreshCredentialRequired",
    "trialExtensionDetails",
    "configuredWorkspaces",
    "platformType",
    "azureRegion",
    "version",
    "updatedBy",
    "updatedUtc",
    "createdBy",
    "createdUtc",
];

impl InstanceCreationRequest {
    async fn read(
        request: &HttpRequest,
        payload: Payload,
        shared: &Shared,
    ) -> Result<InstanceMetadataRequest, Failure> {
        let body = body::read_default(request, payload, shared).await?;
        Ok(body::parse::<Self>(&body)?.checked()?)
    }

    /// Refuses fields that nobody has published.
    fn checked(self) -> Result<InstanceMetadataRequest, Error> {
        let unknown = |names: &BTreeMap<String, IgnoredAny>, known: &[&str], place: &str| {
            let unknown = names.keys().filter(|name| !known.contains(&name.as_str()));
            let refused = unknown.map(|name| {
                let text = format!("the field {} is unknown", shown(name));
                Detail::new(ErrorCode::UnknownField, &format!("{place}{name}"), text)
            });
            refused.collect::<Vec<_>>()
        };
        let mut problems = unknown(&self.others, &REQUEST_FIELDS, "");
        let metadata = self.instance_metadata;
        problems.extend(unknown(
            &metadata.others,
            &METADATA_FIELDS,
            "instanceMetadata.",
        ));
        if problems.is_empty() {
            return Ok(metadata);
        }
        Err(Error::of_details("the body has unknown fields", problems))
    }
}

/// List the instances in which the caller has a role; for the operator, all.
#[utoipa::path(
    get,
    path = "/instances",
    operation_id = "get_all_instances",
    tag = "Instances",
    responses((status = 200, description = "In the order of their ids", body = Vec<InstanceInfo>))
)]
pub(crate) async fn list(shared: Data<Shared>, caller: Caller, query: Query) -> Reply {
    query.finish()?;
    let instances = instances_of(&shared, &caller).await?;
    let shown = instances.into_iter().map(|info| InstanceInfo {
        instance_id: info.id,
        name: info.name,
        instance_type: info.instance_type,
    });
    ok(&shown.collect::<Vec<_>>())
}

async fn instances_of(shared: &Shared, caller: &Caller) -> Result<Vec<Info>, Failure> {
    match caller {
        _ if caller.is_operator() => Ok(shared.tenants.instances().await?),
        Caller::Operator => Ok(shared.tenants.instances().await?),
        Caller::Key(key) => Ok(vec![shared.tenants.instance(key.instance).await?]),
        Caller::Principal(principals) => {
            let all = principals.all().cloned().collect();
            let mut instances = shared.access.instances_of(all).await?;
            let mut refused = None;
            instances.retain(|info| match shared.access_of(info.id) {
                // Another kind of principal may have the same id.
                Ok(access) => {
                    access.is_some_and(|access| caller.role_in(info.id, &access).is_some())
                }
                Err(error) => {
                    refused = Some(error);
                    false
                }
            });
            refused.map_or(Ok(instances), |error| Err(error.into()))
        }
    }
}

/// Create an instance.
#[utoipa::path(
    post,
    path = "/instances/V2",
    operation_id = "create_an_instance",
    tag = "Instances",
    request_body(
        content = InstanceCreationRequest,
        example = json!({"instanceMetadata": {"name": "Contoso", "instanceType": "sandbox"}})
    ),
    responses(
        (status = 200, description = "Created", body = InstanceMetadata),
        (status = 409, description = "The given `instanceId` exists", body = ErrorBody)
    )
)]
pub(crate) async fn create(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let asked = InstanceCreationRequest::read(&request, payload, &shared).await?;
    let new = NewInstance {
        id: asked.instance_id,
        name: InstanceName::parse(&asked.name)?,
        instance_type: asked.instance_type.unwrap_or_default(),
        copy_of: None,
        by: caller.actor(&request),
    };
    let info = shared.tenants.create_instance(new).await?;
    ok(&InstanceMetadata::from(info))
}

/// Copy an instance.
///
/// The new one has the other's configuration at once, and its current generation when its first
/// job is done (`GET …/workflows/main/jobs`). Real-time updates and activities stay where they are.
#[utoipa::path(
    post,
    path = "/instances/copy",
    operation_id = "copy_an_instance",
    tag = "Instances",
    request_body(
        content = InstanceCopyRequest,
        example = json!({
            "instanceIdToCopy": "5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001",
            "instanceMetadata": {"name": "Contoso test", "instanceType": "sandbox"}
        })
    ),
    responses(
        (status = 200, description = "Created", body = InstanceMetadata),
        (status = 400, description = "Also where there is no instance to copy", body = ErrorBody),
        (status = 409, description = "The given `instanceId` exists", body = ErrorBody)
    )
)]
pub(crate) async fn copy(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let asked: InstanceCopyRequest = body::parse(&body)?;
    let source = asked.instance_id_to_copy;
    let asked = asked.creation.checked()?;
    let new = NewInstance {
        id: asked.instance_id,
        name: InstanceName::parse(&asked.name)?,
        instance_type: asked.instance_type.unwrap_or_default(),
        copy_of: Some(source),
        by: caller.actor(&request),
    };
    let info = shared.tenants.create_instance(new).await?;
    ok(&InstanceMetadata::from(info))
}

/// Describe an instance.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}",
    operation_id = "get_instance_metadata",
    tag = "Instances",
    responses((status = 200, description = "The instance", body = InstanceMetadata))
)]
pub(crate) async fn get(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let info = shared.tenants.instance(instance.0).await?;
    ok(&InstanceMetadata::from(info))
}

/// Rename an instance.
///
/// Its type and its id can't be changed.
#[utoipa::path(
    patch,
    path = "/instances/{instanceId}/V2",
    operation_id = "update_an_instance",
    tag = "Instances",
    request_body(
        content = InstanceCreationRequest,
        example = json!({"instanceMetadata": {"name": "Contoso Europe"}})
    ),
    responses((status = 200, description = "Renamed", body = InstanceMetadata))
)]
pub(crate) async fn rename(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let asked = InstanceCreationRequest::read(&request, payload, &shared).await?;
    let name = InstanceName::parse(&asked.name)?;
    let current = shared.tenants.instance(instance.0).await?;
    if asked.instance_id.is_some_and(|id| id != current.id) {
        return Err(unchangeable("instanceId").into());
    }
    if asked
        .instance_type
        .is_some_and(|kind| kind != current.instance_type)
    {
        return Err(unchangeable("instanceType").into());
    }
    let renamed = shared
        .tenants
        .rename_instance(instance.0, name, caller.actor(&request));
    ok(&InstanceMetadata::from(renamed.await?))
}

fn unchangeable(field: &str) -> Error {
    let text = format!("the {field} of an instance can't be changed");
    Error::new(ErrorCode::InvalidArgument, text).with_target(format!("instanceMetadata.{field}"))
}

/// Delete an instance.
///
/// Everything of it is gone at once, durably; its id answers 404.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}",
    operation_id = "delete_an_instance",
    tag = "Instances",
    responses((status = 200, description = "Deleted", body = bool, example = true))
)]
pub(crate) async fn delete(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let by = caller.actor(&request);
    shared.tenants.delete_instance(instance.0, by).await?;
    ok(&true)
}

/// Empty an instance.
///
/// Profiles, activities and real-time changes are gone at once; name and configuration stay.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/manage/reset",
    operation_id = "reset_an_instance",
    tag = "Instances",
    params(("instanceManagementOperationScope" = Option<String>, Query, description = "Accepted as published; it is always the whole instance")),
    responses((status = 200, description = "Emptied", body = bool, example = true))
)]
pub(crate) async fn reset(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.option("instanceManagementOperationScope")?;
    query.finish()?;
    let by = caller.actor(&request);
    shared.tenants.reset_instance(instance.0, by).await?;
    ok(&true)
}
