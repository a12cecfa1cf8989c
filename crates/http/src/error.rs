//! Errors on the wire: which status a code has, which limit it names, how its body looks.
//! Owns the one mapping from [`ErrorCode`] to a status; must not decide what is an error.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use sanntid_engine::CallError;
use sanntid_types::{Detail, Error, ErrorCode};
use serde::Serialize;
use utoipa::ToSchema;

/// Says why a request has no good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(Error),
    /// The address exists and takes other methods: those named.
    MethodNotAllowed {
        allow: Cow<'static, str>,
    },
    /// Whether a change is stored can't be known: the connection is closed without an answer.
    Unknown,
}

impl Failure {
    /// The error that a caller sees; of an unknown outcome, only the log does.
    pub(crate) fn error(&self) -> Error {
        match self {
            Self::Refused(error) => error.clone(),
            Self::MethodNotAllowed { allow } => Error::new(
                ErrorCode::MethodNotAllowed,
                if allow.is_empty() {
                    "this address takes no such method".to_owned()
                } else {
                    format!("this address takes only {allow}")
                },
            ),
            Self::Unknown => Error::new(
                ErrorCode::Internal,
                "whether the change is stored can't be known",
            ),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(error) => Self::Refused(error),
            CallError::Unknown => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.error().message)
    }
}

/// Carries a failure to `observe`, which alone makes its answer.
impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        status(self.error().code)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// The status of an error code (contract: status codes).
pub(crate) fn status(code: ErrorCode) -> StatusCode {
    match code {
        ErrorCode::InvalidArgument
        | ErrorCode::InvalidBody
        | ErrorCode::InvalidField
        | ErrorCode::UnknownField
        | ErrorCode::DuplicateField
        | ErrorCode::ReadOnlyField
        | ErrorCode::MissingField
        | ErrorCode::ValidUntilOutOfRange
        | ErrorCode::UnknownActivityEntity
        | ErrorCode::CustomerNotFound
        | ErrorCode::KeyNotResolved
        | ErrorCode::FilterNeedsIndex
        | ErrorCode::AsOfInFuture
        | ErrorCode::TooManyRowsRejected => StatusCode::BAD_REQUEST,
        ErrorCode::Unauthorized => StatusCode::UNAUTHORIZED,
        ErrorCode::Forbidden => StatusCode::FORBIDDEN,
        ErrorCode::InstanceNotFound
        | ErrorCode::EntityNotFound
        | ErrorCode::ProfileNotFound
        | ErrorCode::ActivityNotFound
        | ErrorCode::JobNotFound
        | ErrorCode::SnapshotNotFound
        | ErrorCode::DataSourceNotFound
        | ErrorCode::ScheduleNotFound
        | ErrorCode::RouteNotFound => StatusCode::NOT_FOUND,
        ErrorCode::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ErrorCode::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        // `Interrupted`, `NothingChanged` and `Cancelled` stand in jobs; as an answer they are a conflict.
        ErrorCode::InstanceExists
        | ErrorCode::ActivityConflict
        | ErrorCode::AsOfOutdated
        | ErrorCode::GenerationSimulated
        | ErrorCode::SnapshotClosed
        | ErrorCode::Interrupted
        | ErrorCode::NothingChanged
        | ErrorCode::Cancelled => StatusCode::CONFLICT,
        ErrorCode::ETagMismatch => StatusCode::PRECONDITION_FAILED,
        ErrorCode::DependencyFailed => StatusCode::FAILED_DEPENDENCY,
        ErrorCode::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::UriTooLong => StatusCode::URI_TOO_LONG,
        ErrorCode::HeadersTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ErrorCode::UnsupportedContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ErrorCode::LimitExceeded => StatusCode::TOO_MANY_REQUESTS,
        ErrorCode::NotServed => StatusCode::NOT_IMPLEMENTED,
        ErrorCode::Overloaded
        | ErrorCode::DiskFull
        | ErrorCode::ClockJumped
        | ErrorCode::StorePoisoned
        | ErrorCode::TenantUnavailable
        | ErrorCode::IdentityUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// For a 429 or a 503: how many seconds to wait, and the name of the limit where the error's target
/// does not say it.
pub(crate) fn retry_after(code: ErrorCode) -> Option<(u32, &'static str)> {
    match code {
        ErrorCode::LimitExceeded => Some((1, "requestsPerSecond")),
        ErrorCode::Overloaded => Some((1, "load")),
        ErrorCode::DiskFull => Some((30, "freeSpace")),
        ErrorCode::ClockJumped => Some((10, "clock")),
        ErrorCode::StorePoisoned => Some((2, "store")),
        ErrorCode::TenantUnavailable => Some((1, "instance")),
        ErrorCode::IdentityUnavailable => Some((10, "identityProvider")),
        ErrorCode::InvalidArgument
        | ErrorCode::InvalidBody
        | ErrorCode::InvalidField
        | ErrorCode::UnknownField
        | ErrorCode::DuplicateField
        | ErrorCode::ReadOnlyField
        | ErrorCode::MissingField
        | ErrorCode::ValidUntilOutOfRange
        | ErrorCode::UnknownActivityEntity
        | ErrorCode::CustomerNotFound
        | ErrorCode::KeyNotResolved
        | ErrorCode::FilterNeedsIndex
        | ErrorCode::AsOfInFuture
        | ErrorCode::Unauthorized
        | ErrorCode::Forbidden
        | ErrorCode::InstanceNotFound
        | ErrorCode::EntityNotFound
        | ErrorCode::ProfileNotFound
        | ErrorCode::ActivityNotFound
        | ErrorCode::JobNotFound
        | ErrorCode::SnapshotNotFound
        | ErrorCode::DataSourceNotFound
        | ErrorCode::ScheduleNotFound
        | ErrorCode::RouteNotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::NotAcceptable
        | ErrorCode::InstanceExists
        | ErrorCode::ActivityConflict
        | ErrorCode::AsOfOutdated
        | ErrorCode::GenerationSimulated
        | ErrorCode::SnapshotClosed
        | ErrorCode::TooManyRowsRejected
        | ErrorCode::Interrupted
        | ErrorCode::NothingChanged
        | ErrorCode::Cancelled
        | ErrorCode::ETagMismatch
        | ErrorCode::DependencyFailed
        | ErrorCode::BodyTooLarge
        | ErrorCode::UriTooLong
        | ErrorCode::HeadersTooLarge
        | ErrorCode::UnsupportedContentType
        | ErrorCode::NotServed
        | ErrorCode::Internal => None,
    }
}

/// The body of every error, readable as `ODataError`, as `ApiErrorResult` and as OData's own shape.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ErrorBody {
    #[schema(value_type = String, example = "profileNotFound")]
    error_code: ErrorCode,
    #[schema(example = "there is no profile \"c9\"")]
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// Every problem found, each with what it is about.
    details: Vec<ErrorDetail>,
    /// The same as the header `x-request-id`.
    request_id: String,
    #[schema(example = "404")]
    http_status_code: String,
    /// `user` or `system`.
    #[schema(value_type = String, example = "user")]
    exception_culprit: &'static str,
    #[schema(value_type = String, example = "error")]
    result_severity: &'static str,
    /// The same once more, as OData has it.
    error: ODataError,
}

/// One problem of a request.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ErrorDetail {
    #[schema(value_type = String)]
    error_code: ErrorCode,
    message: String,
    target: String,
}

