//! The pages of a Parquet column, for the library that decodes them. Owns that whatever a file says,
//! no page is larger than [`PAGE_BYTES_MAX`](crate::PAGE_BYTES_MAX) and a column has as many values as
//! its row group has rows. Must not know what a value means.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type};
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};

use crate::content::Content;
use crate::parquet_header::{HEADER_BYTES_MAX, Header, PageKind, Shape, check_dictionary};
use crate::parquet_held::{Held, Share};
use crate::parquet_lengths::unpacked_bytes;
use crate::parquet_unpack::unpack;
use crate::thrift::Fault;

/// How much of a header is looked at first.
const HEADER_BYTES: usize = 4 * 1024;

/// The bytes of one chunk, read ahead.
pub(crate) struct Window {
    pub(crate) content: Content,
    pub(crate) at: u64,
    pub(crate) end: u64,
    pub(crate) ahead: usize,
    /// Begins at `at`.
    pub(crate) buffer: Bytes,
}

impl Window {
    fn left(&self) -> u64 {
        self.end - self.at
    }

    /// Looks at the next `count` bytes, or as many as there are.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.left()).unwrap_or(usize::MAX);
        let count = count.min(left);
        if self.buffer.len() < count {
            let length = count.max(self.ahead).min(left);
            self.buffer = self.content.read_range(self.at, length)?;
        }
        Ok(self.buffer.get(..count).unwrap_or_default())
    }

    fn pass(&mut self, count: usize) {
        let count = count.min(usize::try_from(self.left()).unwrap_or(usize::MAX));
        self.buffer = self.buffer.slice(count.min(self.buffer.len())..);
        self.at += u64::try_from(count).unwrap_or(0);
    }
}

/// The pages of one chunk.
pub(crate) struct Pages {
    pub(crate) window: Window,
    pub(crate) packing: Compression,
    pub(crate) physical: Type,
    pub(crate) fixed_bytes: usize,
    pub(crate) is_nullable: bool,
    /// Rows that no page has brought yet.
    pub(crate) rows_left: u64,
    pub(crate) is_first: bool,
    pub(crate) page: Share,
    pub(crate) dictionary: Share,
    pub(crate) held: Arc<Held>,
}

impl Pages {
    fn header(&mut self) -> Result<Header> {
        let mut length = HEADER_BYTES;
        loop {
            let left = self.window.left();
            let bytes = self.window.peek(length);
            let bytes = bytes.map_err(|error| self.held.unreadable(error))?;
            match Header::read(bytes) {
                Ok((header, length)) => {
                    self.window.pass(length);
                    return Ok(header);
                }
                Err(Fault::Short) if u64::try_from(length).is_ok_and(|length| length < left) => {
                    length *= 4;
                    if length > HEADER_BYTES_MAX {
                        return Err(self.held.corrupt("the header of a page is too long"));
                    }
                }
                Err(fault) => {
                    let reason = format!("the header of a page: {}", String::from(fault));
                    return Err(self.held.corrupt(reason));
                }
            }
        }
    }

    fn next_page(&mut self) -> Result<Option<Page>> {
        loop {
            if self.rows_left == 0 {
                return Ok(None);
            }
            if self.window.left() == 0 {
                let left = self.rows_left;
                return Err(self
                    .held
                    .corrupt(format!("a column lacks {left} of its values")));
            }
            let header = self.header()?;
            let shape = header.check(self.window.left(), self.rows_left);
            let shape = shape.map_err(|reason| self.held.corrupt(reason))?;
            if let PageKind::Index = shape.kind {
                self.window.pass(shape.packed);
                continue;
            }
            let is_dictionary = matches!(shape.kind, PageKind::Dictionary { .. });
            if is_dictionary && !std::mem::take(&mut self.is_first) {
                return Err(self
                    .held
                    .corrupt("a dictionary stands behind its column's pages"));
            }
            self.is_first = false;
            let share = if is_dictionary {
                &mut self.dictionary
            } else {
                &mut self.page
            };
            // Before it is read: what is held counts with the page that is being unpacked.
            share.replace(shape.unpacked)?;
            let bytes = self.unpacked(&shape)?;
            self.window.pass(shape.packed);
            return self.page(&shape, bytes).map(Some);
        }
    }

