//! Many writes in one request: a line each, answered line by line in their order.
//! Owns the lines' shapes and the stream of answers. A client that stops reading answers stops the
//! intake of lines: at most one batch is answered, one written and one gathered.

mod answers;
mod line;
mod lines;
mod unpack;

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::Stream;
use sanntid_engine::{CallError, WriteCall};
use sanntid_types::{Error, ErrorCode, InstanceId, Role};
use tokio::sync::OwnedSemaphorePermit;

use self::answers::{Answers, Slot};
use self::line::Verb;
use self::lines::{Line, Lines};
use self::unpack::Unpack;
use crate::authorize::{Needs, allow_now};
use crate::body::{Limit, essence, unsupported};
use crate::caller::Caller;
use crate::error::Failure;
use crate::limits;
use crate::query::{Query, shown};
use crate::render::RequestId;
use crate::reply::Reply;
use crate::request::{self, Instance};
use crate::server::Shared;

/// How many lines are decided together at most; the instance's other callers wait so long.
const LINES_TOGETHER_MAX: usize = 500;
/// How many bytes of lines are decided together at most, but for one line that is longer.
const BYTES_TOGETHER_MAX: usize = 256 * 1024;
/// What a line may hold besides the document.
const ENVELOPE_BYTES_MAX: u64 = 4 * 1024;

const NDJSON: &str = "application/x-ndjson";
/// The names that lines of JSON go by.
const TYPES: [&str; 3] = [NDJSON, "application/ndjson", "application/jsonl"];

