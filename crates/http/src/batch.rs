//! `POST …/data/$batch`: several calls under `/data/` in one request, each answered as by itself.
//! Owns their order and the frame of their answers; what an item does is its own handler's part.

mod model;

use std::collections::BTreeSet;
use std::vec::IntoIter;

use actix_web::body::to_bytes;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::stream;
use sanntid_engine::{AppendCall, PatchCall};
use sanntid_odata::{BatchItem, BatchMethod, BatchTarget, parse_batch};
use sanntid_types::{Error, ErrorCode, InstanceId};
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use self::model::{BatchAnswer, BatchAnswerItem, BatchRequest};
use crate::authorize::allow_now;
use crate::body::{self, Limit};
use crate::caller::Caller;
use crate::error::Failure;
use crate::query::{Query, shown};
use crate::render::{RequestId, render};
use crate::reply::Reply;
use crate::request::{self, DataCall, Instance, PREFIXES, decode_tail, instance_url, origin};
use crate::server::Shared;
use crate::{data_read, limits, routes, write};

const CONTINUE: &str = "continue-on-error";

/// Make several calls in one.
///
/// The JSON batch of OData 4.01, at most 1,000 items, done in their order: reads, updates of
/// profiles and new activities of this instance. Each item is answered as the call by itself would
/// be. After an item that fails the rest is not tried and gets 424, unless the header
/// `Prefer: continue-on-error` is there; what depends on a failed item is not tried in any case.
/// Groups that are done all or none (`atomicityGroup`) are not served.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/data/$batch",
    operation_id = "batch_data_requests",
    tag = "Data",
    params(("Prefer" = Option<String>, Header, description = "`continue-on-error`: go on behind an item that fails", example = "continue-on-error")),
    request_body(content = BatchRequest, example = json!({"requests": [
        {"id": "1", "method": "patch", "url": "Customer('c1')", "body": {"City": "Bergen"}},
        {"id": "2", "method": "get", "url": "Customer('c1')?$select=City", "dependsOn": ["1"]}
    ]})),
    responses((status = 200, description = "A status for each item", body = BatchAnswer))
)]
pub(crate) async fn run(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    query.finish()?;
    let goes_on = prefers_going_on(request.headers())?;
    let place = shared.bulk()?;
    let limit = Limit::new("batch_body_bytes_max", shared.config.batch_body_bytes_max);
    let body = body::read(&request, payload, limit, shared.config.body_stall_timeout).await?;
    let items = parse_batch(&body)?;
    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    limits::check_items(&shared, instance.0, count)?;
    drop(body);
    // What holds for every item is said at once.
    drop(shared.tenants.read(instance.0).await?);
    let request_id = request.extensions().get::<RequestId>().cloned();
    let run = Run {
        base: instance_url(&request, &shared, instance.0),
        host: origin(&request).1,
        request_id: request_id.unwrap_or_else(|| RequestId::of(request.headers())),
        shared,
        caller,
        instance: instance.0,
        goes_on,
        failed: BTreeSet::new(),
        is_stopped: false,
        items: items.into_iter(),
        place: Place::Begin,
        _held: place,
    };
    let pieces = stream::try_unfold(run, |mut run| async move {
        let piece = run.next_piece().await?;
        Ok::<_, Error>(piece.map(|piece| (piece, run)))
    });
    let mut response = HttpResponse::Ok()
        .content_type("application/json")
        .streaming(pieces);
    if goes_on {
        let name = HeaderName::from_static("preference-applied");
        write::set(&mut response, name, CONTINUE);
    }
    Ok(response)
}

/// Whether the caller wants the rest done behind an item that fails.
fn prefers_going_on(headers: &HeaderMap) -> Result<bool, Error> {
    let preferences = request::header(headers, "prefer")?.unwrap_or_default();
    let mut all = preferences.split([',', ';']).map(str::trim);
    let value = all.find_map(|preference| {
        let (name, value) = preference.split_once('=').unwrap_or((preference, "true"));
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("odata.").unwrap_or(&name);
        (name == CONTINUE).then(|| value.trim().trim_matches('"').to_ascii_lowercase())
    });
    // A preference that can't be understood is none (RFC 7240).
    Ok(value.is_some_and(|value| value == "true"))
}

/// Where the text of the answer is.
#[derive(Clone, Copy)]
enum Place {
    Begin,
    First,
    Next,
    End,
}

