//! What surrounds every request: id, admission, span, metrics, the log line and the error's answer.
//! Owns the order of these. Must not know what a route does.

use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest, web};
use futures_util::FutureExt as _;
use metrics::{Counter, Gauge, Histogram};
use sanntid_types::{Error, ErrorCode, Role};
use tracing::Instrument as _;

use crate::authorize::Needs;
use crate::connection::{Line, Open, hold};
use crate::error::Failure;
use crate::headers::Setting;
use crate::key::authenticate;
use crate::limits;
use crate::render::{Rendered, RequestId, finish, render};
use crate::server::Shared;
use crate::{audit, cors, head, request};

/// What anybody may see: it holds no data.
pub(crate) const OPEN: [&str; 4] = ["/healthz", "/readyz", "/openapi.json", "/docs"];

/// Names the operations of one resource, with what each needs of its caller.
#[derive(Clone)]
pub(crate) struct Operations(pub(crate) Rc<[(Method, &'static str, Needs)]>);

impl Operations {
    /// What the operation of a method needs; `None` where there is none.
    pub(crate) fn needs(&self, method: &Method) -> Option<Needs> {
        let mut all = self.0.iter();
        all.find(|(known, ..)| known == method)
            .map(|(.., needs)| *needs)
    }

    /// What a method that has no operation needs: what an address does not take is told only to
    /// those who may know that it exists.
    pub(crate) fn needs_otherwise(&self, is_of_instance: bool) -> Needs {
        let is_open = self.0.iter().all(|(.., needs)| *needs == Needs::Nothing);
        match (is_of_instance, is_open && !self.0.is_empty()) {
            (true, _) => Needs::Role(Role::Viewer),
            (false, true) => Needs::Nothing,
            (false, false) => Needs::Known,
        }
    }

    pub(crate) fn name(&self, method: &Method) -> Option<&'static str> {
        let mut all = self.0.iter();
        all.find(|(known, ..)| known == method)
            .map(|(_, name, _)| *name)
    }
}

/// Answers one request, whatever happens to it.
pub(crate) async fn observe(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let watch = Stopwatch::start();
    let _in_flight = InFlight::enter();
    let request_id = RequestId::of(request.headers());
    request.extensions_mut().insert(request_id.clone());
    let method = request.method().clone();
    let setting = Setting::of(request.request());
    let span = tracing::info_span!(
        "request",
        request_id = request_id.as_str(),
        instance_id = tracing::field::Empty
    );
    let answered = AssertUnwindSafe(answer(request, next)).catch_unwind();
    let answered = answered.instrument(span.clone()).await;
    let _entered = span.enter();
    let (operation, result) = match answered {
        Ok(Ok(response)) => {
            let operation = operation_of(response.request());
            (operation, Ok(conclude(response, &request_id, setting)))
        }
        Ok(Err(error)) => (UNMATCHED, Err(failure_of(&error))),
        Err(_) => (UNMATCHED, Err(panicked(&method))),
    };
    let result = result.map_err(|failure| {
        log(&failure);
        Rendered {
            failure,
            request_id,
            setting,
        }
    });
    let status = match &result {
        Ok(response) => response.status(),
        Err(rendered) => actix_web::ResponseError::status_code(rendered),
    };
    record(operation, status, watch.elapsed());
    Ok(result?)
}

async fn answer(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    if let Some(response) =
        cors::preflight(&request, &shared(request.request()).config.cors_origins)
    {
        return Ok(request.into_response(response));
    }
    let admitted = match begin(request.request()) {
        Ok(open) => admit(&request).await.map(|()| open),
        Err(error) => Err(error.into()),
    };
    match admitted {
        Ok(open) => {
            let response = next.call(request).await?;
            Ok(response.map_body(|_, body| hold(body, open)))
        }
        Err(failure) => Ok(request.error_response(failure)),
    }
}

/// Counts a request among those of its connection.
fn begin(request: &HttpRequest) -> Result<Option<Open>, Error> {
    let Some(line) = Line::of(request) else {
        return Ok(None);
    };
    let open = line.begin(shared(request).config.streams_max);
    let refused = || {
        let text = "too many requests on one connection: the limit streams_max is met";
        Error::new(ErrorCode::Overloaded, text).with_target("streamsInFlight")
    };
    open.map(Some).ok_or_else(refused)
}

fn shared(request: &HttpRequest) -> &Shared {
    request
        .app_data::<web::Data<Shared>>()
        .expect("every application holds its shared state")
}

/// Checks what holds for every route, before any is looked for: nobody learns routes without a key.
async fn admit(request: &ServiceRequest) -> Result<(), Failure> {
    let path = request.uri().path();
    let shared = shared(request.request());
    head::check(request.uri(), request.headers())?;
    if !is_open(path) {
        let caller = authenticate(request.headers(), request.query_string(), shared).await;
        let caller = caller.map_err(|failure| too_often(shared, request, failure))?;
        request.extensions_mut().insert(caller);
    }
    request::check_escapes(path)?;
    if request::is_data(path) && !request::is_bulk(path) && !request::has_own_type(path) {
        request::check_accept(request.headers())?;
    }
    Ok(())
}

/// What becomes of a failed attempt to get in: the same, unless its address has tried too often.
fn too_often(shared: &Shared, request: &ServiceRequest, failure: Failure) -> Failure {
    if failure.error().code != ErrorCode::Unauthorized {
        return failure;
    }
    match shared.limits.failed_attempt(request.peer_addr()) {
        Ok(()) => failure,
        Err(error) => error.into(),
    }
}

fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || path.starts_with("/docs/")
}

/// Gives an answer its headers, and a failure its body.
fn conclude(
    response: ServiceResponse<BoxBody>,
    request_id: &RequestId,
    setting: Setting,
) -> ServiceResponse<BoxBody> {
    let failure = response.response().error().map(failure_of);
    let (request, response) = response.into_parts();
    let mut response = match failure {
        Some(failure) => {
            log(&failure);
            audit::note_refused(&request, shared(&request), &failure);
            render(&failure, request_id)
        }
        None => response,
    };
    finish(&mut response, request_id, setting);
    limits::tell(&request, response.headers_mut());
    let origins = &shared(&request).config.cors_origins;
    cors::allow(request.headers(), origins, response.headers_mut());
    ServiceResponse::new(request, response)
}

/// What an error of a handler or of the framework means.
fn failure_of(error: &actix_web::Error) -> Failure {
    if let Some(failure) = error.as_error::<Failure>() {
        return match failure {
            Failure::Refused(error) => Failure::Refused(error.clone()),
            Failure::MethodNotAllowed { allow } => Failure::MethodNotAllowed {
                allow: allow.clone(),
            },
            Failure::Unknown => Failure::Unknown,
        };
    }
    let status = error.as_response_error().status_code();
    let code = if status == StatusCode::NOT_FOUND {
        ErrorCode::RouteNotFound
    } else if status == StatusCode::PAYLOAD_TOO_LARGE {
        ErrorCode::BodyTooLarge
    } else if status.is_client_error() {
        ErrorCode::InvalidArgument
    } else {
        ErrorCode::Internal
    };
    Failure::Refused(Error::new(code, error.to_string()))
}

/// What a panic means: of a read that it failed; of a write nothing is known (rules 7.1).
fn panicked(method: &Method) -> Failure {
    if *method != Method::GET {
        return Failure::Unknown;
    }
    let text = "the request could not be answered: an unexpected condition was met";
    Failure::Refused(Error::new(ErrorCode::Internal, text))
}

/// The operation of requests that no route took.
pub(crate) const UNMATCHED: &str = "unmatched";

/// The name of the operation that a request is for.
pub(crate) fn operation_of(request: &HttpRequest) -> &'static str {
    let operations = request.app_data::<Operations>();
    let name = operations.and_then(|operations| operations.name(request.method()));
    name.unwrap_or(UNMATCHED)
}

