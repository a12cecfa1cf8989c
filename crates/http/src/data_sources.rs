//! Data sources: listed, shown, made, forgotten. Owns their published shapes.

use actix_web::HttpRequest;
use actix_web::web::{Data, Payload};
use sanntid_types::{
    DataSource, DataSourceId, DataSourceSpec, EntityName, Error, ErrorCode, Instant, Location,
    SourceRefresh, SourceState,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::body;
use crate::caller::Caller;
use crate::error::ErrorBody;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;

/// What a data source shall be.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DataSourceRequest {
    #[schema(example = "nightly")]
    friendly_name: String,
    /// `folder`: one with a `snapshot.json` and its files.
    #[schema(example = "folder")]
    kind: String,
    /// A folder of the server, or a prefix of a bucket (`s3://bucket/prefix`,
    /// `az://container/prefix`) that the server's configuration allows.
    #[schema(example = "file:///srv/contoso")]
    location: String,
    /// What a bucket is read with; a folder of the server needs none.
    credentials: Option<Credentials>,
}

/// Names a secret of the server's configuration.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Credentials {
    #[schema(example = "warehouse")]
    name: String,
}

/// A data source.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataSourceInfo {
    data_source_metadata: DataSourceMetadata,
}

/// A data source as it is configured, and how the last refresh from it ended.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DataSourceMetadata {
    #[schema(value_type = String, format = "uuid")]
    data_source_id: DataSourceId,
    #[schema(value_type = String, format = "uuid")]
    instance_id: sanntid_types::InstanceId,
    name: String,
    friendly_name: String,
    #[schema(value_type = String, example = "folder")]
    kind: &'static str,
    #[schema(value_type = String, example = "file:///srv/contoso")]
    location: Location,
    /// The secret of the configuration that a bucket is read with.
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Credentials>,
    is_active: bool,
    #[schema(value_type = String, example = "active")]
    provisioning_state: &'static str,
    /// The entities that it brought last.
    #[schema(value_type = Vec<String>)]
    entity_names: Vec<EntityName>,
    entities_count: usize,
    /// When it was loaded last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    last_refresh: Option<Instant>,
    /// `notUpdated`, `updating`, `updated`, `updateFailed` or `updateCancelled`.
    #[schema(value_type = String, example = "updated")]
    refresh_state: SourceRefresh,
    version: u64,
    #[schema(value_type = String, format = "date-time")]
    created_utc: Instant,
    created_by: String,
    #[schema(value_type = String, format = "date-time")]
    updated_utc: Instant,
    updated_by: String,
}

/// Says that something was done.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OkResult {
    pub(crate) status_code: u16,
}

fn info(instance: Instance, source: DataSource, state: SourceState) -> DataSourceInfo {
    DataSourceInfo {
        data_source_metadata: DataSourceMetadata {
            data_source_id: source.id,
            instance_id: instance.0,
            name: source.friendly_name.clone(),
            friendly_name: source.friendly_name,
            kind: "folder",
            location: source.location,
            credentials: source.credentials.map(|name| Credentials { name }),
            is_active: true,
            provisioning_state: "active",
            entities_count: state.entities.len(),
            entity_names: state.entities,
            last_refresh: state.loaded_at,
            refresh_state: state.refresh,
            version: source.version,
            created_utc: source.created_at,
            created_by: source.created_by,
            updated_utc: source.updated_at,
            updated_by: source.updated_by,
        },
    }
}

/// List the data sources.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/datasources",
    operation_id = "get_all_data_sources",
    tag = "Data sources",
    responses((status = 200, description = "In the order of their ids", body = Vec<DataSourceInfo>))
)]
pub(crate) async fn list(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let sources = shared.tenants.data_sources(instance.0).await?;
    let sources = sources.into_iter();
    let infos = sources.map(|(source, state)| info(instance, source, state));
    ok(&infos.collect::<Vec<_>>())
}

/// Show a data source.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/datasources/{dataSourceId}",
    operation_id = "get_data_source",
    tag = "Data sources",
    params(("includeModel" = Option<bool>, Query, description = "Accepted; a folder has no model")),
    responses((status = 200, description = "The data source", body = DataSourceInfo))
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.flag("includeModel")?;
    query.finish()?;
    let text = request::segment(&request, "dataSourceId")?;
    let id = DataSourceId::parse(&text).ok_or_else(|| not_found(&text))?;
    let sources = shared.tenants.data_sources(instance.0).await?;
    let mut sources = sources.into_iter();
    let (source, state) = sources
        .find(|(source, _)| source.id == id)
        .ok_or_else(|| not_found(&text))?;
    ok(&info(instance, source, state))
}

/// Make or replace a data source.
///
/// It is read by the next refresh job. While its location stays, so does what is known of its
/// content.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/manage/datasources/{dataSourceId}",
    operation_id = "put_data_source",
    tag = "Data sources",
    request_body(
        content = DataSourceRequest,
        example = json!({"friendlyName": "nightly", "kind": "folder", "location": "file:///srv/contoso"})
    ),
    responses(
        (status = 200, description = "Stored", body = DataSourceInfo),
        (status = 400, description = "The location is none that may be read", body = ErrorBody)
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
    let text = request::segment(&request, "dataSourceId")?;
    let id = DataSourceId::parse(&text).ok_or_else(|| {
        let text = format!("a data source's id is a UUID, not {}", shown(&text));
        invalid("dataSourceId", text)
    })?;
    let body = body::read_default(&request, payload, &shared).await?;
    let asked: DataSourceRequest = body::parse(&body)?;
    DataSourceSpec::check_name(&asked.friendly_name)?;
    if asked.kind != "folder" {
        let text = format!(
            "the kind of a data source is folder, not {}",
            shown(&asked.kind)
        );
        return Err(invalid("kind", text).into());
    }
    let location = Location::parse(&asked.location)?;
    match (location.bucket(), &asked.credentials) {
        (None, Some(_)) => {
            let text = "a folder of the server is read without credentials";
            return Err(invalid("credentials", text.to_owned()).into());
        }
        (Some(_), None) => {
            let text = "a bucket is read with credentials: name a secret of the configuration";
            return Err(invalid("credentials", text.to_owned()).into());
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
    let spec = DataSourceSpec {
        id,
        friendly_name: asked.friendly_name,
        location,
        credentials: asked.credentials.map(|credentials| credentials.name),
    };
    let by = caller.actor(&request);
    let stored = shared.tenants.put_data_source(instance.0, spec, by);
    let (source, state) = stored.await?;
    ok(&info(instance, source, state))
}

/// Delete a data source.
///
/// What it brought stays, and may then be brought by an upload or another data source.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/manage/datasources/{dataSourceId}",
    operation_id = "delete_a_data_source",
    tag = "Data sources",
    responses((status = 200, description = "Deleted", body = OkResult))
)]
pub(crate) async fn delete(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let text = request::segment(&request, "dataSourceId")?;
    let id = DataSourceId::parse(&text).ok_or_else(|| not_found(&text))?;
    let by = caller.actor(&request);
    shared
        .tenants
        .delete_data_source(instance.0, id, by)
        .await?;
    ok(&OkResult { status_code: 200 })
}

fn not_found(id: &str) -> Error {
    let text = format!("there is no data source {}", shown(id));
    Error::new(ErrorCode::DataSourceNotFound, text).with_target("dataSourceId")
}

fn invalid(target: &str, text: String) -> Error {
    Error::new(ErrorCode::InvalidArgument, text).with_target(target)
}
