//! What an instance's entities look like: their attributes, keys and sizes, in published shapes.

use std::sync::{Arc, LazyLock};

use actix_web::HttpRequest;
use actix_web::web::Data;
use sanntid_engine::{EntityTable, TenantState};
use sanntid_query::unified_activity_schema;
use sanntid_types::{
    Attribute, AttributeRole, CUSTOMER, EdmType, EntityName, EntitySchema, EntityType, Error,
    ErrorCode, InstanceId, Instant, UNIFIED_ACTIVITY,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;

/// What the unified format of an activity must have (rules 4.2).
const UNIFIED_MANDATORY: [&str; 3] = ["CustomerId", "ActivityTime", "ActivityType"];

/// The entities of an instance.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntityModel {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    entities: Vec<EntityMetadata>,
}

/// One entity.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntityMetadata {
    name: String,
    qualified_entity_name: String,
    /// The source that brings it, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    data_source_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[schema(value_type = String, example = "profile")]
    entity_type: EntityType,
    attributes: Vec<AttributeMetadata>,
    /// Each key with its attributes.
    keys: Vec<Vec<AttributeMetadata>>,
    /// `asOf` of what is loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    refresh_time: Option<Instant>,
}

/// One attribute of an entity.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttributeMetadata {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    friendly_name: Option<String>,
    #[schema(value_type = String, example = "Edm.String")]
    data_type: EdmType,
    /// Only with `attributesAnnotations=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Vec<Annotation>>,
}

/// A property of an attribute.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Annotation {
    /// `ReadOnly` or `Mandatory`.
    #[schema(value_type = String, example = "ReadOnly")]
    name: &'static str,
    #[schema(value_type = String, example = "true")]
    value: &'static str,
}

/// How large an entity is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EntitySize {
    qualified_entity_name: String,
    /// Bytes of the encoded rows that the last snapshot brought.
    size: u64,
    /// The rows that the last snapshot brought.
    row_count: u64,
}

/// List the entities.
///
/// `Customer` and `UnifiedActivity` are there even before the first snapshot.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/entities",
    operation_id = "get_all_entity_metadata",
    tag = "Metadata",
    params(
        ("attributesAnnotations" = Option<bool>, Query, description = "Say which attributes are read-only or mandatory"),
        ("includeQuarantined" = Option<bool>, Query, description = "Accepted as published; there are none"),
        ("includeSelfConflatedEntity" = Option<bool>, Query, description = "Accepted as published; there are none"),
    ),
    responses((status = 200, description = "The entities", body = EntityModel))
)]
pub(crate) async fn list(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.flag("includeQuarantined")?;
    query.flag("includeSelfConflatedEntity")?;
    let annotated = query.flag("attributesAnnotations")?.unwrap_or(false);
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let entities = known(&reading.tenant);
    ok(&EntityModel {
        instance_id: instance.0,
        entities: entities
            .iter()
            .map(|entity| entity.metadata(&reading.tenant, annotated))
            .collect(),
    })
}

/// Describe an entity.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/entities/{entityName}",
    operation_id = "get_entity_metadata",
    tag = "Metadata",
    params(("attributesAnnotations" = Option<bool>, Query, description = "Say which attributes are read-only or mandatory")),
    responses((status = 200, description = "The entity", body = EntityMetadata))
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    let annotated = query.flag("attributesAnnotations")?.unwrap_or(false);
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let entity = find(&request, &reading.tenant)?;
    ok(&entity.metadata(&reading.tenant, annotated))
}

/// Show how large an entity is.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/entities/{entityName}/entitysize",
    operation_id = "get_entity_size",
    tag = "Metadata",
    responses((status = 200, description = "Rows and bytes", body = EntitySize))
)]
pub(crate) async fn size(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let entity = find(&request, &reading.tenant)?;
    ok(&EntitySize {
        qualified_entity_name: entity.schema.name.as_str().to_owned(),
        size: entity.size,
        row_count: entity.rows,
    })
}

/// An entity as it is loaded, or as it is before that.
struct Entity {
    schema: Arc<EntitySchema>,
    as_of: Option<Instant>,
    rows: u64,
    size: u64,
}

