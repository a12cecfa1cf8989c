//! The header of a page. Owns which headers are believed: sizes and counts are checked against what
//! can be there, before anything is read or allocated because of them.

use parquet::basic::{Encoding, Type};

use crate::thrift::{Fault, Kind, Reader, Result};

/// Largest page in bytes, packed and unpacked; writers make pages of about 1 MiB.
pub const PAGE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest header in bytes: it may hold the smallest and largest value of its page.
pub(crate) const HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Describes one page as its header does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    kind: i64,
    unpacked: i64,
    packed: i64,
    data: Option<Data>,
    dictionary: Option<Data>,
    data_v2: Option<Data>,
}

/// What stands in the header of any kind of page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Data {
    values: i64,
    encoding: i64,
    definition_encoding: i64,
    repetition_encoding: i64,
    nulls: i64,
    rows: i64,
    definition_bytes: i64,
    repetition_bytes: i64,
    is_sorted: bool,
    is_not_packed: bool,
}

/// Describes one page that can be read.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) packed: usize,
    pub(crate) unpacked: usize,
    pub(crate) values: u32,
    pub(crate) encoding: Encoding,
    pub(crate) kind: PageKind,
}

/// Says what a page is, with what is peculiar to each kind.
#[derive(Clone, Debug)]
pub(crate) enum PageKind {
    /// Nobody needs it.
    Index,
    Dictionary {
        is_sorted: bool,
    },
    Data {
        definition: Encoding,
        repetition: Encoding,
    },
    DataV2 {
        nulls: u32,
        rows: u32,
        definition_bytes: u32,
        repetition_bytes: u32,
        is_packed: bool,
    },
}

