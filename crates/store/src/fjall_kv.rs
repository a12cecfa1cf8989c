//! Owns the durable implementation: the engine's files, their poisoning and re-opening, the
//! free-space mark.
//!
//! Must not start timers, nor threads but for a push: its owner calls `maintain`.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use fjall::{AbstractTree, Keyspace, PersistMode};
use parking_lot::{Condvar, Mutex};

use crate::{
    config::Config,
    error::{Error, Result},
    files,
    fjall_open::{FjallSnapshot, Open},
    gate::{Gate, Handle, Lease},
    kv::{Epoch, Health, Kv, Progress, Records, Snapshot, Space, WriteBatch, plan_deletes},
    push::Push,
    reclaim::Reclaim,
};

/// Writes between two measurements of free space.
const MEASURE_EVERY_BYTES: u64 = 4 << 20;
/// The engine waits without end at 4 sealed memtables or 30 runs, even for a worker that is gone;
/// waiting before that keeps a write from hanging in there.
const SEALED_MEMTABLES_MAX: usize = 2;
const RUNS_MAX: usize = 26;
/// A load can wait, and must leave the engine the time to keep up: it slows writers down at 20 runs.
const ROOM_OF_LOADS: Room = Room {
    sealed_memtables_max: 1,
    runs_max: 14,
    patience: Duration::from_secs(60),
};
/// Records are ingested in parts of about this size: readers of the space wait while one is made
/// known, and the store can't be re-opened or closed while one is written.
const INGEST_BYTES: u64 = 128 << 20;
const STALL_CHECK: Duration = Duration::from_millis(2);
/// Checks between two pushes.
const CHECKS_PER_PUSH: u32 = 25;

/// A store in a directory.
pub struct FjallKv {
    directory: PathBuf,
    config: Config,
    reclaim: Option<Arc<dyn Reclaim>>,
    gate: Arc<Gate<Open>>,
    poisoned: AtomicBool,
    epoch: AtomicU64,
    free_bytes: AtomicU64,
    written_since_measured: AtomicU64,
    stall: (Mutex<()>, Condvar),
    push: Push,
    reopening: Mutex<()>,
    _lock: File,
}

impl FjallKv {
    /// Opens the store in a directory, creating it if need be.
    ///
    /// # Errors
    /// [`Error::Locked`] if another process has it open, [`Error::Corrupt`] if it cannot be read
    /// back, [`Error::InvalidConfig`], [`Error::Io`].
    pub fn open(
        directory: impl AsRef<Path>,
        config: Config,
        reclaim: Option<Arc<dyn Reclaim>>,
    ) -> Result<Self> {
        config.validate()?;
        let directory = directory.as_ref().to_path_buf();
        let lock = files::lock(&directory)?;
        let engine = engine_directory(&directory);
        files::rewrite_journals_if_any(&engine)?;
        let open = Open::new(&engine, &config, reclaim.as_ref())?;
        let free_bytes = AtomicU64::new(files::free_bytes(&directory)?);
        Ok(Self {
            directory,
            config,
            reclaim,
            gate: Gate::new(open),
            poisoned: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
            free_bytes,
            written_since_measured: AtomicU64::new(0),
            stall: (Mutex::new(()), Condvar::new()),
            push: Push::default(),
            reopening: Mutex::new(()),
            _lock: lock,
        })
    }

    /// Syncs and closes the store once its readers have left; it answers `Closed` from then on.
    ///
    /// # Errors
    /// [`Error::Busy`] if a reader does not leave in time, and the store stays open; a failed sync.
    pub fn close(&self) -> Result<()> {
        let _one_at_a_time = self.reopening.lock();
        self.gate.check()?;
        let Some(open) = self.gate.take(Handle::Closed, self.config.drain_wait_max) else {
            return self.gate.check().and(Err(Error::Busy));
        };
        open.db
            .persist(PersistMode::SyncAll)
            .map_err(|error| Error::from_write(&error))
    }

    /// Flushes a space and merges all of its tables, asking the reclamation hook about each record.
    ///
    /// # Errors
    /// [`Error::Poisoned`] and others, when the engine fails.
    pub fn compact(&self, space: Space) -> Result<()> {
        let lease = self.enter_healthy()?;
        let keyspace = lease.get().space(space);
        keyspace
            .rotate_memtable_and_wait()
            .and_then(|()| keyspace.major_compact())
            .map_err(Error::from_read)
    }

