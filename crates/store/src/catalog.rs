//! Owns the records of `meta`: instances, tenants' state, tables, jobs and uploads.
//!
//! Must not decide: it reads what is there and writes what it is told, in the caller's batch.

use sanntid_engine::{Record, TenantState};
use sanntid_types::{
    EntityName, Incarnation, InstanceId, InstanceInfo, Instant, Job, JobId, Manifest, Position,
    RowRejection, SnapshotId, TableId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    codec::{self, Lifetime},
    error::Result,
    key::{Key, meta},
    kv::{Order, Snapshot, Space, WriteBatch},
};

/// An instance and its present life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceRecord {
    pub info: InstanceInfo,
    pub incarnation: Incarnation,
}

/// Where a table is in its life. One that nothing will refer to again is listed apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableState {
    /// A job fills it; nothing refers to it yet.
    Loading(JobId),
    /// A generation names it.
    Live,
}

/// How the rows of an uploaded part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartEncoding {
    Csv,
    CsvGzip,
    Ndjson,
    NdjsonGzip,
}

/// One uploaded part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    pub entity: EntityName,
    pub number: u32,
    pub encoding: PartEncoding,
    pub bytes: u64,
    /// Names the file that holds it.
    pub file: String,
}

/// One upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRecord {
    pub id: SnapshotId,
    pub manifest: Manifest,
    pub opened_at: Instant,
    pub expires_at: Instant,
    /// The job that loads it.
    pub job: Option<JobId>,
    pub parts: Vec<PartRecord>,
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

/// Writes the state of a tenant, without its position: that is written with each write.
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
                let key = Key::overlay(incarnation, profile).into_bytes();
                let Some(expires_at) = overlay.expires_at() else {
                    batch.delete(Space::Overlay, key);
                    continue;
                };
                let newest = overlay.iter().map(|(_, entry)| entry.accepted_at).max();
                let lifetime = Lifetime {
                    expires_at,
                    cleared_by: newest,
                };
                batch.put(Space::Overlay, key, codec::expiring(lifetime, overlay));
            }
            Record::Activity { activity, identity } => {
                let id = &activity.activity.id;
                let lifetime = Lifetime {
                    expires_at: activity.expires_at,
                    cleared_by: None,
                };
                let key = Key::activities(incarnation, &activity.owner);
                let key = key
                    .newest_first(activity.activity.time)
                    .bytes(id.as_str().as_bytes());
                batch.put(
                    Space::Activities,
                    key.into_bytes(),
                    codec::expiring(lifetime, activity),
                );
                let key = Key::identity(incarnation, id).into_bytes();
                batch.put(Space::Activities, key, codec::expiring(lifetime, identity));
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

/// Forgets a table of which nothing is left.
pub(crate) fn forget_table(batch: &mut WriteBatch, incarnation: Incarnation, table: TableId) {
    let key = Key::of_tenant(meta::DEAD_TABLE, incarnation).number(table.0);
    batch.delete(Space::Meta, key.into_bytes());
}

/// Reads one job.
pub fn job(snapshot: &dyn Snapshot, incarnation: Incarnation, id: JobId) -> Result<Option<Job>> {
    get_json(snapshot, &Key::job(meta::JOB, incarnation, id))
}

/// Reads jobs, newest first.
pub fn jobs(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> impl Iterator<Item = Result<Job>> + '_ {
    let prefix = Key::of_tenant(meta::JOB, incarnation);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Descending);
    entries.map(|entry| codec::read_json(&entry?.1))
}

/// Writes one job. Ids are version 7, so that later jobs stand behind earlier ones.
pub fn put_job(batch: &mut WriteBatch, incarnation: Incarnation, job: &Job) {
    put_json(batch, Key::job(meta::JOB, incarnation, job.id), job);
    let active = Key::job(meta::ACTIVE_JOB, incarnation, job.id).into_bytes();
    if job.status.is_ended() {
        batch.delete(Space::Meta, active);
    } else {
        batch.put(Space::Meta, active, Vec::new());
    }
}

