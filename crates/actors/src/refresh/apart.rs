//! Owns the thread on which a job reads its data sources, which may never answer.
//!
//! A thread that does not come back is left behind once its job is to stop: the job ends all the
//! same, the instance is free for its next one, and the server can stop. Must not let such a thread
//! do anything more: [`Progress::at_source`] sees to that when it comes back.
//!
//! [`Progress::at_source`]: super::progress::Progress::at_source

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
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

/// Does on a thread of its own what reads data sources; a panic there fails the job alone.
///
/// The thread is none of the runtime's, whose end would wait for it.
pub(crate) async fn read<T: Send + 'static>(
    run: &Arc<Run>,
    work: impl FnOnce(&Arc<Run>) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let (answer, mut answered) = oneshot::channel();
    let of_thread = Arc::clone(run);
    let left_behind = Arc::clone(&run.shared.refreshes.left_behind);
    let begun = thread::Builder::new()
        .name("refresh".to_owned())
        .spawn(move || {
            give_way();
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
        });
    if let Err(error) = begun {
        let text = format!("no thread could be started for the refresh: {error}");
        return Err(Error::new(ErrorCode::Overloaded, text).into());
    }
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