    fn unpacked(&mut self, shape: &Shape) -> Result<Bytes> {
        let packed = self.window.peek(shape.packed);
        let packed = packed.map_err(|error| self.held.unreadable(error))?;
        let unpacked = match shape.kind {
            PageKind::DataV2 {
                definition_bytes,
                repetition_bytes,
                is_packed,
                ..
            } => {
                let levels = u64::from(definition_bytes) + u64::from(repetition_bytes);
                let levels = usize::try_from(levels).unwrap_or(usize::MAX);
                let packing = if is_packed {
                    self.packing
                } else {
                    Compression::UNCOMPRESSED
                };
                match (
                    packed.split_at_checked(levels),
                    shape.unpacked.checked_sub(levels),
                ) {
                    (Some((levels, data)), Some(size)) => {
                        unpack(packing, data, size).map(|mut data| {
                            if !levels.is_empty() {
                                data.splice(..0, levels.iter().copied());
                            }
                            data
                        })
                    }
                    _ => Err("the levels of a page have more bytes than it".to_owned()),
                }
            }
            PageKind::Index | PageKind::Dictionary { .. } | PageKind::Data { .. } => {
                unpack(self.packing, packed, shape.unpacked)
            }
        };
        unpacked
            .map(Bytes::from)
            .map_err(|reason| self.held.corrupt(reason))
    }

    fn page(&mut self, shape: &Shape, buf: Bytes) -> Result<Page> {
        let (num_values, encoding) = (shape.values, shape.encoding);
        Ok(match shape.kind {
            PageKind::Index | PageKind::Dictionary { .. } => {
                check_dictionary(num_values, buf.len(), self.physical, self.fixed_bytes)
                    .map_err(|reason| self.held.corrupt(reason))?;
                let is_sorted = matches!(shape.kind, PageKind::Dictionary { is_sorted: true });
                Page::DictionaryPage {
                    buf,
                    num_values,
                    encoding,
                    is_sorted,
                }
            }
            PageKind::Data {
                definition,
                repetition,
            } => {
                let levels = self.level_bytes(&buf, definition, num_values)?;
                self.check_lengths(&buf, levels, shape)?;
                self.rows_left -= u64::from(num_values);
                Page::DataPage {
                    buf,
                    num_values,
                    encoding,
                    def_level_encoding: definition,
                    rep_level_encoding: repetition,
                    statistics: None,
                }
            }
            PageKind::DataV2 {
                nulls,
                rows,
                definition_bytes,
                repetition_bytes,
                is_packed,
            } => {
                if rows != num_values || nulls > num_values {
                    return Err(self
                        .held
                        .corrupt("a page has other numbers of rows and values"));
                }
                let levels = u64::from(definition_bytes) + u64::from(repetition_bytes);
                self.check_lengths(&buf, usize::try_from(levels).unwrap_or(usize::MAX), shape)?;
                self.rows_left -= u64::from(num_values);
                Page::DataPageV2 {
                    buf,
                    num_values,
                    encoding,
                    num_nulls: nulls,
                    num_rows: rows,
                    def_levels_byte_len: definition_bytes,
                    rep_levels_byte_len: repetition_bytes,
                    is_compressed: is_packed,
                    statistics: None,
                }
            }
        })
    }

    /// How many bytes stand before a page's values, which say where there are none.
    fn level_bytes(&self, page: &[u8], encoding: Encoding, values: u32) -> Result<usize> {
        if !self.is_nullable {
            return Ok(0);
        }
        let told = match encoding {
            Encoding::RLE => page.first_chunk::<4>().and_then(|length| {
                let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
                length.checked_add(4)
            }),
            // A bit for each.
            _ => usize::try_from(values.div_ceil(8)).ok(),
        };
        let told = told.filter(|told| *told <= page.len());
        told.ok_or_else(|| {
            self.held
                .corrupt("the levels of a page have more bytes than it")
        })
    }

    /// Counts what values with delta encoded lengths have, instead of their page.
    fn check_lengths(&mut self, page: &Bytes, levels: usize, shape: &Shape) -> Result<()> {
        let has_prefixes = match shape.encoding {
            Encoding::DELTA_BYTE_ARRAY => true,
            Encoding::DELTA_LENGTH_BYTE_ARRAY => false,
            _ => return Ok(()),
        };
        if shape.values == 0 {
            return Ok(());
        }
        let data = page.get(levels..).unwrap_or_default();
        let bytes = unpacked_bytes(data, has_prefixes);
        let bytes = bytes.map_err(|reason| self.held.corrupt(reason))?;
        self.page.replace(page.len().saturating_add(bytes))
    }
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        self.next_page()
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        Err(ParquetError::NYI("all rows are read".to_owned()))
    }

    fn skip_next_page(&mut self) -> Result<()> {
        Err(ParquetError::NYI("all rows are read".to_owned()))
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        Ok(true)
    }
}
