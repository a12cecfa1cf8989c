//! Segments of an instance, in published shape.
//!
//! Owns the shape: segments are the batch pipeline's business, so they are read here and never
//! made. Who is in one and how many are, the crate `query` says.

use actix_web::HttpRequest;
use actix_web::web::Data;
use sanntid_query::{Limits, Moment, Segment, segments};
use sanntid_types::{Error, ErrorCode, InstanceId, Instant};
use serde::Serialize;
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::data_read::scan;
use crate::query::{Query, shown};
use crate::reply::{Reply, ok};
use crate::request::{self, Instance};
use crate::server::Shared;

/// The most that `numberOfSegments` can ask for.
const SEGMENTS_MAX: usize = 100_000;

/// A segment: a set of customers that the batch pipeline finds.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SegmentMetadata {
    #[schema(value_type = String, example = "default")]
    kind: &'static str,
    #[schema(example = "High value")]
    name: String,
    friendly_name: String,
    #[schema(value_type = String, example = "active")]
    state: &'static str,
    evaluation_status: SegmentationPublishStats,
    #[schema(value_type = String, format = "uuid")]
    instance_id: InstanceId,
}

/// When its members were found, and how many there are.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SegmentationPublishStats {
    #[schema(value_type = String, example = "CompletedSuccess")]
    job_status: &'static str,
    /// The `asOf` of what is loaded.
    #[schema(value_type = String, format = "date-time")]
    evaluation_date: Instant,
    /// The loaded memberships that name a customer.
    entity_count: u64,
}

impl SegmentMetadata {
    fn new(instance: InstanceId, segment: Segment) -> Self {
        Self {
            kind: "default",
            friendly_name: segment.name.clone(),
            name: segment.name,
            state: "active",
            evaluation_status: SegmentationPublishStats {
                job_status: "CompletedSuccess",
                evaluation_date: segment.as_of,
                entity_count: segment.members,
            },
            instance_id: instance,
        }
    }
}

/// List the segments.
///
/// Those that the loaded tables of segment memberships name.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/segments",
    operation_id = "get_all_segments",
    tag = "Metadata",
    params(
        ("includeHistoricStats" = Option<bool>, Query, description = "Accepted as published; there is no history"),
        ("historicStatsDays" = Option<u32>, Query, description = "Accepted as published; there is no history"),
        ("numberOfSegments" = Option<u32>, Query, description = "How many, at least 1; by default all", example = 100),
    ),
    responses((status = 200, description = "The segments in the order of their names", body = Vec<SegmentMetadata>))
)]
pub(crate) async fn list(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    query.flag("includeHistoricStats")?;
    query.option("historicStatsDays")?;
    let top = query.number("numberOfSegments", 1..=SEGMENTS_MAX)?;
    query.finish()?;
    let found = find_all(&shared, instance).await?;
    let found = found.into_iter().take(top.unwrap_or(SEGMENTS_MAX));
    let found = found.map(|segment| SegmentMetadata::new(instance.0, segment));
    ok(&found.collect::<Vec<_>>())
}

/// Describe a segment.
///
/// The case of its name matters, as it does in `IsMemberOfSegment`.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/manage/segments/{segmentName}",
    operation_id = "get_segment",
    tag = "Metadata",
    responses((status = 200, description = "The segment", body = SegmentMetadata))
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let name = request::segment(&request, "segmentName")?;
    let mut found = find_all(&shared, instance).await?.into_iter();
    let found = found.find(|segment| segment.name == name).ok_or_else(|| {
        let text = format!("there is no segment {}", shown(&name));
        Error::new(ErrorCode::EntityNotFound, text).with_target("segmentName")
    })?;
    ok(&SegmentMetadata::new(instance.0, found))
}

async fn find_all(
    shared: &Data<Shared>,
    instance: Instance,
) -> Result<Vec<Segment>, crate::error::Failure> {
    let reading = shared.tenants.read(instance.0).await?;
    let work = move || segments(&Moment::of(&reading), &Limits::default());
    Ok(scan(shared, work).await?)
}
