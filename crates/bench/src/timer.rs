//! Owns measuring time and waiting for a moment. The clock itself is handed in.

use std::thread;
use std::time::Duration;

/// Reads a monotonic clock that its owner gave.
#[derive(Clone, Copy, Debug)]
pub struct Timer(fn() -> Duration);

impl Timer {
    /// Takes a function that tells the time since some fixed moment.
    pub fn new(monotonic: fn() -> Duration) -> Self {
        Self(monotonic)
    }

    /// The time since the fixed moment.
    pub(crate) fn now(self) -> Duration {
        (self.0)()
    }

    /// The time since an earlier reading.
    pub(crate) fn since(self, start: Duration) -> Duration {
        self.now().saturating_sub(start)
    }

    /// Waits until a moment has come; gives the time that it is then.
    pub(crate) fn wait_until(self, moment: Duration) -> Duration {
        loop {
            let now = self.now();
            match moment.checked_sub(now) {
                Some(rest) if !rest.is_zero() => thread::park_timeout(rest),
                _ => return now,
            }
        }
    }

    /// Waits for a span.
    pub(crate) fn wait(self, span: Duration) {
        self.wait_until(self.now() + span);
    }
}

/// How many there were in a second.
pub(crate) fn per_second(count: u64, span: Duration) -> f64 {
    let seconds = span.as_secs_f64();
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// The middle of some figures; of an even number of them the lower one.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len().saturating_sub(1) / 2;
    sorted.get(middle).copied().unwrap_or(f64::NAN)
}

/// The smallest and the largest of some figures.
pub(crate) fn spread(figures: &[f64]) -> (f64, f64) {
    let low = figures.iter().copied().fold(f64::INFINITY, f64::min);
    let high = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_a_middle_and_a_spread() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.0);
        assert!(median(&[]).is_nan());
        assert_eq!(spread(&[3.0, 1.0, 2.0]), (1.0, 3.0));
        assert_eq!(per_second(10, Duration::from_secs(4)), 2.5);
        assert_eq!(per_second(10, Duration::ZERO), 0.0);
    }

    #[test]
    fn a_moment_that_has_passed_is_not_waited_for() {
        let timer = Timer::new(|| Duration::from_secs(5));
        assert_eq!(
            timer.wait_until(Duration::from_secs(4)),
            Duration::from_secs(5)
        );
        assert_eq!(timer.since(Duration::from_secs(9)), Duration::ZERO);
    }
}
