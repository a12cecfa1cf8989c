//! Uploading a snapshot: opened, filled part by part, committed or thrown away.
//! Owns the streaming of parts, with a bounded buffer. Must not read what a part holds.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::web::{self, Data, Payload};
use sanntid_engine::{ArrivedPart, PartFormat, PartPacking, PartSink, Snapshot, SnapshotState};
use sanntid_types::{EntityName, Error, ErrorCode, Instant, Manifest, SnapshotId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::body::{self, Chunks, Limit, encoding, essence, unsupported};
use crate::caller::Caller;
use crate::error::{ErrorBody, Failure};
use crate::job_model::GraphJobInfo;
use crate::query::{Query, shown};
use crate::reply::{Reply, json, no_content, ok};
use crate::request::{self, Instance};
use crate::schemas;
use crate::server::Shared;

/// What is gathered of a part before it is handed on.
const BUFFER_BYTES_MAX: usize = 1 << 20;
/// Highest number of a part.
const PART_NUMBER_MAX: u32 = 10_000;

/// An upload.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotInfo {
    #[schema(value_type = String, format = "uuid")]
    snapshot_id: SnapshotId,
    #[schema(value_type = String, example = "open")]
    state: &'static str,
    /// Until when it can be filled and committed.
    #[schema(value_type = String, format = "date-time")]
    expires_at: Instant,
}

impl SnapshotInfo {
    fn of(snapshot: &Snapshot) -> Self {
        Self {
            snapshot_id: snapshot.id,
            state: match snapshot.state {
                SnapshotState::Open => "open",
                SnapshotState::Committed => "committed",
            },
            expires_at: snapshot.expires_at,
        }
    }
}

/// An upload that can still be filled.
#[derive(Serialize, ToSchema)]
pub(crate) struct OpenSnapshotInfo {
    #[serde(flatten)]
    snapshot: SnapshotInfo,
    #[schema(value_type = schemas::Manifest)]
    manifest: Manifest,
    parts: Vec<ArrivedPartInfo>,
}

/// A part that has arrived.
#[derive(Serialize, ToSchema)]
pub(crate) struct ArrivedPartInfo {
    #[schema(value_type = String, example = "Customer")]
    entity: EntityName,
    number: u32,
    bytes: u64,
    /// The BLAKE3 hash of its bytes as they were sent, in hex.
    hash: String,
}

impl ArrivedPartInfo {
    fn of(part: ArrivedPart) -> Self {
        let ArrivedPart {
            entity,
            number,
            bytes,
            hash,
        } = part;
        Self {
            entity,
            number,
            bytes,
            hash,
        }
    }
}

/// Open an upload.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/snapshots",
    operation_id = "open_snapshot",
    tag = "Snapshots",
    request_body(
        content = schemas::Manifest,
        example = json!({
            "asOf": "2026-11-23T02:00:00Z",
            "entities": [
                {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": [
                    {"name": "CustomerId", "dataType": "Edm.String"},
                    {"name": "FullName", "dataType": "Edm.String"},
                    {"name": "LifetimeValue", "dataType": "Edm.Double", "computed": true},
                    {"name": "Ecommerce_Contacts_ContactId", "dataType": "Edm.String",
                     "alternateKey": {"dataSourceName": "Ecommerce", "entityName": "Contacts"}}
                ]},
                {"name": "Ecommerce_OnlinePurchases", "entityType": "activity", "key": "PurchaseId",
                 "attributes": [
                    {"name": "PurchaseId", "dataType": "Edm.String"},
                    {"name": "PurchasedOn", "dataType": "Edm.Date", "format": "%m/%d/%Y"},
                    {"name": "ContactId", "dataType": "Edm.String"}
                ]}
            ]
        })
    ),
    responses(
        (status = 201, description = "Opened", body = SnapshotInfo),
        (status = 409, description = "`asOf` is older than the current generation's", body = ErrorBody)
    )
)]
pub(crate) async fn open(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let body = body::read_default(&request, payload, &shared).await?;
    let manifest: Manifest = body::parse(&body)?;
    let by = caller.actor(&request);
    let opened = shared.tenants.open_snapshot(instance.0, manifest, by);
    let snapshot = opened.await?;
    json(StatusCode::CREATED, &SnapshotInfo::of(&snapshot))
}

/// List the open uploads.
///
/// Whoever was interrupted finds here what has arrived already, and sends the rest.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/snapshots",
    operation_id = "get_open_snapshots",
    tag = "Snapshots",
    responses((status = 200, description = "Oldest first", body = Vec<OpenSnapshotInfo>))
)]
pub(crate) async fn list(
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let open = shared.tenants.open_snapshots(instance.0).await?;
    let open = open.into_iter().map(|open| OpenSnapshotInfo {
        snapshot: SnapshotInfo::of(&open.snapshot),
        manifest: open.manifest,
        parts: open.parts.into_iter().map(ArrivedPartInfo::of).collect(),
    });
    ok(&open.collect::<Vec<_>>())
}

