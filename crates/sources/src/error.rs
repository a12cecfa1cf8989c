//! Why a file or a folder can't be read. Owns the messages and whose fault each error is.
//! Must not hold a path of this machine: files go by their names.

use std::io;

use crate::BucketError;
use crate::file_error::{FileError, carried};
use crate::patience;

/// Everything that can make a file, or a folder with a manifest, unreadable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The machine failed, not the file.
    #[error("reading failed: {0}")]
    Io(#[source] io::Error),
    /// The machine failed as often as the same was tried.
    #[error("reading failed: {reason}; tried {attempts} times")]
    Failing { reason: String, attempts: usize },
    /// The bytes end before the gzip data does.
    #[error("the gzip data is cut off: the file ends before it")]
    GzipCutOff,
    /// The bytes are no gzip data, or its checksum is wrong.
    #[error("the gzip data is corrupt: {reason}")]
    GzipCorrupt { reason: String },
    /// The bytes are gzip data although the format says that they are not.
    #[error("the file is compressed with gzip, but was not given as such (its name needs .gz)")]
    GzipNotDeclared,
    /// The bytes end before the zstd data does.
    #[error("the zstd data is cut off: the file ends before it")]
    ZstdCutOff,
    /// The bytes are no zstd data, its checksum is wrong, or it needs more memory than is given.
    #[error("the zstd data is corrupt: {reason}")]
    ZstdCorrupt { reason: String },
    /// The bytes are zstd data although the format says that they are not.
    #[error("the file is compressed with zstd, but was not given as such (its name needs .zst)")]
    ZstdNotDeclared,
    /// The bytes are no Parquet file, or one that is not whole.
    #[error("the Parquet file is corrupt: {reason}")]
    ParquetCorrupt { reason: String },
    /// A Parquet file is such that reading it needs more memory than is given.
    #[error(
        "the Parquet file needs too much memory: its pages together, its columns, or the values of \
         a fixed length are too large; write it with smaller pages or fewer columns"
    )]
    ParquetTooLarge,
    /// A column of a Parquet file has a type that no attribute can have.
    #[error("the column {column} can't be read: its type is {kind}")]
    ParquetColumn { column: String, kind: String },
    /// A Delta table's log, or what it says of the table's files, can't be made use of.
    #[error("the Delta table can't be read: {reason}")]
    DeltaUnreadable { reason: String },
    /// Parquet is read from its end, which a stream does not have yet.
    #[error("Parquet can't be read from a stream, only from a file, and not compressed as a whole")]
    ParquetNeedsFile,
    /// The ending of a name stands for no kind of file that can be read.
    #[error(
        "{kind} can't be read; files that can be end in .parquet, or in .csv, .ndjson or .jsonl, \
             or in one of these three and .gz or .zst; a Delta table is a folder and ends in /"
    )]
    KindNotRead { kind: String },
    /// The first row of a CSV file is no header.
    #[error("the header can't be read: {reason}")]
    Header { reason: String },
    /// Declared attributes have no column.
    #[error("the declared columns {columns} are missing; the file has {found}")]
    ColumnsMissing { columns: String, found: String },
    /// Two columns are the same attribute: names ignore case, other characters than letters,
    /// digits and `_` count as `_`.
    #[error("the column {column} stands here twice")]
    ColumnTwice { column: String },
    /// A CSV row has more bytes than [`crate::ROW_BYTES_MAX`]. How many rows it swallowed is unknown,
    /// so that passing it over could lose most of the file unnoticed.
    #[error(
        "row {row} has more than {} bytes; was a quote never closed?",
        crate::ROW_BYTES_MAX
    )]
    RowTooLarge { row: u64 },
    /// The file ends inside of a quoted value.
    #[error("the file ends inside of a quoted value of row {row}: a quote was never closed")]
    QuoteNotClosed { row: u64 },
    /// A quoted value spans lines and goes on behind its closing quote: that quote was most likely
    /// an opening one, and the value has swallowed rows.
    #[error("row {row} spans lines and has text behind a closing quote: a quote was never closed")]
    QuotingBroken { row: u64 },
    /// There is no manifest.
    #[error("there is no such file; it must say what the snapshot is")]
    ManifestMissing,
    /// The manifest has more bytes than [`crate::MANIFEST_BYTES_MAX`].
    #[error("the manifest has more than {} bytes", crate::MANIFEST_BYTES_MAX)]
    ManifestTooLarge,
    /// The manifest is not JSON, or not of the manifest's shape.
    #[error("the manifest can't be read: {reason}")]
    ManifestUnreadable { reason: String },
    /// The manifest's content is wrong; the details say where.
    #[error("{}", with_details(.0))]
    ManifestInvalid(sanntid_types::Error),
    /// An entity of a folder's manifest has no `files`.
    #[error("the entity {entity} names no files")]
    NoFiles { entity: String },
    /// A name in `files` leads to nothing that can be read.
    #[error("the file {file:?} of the entity {entity} {reason}")]
    File {
        entity: String,
        file: String,
        reason: String,
    },
    /// The manifest's names lead to more files than [`crate::FILES_MAX`].
    #[error("the manifest leads to more than {} files", crate::FILES_MAX)]
    TooManyFiles,
    /// A file has more bytes than are read as a whole.
    #[error("the file has more than {bytes_max} bytes")]
    FileTooLarge { bytes_max: u64 },
    /// A file is not any more as it was when it was found.
    #[error("the file was changed since the snapshot was opened; refresh again once it is whole")]
    Changed,
    /// A name leads out of its place.
    #[error("the name {reason}")]
    Outside { reason: String },
    /// A bucket can't be read.
    #[error("{0}")]
    Bucket(#[source] crate::BucketError),
    /// An error of a file whose name is known.
    #[error("{file}: {error}")]
    InFile { file: String, error: Box<Error> },
}

