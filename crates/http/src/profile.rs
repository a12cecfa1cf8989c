//! What the published API tells about profiles: key ring, activity counts, state of the store.

use actix_web::web::Data;
use sanntid_engine::{ActivityTypeCount, KeyRingEntry, activity_counts, key_ring, profile};
use sanntid_types::{Error, ErrorCode, InstanceId, Instant, JobStatus, ProfileId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::card::no_profile;
use crate::data_read::scan;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::Instance;
use crate::server::Shared;

/// How many of the newest jobs are looked at for one that runs; one runs at a time.
const JOBS_LOOKED_AT: usize = 20;

/// All keys of one profile.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct KeyRingResponse {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    #[schema(value_type = String)]
    customer_id: ProfileId,
    key_ring: Vec<SourceKeys>,
}

/// A profile's keys in one source customer entity.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SourceKeys {
    #[schema(example = "Ecommerce")]
    data_source_name: String,
    #[schema(example = "Contacts")]
    entity_name: String,
    preferred_key: Option<String>,
    keys: Vec<String>,
}

impl From<KeyRingEntry> for SourceKeys {
    fn from(entry: KeyRingEntry) -> Self {
        Self {
            data_source_name: entry.data_source_name,
            entity_name: entry.entity_name,
            preferred_key: entry.preferred_key,
            keys: entry.keys,
        }
    }
}

/// Find a profile by a key of a source.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/profile/keyring",
    operation_id = "get_key_ring",
    tag = "Customers",
    params(
        ("dataSourceName" = String, Query, description = "The data source", example = "Ecommerce"),
        ("entityName" = String, Query, description = "Its customer entity", example = "Contacts"),
        ("key" = String, Query, description = "The key there", example = "CNTID_1002"),
    ),
    responses((status = 200, description = "The profile and all its keys", body = KeyRingResponse))
)]
pub(crate) async fn get_key_ring(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    let data_source = query.needed("dataSourceName")?;
    let entity = query.needed("entityName")?;
    let key = query.needed("key")?;
    query.finish()?;
    let reading = shared.tenants.read(instance.0).await?;
    let found = key_ring(&*reading.view, &reading.tenant, &data_source, &entity, &key)?;
    let ring = found.ok_or_else(|| {
        let text = format!("no profile has the key {}", shown(&key));
        Error::new(ErrorCode::ProfileNotFound, text).with_target("key")
    })?;
    ok(&KeyRingResponse {
        instance_id: instance.0,
        customer_id: ring.customer,
        key_ring: ring.entries.into_iter().map(SourceKeys::from).collect(),
    })
}

/// How many activities of which type a profile's timeline shows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActivityResponseMetadata {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    #[schema(value_type = String)]
    customer_id: ProfileId,
    total_count: u64,
    activity_types: Vec<TypeCount>,
}

/// How many activities of one type a timeline shows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TypeCount {
    #[schema(example = "SalesOrder")]
    activity_type: String,
    activity_type_display: Option<String>,
    count: u64,
}

impl From<ActivityTypeCount> for TypeCount {
    fn from(count: ActivityTypeCount) -> Self {
        Self {
            activity_type: count.activity_type,
            activity_type_display: count.activity_type_display,
            count: count.count,
        }
    }
}

/// Count a profile's activities by type.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/profile/activityresponsemetadata",
    operation_id = "get_activity_types_and_counts",
    tag = "Customers",
    params(("customerId" = String, Query, description = "The profile's id", example = "c1")),
    responses((status = 200, description = "Those that the timeline shows", body = ActivityResponseMetadata))
)]
pub(crate) async fn get_activity_counts(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    let asked = query.needed("customerId")?;
    query.finish()?;
    let asked = ProfileId::parse(&asked).map_err(|error| error.with_target("customerId"))?;
    let reading = shared.tenants.read(instance.0).await?;
    let work = move || {
        let (view, tenant, now) = (&*reading.view, &reading.tenant, reading.now);
        let Some(found) = profile(view, tenant, now, &asked)? else {
            return Err(no_profile(&asked).with_target("customerId"));
        };
        let counts = activity_counts(view, tenant, now, &found.id)?;
        Ok((found.id, counts))
    };
    let (customer_id, counts) = scan(&shared, work).await?;
    ok(&ActivityResponseMetadata {
        instance_id: instance.0,
        customer_id,
        total_count: counts.iter().map(|count| count.count).sum(),
        activity_types: counts.into_iter().map(TypeCount::from).collect(),
    })
}

/// The state of an instance's profiles.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProfileStoreStateInfo {
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
    /// `asOf` of the current generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    ingestion_time: Option<Instant>,
    /// The current generation.
    primary_info: ProfileStoreCollectionInfo,
    /// The one that a running job builds.
    secondary_info: ProfileStoreCollectionInfo,
}

/// The state of one generation's profiles.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ProfileStoreCollectionInfo {
    /// `empty`, `inBuild` or `queryable`.
    #[schema(value_type = String, example = "queryable")]
    current_state: &'static str,
    row_count: u64,
    /// Bytes of the encoded rows.
    size: u64,
}

/// Show the state of the profile store.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/profilestore/stateinfo",
    operation_id = "get_profile_store_state",
    tag = "Customers",
    responses((status = 200, description = "The state", body = ProfileStoreStateInfo))
)]
pub(crate) async fn get_store_state(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let jobs = shared.tenants.jobs(instance.0, JOBS_LOOKED_AT).await?;
    let is_building = jobs.iter().any(|job| job.status == JobStatus::Running);
    let reading = shared.tenants.read(instance.0).await?;
    let customer = reading.tenant.customer();
    ok(&ProfileStoreStateInfo {
        instance_id: instance.0,
        ingestion_time: customer.map(|table| table.as_of),
        primary_info: ProfileStoreCollectionInfo {
            current_state: customer.map_or("empty", |_| "queryable"),
            row_count: customer.map_or(0, |table| table.rows),
            size: customer.map_or(0, |table| table.size),
        },
        secondary_info: ProfileStoreCollectionInfo {
            current_state: if is_building { "inBuild" } else { "empty" },
            row_count: 0,
            size: 0,
        },
    })
}
