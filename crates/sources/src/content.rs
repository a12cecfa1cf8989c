//! The bytes of one file: at any offset, or as a stream. Owns how Parquet's reader sees them.
//! Must not hold more than a bounded part of a file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use crate::Patience;
use crate::local_file::{FileStream, LocalFile};
use crate::object::Object;

/// How much is read together where little is asked for.
const BUFFER_BYTES: usize = 64 * 1024;

/// Gives the bytes of one file in one version. Cheap to clone.
#[derive(Clone)]
pub struct Content {
    kind: Kind,
    bytes: u64,
}

#[derive(Clone)]
enum Kind {
    File(Arc<LocalFile>),
    Object(Arc<Object>),
}

impl Content {
    /// Takes a file of this machine.
    ///
    /// # Errors
    /// Its length can't be told.
    pub fn of_file(file: File) -> io::Result<Self> {
        LocalFile::of_file(file).map(|file| Self::of_local(file.into()))
    }

    /// Opens a file of this machine; what fails for a moment, now and later, is waited for.
    ///
    /// # Errors
    /// It can't be opened, or is no regular file.
    pub(crate) fn open(path: &Path, patience: &Patience) -> io::Result<Self> {
        LocalFile::open(path, patience).map(|file| Self::of_local(file.into()))
    }

    pub(crate) fn of_local(file: Arc<LocalFile>) -> Self {
        Self {
            bytes: file.bytes(),
            kind: Kind::File(file),
        }
    }

    pub(crate) fn of_object(object: Arc<Object>) -> Self {
        Self {
            bytes: object.bytes(),
            kind: Kind::Object(object),
        }
    }

    /// How many there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads `length` bytes that begin at `start`; holds them all.
    ///
    /// # Errors
    /// They can't be read, or there are fewer (`UnexpectedEof`).
    pub fn read_range(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let end = u64::try_from(length)
            .ok()
            .and_then(|length| start.checked_add(length));
        let Some(end) = end.filter(|end| *end <= self.bytes) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match &self.kind {
            Kind::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
            Kind::Object(object) => object.range(start, end),
        }
    }

    /// Reads on from an offset; of a bucket's object a bounded part is read ahead.
    pub fn stream(&self, start: u64) -> Box<dyn Read + Send> {
        match &self.kind {
            Kind::File(file) => Box::new(FileStream::new(file, start)),
            Kind::Object(object) => Box::new(object.stream(start)),
        }
    }
}

impl Length for Content {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Content {
    type T = BufReader<Box<dyn Read + Send>>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        // Of what begins here Parquet's reader wants a little, not all that follows.
        let reader: Box<dyn Read + Send> = match &self.kind {
            Kind::File(_) => self.stream(start),
            Kind::Object(object) => Box::new(object.blocks(start)),
        };
        Ok(BufReader::with_capacity(BUFFER_BYTES, reader))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.read_range(start, length)
            .map_err(|error| ParquetError::External(Box::new(error)))
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
