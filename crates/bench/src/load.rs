//! Owns load: what is asked, of whom, and how long each answer took.
//!
//! `closed`: so many connections that each ask again once they are answered: how much goes through.
//! `open`: a fixed rate, whatever the answers do: how long a caller waits.

pub(crate) mod closed;
pub(crate) mod open;
pub(crate) mod pick;
pub(crate) mod work;

use std::time::Duration;

use hdrhistogram::Histogram;

/// Longest latency that is told from longer ones.
const LATENCY_MAX: Duration = Duration::from_secs(600);
/// Digits of a latency that count.
const DIGITS: u8 = 3;

/// Latencies, to three digits.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        let longest = nanos(LATENCY_MAX);
        let histogram = Histogram::new_with_bounds(1, longest, DIGITS);
        Self(histogram.expect("the bounds are in order"))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        self.0.saturating_record(nanos(took).max(1));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that so many of a hundred did not exceed, in milliseconds.
    pub(crate) fn percentile_ms(&self, percent: f64) -> f64 {
        millis(self.0.value_at_percentile(percent))
    }

    pub(crate) fn worst_ms(&self) -> f64 {
        millis(self.0.max())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut latencies = Latencies::new();
        for micros in 1..=1_000 {
            latencies.record(Duration::from_micros(micros));
        }
        let near = |figure: f64, expected: f64| (figure - expected).abs() / expected < 0.002;
        assert!(near(latencies.percentile_ms(50.0), 0.5));
        assert!(near(latencies.percentile_ms(99.0), 0.99));
        assert!(near(latencies.worst_ms(), 1.0));
        latencies.record(Duration::from_secs(10_000));
        assert_eq!(latencies.count(), 1_001);
        assert!(near(latencies.worst_ms(), 600_000.0));
    }
}
