//! Exports: the source of truth as files. Owns which files there are, the choice of the format, and
//! their streaming. Must not export a simulated generation (rules 6.9).

use std::sync::Arc;

use actix_web::http::header::{ACCEPT, CONTENT_DISPOSITION, HeaderMap, HeaderValue};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use sanntid_engine::{Reading, TenantState};
use sanntid_query::unified_activity_schema;
use sanntid_types::{CUSTOMER, EntitySchema, Error, ErrorCode, OpenRowFile, UNIFIED_ACTIVITY};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::caller::Caller;
use crate::csv_file::write_csv;
use crate::error::ErrorBody;
use crate::export_rows::{Content, Rows};
use crate::query::{Query, shown};
use crate::reply::Reply;
use crate::request::{self, Instance, check_accept_of};
use crate::server::Shared;

const CSV: &str = "text/csv";
const PARQUET: &str = "application/vnd.apache.parquet";

/// Where to download the files of an entity.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Download {
    http_requests: Vec<DownloadRequest>,
}

/// One request that gives a file.
#[derive(Serialize, ToSchema)]
pub(crate) struct DownloadRequest {
    uri: String,
    /// What to send besides the key.
    #[schema(value_type = Object)]
    headers: Map<String, Value>,
}

impl Download {
    /// Names the file of an entity; none of `Customer` and `UnifiedActivity` before the first
    /// snapshot.
    pub(crate) fn of(base: &str, tenant: &TenantState, entity: &str) -> Result<Self, Error> {
        check_real(tenant)?;
        let file = match find(tenant, entity) {
            Ok((_, schema)) => Some(schema.name.to_string()),
            Err(_) if entity.eq_ignore_ascii_case(CUSTOMER) => None,
            Err(_) if entity.eq_ignore_ascii_case(UNIFIED_ACTIVITY) => None,
            Err(error) => return Err(error),
        };
        let http_requests = file.into_iter().map(|name| DownloadRequest {
            uri: format!("{base}/exports/{name}"),
            headers: Map::new(),
        });
        Ok(Self {
            http_requests: http_requests.collect(),
        })
    }
}

/// Download an entity.
///
/// All rows of the current generation: the source of truth alone, without any real-time update or
/// activity. `UnifiedActivity` has the activities that the source brought, as the timelines of
/// their customers show them. The whole file shows one generation, also across a refresh.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/exports/{entityName}",
    operation_id = "export_entity",
    tag = "Data",
    params(("format" = Option<String>, Query, description = "`csv` or `parquet`; without it the header `Accept` decides", example = "csv")),
    responses(
        (status = 200, description = "The rows in the order of their keys, with a header or a schema", content(
            (String = "text/csv", example = "CustomerId,City\nc1,Oslo\n"),
            (Vec<u8> = "application/vnd.apache.parquet"),
        )),
        (status = 404, description = "No snapshot has brought the entity", body = ErrorBody),
        (status = 409, description = "The current generation is a simulation's", body = ErrorBody)
    )
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    mut query: Query,
) -> Reply {
    let format = format(&request, &mut query)?;
    query.finish()?;
    let entity = request::segment(&request, "entityName")?;
    let reading = shared.tenants.read(instance.0).await?;
    check_real(&reading.tenant)?;
    let (content, schema) = find(&reading.tenant, &entity)?;
    let place = shared.export()?;
    let open: OpenRowFile = match format {
        Format::Csv => write_csv,
        Format::Parquet => shared.parquet,
    };
    let rows = rows(content, &reading, open, &schema)?;
    let pieces = stream::try_unfold((Some(rows), place), move |(rows, place)| {
        let shared = shared.clone();
        async move {
            let Some(rows) = rows else {
                return Ok(None);
            };
            // An answer that has begun can only be cut off: what is cut off is no whole answer.
            let piece = rows.next(&shared, instance).await;
            let piece = piece.inspect_err(|error| tracing::warn!(%error, "an export was cut off"));
            let (bytes, rows) = piece?;
            Ok::<_, Error>(Some((bytes, (rows, place))))
        }
    });
    let (content_type, ending) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Parquet => (PARQUET, "parquet"),
    };
    let mut response = HttpResponse::Ok()
        .content_type(content_type)
        .streaming(pieces);
    let disposition = format!("attachment; filename=\"{}.{ending}\"", schema.name);
    if let Ok(value) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn rows(
    content: Content,
    reading: &Reading,
    open: OpenRowFile,
    schema: &Arc<EntitySchema>,
) -> Result<Rows, Error> {
    Ok(Rows::new(content, reading, open(schema)?))
}

