//! Exports: the source of truth as files. Owns the CSV and its streaming with a bounded buffer.
//! Must not show real-time data (rules 5.5), nor a simulated generation (rules 6.9).

use std::borrow::Cow;
use std::time::Duration;

use actix_web::http::header::{CONTENT_DISPOSITION, HeaderValue};
use actix_web::web::{self, Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use sanntid_engine::{CallError, EntityTable, Reading, TenantState, ViewError};
use sanntid_types::{
    CUSTOMER, Error, ErrorCode, Incarnation, Instant, ProfileId, Row, UNIFIED_ACTIVITY,
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::error::ErrorBody;
use crate::key::Caller;
use crate::query::{Query, shown};
use crate::reply::Reply;
use crate::request::{self, Instance};
use crate::server::Shared;

/// How many rows are read before they are handed on.
const ROWS_TOGETHER: usize = 1_000;
/// How many bytes are gathered before they are handed on.
const BYTES_TOGETHER: usize = 256 * 1024;

/// How long a table that was replaced can be read; it is reclaimed after an hour.
const REPLACED_KEPT: Duration = Duration::from_secs(50 * 60);

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
    /// Names the files of an entity; all activity sources stand for `UnifiedActivity`.
    pub(crate) fn of(base: &str, tenant: &TenantState, entity: &str) -> Result<Self, Error> {
        check_real(tenant)?;
        let is_unified = entity.eq_ignore_ascii_case(UNIFIED_ACTIVITY);
        let wanted = |table: &&EntityTable| {
            let name = &table.schema.name;
            match is_unified {
                true => tenant.activity_config(name).is_some(),
                false => name.as_str().eq_ignore_ascii_case(entity),
            }
        };
        let files = tenant.entities.iter().filter(wanted);
        let http_requests: Vec<_> = files
            .map(|table| DownloadRequest {
                uri: format!("{base}/exports/{}", table.schema.name),
                headers: Map::new(),
            })
            .collect();
        let may_be_empty = is_unified || entity.eq_ignore_ascii_case(CUSTOMER);
        if http_requests.is_empty() && !may_be_empty {
            return Err(not_loaded(entity));
        }
        Ok(Self { http_requests })
    }
}

/// Download an entity.
///
/// All rows of the current generation as CSV with a header: the source of truth alone, without any
/// real-time update or activity. The whole file shows one generation, also across a refresh.
#[utoipa::path(
    get,
    path = "/instances/{instanceId}/exports/{entityName}",
    operation_id = "export_entity",
    tag = "Data",
    responses(
        (status = 200, description = "The rows in the order of their keys", content_type = "text/csv",
         body = String, example = "CustomerId,City\nc1,Oslo\n"),
        (status = 404, description = "No snapshot has brought the entity", body = ErrorBody),
        (status = 409, description = "The current generation is a simulation's", body = ErrorBody)
    )
)]
pub(crate) async fn get(
    request: HttpRequest,
    shared: Data<Shared>,
    _caller: Caller,
    instance: Instance,
    query: Query,
) -> Reply {
    query.finish()?;
    let entity = request::segment(&request, "entityName")?;
    let reading = shared.tenants.read(instance.0).await?;
    check_real(&reading.tenant)?;
    let table = reading.tenant.entity(&entity).cloned();
    let table = table.ok_or_else(|| not_loaded(&entity))?;
    let place = shared.export()?;
    let name = table.schema.name.clone();
    let rows = CsvRows {
        table,
        of: reading.tenant.incarnation,
        began: reading.now,
        place: Place::Header,
    };
    let pieces = stream::try_unfold((rows, place), move |(rows, place)| {
        let shared = shared.clone();
        async move {
            // An answer that has begun can only be cut off: what is cut off is no whole answer.
            let piece = rows.next_piece(&shared, instance).await;
            let piece = piece.inspect_err(|error| tracing::warn!(%error, "an export was cut off"));
            Ok::<_, Error>(piece?.map(|(bytes, rows)| (bytes, (rows, place))))
        }
    });
    let mut response = HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .streaming(pieces);
    let disposition = format!("attachment; filename=\"{name}.csv\"");
    if let Ok(value) = HeaderValue::try_from(disposition) {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

fn check_real(tenant: &TenantState) -> Result<(), Error> {
    if tenant.simulated {
        let text = "the current generation is a simulation's, which is no source of truth; it can \
                    be exported after the next refresh";
        return Err(Error::new(ErrorCode::GenerationSimulated, text));
    }
    Ok(())
}

fn not_loaded(entity: &str) -> Error {
    let text = format!("no snapshot has brought the entity {}", shown(entity));
    Error::new(ErrorCode::EntityNotFound, text).with_target("entityName")
}

/// The rows of one table that are still to be written.
///
/// Each piece is read in a moment of its own, so that a slow reader holds nothing up: a table never
/// changes, and one that a refresh has replaced stays for an hour.
struct CsvRows {
    table: EntityTable,
    of: Incarnation,
    began: Instant,
    place: Place,
}

type KeyedRows<'a> = Box<dyn Iterator<Item = Result<(String, Row), ViewError>> + 'a>;

enum Place {
    Header,
    /// Behind this key.
    After(Option<String>),
    End,
}

impl CsvRows {
    /// The next bytes, and what is left behind them.
    async fn next_piece(
        self,
        shared: &Shared,
        instance: Instance,
    ) -> Result<Option<(Bytes, Self)>, Error> {
        let unknown = || Error::new(ErrorCode::Internal, "the export was broken off");
        let reading = match shared.tenants.read(instance.0).await {
            Ok(reading) => reading,
            Err(CallError::Refused(error)) => return Err(error),
            Err(CallError::Unknown) => return Err(unknown()),
        };
        self.check_kept(&reading)?;
        let piece = web::block(move || self.piece(&reading)).await;
        piece.map_err(|_| unknown())?
    }

    /// Refuses to go on where rows may be gone, which would look like the end of the table.
    fn check_kept(&self, reading: &Reading) -> Result<(), Error> {
        let tenant = &reading.tenant;
        let is_current = tenant
            .entities
            .iter()
            .any(|at| at.table == self.table.table);
        let is_kept = is_current || reading.now <= self.began.plus(REPLACED_KEPT);
        if tenant.incarnation == self.of && is_kept {
            return Ok(());
        }
        let text = "the generation was replaced too long ago, or the instance was reset";
        Err(Error::new(ErrorCode::Interrupted, text))
    }

    fn piece(mut self, reading: &Reading) -> Result<Option<(Bytes, Self)>, Error> {
        let mut text = String::new();
        let after = match std::mem::replace(&mut self.place, Place::End) {
            Place::End => return Ok(None),
            Place::After(after) => after,
            Place::Header => {
                let names = self.table.schema.attributes.iter();
                push_record(
                    &mut text,
                    names.map(|attribute| attribute.name.as_str().into()),
                );
                None
            }
        };
        let width = self.table.schema.attributes.len();
        let mut last = None;
        for entry in self.rows(reading, after)?.take(ROWS_TOGETHER) {
            let (key, row) = entry.map_err(unreadable)?;
            push_record(&mut text, (0..width).map(|at| plain(row.get(at))));
            last = Some(key);
            if text.len() >= BYTES_TOGETHER {
                break;
            }
        }
        if last.is_some() {
            self.place = Place::After(last);
        }
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some((Bytes::from(text), self)))
    }

    fn rows<'a>(
        &self,
        reading: &'a Reading,
        after: Option<String>,
    ) -> Result<KeyedRows<'a>, Error> {
        let (view, table) = (&reading.view, self.table.table);
        if self.table.schema.name.as_str() != CUSTOMER {
            return Ok(view.rows_after(table, after.as_deref()));
        }
        let after = after.map(|id| ProfileId::parse(&id)).transpose()?;
        let profiles = view.profiles(table, after.as_ref());
        Ok(Box::new(profiles.map(|entry| {
            entry.map(|(id, row)| (id.as_str().to_owned(), row))
        })))
    }
}

