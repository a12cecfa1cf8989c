//! Makes the good answers.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use sanntid_types::{Error, ErrorCode};
use serde::Serialize;

use crate::error::Failure;

/// What a handler gives.
pub(crate) type Reply = Result<HttpResponse, Failure>;

/// Answers with a value as JSON.
pub(crate) fn json<T: Serialize>(status: StatusCode, value: &T) -> Reply {
    let text = serde_json::to_string(value).map_err(|error| {
        Error::new(
            ErrorCode::Internal,
            format!("an answer has no JSON: {error}"),
        )
    })?;
    Ok(json_text(status, text))
}

/// Answers with JSON text.
pub(crate) fn json_text(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/json")
        .body(text)
}

/// Answers 200 with a value as JSON.
pub(crate) fn ok<T: Serialize>(value: &T) -> Reply {
    json(StatusCode::OK, value)
}

/// Answers 204.
pub(crate) fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
