//! Owns the record of how much a tenant keeps of what came by calls. It is written with each write
//! that changes it, so that it tells of exactly what is stored.

use sanntid_types::{Incarnation, Usage};

use crate::{
    codec,
    error::Result,
    key::{Key, meta},
    kv::{Snapshot, Space, WriteBatch},
};

/// Reads how much a tenant keeps; `None` where it was never counted.
pub fn usage(snapshot: &dyn Snapshot, incarnation: Incarnation) -> Result<Option<Usage>> {
    let key = Key::of_tenant(meta::USAGE, incarnation);
    let value = snapshot.get(Space::Meta, key.as_bytes())?;
    value.map(|value| codec::read_compact(&value)).transpose()
}

/// Forgets how much a tenant keeps: it is counted anew when it is needed.
pub fn remove_usage(batch: &mut WriteBatch, incarnation: Incarnation) {
    let key = Key::of_tenant(meta::USAGE, incarnation);
    batch.delete(Space::Meta, key.into_bytes());
}

/// Writes how much a tenant keeps.
pub fn put_usage(batch: &mut WriteBatch, incarnation: Incarnation, usage: &Usage) {
    let key = Key::of_tenant(meta::USAGE, incarnation);
    batch.put(Space::Meta, key.into_bytes(), codec::compact(usage));
}
