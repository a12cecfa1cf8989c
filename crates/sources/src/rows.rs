//! A file as rows, whatever its kind. Owns what comes out of a file and the limit of a row.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sanntid_types::{EntitySchema, Row};

use crate::content::Content;
use crate::csv_rows::CsvRows;
use crate::input::Input;
use crate::ndjson_rows::NdjsonRows;
use crate::parquet_rows::ParquetRows;
use crate::{Error, FileFormat, FileKind, Packing, Patience};

/// Longest row in bytes, as it stands in the (unpacked) file.
///
/// A longer line of NDJSON is rejected like any bad row: where it ends is certain. A longer row of
/// CSV fails the file ([`Error::RowTooLarge`]).
pub const ROW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Describes a row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Counts the file's rows from 1, without a header and without blank lines.
    pub row: u64,
    /// The name of the attribute whose value is at fault, where it is a single one.
    pub column: Option<String>,
    /// What was expected and what was there.
    pub reason: String,
}

/// One row of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// Its values stand in the order of the schema's attributes.
    Row {
        number: u64,
        row: Row,
    },
    Rejected(Rejection),
}

/// Reads a file's rows one by one. After an error there are no more.
///
/// Holds two buffers of 64 KiB and one row, whatever the size of the file; of zstd data also a
/// window of 2 to the power of [`crate::ZSTD_WINDOW_LOG_MAX`] bytes, of Parquet the footer,
/// and of each column a page, a dictionary and 1,024 values: at most [`crate::HELD_BYTES_MAX`].
pub struct Rows {
    kind: Kind,
    file: Option<String>,
    ended: bool,
}

enum Kind {
    Csv(Box<CsvRows>),
    Ndjson(Box<NdjsonRows>),
    Parquet(Box<ParquetRows>),
}

/// Opens a file's bytes, which come as a stream.
///
/// # Errors
/// The whole file is refused: its header lacks a declared attribute or names one twice, its first
/// bytes can't be read, or it is of a kind that only [`open_file`] reads (Parquet).
pub fn open(
    reader: Box<dyn Read + Send>,
    format: FileFormat,
    schema: &EntitySchema,
) -> Result<Rows, Error> {
    let kind = match format.kind {
        FileKind::Csv => {
            let input = Input::open(reader, format.packing)?;
            Kind::Csv(Box::new(CsvRows::open(input, schema)?))
        }
        FileKind::Ndjson => {
            let input = Input::open(reader, format.packing)?;
            Kind::Ndjson(Box::new(NdjsonRows::open(input, schema)))
        }
        FileKind::Parquet => return Err(Error::ParquetNeedsFile),
    };
    Ok(Rows::of(kind))
}

/// Opens a file, of any kind.
///
/// # Errors
/// As [`open`]; the footer of a Parquet file can't be read, or a column of it that is declared has
/// a type that no attribute can have.
pub fn open_file(file: File, format: FileFormat, schema: &EntitySchema) -> Result<Rows, Error> {
    let content = Content::of_file(file).map_err(Error::Io)?;
    open_content(content, format, schema)
}

/// Opens a regular file of this machine, of any kind. What fails for a moment, now and while rows are
/// read, is waited for, and reading goes on where it broke off.
///
/// # Errors
/// As [`open_file`].
pub fn open_path(
    path: &Path,
    format: FileFormat,
    schema: &EntitySchema,
    patience: &Patience,
) -> Result<Rows, Error> {
    patience.opened(|| {
        let content = Content::open(path, patience).map_err(Error::of_read)?;
        open_content(content, format, schema)
    })
}

/// Opens the bytes of a file, of any kind and wherever they are.
///
/// # Errors
/// As [`open_file`].
pub fn open_content(
    content: Content,
    format: FileFormat,
    schema: &EntitySchema,
) -> Result<Rows, Error> {
    match (format.kind, format.packing) {
        (FileKind::Parquet, Packing::None) => {
            let rows = ParquetRows::open(content, schema)?;
            Ok(Rows::of(Kind::Parquet(Box::new(rows))))
        }
        (FileKind::Parquet | FileKind::Csv | FileKind::Ndjson, _) => {
            open(content.stream(0), format, schema)
        }
    }
}

impl Rows {
    fn of(kind: Kind) -> Self {
        Self {
            kind,
            file: None,
            ended: false,
        }
    }

    pub(crate) fn of_parquet(rows: ParquetRows) -> Self {
        Self::of(Kind::Parquet(Box::new(rows)))
    }

    /// Names the file, so that errors say where they happened.
    #[must_use]
    pub fn named(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }
}

impl Iterator for Rows {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let item = match &mut self.kind {
            Kind::Csv(rows) => rows.next_item(),
            Kind::Ndjson(rows) => rows.next_item(),
            Kind::Parquet(rows) => rows.next_item(),
        };
        self.ended = !matches!(item, Ok(Some(_)));
        item.map_err(|error| match &self.file {
            Some(file) => error.in_file(file),
            None => error,
        })
        .transpose()
    }
}

impl std::iter::FusedIterator for Rows {}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("file", &self.file)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
