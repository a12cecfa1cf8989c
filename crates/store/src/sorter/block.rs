//! Owns the form of records in a sorter's file: packed blocks of them.
//!
//! Must not know in which order they are.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use bytes::Bytes;

use crate::error::{Error, Result};

/// Size of a block before it is packed, in bytes; one record more at most.
const BLOCK_BYTES: usize = 64 << 10;
/// Bytes that stand before each record: the lengths of its key and of its value.
const LENGTHS: usize = 8;

/// Says where a block lies, and what it begins with.
pub(super) struct BlockPlace {
    pub(super) first_key: Box<[u8]>,
    offset: u64,
    packed_bytes: usize,
}

impl BlockPlace {
    /// The place in the file behind it.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.packed_bytes as u64
    }

    pub(super) fn read(&self, file: &File) -> Result<Block> {
        let mut packed = vec![0; self.packed_bytes];
        file.read_exact_at(&mut packed, self.offset)?;
        let raw = lz4_flex::block::decompress_size_prepended(&packed);
        let raw = raw.map_err(|error| Error::Io(io::Error::other(error)))?;
        Ok(Block {
            raw: raw.into(),
            at: 0,
        })
    }
}

/// Writes blocks one behind the other.
pub(super) struct BlockWriter<'a> {
    file: &'a File,
    offset: u64,
    raw: Vec<u8>,
    first_key: Box<[u8]>,
    pub(super) places: Vec<BlockPlace>,
}

impl<'a> BlockWriter<'a> {
    pub(super) fn new(file: &'a File, offset: u64) -> Self {
        Self {
            file,
            offset,
            raw: Vec::with_capacity(BLOCK_BYTES),
            first_key: Box::default(),
            places: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if self.raw.is_empty() {
            self.first_key = key.into();
        }
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            self.raw.extend_from_slice(&length.to_le_bytes());
        }
        self.raw.extend_from_slice(key);
        self.raw.extend_from_slice(value);
        if self.raw.len() < BLOCK_BYTES {
            return Ok(());
        }
        self.finish()
    }

    pub(super) fn finish(&mut self) -> io::Result<()> {
        if self.raw.is_empty() {
            return Ok(());
        }
        let packed = lz4_flex::block::compress_prepend_size(&self.raw);
        self.file.write_all_at(&packed, self.offset)?;
        self.places.push(BlockPlace {
            first_key: std::mem::take(&mut self.first_key),
            offset: self.offset,
            packed_bytes: packed.len(),
        });
        self.offset += packed.len() as u64;
        self.raw.clear();
        Ok(())
    }
}

/// An unpacked block, and how far it was read.
pub(super) struct Block {
    raw: Bytes,
    at: usize,
}

impl Block {
    /// The next record; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Bytes, Bytes)>> {
        if self.at >= self.raw.len() {
            return Ok(None);
        }
        let lost = || Error::Io(io::Error::other("a record of a sorted run is cut off"));
        let key_bytes = self.length(0).ok_or_else(lost)?;
        let value_bytes = self.length(4).ok_or_else(lost)?;
        let key_at = self.at + LENGTHS;
        let value_at = key_at + key_bytes;
        let end = value_at + value_bytes;
        if end > self.raw.len() {
            return Err(lost());
        }
        self.at = end;
        Ok(Some((
            self.raw.slice(key_at..value_at),
            self.raw.slice(value_at..end),
        )))
    }

    fn length(&self, behind: usize) -> Option<usize> {
        let at = self.at + behind;
        let bytes = self.raw.get(at..at + 4)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(bytes)).ok()
    }
}
