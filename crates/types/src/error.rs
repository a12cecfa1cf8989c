//! The closed list of error codes and the one error that a caller sees.
//! Owns what a code means and whether a retry helps; statuses are the front door's business.

use serde::{Deserialize, Serialize};

/// The result of anything that can answer with an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Says what a caller may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same request will fail again.
    Never,
    /// The same request may succeed later.
    Later,
}

/// Names what went wrong, as it stands in `errorCode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorCode {
    InvalidArgument,
    InvalidBody,
    InvalidField,
    UnknownField,
    DuplicateField,
    ReadOnlyField,
    MissingField,
    ValidUntilOutOfRange,
    UnknownActivityEntity,
    CustomerNotFound,
    KeyNotResolved,
    FilterNeedsIndex,
    AsOfInFuture,
    Unauthorized,
    Forbidden,
    InstanceNotFound,
    EntityNotFound,
    ProfileNotFound,
    ActivityNotFound,
    JobNotFound,
    SnapshotNotFound,
    DataSourceNotFound,
    ScheduleNotFound,
    RouteNotFound,
    MethodNotAllowed,
    NotAcceptable,
    InstanceExists,
    ActivityConflict,
    AsOfOutdated,
    /// What is asked for is the source of truth, and there is only a simulation's generation.
    GenerationSimulated,
    SnapshotClosed,
    TooManyRowsRejected,
    Interrupted,
    /// A job had nothing to do: what it reads is as it was.
    NothingChanged,
    Cancelled,
    ETagMismatch,
    /// A part of a batch was not tried: another that it waited for has failed.
    DependencyFailed,
    BodyTooLarge,
    UriTooLong,
    HeadersTooLarge,
    UnsupportedContentType,
    NotServed,
    /// A limit of the caller's or of the instance's is met.
    LimitExceeded,
    Overloaded,
    DiskFull,
    ClockJumped,
    StorePoisoned,
    TenantUnavailable,
    /// No token can be checked: the identity provider's keys can't be had.
    IdentityUnavailable,
    Internal,
}

impl ErrorCode {
    /// Whether the same request may succeed later.
    pub fn retry(self) -> Retry {
        match self {
            Self::LimitExceeded
            | Self::Overloaded
            | Self::DiskFull
            | Self::ClockJumped
            | Self::StorePoisoned
            | Self::TenantUnavailable
            | Self::IdentityUnavailable => Retry::Later,
            Self::InvalidArgument
            | Self::InvalidBody
            | Self::InvalidField
            | Self::UnknownField
            | Self::DuplicateField
            | Self::ReadOnlyField
            | Self::MissingField
            | Self::ValidUntilOutOfRange
            | Self::UnknownActivityEntity
            | Self::CustomerNotFound
            | Self::KeyNotResolved
            | Self::FilterNeedsIndex
            | Self::AsOfInFuture
            | Self::Unauthorized
            | Self::Forbidden
            | Self::InstanceNotFound
            | Self::EntityNotFound
            | Self::ProfileNotFound
            | Self::ActivityNotFound
            | Self::JobNotFound
            | Self::SnapshotNotFound
            | Self::DataSourceNotFound
            | Self::ScheduleNotFound
            | Self::RouteNotFound
            | Self::SnapshotClosed
            | Self::TooManyRowsRejected
            | Self::Interrupted
            | Self::NothingChanged
            | Self::Cancelled
            | Self::MethodNotAllowed
            | Self::NotAcceptable
            | Self::InstanceExists
            | Self::ActivityConflict
            | Self::AsOfOutdated
            | Self::GenerationSimulated
            | Self::ETagMismatch
            | Self::DependencyFailed
            | Self::BodyTooLarge
            | Self::UriTooLong
            | Self::HeadersTooLarge
            | Self::UnsupportedContentType
            | Self::NotServed
            | Self::Internal => Retry::Never,
        }
    }
}

/// Says what is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Detail {
    pub error_code: ErrorCode,
    pub target: String,
    pub message: String,
}

impl Detail {
    /// Says that `target` has the problem `message`.
    pub fn new(error_code: ErrorCode, target: &str, message: impl Into<String>) -> Self {
        Self {
            error_code,
            target: target.to_owned(),
            message: message.into(),
        }
    }
}

/// Tells a caller what went wrong, and with which fields. Holds no path and no other's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    pub code: ErrorCode,
    pub message: String,
    pub target: Option<String>,
    pub details: Vec<Detail>,
}

impl Error {
    /// Makes an error without details.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            target: None,
            details: Vec::new(),
        }
    }

    /// Makes an error of one or more details; the first gives the code.
    pub fn of_details(message: impl Into<String>, details: Vec<Detail>) -> Self {
        let code = details
            .first()
            .map_or(ErrorCode::InvalidArgument, |detail| detail.error_code);
        Self {
            code,
            message: message.into(),
            target: None,
            details,
        }
    }

    /// Names what the error is about.
    #[must_use]
    pub fn with_target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }
}
