//! What a reader of this machine's file says that the system has no error for. Owns how it gets
//! through the decoders between the file and its rows.

use std::fmt;
use std::io;

/// Says why a file that was opened can't be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    /// It is not any more as it was when it was opened.
    Changed,
    /// The machine failed, as often as it was tried.
    Failing { reason: String, attempts: usize },
}

impl FileError {
    pub(crate) fn failing(error: &io::Error, attempts: usize) -> Self {
        Self::Failing {
            reason: error.to_string(),
            attempts,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("the file was changed"),
            Self::Failing { reason, .. } => f.write_str(reason),
        }
    }
}

impl std::error::Error for FileError {}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        Self::other(error)
    }
}

/// Finds an error of ours in what a reader gave, through whatever was between them.
pub(crate) fn carried<T: std::error::Error + 'static>(error: &io::Error) -> Option<&T> {
    let mut source: Option<&(dyn std::error::Error + 'static)> =
        error.get_ref().map(|inner| inner as _);
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref::<T>() {
            return Some(found);
        }
        source = match cause.downcast_ref::<io::Error>() {
            Some(inner) => inner.get_ref().map(|inner| inner as _),
            None => cause.source(),
        };
    }
    None
}
