//! Owns sorting what is loaded before the engine sees it: records come in any order and go out in
//! that of their keys, with bounded memory.
//!
//! Must not know what a record means. What does not fit into memory lies in a file without a name,
//! which no crash can leave behind.

mod block;
mod merge;
mod run;

use std::{collections::HashMap, fs::File};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use self::{merge::Merge, run::Run};
use crate::error::Result;

/// How much is kept in memory, in bytes of keys and values; one record more at most.
const BUFFER_BYTES: usize = 64 << 20;

/// A record in the order of its key.
pub(crate) type Record = (Bytes, Bytes);

/// Where a record stands in the buffer.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    key_bytes: u32,
    value_bytes: u32,
}

/// Sorts records by their keys. Of several under one key the last added stays.
pub(crate) struct Sorter {
    buffer: Vec<u8>,
    buffer_bytes_max: usize,
    places: Vec<Place>,
    /// The last place of each key's hash, for the first `indexed` places.
    index: HashMap<u64, usize>,
    indexed: usize,
    /// In the order in which they were filled: a later one is newer.
    runs: Vec<Run>,
    file: Option<File>,
    file_bytes: u64,
}

impl Sorter {
    pub(crate) fn new() -> Self {
        Self::with_buffer(BUFFER_BYTES)
    }

