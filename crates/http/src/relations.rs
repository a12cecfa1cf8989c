//! Measures and relationships of an instance, in published shapes.
//!
//! Owns their derivation from what is loaded: both are the batch pipeline's business, so they are
//! read here and never made. Must not read rows.

use actix_web::HttpRequest;
use actix_web::web::Data;
use sanntid_engine::{EntityTable, TenantState};
use sanntid_types::{
    AttributeRole, CUSTOMER, EntityType, Error, ErrorCode, InstanceId, Instant, UNIFIED_ACTIVITY,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;

const CUSTOMER_ID: &str = "CustomerId";

/// A measure: a value that the batch pipeline computes of each customer.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MeasureMetadata {
    name: String,
    display_name: String,
    definition: MeasureDefinition,
    latest_evaluation: Evaluation,
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
}

/// What a measure is made of, as far as it is known here.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MeasureDefinition {
    /// Always `attribute`: one value of each customer.
    #[schema(value_type = String, example = "attribute")]
    kind: &'static str,
    is_profile: bool,
    /// The loaded entity whose attribute it is.
    dependencies: Vec<EntityDependency>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EntityDependency {
    qualified_entity_name: String,
    #[serde(rename = "type")]
    #[schema(value_type = String, example = "profileKpi")]
    entity_type: EntityType,
    attribute_names: Vec<String>,
}

/// When it was computed: the `asOf` of what is loaded.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Evaluation {
    #[schema(value_type = String, example = "completed")]
    state: &'static str,
    #[schema(value_type = String, format = "date-time")]
    end_time: Instant,
}

/// How the rows of one entity belong to those of another.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct RelationshipMetadata {
    name: String,
    #[schema(value_type = String, example = "singleKeyRelationshipOrigin")]
    relationship_type: &'static str,
    from_attribute_name: String,
    from_entity_name: String,
    /// Left out where the entity is not loaded.
    #[serde(skip_serializing_if = "Option::is_none")]
    to_attribute_name: Option<String>,
    to_entity_name: String,
    #[schema(value_type = String, example = "manyToOne")]
    cardinality: &'static str,
    /// `system`, or `user` for those of the activity configuration.
    #[schema(value_type = String, example = "system")]
    source: &'static str,
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
}

/// List the measures.
///
/// The computed attributes of `Customer` and the attributes of tables of measures; of those of the
/// same name, the first.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/measures",
    operation_id = "get_a_list_of_measures_metadata",
    tag = "Metadata",
    params(("templateSummaryIncluded" = Option<bool>, Query, description = "Accepted as published; there are no templates")),
    responses((status = 200, description = "The measures", body = Vec<MeasureMetadata>))
)]
pub(crate) async fn measures(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.flag("templateSummaryIncluded")?;
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    ok(&measures_of(&reading.tenant))
}

/// Describe a measure.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/measures/{measureName}",
    operation_id = "get_metadata_for_a_measure",
    tag = "Metadata",
    params(
        ("includeHistoricStats" = Option<bool>, Query, description = "Accepted as published; there is no history"),
        ("historicStatsDays" = Option<u32>, Query, description = "Accepted as published; there is no history"),
    ),
    responses((status = 200, description = "The measure", body = MeasureMetadata))
)]
pub(crate) async fn measure(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.flag("includeHistoricStats")?;
    query.option("historicStatsDays")?;
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let name = request::segment(&request, "measureName")?;
    let mut measures = measures_of(&reading.tenant).into_iter();
    let found = measures.find(|measure| measure.name.eq_ignore_ascii_case(&name));
    ok(&found.ok_or_else(|| unknown("measure", &name, "measureName"))?)
}

/// List the relationships that users made: those of the activity configuration.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/relationships",
    operation_id = "get_all_relationships",
    tag = "Metadata",
    responses((status = 200, description = "The relationships", body = Vec<RelationshipMetadata>))
)]
pub(crate) async fn relationships(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    ok(&configured(&reading.tenant))
}

/// Describe a relationship, of a user or of the system.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/relationships/{relationshipName}",
    operation_id = "get_a_relationship",
    tag = "Metadata",
    responses((status = 200, description = "The relationship", body = RelationshipMetadata))
)]
pub(crate) async fn relationship(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let name = request::segment(&request, "relationshipName")?;
    let all = configured(&reading.tenant).into_iter();
    let mut all = all.chain(inherent(&reading.tenant));
    let found = all.find(|relationship| relationship.name.eq_ignore_ascii_case(&name));
    ok(&found.ok_or_else(|| unknown("relationship", &name, "relationshipName"))?)
}

