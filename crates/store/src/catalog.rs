//! Owns the records of `meta`: instances, tenants' state, tables; jobs and uploads in modules.
//!
//! Must not decide: it reads what is there and writes what it is told, in the caller's batch.

mod access;
mod audit;
mod erasures;
mod jobs;
mod schedules;
mod sources;
mod uploads;
mod usage;

use sanntid_engine::{ActivityIdentity, Overlay, Record, StoredActivity, TenantState};
use sanntid_types::{Incarnation, InstanceId, InstanceInfo, Instant, JobId, Position, TableId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, Lifetime},
    error::Result,
    key::{Key, meta},
    kv::{Order, Snapshot, Space, WriteBatch},
    sweep::KEPT,
};

pub use access::{access, instances_of, put_access, remove_access};
pub use audit::{AuditLogNumber, AuditRange, audit, end_audit, put_audit};
pub(crate) use audit::{ended_log, forget_log, log_and_kind, log_range};
pub use erasures::{erasing, forget_erasing, put_erasing};
pub use jobs::{
    active_jobs, active_jobs_of, forget_active_job, job, jobs, put_job, put_rejection, rejections,
};
pub(crate) use jobs::{job_key, remove_job};
pub use schedules::{put_schedule, remove_schedule, schedule, schedules};
pub use sources::{
    data_source, data_sources, put_data_source, put_source_state, remove_data_source, source_state,
};
pub use uploads::{
    PartEncoding, PartRecord, UploadRecord, all_uploads, put_upload, remove_upload, upload, uploads,
};
pub use usage::{put_usage, remove_usage, usage};

/// An instance and its present life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    pub info: InstanceInfo,
    pub incarnation: Incarnation,
    /// The life whose number the audit log has; `None` where it is the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<Incarnation>,
}

/// Where a table is in its life. One that nothing will refer to again is listed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableState {
    /// A job fills it; nothing refers to it yet.
    Loading(JobId),
    /// A generation names it.
    Live,
}

/// Position and instant of the last write of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    position: Position,
    accepted_at: Instant,
}

/// Reads one instance.
pub fn instance(snapshot: &dyn Snapshot, id: InstanceId) -> Result<Option<InstanceRecord>> {
    get_json(snapshot, &Key::instance(id))
}

/// Reads all instances in the order of their ids.
pub fn instances(snapshot: &dyn Snapshot) -> impl Iterator<Item = Result<InstanceRecord>> + '_ {
    json_under(snapshot, &Key::meta(meta::INSTANCE))
}

/// Writes one instance.
pub fn put_instance(batch: &mut WriteBatch, record: &InstanceRecord) {
    put_json(batch, Key::instance(record.info.id), record);
}

/// Ends a life; what it left is reclaimed from `now` on.
pub fn drop_incarnation(batch: &mut WriteBatch, incarnation: Incarnation, now: Instant) {
    let key = Key::of_tenant(meta::DROPPED, incarnation);
    batch.put(Space::Meta, key.into_bytes(), codec::compact(&now));
}

/// Removes an instance; its life is ended with [`drop_incarnation`].
pub fn remove_instance(batch: &mut WriteBatch, id: InstanceId) {
    batch.delete(Space::Meta, Key::instance(id).into_bytes());
}

/// The incarnations that have ended and are not reclaimed yet, with when they ended.
pub fn dropped(snapshot: &dyn Snapshot) -> Result<Vec<(Incarnation, Instant)>> {
    let prefix = Key::meta(meta::DROPPED);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries
        .map(|entry| {
            let (key, value) = entry?;
            Ok((
                Incarnation(number_at(&key, 1)?),
                codec::read_compact(&value)?,
            ))
        })
        .collect()
}

/// Forgets an ended incarnation of which nothing is left.
pub(crate) fn forget_dropped(batch: &mut WriteBatch, incarnation: Incarnation) {
    batch.delete(
        Space::Meta,
        Key::of_tenant(meta::DROPPED, incarnation).into_bytes(),
    );
}

