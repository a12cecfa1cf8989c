//! Owns the front door's settings and their ranges.
//! Must not read files or the environment: the server does that and hands the values over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

const MIB: usize = 1 << 20;

/// Settings of the front door; sizes are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads that serve requests.
    pub workers: usize,
    /// Open connections, all workers together; more wait in the system's backlog.
    pub connections_max: usize,
    /// Open connections of one address; 0 sets no limit. Without it 1000 where other machines can
    /// connect, else no limit.
    pub connections_per_address_max: Option<usize>,
    /// Requests under way on one connection, which HTTP/2 allows.
    pub streams_max: usize,
    /// Largest request body, but for activities and uploaded parts.
    pub body_bytes_max: usize,
    /// Largest body of an activity as it is sent.
    pub activity_body_bytes_max: usize,
    /// Largest document of an activity after decoding the JSON string that may hold it.
    pub document_bytes_max: usize,
    /// Largest uploaded part as it is sent.
    pub part_bytes_max: u64,
    /// Uploaded parts taken at the same time; each buffers 1 MiB.
    pub uploads_max: usize,
    /// Reads that may scan at the same time.
    pub scans_max: usize,
    /// Exports that may run at the same time.
    pub exports_max: usize,
    /// Bulk and batch requests under way at the same time.
    pub bulks_max: usize,
    /// Largest body of a batch request.
    pub batch_body_bytes_max: usize,
    /// How long a request's head may take to arrive.
    pub head_timeout: Duration,
    /// How long a body may stall before it is given up.
    pub body_stall_timeout: Duration,
    /// How long a client may take nothing of an answer before its connection is closed.
    pub answer_stall_timeout: Duration,
    /// How long an idle connection is kept.
    pub keep_alive: Duration,
    /// How long a closing connection may take.
    pub disconnect_timeout: Duration,
    /// How long a graceful stop waits for requests that are under way; whole seconds.
    pub shutdown_timeout: Duration,
    /// How the service is reached from outside, `https://host`, for the links in answers; without
    /// it the request's own host (and `Forwarded` headers) are used.
    pub public_url: Option<String>,
    /// The origins whose pages may call the service from a browser, `https://host`, each exactly.
    pub cors_origins: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            workers: 2,
            connections_max: 25_000,
            connections_per_address_max: None,
            streams_max: 128,
            body_bytes_max: MIB,
            activity_body_bytes_max: 8 * MIB,
            document_bytes_max: 2 * MIB,
            part_bytes_max: 2 << 30,
            uploads_max: 64,
            scans_max: 64,
            exports_max: 16,
            bulks_max: 32,
            batch_body_bytes_max: 8 * MIB,
            head_timeout: Duration::from_secs(5),
            body_stall_timeout: Duration::from_secs(30),
            answer_stall_timeout: Duration::from_secs(30),
            keep_alive: Duration::from_secs(75),
            disconnect_timeout: Duration::from_secs(2),
            shutdown_timeout: Duration::from_secs(10),
            public_url: None,
            cors_origins: Vec::new(),
        }
    }
}

/// Names a setting that is out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: expected {expected}")]
pub struct ConfigError {
    pub field: &'static str,
    pub expected: &'static str,
}

impl Config {
    /// Checks every range.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that is out of range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.check_counts()?;
        self.check_sizes()?;
        self.check_timeouts()?;
        let url = self.public_url.as_deref();
        let expected = "http:// or https:// with a host and no trailing slash";
        check(url.is_none_or(is_origin), "public_url", expected)?;
        crate::cors::check(&self.cors_origins)
    }

    fn check_counts(&self) -> Result<(), ConfigError> {
        let (workers, connections) = (self.workers, self.connections_max);
        check((1..=1024).contains(&workers), "workers", "1 to 1024")?;
        let in_range = (1..=1_000_000).contains(&connections);
        check(in_range, "connections_max", "1 to 1000000")?;
        let of_address = self.connections_per_address_max.unwrap_or_default();
        let in_range = of_address <= 1_000_000;
        check(in_range, "connections_per_address_max", "0 to 1000000")?;
        for (count, field) in [
            (self.uploads_max, "uploads_max"),
            (self.scans_max, "scans_max"),
            (self.exports_max, "exports_max"),
            (self.bulks_max, "bulks_max"),
            (self.streams_max, "streams_max"),
        ] {
            check((1..=4096).contains(&count), field, "1 to 4096")?;
        }
        Ok(())
    }

    fn check_sizes(&self) -> Result<(), ConfigError> {
        for (bytes, field) in [
            (self.body_bytes_max, "body_bytes_max"),
            (self.activity_body_bytes_max, "activity_body_bytes_max"),
            (self.document_bytes_max, "document_bytes_max"),
            (self.batch_body_bytes_max, "batch_body_bytes_max"),
        ] {
            let in_range = (1024..=1024 * MIB).contains(&bytes);
            check(in_range, field, "1 KiB to 1 GiB")?;
        }
        let in_range = (1024..=1 << 40).contains(&self.part_bytes_max);
        check(in_range, "part_bytes_max", "1 KiB to 1 TiB")
    }

    fn check_timeouts(&self) -> Result<(), ConfigError> {
        let longest = Duration::from_secs(3600);
        // The framework's clock goes in steps of half a second, and a time that is over when it
        // begins never ends.
        for (timeout, field) in [
            (self.head_timeout, "head_timeout"),
            (self.keep_alive, "keep_alive"),
            (self.disconnect_timeout, "disconnect_timeout"),
        ] {
            let in_range = (Duration::from_secs(1)..=longest).contains(&timeout);
            check(in_range, field, "1 s to 1 h")?;
        }
        for (timeout, field) in [
            (self.body_stall_timeout, "body_stall_timeout"),
            (self.answer_stall_timeout, "answer_stall_timeout"),
        ] {
            let in_range = (Duration::from_millis(100)..=longest).contains(&timeout);
            check(in_range, field, "100 ms to 1 h")?;
        }
        let in_range = self.shutdown_timeout <= longest;
        check(in_range, "shutdown_timeout", "at most 1 h")
    }
}

pub(crate) fn check(
    holds: bool,
    field: &'static str,
    expected: &'static str,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError { field, expected })
    }
}

fn is_origin(url: &str) -> bool {
    let host = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    host.is_some_and(|host| {
        !host.is_empty() && !host.ends_with('/') && host.chars().all(|c| c.is_ascii_graphic())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_each_range_is_checked() {
        Config::default().validate().expect("defaults");
        type Spoil = fn(&mut Config);
        let bad: [(&str, Spoil); 9] = [
            ("workers", |c| c.workers = 0),
            ("connections_max", |c| c.connections_max = 0),
            ("body_bytes_max", |c| c.body_bytes_max = 0),
            ("part_bytes_max", |c| c.part_bytes_max = u64::MAX),
            ("scans_max", |c| c.scans_max = 0),
            ("exports_max", |c| c.exports_max = 0),
            ("head_timeout", |c| c.head_timeout = Duration::ZERO),
            ("shutdown_timeout", |c| c.shutdown_timeout = Duration::MAX),
            ("public_url", |c| {
                c.public_url = Some("example.org/".to_owned())
            }),
        ];
        for (field, spoil) in bad {
            let mut config = Config::default();
            spoil(&mut config);
            let error = config.validate().expect_err(field);
            assert_eq!(error.field, field);
        }
    }

    #[test]
    fn unknown_settings_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"workers": 4}"#).is_ok());
        assert!(serde_json::from_str::<Config>(r#"{"worker": 4}"#).is_err());
    }
}
