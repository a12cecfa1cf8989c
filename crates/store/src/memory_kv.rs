//! Owns the in-memory implementation: the contract's reference, for tests and simulations.
//!
//! Must not be used where anything has to survive the process.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use bytes::Bytes;
use parking_lot::RwLock;

use crate::{
    config::Config,
    error::Result,
    kv::{
        Entries, Epoch, Health, Kv, Order, Progress, Snapshot, Space, WriteBatch, bounds_are_empty,
        plan_deletes,
    },
};

type Map = BTreeMap<Bytes, Bytes>;

#[derive(Clone, Default)]
struct Maps {
    meta: Arc<Map>,
    base: Arc<Map>,
    overlay: Arc<Map>,
    activities: Arc<Map>,
}

impl Maps {
    fn get(&self, space: Space) -> &Map {
        match space {
            Space::Meta => &self.meta,
            Space::Base => &self.base,
            Space::Overlay => &self.overlay,
            Space::Activities => &self.activities,
        }
    }

    fn get_mut(&mut self, space: Space) -> &mut Map {
        // A map is copied only while a snapshot holds it.
        Arc::make_mut(match space {
            Space::Meta => &mut self.meta,
            Space::Base => &mut self.base,
            Space::Overlay => &mut self.overlay,
            Space::Activities => &mut self.activities,
        })
    }
}

/// A store without a disk.
#[derive(Default)]
pub struct MemoryKv {
    maps: RwLock<Maps>,
}

impl MemoryKv {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Kv for MemoryKv {
    fn commit(&self, batch: WriteBatch) -> Result<()> {
        batch.check(Config::default().batch_bytes_max)?;
        let mut maps = self.maps.write();
        for op in batch.into_ops() {
            let map = maps.get_mut(op.space);
            match op.value {
                Some(value) => map.insert(op.key, value),
                None => map.remove(&op.key),
            };
        }
        Ok(())
    }

    fn load(&self, batch: WriteBatch) -> Result<Epoch> {
        self.commit(batch).map(|()| Epoch(0))
    }

    fn sync(&self, _since: Epoch) -> Result<()> {
        Ok(())
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(MemorySnapshot(self.maps.read().clone())))
    }

    fn delete_range_step(
        &self,
        space: Space,
        lower: &[u8],
        upper: &[u8],
        budget_records: usize,
    ) -> Result<Progress> {
        let snapshot = self.snapshot()?;
        let (batch, progress) = plan_deletes(&*snapshot, space, lower, upper, budget_records)?;
        // Let go first, or the commit would copy the map for this snapshot's sake.
        drop(snapshot);
        self.commit(batch)?;
        Ok(progress)
    }

    fn health(&self) -> Health {
        Health::Ok
    }

    fn maintain(&self) -> Health {
        Health::Ok
    }
}

struct MemorySnapshot(Maps);

impl Snapshot for MemorySnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        Ok(self.0.get(space).get(key).cloned())
    }

    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_> {
        if bounds_are_empty(lower, upper) {
            return Box::new(std::iter::empty());
        }
        let entries = self
            .0
            .get(space)
            .range::<[u8], _>((lower, upper))
            .map(|(key, value)| Ok((key.clone(), value.clone())));
        match order {
            Order::Ascending => Box::new(entries),
            Order::Descending => Box::new(entries.rev()),
        }
    }
}