/// The items that are still to be done.
struct Run {
    shared: Data<Shared>,
    caller: Caller,
    instance: InstanceId,
    base: String,
    /// Where the request was sent.
    host: String,
    request_id: RequestId,
    goes_on: bool,
    /// Items and groups that failed.
    failed: BTreeSet<String>,
    is_stopped: bool,
    items: IntoIter<BatchItem>,
    place: Place,
    _held: OwnedSemaphorePermit,
}

impl Run {
    /// Does the next item, once somebody wants its answer.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, Error> {
        let begin = match self.place {
            Place::Begin => {
                self.place = Place::First;
                return Ok(Some(Bytes::from_static(b"{\"responses\":[")));
            }
            Place::First => "",
            Place::Next => ",",
            Place::End => return Ok(None),
        };
        let Some(item) = self.items.next() else {
            self.place = Place::End;
            return Ok(Some(Bytes::from_static(b"]}")));
        };
        self.place = Place::Next;
        let answer = self.answer(item).await?;
        let mut piece = begin.as_bytes().to_vec();
        serde_json::to_writer(&mut piece, &answer).map_err(|error| {
            Error::new(
                ErrorCode::Internal,
                format!("an answer has no JSON: {error}"),
            )
        })?;
        Ok(Some(piece.into()))
    }

    async fn answer(&mut self, item: BatchItem) -> Result<BatchAnswerItem, Error> {
        let reply = match self.obstacle(&item) {
            Some(error) => Err(error.into()),
            None => self.dispatch(&item).await,
        };
        let response = match reply {
            Ok(response) => response,
            Err(Failure::Unknown) => {
                // Nobody may take it for a refusal: the connection is cut (rules 7.1).
                tracing::warn!("outcome of an item of a batch unknown, its answer was cut off");
                // First what is known goes out.
                tokio::task::yield_now().await;
                let text = "whether an item is stored can't be known";
                return Err(Error::new(ErrorCode::Internal, text));
            }
            Err(failure) => render(&failure, &self.request_id),
        };
        let status = response.status();
        let text = status.as_str().to_owned();
        metrics::counter!("sanntid_http_batch_items_total", "status" => text).increment(1);
        if status.is_client_error() || status.is_server_error() {
            self.is_stopped |= !self.goes_on;
            self.failed.insert(item.id.clone());
            self.failed.extend(item.group);
        }
        framed(item.id, status, response).await
    }

    /// Why an item is not tried.
    fn obstacle(&self, item: &BatchItem) -> Option<Error> {
        let text = if let Some(failed) = item
            .depends_on
            .iter()
            .find(|name| self.failed.contains(*name))
        {
            format!(
                "not tried: it depends on {}, which has failed",
                shown(failed)
            )
        } else if self.is_stopped {
            format!("not tried: an item before it has failed; Prefer: {CONTINUE} goes on")
        } else {
            return item.refusal.clone();
        };
        Some(Error::new(ErrorCode::DependencyFailed, text))
    }

    /// Asks of the caller what the item by itself would ask, as things stand now.
    fn authorize(&self, method: BatchMethod) -> Result<(), Failure> {
        let method = match method {
            BatchMethod::Get => Method::GET,
            BatchMethod::Patch => Method::PATCH,
            BatchMethod::Post => Method::POST,
            BatchMethod::Put => Method::PUT,
            BatchMethod::Delete => Method::DELETE,
        };
        let needs = routes::needs_of_data(&method);
        allow_now(&self.shared, &self.caller, needs, self.instance)
    }

    async fn dispatch(&self, item: &BatchItem) -> Reply {
        self.authorize(item.method)?;
        let url = self.below(&item.target)?;
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let headers = headers(&item.headers)?;
        request::check_accept(&headers)?;
        let data = DataCall {
            instance: self.instance,
            base: self.base.clone(),
            tail: decode_tail(path)?,
            headers: &headers,
        };
        let query = Query::parse(query)?;
        let shared = &self.shared;
        let text = item
            .body
            .as_ref()
            .map(|body| body.get())
            .unwrap_or_default();
        match item.method {
            BatchMethod::Get if item.body.is_some() => {
                let text = "a get has no body";
                Err(Error::new(ErrorCode::InvalidBody, text).into())
            }
            BatchMethod::Get => data_read::answer(shared, &data, query).await,
            BatchMethod::Patch => {
                let call = write::patch_call(&data, query)?;
                let limit = Limit::new("body_bytes_max", shared.config.body_bytes_max);
                body::check(&headers, text.as_bytes(), limit)?;
                let body = Bytes::copy_from_slice(text.as_bytes());
                write::patch(shared, &data, PatchCall { body, ..call }).await
            }
            BatchMethod::Post => {
                let call = write::append_call(&data, query)?;
                body::check(&headers, text.as_bytes(), write::activity_limit(shared))?;
                let body = Bytes::copy_from_slice(text.as_bytes());
                write::append(shared, &data, AppendCall { body, ..call }).await
            }
            BatchMethod::Put | BatchMethod::Delete => Err(write::refusal(&data.tail)),
        }
    }

    /// What stands behind `/data/` of this instance, escapes and query included.
    fn below<'a>(&self, target: &'a BatchTarget) -> Result<&'a str, Error> {
        let elsewhere = || {
            let text = "the url leads elsewhere: a batch is done under /data/ of its own instance";
            Error::new(ErrorCode::InvalidArgument, text).with_target("url")
        };
        let (host, path) = match target {
            BatchTarget::Relative(url) => return Ok(url),
            BatchTarget::Absolute { host, path } => (host, path),
        };
        let public = self.shared.config.public_url.as_deref();
        let public = public.and_then(|url| Some(url.split_once("://")?.1));
        let is_ours = |host: &String| {
            host.eq_ignore_ascii_case(&self.host)
                || public.is_some_and(|public| host.eq_ignore_ascii_case(public))
        };
        if !host.as_ref().is_none_or(is_ours) {
            return Err(elsewhere());
        }
        let mut prefixes = PREFIXES.iter();
        let below = prefixes.find_map(|prefix| {
            let below = path.strip_prefix(prefix)?.strip_prefix("/instances/")?;
            let (id, below) = below.split_once('/')?;
            let is_this = InstanceId::parse(id) == Some(self.instance);
            below.strip_prefix("data/").filter(|_| is_this)
        });
        below.ok_or_else(elsewhere)
    }
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let parsed = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        );
        let (Ok(name), Ok(value)) = parsed else {
            let text = format!("the header {} can't be one", shown(name));
            return Err(Error::new(ErrorCode::InvalidArgument, text).with_target("headers"));
        };
        headers.append(name, value);
    }
    Ok(headers)
}

