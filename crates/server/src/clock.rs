//! Owns the one real clock, its guard against jumps, and the stopwatch for measuring.
//! Nothing else in the project reads a clock of the system.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sanntid_types::{Clock, Instant};

/// How far the wall clock may leave the monotonic clock in one step (rules 2.4).
pub(crate) const JUMP_MAX: Duration = Duration::from_secs(60);

/// Runs on while the machine is suspended, so that waking up is no jump.
#[cfg(target_os = "linux")]
const MONOTONIC: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const MONOTONIC: ClockId = ClockId::Monotonic;

/// Holds what both clocks said at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What the wall clock said.
    pub wall: Instant,
    /// Time since an arbitrary, fixed moment.
    pub monotonic: Duration,
}

/// Decides whether the wall clock has jumped (rules 2.4).
///
/// Invariant: the reference moves along while both clocks agree, so slow drift never adds up to a
/// jump; it stays where it is from a jump on, until both agree with it again.
#[derive(Clone, Debug)]
pub struct JumpGuard {
    reference: Reading,
}

impl JumpGuard {
    /// Starts from a reading that is taken to be right.
    pub fn new(reference: Reading) -> Self {
        Self { reference }
    }

    /// Takes a reading; says whether the clocks disagree by more than [`JUMP_MAX`] at present.
    pub fn observe(&mut self, reading: Reading) -> bool {
        let expected = self
            .reference
            .wall
            .plus(reading.monotonic.saturating_sub(self.reference.monotonic));
        let apart = reading.wall.as_millis().abs_diff(expected.as_millis());
        let jumped = Duration::from_millis(apart) > JUMP_MAX;
        if !jumped {
            self.reference = reading;
        }
        jumped
    }
}

/// Reads the clocks of the system.
#[derive(Debug)]
pub struct SystemClock {
    guard: Mutex<JumpGuard>,
}

impl SystemClock {
    /// Starts the clock; the present wall time is taken to be right.
    pub fn new() -> Self {
        Self {
            guard: Mutex::new(JumpGuard::new(reading())),
        }
    }

    /// Whether the wall clock has jumped and not come back (rules 2.4).
    pub fn jumped(&self) -> bool {
        self.guard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .observe(reading())
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        wall()
    }

    fn is_trusted(&self) -> bool {
        !self.jumped()
    }

    fn confirm(&self) {
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = JumpGuard::new(reading());
    }
}

/// Measures how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch {
    started: Duration,
}

impl Stopwatch {
    /// Starts measuring.
    pub fn start() -> Self {
        Self {
            started: monotonic(),
        }
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        monotonic().saturating_sub(self.started)
    }
}

/// What the wall clock says.
pub(crate) fn wall() -> Instant {
    let now = clock_gettime(ClockId::Realtime);
    let millis = now.tv_sec.saturating_mul(1000) + now.tv_nsec / 1_000_000;
    Instant::from_millis(millis)
}

/// Time since an arbitrary, fixed moment.
pub(crate) fn monotonic() -> Duration {
    let now = clock_gettime(MONOTONIC);
    let secs = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(secs, nanos)
}

fn reading() -> Reading {
    Reading {
        wall: wall(),
        monotonic: monotonic(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(wall_secs: i64, monotonic_secs: u64) -> Reading {
        Reading {
            wall: Instant::from_millis(wall_secs * 1000),
            monotonic: Duration::from_secs(monotonic_secs),
        }
    }

    #[test]
    fn only_a_step_of_more_than_a_minute_is_a_jump_and_it_lasts_until_both_agree_again() {
        // Each row: wall, monotonic, jumped. The guard starts at (1000, 0).
        let table: &[&[(i64, u64, bool)]] = &[
            &[(1000, 0, false), (1010, 10, false)],
            &[(1070, 10, false)],
            &[(1071, 10, true)],
            &[(949, 10, true), (950, 10, false)],
            // A jump stays one, however long it is observed, and ends where the clocks agree.
            &[(5000, 10, true), (5100, 110, true), (1110, 110, false)],
            &[(5000, 10, true), (5001, 4001, false)],
            // Drift in small steps never adds up.
            &[(1050, 10, false), (1110, 20, false), (1170, 30, false)],
            // A wall clock that stands still is a jump once it lags by more than a minute.
            &[(1000, 60, false), (1000, 121, true)],
        ];
        for steps in table {
            let mut guard = JumpGuard::new(at(1000, 0));
            for (wall, monotonic, jumped) in *steps {
                assert_eq!(
                    guard.observe(at(*wall, *monotonic)),
                    *jumped,
                    "{wall} {monotonic} of {steps:?}"
                );
            }
        }
    }

    #[test]
    fn the_real_clocks_agree_with_each_other() {
        let clock = SystemClock::new();
        assert!(!clock.jumped());
        clock.confirm();
        assert!(!clock.jumped());
        let year_2020 = Instant::parse("2020-01-01T00:00:00Z").unwrap();
        assert!(clock.now() > year_2020);
        let watch = Stopwatch::start();
        assert!(watch.elapsed() < Duration::from_secs(60));
    }
}
