//! Owns reading the engine's journals without applying them, to tell a torn end from damage.
//!
//! Must not write. It follows the engine's format, whose version the workspace pins.
//!
//! Journals are allocated ahead and written back page by page, in any order. So a power loss can
//! leave a batch that was not synced with its end and without its middle; the engine would take
//! that for damage and not open. What was synced has no such holes, and must never be cut.

use std::{
    fs::File,
    io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom},
    path::Path,
};

use xxhash_rust::xxh3::Xxh3;

use crate::{
    error::{Error, Result},
    files::for_each_data_block,
};

/// The smallest piece that a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;
/// Ends each batch.
const TRAILER: &[u8] = b"FJL\x03";

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;

/// How a journal ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It holds nothing.
    Empty,
    /// With a sound batch.
    Sound,
    /// With batches that were never synced; what stands before this byte is sound.
    Torn(u64),
}

/// Finds out how a journal ends.
///
/// # Errors
/// [`Error::Corrupt`] when a batch is damaged that may have been synced.
pub(crate) fn ending(path: &Path) -> Result<Ending> {
    let end = data_end(path)?;
    if end == 0 {
        return Ok(Ending::Empty);
    }
    let mut walker = Walker {
        input: BufReader::new(File::open(path)?),
        position: 0,
    };
    let mut sound = 0;
    while sound < end {
        if walker.is_sound_batch()? {
            sound = walker.position;
        } else if is_torn(path, sound, end)? {
            return Ok(Ending::Torn(sound));
        } else {
            return Err(Error::Corrupt {
                detail: format!("a journal is damaged at byte {sound}"),
            });
        }
    }
    Ok(Ending::Sound)
}

/// The end of the data: behind it there is only what was allocated ahead.
fn data_end(path: &Path) -> Result<u64> {
    let mut end = 0;
    for_each_data_block(path, |offset, block| {
        let last = block.iter().rposition(|byte| *byte != 0);
        end = last.map_or(end, |last| offset + last as u64 + 1);
        Ok(())
    })?;
    Ok(end)
}

/// Whether what begins with an unsound batch was never synced: no batch in it is complete, or
/// sectors of it were never written.
fn is_torn(path: &Path, start: u64, end: u64) -> Result<bool> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    file.take(end - start).read_to_end(&mut tail)?;
    let has_trailer = tail.windows(TRAILER.len()).any(|bytes| bytes == TRAILER);
    Ok(!has_trailer || has_unwritten_sector(&tail, start))
}

fn has_unwritten_sector(tail: &[u8], start: u64) -> bool {
    // The sector in which the tail begins holds older data, too.
    let begun = start.next_multiple_of(SECTOR_BYTES as u64) - start;
    let begun = usize::try_from(begun).expect("less than a sector");
    let (first, rest) = tail.split_at_checked(begun).unwrap_or((tail, &[]));
    let is_unwritten = |sector: &[u8]| !sector.is_empty() && sector.iter().all(|byte| *byte == 0);
    is_unwritten(first) || rest.chunks(SECTOR_BYTES).any(is_unwritten)
}

struct Walker<R> {
    input: R,
    position: u64,
}

impl<R: Read> Walker<R> {
    /// Reads one batch: a start, as many items as it says, and an end with their checksum.
    fn is_sound_batch(&mut self) -> io::Result<bool> {
        match self.batch() {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
            other => other,
        }
    }

    fn batch(&mut self) -> io::Result<bool> {
        if self.take()? != [START] {
            return Ok(false);
        }
        let items = u32::from_le_bytes(self.take()?);
        let _sequence_number: [u8; 8] = self.take()?;
        let mut hash = Xxh3::new();
        for _ in 0..items {
            let tag = self.take()?;
            hash.update(&tag);
            match tag {
                [ITEM] => self.item(&mut hash)?,
                [CLEAR] => hash.update(&self.take::<8>()?),
                _ => return Ok(false),
            }
        }
        let is_end = self.take()? == [END];
        let checksum = u64::from_le_bytes(self.take()?);
        let trailer: [u8; TRAILER.len()] = self.take()?;
        Ok(is_end && checksum == hash.digest() && trailer == TRAILER)
    }

    /// Reads an item behind its tag: type, compression, space, lengths, key and value.
    fn item(&mut self, hash: &mut Xxh3) -> io::Result<()> {
        let head: [u8; 10] = self.take()?;
        let key_bytes: [u8; 2] = self.take()?;
        let plain_bytes: [u8; 4] = self.take()?;
        let stored_bytes: [u8; 4] = self.take()?;
        for part in [&head[..], &key_bytes, &plain_bytes, &stored_bytes] {
            hash.update(part);
        }
        let mut left =
            u64::from(u16::from_le_bytes(key_bytes)) + u64::from(u32::from_le_bytes(stored_bytes));
        let mut chunk = [0; SECTOR_BYTES];
        while left > 0 {
            let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let (piece, _) = chunk.split_at_mut(length);
            self.input.read_exact(piece)?;
            hash.update(piece);
            self.position += length as u64;
            left -= length as u64;
        }
        Ok(())
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }
}
