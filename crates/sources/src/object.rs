//! One object of a bucket: as a stream that goes on where it broke off, and in blocks for files
//! that are read here and there. Owns how much of it is held.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::bucket::{Bucket, Pieces, Retries};
use crate::bucket_error::{BucketError, Fault};
use crate::place::Found;

/// How much is fetched together where little is asked for.
const BLOCK_BYTES: u64 = 512 * 1024;
/// How many blocks are held: at least one for each column that is read, up to so many columns.
const BLOCKS_HELD_MAX: usize = 128;

/// An object in the version that was found.
pub(crate) struct Object {
    bucket: Bucket,
    found: Found,
    /// Those used last come last.
    blocks: Mutex<VecDeque<(u64, Bytes)>>,
}

impl Object {
    pub(crate) fn new(bucket: Bucket, found: Found) -> Arc<Self> {
        Arc::new(Self {
            bucket,
            found,
            blocks: Mutex::default(),
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.found.bytes
    }

    /// Reads from `start` to the end, ahead of whoever reads it.
    pub(crate) fn stream(self: &Arc<Self>, start: u64) -> ObjectStream {
        self.part(start, self.found.bytes)
    }

    /// Reads from `start` on in blocks.
    pub(crate) fn blocks(self: &Arc<Self>, start: u64) -> ObjectBlocks {
        ObjectBlocks {
            object: Arc::clone(self),
            at: start,
        }
    }

    /// Reads a range that lies within the object.
    pub(crate) fn range(self: &Arc<Self>, start: u64, end: u64) -> io::Result<Bytes> {
        let first = start / BLOCK_BYTES;
        // What spans blocks mostly is no small thing: it is fetched as it is and not held.
        if end > (first + 1).saturating_mul(BLOCK_BYTES) {
            return self.fetch(start, end);
        }
        let block = self.block(first)?;
        let from = length(start - first * BLOCK_BYTES);
        let to = length(end - first * BLOCK_BYTES);
        if to > block.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(block.slice(from..to))
    }

    fn block(self: &Arc<Self>, index: u64) -> io::Result<Bytes> {
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let place = blocks.iter().position(|(held, _)| *held == index);
        if let Some(block) = place.and_then(|place| blocks.remove(place)) {
            let bytes = block.1.clone();
            blocks.push_back(block);
            return Ok(bytes);
        }
        let start = index.saturating_mul(BLOCK_BYTES);
        let end = start.saturating_add(BLOCK_BYTES).min(self.found.bytes);
        let bytes = self.fetch(start, end)?;
        if blocks.len() >= BLOCKS_HELD_MAX {
            blocks.pop_front();
        }
        blocks.push_back((index, bytes.clone()));
        Ok(bytes)
    }

    fn fetch(self: &Arc<Self>, start: u64, end: u64) -> io::Result<Bytes> {
        let mut part = self.part(start, end);
        let mut bytes = BytesMut::new();
        while let Some(piece) = part.next_piece()? {
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes.freeze())
    }

    fn part(self: &Arc<Self>, start: u64, end: u64) -> ObjectStream {
        ObjectStream {
            object: Arc::clone(self),
            at: start,
            end,
            pieces: None,
            piece: Bytes::new(),
            retries: Retries::default(),
        }
    }
}

/// A part of an object as a stream. An answer that breaks off is asked for again from there on.
pub(crate) struct ObjectStream {
    object: Arc<Object>,
    /// What is asked for next.
    at: u64,
    end: u64,
    pieces: Option<Pieces>,
    piece: Bytes,
    retries: Retries,
}

impl ObjectStream {
    fn next_piece(&mut self) -> Result<Option<Bytes>, BucketError> {
        let bucket = self.object.bucket.clone();
        while self.at < self.end {
            match self.attempt(&bucket) {
                Ok(piece) => {
                    self.retries.reset();
                    self.at += u64::try_from(piece.len()).unwrap_or_default();
                    return Ok(Some(piece));
                }
                Err(fault) => {
                    self.pieces = None;
                    self.retries.wait(fault, &bucket)?;
                }
            }
        }
        self.pieces = None;
        Ok(None)
    }

    fn attempt(&mut self, bucket: &Bucket) -> Result<Bytes, Fault> {
        let pieces = match &mut self.pieces {
            Some(pieces) => pieces,
            None => {
                let begun = bucket.begin(&self.object.found, self.at, self.end)?;
                self.pieces.insert(begun)
            }
        };
        let piece = bucket.next(pieces)?.ok_or_else(|| Fault::Broken {
            reason: "its answer was too short".to_owned(),
        })?;
        if piece.len() > length(self.end - self.at) {
            return Err(Fault::Unusable {
                reason: "its answer was longer than what was asked for".to_owned(),
            });
        }
        Ok(piece)
    }
}

impl Read for ObjectStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.next_piece()? {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        let (into, _) = buffer.split_at_mut(count);
        into.copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

/// An object from an offset on, in blocks that are held for others.
pub(crate) struct ObjectBlocks {
    object: Arc<Object>,
    at: u64,
}

impl Read for ObjectBlocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let index = self.at / BLOCK_BYTES;
        if self.at >= self.object.found.bytes || buffer.is_empty() {
            return Ok(0);
        }
        let mut block = self.object.block(index)?;
        let skipped = length(self.at - index * BLOCK_BYTES);
        if skipped >= block.len() {
            return Ok(0);
        }
        let rest = block.split_off(skipped);
        let count = rest.len().min(buffer.len());
        let (into, _) = buffer.split_at_mut(count);
        into.copy_from_slice(&rest.slice(..count));
        self.at += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

fn length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