/// Takes a job off the list of those that have not ended, whatever it says itself.
pub fn forget_active_job(batch: &mut WriteBatch, incarnation: Incarnation, job: JobId) {
    batch.delete(
        Space::Meta,
        Key::job(meta::ACTIVE_JOB, incarnation, job).into_bytes(),
    );
}

/// The jobs of all tenants that have not ended, in the order of their tenants and ids.
pub fn active_jobs(snapshot: &dyn Snapshot) -> Result<Vec<(Incarnation, JobId)>> {
    let prefix = Key::meta(meta::ACTIVE_JOB);
    job_keys(snapshot, &prefix)
}

/// The jobs of one tenant that have not ended, oldest first.
pub fn active_jobs_of(snapshot: &dyn Snapshot, incarnation: Incarnation) -> Result<Vec<JobId>> {
    let found = job_keys(snapshot, &Key::of_tenant(meta::ACTIVE_JOB, incarnation))?;
    Ok(found.into_iter().map(|(_, job)| job).collect())
}

fn job_keys(snapshot: &dyn Snapshot, prefix: &Key) -> Result<Vec<(Incarnation, JobId)>> {
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries
        .map(|entry| {
            let (key, _) = entry?;
            let id = key.get(9..).and_then(|id| uuid::Uuid::from_slice(id).ok());
            let id = id.ok_or_else(|| codec::corrupt("a job's key is cut off"))?;
            Ok((Incarnation(number_at(&key, 1)?), JobId(id)))
        })
        .collect()
}

/// Reads rejected rows of a job in the order in which they were met.
pub fn rejections(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    job: JobId,
) -> impl Iterator<Item = Result<RowRejection>> + '_ {
    json_under(snapshot, &Key::job(meta::REJECTION, incarnation, job))
}

/// Writes the `number`-th rejected row of a job.
pub fn put_rejection(
    batch: &mut WriteBatch,
    incarnation: Incarnation,
    job: JobId,
    number: u64,
    rejection: &RowRejection,
) {
    put_json(
        batch,
        Key::job(meta::REJECTION, incarnation, job).number(number),
        rejection,
    );
}

/// Reads one upload.
pub fn upload(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
    id: SnapshotId,
) -> Result<Option<UploadRecord>> {
    get_json(snapshot, &Key::upload(incarnation, id))
}

/// Reads all uploads of a tenant.
pub fn uploads(
    snapshot: &dyn Snapshot,
    incarnation: Incarnation,
) -> impl Iterator<Item = Result<UploadRecord>> + '_ {
    json_under(snapshot, &Key::of_tenant(meta::UPLOAD, incarnation))
}

/// Reads all uploads of all tenants.
pub fn all_uploads(
    snapshot: &dyn Snapshot,
) -> impl Iterator<Item = Result<(Incarnation, UploadRecord)>> + '_ {
    let prefix = Key::meta(meta::UPLOAD);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries.map(|entry| {
        let (key, value) = entry?;
        Ok((Incarnation(number_at(&key, 1)?), codec::read_json(&value)?))
    })
}

/// Writes one upload.
pub fn put_upload(batch: &mut WriteBatch, incarnation: Incarnation, record: &UploadRecord) {
    put_json(batch, Key::upload(incarnation, record.id), record);
}

/// Removes one upload.
pub fn remove_upload(batch: &mut WriteBatch, incarnation: Incarnation, id: SnapshotId) {
    batch.delete(Space::Meta, Key::upload(incarnation, id).into_bytes());
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

fn next_number(snapshot: &dyn Snapshot, batch: &mut WriteBatch, key: Key) -> Result<u64> {
    let stored = snapshot.get(Space::Meta, key.as_bytes())?;
    let last: u64 = stored
        .map(|value| codec::read_compact(&value))
        .transpose()?
        .unwrap_or(0);
    batch.put(Space::Meta, key.into_bytes(), codec::compact(&(last + 1)));
    Ok(last + 1)
}

fn number_at(key: &[u8], offset: usize) -> Result<u64> {
    let bytes = key.get(offset..).and_then(|rest| rest.first_chunk());
    let bytes = bytes.ok_or_else(|| codec::corrupt("a key is cut off"))?;
    Ok(u64::from_be_bytes(*bytes))
}