    /// Re-opens the store if its disk takes writes: reads go on with the old handle until then.
    ///
    /// # Errors
    /// Whatever keeps it from re-opening; the old handle stays in place, or it is tried again.
    pub fn reopen(&self) -> Result<()> {
        let _one_at_a_time = self.reopening.lock();
        let engine = engine_directory(&self.directory);
        match self.gate.check() {
            Ok(()) => {
                files::probe(&self.directory, &engine)?;
                let taken = self
                    .gate
                    .take(Handle::Reopening, self.config.drain_wait_max);
                drop(taken.ok_or(Error::Busy)?);
            }
            Err(Error::Reopening) => {}
            Err(other) => return Err(other),
        }
        files::rewrite_journals_if_any(&engine)?;
        let open = Open::new(&engine, &self.config, self.reclaim.as_ref())?;
        // In this order: who enters must not meet the old epoch or the old poisoning.
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.poisoned.store(false, Ordering::SeqCst);
        self.gate.put(open);
        tracing::info!("store was re-opened");
        Ok(())
    }

    fn enter_healthy(&self) -> Result<Lease<Open>> {
        let lease = self.gate.enter()?;
        if self.poisoned.load(Ordering::SeqCst) {
            return Err(Error::Poisoned);
        }
        Ok(lease)
    }

    fn write(
        &self,
        batch: WriteBatch,
        mode: PersistMode,
        mark_bytes: u64,
        room: &Room,
    ) -> Result<Epoch> {
        batch.check(self.config.batch_bytes_max)?;
        let lease = self.enter_with_room(&batch, room)?;
        let epoch = Epoch(self.epoch.load(Ordering::SeqCst));
        if batch.is_empty() {
            return Ok(epoch);
        }
        self.check_space(batch.bytes(), mark_bytes)?;
        lease
            .get()
            .write(batch, mode)
            .map_err(|error| self.poison(&error))?;
        Ok(epoch)
    }

    fn room_of_commits(&self) -> Room {
        Room {
            sealed_memtables_max: SEALED_MEMTABLES_MAX,
            runs_max: RUNS_MAX,
            patience: self.config.stall_wait_max,
        }
    }

    fn poison(&self, error: &fjall::Error) -> Error {
        if !self.poisoned.swap(true, Ordering::SeqCst) {
            tracing::error!(%error, "store is poisoned by a failed write");
        }
        Error::from_write(error)
    }

    fn check_space(&self, batch_bytes: u64, needed_bytes: u64) -> Result<()> {
        let written = self
            .written_since_measured
            .fetch_add(batch_bytes, Ordering::Relaxed);
        let mut free_bytes = self.free_bytes.load(Ordering::Relaxed);
        if free_bytes < needed_bytes || written.saturating_add(batch_bytes) > MEASURE_EVERY_BYTES {
            free_bytes = self.measure()?;
        }
        if free_bytes < needed_bytes {
            return Err(Error::DiskFull {
                free_bytes,
                needed_bytes,
            });
        }
        Ok(())
    }

    fn measure(&self) -> Result<u64> {
        let free_bytes = files::free_bytes(&self.directory)?;
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
        self.written_since_measured.store(0, Ordering::Relaxed);
        Ok(free_bytes)
    }

    /// Waits until flushes and compactions of the spaces that a batch writes to keep up: a load of
    /// one space must not hold up the writers of another. No lease is held while it waits, for the
    /// engine may have to be re-opened to go on.
    fn enter_with_room(&self, batch: &WriteBatch, room: &Room) -> Result<Lease<Open>> {
        let written = |space: &Space| batch.ops().iter().any(|op| op.space == *space);
        let spaces: Vec<Space> = Space::ALL.into_iter().filter(written).collect();
        let mut waited = Duration::ZERO;
        let mut checks = 0;
        loop {
            let lease = self.enter_healthy()?;
            let lags = |space: &&Space| !room.is_in(lease.get().space(**space));
            let Some(space) = spaces.iter().find(lags) else {
                return Ok(lease);
            };
            drop(lease);
            if waited >= room.patience {
                return Err(Error::Busy);
            }
            if checks % CHECKS_PER_PUSH == 0 {
                self.push.give(&self.gate, *space);
            }
            checks += 1;
            let mut guard = self.stall.0.lock();
            self.stall.1.wait_for(&mut guard, STALL_CHECK);
            waited += STALL_CHECK;
        }
    }
}

