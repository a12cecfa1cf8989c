//! A port with one instance in memory: says what it was asked, and fails as told.

use std::sync::{Arc, Mutex};

use sanntid_engine::{
    ActivitiesAnswer, AppendAnswer, AppendCall, ArrivedPart, AuditLog, AuditQuery, CallError,
    ClockState, Erased, JobRequest, Later, NewInstance, OpenSnapshot, PartFormat, PartSink,
    PatchAnswer, PatchCall, Readiness, Reading, RefusedAttempt, Snapshot, SnapshotState,
    TenantState, Tenants, WriteCall, Written,
};
use sanntid_types::{
    ActivityConfig, ActivityState, Actor, ClearedField, DataSource, DataSourceId, DataSourceSpec,
    DryRun, EntityName, Error, ErrorCode, InstanceAccess, InstanceId, InstanceInfo, InstanceName,
    InstanceType, Job, JobId, JobKind, JobStatus, Manifest, ProfileId, RejectionKind, RowRejection,
    Schedule, ScheduleId, Settings, SimulationRequest, SnapshotId, SourceState, Timezone,
};

use crate::stored::{Gate, Stored, activity, at, instance, job, loaded, profile_id, source};

/// What the mock was asked and what it holds.
pub(crate) struct Mock {
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) patches: Mutex<Vec<PatchCall>>,
    pub(crate) appends: Mutex<Vec<AppendCall>>,
    pub(crate) manifests: Mutex<Vec<Manifest>>,
    pub(crate) created: Mutex<Vec<NewInstance>>,
    pub(crate) parts: Arc<Parts>,
    pub(crate) gate: Arc<Gate>,
    /// What every call answers, where it is set.
    pub(crate) failure: Mutex<Option<CallError>>,
    pub(crate) panics: Mutex<bool>,
    pub(crate) readiness: Mutex<Readiness>,
    pub(crate) clock: Mutex<ClockState>,
    pub(crate) tenant: Mutex<TenantState>,
    pub(crate) append: Mutex<AppendAnswer>,
    pub(crate) job: Mutex<Job>,
    pub(crate) reproject: Mutex<bool>,
    /// Who may do what in the instance.
    pub(crate) access: Mutex<InstanceAccess>,
    /// What was refused.
    pub(crate) refused: Mutex<Vec<RefusedAttempt>>,
    /// What was asked of logs.
    pub(crate) audit: Mutex<Vec<(AuditLog, AuditQuery)>>,
}

impl Mock {
    pub(crate) fn new() -> Self {
        Self {
            calls: Mutex::default(),
            patches: Mutex::default(),
            appends: Mutex::default(),
            manifests: Mutex::default(),
            created: Mutex::default(),
            parts: Arc::default(),
            gate: Arc::default(),
            failure: Mutex::default(),
            panics: Mutex::new(false),
            readiness: Mutex::new(Readiness::Ready),
            clock: Mutex::new(ClockState {
                now: at("2026-11-23T12:00:00Z"),
                is_trusted: true,
            }),
            tenant: Mutex::new(loaded()),
            append: Mutex::new(AppendAnswer {
                activity: activity("a1"),
                customer: Some(profile_id("c1")),
                state: ActivityState::Stored,
                replayed: false,
            }),
            job: Mutex::new(job()),
            reproject: Mutex::new(false),
            access: Mutex::default(),
            refused: Mutex::default(),
            audit: Mutex::default(),
        }
    }

    pub(crate) fn fail(&self, failure: CallError) {
        *self.failure.lock().unwrap() = Some(failure);
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn answer<T: Send + 'static>(
        &self,
        name: &str,
        of: Option<InstanceId>,
        value: impl FnOnce() -> T + Send + 'static,
    ) -> Later<'_, T> {
        assert!(!*self.panics.lock().unwrap(), "told to panic");
        self.calls.lock().unwrap().push(name.to_owned());
        let failure = self.failure.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(failure) = failure {
                return Err(failure);
            }
            if of.is_some_and(|of| of != instance()) {
                let error = Error::new(ErrorCode::InstanceNotFound, "there is no such instance");
                return Err(error.into());
            }
            Ok(value())
        })
    }

    pub(crate) fn info() -> InstanceInfo {
        InstanceInfo {
            id: instance(),
            name: InstanceName::parse("Contoso").expect("a name"),
            instance_type: InstanceType::Sandbox,
            version: 3,
            created_at: at("2026-11-01T00:00:00Z"),
            created_by: "administrator".to_owned(),
            updated_at: at("2026-11-02T00:00:00Z"),
            updated_by: "administrator".to_owned(),
        }
    }
}

