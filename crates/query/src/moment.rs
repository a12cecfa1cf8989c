//! What every read works with: the moment, the caller's place, the limits, and what comes back.
//! Owns the shapes only; must not read anything.

use sanntid_engine::{Reading, TenantState, View};
use sanntid_types::{Instant, ProfileId};

/// Holds one instance as of one moment, for as long as one request reads it.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub tenant: &'a TenantState,
    pub view: &'a dyn View,
    pub now: Instant,
}

impl<'a> Moment<'a> {
    /// The moment that a front door was given.
    pub fn of(reading: &'a Reading) -> Self {
        Self {
            tenant: &reading.tenant,
            view: &*reading.view,
            now: reading.now,
        }
    }
}

/// Says where the caller came in, for the links in answers.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Absolute URL up to and including `/data`, without a slash at its end.
    pub base_url: &'a str,
}

/// Holds our own options of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// `view=source`: the source of truth alone.
    pub source_only: bool,
    /// `explain=true`: each overridden field says where it came from. An ETag does not cover that.
    pub explain: bool,
}

/// Bounds what one read may answer and visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows of a page where the caller does not say.
    pub page_rows_default: u64,
    /// Rows of the largest page.
    pub page_rows_max: u64,
    /// Rows of an entity up to which everything is answered by reading them all.
    pub scan_rows_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            page_rows_default: 100,
            page_rows_max: 1000,
            scan_rows_max: 100_000,
        }
    }
}

/// Holds what `GET …/data/{path}` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Entity {
        json: String,
        /// The hash of the content as shown, of all fields; `None` for an activity.
        etag: Option<String>,
        /// The profile acted on: another than asked for where that was moved. `None` for an
        /// activity.
        id: Option<ProfileId>,
    },
    /// Rows carry no ETag: it would take every attribute of each row, also of one that is not
    /// selected.
    Collection { json: String },
}
