//! Owns the crate's error type and says for each error whether the write may be stored.
//!
//! Must not know about HTTP statuses or about the engine's own error types: these are mapped here.

use std::io;

/// Everything that can go wrong in the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Reading, opening or probing failed; nothing was written.
    #[error("input or output failed: {0}")]
    Io(#[from] io::Error),
    /// A write or its sync failed. The batch is stored wholly or not at all, and which of the two
    /// is known only after the store has re-opened itself: a caller must not answer that it failed.
    #[error("write failed, its outcome is unknown: {detail}")]
    WriteFailed {
        /// What the engine reported.
        detail: String,
    },
    /// An earlier write or sync failed; nothing is accepted until the store has re-opened itself.
    #[error("store is poisoned by an earlier failed write")]
    Poisoned,
    /// Free space is below the mark; nothing was written.
    #[error("disk is full: {free_bytes} bytes free, {needed_bytes} needed")]
    DiskFull {
        /// Bytes free for the store's directory.
        free_bytes: u64,
        /// Bytes that must stay free.
        needed_bytes: u64,
    },
    /// Flushes or compactions lag behind; nothing was written and a later attempt can succeed.
    #[error("store is busy: flushes or compactions lag behind")]
    Busy,
    /// The data on disk is not what was written.
    #[error("store is corrupt: {detail}")]
    Corrupt {
        /// What the engine reported.
        detail: String,
    },
    /// The store is between closing its old handle and having re-read the new one.
    #[error("store is re-opening")]
    Reopening,
    /// The store was closed by its owner.
    #[error("store is closed")]
    Closed,
    /// Another process has the directory open.
    #[error("store directory is locked by another process")]
    Locked,
    /// The store was re-opened since the load began: the load must be repeated from its start.
    #[error("load was interrupted by a re-opening of the store")]
    LoadInterrupted,
    /// A key is empty or longer than [`crate::KEY_BYTES_MAX`].
    #[error("key of {length} bytes is not allowed")]
    InvalidKey {
        /// Length of the key in bytes.
        length: usize,
    },
    /// A batch is larger than `Config::batch_bytes_max`.
    #[error("batch of {bytes} bytes exceeds the limit of {bytes_max}")]
    BatchTooLarge {
        /// Size of the batch.
        bytes: u64,
        /// The limit it exceeds.
        bytes_max: u64,
    },
    /// A configuration value is out of its range.
    #[error("config value {field} is out of range: {reason}")]
    InvalidConfig {
        /// Name of the field.
        field: &'static str,
        /// What the field must be.
        reason: &'static str,
    },
}

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Tells whether a failed write may nevertheless be stored.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(self, Self::WriteFailed { .. })
    }

    /// Maps an error of a read or an opening.
    pub(crate) fn from_read(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                Self::Io(source)
            }
            fjall::Error::Poisoned => Self::Poisoned,
            fjall::Error::Locked => Self::Locked,
            other => Self::Corrupt {
                detail: other.to_string(),
            },
        }
    }

    /// Maps an error of a write, which poisons the store.
    pub(crate) fn from_write(error: &fjall::Error) -> Self {
        match error {
            fjall::Error::Poisoned => Self::Poisoned,
            other => Self::WriteFailed {
                detail: other.to_string(),
            },
        }
    }
}