/// Logs a failure once. Only what a person must act on is an error.
fn log(failure: &Failure) {
    if let Failure::Unknown = failure {
        tracing::warn!("outcome of a write unknown, connection closed without an answer");
        return;
    }
    let error = failure.error();
    let code = tracing::field::debug(error.code);
    match error.code {
        ErrorCode::Internal => {
            tracing::error!(code, reason = error.message, "request failed");
        }
        ErrorCode::DiskFull | ErrorCode::ClockJumped | ErrorCode::StorePoisoned => {
            tracing::warn!(code, reason = error.message, "request refused");
        }
        // The message may repeat what the caller sent, which can be personal data.
        _ => tracing::debug!(code, "request refused"),
    }
}

fn record(operation: &'static str, status: StatusCode, elapsed: Duration) {
    METERS.with_borrow_mut(|meters| {
        let meter = meters
            .entry(operation)
            .or_insert_with(|| Meter::new(operation));
        meter.seconds.record(elapsed.as_secs_f64());
        meter.count(operation, status);
    });
}

thread_local! {
    /// The meters of each operation that this thread has answered: looking one up by its labels
    /// costs more than all that is measured.
    static METERS: RefCell<HashMap<&'static str, Meter>> = RefCell::default();
    static IN_FLIGHT: Gauge = metrics::gauge!("sanntid_http_requests_in_flight");
}

