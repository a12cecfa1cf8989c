//! Owns who may do what in each instance: the durable record, and what of it is kept in memory.
//!
//! A change is committed before it is shown, and shown before it is answered. Must not decide what a
//! role allows: front doors do.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::RwLock;
use sanntid_engine::{Access, CallError, Later, NewKey, key_hash};
use sanntid_store::{
    WriteBatch,
    catalog::{self, AuditLogNumber},
};
use sanntid_types::{
    Actor, ApiKey, ApiKeys, Assignment, AuditNote, Error, ErrorCode, InstanceAccess, InstanceId,
    InstanceInfo, InstanceLimits, KeySlot, PrincipalId, Role, Usage,
};
use uuid::Uuid;

use crate::{
    audit,
    node::{Node, Shared, is_settled, not_found, settled_snapshot},
    outcome::{call_error, refusal},
};

/// How many instances' records are kept in memory; beyond it, all are read anew.
const KEPT_MAX: usize = 20_000;

/// How many characters of a key people may see.
const HINT_CHARS: usize = 4;

/// What is kept in memory of the instances that were called lately.
#[derive(Default)]
pub(crate) struct Known(RwLock<Generation>);

/// What was read since the last change of any record.
#[derive(Default)]
struct Generation {
    /// Counts changes: what was read before one may be outdated after it.
    changes: u64,
    records: HashMap<InstanceId, Arc<InstanceAccess>>,
}

impl Known {
    fn get(&self, instance: InstanceId) -> Option<Arc<InstanceAccess>> {
        self.0.read().records.get(&instance).cloned()
    }

    fn changes(&self) -> u64 {
        self.0.read().changes
    }

    /// Keeps what was read when there had been so many changes, unless there was one since.
    fn keep(&self, instance: InstanceId, access: &Arc<InstanceAccess>, changes: u64) {
        let mut known = self.0.write();
        if known.changes != changes {
            return;
        }
        if known.records.len() >= KEPT_MAX {
            known.records.clear();
        }
        known.records.insert(instance, Arc::clone(access));
    }

    /// Forgets what was read of an instance whose record is changing or has changed.
    pub(crate) fn forget(&self, instance: InstanceId) {
        let mut known = self.0.write();
        known.changes += 1;
        known.records.remove(&instance);
    }
}

impl Access for Node {
    fn access(&self, instance: InstanceId) -> Result<Option<Arc<InstanceAccess>>, CallError> {
        self.shared.access_of(instance)
    }

    fn instances_of(&self, principals: Vec<PrincipalId>) -> Later<'_, Vec<InstanceInfo>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.instances_of(&principals)),
        )
    }

    fn renew_key(&self, instance: InstanceId, slot: KeySlot, by: Actor) -> Later<'_, NewKey> {
        Box::pin(self.shared.aside(move |shared| {
            let text = new_key(instance);
            let hidden = text.len().saturating_sub(HINT_CHARS);
            let key = ApiKey {
                hash: *key_hash(&text).as_bytes(),
                hint: text.get(hidden..).unwrap_or_default().to_owned(),
                made_at: shared.clock.now(),
                made_by: by.name.clone(),
            };
            let kept = key.clone();
            shared.change_access(instance, by, move |access| {
                let note = AuditNote::of(slot.name()).with("hint", &kept.hint);
                match slot {
                    KeySlot::Primary => access.keys.primary = Some(kept),
                    KeySlot::Secondary => access.keys.secondary = Some(kept),
                }
                Ok(note)
            })?;
            Ok(NewKey { slot, key, text })
        }))
    }

    fn set_keys(
        &self,
        instance: InstanceId,
        enabled: Option<bool>,
        role: Option<Role>,
        by: Actor,
    ) -> Later<'_, ApiKeys> {
        Box::pin(self.shared.aside(move |shared| {
            let access = shared.change_access(instance, by, |access| {
                let keys = &mut access.keys;
                keys.enabled = enabled.unwrap_or(keys.enabled);
                keys.role = role.unwrap_or(keys.role);
                let note = AuditNote::of("keys").with("enabled", keys.enabled);
                Ok(note.with("role", keys.role.name()))
            })?;
            Ok(access.keys.clone())
        }))
    }

    fn assign(
        &self,
        instance: InstanceId,
        assignment: Assignment,
        by: Actor,
    ) -> Later<'_, Vec<Assignment>> {
        Box::pin(self.shared.aside(move |shared| {
            let most = shared.config.assignments_max;
            let access = shared.change_access(instance, by, |access| {
                let note = noted(&assignment);
                let all = &mut access.assignments;
                match all.binary_search_by(|one| one.principal.cmp(&assignment.principal)) {
                    Ok(at) => {
                        all.remove(at);
                        all.insert(at, assignment);
                    }
                    Err(_) if all.len() >= most => {
                        let text = format!("an instance has at most {most} assignments of roles");
                        return Err(Error::new(ErrorCode::InvalidArgument, text));
                    }
                    Err(at) => all.insert(at, assignment),
                }
                Ok(note)
            })?;
            Ok(access.assignments.clone())
        }))
    }

    fn unassign(&self, instance: InstanceId, principal: PrincipalId, by: Actor) -> Later<'_, ()> {
        Box::pin(self.shared.aside(move |shared| {
            shared.change_access(instance, by, |access| {
                access.assignments.retain(|one| one.principal != principal);
                Ok(AuditNote::of(principal.as_str()).with("roles", "none"))
            })?;
            Ok(())
        }))
    }

    fn usage(&self, instance: InstanceId) -> Later<'_, Usage> {
        Box::pin(self.shared.aside(move |shared| shared.usage_of(instance)))
    }

    fn set_limits(
        &self,
        instance: InstanceId,
        limits: InstanceLimits,
        by: Actor,
    ) -> Later<'_, InstanceLimits> {
        Box::pin(self.shared.aside(move |shared| {
            let access = shared.change_access(instance, by, |access| {
                let note = AuditNote::of("limits").with_changes(&access.limits, &limits);
                access.limits = limits;
                Ok(note)
            })?;
            Ok(access.limits.clone())
        }))
    }
}

