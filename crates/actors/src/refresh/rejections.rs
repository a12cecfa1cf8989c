//! Owns the rows that a run could not use: all counted, the first ones kept for reading.

use sanntid_types::{RejectionKind, RowRejection};

/// Rows that could not be used, in the order in which they were met.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    kept: Vec<RowRejection>,
    rejected: u64,
    /// Of the rows themselves, before the activity stage.
    ingested: (usize, u64),
}

impl Rejections {
    /// Notes one row; `kept_max` are kept.
    pub(crate) fn add(&mut self, rejection: RowRejection, kept_max: u64) {
        match rejection.kind {
            RejectionKind::Rejected => self.rejected += 1,
            RejectionKind::Unmatched => {}
        }
        if (self.kept.len() as u64) < kept_max {
            self.kept.push(rejection);
        }
    }

    /// Rows rejected so far.
    pub(crate) fn rejected(&self) -> u64 {
        self.rejected
    }

    /// Notes that what comes now is the activity stage's.
    pub(crate) fn ingestion_is_done(&mut self) {
        self.ingested = (self.kept.len(), self.rejected);
    }

    /// Forgets what the activity stage has met, because it runs again.
    pub(crate) fn forget_activities(&mut self) {
        let (kept, rejected) = self.ingested;
        self.kept.truncate(kept);
        self.rejected = rejected;
    }

    /// The rows kept.
    pub(crate) fn kept(&self) -> &[RowRejection] {
        &self.kept
    }
}
