//! What a front door calls: reads, writes and administration of instances, wherever they live.
//! Owns the port and the shapes that cross it. Must not know actors, stores or HTTP.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use sanntid_types::{
    ActivityConfig, ActivityId, ActivityState, Actor, CallerName, DataSource, DataSourceId,
    DataSourceSpec, DryRun, EntityName, Error, InstanceId, InstanceInfo, InstanceName,
    InstanceType, Instant, Job, JobId, Manifest, ProfileId, RefreshRequest, RowRejection, Schedule,
    ScheduleId, Settings, SimulationRequest, SnapshotId, SourceState, Timezone, UnifiedActivity,
};

use crate::activity::OnUnknownCustomer;
use crate::erase::Erased;
use crate::ports::View;
use crate::tenant::TenantState;

/// An answer that comes later.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

/// Says why a call has no good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nothing was changed and nothing will be.
    Refused(Error),
    /// Whether the change is stored can't be known: the caller must get no answer (rules 7.1).
    Unknown,
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// One instance as of one moment, ready to be read.
pub struct Reading {
    pub tenant: Arc<TenantState>,
    pub view: Box<dyn View + Send>,
    /// The instant with which the whole request works.
    pub now: Instant,
}

/// Asks to change some fields of one profile for a while.
#[derive(Clone, Debug)]
pub struct PatchCall {
    pub profile: ProfileId,
    pub body: Bytes,
    pub valid_until: Option<Instant>,
    pub caller: Option<CallerName>,
    pub if_match: Option<String>,
}

/// Asks to add one activity.
#[derive(Clone, Debug)]
pub struct AppendCall {
    pub entity: String,
    pub body: Bytes,
    pub valid_until: Option<Instant>,
    pub caller: Option<CallerName>,
    pub on_unknown: OnUnknownCustomer,
}

/// Says what became of a patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchAnswer {
    /// The profile acted on; another than asked for where that was moved.
    pub profile: ProfileId,
}

/// Says what became of an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendAnswer {
    pub activity: UnifiedActivity,
    /// The profile whose timeline shows it; `None` while it is held.
    pub customer: Option<ProfileId>,
    pub state: ActivityState,
    pub replayed: bool,
}

/// Asks for one of many writes.
#[derive(Clone, Debug)]
pub enum WriteCall {
    Patch(PatchCall),
    Append(AppendCall),
}

/// Says what became of one of many writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    Patched(PatchAnswer),
    Appended {
        id: ActivityId,
        state: ActivityState,
        replayed: bool,
    },
}

/// Asks for a new instance.
#[derive(Clone, Debug)]
pub struct NewInstance {
    pub id: Option<InstanceId>,
    pub name: InstanceName,
    pub instance_type: InstanceType,
    /// Whose configuration and current generation it begins with; the generation is brought by its
    /// first job.
    pub copy_of: Option<InstanceId>,
    /// Who asks.
    pub by: Actor,
}

/// Says what became of a new activity configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivitiesAnswer {
    pub activities: Vec<ActivityConfig>,
    /// The job that makes the timeline of already loaded rows anew, where one is needed.
    pub job: Option<Job>,
}

/// Says how the rows of an uploaded part are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartFormat {
    Csv(PartPacking),
    Ndjson(PartPacking),
    /// It compresses its pages itself, and packed as a whole it could not be read from its end.
    Parquet,
}

/// Names how a part is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartPacking {
    None,
    Gzip,
    Zstd,
}

/// Describes one upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub id: SnapshotId,
    pub state: SnapshotState,
    pub expires_at: Instant,
}

/// Describes an open upload with what has arrived of it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenSnapshot {
    pub snapshot: Snapshot,
    pub manifest: Manifest,
    /// In the order in which they arrived.
    pub parts: Vec<ArrivedPart>,
}