impl Shared {
    pub(crate) fn access_of(
        &self,
        instance: InstanceId,
    ) -> Result<Option<Arc<InstanceAccess>>, CallError> {
        if let Some(known) = self.known_access.get(instance) {
            return Ok(Some(known));
        }
        let changes = self.known_access.changes();
        // What is read while a commit is in doubt may be outdated once the store was re-opened.
        let is_settled = is_settled(&*self.kv);
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let found = catalog::instance(&*snapshot, instance).map_err(|error| refusal(&error))?;
        if found.is_none() {
            return Ok(None);
        }
        let access = catalog::access(&*snapshot, instance).map_err(|error| refusal(&error))?;
        let access = Arc::new(access.unwrap_or_default());
        if is_settled {
            self.known_access.keep(instance, &access, changes);
        }
        Ok(Some(access))
    }

    /// Reads the list of each principal, and the record of each instance in it.
    fn instances_of(&self, principals: &[PrincipalId]) -> Result<Vec<InstanceInfo>, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let mut ids = BTreeSet::new();
        for principal in principals {
            let of_one = catalog::instances_of(&*snapshot, principal);
            ids.extend(of_one.map_err(|error| refusal(&error))?);
        }
        let mut infos = Vec::with_capacity(ids.len());
        for id in ids {
            let found = catalog::instance(&*snapshot, id).map_err(|error| refusal(&error))?;
            infos.extend(found.map(|record| record.info));
        }
        Ok(infos)
    }

    /// Changes the record of an instance, durably, and shows it.
    fn change_access(
        &self,
        instance: InstanceId,
        by: Actor,
        change: impl FnOnce(&mut InstanceAccess) -> Result<AuditNote, Error>,
    ) -> Result<Arc<InstanceAccess>, CallError> {
        let _one_at_a_time = self.instance_changes.lock();
        let snapshot = settled_snapshot(&*self.kv).map_err(|error| refusal(&error))?;
        let found = catalog::instance(&*snapshot, instance).map_err(|error| refusal(&error))?;
        let record = found.ok_or_else(|| not_found(instance))?;
        let access = catalog::access(&*snapshot, instance).map_err(|error| refusal(&error))?;
        drop(snapshot);
        let before = access.unwrap_or_default();
        let mut access = before.clone();
        let note = change(&mut access)?;
        let mut batch = WriteBatch::new();
        let (log, now) = (AuditLogNumber::of(&record), self.clock.now());
        audit::done(&mut batch, log, now, by, note);
        catalog::put_access(&mut batch, instance, &before, &access);
        let committed = self.kv.commit(batch);
        // Also where the outcome is in doubt: whoever asks next reads what is there.
        self.known_access.forget(instance);
        committed.map_err(|error| call_error(&error))?;
        Ok(Arc::new(access))
    }
}

/// What a record says of an assignment.
fn noted(assignment: &Assignment) -> AuditNote {
    let roles = assignment.roles.iter().map(|role| role.name());
    AuditNote::of(assignment.principal.as_str())
        .with("type", format!("{:?}", assignment.kind).to_lowercase())
        .with("roles", roles.collect::<Vec<_>>().join(", "))
}

/// Makes a key of 244 random bits, from the system's source, that names its instance.
fn new_key(instance: InstanceId) -> String {
    let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
    format!(
        "snt_{}_{}{}",
        instance.0.simple(),
        one.simple(),
        two.simple()
    )
}