    fn with_buffer(buffer_bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            buffer_bytes_max,
            places: Vec::new(),
            index: HashMap::new(),
            indexed: 0,
            runs: Vec::new(),
            file: None,
            file_bytes: 0,
        }
    }

    /// Whether nothing was added since the last [`Sorter::take`].
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.runs.is_empty()
    }

    /// Whether the next record has to wait for [`Sorter::spill`].
    pub(crate) fn is_full(&self) -> bool {
        self.buffer.len() >= self.buffer_bytes_max
    }

    /// Adds a record.
    pub(crate) fn add(&mut self, key: &[u8], value: &[u8]) {
        let bytes = |part: &[u8]| u32::try_from(part.len()).unwrap_or(u32::MAX);
        let place = Place {
            start: self.buffer.len(),
            key_bytes: bytes(key),
            value_bytes: bytes(value),
        };
        if self.buffer.len() > self.buffer_bytes_max / 8 {
            // Doubling would take twice of what is needed in the end.
            let room = self.buffer_bytes_max.saturating_sub(self.buffer.len());
            self.buffer.reserve_exact(room.max(key.len() + value.len()));
        }
        self.buffer.extend_from_slice(key);
        self.buffer.extend_from_slice(value);
        self.places.push(place);
    }

    /// Moves what is in memory into the file; `file` makes it where there is none.
    pub(crate) fn spill(&mut self, file: impl FnOnce() -> Result<File>) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let to = match self.file.take() {
            Some(file) => file,
            None => file()?,
        };
        self.sort();
        let records = self.places.iter().map(|place| place.of(&self.buffer));
        let run = Run::write(&to, self.file_bytes, self.places.len(), records);
        self.file = Some(to);
        let run = run?;
        self.file_bytes = run.end();
        self.runs.push(run);
        self.clear_buffer();
        Ok(())
    }

    /// The value that was last added under a key.
    pub(crate) fn get(&mut self, key: &[u8]) -> Result<Option<Bytes>> {
        if let Some(value) = self.get_buffered(key) {
            return Ok(Some(Bytes::copy_from_slice(value)));
        }
        let Some(file) = &self.file else {
            return Ok(None);
        };
        let hash = xxh3_64(key);
        for run in self.runs.iter().rev().filter(|run| run.may_hold(hash)) {
            if let Some(value) = run.get(file, key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Gives everything in the order of the keys, each key once. The sorter is empty then.
    pub(crate) fn take(&mut self) -> Sorted {
        self.sort();
        let buffer = Bytes::from(std::mem::take(&mut self.buffer));
        let places = std::mem::take(&mut self.places);
        self.clear_buffer();
        let runs = std::mem::take(&mut self.runs);
        self.file_bytes = 0;
        Sorted(Merge::new(self.file.take(), runs, buffer, places))
    }

    fn get_buffered(&mut self, key: &[u8]) -> Option<&[u8]> {
        for (at, place) in self.places.iter().enumerate().skip(self.indexed) {
            self.index.insert(xxh3_64(place.key(&self.buffer)), at);
        }
        self.indexed = self.places.len();
        let at = *self.index.get(&xxh3_64(key))?;
        let place = self.places.get(at)?;
        let place = if place.key(&self.buffer) == key {
            place
        } else {
            // Two keys of one hash, which nearly never are: the index knows only the later one.
            let mut all = self.places.iter().rev();
            all.find(|place| place.key(&self.buffer) == key)?
        };
        Some(place.of(&self.buffer).1)
    }

    /// Sorts the places by key, of one key the oldest first.
    fn sort(&mut self) {
        let buffer = &self.buffer;
        let Some(first) = self.places.first().map(|place| place.key(buffer)) else {
            return;
        };
        let shared = self.places.iter().map(|place| {
            let key = place.key(buffer);
            let both = key.iter().zip(first);
            both.take_while(|(one, other)| one == other).count()
        });
        let shared = shared.min().unwrap_or(0);
        // What follows the part that all keys share decides nearly always, without a look into the
        // buffer.
        let mut keyed: Vec<(u64, Place)> = self
            .places
            .iter()
            .map(|place| (head(place.key(buffer), shared), *place))
            .collect();
        keyed.sort_unstable_by(|(head, one), (other_head, other)| {
            let heads = head.cmp(other_head);
            let keys = heads.then_with(|| one.key(buffer).cmp(other.key(buffer)));
            keys.then_with(|| one.start.cmp(&other.start))
        });
        self.places.clear();
        self.places
            .extend(keyed.into_iter().map(|(_, place)| place));
        self.index.clear();
        self.indexed = 0;
    }

    fn clear_buffer(&mut self) {
        self.buffer.clear();
        self.places.clear();
        self.index.clear();
        self.indexed = 0;
    }
}

/// The eight bytes behind the first `shared` ones, as a number that sorts as they do.
fn head(key: &[u8], shared: usize) -> u64 {
    let mut head = [0; 8];
    let rest = key.get(shared..).unwrap_or_default();
    for (to, from) in head.iter_mut().zip(rest) {
        *to = *from;
    }
    u64::from_be_bytes(head)
}

impl Place {
    fn key(self, buffer: &[u8]) -> &[u8] {
        self.of(buffer).0
    }

    fn of(self, buffer: &[u8]) -> (&[u8], &[u8]) {
        let key_end = self.start + self.key_bytes as usize;
        let end = key_end + self.value_bytes as usize;
        let both = (buffer.get(self.start..key_end), buffer.get(key_end..end));
        (both.0.unwrap_or_default(), both.1.unwrap_or_default())
    }
}

/// Everything that a sorter was given, in the order of the keys.
pub(crate) struct Sorted(Merge);

impl Iterator for Sorted {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().transpose()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn spill(sorter: &mut Sorter) {
        sorter.spill(|| Ok(tempfile::tempfile()?)).unwrap();
    }

    fn drained(sorter: &mut Sorter) -> Vec<(Vec<u8>, Vec<u8>)> {
        let all = sorter.take().map(|record| {
            let (key, value) = record.unwrap();
            (key.to_vec(), value.to_vec())
        });
        all.collect()
    }

    proptest! {
        #[test]
        fn it_is_a_map_however_often_it_spills(
            records in prop::collection::vec((prop::collection::vec(0_u8..4, 0..6), 0_u16..300), 0..200),
            buffer in 1_usize..400,
        ) {
            let mut sorter = Sorter::with_buffer(buffer);
            let mut model = BTreeMap::new();
            for (key, number) in records {
                // Keys of one table share their beginning; now and then one of another is met.
                let key = [&b"table"[usize::from(number % 7 == 0)..], &key].concat();
                let value = vec![number.to_le_bytes()[0]; usize::from(number)];
                prop_assert_eq!(sorter.get(&key).unwrap().map(|v| v.to_vec()), model.get(&key).cloned());
                if sorter.is_full() {
                    spill(&mut sorter);
                }
                sorter.add(&key, &value);
                model.insert(key, value);
            }
            for (key, value) in &model {
                let found = sorter.get(key).unwrap();
                prop_assert_eq!(found.as_deref(), Some(value.as_slice()));
            }
            prop_assert_eq!(sorter.is_empty(), model.is_empty());
            let expected: Vec<_> = model.into_iter().collect();
            prop_assert_eq!(drained(&mut sorter), expected);
            prop_assert!(sorter.is_empty());
        }
    }

    #[test]
    fn records_larger_than_a_block_and_than_the_buffer_come_back() {
        let mut sorter = Sorter::with_buffer(1 << 10);
        let value = |byte: u8| vec![byte; 200 << 10];
        for byte in [3, 1, 2] {
            sorter.add(&[byte], &value(byte));
            spill(&mut sorter);
        }
        assert_eq!(sorter.get(&[2]).unwrap().unwrap(), value(2));
        let all = drained(&mut sorter);
        assert_eq!(all, [1, 2, 3].map(|byte| (vec![byte], value(byte))));
    }

    #[test]
    fn it_can_be_used_again_after_it_was_emptied() {
        let mut sorter = Sorter::with_buffer(8);
        sorter.add(b"a", b"1");
        spill(&mut sorter);
        assert_eq!(drained(&mut sorter).len(), 1);
        sorter.add(b"b", b"2");
        spill(&mut sorter);
        assert_eq!(sorter.get(b"a").unwrap(), None);
        assert_eq!(drained(&mut sorter), [(b"b".to_vec(), b"2".to_vec())]);
    }
}