fn unreadable(error: ViewError) -> Error {
    match error {
        ViewError::Unavailable(text) => Error::new(ErrorCode::StorePoisoned, text),
        ViewError::Corrupt(text) => Error::new(ErrorCode::Internal, text),
    }
}

/// A stored value as it stands in a field: text without quotes, nothing for null.
fn plain(json: &str) -> Cow<'_, str> {
    if json == "null" {
        return "".into();
    }
    if json.starts_with('"') {
        return serde_json::from_str::<String>(json).map_or(json.into(), Cow::Owned);
    }
    json.into()
}

/// Writes one record by RFC 4180, its end a line feed.
fn push_record<'a>(text: &mut String, fields: impl Iterator<Item = Cow<'a, str>>) {
    let begin = text.len();
    for (at, field) in fields.enumerate() {
        if at > 0 {
            text.push(',');
        }
        // Blanks at an end are quoted too: some readers cut them.
        let is_plain = !field.contains(['"', ',', '\n', '\r']) && field.trim() == field;
        if is_plain {
            text.push_str(&field);
        } else {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        }
    }
    // A record of one empty field must not be an empty line.
    if text.len() == begin {
        text.push_str("\"\"");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut text = String::new();
        let fields = ["a", "b,c", "say \"x\"", "two\nlines", " edge", "", "å"];
        push_record(&mut text, fields.iter().map(|field| Cow::Borrowed(*field)));
        push_record(&mut text, std::iter::once("".into()));
        assert_eq!(
            text,
            "a,\"b,c\",\"say \"\"x\"\"\",\"two\nlines\",\" edge\",,å\n\"\"\n"
        );
    }

    #[test]
    fn values_lose_nothing_but_their_json() {
        for (json, expected) in [
            ("null", ""),
            ("\"null\"", "null"),
            ("9007199254740993", "9007199254740993"),
            ("1.50", "1.50"),
            ("true", "true"),
            ("\"a\\\"b\\u00e5\"", "a\"bå"),
        ] {
            assert_eq!(plain(json), expected, "{json}");
        }
    }
}
