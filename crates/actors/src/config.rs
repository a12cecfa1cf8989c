//! Owns the limits of tenants and refreshes. Must not read files or the environment.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use sanntid_sources::BucketSecret;
use sanntid_types::{Limits, Location};
use serde::Deserialize;

/// Says which setting is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("config value {field} is out of range: {reason}")]
pub struct ConfigError {
    pub field: &'static str,
    pub reason: &'static str,
}

/// Limits and times of a node. Every queue has one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads that own tenants and commit their writes; each syncs for all of its tenants.
    pub shards: usize,
    /// Calls of one tenant that wait for an answer at a time; more are refused.
    pub tenant_calls_max: usize,
    /// The same over all tenants.
    pub node_calls_max: usize,
    /// Staged writes of a shard are committed at this size at the latest, in bytes.
    pub batch_bytes_max: u64,
    /// A tenant without a call for this long leaves memory.
    pub tenant_idle: Duration,
    /// How long a call waits for its tenant to start.
    pub start_wait_max: Duration,
    /// The delay before a crashed tenant is started again; doubled at each crash.
    pub restart_delay_min: Duration,
    /// The longest such delay.
    pub restart_delay_max: Duration,
    /// After this long without a crash the delay is `restart_delay_min` again.
    pub healthy_after: Duration,
    /// Refreshes that run at a time.
    pub refreshes_max: usize,
    /// Jobs of one instance that have not ended.
    pub jobs_queued_max: usize,
    /// Files of a refresh that are read at a time: the one whose rows are loaded, and the next ones.
    pub refresh_files_max: usize,
    /// The longest that a refresh may run.
    pub refresh_time_max: Duration,
    /// Unusable rows that a job keeps for reading; all are counted.
    pub rejections_kept_max: u64,
    /// Jobs of one instance that are kept, with the rows that they could not use; older ones go, but
    /// never the last one that brought data.
    pub jobs_kept: usize,
    /// How long audit records are kept.
    pub audit_kept: Duration,
    /// Audit records of one log that are kept; what was done and what was refused are counted apart.
    pub audit_records_max: usize,
    /// Uploads of one instance that are open at a time.
    pub uploads_open_max: usize,
    /// Parts of one upload.
    pub upload_parts_max: usize,
    /// How long an upload lives after it was opened.
    pub upload_ttl: Duration,
    /// Folders in which data sources may lie, with all below them; without any there are none.
    pub data_source_folders: Vec<PathBuf>,
    /// Buckets, with prefixes, in which data sources may lie; without any there are none.
    pub data_source_buckets: Vec<Location>,
    /// Data sources of one instance.
    pub data_sources_max: usize,
    /// Principals of one instance that have roles.
    pub assignments_max: usize,
    /// How long a connection to a bucket's server may take.
    pub bucket_connect_timeout: Duration,
    /// How long a bucket's server may send nothing before it is given up, or asked again.
    pub bucket_stall_timeout: Duration,
    /// How often a bucket's server is asked again before it is given up.
    pub bucket_retries_max: u32,
    /// The wait before it is asked again; doubled each time, up to 30 s.
    pub bucket_retry_wait: Duration,
    /// What buckets are read with, by name; the server's own section.
    #[serde(skip)]
    pub secrets: BTreeMap<String, BucketSecret>,
    /// What an instance may keep, but where it has limits of its own; the server's own section.
    #[serde(skip)]
    pub limits: Limits,
    /// Records that one step of reclamation removes at most.
    pub sweep_records_max: usize,
    /// How often the store is looked after and idle tenants leave.
    pub upkeep_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            shards: 1,
            tenant_calls_max: 1024,
            node_calls_max: 4096,
            batch_bytes_max: 16 << 20,
            tenant_idle: Duration::from_secs(300),
            start_wait_max: Duration::from_secs(5),
            restart_delay_min: Duration::from_secs(1),
            restart_delay_max: Duration::from_secs(30),
            healthy_after: Duration::from_secs(60),
            refreshes_max: 1,
            refresh_files_max: 2,
            jobs_queued_max: 16,
            refresh_time_max: Duration::from_secs(6 * 3600),
            rejections_kept_max: 10_000,
            jobs_kept: 1000,
            audit_kept: Duration::from_secs(400 * 86_400),
            audit_records_max: 100_000,
            uploads_open_max: 8,
            upload_parts_max: 1000,
            upload_ttl: Duration::from_secs(24 * 3600),
            data_source_folders: Vec::new(),
            data_source_buckets: Vec::new(),
            data_sources_max: 100,
            assignments_max: 1000,
            bucket_connect_timeout: Duration::from_secs(10),
            bucket_stall_timeout: Duration::from_secs(60),
            bucket_retries_max: 5,
            bucket_retry_wait: Duration::from_millis(500),
            secrets: BTreeMap::new(),
            limits: Limits::default(),
            sweep_records_max: 5_000,
            upkeep_every: Duration::from_secs(1),
        }
    }
}