/// Reads the next incarnation that was never used, and writes that it is used now.
pub fn next_incarnation(snapshot: &dyn Snapshot, batch: &mut WriteBatch) -> Result<Incarnation> {
    next_number(snapshot, batch, Key::meta(meta::NEXT_INCARNATION)).map(Incarnation)
}

/// Reads the state of a tenant as of its last write.
pub fn tenant(snapshot: &dyn Snapshot, incarnation: Incarnation) -> Result<Option<TenantState>> {
    let key = Key::of_tenant(meta::TENANT, incarnation);
    let Some(mut state) = get_json::<TenantState>(snapshot, &key)? else {
        return Ok(None);
    };
    let head = Key::of_tenant(meta::HEAD, incarnation);
    if let Some(value) = snapshot.get(Space::Meta, head.as_bytes())? {
        let head: Head = codec::read_compact(&value)?;
        state.position = head.position;
        state.accepted_at = Some(head.accepted_at);
    }
    Ok(Some(state))
}

/// Writes the state of a tenant; of its last write the head tells, which is written with each.
pub fn put_tenant(batch: &mut WriteBatch, state: &TenantState) {
    put_json(
        batch,
        Key::of_tenant(meta::TENANT, state.incarnation),
        state,
    );
}

/// Writes what the core decided.
pub fn put_records(batch: &mut WriteBatch, incarnation: Incarnation, records: &[Record]) {
    for record in records {
        match record {
            Record::Overlay { profile, overlay } => {
                put_overlay(batch, Key::overlay(incarnation, profile), overlay);
            }
            Record::Activity { activity, identity } => {
                put_activity(batch, incarnation, activity, identity);
            }
            Record::Head {
                position,
                accepted_at,
            } => {
                let head = Head {
                    position: *position,
                    accepted_at: *accepted_at,
                };
                let key = Key::of_tenant(meta::HEAD, incarnation);
                batch.put(Space::Meta, key.into_bytes(), codec::compact(&head));
            }
        }
    }
}

/// Reads the next table number that was never used, and writes that it is used now.
pub fn next_table(
    snapshot: &dyn Snapshot,
    batch: &mut WriteBatch,
    incarnation: Incarnation,
) -> Result<TableId> {
    next_number(
        snapshot,
        batch,
        Key::of_tenant(meta::NEXT_TABLE, incarnation),
    )
    .map(TableId)
}

/// Writes where a table is in its life.
pub fn put_table(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    table: TableId,
    state: TableState,
) {
    let key = Key::of_tenant(meta::TABLE, incarnation).number(table.0);
    put_json(batch, key, &state);
}

