//! A file as rows, whatever its kind. Owns what comes out of a file and the limit of a row.

use std::fmt;
use std::io::Read;

use sanntid_types::{EntitySchema, Row};

use crate::csv_rows::CsvRows;
use crate::input::Input;
use crate::ndjson_rows::NdjsonRows;
use crate::{Error, FileFormat, FileKind};

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
/// Holds two buffers of 64 KiB and one row, whatever the size of the file.
pub struct Rows {
    kind: Kind,
    file: Option<String>,
    ended: bool,
}

enum Kind {
    Csv(Box<CsvRows>),
    Ndjson(Box<NdjsonRows>),
}

/// Opens a file's bytes.
///
/// # Errors
/// The whole file is refused: its header lacks a declared attribute or names one twice, or its first
/// bytes can't be read.
pub fn open(
    reader: Box<dyn Read + Send>,
    format: FileFormat,
    schema: &EntitySchema,
) -> Result<Rows, Error> {
    let input = Input::open(reader, format.gzip)?;
    let kind = match format.kind {
        FileKind::Csv => Kind::Csv(Box::new(CsvRows::open(input, schema)?)),
        FileKind::Ndjson => Kind::Ndjson(Box::new(NdjsonRows::open(input, schema))),
    };
    Ok(Rows {
        kind,
        file: None,
        ended: false,
    })
}

impl Rows {
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
