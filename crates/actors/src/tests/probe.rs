//! Owns a store that can be watched, held up, filled and cut off, and a clock that can be set.
//!
//! Must not keep anything itself: it wraps a real store.

use std::{
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use sanntid_store::{
    Entries, Epoch, Error, Health, Kv, Order, Progress, Result, Snapshot, Space, WriteBatch,
};
use sanntid_types::{Clock, Instant};
use tokio::sync::watch;

/// A clock that stands still until it is set.
pub(super) struct SetClock {
    now: AtomicI64,
    is_trusted: AtomicBool,
}

impl SetClock {
    pub(super) fn at(now: Instant) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(now.as_millis()),
            is_trusted: AtomicBool::new(true),
        })
    }

    pub(super) fn set(&self, now: Instant) {
        self.now.store(now.as_millis(), Ordering::SeqCst);
    }

    pub(super) fn trust(&self, is_trusted: bool) {
        self.is_trusted.store(is_trusted, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.now.load(Ordering::SeqCst))
    }

    fn is_trusted(&self) -> bool {
        self.is_trusted.load(Ordering::SeqCst)
    }

    fn confirm(&self) {
        self.trust(true);
    }
}

/// Holds up whoever comes through, while it is closed.
pub(super) struct Gate {
    closed: Mutex<bool>,
    /// Closes by itself before the passage of this number.
    closes_at: AtomicU64,
    opened: Condvar,
    waiting: watch::Sender<usize>,
    /// How many came through.
    pub(super) passed: AtomicU64,
}

impl Gate {
    fn open() -> Self {
        Self {
            closed: Mutex::new(false),
            closes_at: AtomicU64::new(u64::MAX),
            opened: Condvar::new(),
            waiting: watch::channel(0).0,
            passed: AtomicU64::new(0),
        }
    }

    pub(super) fn close(&self) {
        *self.closed.lock() = true;
    }

    /// Lets `count` more through and then closes.
    pub(super) fn close_after(&self, count: u64) {
        let at = self.count() + count;
        self.closes_at.store(at, Ordering::SeqCst);
    }

    /// Whether somebody stands before the closed gate.
    pub(super) fn holds_somebody(&self) -> bool {
        *self.waiting.borrow() > 0
    }

    pub(super) fn reopen(&self) {
        self.closes_at.store(u64::MAX, Ordering::SeqCst);
        *self.closed.lock() = false;
        self.opened.notify_all();
    }

    /// Opens, but goes on to close by itself as it was told.
    pub(super) fn pass_on(&self) {
        *self.closed.lock() = false;
        self.opened.notify_all();
    }

    /// Waits until somebody stands before the closed gate.
    pub(super) async fn somebody_waits(&self) {
        let mut waiting = self.waiting.subscribe();
        waiting.wait_for(|count| *count > 0).await.unwrap();
    }

    pub(super) fn count(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        let mut closed = self.closed.lock();
        *closed |= self.count() >= self.closes_at.load(Ordering::SeqCst);
        if *closed {
            self.waiting.send_modify(|count| *count += 1);
            self.opened.wait_while(&mut closed, |closed| *closed);
            self.waiting.send_modify(|count| *count -= 1);
        }
        self.passed.fetch_add(1, Ordering::SeqCst);
    }
}

/// A store around another one.
pub(super) struct ProbeKv {
    pub(super) inner: Arc<dyn Kv>,
    pub(super) commits: Gate,
    pub(super) loads: Gate,
    /// Before questions about its health.
    pub(super) questions: Gate,
    is_full: AtomicBool,
    is_cut: AtomicBool,
    panics: AtomicBool,
    panics_when_asked: AtomicBool,
    snapshots: Arc<AtomicUsize>,
}

/// A snapshot that is counted while it lives.
struct Counted {
    inner: Box<dyn Snapshot>,
    count: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Snapshot for Counted {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>> {
        self.inner.get(space, key)
    }

    fn range(
        &self,
        space: Space,
        lower: Bound<&[u8]>,
        upper: Bound<&[u8]>,
        order: Order,
    ) -> Entries<'_> {
        self.inner.range(space, lower, upper, order)
    }
}

impl ProbeKv {
    pub(super) fn around(inner: Arc<dyn Kv>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            commits: Gate::open(),
            loads: Gate::open(),
            questions: Gate::open(),
            is_full: AtomicBool::new(false),
            is_cut: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            panics_when_asked: AtomicBool::new(false),
            snapshots: Arc::default(),
        })
    }

    /// Refuses writes for want of space, or takes them again.
    pub(super) fn fill(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::SeqCst);
    }

    /// Does nothing more, as if the process had ended.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.commits.reopen();
        self.loads.reopen();
        self.questions.reopen();
    }

    /// Panics at the next commit.
    pub(super) fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Panics when it is asked for its health the next time.
    pub(super) fn panic_when_asked(&self) {
        self.panics_when_asked.store(true, Ordering::SeqCst);
    }

    /// How many snapshots are held.
    pub(super) fn snapshots(&self) -> usize {
        self.snapshots.load(Ordering::SeqCst)
    }

    fn check(&self) -> Result<()> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(Error::Closed);
        }
        Ok(())
    }

    fn check_writes(&self) -> Result<()> {
        self.check()?;
        assert!(!self.panics.swap(false, Ordering::SeqCst), "as planned");
        if self.is_full.load(Ordering::SeqCst) {
            return Err(Error::DiskFull {
                free_bytes: 0,
                needed_bytes: 1,
            });
        }
        Ok(())
    }
}

impl Kv for ProbeKv {
    fn commit(&self, batch: WriteBatch) -> Result<()> {
        self.commits.pass();
        self.check_writes()?;
        self.inner.commit(batch)
    }

    fn load(&self, batch: WriteBatch) -> Result<Epoch> {
        self.loads.pass();
        self.check_writes()?;
        self.inner.load(batch)
    }

    fn sync(&self, since: Epoch) -> Result<()> {
        self.check()?;
        self.inner.sync(since)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.check()?;
        let inner = self.inner.snapshot()?;
        let count = Arc::clone(&self.snapshots);
        count.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Counted { inner, count }))
    }

    fn delete_range_step(
        &self,
        space: Space,
        lower: &[u8],
        upper: &[u8],
        budget_records: usize,
    ) -> Result<Progress> {
        self.check()?;
        self.inner
            .delete_range_step(space, lower, upper, budget_records)
    }

    fn health(&self) -> Health {
        self.questions.pass();
        assert!(
            !self.panics_when_asked.swap(false, Ordering::SeqCst),
            "as planned"
        );
        if self.is_cut.load(Ordering::SeqCst) {
            return Health::Closed;
        }
        if self.is_full.load(Ordering::SeqCst) {
            return Health::DiskFull { free_bytes: 0 };
        }
        self.inner.health()
    }

    fn maintain(&self) -> Health {
        if self.is_cut.load(Ordering::SeqCst) {
            return Health::Closed;
        }
        self.inner.maintain();
        self.health()
    }
}