/// Create many activities.
///
/// Each line is `{"body": {…}, "validUntil"?, "caller"?, "onUnknownCustomer"?}`, its body what a
/// POST of one would send. The answer has one line for each, in their order, as they become
/// durable: `{"line", "status", "id", "replayed"?, "error"?}`. A bad line spoils no other. Read
/// while you send: whoever reads no answers is read from no more.
#[utoipa::path(
    post,
    path = "/instances/{instanceId}/data/{entityName}/$bulk",
    operation_id = "create_activities_in_bulk",
    tag = "Real-time",
    params(
        ("entityName" = String, Path, description = "`UnifiedActivity`, or a configured activity source", example = "UnifiedActivity"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd` where the lines are compressed", example = "gzip"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", example =
        "{\"body\": {\"CustomerId\": \"c1\", \"ActivityTime\": \"2026-11-23T12:00:00Z\", \"ActivityType\": \"SalesOrder\"}}\n"),
    responses((status = 200, description = "A status for each line", content_type = "application/x-ndjson",
        body = String, example = "{\"line\":1,\"status\":201,\"id\":\"a1\"}\n"))
)]
pub(crate) async fn create(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    let entity = request::segment(&request, "entityName")?;
    if entity.eq_ignore_ascii_case(sanntid_types::CUSTOMER) {
        return Err(Failure::MethodNotAllowed {
            allow: "PATCH".into(),
        });
    }
    let verb = Verb::Append { entity };
    start(&request, shared, caller, instance, query, payload, verb).await
}

/// Update many profiles.
///
/// Each line is `{"id": "c1", "body": {…}, "validUntil"?, "caller"?}`, its body what a PATCH of the
/// profile would send. Only `Customer` can be updated. The answer has one line for each, in their
/// order, as they become durable: `{"line", "status", "id", "error"?}`. A bad line spoils no other.
/// Read while you send: whoever reads no answers is read from no more.
#[utoipa::path(
    patch,
    path = "/instances/{instanceId}/data/{entityName}/$bulk",
    operation_id = "update_profiles_in_bulk",
    tag = "Real-time",
    params(
        ("entityName" = String, Path, description = "`Customer`", example = "Customer"),
        ("Content-Encoding" = Option<String>, Header, description = "`gzip` or `zstd` where the lines are compressed", example = "gzip"),
    ),
    request_body(content = String, content_type = "application/x-ndjson", example =
        "{\"id\": \"c1\", \"caller\": \"crm\", \"body\": {\"City\": \"Bergen\"}}\n"),
    responses((status = 200, description = "A status for each line", content_type = "application/x-ndjson",
        body = String, example = "{\"line\":1,\"status\":204,\"id\":\"c1\"}\n"))
)]
pub(crate) async fn update(
    request: HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    instance: Instance,
    query: Query,
    payload: Payload,
) -> Reply {
    let entity = request::segment(&request, "entityName")?;
    if !entity.eq_ignore_ascii_case(sanntid_types::CUSTOMER) {
        return Err(Failure::MethodNotAllowed {
            allow: "POST".into(),
        });
    }
    start(
        &request,
        shared,
        caller,
        instance,
        query,
        payload,
        Verb::Patch,
    )
    .await
}

async fn start(
    request: &HttpRequest,
    shared: Data<Shared>,
    caller: Caller,
    Instance(instance): Instance,
    query: Query,
    payload: Payload,
    verb: Verb,
) -> Reply {
    query.finish()?;
    request::check_accept_of(request.headers(), &ANSWERS)?;
    check_type(request)?;
    let unpack = Unpack::of(request.headers())?;
    let place = shared.bulk()?;
    // What holds for every line is said at once.
    drop(shared.tenants.read(instance).await?);
    let line_max = line_limit(&shared, &verb);
    let stall_timeout = shared.config.body_stall_timeout;
    let request_id = request.extensions().get::<RequestId>().cloned();
    let bulk = Bulk {
        lines: Lines::new(payload, unpack, line_max, stall_timeout),
        answers: Answers::new(request_id.as_ref().map_or("", RequestId::as_str)),
        shared,
        caller,
        instance,
        verb,
        gathered: Batch::default(),
        is_over: false,
        writing: None,
        is_cut: false,
        _place: place,
    };
    Ok(HttpResponse::Ok().content_type(NDJSON).streaming(bulk))
}

/// What callers may ask for to be answered in lines; many clients ask for JSON whatever they do.
const ANSWERS: [&str; 4] = [
    NDJSON,
    "application/ndjson",
    "application/jsonl",
    "application/json",
];

fn check_type(request: &HttpRequest) -> Result<(), Error> {
    let value = request.headers().get(CONTENT_TYPE);
    let (kind, _) = essence(value.and_then(|v| v.to_str().ok()).unwrap_or_default());
    if TYPES.contains(&kind.as_str()) {
        return Ok(());
    }
    Err(unsupported(format!(
        "the content type {} is not taken here: send lines of JSON as {NDJSON}",
        shown(&kind)
    )))
}

/// The longest line: the longest document of its kind, with something around it.
fn line_limit(shared: &Shared, verb: &Verb) -> Limit {
    let document = verb.body_limit(&shared.config);
    let bytes = document.bytes.saturating_add(ENVELOPE_BYTES_MAX);
    Limit { bytes, ..document }
}

/// Lines that are decided together.
#[derive(Default)]
struct Batch {
    slots: Vec<(u64, Slot)>,
    calls: Vec<WriteCall>,
    bytes: usize,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.slots.len() >= LINES_TOGETHER_MAX || self.bytes >= BYTES_TOGETHER_MAX
    }
}

/// A batch that is being written.
struct Writing {
    slots: Vec<(u64, Slot)>,
    outcome: Pin<Box<dyn Future<Output = Vec<answers::Outcome>>>>,
    /// What became of it, once that is known.
    written: Option<Vec<answers::Outcome>>,
}

/// The answers to the lines of one request.
struct Bulk {
    shared: Data<Shared>,
    caller: Caller,
    instance: InstanceId,
    verb: Verb,
    lines: Lines,
    gathered: Batch,
    /// Whether there are no more lines.
    is_over: bool,
    writing: Option<Writing>,
    answers: Answers,
    /// Whether the answer ends here, for the outcome of the next line is unknown.
    is_cut: bool,
    _place: OwnedSemaphorePermit,
}

impl Bulk {
    /// Gathers lines as long as there are some and the batch has room.
    fn gather(&mut self, context: &mut Context<'_>) {
        while !self.is_over && !self.gathered.is_full() {
            match self.lines.poll_line(context) {
                Poll::Pending => return,
                Poll::Ready(None) => self.is_over = true,
                Poll::Ready(Some(line)) => self.take(line),
            }
        }
    }

    /// Reads what a line asks for. The first line that is one too many ends the request.
    fn read(&mut self, number: u64, text: &Bytes) -> Result<WriteCall, Error> {
        let (shared, instance) = (&self.shared, self.instance);
        if let Err(error) = limits::check_items(shared, instance, number) {
            self.is_over = true;
            return Err(error);
        }
        let call = self.verb.call(text, &shared.config)?;
        limits::check_line(shared, instance, &call)?;
        Ok(call)
    }

    fn take(&mut self, Line { number, text }: Line) {
        let length = text.as_ref().map_or(0, Bytes::len);
        let slot = match text.and_then(|text| self.read(number, &text)) {
            Ok(call) => {
                self.gathered.calls.push(call);
                Slot::Called
            }
            Err(error) => Slot::Refused(error),
        };
        self.gathered.slots.push((number, slot));
        self.gathered.bytes += length;
    }

    /// Goes on with the batch that is being written; begins with what is gathered where there is none.
    fn write(&mut self, context: &mut Context<'_>) {
        if self.writing.is_none() && !self.gathered.slots.is_empty() {
            self.begin();
        }
        if let Some(writing) = &mut self.writing
            && writing.written.is_none()
            && let Poll::Ready(outcomes) = writing.outcome.as_mut().poll(context)
        {
            writing.written = Some(outcomes);
        }
    }

    fn begin(&mut self) {
        let Batch {
            mut slots,
            mut calls,
            ..
        } = std::mem::take(&mut self.gathered);
        // The request may have begun long ago.
        let needs = Needs::Role(Role::Contributor);
        if let Err(failure) = allow_now(&self.shared, &self.caller, needs, self.instance) {
            calls.clear();
            for (_, slot) in &mut slots {
                if let Slot::Called = slot {
                    *slot = Slot::Refused(failure.error());
                }
            }
        }
        let (shared, instance, count) = (self.shared.clone(), self.instance, calls.len());
        let outcome = async move {
            if calls.is_empty() {
                return Vec::new();
            }
            match shared.tenants.write_many(instance, calls).await {
                Ok(outcome) => outcome,
                Err(error) => vec![Err(error); count],
            }
        };
        self.writing = Some(Writing {
            slots,
            outcome: Box::pin(outcome),
            written: None,
        });
    }
}

impl Stream for Bulk {
    type Item = Result<Bytes, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            this.gather(context);
            // Tried before answers go out, so that one batch is written while those of the one
            // before it are sent.
            this.write(context);
            match this.answers.next_piece() {
                Ok(None) => {}
                Ok(Some(piece)) => return Poll::Ready(Some(Ok(piece))),
                // Nobody may take it for a refusal: the connection is cut (rules 7.1).
                Err(answers::Unknown) if !this.is_cut => {
                    // First what is known goes out.
                    this.is_cut = true;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Err(answers::Unknown) => {
                    tracing::warn!("outcome of a line unknown, its answer was cut off");
                    let text = "whether a line is stored can't be known";
                    return Poll::Ready(Some(Err(Error::new(ErrorCode::Internal, text))));
                }
            }
            match this.writing.take() {
                Some(Writing {
                    slots,
                    written: Some(outcomes),
                    ..
                }) => this.answers.take(slots, outcomes),
                None if this.is_over && this.gathered.slots.is_empty() => return Poll::Ready(None),
                writing => {
                    this.writing = writing;
                    return Poll::Pending;
                }
            }
        }
    }
}

impl From<CallError> for Slot {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(error) => Self::Refused(error),
            CallError::Unknown => Self::Unknown,
        }
    }
}
