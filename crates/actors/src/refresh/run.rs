//! Owns what one run of a refresh works with, and why it can fail.

use std::sync::Arc;

use parking_lot::Mutex;
use sanntid_engine::TenantState;
use sanntid_store::Loader;
use sanntid_types::{
    Error, ErrorCode, InstanceId, Instant, Job, JobId, JobKind, JobStatus, Retry, RowRejection,
};

use super::{
    progress::{Progress, Stop},
    rejections::Rejections,
};
use crate::{node::Shared, outcome::refusal};

/// Why a refresh did not come to its switch.
#[derive(Debug)]
pub(crate) enum Failure {
    Stopped(Stop),
    Failed(Error),
    /// There was nothing to do; says why.
    Skipped(String),
}

impl Failure {
    /// How the job ends.
    pub(crate) fn status(&self) -> JobStatus {
        match self {
            Self::Stopped(Stop::Cancelled) => JobStatus::Aborted,
            Self::Stopped(Stop::TimedOut) => JobStatus::TimedOut,
            Self::Stopped(Stop::Interrupted) | Self::Failed(_) => JobStatus::Failed,
            Self::Skipped(_) => JobStatus::Skipped,
        }
    }

    /// Whether the same may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Stopped(_) | Self::Skipped(_) => false,
            Self::Failed(error) => error.code.retry() == Retry::Later,
        }
    }

    /// What the job says about it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Skipped(why) => Error::new(ErrorCode::NothingChanged, why),
            Self::Stopped(Stop::Cancelled) => Error::new(
                ErrorCode::Cancelled,
                "the refresh was cancelled; nothing was changed",
            ),
            Self::Stopped(Stop::Interrupted) => interrupted(),
            Self::Stopped(Stop::TimedOut) => {
                let text = "the refresh took longer than it may; nothing was changed";
                Error::new(ErrorCode::Cancelled, text)
            }
        }
    }
}

impl From<Stop> for Failure {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<sanntid_store::Error> for Failure {
    fn from(error: sanntid_store::Error) -> Self {
        match error {
            sanntid_store::Error::LoadInterrupted => Self::Failed(interrupted()),
            other => Self::Failed(refusal(&other)),
        }
    }
}

impl From<sanntid_engine::ViewError> for Failure {
    fn from(error: sanntid_engine::ViewError) -> Self {
        Self::Failed(crate::outcome::view_refusal(error))
    }
}

/// Says that a refresh ended with the server or the store it ran in.
pub(crate) fn interrupted() -> Error {
    let text = "interrupted: the server or its store was restarted meanwhile; nothing was changed";
    Error::new(ErrorCode::Interrupted, text)
}

/// One run of a refresh.
pub(crate) struct Run {
    pub(crate) shared: Arc<Shared>,
    pub(crate) instance: InstanceId,
    pub(crate) job: JobId,
    pub(crate) kind: JobKind,
    pub(crate) begun_at: Instant,
    /// As it was when the run began; only jobs change its entities.
    pub(crate) state: Arc<TenantState>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) rejections: Mutex<Rejections>,
}

impl Run {
    /// Writes what was loaded so far, unless it is asked to stop.
    pub(crate) fn settle(&self, loader: &mut Loader<'_>) -> Result<(), Failure> {
        loader.settle(|| Ok(self.progress.check()?))
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        job: &Job,
        state: Arc<TenantState>,
        progress: Arc<Progress>,
    ) -> Self {
        Self {
            shared,
            instance: state.instance,
            job: job.id,
            kind: job.kind.clone(),
            begun_at: job.started_at.unwrap_or(job.submitted_at),
            state,
            progress,
            rejections: Mutex::default(),
        }
    }

    /// Notes a row that can't be used.
    pub(crate) fn reject(&self, rejection: RowRejection) {
        let kept_max = self.shared.config.rejections_kept_max;
        self.rejections.lock().add(rejection, kept_max);
    }
}
