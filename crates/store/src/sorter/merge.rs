//! Owns bringing sorted runs together into one order.
//!
//! Must not hold more than one block of each run.

use std::{cmp::Reverse, collections::BinaryHeap, fs::File};

use bytes::Bytes;

use super::{Place, Record, block::Block, run::Run};
use crate::error::Result;

/// Gives the records of all runs and of the buffer in the order of their keys, each key once.
pub(super) struct Merge {
    file: Option<File>,
    cursors: Vec<Cursor>,
    /// The smallest key of each, the newest first where they are the same.
    heads: BinaryHeap<Reverse<Head>>,
    is_begun: bool,
}

struct Head {
    key: Bytes,
    /// Sorts newer ones first.
    age: Reverse<usize>,
    value: Bytes,
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let keys = self.key.cmp(&other.key);
        keys.then_with(|| self.age.cmp(&other.age))
    }
}

/// How far one source of records was read.
enum Cursor {
    Run {
        run: Run,
        next_block: usize,
        block: Option<Block>,
    },
    Buffer {
        buffer: Bytes,
        places: std::vec::IntoIter<Place>,
    },
}

impl Cursor {
    fn next(&mut self, file: Option<&File>) -> Result<Option<Record>> {
        match self {
            Self::Run {
                run,
                next_block,
                block,
            } => loop {
                if let Some(open) = block {
                    if let Some(record) = open.next()? {
                        return Ok(Some(record));
                    }
                    *block = None;
                }
                let Some(file) = file else {
                    return Ok(None);
                };
                *block = run.block(file, *next_block)?;
                *next_block += 1;
                if block.is_none() {
                    return Ok(None);
                }
            },
            Self::Buffer { buffer, places } => Ok(places.next().map(|place| {
                let key_end = place.start + place.key_bytes as usize;
                let end = key_end + place.value_bytes as usize;
                (
                    buffer.slice(place.start..key_end),
                    buffer.slice(key_end..end),
                )
            })),
        }
    }
}

impl Merge {
    pub(super) fn new(
        file: Option<File>,
        runs: Vec<Run>,
        buffer: Bytes,
        places: Vec<Place>,
    ) -> Self {
        let of_run = |run| Cursor::Run {
            run,
            next_block: 0,
            block: None,
        };
        let places = places.into_iter();
        let mut cursors: Vec<Cursor> = runs.into_iter().map(of_run).collect();
        cursors.push(Cursor::Buffer { buffer, places });
        Self {
            file,
            cursors,
            heads: BinaryHeap::new(),
            is_begun: false,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        if !self.is_begun {
            self.is_begun = true;
            for at in 0..self.cursors.len() {
                self.advance(at)?;
            }
        }
        let Some(Reverse(newest)) = self.heads.pop() else {
            return Ok(None);
        };
        let mut found = (newest.key, newest.value);
        let Reverse(newest_at) = newest.age;
        self.advance(newest_at)?;
        while let Some(Reverse(head)) = self.heads.peek() {
            if head.key != found.0 {
                break;
            }
            let Reverse(at) = head.age;
            if let Some(Reverse(again)) = self.heads.pop()
                && at == newest_at
            {
                // Within one run the later one is the newer.
                found.1 = again.value;
            }
            self.advance(at)?;
        }
        Ok(Some(found))
    }

    fn advance(&mut self, at: usize) -> Result<()> {
        let Some(cursor) = self.cursors.get_mut(at) else {
            return Ok(());
        };
        if let Some((key, value)) = cursor.next(self.file.as_ref())? {
            self.heads.push(Reverse(Head {
                key,
                age: Reverse(at),
                value,
            }));
        }
        Ok(())
    }
}
