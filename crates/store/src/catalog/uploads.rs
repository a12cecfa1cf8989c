//! Owns the records of uploads: manifests and the parts that have arrived.
//!
//! Must not know the files that hold the parts, only their names.

use sanntid_types::{EntityName, Incarnation, Instant, JobId, Manifest, SnapshotId};
use serde::{Deserialize, Serialize};

use super::{get_json, json_under, number_at, put_json};
use crate::{
    codec,
    error::Result,
    key::{Key, meta},
    kv::{Order, Snapshot, Space, WriteBatch},
};

/// How the rows of an uploaded part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PartEncoding {
    Csv,
    CsvGzip,
    CsvZstd,
    Ndjson,
    NdjsonGzip,
    NdjsonZstd,
    Parquet,
}

/// One uploaded part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartRecord {
    pub entity: EntityName,
    pub number: u32,
    pub encoding: PartEncoding,
    pub bytes: u64,
    /// The BLAKE3 hash of its bytes, in hex; empty where the part is older than these hashes.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first four stand in stores since uploads have hashes, or longer.
    #[test]
    fn parts_are_stored_under_names_that_stay() {
        for (name, encoding) in [
            ("Csv", PartEncoding::Csv),
            ("CsvGzip", PartEncoding::CsvGzip),
            ("Ndjson", PartEncoding::Ndjson),
            ("NdjsonGzip", PartEncoding::NdjsonGzip),
            ("CsvZstd", PartEncoding::CsvZstd),
            ("NdjsonZstd", PartEncoding::NdjsonZstd),
            ("Parquet", PartEncoding::Parquet),
        ] {
            let json = format!(
                r#"{{"entity":"Customer","number":1,"encoding":"{name}","bytes":5,"file":"f"}}"#
            );
            let part: PartRecord = serde_json::from_str(&json).expect("readable");
            assert_eq!(
                (part.encoding, part.hash.as_str()),
                (encoding, ""),
                "{name}"
            );
            assert_eq!(serde_json::to_string(&part).expect("writable"), json);
        }
    }
}
