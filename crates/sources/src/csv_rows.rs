//! Rows of a CSV file. Owns the header and what makes a record no row.

use sanntid_types::{Attribute, EntitySchema, Literal, RowBuilder};

use crate::Error;
use crate::columns::{self, Columns};
use crate::csv_record::{COLUMNS_MAX, Record, Records};
use crate::input::Input;
use crate::rows::{Item, Rejection};

/// Reads the rows behind a header.
pub(crate) struct CsvRows {
    records: Records,
    columns: Columns,
    /// For each attribute the file's column that holds it.
    places: Vec<usize>,
    /// How many columns the header has.
    width: usize,
}

impl CsvRows {
    /// Reads the header and finds a column for each attribute.
    pub(crate) fn open(input: Input, schema: &EntitySchema) -> Result<Self, Error> {
        let mut columns = Columns::of(schema);
        let mut records = Records::new(input);
        let Some(header) = records.read_header()? else {
            return Err(bad_header("the file is empty"));
        };
        if header.misquoted().is_some() {
            return Err(bad_header("a name goes on behind its closing quote"));
        }
        let width = header.len();
        if width > COLUMNS_MAX {
            let reason = format!("{width} columns are more than {COLUMNS_MAX}");
            return Err(bad_header(reason));
        }
        let places = places(header, &mut columns)?;
        Ok(Self {
            records,
            columns,
            places,
            width,
        })
    }

    /// Reads the next row; `None` at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item>, Error> {
        let number = self.records.row() + 1;
        let Some(record) = self.records.read()? else {
            return Ok(None);
        };
        let reject = |ordinal: Option<usize>, reason: String| {
            Item::Rejected(Rejection {
                row: number,
                column: ordinal.and_then(|ordinal| self.columns.name(ordinal)),
                reason,
            })
        };
        if let Some(column) = record.misquoted() {
            let ordinal = self.places.iter().position(|place| *place == column);
            let value = columns::shorten(&String::from_utf8_lossy(record.value(column)));
            let reason = format!("expected a comma behind the closing quote, got {value}");
            return Ok(Some(reject(ordinal, reason)));
        }
        if record.len() != self.width {
            let (width, count) = (self.width, record.len());
            let reason = format!("expected {width} values, as the header has, got {count}");
            return Ok(Some(reject(None, reason)));
        }
        let mut row = RowBuilder::default();
        for (ordinal, attribute) in self.columns.attributes().iter().enumerate() {
            let place = self.places.get(ordinal).copied().unwrap_or(usize::MAX);
            let value = value(attribute, record.value(place))
                .and_then(|value| self.columns.check_key(ordinal, &value).map(|()| value));
            match value {
                Ok(value) => row.push(&value),
                Err(reason) => return Ok(Some(reject(Some(ordinal), reason))),
            }
        }
        Ok(Some(Item::Row {
            number,
            row: row.finish(),
        }))
    }
}

fn value(attribute: &Attribute, bytes: &[u8]) -> Result<Literal, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => columns::read_text(attribute, text),
        Err(_) => {
            let shown = columns::shorten(&String::from_utf8_lossy(bytes));
            Err(format!("expected UTF-8, got {shown}"))
        }
    }
}

fn places(header: &Record, columns: &mut Columns) -> Result<Vec<usize>, Error> {
    let mut names = Vec::with_capacity(header.len());
    for column in 0..header.len() {
        names.push(std::str::from_utf8(header.value(column)).map_err(|_| {
            let number = column + 1;
            bad_header(format!("the name of column {number} is not UTF-8"))
        })?);
    }
    columns.place(names.into_iter())
}

fn bad_header(reason: impl Into<String>) -> Error {
    Error::Header {
        reason: reason.into(),
    }
}