impl Tenants for Mock {
    fn read(&self, of: InstanceId) -> Later<'_, Reading> {
        let tenant = Arc::new(self.tenant.lock().unwrap().clone());
        let gate = Arc::clone(&self.gate);
        self.answer("read", Some(of), move || Reading {
            tenant,
            view: Box::new(Stored(gate)),
            now: at("2026-11-23T12:00:00Z"),
        })
    }

    fn patch(&self, of: InstanceId, call: PatchCall) -> Later<'_, PatchAnswer> {
        if std::str::from_utf8(&call.body).is_ok_and(|text| text.contains("tell unknown")) {
            return Box::pin(async { Err(CallError::Unknown) });
        }
        let moved = call.profile.as_str() == "old";
        let profile = if moved {
            profile_id("c1")
        } else {
            call.profile.clone()
        };
        self.patches.lock().unwrap().push(call);
        self.answer("patch", Some(of), move || PatchAnswer { profile })
    }

    fn append(&self, of: InstanceId, call: AppendCall) -> Later<'_, AppendAnswer> {
        self.appends.lock().unwrap().push(call);
        let answer = self.append.lock().unwrap().clone();
        self.answer("append", Some(of), move || answer)
    }

    fn write_many(
        &self,
        of: InstanceId,
        calls: Vec<WriteCall>,
    ) -> Later<'_, Vec<Result<Written, CallError>>> {
        let name = format!("write_many {}", calls.len());
        let answers = calls.into_iter().map(|call| self.written(call)).collect();
        self.answer(&name, Some(of), move || answers)
    }

    fn instances(&self) -> Later<'_, Vec<InstanceInfo>> {
        let info = Self::info();
        self.answer("instances", None, move || vec![info])
    }

    fn instance(&self, of: InstanceId) -> Later<'_, InstanceInfo> {
        let info = Self::info();
        self.answer("instance", Some(of), move || info)
    }

    fn create_instance(&self, new: NewInstance) -> Later<'_, InstanceInfo> {
        let info = InstanceInfo {
            id: new.id.unwrap_or_else(instance),
            name: new.name.clone(),
            instance_type: new.instance_type,
            ..Self::info()
        };
        self.created.lock().unwrap().push(new);
        self.answer("create_instance", None, move || info)
    }

    fn rename_instance(
        &self,
        of: InstanceId,
        name: InstanceName,
        by: Actor,
    ) -> Later<'_, InstanceInfo> {
        let info = InstanceInfo {
            name,
            updated_by: by.name,
            ..Self::info()
        };
        self.answer("rename_instance", Some(of), move || info)
    }

    fn delete_instance(&self, of: InstanceId, _: Actor) -> Later<'_, ()> {
        self.answer("delete_instance", Some(of), || ())
    }

    fn reset_instance(&self, of: InstanceId, _: Actor) -> Later<'_, ()> {
        self.answer("reset_instance", Some(of), || ())
    }

    fn set_settings(&self, of: InstanceId, settings: Settings, _: Actor) -> Later<'_, Settings> {
        self.tenant.lock().unwrap().settings = settings.clone();
        self.answer("set_settings", Some(of), move || settings)
    }

    fn set_activities(
        &self,
        of: InstanceId,
        activities: Vec<ActivityConfig>,
        _: Actor,
    ) -> Later<'_, ActivitiesAnswer> {
        self.tenant.lock().unwrap().activities = activities.clone();
        let reproject = *self.reproject.lock().unwrap();
        let job = reproject.then(|| Job {
            kind: JobKind::Reproject,
            ..self.job.lock().unwrap().clone()
        });
        self.answer("set_activities", Some(of), move || ActivitiesAnswer {
            activities,
            job,
        })
    }

    fn open_snapshot(&self, of: InstanceId, manifest: Manifest, _: Actor) -> Later<'_, Snapshot> {
        self.manifests.lock().unwrap().push(manifest);
        self.answer("open_snapshot", Some(of), || Snapshot {
            id: SnapshotId(uuid::Uuid::from_u128(7)),
            state: SnapshotState::Open,
            expires_at: at("2026-11-24T12:00:00Z"),
        })
    }

    fn open_part(
        &self,
        of: InstanceId,
        snapshot: SnapshotId,
        entity: EntityName,
        part: u32,
        format: PartFormat,
        _: Actor,
    ) -> Later<'_, Box<dyn PartSink>> {
        let parts = Arc::clone(&self.parts);
        let name = format!("open_part {snapshot} {entity} {part} {format:?}");
        self.answer(&name, Some(of), move || {
            let sink: Box<dyn PartSink> = Box::new(Sink {
                parts,
                bytes: Vec::new(),
                largest: 0,
            });
            sink
        })
    }

    fn open_snapshots(&self, of: InstanceId) -> Later<'_, Vec<OpenSnapshot>> {
        self.answer("open_snapshots", Some(of), || {
            let manifest = r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
                {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": []}]}"#;
            vec![OpenSnapshot {
                snapshot: Snapshot {
                    id: SnapshotId(uuid::Uuid::from_u128(7)),
                    state: SnapshotState::Open,
                    expires_at: at("2026-11-24T12:00:00Z"),
                },
                manifest: serde_json::from_str(manifest).expect("a manifest"),
                parts: vec![ArrivedPart {
                    entity: EntityName::parse("Customer").expect("a name"),
                    number: 1,
                    bytes: 30,
                    hash: "ab".repeat(32),
                }],
            }]
        })
    }

    fn commit_snapshot(&self, of: InstanceId, snapshot: SnapshotId, _: Actor) -> Later<'_, Job> {
        let job = self.job.lock().unwrap().clone();
        self.answer(
            &format!("commit_snapshot {snapshot}"),
            Some(of),
            move || job,
        )
    }

    fn abort_snapshot(&self, of: InstanceId, snapshot: SnapshotId, _: Actor) -> Later<'_, ()> {
        self.answer(&format!("abort_snapshot {snapshot}"), Some(of), || ())
    }

    fn data_sources(&self, of: InstanceId) -> Later<'_, Vec<(DataSource, SourceState)>> {
        self.answer("data_sources", Some(of), || {
            vec![(source(), SourceState::default())]
        })
    }

    fn put_data_source(
        &self,
        of: InstanceId,
        spec: DataSourceSpec,
        _: Actor,
    ) -> Later<'_, (DataSource, SourceState)> {
        let name = format!("put_data_source {} {}", spec.friendly_name, spec.location);
        self.answer(&name, Some(of), move || {
            let put = DataSource {
                id: spec.id,
                friendly_name: spec.friendly_name,
                location: spec.location,
                credentials: spec.credentials,
                ..source()
            };
            (put, SourceState::default())
        })
    }

    fn delete_data_source(&self, of: InstanceId, id: DataSourceId, _: Actor) -> Later<'_, ()> {
        self.answer(&format!("delete_data_source {id}"), Some(of), || ())
    }

    fn schedules(&self, of: InstanceId) -> Later<'_, Vec<Schedule>> {
        self.answer("schedules", Some(of), || vec![schedule()])
    }

    fn put_schedules(
        &self,
        of: InstanceId,
        schedules: Vec<Schedule>,
        _: Actor,
    ) -> Later<'_, Vec<Schedule>> {
        self.answer(
            &format!("put_schedules {schedules:?}"),
            Some(of),
            move || schedules,
        )
    }

    fn delete_schedule(&self, of: InstanceId, id: ScheduleId, _: Actor) -> Later<'_, ()> {
        self.answer(&format!("delete_schedule {id}"), Some(of), || ())
    }

    fn timezones(&self, of: InstanceId) -> Later<'_, Vec<Timezone>> {
        self.answer("timezones", Some(of), || {
            vec![Timezone {
                id: "Europe/Oslo".to_owned(),
                name: "Europe/Oslo".to_owned(),
            }]
        })
    }

    fn erase(&self, of: InstanceId, profile: ProfileId, by: Actor) -> Later<'_, Erased> {
        let erased = Erased {
            profile: profile.clone(),
            overlay_fields: 2,
            activities: 3,
            rejections: 1,
        };
        let call = format!("erase {profile} by {}", by.name);
        self.answer(&call, Some(of), move || erased)
    }

    fn submit_job(&self, of: InstanceId, request: JobRequest, _: Actor) -> Later<'_, Job> {
        let job = self.job.lock().unwrap().clone();
        self.answer(&format!("submit_job {request:?}"), Some(of), move || job)
    }

    fn simulate(&self, of: InstanceId, request: SimulationRequest, _: Actor) -> Later<'_, Job> {
        let job = self.job.lock().unwrap().clone();
        self.answer(&format!("simulate {request:?}"), Some(of), move || job)
    }

    fn dry_run(&self, of: InstanceId, request: SimulationRequest) -> Later<'_, DryRun> {
        self.answer(&format!("dry_run {request:?}"), Some(of), || DryRun {
            report: crate::stored::report(),
            clears: vec![ClearedField {
                profile_id: profile_id("c1"),
                field: "City".to_owned(),
            }],
        })
    }

    fn jobs(&self, of: InstanceId, top: usize) -> Later<'_, Vec<Job>> {
        let job = self.job.lock().unwrap().clone();
        self.answer(&format!("jobs {top}"), Some(of), move || vec![job])
    }

    fn job(&self, of: InstanceId, id: JobId) -> Later<'_, Job> {
        let job = self.job.lock().unwrap().clone();
        self.answer(&format!("job {id}"), Some(of), move || job)
    }

    fn job_rejections(
        &self,
        of: InstanceId,
        job: JobId,
        top: usize,
    ) -> Later<'_, Vec<RowRejection>> {
        self.answer(&format!("job_rejections {job} {top}"), Some(of), || {
            vec![RowRejection {
                kind: RejectionKind::Unmatched,
                entity: "Ecommerce_OnlinePurchases".to_owned(),
                part: Some(1),
                file: None,
                row: Some(17),
                key: None,
                column: None,
                reason: "no profile has the key".to_owned(),
            }]
        })
    }

    fn cancel_job(&self, of: InstanceId, id: JobId, _: Actor) -> Later<'_, Job> {
        let job = Job {
            status: JobStatus::Aborted,
            ..self.job.lock().unwrap().clone()
        };
        self.answer(&format!("cancel_job {id}"), Some(of), move || job)
    }

    fn readiness(&self) -> Readiness {
        self.readiness.lock().unwrap().clone()
    }

    fn clock(&self) -> ClockState {
        *self.clock.lock().unwrap()
    }

    fn confirm_clock(&self, _: Actor) -> Later<'_, ClockState> {
        self.clock.lock().unwrap().is_trusted = true;
        let clock = self.clock();
        self.answer("confirm_clock", None, move || clock)
    }
}

