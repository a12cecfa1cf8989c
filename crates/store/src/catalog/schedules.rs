//! Owns the records of refresh schedules, each with how far it was followed.

use sanntid_types::{Incarnation, ScheduleId, ScheduleRecord};

use super::{get_json, json_under, put_json};
use crate::{
    error::Result,
    key::{Key, meta},
    kv::{Snapshot, Space, WriteBatch},
};

/// Reads one schedule.
pub fn schedule(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    id: ScheduleId,
) -> Result<Option<ScheduleRecord>> {
    get_json(snapshot, &Key::schedule(incarnation, id))
}

/// Reads the schedules of a tenant in the order of their ids.
pub fn schedules(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> impl Iterator<Item = Result<ScheduleRecord>> + '_ {
    json_under(snapshot, &Key::of_tenant(meta::SCHEDULE, incarnation))
}

/// Writes one schedule.
pub fn put_schedule(batch: &mut WriteBatch, incarnation: Incarnation, record: &ScheduleRecord) {
    put_json(
        batch,
        Key::schedule(incarnation, record.schedule.id),
        record,
    );
}

/// Removes one schedule.
pub fn remove_schedule(batch: &mut WriteBatch, incarnation: Incarnation, id: ScheduleId) {
    batch.delete(Space::Meta, Key::schedule(incarnation, id).into_bytes());
}
