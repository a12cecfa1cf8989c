//! Rows of a file with one JSON object a line. Owns what makes a line no row.

use std::fmt;

use sanntid_types::{EntitySchema, Literal, RowBuilder};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::Error;
use crate::columns::{self, Columns};
use crate::input::{Input, Line};
use crate::rows::{Item, ROW_BYTES_MAX, Rejection};

/// Reads the rows of all lines that are not blank.
pub(crate) struct NdjsonRows {
    input: Input,
    columns: Columns,
    line: Vec<u8>,
    /// The values of the present line, by attribute.
    values: Vec<Option<Literal>>,
    /// Of the row read last.
    number: u64,
}

/// Says why a line is no row, and at which attribute.
struct Problem {
    ordinal: Option<usize>,
    reason: String,
}

impl NdjsonRows {
    pub(crate) fn open(input: Input, schema: &EntitySchema) -> Self {
        Self {
            input,
            columns: Columns::of(schema),
            line: Vec::new(),
            values: vec![None; schema.attributes.len()],
            number: 0,
        }
    }

    /// Reads the next row; `None` at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            let found = self.input.read_line(&mut self.line, ROW_BYTES_MAX)?;
            let read = match found {
                Line::None => return Ok(None),
                Line::Whole if self.line.iter().all(u8::is_ascii_whitespace) => continue,
                Line::Whole => self.read_values(),
                Line::TooLong => Err(Problem {
                    ordinal: None,
                    reason: format!("expected at most {ROW_BYTES_MAX} bytes, got a longer line"),
                }),
            };
            self.number += 1;
            let number = self.number;
            return Ok(Some(match read.and_then(|()| self.row()) {
                Ok(row) => Item::Row { number, row },
                Err(problem) => Item::Rejected(Rejection {
                    row: number,
                    column: problem.ordinal.and_then(|at| self.columns.name(at)),
                    reason: problem.reason,
                }),
            }));
        }
    }

    fn read_values(&mut self) -> Result<(), Problem> {
        let text = std::str::from_utf8(&self.line).map_err(|error| {
            let start = self.line.get(..error.valid_up_to()).unwrap_or_default();
            let shown = columns::shorten(&String::from_utf8_lossy(start));
            let place = error.valid_up_to();
            Problem {
                ordinal: None,
                reason: format!("expected UTF-8, got another byte at {place} of {shown}"),
            }
        })?;
        self.values.fill(None);
        let mut problem = None;
        let members = Members {
            columns: &mut self.columns,
            values: &mut self.values,
            problem: &mut problem,
        };
        let mut reader = serde_json::Deserializer::from_str(text);
        members
            .deserialize(&mut reader)
            .and_then(|()| reader.end())
            .map_err(|error| not_an_object(text, &error))?;
        problem.map_or(Ok(()), Err)
    }

    fn row(&mut self) -> Result<sanntid_types::Row, Problem> {
        let mut row = RowBuilder::default();
        let missing = Literal::null();
        for (ordinal, value) in self.values.iter().enumerate() {
            let value = value.as_ref().unwrap_or(&missing);
            self.columns
                .check_key(ordinal, value)
                .map_err(|reason| Problem {
                    ordinal: Some(ordinal),
                    reason,
                })?;
            row.push(value);
        }
        Ok(row.finish())
    }
}

fn not_an_object(text: &str, error: &serde_json::Error) -> Problem {
    let message = error.to_string();
    // Its "line 1" would be taken for the file's.
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(what, _)| what);
    let (place, shown) = (error.column(), columns::shorten(text.trim()));
    Problem {
        ordinal: None,
        reason: format!("expected one JSON object, got {shown} ({message}, at byte {place})"),
    }
}

/// Reads an object's members into values. Members that are not declared are passed over without
/// being kept or recursed into, however deep they are.
struct Members<'a> {
    columns: &'a mut Columns,
    values: &'a mut [Option<Literal>],
    problem: &'a mut Option<Problem>,
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(ordinal) = members.next_key_seed(Name(self.columns))? {
            let slot = ordinal.and_then(|ordinal| {
                let attribute = self.columns.attributes().get(ordinal)?;
                Some((ordinal, attribute, self.values.get_mut(ordinal)?))
            });
            let Some((ordinal, attribute, value)) = slot else {
                members.next_value::<IgnoredAny>()?;
                continue;
            };
            let raw = members.next_value::<&RawValue>()?;
            let read = if value.is_some() {
                Err("the member stands here twice (names ignore case)".to_owned())
            } else {
                columns::read_json(attribute, raw.get())
            };
            match read {
                Ok(read) => *value = Some(read),
                Err(reason) => {
                    self.problem.get_or_insert(Problem {
                        ordinal: Some(ordinal),
                        reason,
                    });
                }
            }
        }
        Ok(())
    }
}

/// Reads a member's name as the ordinal of its attribute.
struct Name<'a>(&'a mut Columns);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.find(name))
    }
}
