//! Owns the recorder of metrics: installed once per process, rendered for Prometheus.
//! Must not know who counts what beyond the names that it describes.

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, anyhow};
use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use sanntid_types::Instant;

use crate::clock;

/// How often gathered samples are folded; unread ones would pile up otherwise.
pub(crate) const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Bounds of histograms that count writes.
const SIZE_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 256.0, 1024.0, 4096.0];

/// Bounds of latency histograms, in seconds.
const LATENCY_BUCKETS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

static RECORDER: OnceLock<Result<Recorder, String>> = OnceLock::new();

/// Renders what the process has counted.
#[derive(Clone)]
pub(crate) struct Recorder {
    handle: PrometheusHandle,
    started: Instant,
}

impl Recorder {
    /// Gives the recorder of the process; the first call installs it.
    ///
    /// # Errors
    /// Another recorder was installed before.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let installed = RECORDER.get_or_init(|| install().map_err(|error| format!("{error:#}")));
        installed.clone().map_err(|message| anyhow!(message))
    }

    /// Renders all metrics in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        let up_millis = clock::wall()
            .as_millis()
            .saturating_sub(self.started.as_millis());
        gauge!("sanntid_uptime_seconds").set(seconds(up_millis));
        self.handle.render()
    }

    /// Folds gathered samples, so that they take no memory while nobody reads them.
    pub(crate) fn fold(&self) {
        self.handle.run_upkeep();
    }
}

fn install() -> anyhow::Result<Recorder> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &LATENCY_BUCKETS)
        .and_then(|builder| {
            let writes = Matcher::Suffix("_writes".to_owned());
            builder.set_buckets_for_metric(writes, &SIZE_BUCKETS)
        })
        .context("the buckets of histograms can't be set")?
        .install_recorder()
        .context("the recorder of metrics can't be installed")?;
    let started = clock::wall();
    describe();
    gauge!("process_start_time_seconds").set(seconds(started.as_millis()));
    Ok(Recorder { handle, started })
}

fn describe() {
    describe_gauge!(
        "process_start_time_seconds",
        Unit::Seconds,
        "Start of the process, in seconds since the Unix epoch."
    );
    describe_gauge!(
        "sanntid_uptime_seconds",
        Unit::Seconds,
        "Time since the start of the process."
    );
    describe_counter!(
        "sanntid_limits_met_total",
        "Requests, items and lines refused by a limit of the caller's or the instance's, by limit"
    );
    describe_counter!(
        "sanntid_http_requests_total",
        Unit::Count,
        "Answered requests by operation and status."
    );
    describe_histogram!(
        "sanntid_http_request_duration_seconds",
        Unit::Seconds,
        "Time from a request's head to its answer's head, by operation."
    );
    describe_gauge!(
        "sanntid_http_requests_in_flight",
        Unit::Count,
        "Requests that are being answered."
    );
    describe_gauge!(
        "sanntid_tenants_in_memory",
        Unit::Count,
        "Instances whose state is held in memory."
    );
    describe_counter!(
        "sanntid_tenant_crashes_total",
        Unit::Count,
        "Crashes of tenants, each followed by a restart."
    );
    describe_histogram!(
        "sanntid_commit_writes",
        Unit::Count,
        "Writes that were made durable by one sync."
    );
    describe_counter!(
        "sanntid_commits_failed_total",
        Unit::Count,
        "Batches of writes that could not be made durable."
    );
    describe_counter!(
        "sanntid_identity_reads_total",
        Unit::Count,
        "Readings of the identity provider's keys, by result."
    );
}

/// Milliseconds as seconds; exact to the millisecond for the years that matter.
fn seconds(millis: i64) -> f64 {
    let millis = u64::try_from(millis).unwrap_or(0);
    Duration::from_millis(millis).as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_buckets_and_descriptions() {
        let recorder = Recorder::install().unwrap();
        let again = Recorder::install().unwrap();
        metrics::histogram!("sanntid_http_request_duration_seconds", "operation" => "probe")
            .record(0.002);
        recorder.fold();
        let text = again.render();
        for part in [
            "# HELP sanntid_http_request_duration_seconds Time",
            "sanntid_http_request_duration_seconds_bucket{operation=\"probe\",le=\"0.0025\"} 1",
            "process_start_time_seconds 1",
            "# TYPE sanntid_uptime_seconds gauge",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
