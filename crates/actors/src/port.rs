//! Owns what the front door sees of a node: the port `Tenants`, by delegation.

use std::sync::Arc;

use sanntid_engine::{
    ActivitiesAnswer, AppendAnswer, AppendCall, CallError, ClockState, Erased, JobRequest, Later,
    NewInstance, OpenSnapshot, PartFormat, PartSink, PatchAnswer, PatchCall, Readiness, Reading,
    Snapshot, Tenants, WriteCall, Written, check_activities, needs_reprojection,
};
use sanntid_store::{Health, TenantView, catalog};
use sanntid_types::{
    ActivityConfig, Actor, AuditNote, DataSource, DataSourceId, DataSourceSpec, DryRun, EntityName,
    InstanceId, InstanceInfo, InstanceName, Job, JobId, JobKind, Manifest, ProfileId, RowRejection,
    Schedule, ScheduleId, Settings, SimulationRequest, SnapshotId, SourceState, Timezone,
};

use crate::{
    audit,
    node::{Node, Shared, not_found},
    outcome::{Reply, refusal},
    published::Published,
    refresh,
    tenant::Command,
};

impl Tenants for Node {
    fn read(&self, instance: InstanceId) -> Later<'_, Reading> {
        Box::pin(async move {
            if let Some(running) = self.shared.registry.readable(instance) {
                running.touch(self.shared.clock.now());
                return self.shared.reading(&running.published);
            }
            let running = self.shared.tenant(instance).await?;
            self.shared.reading(&running.published)
        })
    }

    fn patch(&self, instance: InstanceId, call: PatchCall) -> Later<'_, PatchAnswer> {
        Box::pin(async move {
            match self
                .shared
                .call(instance, || Command::Patch(call.clone()))
                .await?
            {
                Reply::Patched(answer) => Ok(answer),
                Reply::Appended(_) | Reply::Written(_) | Reply::Changed => Err(CallError::Unknown),
            }
        })
    }

    fn append(&self, instance: InstanceId, call: AppendCall) -> Later<'_, AppendAnswer> {
        Box::pin(async move {
            match self
                .shared
                .call(instance, || Command::Append(call.clone()))
                .await?
            {
                Reply::Appended(answer) => Ok(*answer),
                Reply::Patched(_) | Reply::Written(_) | Reply::Changed => Err(CallError::Unknown),
            }
        })
    }

    fn write_many(
        &self,
        instance: InstanceId,
        calls: Vec<WriteCall>,
    ) -> Later<'_, Vec<Result<Written, CallError>>> {
        Box::pin(async move { Ok(self.shared.write_many(instance, calls).await) })
    }

    fn instances(&self) -> Later<'_, Vec<InstanceInfo>> {
        Box::pin(self.shared.aside(|shared| shared.list_instances()))
    }

    fn instance(&self, instance: InstanceId) -> Later<'_, InstanceInfo> {
        Box::pin(async move { Ok(self.shared.record_of(instance)?.info) })
    }

    fn create_instance(&self, new: NewInstance) -> Later<'_, InstanceInfo> {
        Box::pin(self.shared.aside(move |shared| shared.create_instance(new)))
    }

    fn rename_instance(
        &self,
        instance: InstanceId,
        name: InstanceName,
        by: Actor,
    ) -> Later<'_, InstanceInfo> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.rename_instance(instance, name, by)),
        )
    }

    fn delete_instance(&self, instance: InstanceId, by: Actor) -> Later<'_, ()> {
        Box::pin(self.shared.end_life(instance, false, by))
    }

    fn reset_instance(&self, instance: InstanceId, by: Actor) -> Later<'_, ()> {
        Box::pin(self.shared.end_life(instance, true, by))
    }

    fn set_settings(
        &self,
        instance: InstanceId,
        settings: Settings,
        by: Actor,
    ) -> Later<'_, Settings> {
        Box::pin(self.shared.change(instance, move |change| {
            change.note(by, audit::noted(&change.state.settings, &settings))?;
            change.state.set_settings(settings.clone());
            Ok(settings)
        }))
    }

    fn set_activities(
        &self,
        instance: InstanceId,
        activities: Vec<ActivityConfig>,
        by: Actor,
    ) -> Later<'_, ActivitiesAnswer> {
        Box::pin(self.shared.set_activities(instance, activities, by))
    }

    fn open_snapshot(
        &self,
        instance: InstanceId,
        manifest: Manifest,
        by: Actor,
    ) -> Later<'_, Snapshot> {
        Box::pin(self.shared.open_upload(instance, manifest, by))
    }

    fn open_part(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        entity: EntityName,
        part: u32,
        format: PartFormat,
        by: Actor,
    ) -> Later<'_, Box<dyn PartSink>> {
        Box::pin(
            self.shared.aside(move |shared| {
                shared.open_part(instance, snapshot, &entity, (part, format), by)
            }),
        )
    }

    fn open_snapshots(&self, instance: InstanceId) -> Later<'_, Vec<OpenSnapshot>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_open_uploads(instance)),
        )
    }

    fn commit_snapshot(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        by: Actor,
    ) -> Later<'_, Job> {
        Box::pin(self.shared.commit_upload(instance, snapshot, by))
    }

    fn abort_snapshot(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        by: Actor,
    ) -> Later<'_, ()> {
        Box::pin(self.shared.abort_upload(instance, snapshot, by))
    }

    fn data_sources(&self, instance: InstanceId) -> Later<'_, Vec<(DataSource, SourceState)>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_data_sources(instance)),
        )
    }

    fn put_data_source(
        &self,
        instance: InstanceId,
        spec: DataSourceSpec,
        by: Actor,
    ) -> Later<'_, (DataSource, SourceState)> {
        Box::pin(self.shared.put_data_source(instance, spec, by))
    }

    fn delete_data_source(
        &self,
        instance: InstanceId,
        id: DataSourceId,
        by: Actor,
    ) -> Later<'_, ()> {
        Box::pin(self.shared.delete_data_source(instance, id, by))
    }

    fn schedules(&self, instance: InstanceId) -> Later<'_, Vec<Schedule>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_schedules(instance)),
        )
    }

    fn put_schedules(
        &self,
        instance: InstanceId,
        schedules: Vec<Schedule>,
        by: Actor,
    ) -> Later<'_, Vec<Schedule>> {
        Box::pin(self.shared.put_schedules(instance, schedules, by))
    }

    fn delete_schedule(&self, instance: InstanceId, id: ScheduleId, by: Actor) -> Later<'_, ()> {
        Box::pin(self.shared.delete_schedule(instance, id, by))
    }

    fn timezones(&self, instance: InstanceId) -> Later<'_, Vec<Timezone>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_timezones(instance)),
        )
    }

    fn erase(&self, instance: InstanceId, profile: ProfileId, by: Actor) -> Later<'_, Erased> {
        Box::pin(async move { self.shared.erase(instance, profile, by).await })
    }

    fn submit_job(&self, instance: InstanceId, request: JobRequest, by: Actor) -> Later<'_, Job> {
        Box::pin(self.shared.submit_job(instance, request, by))
    }

    fn simulate(
        &self,
        instance: InstanceId,
        request: SimulationRequest,
        by: Actor,
    ) -> Later<'_, Job> {
        Box::pin(refresh::simulate(&self.shared, instance, request, by))
    }

    fn dry_run(&self, instance: InstanceId, request: SimulationRequest) -> Later<'_, DryRun> {
        Box::pin(
            self.shared
                .aside(move |shared| refresh::dry_run(shared, instance, &request)),
        )
    }

    fn jobs(&self, instance: InstanceId, top: usize) -> Later<'_, Vec<Job>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_jobs(instance, top)),
        )
    }

    fn job(&self, instance: InstanceId, job: JobId) -> Later<'_, Job> {
        Box::pin(async move {
            let incarnation = self.shared.record_of(instance)?.incarnation;
            let job = refresh::find_job(&self.shared, incarnation, job)?;
            Ok(refresh::shown(&self.shared, instance, job))
        })
    }

    fn job_rejections(
        &self,
        instance: InstanceId,
        job: JobId,
        top: usize,
    ) -> Later<'_, Vec<RowRejection>> {
        Box::pin(
            self.shared
                .aside(move |shared| shared.list_rejections(instance, job, top)),
        )
    }

    fn cancel_job(&self, instance: InstanceId, job: JobId, by: Actor) -> Later<'_, Job> {
        Box::pin(refresh::cancel(&self.shared, instance, job, by))
    }

    fn clock(&self) -> ClockState {
        ClockState {
            now: self.shared.clock.now(),
            is_trusted: self.shared.clock.is_trusted(),
        }
    }

    fn confirm_clock(&self, by: Actor) -> Later<'_, ClockState> {
        Box::pin(async move {
            let noted = self.shared.aside(|shared| shared.note_of_server(by));
            noted.await?;
            self.shared.clock.confirm();
            // What waits for the clock need not wait for the next round of upkeep.
            self.shared.refreshes.try_again();
            Ok(self.clock())
        })
    }

    fn readiness(&self) -> Readiness {
        if !self.shared.clock.is_trusted() {
            return Readiness::NotReady("the clock has jumped");
        }
        match self.shared.kv.health() {
            Health::Ok => Readiness::Ready,
            Health::DiskFull { .. } => Readiness::NotReady("the disk is full"),
            Health::Poisoned | Health::Reopening => Readiness::NotReady("the store is recovering"),
            Health::Closed => Readiness::NotReady("the store is closed"),
        }
    }
}

