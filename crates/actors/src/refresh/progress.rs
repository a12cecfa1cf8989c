//! Owns how far a running job came, and the wish that it stop.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use sanntid_types::{Clock, Instant, JobId, JobStatus, Stage, StageName};

/// Why a job stops before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    /// The server shuts down.
    Interrupted,
    TimedOut,
}

const GO_ON: u8 = 0;
const CANCELLED: u8 = 1;
const INTERRUPTED: u8 = 2;

const AT_WORK: u8 = 0;
const AT_SOURCE: u8 = 1;
const GIVEN_UP: u8 = 2;

/// Shared by the job's thread, which reports, and everybody who asks.
pub(crate) struct Progress {
    job: JobId,
    clock: Arc<dyn Clock>,
    time: Mutex<TimeLimit>,
    stop: AtomicU8,
    /// Whether nobody loads any more what is read ahead.
    reading_is_over: AtomicBool,
    /// Wakes a thread that waits for something else than the wish that it stop.
    stopped: (Mutex<()>, Condvar),
    /// Whether the job's thread is with a data source, which may never answer.
    place: AtomicU8,
    stages: Mutex<Vec<(Stage, Option<Instant>)>>,
}

/// Counts the time that a job has had; while the clock can't be trusted it stands still.
struct TimeLimit {
    limit: Duration,
    spent: Duration,
    /// The last look, where the clock could be trusted then.
    seen: Option<Instant>,
}

impl TimeLimit {
    /// Whether the time is over.
    fn is_over(&mut self, now: Instant, is_trusted: bool) -> bool {
        let before = std::mem::replace(&mut self.seen, is_trusted.then_some(now));
        if let Some(before) = before.filter(|_| is_trusted) {
            self.spent += Duration::from_millis(millis_between(before, now));
        }
        self.spent > self.limit
    }
}

impl Progress {
    /// Begins with all stages queued; the job may take `limit`.
    pub(crate) fn new(job: JobId, clock: Arc<dyn Clock>, limit: Duration) -> Arc<Self> {
        let stage = |name| Stage {
            name,
            status: JobStatus::Queued,
            rows: 0,
            rows_total: None,
            duration_ms: 0,
        };
        let stages = StageName::ALL
            .into_iter()
            .map(|name| (stage(name), None))
            .collect();
        let time = TimeLimit {
            limit,
            spent: Duration::ZERO,
            seen: clock.is_trusted().then_some(clock.now()),
        };
        Arc::new(Self {
            job,
            clock,
            time: Mutex::new(time),
            stop: AtomicU8::new(GO_ON),
            reading_is_over: AtomicBool::new(false),
            stopped: (Mutex::new(()), Condvar::new()),
            place: AtomicU8::new(AT_WORK),
            stages: Mutex::new(stages),
        })
    }

    /// Says that a stage begins; rows that it counted before, in an earlier round, are forgotten.
    pub(crate) fn begin(&self, name: StageName, rows_total: Option<u64>) {
        let now = self.clock.now();
        self.with(name, |stage, since| {
            stage.status = JobStatus::Running;
            stage.rows = 0;
            stage.rows_total = rows_total;
            *since = Some(now);
        });
        tracing::debug!(job_id = %self.job, stage = ?name, "a stage begins");
    }

    /// Counts rows of a stage.
    pub(crate) fn rows(&self, name: StageName, count: u64) {
        self.with(name, |stage, _| stage.rows += count);
        tracing::trace!(job_id = %self.job, stage = ?name, count, "rows are done");
    }

    /// Says that a stage is done.
    pub(crate) fn done(&self, name: StageName) {
        self.end(name, JobStatus::Successful);
    }

    /// Says how the job ended for its stages: the running one so, later ones not at all.
    pub(crate) fn fail(&self, status: JobStatus) {
        for name in StageName::ALL {
            let is_running = self
                .stages()
                .iter()
                .any(|stage| stage.name == name && stage.status == JobStatus::Running);
            if is_running {
                self.end(name, status);
            }
        }
        for (stage, _) in self.stages.lock().iter_mut() {
            if stage.status == JobStatus::Queued {
                stage.status = JobStatus::Skipped;
            }
        }
    }

