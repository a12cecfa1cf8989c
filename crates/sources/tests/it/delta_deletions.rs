//! Deletion vectors as the tests write them: the portable format of 64-bit bitmaps, in the log or
//! in a file of its own.

#![expect(
    clippy::indexing_slicing,
    reason = "a fixture that is not as its test means it fails that test"
)]

use serde_json::{Value, json};

const MAGIC: u32 = 1_681_511_377;
/// Says that no container is run-length encoded.
const COOKIE: u32 = 12_346;
const Z85: &[u8; 85] =
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/// Rows of a file, below 65,536.
pub(crate) struct Bitmap {
    bytes: Vec<u8>,
    pub(crate) count: usize,
}

impl Bitmap {
    pub(crate) fn of(rows: &[u64]) -> Self {
        let mut bytes = MAGIC.to_le_bytes().to_vec();
        bytes.extend(1_u64.to_le_bytes());
        bytes.extend(0_u32.to_le_bytes());
        bytes.extend(COOKIE.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        bytes.extend(0_u16.to_le_bytes());
        let last = u16::try_from(rows.len() - 1).expect("few rows");
        bytes.extend(last.to_le_bytes());
        bytes.extend(16_u32.to_le_bytes());
        for row in rows {
            let row = u16::try_from(*row).expect("a small row");
            bytes.extend(row.to_le_bytes());
        }
        Self {
            bytes,
            count: rows.len(),
        }
    }

    /// The descriptor with the bitmap in it.
    pub(crate) fn inline(&self) -> Value {
        let mut bytes = self.bytes.clone();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        json!({"storageType": "i", "pathOrInlineDv": z85(&bytes), "sizeInBytes": self.bytes.len(),
               "cardinality": self.count})
    }

    /// A file's name and bytes, and the descriptor that names it.
    pub(crate) fn in_file(&self) -> (String, Vec<u8>, Value) {
        let mut bytes = vec![1];
        let size = u32::try_from(self.bytes.len()).expect("few bytes");
        bytes.extend(size.to_be_bytes());
        bytes.extend(&self.bytes);
        let mut sum = flate2::Crc::new();
        sum.update(&self.bytes);
        bytes.extend(sum.sum().to_be_bytes());
        let id: [u8; 16] = *b"0123456789abcdef";
        let name = "deletion_vector_30313233-3435-3637-3839-616263646566.bin";
        let about = json!({"storageType": "u", "pathOrInlineDv": z85(&id), "offset": 1,
                           "sizeInBytes": self.bytes.len(), "cardinality": self.count});
        (name.to_owned(), bytes, about)
    }
}

fn z85(bytes: &[u8]) -> String {
    let mut text = String::new();
    for four in bytes.chunks(4) {
        let number = u32::from_be_bytes(four.try_into().expect("four bytes"));
        for power in [85_u32.pow(4), 85_u32.pow(3), 85_u32.pow(2), 85, 1] {
            let digit = usize::try_from(number / power % 85).expect("a digit");
            text.push(char::from(Z85[digit]));
        }
    }
    text
}
