//! A source row's bytes: its values as JSON texts in the order of the schema.
//! Owns the encoding, made to be copied into an answer without parsing.

use crate::{EdmType, Literal, Scalar};

/// Holds one row: for each attribute the length (LEB128) and the JSON text of its value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row(Box<[u8]>);

impl Row {
    /// Takes bytes that `as_bytes` gave; `None` where they are no row.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (text, after) = split(rest)?;
            std::str::from_utf8(text).ok()?;
            rest = after;
        }
        Some(Self(bytes.into()))
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The JSON texts in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || {
            let (text, after) = split(rest)?;
            rest = after;
            std::str::from_utf8(text).ok()
        })
    }

    /// The JSON text of one value; `null` behind the last, as for an attribute added later.
    pub fn get(&self, ordinal: usize) -> &str {
        self.iter().nth(ordinal).unwrap_or("null")
    }

    /// One value, read for comparing.
    pub fn scalar(&self, ordinal: usize, edm: EdmType) -> Option<Scalar<'_>> {
        crate::literal::scalar_of(edm, self.get(ordinal))
    }
}

/// Builds a row value by value.
#[derive(Clone, Debug, Default)]
pub struct RowBuilder(Vec<u8>);

impl RowBuilder {
    /// Appends the next attribute's value.
    pub fn push(&mut self, value: &Literal) {
        self.push_json(value.as_json());
    }

    /// Appends a value as it stands in another row.
    pub fn push_json(&mut self, json: &str) {
        let text = json.as_bytes();
        let mut length = text.len();
        while length >= 0x80 {
            self.0.push(seven_bits(length) | 0x80);
            length >>= 7;
        }
        self.0.push(seven_bits(length));
        self.0.extend_from_slice(text);
    }

    /// Ends the row.
    pub fn finish(self) -> Row {
        Row(self.0.into())
    }
}

fn seven_bits(length: usize) -> u8 {
    u8::try_from(length & 0x7f).expect("seven bits fit a byte")
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (index, byte) in bytes.iter().enumerate().take(5) {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return bytes.get(index + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_give_back_their_values(texts in prop::collection::vec(".{0,300}", 0..20)) {
            let mut builder = RowBuilder::default();
            let literals: Vec<_> = texts.iter().map(|text| Literal::text(text)).collect();
            literals.iter().for_each(|literal| builder.push(literal));
            let row = Row::from_bytes(builder.finish().as_bytes()).expect("own bytes");
            prop_assert!(row.iter().eq(literals.iter().map(Literal::as_json)));
        }

        #[test]
        fn other_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(row) = Row::from_bytes(&bytes) {
                prop_assert!(row.iter().count() <= bytes.len());
            }
        }
    }
}