/// How far flushes and compactions of a space may lag behind.
struct Room {
    sealed_memtables_max: usize,
    runs_max: usize,
    /// How long is waited for it.
    patience: Duration,
}

impl Room {
    fn is_in(&self, keyspace: &Keyspace) -> bool {
        keyspace.tree.sealed_memtable_count() <= self.sealed_memtables_max
            && keyspace.tree.l0_run_count() <= self.runs_max
    }
}

impl Kv for FjallKv {
    fn commit(&self, batch: WriteBatch) -> Result<()> {
        self.write(
            batch,
            PersistMode::SyncData,
            self.config.free_space_min_bytes,
            &self.room_of_commits(),
        )
        .map(drop)
    }

    fn load(&self, batch: WriteBatch) -> Result<Epoch> {
        self.write(
            batch,
            PersistMode::Buffer,
            self.config.free_space_min_bytes,
            &ROOM_OF_LOADS,
        )
    }

    fn ingest(&self, space: Space, records: &mut Records<'_>) -> Result<()> {
        let mut records = records.peekable();
        while records.peek().is_some() {
            let lease = self.enter_healthy()?;
            let needed_bytes = self
                .config
                .free_space_min_bytes
                .saturating_add(INGEST_BYTES);
            self.check_space(INGEST_BYTES, needed_bytes)?;
            let mut bytes = 0;
            let mut some = std::iter::from_fn(|| {
                let record = records.next_if(|_| bytes < INGEST_BYTES)?;
                if let Ok((key, value)) = &record {
                    bytes += (key.len() + value.len()) as u64;
                }
                Some(record)
            });
            let ingested = lease.get().ingest(space, &mut some);
            ingested.map_err(|error| self.poison(&error))??;
            // The engine looks for something to compact after flushes alone: whoever loads moves what
            // was loaded to where it stays.
            if let Err(error) = lease.get().compact_next(space) {
                tracing::warn!(%error, space = space.name(), "a compaction has failed");
            }
        }
        Ok(())
    }

    fn scratch(&self) -> Result<File> {
        Ok(tempfile::tempfile_in(&self.directory)?)
    }

    fn sync(&self, since: Epoch) -> Result<()> {
        let lease = self.enter_healthy()?;
        if self.epoch.load(Ordering::SeqCst) != since.0 {
            return Err(Error::LoadInterrupted);
        }
        lease
            .get()
            .db
            .persist(PersistMode::SyncAll)
            .map_err(|error| self.poison(&error))
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        Ok(Box::new(FjallSnapshot::new(self.gate.enter()?)))
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
        drop(snapshot);
        self.write(
            batch,
            PersistMode::Buffer,
            self.config.free_space_min_bytes / 4,
            &self.room_of_commits(),
        )?;
        Ok(progress)
    }

    fn health(&self) -> Health {
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        match self.gate.check() {
            Err(Error::Closed) => Health::Closed,
            Err(_) => Health::Reopening,
            Ok(()) if self.poisoned.load(Ordering::SeqCst) => Health::Poisoned,
            Ok(()) if free_bytes < self.config.free_space_min_bytes => {
                Health::DiskFull { free_bytes }
            }
            Ok(()) => Health::Ok,
        }
    }

    fn maintain(&self) -> Health {
        if let Err(error) = self.measure() {
            tracing::warn!(%error, "free space cannot be measured");
        }
        // A failed flush or compaction poisons the engine behind our back: ask it.
        if let Ok(lease) = self.enter_healthy()
            && let Err(error) = lease.get().db.persist(PersistMode::Buffer)
        {
            self.poison(&error);
        }
        if matches!(self.health(), Health::Poisoned | Health::Reopening)
            && let Err(error) = self.reopen()
        {
            tracing::warn!(%error, "store cannot be re-opened yet");
        }
        self.health()
    }
}

fn engine_directory(directory: &Path) -> PathBuf {
    directory.join("engine")
}
