//! Owns the record of who may do what in an instance, and the list of each principal's instances.
//! Both are the instance's, not those of its present life: a reset keeps them (rules 6.12).

use std::collections::BTreeSet;

use sanntid_types::{InstanceAccess, InstanceId, PrincipalId};
use uuid::Uuid;

use super::{get_json, put_json};
use crate::{
    codec,
    error::Result,
    key::Key,
    kv::{Order, Snapshot, Space, WriteBatch},
};

/// Reads who may do what in an instance; `None` where nothing was ever said about it.
pub fn access(snapshot: &dyn Snapshot, instance: InstanceId) -> Result<Option<InstanceAccess>> {
    get_json(snapshot, &Key::access(instance))
}

/// Reads the instances in which a principal is assigned a role, in the order of their ids.
pub fn instances_of(snapshot: &dyn Snapshot, principal: &PrincipalId) -> Result<Vec<InstanceId>> {
    let prefix = Key::memberships(principal);
    let prefix = prefix.as_bytes();
    let entries = snapshot.prefix(Space::Meta, prefix, Order::Ascending);
    entries
        .map(|entry| {
            let (key, _) = entry?;
            let id = key.get(prefix.len()..).map(Uuid::from_slice);
            let id = id.and_then(std::result::Result::ok);
            let id = id.ok_or_else(|| codec::corrupt("a membership names no instance"))?;
            Ok(InstanceId(id))
        })
        .collect()
}

/// Writes who may do what in an instance, in place of what `before` says.
pub fn put_access(
    batch: &mut WriteBatch,
    instance: InstanceId,
    before: &InstanceAccess,
    access: &InstanceAccess,
) {
    put_json(batch, Key::access(instance), access);
    let (old, new) = (principals(before), principals(access));
    for gone in old.iter().filter(|one| !new.contains(*one)) {
        remove_membership(batch, instance, gone);
    }
    for come in new.iter().filter(|one| !old.contains(*one)) {
        let key = Key::memberships(come).bytes(instance.0.as_bytes());
        batch.put(Space::Meta, key.into_bytes(), Vec::new());
    }
}

/// Forgets who could do what in an instance that ends.
pub fn remove_access(batch: &mut WriteBatch, instance: InstanceId, before: &InstanceAccess) {
    batch.delete(Space::Meta, Key::access(instance).into_bytes());
    for gone in principals(before) {
        remove_membership(batch, instance, gone);
    }
}

fn principals(access: &InstanceAccess) -> BTreeSet<&PrincipalId> {
    access
        .assignments
        .iter()
        .map(|one| &one.principal)
        .collect()
}

fn remove_membership(batch: &mut WriteBatch, instance: InstanceId, principal: &PrincipalId) {
    let key = Key::memberships(principal).bytes(instance.0.as_bytes());
    batch.delete(Space::Meta, key.into_bytes());
}