    /// All stages as they stand.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let now = self.clock.now();
        let stages = self.stages.lock();
        let shown = stages.iter().map(|(stage, since)| {
            let mut stage = stage.clone();
            if let Some(since) = since {
                stage.duration_ms += millis_between(*since, now);
            }
            stage
        });
        shown.collect()
    }

    pub(crate) fn cancel(&self) {
        // A shutdown that came first stays the reason.
        self.stop
            .compare_exchange(GO_ON, CANCELLED, Ordering::AcqRel, Ordering::Acquire)
            .ok();
        self.wake();
    }

    pub(crate) fn interrupt(&self) {
        self.stop.store(INTERRUPTED, Ordering::Release);
        self.wake();
    }

    /// Has everybody stop who reads ahead, for whatever reason the job reads no more.
    pub(crate) fn end_reading(&self) {
        self.reading_is_over.store(true, Ordering::Release);
        self.wake();
    }

    /// Whether nobody wants to know what is read for the job.
    pub(crate) fn reading_is_over(&self) -> bool {
        self.reading_is_over.load(Ordering::Acquire) || self.check().is_err()
    }

    fn wake(&self) {
        // Held by whoever looks before it waits: nobody misses the wish.
        drop(self.stopped.0.lock());
        self.stopped.1.notify_all();
    }

    /// Waits; a wish that the job stop, or the end of its reading, ends it at once.
    pub(crate) fn pause(&self, delay: Duration) -> Result<(), Stop> {
        let mut guard = self.stopped.0.lock();
        let is_over = self.reading_is_over.load(Ordering::Acquire);
        if self.stop.load(Ordering::Acquire) == GO_ON && !is_over {
            self.stopped.1.wait_for(&mut guard, delay);
        }
        drop(guard);
        self.check()
    }

    /// Does on the job's thread what may never come back, such as a read of a network's file.
    ///
    /// Must not hold anything of the store meanwhile: [`Self::give_up`] leaves the thread behind, and
    /// all that it gets to do afterwards is to end.
    pub(crate) fn at_source<T>(&self, read: impl FnOnce() -> T) -> Result<T, Stop> {
        self.go(AT_WORK, AT_SOURCE)?;
        let value = read();
        self.go(AT_SOURCE, AT_WORK)?;
        Ok(value)
    }

    /// Leaves the job's thread behind where it is with a data source; says whether it was.
    pub(crate) fn give_up(&self) -> bool {
        self.place
            .compare_exchange(AT_SOURCE, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    fn go(&self, from: u8, to: u8) -> Result<(), Stop> {
        let gone = self
            .place
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        if gone.is_ok() {
            return Ok(());
        }
        // It was given up: nobody hears the reason any more.
        self.check().and(Err(Stop::TimedOut))
    }

    /// Whether the job is to stop, and why.
    ///
    /// A clock that jumps takes no time from the job: it is not trusted at the look after the jump.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        match self.stop.load(Ordering::Acquire) {
            CANCELLED => return Err(Stop::Cancelled),
            INTERRUPTED => return Err(Stop::Interrupted),
            _ => {}
        }
        let mut time = self.time.lock();
        // In this order: a jump between the two must not count.
        let now = self.clock.now();
        if time.is_over(now, self.clock.is_trusted()) {
            return Err(Stop::TimedOut);
        }
        Ok(())
    }

    fn end(&self, name: StageName, status: JobStatus) {
        let now = self.clock.now();
        self.with(name, |stage, since| {
            stage.status = status;
            stage.duration_ms += since.take().map_or(0, |since| millis_between(since, now));
        });
        tracing::debug!(job_id = %self.job, stage = ?name, ?status, "a stage ends");
    }

    fn with(&self, name: StageName, change: impl FnOnce(&mut Stage, &mut Option<Instant>)) {
        let mut stages = self.stages.lock();
        if let Some((stage, since)) = stages.iter_mut().find(|(stage, _)| stage.name == name) {
            change(stage, since);
        }
    }
}

fn millis_between(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.as_millis() - from.as_millis()).unwrap_or(0)
}
