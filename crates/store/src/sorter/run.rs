//! Owns one sorted stretch of a sorter's file: writing it, and finding a record in it.
//!
//! Must not be changed once it is written.

use std::{fs::File, io};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::block::{Block, BlockPlace, BlockWriter};
use crate::error::Result;

/// Bits of the filter per record: one of a hundred keys that are not there is looked for in vain.
const FILTER_BITS_EACH: usize = 10;
const FILTER_PROBES: u64 = 6;

/// Records in the order of their keys; of several under one key the last is the newest.
pub(super) struct Run {
    blocks: Vec<BlockPlace>,
    start: u64,
    filter: Vec<u64>,
}

impl Run {
    /// Writes a run of `count` sorted records behind `start`.
    pub(super) fn write<'a>(
        file: &File,
        start: u64,
        count: usize,
        records: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> io::Result<Self> {
        let words = (count * FILTER_BITS_EACH).div_ceil(64).max(1);
        let mut filter = vec![0_u64; words];
        let mut writer = BlockWriter::new(file, start);
        for (key, value) in records {
            for (word, bit) in probes(xxh3_64(key), words) {
                if let Some(word) = filter.get_mut(word) {
                    *word |= bit;
                }
            }
            writer.add(key, value)?;
        }
        writer.finish()?;
        Ok(Self {
            blocks: writer.places,
            start,
            filter,
        })
    }

    /// The place in the file behind it.
    pub(super) fn end(&self) -> u64 {
        self.blocks.last().map_or(self.start, BlockPlace::end)
    }

    /// Whether it may hold the key of a hash; `false` is certain.
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let mut probes = probes(hash, self.filter.len());
        probes.all(|(word, bit)| self.filter.get(word).is_some_and(|word| word & bit != 0))
    }

    pub(super) fn get(&self, file: &File, key: &[u8]) -> Result<Option<Bytes>> {
        // The newest record of a key may stand at the beginning of a later block than the oldest.
        let behind = self
            .blocks
            .partition_point(|block| *block.first_key <= *key);
        let Some(at) = behind.checked_sub(1) else {
            return Ok(None);
        };
        let Some(place) = self.blocks.get(at) else {
            return Ok(None);
        };
        let mut block = place.read(file)?;
        let mut found = None;
        while let Some((met, value)) = block.next()? {
            if met == key {
                found = Some(value);
            }
        }
        Ok(found)
    }

    pub(super) fn block(&self, file: &File, at: usize) -> Result<Option<Block>> {
        let place = self.blocks.get(at);
        place.map(|place| place.read(file)).transpose()
    }
}

/// The bits of a filter of so many words that stand for a hash.
fn probes(hash: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let bits = words as u64 * 64;
    let (first, step) = (hash, (hash >> 32) | 1);
    (0..FILTER_PROBES).map(move |probe| {
        let bit = first.wrapping_add(probe.wrapping_mul(step)) % bits;
        let word = usize::try_from(bit / 64).unwrap_or(usize::MAX);
        (word, 1 << (bit % 64))
    })
}