/// Puts an answer into the frame of the batch.
async fn framed(
    id: String,
    status: StatusCode,
    response: HttpResponse,
) -> Result<BatchAnswerItem, Error> {
    let (head, body) = response.into_parts();
    let unreadable = || Error::new(ErrorCode::Internal, "an item's answer can't be read");
    let bytes = to_bytes(body).await.map_err(|_| unreadable())?;
    let is_json = head.headers().get(CONTENT_TYPE).is_some_and(|value| {
        let value = value.to_str().unwrap_or_default();
        value.starts_with("application/json")
    });
    let text = String::from_utf8(bytes.into()).map_err(|_| unreadable())?;
    let body = match text {
        text if text.is_empty() => None,
        text if is_json => Some(RawValue::from_string(text)),
        text => Some(serde_json::value::to_raw_value(&text)),
    };
    let mut headers = serde_json::Map::new();
    for (name, value) in head.headers() {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str().to_owned(), value.into());
        }
    }
    Ok(BatchAnswerItem {
        id,
        status: status.as_u16(),
        headers,
        body: body.transpose().map_err(|_| unreadable())?,
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn a_preference_is_found_under_its_names() {
        let prefers = |value: &'static str| {
            let mut headers = HeaderMap::new();
            let name = HeaderName::from_static("prefer");
            headers.insert(name, HeaderValue::from_static(value));
            prefers_going_on(&headers).expect("readable")
        };
        for wanted in [
            "continue-on-error",
            "odata.continue-on-error",
            "respond-async, Continue-On-Error=true",
            "odata.continue-on-error = \"true\"; a=b",
        ] {
            assert!(prefers(wanted), "{wanted}");
        }
        for not in [
            "",
            "respond-async",
            "continue-on-error=false",
            "continue-on-error=maybe",
        ] {
            assert!(!prefers(not), "{not}");
        }
        assert!(!prefers_going_on(&HeaderMap::new()).expect("readable"));
    }
}