impl Config {
    /// Checks every range; an error names the first field that is out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let second = Duration::from_secs(1);
        let bucket_timeouts = Duration::from_millis(100)..=Duration::from_secs(3600);
        let checks = [
            ((1..=64).contains(&self.shards), "shards", "1 to 64"),
            (
                (1..=65_536).contains(&self.tenant_calls_max),
                "tenant_calls_max",
                "1 to 65536",
            ),
            (
                self.node_calls_max >= self.tenant_calls_max,
                "node_calls_max",
                "at least tenant_calls_max",
            ),
            (
                (1 << 10..=32 << 20).contains(&self.batch_bytes_max),
                "batch_bytes_max",
                "1 KiB to 32 MiB",
            ),
            (self.tenant_idle >= second, "tenant_idle", "at least 1 s"),
            (
                self.restart_delay_max >= self.restart_delay_min,
                "restart_delay_max",
                "at least restart_delay_min",
            ),
            (
                (1..=64).contains(&self.refreshes_max),
                "refreshes_max",
                "1 to 64",
            ),
            (
                (1..=16).contains(&self.refresh_files_max),
                "refresh_files_max",
                "1 to 16",
            ),
            (
                (1..=1000).contains(&self.jobs_queued_max),
                "jobs_queued_max",
                "1 to 1000",
            ),
            (
                (1..=100_000).contains(&self.jobs_kept),
                "jobs_kept",
                "1 to 100000",
            ),
            (
                self.audit_kept >= Duration::from_secs(86_400),
                "audit_kept",
                "at least 1 d",
            ),
            (
                (100..=10_000_000).contains(&self.audit_records_max),
                "audit_records_max",
                "100 to 10000000",
            ),
            (
                (1..=1000).contains(&self.uploads_open_max),
                "uploads_open_max",
                "1 to 1000",
            ),
            (
                (1..=10_000).contains(&self.upload_parts_max),
                "upload_parts_max",
                "1 to 10000",
            ),
            (
                self.rejections_kept_max <= 100_000,
                "rejections_kept_max",
                "at most 100000",
            ),
            (self.upload_ttl >= second, "upload_ttl", "at least 1 s"),
            (
                self.data_source_folders
                    .iter()
                    .all(|path| path.is_absolute()),
                "data_source_folders",
                "absolute paths",
            ),
            (
                self.data_source_buckets
                    .iter()
                    .all(|location| location.bucket().is_some()),
                "data_source_buckets",
                "s3://bucket/prefix or az://container/prefix",
            ),
            (
                bucket_timeouts.contains(&self.bucket_connect_timeout),
                "bucket_connect_timeout",
                "100 ms to 1 h",
            ),
            (
                bucket_timeouts.contains(&self.bucket_stall_timeout),
                "bucket_stall_timeout",
                "100 ms to 1 h",
            ),
            (
                self.bucket_retries_max <= 20,
                "bucket_retries_max",
                "at most 20",
            ),
            (
                self.bucket_retry_wait <= Duration::from_secs(30),
                "bucket_retry_wait",
                "at most 30 s",
            ),
            (
                (1..=1000).contains(&self.data_sources_max),
                "data_sources_max",
                "1 to 1000",
            ),
            (
                (1..=10_000).contains(&self.assignments_max),
                "assignments_max",
                "1 to 10000",
            ),
            (
                self.sweep_records_max >= 1,
                "sweep_records_max",
                "at least 1",
            ),
            (
                self.upkeep_every >= Duration::from_millis(10),
                "upkeep_every",
                "at least 10 ms",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, reason)) => Err(ConfigError { field, reason }),
            None => Ok(()),
        }
    }
}
