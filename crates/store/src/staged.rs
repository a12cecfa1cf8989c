//! Owns writes that are decided and not yet committed, and the view that already shows them.
//!
//! Must not be shown to readers: what is staged can still be lost.

use std::{collections::BTreeMap, iter::Peekable, ops::Bound};

use bytes::Bytes;

use crate::{
    error::Result,
    kv::{Entries, Order, Snapshot, Space, WriteBatch, bounds_are_empty},
};

type Map = BTreeMap<Bytes, Option<Bytes>>;

/// Holds staged writes; a later write to a key takes the place of an earlier one.
#[derive(Debug, Default)]
pub struct Staged {
    maps: [Map; Space::ALL.len()],
    bytes: u64,
}

impl Staged {
    /// Takes the writes of a batch.
    pub fn stage(&mut self, batch: WriteBatch) {
        self.bytes += batch.bytes();
        for op in batch.into_ops() {
            self.map_mut(op.space).insert(op.key, op.value);
        }
    }

    /// The bytes staged, replaced writes included.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether nothing is staged.
    pub fn is_empty(&self) -> bool {
        self.maps.iter().all(BTreeMap::is_empty)
    }

    /// Gives all writes as one batch and forgets them.
    pub fn take(&mut self) -> WriteBatch {
        let mut batch = WriteBatch::new();
        for space in Space::ALL {
            for (key, value) in std::mem::take(self.map_mut(space)) {
                match value {
                    Some(value) => batch.put(space, key, value),
                    None => batch.delete(space, key),
                }
            }
        }
        self.bytes = 0;
        batch
    }

    fn map(&self, space: Space) -> &Map {
        let [meta, base, overlay, activities] = &self.maps;
        match space {
            Space::Meta => meta,
            Space::Base => base,
            Space::Overlay => overlay,
            Space::Activities => activities,
        }
    }

    fn map_mut(&mut self, space: Space) -> &mut Map {
        let [meta, base, overlay, activities] = &mut self.maps;
        match space {
            Space::Meta => meta,
            Space::Base => base,
            Space::Overlay => overlay,
            Space::Activities => activities,
        }
    }
}

/// Shows staged writes over a snapshot.
pub struct StagedSnapshot<'a> {
    snapshot: &'a dyn Snapshot,
    staged: &'a Staged,
}

impl<'a> StagedSnapshot<'a> {
    /// Lays the staged writes over the snapshot.
    pub fn new(snapshot: &'a dyn Snapshot, staged: &'a Staged) -> Self {
        Self { snapshot, staged }
    }
}

impl Snapshot for StagedSnapshot<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        match self.staged.map(space).get(key) {
            Some(value) => Ok(value.clone()),
            None => self.snapshot.get(space, key),
        }
    }

    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_> {
        let stored = self.snapshot.range(space, lower, upper, order);
        let map = self.staged.map(space);
        if map.is_empty() || bounds_are_empty(lower, upper) {
            return stored;
        }
        let staged = map
            .range::<[u8], _>((lower, upper))
            .map(|(k, v)| (k.clone(), v.clone()));
        match order {
            Order::Ascending => Box::new(Merge {
                stored: stored.peekable(),
                staged: staged.peekable(),
                order,
            }),
            Order::Descending => Box::new(Merge {
                stored: stored.peekable(),
                staged: staged.rev().peekable(),
                order,
            }),
        }
    }
}

struct Merge<A: Iterator, B: Iterator> {
    stored: Peekable<A>,
    staged: Peekable<B>,
    order: Order,
}

impl<A, B> Iterator for Merge<A, B>
where
    A: Iterator<Item = Result<(Bytes, Bytes)>>,
    B: Iterator<Item = (Bytes, Option<Bytes>)>,
{
    type Item = Result<(Bytes, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let staged_is_next = match (self.stored.peek(), self.staged.peek()) {
                (_, None) => return self.stored.next(),
                (Some(Err(_)), Some(_)) => return self.stored.next(),
                (None, Some(_)) => true,
                (Some(Ok((stored, _))), Some((staged, _))) => match self.order {
                    Order::Ascending => staged <= stored,
                    Order::Descending => staged >= stored,
                },
            };
            if !staged_is_next {
                return self.stored.next();
            }
            let (key, value) = self.staged.next()?;
            let replaces = |entry: &Result<(Bytes, Bytes)>| {
                entry.as_ref().is_ok_and(|(stored, _)| *stored == key)
            };
            self.stored.next_if(replaces);
            if let Some(value) = value {
                return Some(Ok((key, value)));
            }
        }
    }
}
