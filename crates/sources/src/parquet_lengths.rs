//! What byte arrays with delta encoded lengths unpack to. Owns that it is known before they are
//! unpacked: a few bytes can stand for lengths by the gigabyte, and a value can repeat all of the one
//! before it.

use crate::parquet_header::PAGE_BYTES_MAX;
use crate::thrift::{Fault, Reader, Result};

/// How many values a page of byte arrays with delta encoded lengths may have.
const VALUES_MAX: u64 = 4 * 1024 * 1024;
/// A block has this many values, or a multiple.
const BLOCK_VALUES: u64 = 128;

/// Tells how many bytes a page's values have, each whole; `data` begins behind the levels.
///
/// `has_prefixes` says whether values repeat the beginning of the one before.
pub(crate) fn unpacked_bytes(
    data: &[u8],
    has_prefixes: bool,
) -> std::result::Result<usize, String> {
    let why = |fault| match fault {
        Fault::Short => "the lengths of a page's values are cut off",
        Fault::Bad => "the lengths of a page's values can't be",
    };
    measure(data, has_prefixes).map_err(|fault| why(fault).to_owned())
}

fn measure(data: &[u8], has_prefixes: bool) -> Result<usize> {
    let mut rest = data;
    let prefixes = if has_prefixes {
        let (prefixes, left) = lengths(rest)?;
        rest = left;
        prefixes
    } else {
        Vec::new()
    };
    let (own, _) = lengths(rest)?;
    if has_prefixes && prefixes.len() != own.len() {
        return Err(Fault::Bad);
    }
    let (mut sum, mut before) = (0_usize, 0);
    for (at, own) in own.iter().enumerate() {
        let repeated = prefixes.get(at).copied().unwrap_or(0);
        let size = |length: i32| usize::try_from(length).map_err(|_| Fault::Bad);
        let (repeated, own) = (size(repeated)?, size(*own)?);
        if repeated > before {
            return Err(Fault::Bad);
        }
        before = repeated + own;
        sum += before;
        if sum > PAGE_BYTES_MAX {
            return Err(Fault::Bad);
        }
    }
    Ok(sum)
}

/// Reads delta encoded numbers, as many as there are; gives also what is behind them.
fn lengths(data: &[u8]) -> Result<(Vec<i32>, &[u8])> {
    let mut reader = Reader::new(data);
    let block = reader.varint()?;
    let minis = reader.varint()?;
    let count = reader.varint()?;
    let mut value = wrapped(reader.int()?);
    if count > VALUES_MAX || block > VALUES_MAX || block % BLOCK_VALUES != 0 || minis == 0 {
        return Err(Fault::Bad);
    }
    if block % minis != 0 || !(block / minis).is_multiple_of(32) {
        return Err(Fault::Bad);
    }
    let size = |number: u64| usize::try_from(number).map_err(|_| Fault::Bad);
    let (minis, of_mini, count) = (size(minis)?, size(block / minis)?, size(count)?);
    let mut values = Vec::with_capacity(count);
    if count > 0 {
        values.push(value);
    }
    while values.len() < count {
        let least = wrapped(reader.int()?);
        let widths = reader.take(minis)?;
        for width in widths {
            if values.len() >= count {
                break;
            }
            // An unsigned number of more bits than a value has can't be.
            if *width > 32 {
                return Err(Fault::Bad);
            }
            let bytes = reader.take(usize::from(*width) * of_mini / 8)?;
            let mut bits = Bits::new(bytes);
            for _ in 0..of_mini.min(count - values.len()) {
                let delta = least.wrapping_add(bits.next(u32::from(*width)));
                value = value.wrapping_add(delta);
                values.push(value);
            }
        }
    }
    Ok((values, reader.rest()))
}

/// Values are numbers of 32 bits that overflow; the wire has 64.
fn wrapped(number: i64) -> i32 {
    let [a, b, c, d, ..] = number.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Reads numbers of some bits each, the lowest first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.iter(),
            held: 0,
            count: 0,
        }
    }

    fn next(&mut self, width: u32) -> i32 {
        while self.count < width {
            let byte = self.bytes.next().copied().unwrap_or(0);
            self.held |= u64::from(byte) << self.count;
            self.count += 8;
        }
        let mask = (1_u64 << width) - 1;
        let number = self.held & mask;
        self.held >>= width;
        self.count -= width;
        wrapped(number.cast_signed())
    }
}
