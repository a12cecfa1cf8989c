//! Owns the records of audit logs, newest first. A log is an instance's over all its lives: a reset
//! keeps it (rules 6.12), a deletion ends it.
//!
//! What was done and what was refused stand apart, so that many refused attempts push nothing out
//! that was done. Records are only ever added here; old ones are removed in the background.

use std::{cmp::Ordering, iter::Peekable, ops::Bound};

use bytes::Bytes;
use sanntid_types::{AuditId, AuditOutcome, AuditRecord, Incarnation, Instant};

use super::{InstanceRecord, number_at, put_json};
use crate::{
    codec,
    error::Result,
    key::{Key, meta},
    kv::{Entries, Order, Snapshot, Space, WriteBatch, prefix_end},
};

/// Kinds of records of a log, behind its number.
const DONE: u8 = b'd';
const REFUSED: u8 = b'r';

/// How much of a record's key names its log and kind.
const PREFIX_BYTES: usize = 10;

/// Names a log by a number that is never given again: what a deleted instance left does not come
/// back with another of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditLogNumber(u64);

impl AuditLogNumber {
    /// The server's own: lives are counted from 1.
    pub const SERVER: Self = Self(0);

    /// The log of an instance.
    pub fn of(record: &InstanceRecord) -> Self {
        Self(record.log.unwrap_or(record.incarnation).0)
    }

    /// The life whose number it has.
    pub fn life(self) -> Incarnation {
        Incarnation(self.0)
    }
}

/// Which records of a log are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditRange {
    /// None that is older.
    pub from: Option<Instant>,
    /// None of this instant or later.
    pub to: Option<Instant>,
    /// Only those behind this one.
    pub after: Option<(Instant, AuditId)>,
    /// Only what was done, or only what was refused.
    pub is_done: Option<bool>,
}

/// Adds a record to a log.
pub fn put_audit(batch: &mut WriteBatch, log: AuditLogNumber, record: &AuditRecord) {
    let kind = match record.outcome {
        AuditOutcome::Done => DONE,
        AuditOutcome::Refused(_) => REFUSED,
    };
    put_json(batch, place(log, kind, record.at, record.id), record);
}

/// Reads the records of a log, newest first.
pub fn audit<'a>(
    snapshot: &'a dyn Snapshot,
    log: AuditLogNumber,
    range: &AuditRange,
) -> impl Iterator<Item = Result<AuditRecord>> + use<'a> {
    let entries = |kind, wanted| match range.is_done {
        Some(is_done) if is_done != wanted => None,
        Some(_) | None => Some(entries_of(snapshot, log, kind, range).peekable()),
    };
    Merged {
        done: entries(DONE, true),
        refused: entries(REFUSED, false),
    }
}

/// Ends a log; what it holds is removed in the background.
pub fn end_audit(batch: &mut WriteBatch, log: AuditLogNumber) {
    let key = Key::meta(meta::ENDED_LOG).number(log.0);
    batch.put(Space::Meta, key.into_bytes(), Bytes::new());
}

/// A log that was ended and may have records left.
pub(crate) fn ended_log(snapshot: &dyn Snapshot) -> Result<Option<AuditLogNumber>> {
    let prefix = Key::meta(meta::ENDED_LOG);
    let mut entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    let first = entries.next().transpose()?;
    first
        .map(|(key, _)| Ok(AuditLogNumber(number_at(&key, 1)?)))
        .transpose()
}

/// Forgets an ended log of which nothing is left.
pub(crate) fn forget_log(batch: &mut WriteBatch, log: AuditLogNumber) {
    let key = Key::meta(meta::ENDED_LOG).number(log.0);
    batch.delete(Space::Meta, key.into_bytes());
}

/// The range of all records of a log.
pub(crate) fn log_range(log: AuditLogNumber) -> Bytes {
    Key::meta(meta::AUDIT).number(log.0).into_bytes()
}

/// What of a record's key names its log and kind; its age stands behind that.
pub(crate) fn log_and_kind(key: &[u8]) -> Result<&[u8]> {
    key.get(..PREFIX_BYTES)
        .ok_or_else(|| codec::corrupt("a key is cut off"))
}

fn of_kind(log: AuditLogNumber, kind: u8) -> Key {
    Key::meta(meta::AUDIT).number(log.0).byte(kind)
}

/// Later ones stand first, also within one instant.
fn place(log: AuditLogNumber, kind: u8, at: Instant, id: AuditId) -> Key {
    let newest_first: [u8; 16] = id.0.as_bytes().map(|byte| !byte);
    of_kind(log, kind).newest_first(at).bytes(&newest_first)
}

fn entries_of<'a>(
    snapshot: &'a dyn Snapshot,
    log: AuditLogNumber,
    kind: u8,
    range: &AuditRange,
) -> Entries<'a> {
    let first = of_kind(log, kind).into_bytes().to_vec();
    // Behind all of the instant `to`.
    let newest = range.to.and_then(|to| {
        let of_instant = of_kind(log, kind).newest_first(to);
        prefix_end(of_instant.as_bytes())
    });
    let behind = range.after.map(|(at, id)| {
        // The smallest key behind it.
        place(log, kind, at, id).byte(0).into_bytes().to_vec()
    });
    let lower = [Some(first), newest, behind].into_iter().flatten().max();
    let oldest = match range.from {
        Some(from) => of_kind(log, kind).newest_first(from),
        None => of_kind(log, kind),
    };
    let upper = prefix_end(oldest.as_bytes());
    let lower = lower.as_deref().map_or(Bound::Unbounded, Bound::Included);
    let upper = upper.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    snapshot.range(Space::Meta, lower, upper, Order::Ascending)
}

/// Both kinds of one log in one order.
struct Merged<'a> {
    done: Option<Peekable<Entries<'a>>>,
    refused: Option<Peekable<Entries<'a>>>,
}

impl Merged<'_> {
    /// Whether the next one is a refused one.
    fn is_refused_next(&mut self) -> bool {
        let done = self.done.as_mut().and_then(|entries| entries.peek());
        let refused = self.refused.as_mut().and_then(|entries| entries.peek());
        let behind = |key: &Bytes| key.get(PREFIX_BYTES..).unwrap_or_default().to_vec();
        match (done, refused) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(Err(_)), Some(_)) => false,
            (Some(Ok(_)), Some(Err(_))) => true,
            (Some(Ok((done, _))), Some(Ok((refused, _)))) => {
                behind(refused).cmp(&behind(done)) == Ordering::Less
            }
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<AuditRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        let entries = match self.is_refused_next() {
            true => &mut self.refused,
            false => &mut self.done,
        };
        let entry = entries.as_mut()?.next()?;
        Some(entry.and_then(|(_, value)| codec::read_json(&value)))
    }
}