fn known(tenant: &TenantState) -> Vec<Entity> {
    let mut entities: Vec<Entity> = tenant.entities.iter().map(Entity::loaded).collect();
    if tenant.customer().is_none() {
        entities.insert(0, Entity::unloaded(Arc::clone(&BARE_CUSTOMER)));
    }
    entities.push(timeline(tenant));
    entities
}

fn find(request: &HttpRequest, tenant: &TenantState) -> Result<Entity, Error> {
    let name = request::segment(request, "entityName")?;
    let mut entities = known(tenant).into_iter();
    let found = entities.find(|entity| entity.schema.name.as_str().eq_ignore_ascii_case(&name));
    found.ok_or_else(|| {
        let text = format!("there is no entity {}", shown(&name));
        Error::new(ErrorCode::EntityNotFound, text).with_target("entityName")
    })
}

/// `UnifiedActivity`: what the loaded activity sources bring, together.
fn timeline(tenant: &TenantState) -> Entity {
    static SCHEMA: LazyLock<Arc<EntitySchema>> =
        LazyLock::new(|| Arc::new(unified_activity_schema().clone()));
    let sources = || {
        let tables = tenant.entities.iter();
        tables.filter(|table| table.schema.entity_type == EntityType::Activity)
    };
    Entity {
        schema: Arc::clone(&SCHEMA),
        as_of: sources().map(|table| table.as_of).max(),
        rows: sources().map(|table| table.rows).sum(),
        size: sources().map(|table| table.size).sum(),
    }
}

/// What `Customer` is before any snapshot.
static BARE_CUSTOMER: LazyLock<Arc<EntitySchema>> = LazyLock::new(|| {
    Arc::new(EntitySchema {
        name: EntityName::parse(CUSTOMER).expect("a name"),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes: vec![Attribute {
            role: AttributeRole::Key,
            ..Attribute::plain("CustomerId", EdmType::String)
        }],
        key: Some(0),
    })
});

impl Entity {
    fn loaded(table: &EntityTable) -> Self {
        Self {
            schema: Arc::clone(&table.schema),
            as_of: Some(table.as_of),
            rows: table.rows,
            size: table.size,
        }
    }

    fn unloaded(schema: Arc<EntitySchema>) -> Self {
        Self {
            schema,
            as_of: None,
            rows: 0,
            size: 0,
        }
    }

    fn metadata(&self, tenant: &TenantState, annotated: bool) -> EntityMetadata {
        let schema = &*self.schema;
        let attribute = |attribute: &Attribute| AttributeMetadata {
            name: attribute.name.clone(),
            friendly_name: attribute.friendly_name.clone(),
            data_type: attribute.data_type,
            annotations: annotated.then(|| annotations(tenant, schema, attribute)),
        };
        let key = schema.key.and_then(|at| schema.attributes.get(at));
        let name = schema.name.as_str();
        let source = (schema.entity_type == EntityType::Activity)
            .then(|| name.split_once('_'))
            .flatten();
        EntityMetadata {
            name: name.to_owned(),
            qualified_entity_name: name.to_owned(),
            data_source_name: source.map(|(source, _)| source.to_owned()),
            friendly_name: schema.friendly_name.clone(),
            entity_type: schema.entity_type,
            attributes: schema.attributes.iter().map(attribute).collect(),
            keys: key.map(|key| vec![attribute(key)]).into_iter().collect(),
            refresh_time: self.as_of,
        }
    }
}

/// What a writer must know of an attribute.
fn annotations(
    tenant: &TenantState,
    schema: &EntitySchema,
    attribute: &Attribute,
) -> Vec<Annotation> {
    let name = attribute.name.as_str();
    let (read_only, mandatory) = if schema.name.as_str() == UNIFIED_ACTIVITY {
        (false, UNIFIED_MANDATORY.contains(&name))
    } else if let Some(config) = tenant.activity_config(&schema.name) {
        let needed = [
            &config.primary_key,
            &config.timestamp,
            &config.relationship.foreign_key,
        ];
        (
            false,
            needed.iter().any(|other| other.eq_ignore_ascii_case(name)),
        )
    } else {
        let is_profile = schema.name.as_str() == CUSTOMER;
        (!(is_profile && attribute.is_writable()), false)
    };
    let named = |holds: bool, name| {
        holds.then_some(Annotation {
            name,
            value: "true",
        })
    };
    [named(read_only, "ReadOnly"), named(mandatory, "Mandatory")]
        .into_iter()
        .flatten()
        .collect()
}