/// Send one part of an entity.
///
/// Parts are numbered from 1, in any order; one that is sent again replaces the first.
#[utoipa::path(
    put,
    path = "/instances/{instanceId}/snapshots/{snapshotId}/entities/{entityName}/parts/{partNumber}",
    operation_id = "put_snapshot_part",
    tag = "Snapshots",
    params(("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd` where the file is compressed; none for Parquet")),
    request_body(content(
        (String = "text/csv", example = "CustomerId,FullName\nc1,Kari Nordmann\n"),
        (String = "application/x-ndjson", example = "{\"CustomerId\": \"c1\", \"FullName\": \"Kari Nordmann\"}\n"),
        // Bytes that no text can show.
        (String = "application/vnd.apache.parquet", example = "PAR1 … PAR1")
    )),
    responses((status = 204, description = "Stored durably"))
)]
pub(crate) async fn put_part(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let format = part_format(request.headers())?;
    let entity = request::segment(&request, "entityName")?;
    let entity = EntityName::parse(&entity).map_err(|error| error.with_target("entityName"))?;
    let part = part_number(&request)?;
    let limit = Limit {
        name: "part_bytes_max",
        bytes: shared.config.part_bytes_max,
    };
    let stall_timeout = shared.config.body_stall_timeout;
    let chunks = Chunks::new(request.headers(), payload, limit, stall_timeout)?;
    let _place = shared.upload()?;
    let snapshot = snapshot_id(&request)?;
    let by = caller.actor(&request);
    let opened = shared
        .tenants
        .open_part(instance.0, snapshot, entity, part, format, by);
    store(chunks, opened.await?).await?;
    Ok(no_content())
}

/// Moves a part into its sink: in pieces of bounded size, off the threads that serve requests.
async fn store(mut chunks: Chunks, mut sink: Box<dyn PartSink>) -> Result<(), Failure> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES_MAX);
    while let Some(chunk) = chunks.next().await? {
        buffer.extend_from_slice(&chunk);
        if buffer.len() >= BUFFER_BYTES_MAX {
            (sink, buffer) = write(sink, buffer).await?;
        }
    }
    let (sink, _) = write(sink, buffer).await?;
    // Broken off here, the part may be stored or not.
    let finished = web::block(move || sink.finish()).await;
    Ok(finished.map_err(|_| Failure::Unknown)??)
}

async fn write(
    mut sink: Box<dyn PartSink>,
    mut buffer: Vec<u8>,
) -> Result<(Box<dyn PartSink>, Vec<u8>), Error> {
    let written = web::block(move || {
        sink.write(&buffer)?;
        buffer.clear();
        Ok((sink, buffer))
    });
    let broken = |_| Error::new(ErrorCode::Internal, "storing the part was broken off");
    written.await.map_err(broken)?
}

fn part_format(headers: &HeaderMap) -> Result<PartFormat, Error> {
    let value = headers.get(CONTENT_TYPE);
    let (kind, _) = essence(value.and_then(|v| v.to_str().ok()).unwrap_or_default());
    let packing = match encoding(headers).as_deref() {
        None => PartPacking::None,
        Some("gzip" | "x-gzip") => PartPacking::Gzip,
        Some("zstd") => PartPacking::Zstd,
        Some(other) => {
            return Err(unsupported(format!(
                "the content encoding {} is not taken for a part: send gzip or zstd, or none",
                shown(other)
            )));
        }
    };
    match kind.as_str() {
        "text/csv" | "application/csv" => Ok(PartFormat::Csv(packing)),
        "application/x-ndjson" | "application/ndjson" | "application/jsonl" => {
            Ok(PartFormat::Ndjson(packing))
        }
        "application/vnd.apache.parquet" if packing == PartPacking::None => Ok(PartFormat::Parquet),
        "application/vnd.apache.parquet" => Err(unsupported(
            "Parquet is not taken compressed as a whole, because it is read from its end: it \
             compresses its pages itself; send it without a content encoding"
                .to_owned(),
        )),
        other => Err(unsupported(format!(
            "the content type {} is not taken for a part: send text/csv, application/x-ndjson or \
             application/vnd.apache.parquet",
            shown(other)
        ))),
    }
}

fn part_number(request: &HttpRequest) -> Result<u32, Error> {
    let text = request::segment(request, "partNumber")?;
    let number = text.parse().ok();
    number
        .filter(|number| (1..=PART_NUMBER_MAX).contains(number))
        .ok_or_else(|| {
            let text = format!("a part has a number from 1 to {PART_NUMBER_MAX}");
            Error::new(ErrorCode::InvalidArgument, text).with_target("partNumber")
        })
}

fn snapshot_id(request: &HttpRequest) -> Result<SnapshotId, Error> {
    let text = request::segment(request, "snapshotId")?;
    SnapshotId::parse(&text).ok_or_else(|| {
        let message = format!("there is no snapshot {}: its id is a UUID", shown(&text));
        Error::new(ErrorCode::SnapshotNotFound, message)
    })
}

/// Commit an upload.
///
/// Queues the job that loads it; repeated, it answers the same job. A gap in the part numbers or
/// an entity without parts is 400.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/snapshots/{snapshotId}/commit",
    operation_id = "commit_snapshot",
    tag = "Snapshots",
    responses((status = 202, description = "The job that loads it", body = GraphJobInfo))
)]
pub(crate) async fn commit(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let (id, by) = (snapshot_id(&request)?, caller.actor(&request));
    let job = shared.tenants.commit_snapshot(instance.0, id, by);
    json(StatusCode::ACCEPTED, &GraphJobInfo::new(job.await?, true))
}

/// Throw an open upload away.
#[utoipa::path(
    delete,
    path = "/instances/{instanceId}/snapshots/{snapshotId}",
    operation_id = "abort_snapshot",
    tag = "Snapshots",
    responses(
        (status = 204, description = "Gone"),
        (status = 409, description = "It has been committed", body = ErrorBody)
    )
)]
pub(crate) async fn abort(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let (id, by) = (snapshot_id(&request)?, caller.actor(&request));
    shared.tenants.abort_snapshot(instance.0, id, by).await?;
    Ok(no_content())
}
