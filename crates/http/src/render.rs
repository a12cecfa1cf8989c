//! Turns a failure into what goes on the wire, also into nothing at all.
//! Owns the answer's headers of errors; `error` owns statuses and the body's shape.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use actix_web::{HttpResponse, ResponseError};
use bytes::Bytes;
use sanntid_types::{Error, ErrorCode};

use crate::error::{ErrorBody, Failure, retry_after, status};
use crate::headers::{Setting, secure};
use crate::limits;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LIMIT: HeaderName = HeaderName::from_static("sanntid-limit");
/// Longest request id taken from a caller, in characters.
const REQUEST_ID_LENGTH_MAX: usize = 128;

/// Names one request, in its answer and in the log.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(HeaderValue);

impl RequestId {
    /// Takes the caller's id where it is 1 to 128 visible ASCII characters, else makes one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(&REQUEST_ID).filter(|value| {
            (1..=REQUEST_ID_LENGTH_MAX).contains(&value.len())
                && value.as_bytes().iter().all(u8::is_ascii_graphic)
        });
        Self(given.cloned().unwrap_or_else(fresh))
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }
}

fn fresh() -> HeaderValue {
    let mut buffer = uuid::Uuid::encode_buffer();
    // Only to tell requests apart: it need not be hard to guess.
    let random = fastrand::u128(..).to_ne_bytes();
    let id = uuid::Builder::from_random_bytes(random).into_uuid();
    let text = id.hyphenated().encode_lower(&mut buffer);
    HeaderValue::from_str(text).expect("a UUID is visible ASCII")
}

/// Makes the answer of a failure.
pub(crate) fn render(failure: &Failure, request_id: &RequestId) -> HttpResponse {
    if matches!(failure, Failure::Unknown) {
        let cut = BoxBody::new(Cut);
        return HttpResponse::with_body(StatusCode::INTERNAL_SERVER_ERROR, cut);
    }
    let error = failure.error();
    let code = error.code;
    let limit = retry_after(code).map(|(secs, name)| {
        let secs = limits::retry_after(&error).unwrap_or(secs);
        (secs, limit_name(&error, name))
    });
    let size = limits::size_limit(&error);
    let challenge = crate::token::challenge(&error);
    let body = serde_json::to_vec(&ErrorBody::new(error, request_id.as_str()))
        .expect("an error body has only texts");
    let mut response = HttpResponse::build(status(code))
        .content_type("application/json")
        .body(body);
    let headers = response.headers_mut();
    if code == ErrorCode::Unauthorized {
        headers.insert(WWW_AUTHENTICATE, challenge);
    }
    if let Failure::MethodNotAllowed { allow } = failure
        && let Ok(allow) = HeaderValue::from_str(allow)
    {
        headers.insert(ALLOW, allow);
    }
    if let Some((secs, name)) = limit {
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
        headers.insert(LIMIT, name);
    }
    if let Some(size) = size {
        headers.insert(LIMIT, HeaderValue::from_static(size));
    }
    response
}

/// Adds the headers that every answer has.
pub(crate) fn finish(response: &mut HttpResponse, request_id: &RequestId, setting: Setting) {
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id.0.clone());
    secure(headers, setting);
}

/// An overload, and a limit that is met, name it as their target; other codes have one limit each.
fn limit_name(error: &Error, default: &'static str) -> HeaderValue {
    let named = error
        .target
        .as_deref()
        .filter(|name| is_named(error.code) && name.is_ascii());
    named
        .and_then(|name| HeaderValue::from_str(name).ok())
        .unwrap_or(HeaderValue::from_static(default))
}

fn is_named(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::Overloaded | ErrorCode::LimitExceeded)
}

/// Promises one byte and has none: the server then drops the connection, head and all.
struct Cut;

impl MessageBody for Cut {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        Poll::Ready(None)
    }
}

/// An answer for where no response can be built any more, because a handler panicked.
pub(crate) struct Rendered {
    pub(crate) failure: Failure,
    pub(crate) request_id: RequestId,
    pub(crate) setting: Setting,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.failure, f)
    }
}

impl ResponseError for Rendered {
    fn status_code(&self) -> StatusCode {
        self.failure.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = render(&self.failure, &self.request_id);
        finish(&mut response, &self.request_id, self.setting);
        response
    }
}
