//! How much of a Parquet file is in memory. Owns the limit over all columns together, and the reason
//! why reading a file failed, of which the library keeps a text only.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use parquet::errors::{ParquetError, Result};

use crate::Error;

/// Most bytes of unpacked pages that are held at once, of all columns of a file together, and what
/// is added for each column: the library reads all side by side, and writers make a page and a
/// dictionary of 1 MiB each.
const HELD_BYTES: usize = 160 * 1024 * 1024;
const COLUMN_BYTES: usize = 2 * 1024 * 1024;
/// The most that is held, however many columns there are.
pub const HELD_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Knows what is held of one file, and why its reading failed.
pub(crate) struct Held {
    bytes_max: usize,
    /// Bytes of the page and the dictionary that each column is at.
    current: AtomicUsize,
    /// Bytes of pages that are left behind, but that rows of the present batch refer to.
    passed: AtomicUsize,
    /// The library keeps of an error its text only.
    failure: Mutex<Option<Error>>,
}

impl Held {
    /// For a file of which so many columns are read.
    pub(crate) fn new(columns: usize) -> Self {
        let bytes = HELD_BYTES.saturating_add(columns.saturating_mul(COLUMN_BYTES));
        Self {
            bytes_max: bytes.min(HELD_BYTES_MAX),
            current: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            failure: Mutex::default(),
        }
    }

    /// Tells that nobody refers to the rows of the last batch any more.
    pub(crate) fn begin_batch(&self) {
        self.passed.store(0, Ordering::Relaxed);
    }

    /// Takes the reason why pages could not be read.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure.lock().take()
    }

    fn fail(&self, error: Error) -> ParquetError {
        let text = error.to_string();
        self.failure.lock().get_or_insert(error);
        ParquetError::General(text)
    }

    pub(crate) fn corrupt(&self, reason: impl Into<String>) -> ParquetError {
        let reason = reason.into();
        self.fail(Error::ParquetCorrupt { reason })
    }

    pub(crate) fn unreadable(&self, error: io::Error) -> ParquetError {
        self.fail(match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::ParquetCorrupt {
                reason: "it ends inside of a page".to_owned(),
            },
            _ => Error::of_read(error),
        })
    }
}

/// What a column is at; counted for as long as it is.
pub(crate) struct Share {
    held: Arc<Held>,
    bytes: usize,
}

impl Share {
    pub(crate) fn of(held: &Arc<Held>) -> Self {
        Self {
            held: Arc::clone(held),
            bytes: 0,
        }
    }

    /// Takes another page; the one before may still be referred to.
    pub(crate) fn replace(&mut self, bytes: usize) -> Result<()> {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.held.passed.fetch_add(before, Ordering::Relaxed);
        self.held.current.fetch_add(bytes, Ordering::Relaxed);
        self.held.current.fetch_sub(before, Ordering::Relaxed);
        let current = self.held.current.load(Ordering::Relaxed);
        let passed = self.held.passed.load(Ordering::Relaxed);
        if current.saturating_add(passed) > self.held.bytes_max {
            return Err(self.held.fail(Error::ParquetTooLarge));
        }
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.passed.fetch_add(self.bytes, Ordering::Relaxed);
        self.held.current.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