/// Describes one part of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArrivedPart {
    pub entity: EntityName,
    pub number: u32,
    pub bytes: u64,
    /// The BLAKE3 hash of its bytes, in hex.
    pub hash: String,
}

/// Says where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotState {
    Open,
    /// A job loads it, or has done so.
    Committed,
}

/// Takes the bytes of one part. May block. Dropped unfinished, the part is as if never sent.
pub trait PartSink: Send {
    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// Makes the part durable; it replaces an earlier one of its number.
    fn finish(self: Box<Self>) -> Result<(), CallError>;
}

/// Asks for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobRequest {
    /// Refresh from configured data sources.
    Refresh(RefreshRequest),
    /// Make the timeline anew.
    Reproject,
}

/// Says what the clock of a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    pub now: Instant,
    /// False from a jump on, until the clock is back or was confirmed.
    pub is_trusted: bool,
}

/// Says whether writes can succeed at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Names the reason, in a few words.
    NotReady(&'static str),
}

/// What the front door calls. An unknown instance is `InstanceNotFound` everywhere.
///
/// What names who asks puts one record into an audit log, durable with what it changes.
pub trait Tenants: Send + Sync + 'static {
    /// Reads an instance as it is now: every write answered before is in it.
    fn read(&self, instance: InstanceId) -> Later<'_, Reading>;

    /// Changes a profile; answers once the change is durable.
    fn patch(&self, instance: InstanceId, call: PatchCall) -> Later<'_, PatchAnswer>;

    /// Adds an activity; answers once it is durable.
    fn append(&self, instance: InstanceId, call: AppendCall) -> Later<'_, AppendAnswer>;

    /// Decides writes in their order, each seeing those before it, and answers each in that order
    /// once it is durable. One that is refused spoils no other; how many to give at a time is the
    /// caller's to limit.
    fn write_many(
        &self,
        instance: InstanceId,
        calls: Vec<WriteCall>,
    ) -> Later<'_, Vec<Result<Written, CallError>>>;

    /// Erases what callers wrote about a person, and what jobs kept of its rows (rules 2.3). What was
    /// accepted before is gone at once and for good, what is accepted later stays; of an id of
    /// which nothing is known it is `ProfileNotFound`.
    fn erase(&self, instance: InstanceId, profile: ProfileId, by: Actor) -> Later<'_, Erased>;

    /// Lists the instances in the order of their ids.
    fn instances(&self) -> Later<'_, Vec<InstanceInfo>>;

    /// Describes one instance.
    fn instance(&self, instance: InstanceId) -> Later<'_, InstanceInfo>;

    /// Creates an instance; an id that exists is `InstanceExists`.
    fn create_instance(&self, new: NewInstance) -> Later<'_, InstanceInfo>;

    /// Gives an instance another name.
    fn rename_instance(
        &self,
        instance: InstanceId,
        name: InstanceName,
        by: Actor,
    ) -> Later<'_, InstanceInfo>;

    /// Ends an instance with everything in it (rules 6.12).
    fn delete_instance(&self, instance: InstanceId, by: Actor) -> Later<'_, ()>;

    /// Empties an instance; name and configuration stay.
    fn reset_instance(&self, instance: InstanceId, by: Actor) -> Later<'_, ()>;

    /// Replaces the settings.
    fn set_settings(
        &self,
        instance: InstanceId,
        settings: Settings,
        by: Actor,
    ) -> Later<'_, Settings>;

    /// Replaces the activity configuration, checked against the loaded entities.
    fn set_activities(
        &self,
        instance: InstanceId,
        activities: Vec<ActivityConfig>,
        by: Actor,
    ) -> Later<'_, ActivitiesAnswer>;

    /// Opens an upload; `Manifest::as_of` is checked now and again at commit and switch.
    fn open_snapshot(
        &self,
        instance: InstanceId,
        manifest: Manifest,
        by: Actor,
    ) -> Later<'_, Snapshot>;

    /// Begins to take one part of an entity; parts are numbered from 1.
    fn open_part(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        entity: EntityName,
        part: u32,
        format: PartFormat,
        by: Actor,
    ) -> Later<'_, Box<dyn PartSink>>;

    /// Lists the uploads that are neither committed nor expired, oldest first.
    fn open_snapshots(&self, instance: InstanceId) -> Later<'_, Vec<OpenSnapshot>>;

    /// Queues the job that loads an upload; repeated, it gives the same job.
    fn commit_snapshot(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        by: Actor,
    ) -> Later<'_, Job>;

    /// Throws an open upload away; a committed one is `SnapshotClosed`.
    fn abort_snapshot(
        &self,
        instance: InstanceId,
        snapshot: SnapshotId,
        by: Actor,
    ) -> Later<'_, ()>;

    /// Lists the data sources in the order of their ids, each with what is known of its content.
    fn data_sources(&self, instance: InstanceId) -> Later<'_, Vec<(DataSource, SourceState)>>;

    /// Makes or replaces a data source; a place that may not be read is `InvalidArgument`.
    fn put_data_source(
        &self,
        instance: InstanceId,
        spec: DataSourceSpec,
        by: Actor,
    ) -> Later<'_, (DataSource, SourceState)>;

    /// Forgets a data source; what it brought stays.
    fn delete_data_source(
        &self,
        instance: InstanceId,
        id: DataSourceId,
        by: Actor,
    ) -> Later<'_, ()>;

    /// Lists the refresh schedules in the order of their ids.
    fn schedules(&self, instance: InstanceId) -> Later<'_, Vec<Schedule>>;

    /// Makes or replaces refresh schedules, all or none; others stay. A zone or a line that can't be
    /// read is `InvalidArgument`.
    fn put_schedules(
        &self,
        instance: InstanceId,
        schedules: Vec<Schedule>,
        by: Actor,
    ) -> Later<'_, Vec<Schedule>>;

    /// Forgets a refresh schedule; one that there is not is `ScheduleNotFound`.
    fn delete_schedule(&self, instance: InstanceId, id: ScheduleId, by: Actor) -> Later<'_, ()>;

    /// Lists the time zones that a schedule can have.
    fn timezones(&self, instance: InstanceId) -> Later<'_, Vec<Timezone>>;

    /// Queues a job, or joins an equal one that has not ended.
    fn submit_job(&self, instance: InstanceId, request: JobRequest, by: Actor) -> Later<'_, Job>;

    /// Queues a simulated refresh; on an instance of the type production it is `InvalidArgument`.
    fn simulate(
        &self,
        instance: InstanceId,
        request: SimulationRequest,
        by: Actor,
    ) -> Later<'_, Job>;

    /// Says what a simulation would do if it switched now; changes nothing.
    fn dry_run(&self, instance: InstanceId, request: SimulationRequest) -> Later<'_, DryRun>;

    /// Lists jobs, newest first.
    fn jobs(&self, instance: InstanceId, top: usize) -> Later<'_, Vec<Job>>;

    /// Finds a job.
    fn job(&self, instance: InstanceId, job: JobId) -> Later<'_, Job>;

    /// Lists rows that a job could not use, in the order in which it met them.
    fn job_rejections(
        &self,
        instance: InstanceId,
        job: JobId,
        top: usize,
    ) -> Later<'_, Vec<RowRejection>>;

    /// Cancels a job; of an ended one it changes nothing.
    fn cancel_job(&self, instance: InstanceId, job: JobId, by: Actor) -> Later<'_, Job>;

    /// Whether writes can succeed at present.
    fn readiness(&self) -> Readiness;

    /// What time it is, and whether that is trusted (rules 2.4).
    fn clock(&self) -> ClockState;

    /// Takes the present time to be right, as an operator says, and gives the clock as it is then.
    fn confirm_clock(&self, by: Actor) -> Later<'_, ClockState>;
}
