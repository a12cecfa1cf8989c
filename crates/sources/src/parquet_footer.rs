//! The footer of a Parquet file, looked at before the library reads it. Owns that what the library
//! makes of a footer has a bounded size and depth: it believes numbers, and expands each name of a
//! group into the paths of all columns in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::csv_record::COLUMNS_MAX;
use crate::thrift::{Fault, Kind, Reader, Result};

/// Largest footer of a Parquet file in bytes.
pub const FOOTER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// About how many bytes the library may make of a footer.
const UNPACKED_BYTES_MAX: usize = 96 * 1024 * 1024;
/// How deep groups may stand in each other.
const DEPTH_MAX: usize = 32;
/// How many names and values of its own a writer may add.
const NOTES_MAX: usize = 1_000;
/// About what the library makes of one element of the schema, and of one column of a row group.
const ELEMENT_BYTES: usize = 1_024;
const CHUNK_BYTES: usize = 512;

/// Says why a footer is not to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Corrupt(&'static str),
    TooLarge,
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::Corrupt(match fault {
            Fault::Short => "its footer ends too early",
            Fault::Bad => "its footer can't be read",
        })
    }
}

/// Checks a footer as a whole.
pub(crate) fn check(footer: &[u8]) -> std::result::Result<(), Refusal> {
    let mut size = Size::default();
    let mut refusal = None;
    let mut note = |part: std::result::Result<(), Refusal>| match part {
        Ok(()) => Ok(true),
        Err(why) => {
            refusal = Some(why);
            Err(Fault::Bad)
        }
    };
    let read = Reader::new(footer).fields(|reader, id, kind| match (id, kind) {
        (2, Kind::List) => note(check_schema(reader, &mut size)),
        (4, Kind::List) => note(check_groups(reader, &mut size)),
        (5, Kind::List) => note(check_notes(reader, &mut size)),
        _ => Ok(false),
    });
    match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(read?),
    }
}

/// About what the library will have made.
#[derive(Default)]
struct Size(usize);

impl Size {
    fn add(&mut self, bytes: usize) -> std::result::Result<(), Refusal> {
        self.0 = self.0.saturating_add(bytes);
        if self.0 > UNPACKED_BYTES_MAX {
            return Err(Refusal::TooLarge);
        }
        Ok(())
    }
}

/// A group whose members are not all read.
struct Group {
    members_left: usize,
    path_bytes: usize,
}

fn check_schema(reader: &mut Reader<'_>, size: &mut Size) -> std::result::Result<(), Refusal> {
    const NO_TREE: Refusal = Refusal::Corrupt("its schema is no tree");
    let count = structs(reader)?;
    let mut open: Vec<Group> = Vec::new();
    for place in 0..count {
        let (mut name_bytes, mut members) = (0, 0);
        reader.fields(|reader, id, kind| {
            match (id, kind) {
                (4, Kind::Binary) => name_bytes = reader.binary()?.len(),
                (5, Kind::Int) => members = reader.int()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let members = usize::try_from(members).map_err(|_| NO_TREE)?;
        while open.last().is_some_and(|group| group.members_left == 0) {
            open.pop();
        }
        let path_bytes = match open.last_mut() {
            Some(group) => {
                group.members_left -= 1;
                group.path_bytes + name_bytes
            }
            None if place == 0 => name_bytes,
            None => return Err(NO_TREE),
        };
        if place == 0 && members > COLUMNS_MAX {
            return Err(Refusal::Corrupt("it has too many columns"));
        }
        if members > count - place - 1 || open.len() >= DEPTH_MAX {
            return Err(NO_TREE);
        }
        size.add(ELEMENT_BYTES + 4 * path_bytes + 64 * open.len())?;
        open.push(Group {
            members_left: members,
            path_bytes,
        });
    }
    Ok(())
}

fn check_groups(reader: &mut Reader<'_>, size: &mut Size) -> std::result::Result<(), Refusal> {
    for _ in 0..structs(reader)? {
        let mut refusal = size.add(CHUNK_BYTES).err();
        reader.fields(|reader, id, kind| {
            if (id, kind) != (1, Kind::List) {
                return Ok(false);
            }
            let columns = structs(reader)?;
            refusal = refusal.or(size.add(columns.saturating_mul(CHUNK_BYTES)).err());
            for _ in 0..columns {
                reader.fields(|_, _, _| Ok(false))?;
            }
            Ok(true)
        })?;
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Ok(())
}

fn check_notes(reader: &mut Reader<'_>, size: &mut Size) -> std::result::Result<(), Refusal> {
    let count = structs(reader)?;
    if count > NOTES_MAX {
        return Err(Refusal::TooLarge);
    }
    for _ in 0..count {
        let (mut is_schema, mut value): (bool, &[u8]) = (false, &[]);
        reader.fields(|reader, id, kind| {
            match (id, kind) {
                (1, Kind::Binary) => is_schema = reader.binary()? == b"ARROW:schema",
                (2, Kind::Binary) => value = reader.binary()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        size.add(value.len())?;
        if is_schema {
            check_arrow_schema(value)?;
        }
    }
    Ok(())
}

/// Begins a list of structs.
fn structs(reader: &mut Reader<'_>) -> Result<usize> {
    match reader.list()? {
        (Kind::Struct, count) => Ok(count),
        // Some writers give empty lists no type.
        (_, 0) => Ok(0),
        _ => Err(Fault::Bad),
    }
}

/// Checks what Arrow's writers note: in it, many fields may refer to the same one, so that a few
/// bytes can stand for fields by the million.
fn check_arrow_schema(note: &[u8]) -> std::result::Result<(), Refusal> {
    let unreadable = Refusal::Corrupt("its Arrow schema can't be read");
    let bytes = BASE64.decode(note).map_err(|_| unreadable)?;
    // A mark and the length may stand before the message.
    let message = match bytes.split_at_checked(8) {
        Some((head, message)) if head.starts_with(&[0xff; 4]) => message,
        _ => &bytes,
    };
    let limits = flatbuffers::VerifierOptions {
        max_depth: 2 * DEPTH_MAX,
        max_tables: 10 * COLUMNS_MAX,
        max_apparent_size: UNPACKED_BYTES_MAX / 4,
        ..flatbuffers::VerifierOptions::default()
    };
    arrow_ipc::root_as_message_with_opts(&limits, message)
        .map(drop)
        .map_err(|_| unreadable)
}
