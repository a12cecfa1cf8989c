//! Owns how far a running job came, and the wish that it stop.

use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

use parking_lot::Mutex;
use sanntid_types::{Clock, Instant, JobStatus, Stage, StageName};

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

/// Shared by the job's thread, which reports, and everybody who asks.
pub(crate) struct Progress {
    clock: Arc<dyn Clock>,
    deadline: Instant,
    stop: AtomicU8,
    stages: Mutex<Vec<(Stage, Option<Instant>)>>,
}

impl Progress {
    pub(crate) fn new(clock: Arc<dyn Clock>, deadline: Instant) -> Arc<Self> {
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
        Arc::new(Self {
            clock,
            deadline,
            stop: AtomicU8::new(GO_ON),
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
    }

    /// Counts rows of a stage.
    pub(crate) fn rows(&self, name: StageName, count: u64) {
        self.with(name, |stage, _| stage.rows += count);
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
    }

    pub(crate) fn interrupt(&self) {
        self.stop.store(INTERRUPTED, Ordering::Release);
    }

    /// Whether the job is to stop, and why.
    pub(crate) fn check(&self) -> Result<(), Stop> {
        match self.stop.load(Ordering::Acquire) {
            CANCELLED => Err(Stop::Cancelled),
            INTERRUPTED => Err(Stop::Interrupted),
            _ if self.clock.now() > self.deadline => Err(Stop::TimedOut),
            _ => Ok(()),
        }
    }

    fn end(&self, name: StageName, status: JobStatus) {
        let now = self.clock.now();
        self.with(name, |stage, since| {
            stage.status = status;
            stage.duration_ms += since.take().map_or(0, |since| millis_between(since, now));
        });
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