fn schedule() -> Schedule {
    Schedule {
        id: ScheduleId(uuid::Uuid::from_u128(11)),
        is_active: true,
        timezone_id: "Europe/Oslo".to_owned(),
        cron_schedules: vec!["0 2 * * *".to_owned()],
        request: sanntid_types::RefreshRequest::default(),
    }
}

/// What came of parts.
#[derive(Default)]
pub(crate) struct Parts {
    /// Bytes of each finished part, and the size of its largest write.
    pub(crate) finished: Mutex<Vec<(Vec<u8>, usize)>>,
    /// How many were dropped, finished or not.
    pub(crate) dropped: Mutex<usize>,
}

impl Parts {
    pub(crate) fn pop(&self) -> (Vec<u8>, usize) {
        self.finished.lock().unwrap().pop().expect("a part")
    }
}

struct Sink {
    parts: Arc<Parts>,
    bytes: Vec<u8>,
    largest: usize,
}

impl PartSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.starts_with(b"reject") {
            return Err(Error::new(ErrorCode::DiskFull, "no space is left"));
        }
        self.largest = self.largest.max(bytes.len());
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), CallError> {
        if self.bytes.starts_with(b"unknown") {
            return Err(CallError::Unknown);
        }
        assert!(!self.bytes.starts_with(b"panic"), "told to panic");
        let bytes = std::mem::take(&mut self.bytes);
        self.parts
            .finished
            .lock()
            .unwrap()
            .push((bytes, self.largest));
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        *self.parts.dropped.lock().unwrap() += 1;
    }
}
