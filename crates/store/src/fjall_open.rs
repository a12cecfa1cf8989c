//! Owns one opening of the engine's files and the snapshots over it.
//!
//! Must not decide whether a write is allowed, nor when to re-open.

use std::{ops::Bound, panic::AssertUnwindSafe, path::Path, sync::Arc};

use bytes::Bytes;
use fjall::{
    AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable,
    compaction::{Leveled, filter::Factory},
};

use crate::{
    config::Config,
    error::{Error, Result},
    gate::Lease,
    kv::{Entries, Order, Records, Snapshot, Space, WriteBatch, bounds_are_empty},
    reclaim::{FilterFactory, Reclaim},
};

/// The engine, open.
pub(crate) struct Open {
    pub(crate) db: Database,
    meta: Keyspace,
    base: Keyspace,
    overlay: Keyspace,
    activities: Keyspace,
}

impl Open {
    pub(crate) fn new(
        directory: &Path,
        config: &Config,
        reclaim: Option<&Arc<dyn Reclaim>>,
    ) -> Result<Self> {
        let mut builder = Database::builder(directory)
            .cache_size(config.cache_bytes)
            .worker_threads(config.worker_threads)
            .max_journaling_size(config.journal_bytes_max);
        if let Some(reclaim) = reclaim {
            let reclaim = Arc::clone(reclaim);
            builder = builder.with_compaction_filter_factories(Arc::new(move |name: &str| {
                let space = Space::ALL.into_iter().find(|space| space.name() == name)?;
                let reclaim = AssertUnwindSafe(Arc::clone(&reclaim));
                Some(Arc::new(FilterFactory { space, reclaim }) as Arc<dyn Factory>)
            }));
        }
        let db = builder.open().map_err(Error::from_read)?;
        let keyspace = |space: Space| {
            db.keyspace(space.name(), || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(config.memtable_bytes)
                    .compaction_strategy(Arc::new(
                        Leveled::default().with_table_target_size(config.table_bytes),
                    ))
            })
            .map_err(Error::from_read)
        };
        let (meta, base) = (keyspace(Space::Meta)?, keyspace(Space::Base)?);
        let (overlay, activities) = (keyspace(Space::Overlay)?, keyspace(Space::Activities)?);
        Ok(Self {
            db,
            meta,
            base,
            overlay,
            activities,
        })
    }

    /// Writes sorted records straight into tables of the engine, past its journal, synced.
    ///
    /// Where `records` fail, those before are taken all the same: half-written tables would stay
    /// until the next opening.
    ///
    /// The engine's own wrapper holds the journal's lock while the last table is synced, for writers
    /// of the same keys; there are none here.
    pub(crate) fn ingest(
        &self,
        space: Space,
        records: &mut Records<'_>,
    ) -> fjall::Result<Result<()>> {
        let mut ingestion = self.space(space).tree.ingestion()?;
        let mut taken = Ok(());
        for record in records {
            match record {
                Ok((key, value)) => ingestion.write(key, value)?,
                Err(error) => {
                    taken = Err(error);
                    break;
                }
            }
        }
        ingestion.finish()?;
        Ok(taken)
    }

    /// Does the next compaction of a space, where there is one that nobody does.
    pub(crate) fn compact_next(&self, space: Space) -> Result<()> {
        let keyspace = self.space(space);
        let strategy = Arc::clone(&keyspace.config.compaction_strategy);
        // Older versions stay, whoever may still read them; the engine's own compactions drop them.
        let done = keyspace.tree.compact(strategy, 0);
        done.map_err(|error| Error::from_write(&error.into()))
    }

    pub(crate) fn space(&self, space: Space) -> &Keyspace {
        match space {
            Space::Meta => &self.meta,
            Space::Base => &self.base,
            Space::Overlay => &self.overlay,
            Space::Activities => &self.activities,
        }
    }

    /// Writes to the journal, syncs as told, then makes the batch visible at once.
    pub(crate) fn write(&self, batch: WriteBatch, mode: PersistMode) -> fjall::Result<()> {
        let mut writes = self.db.batch().durability(Some(mode));
        for op in batch.into_ops() {
            match op.value {
                Some(value) => writes.insert(self.space(op.space), op.key, value),
                None => writes.remove(self.space(op.space), op.key),
            }
        }
        writes.commit()
    }
}

/// A view over all spaces of one opening.
pub(crate) struct FjallSnapshot {
    // Dropped before the lease, which promises that nothing of the opening is in use after it.
    snapshot: fjall::Snapshot,
    lease: Lease<Open>,
}

impl FjallSnapshot {
    pub(crate) fn new(lease: Lease<Open>) -> Self {
        Self {
            snapshot: lease.get().db.snapshot(),
            lease,
        }
    }
}

impl Snapshot for FjallSnapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        let value = self.snapshot.get(self.lease.get().space(space), key);
        Ok(value.map_err(Error::from_read)?.map(Bytes::from))
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
        let read = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner().map_err(Error::from_read)?;
            Ok((Bytes::from(key), Bytes::from(value)))
        };
        let bounds = (lower, upper);
        let entries = self
            .snapshot
            .range::<&[u8], _>(self.lease.get().space(space), bounds);
        match order {
            Order::Ascending => Box::new(entries.map(read)),
            Order::Descending => Box::new(entries.rev().map(read)),
        }
    }
}
