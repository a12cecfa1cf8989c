//! Owns the threads that read data sources, which may never answer.
//!
//! A thread that does not come back is left behind once its job is to stop: the job ends all the
//! same, the instance is free for its next one, and the server can stop. Must not let such a thread
//! do anything more: [`Progress::at_source`] sees to that when a job's own comes back; those that
//! read ahead of it, or look at a place for a caller, find that nobody listens.
//!
//! [`Progress::at_source`]: super::progress::Progress::at_source

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use sanntid_types::{Error, ErrorCode};
use tokio::sync::oneshot;

use super::run::{Failure, Run};

/// By how much a refresh's thread steps back, of 19.
const NICE: i32 = 10;
/// How often a job whose thread reads is looked after.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Looks after which a thread that was to stop, and is still with its source, is left behind.
const LOOKS_MAX: u32 = 3;
/// Threads of a node that were left behind; with so many, data sources are not read any more.
const LEFT_BEHIND_MAX: usize = 16;

/// Counts the threads that were left behind and have not come back.
#[derive(Debug, Default)]
pub(crate) struct LeftBehind(AtomicUsize);

impl LeftBehind {
    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    /// Refuses to read data sources while too many threads are stuck in them.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let count = self.0.load(Ordering::Acquire);
        if count < LEFT_BEHIND_MAX {
            return Ok(());
        }
        let text = format!(
            "{count} reads of data sources hang since their jobs were stopped; see to the places \
             that they lie in (a network's folder that does not answer?), or restart the server"
        );
        Err(Error::new(ErrorCode::Overloaded, text).with_target("dataSources"))
    }
}

const HERE: u8 = 0;
const GONE: u8 = 1;
const LEFT: u8 = 2;

/// Whether a thread is still where it may never come back from.
pub(crate) struct Presence {
    state: AtomicU8,
    left_behind: Arc<LeftBehind>,
    /// Whom it reads for.
    whom: String,
}

impl Presence {
    pub(crate) fn new(left_behind: &Arc<LeftBehind>, whom: String) -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(HERE),
            left_behind: Arc::clone(left_behind),
            whom,
        })
    }

    /// Whether its thread has not come back.
    pub(crate) fn is_here(&self) -> bool {
        self.state.load(Ordering::Acquire) != GONE
    }

    /// Notes that its thread is back, and takes it off those that were left behind.
    pub(crate) fn has_come_back(&self) {
        if self.state.swap(GONE, Ordering::AcqRel) == LEFT {
            self.left_behind.0.fetch_sub(1, Ordering::AcqRel);
            let whom = &self.whom;
            tracing::info!(%whom, "a read of a data source has come back after it was given up");
        }
    }

    /// Leaves its thread behind, where it has not come back; says whether it has not.
    pub(crate) fn leave_behind(&self) -> bool {
        // Counted first: from the next line on the thread takes itself off when it comes back.
        self.left_behind.0.fetch_add(1, Ordering::AcqRel);
        let left = self
            .state
            .compare_exchange(HERE, LEFT, Ordering::AcqRel, Ordering::Acquire)
            .is_ok();
        if left {
            let whom = &self.whom;
            tracing::warn!(%whom, "a data source does not answer; its reader is left behind");
        } else {
            self.left_behind.0.fetch_sub(1, Ordering::AcqRel);
        }
        left
    }
}

/// Does on a thread of its own what may never come back, and waits so long for it; `None` where it
/// has not come back by then, or has panicked.
///
/// # Errors
/// `Overloaded`: too many threads were left behind, or none can be started.
pub(crate) async fn within<T: Send + 'static>(
    left_behind: &Arc<LeftBehind>,
    (limit, whom): (Duration, String),
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Error> {
    left_behind.check()?;
    let presence = Presence::new(left_behind, whom);
    let of_thread = Arc::clone(&presence);
    let (answer, answered) = oneshot::channel();
    spawn("data-source", move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        of_thread.has_come_back();
        // Whoever asked may have gone: then nobody wants to know.
        answer.send(done.ok()).ok();
    })?;
    match tokio::time::timeout(limit, answered).await {
        Ok(answer) => Ok(answer.ok().flatten()),
        Err(_) => {
            presence.leave_behind();
            Ok(None)
        }
    }
}

/// Starts a thread that gives way to those that answer callers. It is none of the runtime's, whose
/// end would wait for it.
///
/// # Errors
/// `Overloaded`: none can be started.
pub(crate) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let begun = thread::Builder::new().name(name.to_owned()).spawn(|| {
        give_way();
        work();
    });
    begun.map(drop).map_err(|error| {
        let text = format!("no thread could be started for a data source: {error}");
        Error::new(ErrorCode::Overloaded, text)
    })
}

/// Does on a thread of its own what reads data sources; a panic there fails the job alone.
pub(crate) async fn read<T: Send + 'static>(
    run: &Arc<Run>,
    work: impl FnOnce(&Arc<Run>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (answer, mut answered) = oneshot::channel();
    let of_thread = Arc::clone(run);
    let left_behind = Arc::clone(&run.shared.refreshes.left_behind);
    spawn("refresh", move || {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&of_thread)));
        let (instance, job) = (of_thread.instance, of_thread.job);
        // Before the answer: whoever has it may close the store, which the run keeps open.
        drop(of_thread);
        if answer.send(outcome).is_err() {
            left_behind.0.fetch_sub(1, Ordering::AcqRel);
            tracing::info!(
                instance_id = %instance, job_id = %job,
                "a read of a data source has come back after its job had ended"
            );
        }
    })?;
    let mut looks = 0;
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut answered).await {
            Ok(Ok(Ok(outcome))) => return outcome,
            Ok(Ok(Err(_)) | Err(_)) => return Err(panicked()),
            Err(_) => {}
        }
        let Err(stop) = run.progress.check() else {
            continue;
        };
        looks += 1;
        if looks >= LOOKS_MAX && run.progress.give_up() {
            let left_behind = &run.shared.refreshes.left_behind.0;
            // Counted first: from the next line on the thread takes itself off when it comes back.
            left_behind.fetch_add(1, Ordering::AcqRel);
            answered.close();
            if answered.try_recv().is_ok() {
                left_behind.fetch_sub(1, Ordering::AcqRel);
                return Err(stop.into());
            }
            tracing::warn!(
                instance_id = %run.instance, job_id = %run.job,
                "a data source does not answer; its job ends without it"
            );
            return Err(stop.into());
        }
    }
}

/// Lets the threads that answer callers go first: a refresh takes long, and has the time.
fn give_way() {
    // On Linux this is of the calling thread alone; elsewhere it would be of the whole process.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::nice(NICE)
    {
        tracing::debug!(%error, "a refresh runs with the priority of everything else");
    }
}

/// Says that the job met a fault of the server's own.
pub(super) fn panicked() -> Failure {
    tracing::error!("a refresh has panicked");
    let text = "the refresh failed by a fault of the server; nothing was changed";
    Error::new(ErrorCode::Internal, text).into()
}
