//! Owns what one run of a refresh works with, and why it can fail.

use std::sync::Arc;

use sanntid_engine::TenantState;
use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{Error, ErrorCode, InstanceId, JobId, JobStatus, RejectionKind, RowRejection};

use super::progress::{Progress, Stop};
use crate::{node::Shared, outcome::refusal};

/// Why a refresh did not come to its switch.
#[derive(Debug)]
pub(crate) enum Failure {
    Stopped(Stop),
    Failed(Error),
}

impl Failure {
    /// How the job ends.
    pub(crate) fn status(&self) -> JobStatus {
        match self {
            Self::Stopped(Stop::Cancelled) => JobStatus::Aborted,
            Self::Stopped(Stop::TimedOut) => JobStatus::TimedOut,
            Self::Stopped(Stop::Interrupted) | Self::Failed(_) => JobStatus::Failed,
        }
    }

    /// What the job says about it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Failed(error) => error,
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
    /// As it was when the run began; only jobs change its entities.
    pub(crate) state: Arc<TenantState>,
    pub(crate) progress: Arc<Progress>,
}

/// Rows that could not be used: all counted, the first ones kept for reading.
pub(crate) struct Rejections<'a> {
    run: &'a Run,
    kept: u64,
    batch: WriteBatch,
    pub(crate) rejected: u64,
    pub(crate) unmatched: u64,
}

impl<'a> Rejections<'a> {
    pub(crate) fn new(run: &'a Run) -> Self {
        Self {
            run,
            kept: 0,
            batch: WriteBatch::new(),
            rejected: 0,
            unmatched: 0,
        }
    }

    /// Notes one row.
    pub(crate) fn add(&mut self, rejection: &RowRejection) -> Result<(), Failure> {
        match rejection.kind {
            RejectionKind::Rejected => self.rejected += 1,
            RejectionKind::Unmatched => self.unmatched += 1,
        }
        if self.kept < self.run.shared.config.rejections_kept_max {
            let (incarnation, job) = (self.run.state.incarnation, self.run.job);
            catalog::put_rejection(&mut self.batch, incarnation, job, self.kept, rejection);
            self.kept += 1;
        }
        if self.batch.len() >= 1000 {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Stores what was noted; it becomes durable with the next commit.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            self.run.shared.kv.load(batch)?;
        }
        Ok(())
    }
}
