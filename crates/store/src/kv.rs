//! Owns the contract of a key-value store: spaces, batches, snapshots, health.
//!
//! Must not know about tenants, profiles or key layouts, nor about any implementation.

use std::{fs::File, ops::Bound};

use bytes::Bytes;

use crate::error::{Error, Result};

/// Longest key in bytes.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// The fixed set of key spaces; a tenant is a range of keys within each, never a space of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Space {
    /// Instances, schemas, positions, counters.
    Meta,
    /// Generations of loaded base data.
    Base,
    /// Live fields over the base data.
    Overlay,
    /// Appended activities.
    Activities,
}

impl Space {
    /// Every space, in the order of their declaration.
    pub const ALL: [Self; 4] = [Self::Meta, Self::Base, Self::Overlay, Self::Activities];

    /// Returns the name under which the space is stored.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Base => "base",
            Self::Overlay => "overlay",
            Self::Activities => "activities",
        }
    }
}

/// One write of a batch; no value means a delete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    /// Where to write.
    pub space: Space,
    /// The key.
    pub key: Bytes,
    /// The new value, or nothing to delete the key.
    pub value: Option<Bytes>,
}

/// Writes that become visible and durable together, in order: the last write to a key wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteBatch {
    ops: Vec<Op>,
    bytes: u64,
}

impl WriteBatch {
    /// Creates an empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a put.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.push(Op {
            space,
            key: key.into(),
            value: Some(value.into()),
        });
    }

    /// Appends a delete.
    pub fn delete(&mut self, space: Space, key: impl Into<Bytes>) {
        self.push(Op {
            space,
            key: key.into(),
            value: None,
        });
    }

    /// Appends all writes of another batch after this one's.
    pub fn append(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.ops.extend(other.ops);
    }

    /// Returns the writes in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Returns the sum of the lengths of keys and values.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the number of writes.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Tells whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    fn push(&mut self, op: Op) {
        self.bytes += (op.key.len() + op.value.as_ref().map_or(0, Bytes::len)) as u64;
        self.ops.push(op);
    }

    /// Refuses what an implementation could not store, before anything of it is stored.
    pub(crate) fn check(&self, bytes_max: u64) -> Result<()> {
        if self.bytes > bytes_max {
            return Err(Error::BatchTooLarge {
                bytes: self.bytes,
                bytes_max,
            });
        }
        match self
            .ops
            .iter()
            .map(|op| op.key.len())
            .find(|n| !(1..=KEY_BYTES_MAX).contains(n))
        {
            Some(length) => Err(Error::InvalidKey { length }),
            None => Ok(()),
        }
    }

    /// Returns the writes, consuming the batch.
    pub(crate) fn into_ops(self) -> Vec<Op> {
        self.ops
    }
}

/// Direction of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest key first.
    Ascending,
    /// Largest key first.
    Descending,
}

/// Counts the openings of a store's files, to tell whether unsynced writes can have been lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(pub(crate) u64);

/// What a store is able to do at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes.
    Ok,
    /// Reads; writes are refused until there is space again.
    DiskFull {
        /// Bytes free for the store's directory.
        free_bytes: u64,
    },
    /// Reads; writes are refused until the store has re-opened itself.
    Poisoned,
    /// Neither, for a moment.
    Reopening,
    /// Neither, for good.
    Closed,
}

/// How far a step of [`Kv::delete_range_step`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Records deleted by this step.
    pub deleted: usize,
    /// Whether the range was empty after it.
    pub done: bool,
}

/// Entries of a scan, in its order.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<(Bytes, Bytes)>> + Send + 'a>;

/// Records on their way into a store, in ascending order of their keys.
pub type Records<'a> = dyn Iterator<Item = Result<(Bytes, Bytes)>> + 'a;

/// Ingested records are written in batches of this size where a store knows no shorter way.
const INGEST_BATCH_BYTES: u64 = 128 << 10;

/// A consistent view over all spaces; hold it briefly, for it keeps old versions alive and delays
/// a re-opening.
pub trait Snapshot: Send + Sync {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// Fails when the disk cannot be read or its data is corrupt.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>>;

    /// Scans the keys within the bounds; inverted bounds contain nothing.
    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_>;

    /// Scans the keys that begin with the prefix; every key begins with the empty one.
    fn prefix(&self, space: Space, prefix: &[u8], order: Order) -> Entries<'_> {
        let end = prefix_end(prefix);
        let upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.range(space, Bound::Included(prefix), upper, order)
    }
}

