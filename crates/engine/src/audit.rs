//! What a front door asks and tells about audit logs: their records, and attempts that it refused.
//! Owns the port and the shapes that cross it. Must not know stores or HTTP.

use sanntid_types::{Actor, AuditId, AuditRecord, ErrorCode, InstanceId, Instant};

use crate::tenants::Later;

/// Names a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditLog {
    /// What concerns the server as a whole: instances made and ended, its clock.
    Server,
    Instance(InstanceId),
}

/// Asks for records of a log, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    /// None that is older.
    pub from: Option<Instant>,
    /// None of this instant or later.
    pub to: Option<Instant>,
    /// Only those of this caller.
    pub actor: Option<String>,
    /// Only those of this operation.
    pub action: Option<String>,
    /// Only what was done, or only what was refused.
    pub is_done: Option<bool>,
    /// Where an earlier page has ended.
    pub after: Option<AuditPlace>,
    /// How many at most.
    pub top: usize,
}

/// A place in a log: that of one record, whether it is still there or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    pub at: Instant,
    pub id: AuditId,
}

/// Some records of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    pub records: Vec<AuditRecord>,
    /// Where to go on; `None` at the end. A page may have few records, or none, and yet go on.
    pub next: Option<AuditPlace>,
}

/// Something that was tried, and refused before it reached a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAttempt {
    pub log: AuditLog,
    pub by: Actor,
    pub code: ErrorCode,
}

/// Reads audit logs. What is done is noted by whoever does it, durably with it.
pub trait Audit: Send + Sync + 'static {
    /// Reads records of a log; an unknown instance is `InstanceNotFound`.
    fn records(&self, log: AuditLog, query: AuditQuery) -> Later<'_, AuditPage>;

    /// Notes a refused attempt soon, and never waits: where there are too many, they are counted.
    /// One at an instance that there is not is forgotten.
    fn refused(&self, attempt: RefusedAttempt);
}