/// What an entity's file holds, and how its rows look.
fn find(tenant: &TenantState, entity: &str) -> Result<(Content, Arc<EntitySchema>), Error> {
    let found = if entity.eq_ignore_ascii_case(UNIFIED_ACTIVITY) {
        let customers = tenant.customer().cloned();
        let schema = Arc::new(unified_activity_schema().clone());
        customers.map(|customers| (Content::Activities(customers), schema))
    } else {
        let table = tenant.entity(entity).cloned();
        table.map(|table| {
            let schema = Arc::clone(&table.schema);
            (Content::Table(table), schema)
        })
    };
    found.ok_or_else(|| {
        let text = format!("no snapshot has brought the entity {}", shown(entity));
        Error::new(ErrorCode::EntityNotFound, text).with_target("entityName")
    })
}

fn check_real(tenant: &TenantState) -> Result<(), Error> {
    if tenant.simulated {
        let text = "the current generation is a simulation's, which is no source of truth; it can \
                    be exported after the next refresh";
        return Err(Error::new(ErrorCode::GenerationSimulated, text));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Csv,
    Parquet,
}

/// The format that is asked for: by the option, else by the header.
fn format(request: &HttpRequest, query: &mut Query) -> Result<Format, Error> {
    match query.option("format")?.as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("parquet") => Ok(Format::Parquet),
        Some(other) => {
            let text = format!("format is csv or parquet, not {}", shown(other));
            Err(Error::new(ErrorCode::InvalidArgument, text).with_target("format"))
        }
        None => accepted(request.headers()),
    }
}

/// Parquet is given to who names it, and CSV no less gladly to who does not; a caller who takes
/// JSON alone, as published clients do, gets CSV.
fn accepted(headers: &HeaderMap) -> Result<Format, Error> {
    let (csv, parquet) = (quality(headers, CSV), quality(headers, PARQUET));
    if parquet.is_some_and(|parquet| parquet > 0.0 && csv.is_none_or(|csv| parquet >= csv)) {
        return Ok(Format::Parquet);
    }
    check_accept_of(headers, &[CSV, "application/json", "text/json"])?;
    Ok(Format::Csv)
}

/// How gladly a type that the caller names is taken.
pub(crate) fn quality(headers: &HeaderMap, name: &str) -> Option<f32> {
    let values = headers.get_all(ACCEPT);
    let ranges = values.filter_map(|value| value.to_str().ok());
    let mut ranges = ranges.flat_map(|value| value.split(','));
    ranges.find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        if !parts.next()?.eq_ignore_ascii_case(name) {
            return None;
        }
        let quality = parts.find_map(|part| part.strip_prefix("q="));
        Some(quality.and_then(|text| text.parse().ok()).unwrap_or(1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parquet_is_for_who_names_it() {
        let asked = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("a header"));
            accepted(&headers).ok()
        };
        for (accept, expected) in [
            ("*/*", Some(Format::Csv)),
            ("text/csv", Some(Format::Csv)),
            ("application/json", Some(Format::Csv)),
            ("application/vnd.apache.parquet", Some(Format::Parquet)),
            (
                "Application/Vnd.Apache.Parquet, */*;q=0.1",
                Some(Format::Parquet),
            ),
            (
                "text/csv;q=0.5, application/vnd.apache.parquet",
                Some(Format::Parquet),
            ),
            (
                "text/csv, application/vnd.apache.parquet;q=0.5",
                Some(Format::Csv),
            ),
            ("application/vnd.apache.parquet;q=0, */*", Some(Format::Csv)),
            ("application/vnd.apache.parquet;q=0", None),
            ("text/html", None),
        ] {
            assert_eq!(asked(accept), expected, "{accept}");
        }
        assert_eq!(accepted(&HeaderMap::new()).ok(), Some(Format::Csv));
    }
}
