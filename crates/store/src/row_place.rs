//! Where a row of a read-only table stands, as a text that a page can end with.
//! Owns its form: the bytes of the key's last part in hex. Must not know what the row holds.

use std::fmt::Write as _;

use crate::error::Result;

/// Writes a place; texts are in the order of the keys.
pub(crate) fn text(bytes: &[u8]) -> Result<String> {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").map_err(|_| crate::codec::corrupt("a row's place"))?;
    }
    Ok(text)
}

/// Reads a place as far as it is one; what `text` wrote comes back whole.
pub(crate) fn read(place: &str) -> Vec<u8> {
    let digits: Vec<u32> = place.chars().map_while(|c| c.to_digit(16)).collect();
    let bytes = digits.chunks_exact(2).map_while(|pair| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    });
    bytes.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_read_back_and_keep_the_order_of_keys() {
        let keys: [&[u8]; 5] = [
            &[],
            &[1, 255],
            &[2, b'a', 0],
            &[2, b'a', b'b', 0],
            &[2, b'b', 0],
        ];
        let texts: Vec<_> = keys.iter().map(|key| text(key).unwrap()).collect();
        assert!(texts.is_sorted());
        let read: Vec<_> = texts.iter().map(|text| read(text)).collect();
        assert_eq!(read, keys);
        assert_eq!(super::read("02zz"), [2], "what is no place is cut off");
    }
}
