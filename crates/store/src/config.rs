//! Owns the store's settings and their ranges.
//!
//! Must not read files or the environment: the server does that and hands the values over.

use std::time::Duration;

use serde::Deserialize;

use crate::error::{Error, Result};

const MIB: u64 = 1 << 20;

/// Settings of a store; sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Size at which a space's memtable is flushed. Fixed when the directory is created.
    pub memtable_bytes: u64,
    /// Target size of a table file. Fixed when the directory is created.
    pub table_bytes: u64,
    /// Threads for flushes and compactions. One of them only flushes, and burns a core while a
    /// compaction waits for a thread: more than one must be left for those.
    pub worker_threads: usize,
    /// Block cache shared by all spaces.
    pub cache_bytes: u64,
    /// All journals together; the oldest are flushed away beyond this.
    pub journal_bytes_max: u64,
    /// Writes are refused below this much free space; 0 switches the mark off.
    pub free_space_min_bytes: u64,
    /// Largest batch accepted.
    pub batch_bytes_max: u64,
    /// How long a write waits for lagging flushes before it is refused as busy.
    pub stall_wait_max: Duration,
    /// How long a re-opening waits for readers to leave the old handle.
    pub drain_wait_max: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            memtable_bytes: 16 * MIB,
            table_bytes: 8 * MIB,
            worker_threads: 4,
            cache_bytes: 256 * MIB,
            journal_bytes_max: 512 * MIB,
            free_space_min_bytes: 256 * MIB,
            batch_bytes_max: 64 * MIB,
            stall_wait_max: Duration::from_millis(500),
            drain_wait_max: Duration::from_millis(250),
        }
    }
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] names the first field that is out of range.
    pub fn validate(&self) -> Result<()> {
        let checks = [
            (
                self.memtable_bytes >= MIB,
                "memtable_bytes",
                "at least 1 MiB",
            ),
            (self.table_bytes >= MIB, "table_bytes", "at least 1 MiB"),
            // One worker of several is kept for flushes; a lone one lets compactions block them.
            (
                (2..=64).contains(&self.worker_threads),
                "worker_threads",
                "2 to 64",
            ),
            (self.cache_bytes >= MIB, "cache_bytes", "at least 1 MiB"),
            (
                self.journal_bytes_max >= 64 * MIB,
                "journal_bytes_max",
                "at least 64 MiB",
            ),
            (
                (1..=1024 * MIB).contains(&self.batch_bytes_max),
                "batch_bytes_max",
                "1 B to 1 GiB",
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            Some((_, field, reason)) => Err(Error::InvalidConfig { field, reason }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_a_lone_worker_is_not() {
        Config::default().validate().unwrap();
        let lone = Config {
            worker_threads: 1,
            ..Config::default()
        };
        assert!(matches!(
            lone.validate(),
            Err(Error::InvalidConfig {
                field: "worker_threads",
                ..
            })
        ));
    }
}
