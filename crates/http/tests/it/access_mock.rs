//! The mock's side of access: keeps who may do what in its one instance.

use std::sync::Arc;

use sanntid_engine::{Access, CallError, Later, NewKey, key_hash};
use sanntid_types::{
    Actor, ApiKey, ApiKeys, Assignment, InstanceAccess, InstanceId, InstanceInfo, InstanceLimits,
    KeySlot, PrincipalId, Role, Usage,
};

use crate::mock::Mock;
use crate::stored::{at, instance};

/// What the text of a key of the mock's instance is.
pub(crate) fn key_text(slot: KeySlot) -> String {
    format!("snt_{}_{}", instance().0.simple(), slot.name())
}

impl Access for Mock {
    fn access(&self, of: InstanceId) -> Result<Option<Arc<InstanceAccess>>, CallError> {
        let access = || Arc::new(self.access.lock().unwrap().clone());
        Ok((of == instance()).then(access))
    }

    fn instances_of(&self, principals: Vec<PrincipalId>) -> Later<'_, Vec<InstanceInfo>> {
        let access = self.access.lock().unwrap();
        let mut given = access.assignments.iter();
        let has = given.any(|one| principals.contains(&one.principal));
        self.answer("instances_of", None, move || {
            has.then(Mock::info).into_iter().collect()
        })
    }

    fn renew_key(&self, of: InstanceId, slot: KeySlot, by: Actor) -> Later<'_, NewKey> {
        let text = key_text(slot);
        let key = ApiKey {
            hash: *key_hash(&text).as_bytes(),
            hint: text.chars().rev().take(4).collect(),
            made_at: at("2026-11-23T12:00:00Z"),
            made_by: by.name,
        };
        let keys = &mut self.access.lock().unwrap().keys;
        match slot {
            KeySlot::Primary => keys.primary = Some(key.clone()),
            KeySlot::Secondary => keys.secondary = Some(key.clone()),
        }
        self.answer("renew_key", Some(of), move || NewKey { slot, key, text })
    }

    fn set_keys(
        &self,
        of: InstanceId,
        enabled: Option<bool>,
        role: Option<Role>,
        _: Actor,
    ) -> Later<'_, ApiKeys> {
        let keys = &mut self.access.lock().unwrap().keys;
        keys.enabled = enabled.unwrap_or(keys.enabled);
        keys.role = role.unwrap_or(keys.role);
        let keys = keys.clone();
        self.answer("set_keys", Some(of), move || keys)
    }

    fn assign(
        &self,
        of: InstanceId,
        assignment: Assignment,
        _: Actor,
    ) -> Later<'_, Vec<Assignment>> {
        let all = &mut self.access.lock().unwrap().assignments;
        all.retain(|one| one.principal != assignment.principal);
        all.push(assignment);
        all.sort_by(|one, other| one.principal.cmp(&other.principal));
        let all = all.clone();
        self.answer("assign", Some(of), move || all)
    }

    fn unassign(&self, of: InstanceId, principal: PrincipalId, _: Actor) -> Later<'_, ()> {
        let all = &mut self.access.lock().unwrap().assignments;
        all.retain(|one| one.principal != principal);
        self.answer("unassign", Some(of), || ())
    }

    fn usage(&self, of: InstanceId) -> Later<'_, Usage> {
        let usage = Usage {
            overlay_fields: 12,
            activities: 3,
            stored_bytes: 980,
        };
        self.answer("usage", Some(of), move || usage)
    }

    fn set_limits(
        &self,
        of: InstanceId,
        limits: InstanceLimits,
        _: Actor,
    ) -> Later<'_, InstanceLimits> {
        self.access.lock().unwrap().limits = limits.clone();
        self.answer("set_limits", Some(of), move || limits)
    }
}
