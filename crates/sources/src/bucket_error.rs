//! Why a bucket can't be read. Owns which of it may pass, and messages that an administrator can
//! act on. Must not show a secret: addresses of requests, which may hold one, are left out.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use object_store::client::{HttpError, HttpErrorKind};

/// How much of a server's own words is shown, in characters.
const SHOWN_CHARS_MAX: usize = 100;

/// Says why a bucket can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketError {
    pub(crate) fault: Fault,
    /// How often it was tried.
    pub(crate) attempts: u32,
}

/// What went wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The credentials, or what they may do.
    Refused {
        answer: String,
    },
    BucketMissing,
    ObjectMissing,
    Changed,
    /// No bytes came for this long.
    Stalled(Duration),
    /// The server can't be reached, or the connection broke.
    Broken {
        reason: String,
    },
    /// The server is busy or faulty.
    Unavailable {
        answer: String,
    },
    /// Asking again would not help.
    Unusable {
        reason: String,
    },
    /// The job was cancelled meanwhile.
    Stopped,
}

impl Fault {
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Stalled(_) | Self::Broken { .. } | Self::Unavailable { .. } => true,
            Self::Refused { .. }
            | Self::BucketMissing
            | Self::ObjectMissing
            | Self::Changed
            | Self::Unusable { .. }
            | Self::Stopped => false,
        }
    }

    /// Reads what the library says.
    pub(crate) fn of(error: &object_store::Error, stall_timeout: Duration) -> Self {
        let answer = Answer::of(error);
        let shown = answer.to_string();
        let Some(status) = answer.status else {
            return match error {
                object_store::Error::InvalidPath { .. } => Self::Unusable {
                    reason: "an object's name has empty segments, . or .., or control characters"
                        .to_owned(),
                },
                _ => Self::of_transport(error, stall_timeout),
            };
        };
        match status {
            401 | 403 => Self::Refused { answer: shown },
            // Azure says so of a malformed signature, S3 of a session's token that has ended.
            400 if answer.is_about_credentials() => Self::Refused { answer: shown },
            404 if answer.is_about_bucket() => Self::BucketMissing,
            404 => Self::ObjectMissing,
            412 => Self::Changed,
            408 | 429 | 500.. => Self::Unavailable { answer: shown },
            300..400 => Self::Unusable {
                reason: format!(
                    "the server answers {shown}: the bucket is elsewhere, check region and \
                     endpoint of the secret"
                ),
            },
            _ => Self::Unusable {
                reason: format!("the server answers {shown}"),
            },
        }
    }

    fn of_transport(error: &object_store::Error, stall_timeout: Duration) -> Self {
        let mut source = error.source();
        let mut last = None;
        let mut kind = None;
        while let Some(cause) = source {
            if let Some(http) = cause.downcast_ref::<HttpError>() {
                kind = Some(http.kind());
            }
            last = Some(cause);
            source = cause.source();
        }
        let reason = last.map_or_else(|| "for an unknown reason".to_owned(), shorten);
        match kind {
            Some(HttpErrorKind::Timeout) => Self::Stalled(stall_timeout),
            Some(HttpErrorKind::Connect) => Self::Broken {
                reason: format!("it can't be reached: {reason}"),
            },
            Some(_) => Self::Broken {
                reason: format!("the connection broke: {reason}"),
            },
            None if last.is_some_and(|last| last.to_string().contains("redirect")) => {
                Self::Unusable {
                    reason: "the bucket is in another region: set region of the secret".to_owned(),
                }
            }
            None => Self::Unusable {
                reason: format!("its answer can't be read: {reason}"),
            },
        }
    }
}

impl fmt::Display for BucketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Fault::Refused { answer } => write!(
                f,
                "the bucket's server refuses the credentials ({answer}); check the secret in the \
                 server's configuration, and that it may list the bucket and read its objects"
            )?,
            Fault::BucketMissing => f.write_str("there is no such bucket")?,
            Fault::ObjectMissing => f.write_str("there is no such object in the bucket")?,
            Fault::Changed => f.write_str(
                "the object was changed since the snapshot was opened; refresh again once it is \
                 whole",
            )?,
            Fault::Stalled(span) => {
                write!(
                    f,
                    "the bucket's server stalled: it sent nothing for {span:?}; check that it is up \
                     and can be reached from here, or give it longer (actors.bucket_stall_timeout)"
                )?;
            }
            Fault::Broken { reason } => write!(f, "the bucket's server failed: {reason}")?,
            Fault::Unavailable { answer } => {
                write!(f, "the bucket's server is unavailable ({answer})")?;
            }
            Fault::Unusable { reason } => write!(f, "the bucket can't be read: {reason}")?,
            Fault::Stopped => f.write_str("reading was stopped")?,
        }
        match self.attempts {
            0 | 1 => Ok(()),
            attempts => write!(f, "; tried {attempts} times"),
        }
    }
}

impl std::error::Error for BucketError {}

impl From<BucketError> for io::Error {
    fn from(error: BucketError) -> Self {
        Self::other(error)
    }
}

impl BucketError {
    /// Whether another attempt may succeed, though those that were made did not.
    pub fn may_pass(&self) -> bool {
        self.fault.may_pass()
    }
}

/// What a server answered: the status and the code in its body.
struct Answer {
    status: Option<u16>,
    code: Option<String>,
}

impl Answer {
    /// The library keeps both, but in a type that is its own; its text is all that can be read.
    fn of(error: &object_store::Error) -> Self {
        let text = error.to_string();
        let status = text
            .split_once("status code: ")
            .and_then(|(_, rest)| rest.get(..3)?.parse().ok());
        let code = between(&text, "<Code>", "</Code>");
        let plain = |code: &&str| code.chars().all(|c| c.is_ascii_alphanumeric());
        Self {
            status,
            code: code.filter(plain).map(str::to_owned),
        }
    }

    fn is_about_bucket(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some("NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted")
        )
    }

    fn is_about_credentials(&self) -> bool {
        matches!(
            self.code.as_deref(),
            Some(
                "ExpiredToken"
                    | "InvalidToken"
                    | "TokenRefreshRequired"
                    | "AuthenticationFailed"
                    | "InvalidAuthenticationInfo"
                    | "AuthorizationHeaderMalformed"
            )
        )
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.code) {
            (Some(status), Some(code)) => write!(f, "{status} {code}"),
            (Some(status), None) => write!(f, "{status}"),
            (None, Some(code)) => f.write_str(code),
            (None, None) => f.write_str("no status"),
        }
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

fn shorten(cause: &(dyn std::error::Error + 'static)) -> String {
    let plain = |c: &char| !c.is_control();
    cause
        .to_string()
        .chars()
        .filter(plain)
        .take(SHOWN_CHARS_MAX)
        .collect()
}
