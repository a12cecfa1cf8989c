//! Owns the bytes of values: a format version, what reclamation needs to see, then the content.
//!
//! Must not know keys. Old formats are read as long as stores hold them; fixtures keep them alive.

use sanntid_types::Instant;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{Error, Result};

/// JSON: for records that change seldom and grow fields over time.
const JSON: u8 = 1;
/// Postcard: for records that every request reads or writes.
const COMPACT: u8 = 2;
/// As `COMPACT`, behind the instants that reclamation looks at.
const EXPIRING: u8 = 3;
/// A row's bytes as they are.
const ROW: u8 = 4;
/// As `COMPACT`, where a record of another form may stand under the same key.
const ABSORBED: u8 = 5;

/// Encodes a record as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![JSON];
    serde_json::to_writer(&mut bytes, value).expect("own records are JSON");
    bytes
}

/// Decodes what `json` encoded.
pub(crate) fn read_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&JSON, content)) => {
            serde_json::from_slice(content).map_err(|error| corrupt(&error.to_string()))
        }
        _ => Err(unknown_format(bytes)),
    }
}

/// Encodes a record compactly.
pub(crate) fn compact<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![COMPACT]).expect("own records have a compact form")
}

/// Decodes what `compact` encoded.
pub(crate) fn read_compact<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&COMPACT, content)) => postcard(content),
        _ => Err(unknown_format(bytes)),
    }
}

/// Encodes what concerns an absorbed activity.
pub(crate) fn absorbed<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![ABSORBED]).expect("own records have a compact form")
}

/// Whether a value is one that `absorbed` encoded.
pub(crate) fn is_absorbed(bytes: &[u8]) -> bool {
    bytes.first() == Some(&ABSORBED)
}

/// Decodes what `absorbed` encoded.
pub(crate) fn read_absorbed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&ABSORBED, content)) => postcard(content),
        _ => Err(unknown_format(bytes)),
    }
}

/// Says when a record's content is dead for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    /// After this it shows no more, whatever happens.
    pub(crate) expires_at: Instant,
    /// A refresh that clears through this clears all of it; `None` where refreshes don't clear it.
    pub(crate) cleared_by: Option<Instant>,
}

/// Encodes a record whose end can be read off without decoding it.
pub(crate) fn expiring<T: Serialize>(lifetime: Lifetime, value: &T) -> Vec<u8> {
    let mut bytes = vec![EXPIRING];
    bytes.extend_from_slice(&lifetime.expires_at.as_millis().to_be_bytes());
    let cleared_by = lifetime.cleared_by.unwrap_or(Instant::MAX);
    bytes.extend_from_slice(&cleared_by.as_millis().to_be_bytes());
    postcard::to_extend(value, bytes).expect("own records have a compact form")
}

/// Decodes what `expiring` encoded.
pub(crate) fn read_expiring<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let (_, content) = split_expiring(bytes).ok_or_else(|| unknown_format(bytes))?;
    postcard(content)
}

/// Reads the end of an expiring record; `None` for any other.
pub(crate) fn lifetime(bytes: &[u8]) -> Option<Lifetime> {
    split_expiring(bytes).map(|(lifetime, _)| lifetime)
}

/// Encodes a row.
pub(crate) fn row(row: &sanntid_types::Row) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(row.as_bytes().len() + 1);
    bytes.push(ROW);
    bytes.extend_from_slice(row.as_bytes());
    bytes
}

/// Decodes a row.
pub(crate) fn read_row(bytes: &[u8]) -> Result<sanntid_types::Row> {
    match bytes.split_first() {
        Some((&ROW, content)) => {
            sanntid_types::Row::from_bytes(content).ok_or_else(|| corrupt("a row is cut off"))
        }
        _ => Err(unknown_format(bytes)),
    }
}

/// Says that stored bytes are not what was written.
pub(crate) fn corrupt(what: &str) -> Error {
    Error::Corrupt {
        detail: what.to_owned(),
    }
}

fn split_expiring(bytes: &[u8]) -> Option<(Lifetime, &[u8])> {
    let (&version, rest) = bytes.split_first()?;
    if version != EXPIRING {
        return None;
    }
    let (expires_at, rest) = rest.split_first_chunk()?;
    let (cleared_by, content) = rest.split_first_chunk()?;
    let cleared_by = Instant::from_millis(i64::from_be_bytes(*cleared_by));
    let lifetime = Lifetime {
        expires_at: Instant::from_millis(i64::from_be_bytes(*expires_at)),
        cleared_by: (cleared_by < Instant::MAX).then_some(cleared_by),
    };
    Some((lifetime, content))
}

fn postcard<T: DeserializeOwned>(content: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(content) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(corrupt("a value is longer than its content")),
        Err(error) => Err(corrupt(&error.to_string())),
    }
}

fn unknown_format(bytes: &[u8]) -> Error {
    match bytes.first() {
        Some(version) => corrupt(&format!("a value has the unknown format {version}")),
        None => corrupt("a value is empty"),
    }
}