impl Header {
    /// Reads a header; gives also how many bytes it has.
    ///
    /// # Errors
    /// [`Fault::Short`] where more bytes are needed.
    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut reader = Reader::new(bytes);
        let mut header = Self::default();
        reader.fields(|reader, id, kind| {
            match (id, kind) {
                (1, Kind::Int) => header.kind = reader.int()?,
                (2, Kind::Int) => header.unpacked = reader.int()?,
                (3, Kind::Int) => header.packed = reader.int()?,
                (5, Kind::Struct) => header.data = Some(read_data(reader)?),
                (7, Kind::Struct) => header.dictionary = Some(read_dictionary(reader)?),
                (8, Kind::Struct) => header.data_v2 = Some(read_data_v2(reader)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok((header, bytes.len() - reader.left()))
    }

    /// Believes a header, or says why not.
    ///
    /// `chunk_left` are the bytes that the column has behind it, `rows_left` the rows that it still
    /// lacks.
    pub(crate) fn check(
        &self,
        chunk_left: u64,
        rows_left: u64,
    ) -> std::result::Result<Shape, String> {
        let packed = size(self.packed, "packed")?;
        let unpacked = size(self.unpacked, "unpacked")?;
        if u64::try_from(packed).unwrap_or(u64::MAX) > chunk_left {
            return Err(format!(
                "a page would have {packed} bytes, its column has {chunk_left} left"
            ));
        }
        let (data, kind) = self.told()?;
        let Some(data) = data else {
            return Ok(Shape {
                packed,
                unpacked,
                values: 0,
                encoding: Encoding::PLAIN,
                kind,
            });
        };
        let values = count(data.values)?;
        let is_dictionary = matches!(kind, PageKind::Dictionary { .. });
        if !is_dictionary && u64::from(values) > rows_left {
            return Err(format!(
                "a page has {values} values, its column lacks {rows_left}"
            ));
        }
        if let PageKind::DataV2 {
            definition_bytes,
            repetition_bytes,
            ..
        } = kind
        {
            let levels = u64::from(definition_bytes) + u64::from(repetition_bytes);
            let room = u64::try_from(packed.min(unpacked)).unwrap_or(u64::MAX);
            if levels > room {
                return Err(format!(
                    "the levels of a page have {levels} of {room} bytes"
                ));
            }
        }
        Ok(Shape {
            packed,
            unpacked,
            values,
            encoding: encoding(data.encoding)?,
            kind,
        })
    }

    fn told(&self) -> std::result::Result<(Option<&Data>, PageKind), String> {
        let lacks = || "the header of a page says nothing about its data".to_owned();
        Ok(match self.kind {
            0 => {
                let data = self.data.as_ref().ok_or_else(lacks)?;
                let kind = PageKind::Data {
                    definition: encoding(data.definition_encoding)?,
                    repetition: encoding(data.repetition_encoding)?,
                };
                (Some(data), kind)
            }
            1 => (None, PageKind::Index),
            2 => {
                let data = self.dictionary.as_ref().ok_or_else(lacks)?;
                let is_sorted = data.is_sorted;
                (Some(data), PageKind::Dictionary { is_sorted })
            }
            3 => {
                let data = self.data_v2.as_ref().ok_or_else(lacks)?;
                let kind = PageKind::DataV2 {
                    nulls: count(data.nulls)?,
                    rows: count(data.rows)?,
                    definition_bytes: count(data.definition_bytes)?,
                    repetition_bytes: count(data.repetition_bytes)?,
                    is_packed: !data.is_not_packed,
                };
                (Some(data), kind)
            }
            other => return Err(format!("there is no page of the kind {other}")),
        })
    }
}

/// Checks that a dictionary can hold as many values as it says.
pub(crate) fn check_dictionary(
    values: u32,
    bytes: usize,
    physical: Type,
    fixed_bytes: usize,
) -> std::result::Result<(), String> {
    let least = match physical {
        Type::BOOLEAN => return Err("booleans have no dictionary".to_owned()),
        // Its length stands before a value.
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        Type::FIXED_LEN_BYTE_ARRAY => fixed_bytes.max(1),
    };
    let room = bytes / least;
    if usize::try_from(values).is_ok_and(|values| values <= room) {
        return Ok(());
    }
    Err(format!(
        "a dictionary of {bytes} bytes can't have {values} values"
    ))
}

fn read_data(reader: &mut Reader<'_>) -> Result<Data> {
    let mut data = Data::default();
    reader.fields(|reader, id, kind| {
        match (id, kind) {
            (1, Kind::Int) => data.values = reader.int()?,
            (2, Kind::Int) => data.encoding = reader.int()?,
            (3, Kind::Int) => data.definition_encoding = reader.int()?,
            (4, Kind::Int) => data.repetition_encoding = reader.int()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(data)
}

fn read_dictionary(reader: &mut Reader<'_>) -> Result<Data> {
    let mut data = Data::default();
    reader.fields(|reader, id, kind| {
        match (id, kind) {
            (1, Kind::Int) => data.values = reader.int()?,
            (2, Kind::Int) => data.encoding = reader.int()?,
            (3, Kind::True) => data.is_sorted = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(data)
}

fn read_data_v2(reader: &mut Reader<'_>) -> Result<Data> {
    let mut data = Data::default();
    reader.fields(|reader, id, kind| {
        match (id, kind) {
            (1, Kind::Int) => data.values = reader.int()?,
            (2, Kind::Int) => data.nulls = reader.int()?,
            (3, Kind::Int) => data.rows = reader.int()?,
            (4, Kind::Int) => data.encoding = reader.int()?,
            (5, Kind::Int) => data.definition_bytes = reader.int()?,
            (6, Kind::Int) => data.repetition_bytes = reader.int()?,
            (7, Kind::False) => data.is_not_packed = true,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(data)
}

fn size(bytes: i64, what: &str) -> std::result::Result<usize, String> {
    let size = usize::try_from(bytes).ok();
    size.filter(|size| *size <= PAGE_BYTES_MAX).ok_or_else(|| {
        format!("a page would have {bytes} bytes {what}, which is not from 0 to {PAGE_BYTES_MAX}")
    })
}

fn count(count: i64) -> std::result::Result<u32, String> {
    // The library counts with 32 bits, and a sign at some places.
    i32::try_from(count)
        .ok()
        .and_then(|count| u32::try_from(count).ok())
        .ok_or_else(|| format!("a page can't have {count} values"))
}

fn encoding(number: i64) -> std::result::Result<Encoding, String> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        #[expect(deprecated, reason = "old files have it")]
        4 => Encoding::BIT_PACKED,
        other => return Err(format!("the encoding {other} of a page can't be read")),
    })
}

impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Short => "it ends too early".to_owned(),
            Fault::Bad => "it can't be read".to_owned(),
        }
    }
}
