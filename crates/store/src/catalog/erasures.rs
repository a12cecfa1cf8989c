//! Owns the list of lives in which an erasure's records are not all removed yet.

use sanntid_types::{Incarnation, InstanceId};

use crate::{
    codec,
    error::Result,
    key::{Key, meta},
    kv::{Order, Snapshot, Space, WriteBatch},
};

/// Notes that an erasure is under way in a life.
pub fn put_erasing(batch: &mut WriteBatch, incarnation: Incarnation, instance: InstanceId) {
    let key = Key::of_tenant(meta::ERASING, incarnation);
    batch.put(Space::Meta, key.into_bytes(), codec::compact(&instance));
}

/// Notes that none is under way any more.
pub fn forget_erasing(batch: &mut WriteBatch, incarnation: Incarnation) {
    let key = Key::of_tenant(meta::ERASING, incarnation);
    batch.delete(Space::Meta, key.into_bytes());
}

/// The instances in which an erasure may be under way; of a life that has ended, none is.
pub fn erasing(snapshot: &dyn Snapshot) -> Result<Vec<InstanceId>> {
    let prefix = Key::meta(meta::ERASING);
    let entries = snapshot.prefix(Space::Meta, prefix.as_bytes(), Order::Ascending);
    entries
        .map(|entry| codec::read_compact(&entry?.1))
        .collect()
}
