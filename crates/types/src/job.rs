//! Refresh jobs: what they are, how far they came and what they did (rules 6.8, 6.11).

use serde::{Deserialize, Serialize};

use crate::{
    Error, Generation, InstanceId, Instant, JobId, RefreshRequest, Simulation, SnapshotId,
};

/// Says what a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobKind {
    /// Loads an uploaded snapshot.
    Upload(SnapshotId),
    /// Loads the current generation of another instance: the first job of a copied one.
    Copy(InstanceId),
    /// Makes the timeline anew from the loaded rows, with the present activity configuration.
    Reproject,
    /// A refresh of an earlier version, which had no data sources and nothing to do.
    Sources,
    /// Refreshes from configured data sources; without any there is nothing to do.
    Refresh(RefreshRequest),
    /// Switches to the current generation as of another instant (rules 6.9).
    Simulate(Simulation),
}

/// Says who asked for a job, with the published names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobSubmission {
    #[default]
    OnDemand,
    /// A schedule.
    Scheduled,
}

/// Says where a job stands, with the published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum JobStatus {
    Queued,
    Running,
    Failed,
    TimedOut,
    Aborted,
    Successful,
    Skipped,
}

impl JobStatus {
    /// Whether nothing will change any more.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Names a stage of a refresh, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StageName {
    Ingestion,
    Map,
    Merge,
    Activity,
    Search,
    /// The switch.
    ProfileStore,
}

impl StageName {
    /// Every stage in order.
    pub const ALL: [Self; 6] = [
        Self::Ingestion,
        Self::Map,
        Self::Merge,
        Self::Activity,
        Self::Search,
        Self::ProfileStore,
    ];
}

/// Says how far one stage came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stage {
    pub name: StageName,
    pub status: JobStatus,
    pub rows: u64,
    /// Of how many, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_total: Option<u64>,
    pub duration_ms: u64,
}

/// Says what a refresh did (rules 6.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobReport {
    pub as_of: Instant,
    pub rows_read: u64,
    pub rows_rejected: u64,
    pub profiles: u64,
    pub activities: u64,
    pub activities_unmatched: u64,
    pub overlay_fields_cleared: u64,
    pub overlay_fields_kept: u64,
    pub activities_superseded: u64,
    pub activities_attached: u64,
    pub profiles_moved: u64,
    pub profiles_vanished: u64,
    pub generation: Generation,
}

/// Holds one job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    pub id: JobId,
    pub kind: JobKind,
    #[serde(default)]
    pub submission: JobSubmission,
    pub status: JobStatus,
    pub submitted_at: Instant,
    pub started_at: Option<Instant>,
    pub ended_at: Option<Instant>,
    /// All stages in order; empty for a job that had nothing to do.
    pub stages: Vec<Stage>,
    pub report: Option<JobReport>,
    /// Why it failed.
    pub error: Option<Error>,
}

/// Says why a row of a snapshot is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RejectionKind {
    /// It can't be read; it is not loaded.
    Rejected,
    /// An activity whose customer key matches no profile; hidden until the key resolves.
    Unmatched,
}

/// Describes one row that a refresh could not use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowRejection {
    pub kind: RejectionKind,
    pub entity: String,
    /// The number of the part that holds the row, where the row was met in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// The file of a data source that holds the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Counts the part's or file's rows from 1, without a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// The row's key, where it has a readable one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    pub reason: String,
}