impl<S: Snapshot + ?Sized> Snapshot for &S {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        (**self).get(space, key)
    }

    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_> {
        (**self).range(space, lower, upper, order)
    }
}

impl<S: Snapshot + ?Sized> Snapshot for Box<S> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        (**self).get(space, key)
    }

    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_> {
        (**self).range(space, lower, upper, order)
    }
}

/// A store of ordered keys whose commits are durable before they are visible.
pub trait Kv: Send + Sync + 'static {
    /// Writes a batch: wholly or not at all, synced first, visible then.
    ///
    /// # Errors
    /// Nothing is stored, unless [`Error::outcome_is_unknown`].
    fn commit(&self, batch: WriteBatch) -> Result<()>;

    /// Writes a batch without syncing it: visible at once, durable after [`Kv::sync`] or any later
    /// commit. Meant for data that nothing refers to yet.
    ///
    /// # Errors
    /// As for [`Kv::commit`].
    fn load(&self, batch: WriteBatch) -> Result<Epoch>;

    /// Takes records of keys that nothing was written to yet, in ascending order, each key once.
    /// They are visible and durable when it returns, all of them or, where it fails, some.
    ///
    /// # Errors
    /// As for [`Kv::commit`], and those that `records` give.
    fn ingest(&self, space: Space, records: &mut Records<'_>) -> Result<()> {
        let (mut batch, mut since) = (WriteBatch::new(), None);
        loop {
            let record = records.next().transpose()?;
            let is_last = record.is_none();
            if let Some((key, value)) = record {
                batch.put(space, key, value);
            }
            if !batch.is_empty() && (is_last || batch.bytes() >= INGEST_BATCH_BYTES) {
                let epoch = self.load(std::mem::take(&mut batch))?;
                since.get_or_insert(epoch);
            }
            if is_last {
                return since.map_or(Ok(()), |since| self.sync(since));
            }
        }
    }

    /// Gives an empty file without a name, for what need not outlive the process.
    ///
    /// # Errors
    /// Whatever keeps it from being made.
    fn scratch(&self) -> Result<File> {
        Ok(tempfile::tempfile()?)
    }

    /// Makes every load since the epoch durable; give it the epoch of the *first* load.
    ///
    /// # Errors
    /// [`Error::LoadInterrupted`] when loads may be lost.
    fn sync(&self, since: Epoch) -> Result<()>;

    /// Takes a consistent view over all spaces.
    ///
    /// # Errors
    /// [`Error::Reopening`] or [`Error::Closed`].
    fn snapshot(&self) -> Result<Box<dyn Snapshot>>;

    /// Deletes up to `budget_records` of the keys in `lower..upper`, unsynced; works a little below
    /// the free-space mark too, because sweeping is what brings space back. Nothing may write into
    /// the range any more.
    ///
    /// # Errors
    /// As for [`Kv::commit`]; a step can be repeated.
    fn delete_range_step(
        &self,
        space: Space,
        lower: &[u8],
        upper: &[u8],
        budget_records: usize,
    ) -> Result<Progress>;

    /// Tells what the store is able to do.
    fn health(&self) -> Health;

    /// Looks after the store: the owner calls it about once a second. It measures free space and
    /// re-opens a poisoned store when the disk takes writes again.
    fn maintain(&self) -> Health;
}

/// Collects the deletes of one step over a dead range.
pub(crate) fn plan_deletes(
    snapshot: &dyn Snapshot,
    space: Space,
    lower: &[u8],
    upper: &[u8],
    budget_records: usize,
) -> Result<(WriteBatch, Progress)> {
    let mut batch = WriteBatch::new();
    let bounds = (Bound::Included(lower), Bound::Excluded(upper));
    let mut entries = snapshot.range(space, bounds.0, bounds.1, Order::Ascending);
    for entry in entries.by_ref().take(budget_records) {
        batch.delete(space, entry?.0);
    }
    let done = entries.next().transpose()?.is_none();
    let deleted = batch.len();
    Ok((batch, Progress { deleted, done }))
}

/// Tells whether no key can lie within the bounds.
pub(crate) fn bounds_are_empty(lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> bool {
    match (lower, upper) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high))
        | (Bound::Excluded(low), Bound::Included(high)) => low >= high,
    }
}

/// Returns the smallest key above every key with the prefix, or nothing if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}
