//! Owns what can go wrong while measuring.

use std::io;

/// Says why a measurement came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file, a process or a connection failed.
    #[error("{doing}: {source}")]
    Io {
        doing: String,
        #[source]
        source: io::Error,
    },
    /// The server did not do as asked.
    #[error("{request} was answered with {status}: {body}")]
    Refused {
        request: String,
        status: u16,
        body: String,
    },
    /// Something is not as it must be for a measurement to mean anything.
    #[error("{0}")]
    Unexpected(String),
    /// The store that is measured without a server failed.
    #[error("the store: {0}")]
    Store(#[from] sanntid_store::Error),
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Says something that has no other name.
    pub(crate) fn unexpected(text: impl Into<String>) -> Self {
        Self::Unexpected(text.into())
    }
}

/// Gives a failure of the system the words of what was being done.
pub(crate) trait Doing<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, io::Error> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io {
            doing: doing(),
            source,
        })
    }
}
