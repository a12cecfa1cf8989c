//! The bytes of a page, unpacked. Owns that no page unpacks to more than its header said, whatever
//! is in it.

use std::io::Read;

use flate2::read::MultiGzDecoder;
use parquet::basic::Compression;

/// Unpacks bytes to exactly `size`, which has been checked; says why they can't be.
pub(crate) fn unpack(packing: Compression, bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    // A page without values may have no packed bytes at all.
    if size == 0 {
        return Ok(Vec::new());
    }
    let unpacked = match packing {
        Compression::UNCOMPRESSED => Ok(bytes.to_vec()),
        Compression::SNAPPY => snappy(bytes, size),
        Compression::GZIP(_) => streamed(MultiGzDecoder::new(bytes), size),
        Compression::ZSTD(_) => {
            zstd::bulk::decompress(bytes, size).map_err(|error| error.to_string())
        }
        Compression::LZ4_RAW => lz4(bytes, size),
        Compression::LZ4 => hadoop_lz4(bytes, size)
            .or_else(|_| streamed(lz4_flex::frame::FrameDecoder::new(bytes), size))
            .or_else(|_| lz4(bytes, size)),
        Compression::BROTLI(_) | Compression::LZO => Err(format!("{packing} can't be read")),
    };
    let unpacked = unpacked.map_err(|why| format!("a page can't be unpacked: {why}"))?;
    if unpacked.len() != size {
        let got = unpacked.len();
        return Err(format!("a page has {got} bytes, its header said {size}"));
    }
    Ok(unpacked)
}

fn snappy(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let told = snap::raw::decompress_len(bytes).map_err(|error| error.to_string())?;
    if told != size {
        return Err(format!("it has {told} bytes, its header said {size}"));
    }
    let mut unpacked = vec![0; size];
    snap::raw::Decoder::new()
        .decompress(bytes, &mut unpacked)
        .map_err(|error| error.to_string())?;
    Ok(unpacked)
}

fn lz4(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = vec![0; size];
    let count = lz4_flex::block::decompress_into(bytes, &mut unpacked);
    unpacked.truncate(count.map_err(|error| error.to_string())?);
    Ok(unpacked)
}

/// Hadoop's frames: two lengths, unpacked and packed, stand before each block.
fn hadoop_lz4(bytes: &[u8], size: usize) -> Result<Vec<u8>, String> {
    let cut = || "a block is cut off".to_owned();
    let mut unpacked = Vec::with_capacity(size);
    let mut left = bytes;
    while !left.is_empty() {
        let (lengths, rest) = left.split_first_chunk::<8>().ok_or_else(cut)?;
        let [a, b, c, d, e, f, g, h] = *lengths;
        let of =
            |length: [u8; 4]| usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let (length, packed) = (of([a, b, c, d]), of([e, f, g, h]));
        let (block, rest) = rest.split_at_checked(packed).ok_or_else(cut)?;
        if length > size - unpacked.len() {
            return Err("its blocks have more bytes than it".to_owned());
        }
        unpacked.append(&mut lz4(block, length)?);
        if unpacked.len() > size {
            return Err("its blocks have more bytes than it".to_owned());
        }
        left = rest;
    }
    Ok(unpacked)
}

fn streamed(unpacking: impl Read, size: usize) -> Result<Vec<u8>, String> {
    let mut unpacked = Vec::with_capacity(size);
    let limit = u64::try_from(size).unwrap_or(u64::MAX).saturating_add(1);
    unpacking
        .take(limit)
        .read_to_end(&mut unpacked)
        .map_err(|error| error.to_string())?;
    Ok(unpacked)
}