impl Error {
    /// Whether the machine failed, so that the same file may be readable later; otherwise the file
    /// or the manifest is at fault and must be changed.
    pub fn is_io(&self) -> bool {
        match self {
            Self::Io(_) | Self::Failing { .. } => true,
            Self::Bucket(error) => error.may_pass(),
            Self::InFile { error, .. } => error.is_io(),
            Self::GzipCutOff
            | Self::GzipCorrupt { .. }
            | Self::GzipNotDeclared
            | Self::ZstdCutOff
            | Self::ZstdCorrupt { .. }
            | Self::ZstdNotDeclared
            | Self::ParquetCorrupt { .. }
            | Self::ParquetTooLarge
            | Self::ParquetColumn { .. }
            | Self::DeltaUnreadable { .. }
            | Self::ParquetNeedsFile
            | Self::KindNotRead { .. }
            | Self::Header { .. }
            | Self::ColumnsMissing { .. }
            | Self::ColumnTwice { .. }
            | Self::RowTooLarge { .. }
            | Self::QuoteNotClosed { .. }
            | Self::QuotingBroken { .. }
            | Self::ManifestMissing
            | Self::ManifestTooLarge
            | Self::ManifestUnreadable { .. }
            | Self::ManifestInvalid(_)
            | Self::NoFiles { .. }
            | Self::File { .. }
            | Self::TooManyFiles
            | Self::FileTooLarge { .. }
            | Self::Changed
            | Self::Outside { .. } => false,
        }
    }

    /// Takes what a reader says; a bucket's error stays one, whatever was between them.
    pub(crate) fn of_read(error: io::Error) -> Self {
        Self::carried_by(&error).unwrap_or(Self::Io(error))
    }

    /// The error of ours that a reader's is made of, where it is.
    pub(crate) fn carried_by(error: &io::Error) -> Option<Self> {
        if let Some(error) = carried::<BucketError>(error) {
            return Some(Self::Bucket(error.clone()));
        }
        Some(match carried::<FileError>(error)?.clone() {
            FileError::Changed => Self::Changed,
            FileError::Failing { reason, attempts } => Self::Failing { reason, attempts },
        })
    }

    /// Whether the next attempt may succeed, though nobody has made one yet.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Io(error) => patience::may_pass(error),
            Self::InFile { error, .. } => error.may_pass(),
            _ => false,
        }
    }

    /// Says how often it was tried, where that was more than once.
    pub(crate) fn after(self, failures: usize) -> Self {
        match self {
            Self::Io(error) if failures > 0 && patience::may_pass(&error) => Self::Failing {
                reason: error.to_string(),
                attempts: failures + 1,
            },
            Self::InFile { file, error } => Self::InFile {
                file,
                error: Box::new(error.after(failures)),
            },
            error => error,
        }
    }

    /// Says in which file it happened, where it does not say so already.
    #[must_use]
    pub fn in_file(self, file: &str) -> Self {
        match self {
            named @ Self::InFile { .. } => named,
            error => Self::InFile {
                file: file.to_owned(),
                error: Box::new(error),
            },
        }
    }
}

/// How many details of a wrong manifest a message shows.
const DETAILS_SHOWN_MAX: usize = 20;

fn with_details(error: &sanntid_types::Error) -> String {
    let mut text = error.message.clone();
    for detail in error.details.iter().take(DETAILS_SHOWN_MAX) {
        text.push_str(&format!("; {}: {}", detail.target, detail.message));
    }
    let more = error.details.len().saturating_sub(DETAILS_SHOWN_MAX);
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}