/// What is measured of one operation.
struct Meter {
    seconds: Histogram,
    requests: Vec<(StatusCode, Counter)>,
}

impl Meter {
    fn new(operation: &'static str) -> Self {
        let seconds = metrics::histogram!(
            "sanntid_http_request_duration_seconds", "operation" => operation
        );
        Self {
            seconds,
            requests: Vec::new(),
        }
    }

    fn count(&mut self, operation: &'static str, status: StatusCode) {
        if let Some((_, requests)) = self.requests.iter().find(|(of, _)| *of == status) {
            return requests.increment(1);
        }
        let text = status.as_str().to_owned();
        let requests = metrics::counter!(
            "sanntid_http_requests_total", "operation" => operation, "status" => text
        );
        requests.increment(1);
        self.requests.push((status, requests));
    }
}

/// Counts a request as long as it lives.
struct InFlight;

impl InFlight {
    fn enter() -> Self {
        IN_FLIGHT.with(|gauge| gauge.increment(1.0));
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        IN_FLIGHT.with(|gauge| gauge.decrement(1.0));
    }
}

/// Measures how long a request took; decides nothing.
struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "a duration for metrics alone: no decision depends on it"
    )]
    fn start() -> Self {
        Self(Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;

    /// Notes the level of each event.
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl Subscriber for Levels {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn levels(failure: &Failure) -> Vec<Level> {
        let noted = Arc::new(Mutex::new(Vec::new()));
        tracing::subscriber::with_default(Levels(Arc::clone(&noted)), || log(failure));
        let noted = noted.lock().unwrap();
        noted.clone()
    }

    #[test]
    fn only_what_a_person_must_act_on_is_logged_as_an_error_and_once() {
        let refused = |code| Failure::Refused(Error::new(code, "no"));
        for (failure, level) in [
            (refused(ErrorCode::Internal), Level::ERROR),
            (refused(ErrorCode::DiskFull), Level::WARN),
            (refused(ErrorCode::StorePoisoned), Level::WARN),
            (Failure::Unknown, Level::WARN),
            (refused(ErrorCode::Overloaded), Level::DEBUG),
            (refused(ErrorCode::TenantUnavailable), Level::DEBUG),
            (refused(ErrorCode::InvalidField), Level::DEBUG),
            (refused(ErrorCode::Unauthorized), Level::DEBUG),
            (refused(ErrorCode::NotServed), Level::DEBUG),
        ] {
            assert_eq!(levels(&failure), [level], "{failure:?}");
        }
    }
}