/// List the relationships that follow from what is loaded: from a row to its customer.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/systemrelationships",
    operation_id = "get_all_system_created_relationships",
    tag = "Metadata",
    responses((status = 200, description = "The relationships", body = Vec<RelationshipMetadata>))
)]
pub(crate) async fn system_relationships(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    ok(&inherent(&reading.tenant))
}

fn unknown(what: &str, name: &str, target: &'static str) -> Error {
    let text = format!("there is no {what} {}", shown(name));
    Error::new(ErrorCode::EntityNotFound, text).with_target(target)
}

fn measures_of(tenant: &TenantState) -> Vec<MeasureMetadata> {
    let tables = tenant.entities.iter();
    let tables = tables.filter(|table| table.schema.entity_type == EntityType::ProfileKpi);
    let mut measures: Vec<MeasureMetadata> = Vec::new();
    for table in tenant.customer().into_iter().chain(tables) {
        for (at, attribute) in table.schema.attributes.iter().enumerate() {
            let is_measure = match table.schema.entity_type {
                EntityType::ProfileKpi => {
                    Some(at) != table.schema.key
                        && !attribute.name.eq_ignore_ascii_case(CUSTOMER_ID)
                }
                _ => attribute.role == AttributeRole::Computed,
            };
            if is_measure && measures.iter().all(|known| known.name != attribute.name) {
                measures.push(measure_of(tenant, table, &attribute.name));
            }
        }
    }
    measures
}

fn measure_of(tenant: &TenantState, table: &EntityTable, name: &str) -> MeasureMetadata {
    MeasureMetadata {
        name: name.to_owned(),
        display_name: name.to_owned(),
        definition: MeasureDefinition {
            kind: "attribute",
            is_profile: true,
            dependencies: vec![EntityDependency {
                qualified_entity_name: table.schema.name.as_str().to_owned(),
                entity_type: table.schema.entity_type,
                attribute_names: vec![name.to_owned()],
            }],
        },
        latest_evaluation: Evaluation {
            state: "completed",
            end_time: table.as_of,
        },
        instance_id: tenant.instance,
    }
}

/// From the foreign key of each activity source to the customers of its source.
fn configured(tenant: &TenantState) -> Vec<RelationshipMetadata> {
    let made = tenant.activities.iter().map(|config| RelationshipMetadata {
        name: format!("{}_{}", config.entity_name, config.relationship.to_entity),
        relationship_type: "singleKeyRelationshipOrigin",
        from_attribute_name: config.relationship.foreign_key.clone(),
        from_entity_name: config.entity_name.as_str().to_owned(),
        to_attribute_name: None,
        to_entity_name: config.relationship.to_entity.clone(),
        cardinality: "manyToOne",
        source: "user",
        instance_id: tenant.instance,
    });
    made.collect()
}

/// From the `CustomerId` of each table, and of activities, to `Customer`.
fn inherent(tenant: &TenantState) -> Vec<RelationshipMetadata> {
    let relationship = |entity: &str, attribute: &str, is_key: bool| RelationshipMetadata {
        name: format!("{entity}_{CUSTOMER}"),
        relationship_type: "singleKeyRelationshipOrigin",
        from_attribute_name: attribute.to_owned(),
        from_entity_name: entity.to_owned(),
        to_attribute_name: Some(CUSTOMER_ID.to_owned()),
        to_entity_name: CUSTOMER.to_owned(),
        cardinality: if is_key { "oneToOne" } else { "manyToOne" },
        source: "system",
        instance_id: tenant.instance,
    };
    let tables = tenant.entities.iter().filter(|table| {
        let entity_type = table.schema.entity_type;
        entity_type != EntityType::Profile && entity_type != EntityType::Activity
    });
    let tables = tables.filter_map(|table| {
        let (at, attribute) = table.schema.find(CUSTOMER_ID)?;
        let is_key = table.schema.key == Some(at);
        Some(relationship(
            table.schema.name.as_str(),
            &attribute.name,
            is_key,
        ))
    });
    let activities = relationship(UNIFIED_ACTIVITY, CUSTOMER_ID, false);
    tables.chain([activities]).collect()
}