/// An error as OData 4.01 has it.
#[derive(Serialize, ToSchema)]
struct ODataError {
    #[schema(value_type = String)]
    code: ErrorCode,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    details: Vec<ODataErrorDetail>,
}

/// One problem as OData 4.01 has it.
#[derive(Serialize, ToSchema)]
struct ODataErrorDetail {
    #[schema(value_type = String)]
    code: ErrorCode,
    message: String,
    target: String,
}

impl ErrorBody {
    pub(crate) fn new(error: Error, request_id: &str) -> Self {
        let status = status(error.code);
        let odata = |detail: &Detail| ODataErrorDetail {
            code: detail.error_code,
            message: detail.message.clone(),
            target: detail.target.clone(),
        };
        Self {
            error: ODataError {
                code: error.code,
                message: error.message.clone(),
                target: error.target.clone(),
                details: error.details.iter().map(odata).collect(),
            },
            error_code: error.code,
            message: error.message,
            target: error.target,
            details: error
                .details
                .into_iter()
                .map(|detail| ErrorDetail {
                    error_code: detail.error_code,
                    message: detail.message,
                    target: detail.target,
                })
                .collect(),
            request_id: request_id.to_owned(),
            http_status_code: status.as_str().to_owned(),
            exception_culprit: if status.is_server_error() {
                "system"
            } else {
                "user"
            },
            result_severity: "error",
        }
    }
}
