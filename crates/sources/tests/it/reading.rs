//! What all tests of this crate share: schemas, and files read to the end.

use std::io::{self, Cursor, Read};

use sanntid_sources::{Error, FileFormat, FileKind, Item, Packing, open};
use sanntid_types::{Attribute, EdmType, EntityName, EntitySchema, EntityType};

pub(crate) const CSV: FileFormat = FileFormat {
    kind: FileKind::Csv,
    packing: Packing::None,
};
pub(crate) const NDJSON: FileFormat = FileFormat {
    kind: FileKind::Ndjson,
    packing: Packing::None,
};

/// A schema of an activity entity; the first attribute is the key.
pub(crate) fn schema(attributes: Vec<Attribute>) -> EntitySchema {
    EntitySchema {
        name: EntityName::parse("Orders").expect("name"),
        friendly_name: None,
        entity_type: EntityType::Activity,
        attributes,
        key: Some(0),
    }
}

pub(crate) fn attribute(name: &str, data_type: EdmType) -> Attribute {
    Attribute::plain(name, data_type)
}

/// `Id` and one more attribute.
pub(crate) fn id_and(other: Attribute) -> EntitySchema {
    schema(vec![attribute("Id", EdmType::String), other])
}

pub(crate) fn id_and_text() -> EntitySchema {
    id_and(attribute("Text", EdmType::String))
}

/// One line per item: `1: "a" null`, or `1! Column: reason`.
pub(crate) fn read(
    format: FileFormat,
    schema: &EntitySchema,
    bytes: &[u8],
) -> Result<Vec<String>, Error> {
    read_from(Cursor::new(bytes.to_vec()), format, schema)
}

pub(crate) fn read_from(
    reader: impl Read + Send + 'static,
    format: FileFormat,
    schema: &EntitySchema,
) -> Result<Vec<String>, Error> {
    open(Box::new(reader), format, schema)?
        .map(|item| item.map(|item| show(&item)))
        .collect()
}

pub(crate) fn show(item: &Item) -> String {
    match item {
        Item::Row { number, row } => {
            let values: Vec<&str> = row.iter().collect();
            format!("{number}: {}", values.join(" "))
        }
        Item::Rejected(rejection) => {
            let column = rejection.column.as_deref().unwrap_or("-");
            format!("{}! {column}: {}", rejection.row, rejection.reason)
        }
    }
}

/// Gives its bytes in small pieces, so that every boundary falls inside of something.
pub(crate) struct InPieces {
    bytes: Cursor<Vec<u8>>,
    size: usize,
}

impl InPieces {
    pub(crate) fn new(bytes: &[u8], size: usize) -> Self {
        Self {
            bytes: Cursor::new(bytes.to_vec()),
            size,
        }
    }
}

impl Read for InPieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = u64::try_from(self.size).expect("a small size");
        (&mut self.bytes).take(size).read(buffer)
    }
}

/// Gives its bytes and then fails.
pub(crate) struct Failing(pub(crate) Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk is gone")),
            count => Ok(count),
        }
    }
}

/// Gives a start, then one byte over and over: a file of any size that needs no memory.
pub(crate) fn endless(start: &str, byte: u8, count: usize) -> impl Read + Send + 'static {
    let count = u64::try_from(count).expect("count");
    Cursor::new(start.as_bytes().to_vec()).chain(io::repeat(byte).take(count))
}