impl Shared {
    /// Takes one moment of a tenant: state and stored data that belong together.
    ///
    /// A change is committed by itself and shown before anything after it is committed. So where
    /// the state is the same before and after the snapshot was taken, the snapshot holds nothing
    /// that was decided under a later state.
    fn reading(&self, published: &Published) -> Result<Reading, CallError> {
        loop {
            let tenant = published.state();
            let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
            let now = published.now(self.clock.now());
            if Arc::ptr_eq(&tenant, &published.state()) {
                let view = TenantView::of(snapshot, &tenant);
                let view = Box::new(published.hint(&tenant, view));
                return Ok(Reading { tenant, view, now });
            }
        }
    }

    async fn set_activities(
        self: &Arc<Self>,
        instance: InstanceId,
        activities: Vec<ActivityConfig>,
        by: Actor,
    ) -> Result<ActivitiesAnswer, CallError> {
        let jobs_max = self.config.jobs_queued_max;
        self.change(instance, move |change| {
            let activities = check_activities(&change.state, activities)?;
            let needs_job = needs_reprojection(&change.state, &activities);
            change.state.activities.clone_from(&activities);
            let job = if needs_job {
                Some(refresh::new_job(change, JobKind::Reproject, jobs_max)?)
            } else {
                None
            };
            let names = activities.iter().map(|one| one.entity_name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            let mut note = AuditNote::default().with("entities", names);
            if let Some(job) = &job {
                note = note.with("job", job.id);
            }
            change.note(by, note)?;
            Ok(ActivitiesAnswer { activities, job })
        })
        .await
    }

    async fn submit_job(
        self: &Arc<Self>,
        instance: InstanceId,
        request: JobRequest,
        by: Actor,
    ) -> Result<Job, CallError> {
        let kind = match request {
            JobRequest::Refresh(refresh) => JobKind::Refresh(refresh),
            JobRequest::Reproject => JobKind::Reproject,
        };
        let jobs_max = self.config.jobs_queued_max;
        let job = self.change(instance, move |change| {
            refresh::check_request(change, &kind)?;
            let note = refresh::noted(&kind);
            let job = refresh::new_job(change, kind, jobs_max)?;
            change.note(by, note.about(job.id))?;
            Ok(job)
        });
        Ok(refresh::shown(self, instance, job.await?))
    }

    fn list_jobs(&self, instance: InstanceId, top: usize) -> Result<Vec<Job>, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let record = catalog::instance(&*snapshot, instance).map_err(|error| refusal(&error))?;
        let record = record.ok_or_else(|| not_found(instance))?;
        let jobs = catalog::jobs(&*snapshot, record.incarnation).take(top);
        let jobs: Result<Vec<Job>, _> = jobs
            .map(|job| Ok(refresh::shown(self, instance, job?)))
            .collect();
        Ok(jobs.map_err(|error: sanntid_store::Error| refusal(&error))?)
    }

    fn list_rejections(
        &self,
        instance: InstanceId,
        job: JobId,
        top: usize,
    ) -> Result<Vec<RowRejection>, CallError> {
        let incarnation = self.record_of(instance)?.incarnation;
        refresh::find_job(self, incarnation, job)?;
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let state = catalog::tenant(&*snapshot, incarnation).map_err(|error| refusal(&error))?;
        let erasing = state.map(|state| state.erasing).unwrap_or_default();
        let is_erased = |row: &RowRejection| {
            let mut people = erasing.iter().map(|erasure| &erasure.person);
            people.any(|person| person.has_rejected(row))
        };
        let found = catalog::rejections(&*snapshot, incarnation, job)
            .filter(|row| !row.as_ref().is_ok_and(is_erased))
            .take(top);
        let found: Result<Vec<_>, _> = found.collect();
        Ok(found.map_err(|error| refusal(&error))?)
    }
}