/// Reads the tables of one tenant.
pub fn tables(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> Result<Vec<(TableId, TableState)>> {
    let prefix = Key::of_tenant(meta::TABLE, incarnation);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries
        .map(|entry| {
            let (key, value) = entry?;
            Ok((TableId(number_at(&key, 9)?), codec::read_json(&value)?))
        })
        .collect()
}

/// Gives a table up: it is reclaimed from `now` on.
pub fn give_up_table(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    table: TableId,
    now: Instant,
) {
    let key = Key::of_tenant(meta::TABLE, incarnation).number(table.0);
    batch.delete(Space::Meta, key.into_bytes());
    let key = Key::of_tenant(meta::DEAD_TABLE, incarnation).number(table.0);
    batch.put(Space::Meta, key.into_bytes(), codec::compact(&now));
}

/// The tables of all tenants that are given up and not reclaimed yet, with when.
pub(crate) fn dead_tables(snapshot: &dyn Snapshot) -> Result<Vec<(Incarnation, TableId, Instant)>> {
    let prefix = Key::meta(meta::DEAD_TABLE);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries
        .map(|entry| {
            let (key, value) = entry?;
            let (incarnation, table) = (number_at(&key, 1)?, number_at(&key, 9)?);
            let since = codec::read_compact(&value)?;
            Ok((Incarnation(incarnation), TableId(table), since))
        })
        .collect()
}

/// Whether a table is whole, also where it was given up, or its life ended, not long ago.
pub fn is_kept(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    table: TableId,
    now: Instant,
) -> Result<bool> {
    let since = |key: Key| -> Result<Option<Instant>> {
        let value = snapshot.get(Space::Meta, key.as_bytes())?;
        value.map(|value| codec::read_compact(&value)).transpose()
    };
    let ended = since(Key::of_tenant(meta::DROPPED, incarnation))?;
    if let Some(ended) = ended {
        return Ok(ended.plus(KEPT) > now);
    }
    let of_table = |kind: u8| Key::of_tenant(kind, incarnation).number(table.0);
    if let Some(given_up) = since(of_table(meta::DEAD_TABLE))? {
        return Ok(given_up.plus(KEPT) > now);
    }
    let listed = snapshot.get(Space::Meta, of_table(meta::TABLE).as_bytes())?;
    Ok(listed.is_some())
}

/// Forgets a table of which nothing is left.
pub(crate) fn forget_table(batch: &mut WriteBatch, incarnation: Incarnation, table: TableId) {
    let key = Key::of_tenant(meta::DEAD_TABLE, incarnation).number(table.0);
    batch.delete(Space::Meta, key.into_bytes());
}

pub(crate) fn put_overlay(batch: &mut WriteBatch, key: Key, overlay: &Overlay) {
    let Some(expires_at) = overlay.expires_at() else {
        batch.delete(Space::Overlay, key.into_bytes());
        return;
    };
    let newest = overlay.iter().map(|(_, entry)| entry.accepted_at).max();
    let lifetime = Lifetime {
        expires_at,
        cleared_by: newest,
    };
    let value = codec::expiring(lifetime, overlay);
    batch.put(Space::Overlay, key.into_bytes(), value);
}

fn put_activity(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    activity: &StoredActivity,
    identity: &ActivityIdentity,
) {
    let (id, time) = (&activity.activity.id, activity.activity.time);
    let lifetime = Lifetime {
        expires_at: activity.expires_at,
        cleared_by: None,
    };
    let key = Key::activity(incarnation, &activity.owner, time, id).into_bytes();
    let value = codec::expiring(lifetime, activity);
    batch.put(Space::Activities, key, value);
    let key = Key::identity(incarnation, id).into_bytes();
    let value = codec::expiring(lifetime, identity);
    batch.put(Space::Activities, key, value);
}

fn get_json<T: DeserializeOwned>(snapshot: &dyn Snapshot, key: &Key) -> Result<Option<T>> {
    let value = snapshot.get(Space::Meta, key.as_bytes())?;
    value.map(|value| codec::read_json(&value)).transpose()
}

fn put_json<T: Serialize>(batch: &mut WriteBatch, key: Key, value: &T) {
    batch.put(Space::Meta, key.into_bytes(), codec::json(value));
}

fn json_under<'a, T: DeserializeOwned + 'a>(
    snapshot: &'a dyn Snapshot,
    prefix: &Key,
) -> impl Iterator<Item = Result<T>> + use<'a, T> {
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries.map(|entry| codec::read_json(&entry?.1))
}

/// Counts on from what the batch holds already, else from what is stored.
fn next_number(snapshot: &dyn Snapshot, batch: &mut WriteBatch, key: Key) -> Result<u64> {
    let taken = batch.ops().iter().rev();
    let taken = taken
        .filter(|op| op.space == Space::Meta && op.key == key.as_bytes())
        .find_map(|op| op.value.clone());
    let last = match taken {
        Some(value) => Some(value),
        None => snapshot.get(Space::Meta, key.as_bytes())?,
    };
    let last: u64 = last
        .map(|value| codec::read_compact(&value))
        .transpose()?
        .unwrap_or(0);
    let next = last
        .checked_add(1)
        .ok_or_else(|| codec::corrupt("a number is at its end"))?;
    batch.put(Space::Meta, key.into_bytes(), codec::compact(&next));
    Ok(next)
}

fn number_at(key: &[u8], offset: usize) -> Result<u64> {
    let bytes = key.get(offset..).and_then(|rest| rest.first_chunk());
    let bytes = bytes.ok_or_else(|| codec::corrupt("a key is cut off"))?;
    Ok(u64::from_be_bytes(*bytes))
}
