//! Splits CSV (RFC 4180) into records. Owns quoting and the limits of a record.
//!
//! Must not guess: the usual readers take text behind a closing quote, and the end of the file
//! inside of a value, as if nothing were wrong, and so lose all rows that a stray quote swallows.
//! Beyond the RFC, a quote inside of an unquoted value is an ordinary character, CR, LF and CRLF
//! all end a record, and empty lines are no records.

use memchr::{memchr, memchr2, memchr3};

use crate::input::Input;
use crate::{Error, ROW_BYTES_MAX};

/// How many columns a file may have.
pub const COLUMNS_MAX: usize = 10_000;

/// Reads records one after the other, reusing the space of the last.
pub(crate) struct Records {
    input: Input,
    record: Record,
    /// Of the record read last; the header is 0.
    row: u64,
    started: bool,
}

/// Holds one record.
pub(crate) struct Record {
    /// The values, one behind the other, without the quotes around them.
    text: Vec<u8>,
    /// Where in `text` each of the first `ends_max` values ends.
    ends: Vec<usize>,
    ends_max: usize,
    count: usize,
    /// Where in `text` the present value begins.
    value_start: usize,
    misquoted: Option<usize>,
    /// Whether a misquoted value has line ends before its closing quote.
    spans_lines: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    RecordStart,
    ValueStart,
    Plain,
    Quoted,
    /// Behind a quote inside of a quoted value: the value's end, or the first of a doubled quote.
    QuoteInQuoted,
}

impl Records {
    pub(crate) fn new(input: Input) -> Self {
        Self {
            input,
            record: Record {
                text: Vec::new(),
                ends: Vec::new(),
                ends_max: COLUMNS_MAX,
                count: 0,
                value_start: 0,
                misquoted: None,
                spans_lines: false,
                state: State::RecordStart,
            },
            row: 0,
            started: false,
        }
    }

    /// Number of the record read last, from 1; the file's first is the header, 0.
    pub(crate) fn row(&self) -> u64 {
        self.row
    }

    /// Reads the first record; of the others as many values are kept as it has, and the rest counted.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn read_header(&mut self) -> Result<Option<&Record>, Error> {
        if self.read()?.is_none() {
            return Ok(None);
        }
        self.record.ends_max = self.record.count;
        Ok(Some(&self.record))
    }

    /// Reads the next record; `None` at the end.
    ///
    /// # Errors
    /// A record over [`ROW_BYTES_MAX`], and quoting after which the number of rows is in doubt.
    pub(crate) fn read(&mut self) -> Result<Option<&Record>, Error> {
        self.record.clear();
        if self.started {
            self.row += 1;
        }
        self.started = true;
        let row = self.row;
        let mut bytes_taken = 0;
        loop {
            let bytes = self.input.fill()?;
            if bytes.is_empty() {
                match self.record.state {
                    State::RecordStart => return Ok(None),
                    State::Quoted => return Err(Error::QuoteNotClosed { row }),
                    State::ValueStart | State::Plain | State::QuoteInQuoted => {
                        self.record.end_value();
                        self.record.state = State::RecordStart;
                        break;
                    }
                }
            }
            let (taken, ended) = self.record.take(bytes);
            self.input.consume(taken);
            bytes_taken += taken;
            if !ended && self.record.state == State::RecordStart {
                // Nothing but empty lines so far.
                bytes_taken = 0;
            }
            if bytes_taken > ROW_BYTES_MAX {
                return Err(Error::RowTooLarge { row });
            }
            if ended {
                break;
            }
        }
        if self.record.spans_lines {
            return Err(Error::QuotingBroken { row });
        }
        Ok(Some(&self.record))
    }
}

impl Record {
    /// How many values it has.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The bytes of one value; empty where there is none.
    pub(crate) fn value(&self, column: usize) -> &[u8] {
        let end_of = |column: usize| self.ends.get(column).copied();
        let start = column.checked_sub(1).map_or(Some(0), end_of);
        match (start, end_of(column)) {
            (Some(start), Some(end)) => self.text.get(start..end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// The column of the first value that goes on behind its closing quote.
    pub(crate) fn misquoted(&self) -> Option<usize> {
        self.misquoted
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.count = 0;
        self.value_start = 0;
        self.misquoted = None;
        self.spans_lines = false;
    }

    /// Takes bytes up to the record's end; says how many these were and whether it has ended.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut rest = bytes;
        while let Some((&first, behind)) = rest.split_first() {
            match self.state {
                State::RecordStart if matches!(first, b'\r' | b'\n') => rest = behind,
                State::RecordStart => self.state = State::ValueStart,
                State::ValueStart if first == b'"' => {
                    self.state = State::Quoted;
                    rest = behind;
                }
                State::ValueStart => self.state = State::Plain,
                State::Plain => {
                    let end = memchr3(b',', b'\r', b'\n', rest).unwrap_or(rest.len());
                    let (run, behind) = rest.split_at(end);
                    self.text.extend_from_slice(run);
                    rest = behind;
                    if let Some((&separator, behind)) = behind.split_first() {
                        rest = behind;
                        self.end_value();
                        if separator != b',' {
                            self.state = State::RecordStart;
                            return (bytes.len() - rest.len(), true);
                        }
                        self.state = State::ValueStart;
                    }
                }
                State::Quoted => {
                    let end = memchr(b'"', rest).unwrap_or(rest.len());
                    let (run, behind) = rest.split_at(end);
                    self.text.extend_from_slice(run);
                    rest = behind;
                    if let Some((_, behind)) = behind.split_first() {
                        rest = behind;
                        self.state = State::QuoteInQuoted;
                    }
                }
                State::QuoteInQuoted if first == b'"' => {
                    self.text.push(first);
                    self.state = State::Quoted;
                    rest = behind;
                }
                State::QuoteInQuoted => {
                    if !matches!(first, b',' | b'\r' | b'\n') {
                        self.misquoted.get_or_insert(self.count);
                        let value = self.text.get(self.value_start..).unwrap_or_default();
                        self.spans_lines |= memchr2(b'\n', b'\r', value).is_some();
                    }
                    self.state = State::Plain;
                }
            }
        }
        (bytes.len(), false)
    }

    fn end_value(&mut self) {
        if self.count < self.ends_max {
            self.ends.push(self.text.len());
        }
        self.count += 1;
        self.value_start = self.text.len();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn excess_values_are_counted_but_not_kept() {
        let file = format!("a,b\nc{}\n", ",x".repeat(50_000));
        let input = Input::open(Box::new(Cursor::new(file)), crate::Packing::None).expect("input");
        let mut records = Records::new(input);
        let header = records.read_header().expect("header").expect("header");
        assert_eq!(header.len(), 2);
        let record = records.read().expect("record").expect("record");
        assert_eq!((record.len(), record.ends.len()), (50_001, 2));
        assert_eq!((record.value(0), record.value(1)), (&b"c"[..], &b"x"[..]));
        assert_eq!(record.value(2), b"");
    }
}
