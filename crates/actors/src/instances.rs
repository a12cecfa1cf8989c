//! Owns the list of instances: creating, renaming, deleting and resetting them (rules 6.12).
//!
//! Each is one durable record. Must not leave two owners of an instance: its slot is closed first.

use std::sync::Arc;

use sanntid_engine::{CallError, NewInstance, TenantState};
use sanntid_store::{
    WriteBatch,
    catalog::{self, AuditLogNumber},
};
use sanntid_types::{
    Actor, AuditNote, Error, ErrorCode, InstanceId, InstanceInfo, InstanceName, JobKind,
};

use crate::{
    audit,
    node::{ATTEMPTS_MAX, Shared, not_found, settled_snapshot},
    outcome::{call_error, refusal, unavailable},
    refresh,
    registry::{Close, ClosedSlot},
    tenant::Leave,
    uploads,
};

impl Shared {
    /// Runs `work`, which may block, aside.
    pub(crate) async fn aside<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Arc<Self>) -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let shared = Arc::clone(self);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::error!(%error, "work was not finished");
                Err(CallError::Unknown)
            }
        }
    }

    pub(crate) fn list_instances(&self) -> Result<Vec<InstanceInfo>, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let infos = catalog::instances(&*snapshot).map(|record| Ok(record?.info));
        let infos: Result<_, sanntid_store::Error> = infos.collect();
        Ok(infos.map_err(|error| refusal(&error))?)
    }

    pub(crate) fn record_of(&self, id: InstanceId) -> Result<catalog::InstanceRecord, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let found = catalog::instance(&*snapshot, id).map_err(|error| refusal(&error))?;
        Ok(found.ok_or_else(|| not_found(id))?)
    }

    fn settled_record_of(&self, id: InstanceId) -> Result<catalog::InstanceRecord, CallError> {
        let snapshot = settled_snapshot(&*self.kv).map_err(|error| refusal(&error))?;
        let found = catalog::instance(&*snapshot, id).map_err(|error| refusal(&error))?;
        Ok(found.ok_or_else(|| not_found(id))?)
    }

    pub(crate) fn create_instance(&self, new: NewInstance) -> Result<InstanceInfo, CallError> {
        let _one_at_a_time = self.instance_changes.lock();
        let id = new.id.unwrap_or_else(|| InstanceId(uuid::Uuid::new_v4()));
        let now = self.clock.now();
        let mut batch = WriteBatch::new();
        let snapshot = settled_snapshot(&*self.kv).map_err(|error| refusal(&error))?;
        let found = catalog::instance(&*snapshot, id).map_err(|error| refusal(&error))?;
        if found.is_some() {
            let text = format!("there is an instance {id} already");
            let error = Error::new(ErrorCode::InstanceExists, text);
            return Err(error.with_target("instanceMetadata.instanceId").into());
        }
        let incarnation = catalog::next_incarnation(&*snapshot, &mut batch);
        let incarnation = incarnation.map_err(|error| refusal(&error))?;
        let mut state = TenantState::new(id, incarnation);
        if let Some(source) = new.copy_of {
            let copied = catalog::instance(&*snapshot, source).and_then(|found| {
                found.map_or(Ok(None), |found| {
                    catalog::tenant(&*snapshot, found.incarnation)
                })
            });
            let copied = copied.map_err(|error| refusal(&error))?;
            let copied = copied.ok_or_else(|| nothing_to_copy(source))?;
            state.settings = copied.settings;
            state.activities = copied.activities;
            if !copied.entities.is_empty() {
                let job = refresh::queued(JobKind::Copy(source), now);
                catalog::put_job(&mut batch, incarnation, &job);
            }
        }
        drop(snapshot);
        let info = InstanceInfo {
            id,
            name: new.name.clone(),
            instance_type: new.instance_type,
            version: 1,
            created_at: now,
            created_by: new.by.name.clone(),
            updated_at: now,
            updated_by: new.by.name.clone(),
        };
        let record = catalog::InstanceRecord {
            info: info.clone(),
            incarnation,
            log: None,
        };
        catalog::put_instance(&mut batch, &record);
        note_creation(&mut batch, &record, &new);
        catalog::put_tenant(&mut batch, &state);
        let committed = self.kv.commit(batch);
        if new.copy_of.is_some() {
            // Also where the outcome is in doubt: the job may be there once the store has recovered.
            self.refreshes.queue(id);
        }
        committed.map_err(|error| call_error(&error))?;
        Ok(info)
    }

    pub(crate) fn rename_instance(
        &self,
        id: InstanceId,
        name: InstanceName,
        by: Actor,
    ) -> Result<InstanceInfo, CallError> {
        let _one_at_a_time = self.instance_changes.lock();
        let mut record = self.settled_record_of(id)?;
        let note = AuditNote::default()
            .with("name", name.as_str())
            .with("nameBefore", record.info.name.as_str());
        record.info.name = name;
        record.info.version += 1;
        record.info.updated_at = self.clock.now();
        record.info.updated_by.clone_from(&by.name);
        let mut batch = WriteBatch::new();
        let at = record.info.updated_at;
        audit::done(&mut batch, AuditLogNumber::of(&record), at, by, note);
        catalog::put_instance(&mut batch, &record);
        self.kv.commit(batch).map_err(|error| call_error(&error))?;
        Ok(record.info)
    }

    /// Ends an instance's life; with `again`, the instance begins a new one.
    pub(crate) async fn end_life(
        self: &Arc<Self>,
        id: InstanceId,
        again: bool,
        by: Actor,
    ) -> Result<(), CallError> {
        self.record_of(id)?;
        let slot = self.close(id).await?;
        self.aside(move |shared| {
            let ended = shared.commit_end(id, again, by)?;
            shared.refreshes.cancel_of(id);
            shared.expiry.forget(ended);
            drop(slot);
            uploads::remove_files_of(shared, ended);
            Ok(())
        })
        .await
    }

    async fn close(&self, id: InstanceId) -> Result<ClosedSlot, CallError> {
        for _ in 0..ATTEMPTS_MAX {
            match self.registry.close(id)? {
                Close::Empty(slot) => return Ok(slot),
                Close::Leaving(slot, addr, changed) => {
                    // One that is gone already has said so.
                    addr.try_send(Leave).ok();
                    self.registry.wait(id, changed).await?;
                    return Ok(slot);
                }
                Close::Wait(changed) => self.registry.wait(id, changed).await?,
            }
        }
        Err(unavailable(id, "is busy with another change; nothing was changed").into())
    }

    fn commit_end(
        &self,
        id: InstanceId,
        again: bool,
        by: Actor,
    ) -> Result<sanntid_types::Incarnation, CallError> {
        let _one_at_a_time = self.instance_changes.lock();
        let mut record = self.settled_record_of(id)?;
        let ended = record.incarnation;
        let now = self.clock.now();
        let mut batch = WriteBatch::new();
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        catalog::drop_incarnation(&mut batch, ended, now);
        for job in catalog::active_jobs_of(&*snapshot, ended).map_err(|error| refusal(&error))? {
            catalog::forget_active_job(&mut batch, ended, job);
        }
        let log = AuditLogNumber::of(&record);
        if again {
            record.log = Some(log.life());
            audit::done(&mut batch, log, now, by, AuditNote::default());
            let before = catalog::tenant(&*snapshot, ended).map_err(|error| refusal(&error))?;
            let incarnation = catalog::next_incarnation(&*snapshot, &mut batch);
            record.incarnation = incarnation.map_err(|error| refusal(&error))?;
            record.info.version += 1;
            record.info.updated_at = now;
            let mut state = TenantState::new(id, record.incarnation);
            if let Some(before) = before {
                state.settings = before.settings;
                state.activities = before.activities;
            }
            for source in catalog::data_sources(&*snapshot, ended) {
                let source = source.map_err(|error| refusal(&error))?;
                catalog::put_data_source(&mut batch, record.incarnation, &source);
            }
            for schedule in catalog::schedules(&*snapshot, ended) {
                let schedule = schedule.map_err(|error| refusal(&error))?;
                catalog::put_schedule(&mut batch, record.incarnation, &schedule);
            }
            catalog::put_instance(&mut batch, &record);
            catalog::put_tenant(&mut batch, &state);
        } else {
            let note = AuditNote::of(id).with("name", record.info.name.as_str());
            audit::done(&mut batch, AuditLogNumber::SERVER, now, by, note);
            catalog::end_audit(&mut batch, log);
            catalog::remove_instance(&mut batch, id);
            let access = catalog::access(&*snapshot, id).map_err(|error| refusal(&error))?;
            catalog::remove_access(&mut batch, id, &access.unwrap_or_default());
        }
        drop(snapshot);
        let committed = self.kv.commit(batch);
        self.known_access.forget(id);
        committed.map_err(|error| call_error(&error))?;
        Ok(ended)
    }
}

/// Notes a new instance in the server's log and in its own.
fn note_creation(batch: &mut WriteBatch, record: &catalog::InstanceRecord, new: &NewInstance) {
    let mut note = AuditNote::of(record.info.id).with("name", record.info.name.as_str());
    if let Some(source) = new.copy_of {
        note = note.with("copyOf", source);
    }
    let logs = [AuditLogNumber::SERVER, AuditLogNumber::of(record)];
    audit::done_in(batch, logs, record.info.created_at, new.by.clone(), note);
}

/// The published client knows no 404 here.
fn nothing_to_copy(source: InstanceId) -> Error {
    let text = format!("there is no instance {source} to copy");
    Error::new(ErrorCode::InvalidArgument, text).with_target("instanceIdToCopy")
}
