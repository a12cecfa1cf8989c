//! The time that limits are counted by: the server's clock, but for its jumps back.
//! Must not be taken for the time of day.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use governor::clock::Clock as Measure;
use governor::nanos::Nanos;
use sanntid_types::Clock;

/// How far the clock may go back before it counts as set, in milliseconds.
const BACK_MAX: i64 = 1000;
const NANOS_PER_MILLI: u64 = 1_000_000;

/// Gives the time since its start, which never goes back.
///
/// A clock that is set back would otherwise keep everybody out until it is where it was; one that is
/// set forth fills every bucket once.
#[derive(Clone)]
pub(super) struct Ticks(Arc<Inner>);

struct Inner {
    clock: Arc<dyn Clock>,
    started: i64,
    /// The latest time that was given, in milliseconds.
    latest: AtomicI64,
    /// What the clock was set back by.
    ahead: AtomicI64,
}

impl Ticks {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let started = clock.now().as_millis();
        Self(Arc::new(Inner {
            clock,
            started,
            latest: AtomicI64::new(0),
            ahead: AtomicI64::new(0),
        }))
    }

    /// Milliseconds since the start.
    pub(super) fn millis(&self) -> u64 {
        let Inner {
            clock,
            started,
            latest,
            ahead,
        } = &*self.0;
        let added = ahead.load(Ordering::Relaxed);
        let said = clock.now().as_millis() - started + added;
        let before = latest.fetch_max(said, Ordering::Relaxed);
        if said < before - BACK_MAX {
            let added_now = added + (before - said);
            // Whoever loses has met the same jump.
            ahead
                .compare_exchange(added, added_now, Ordering::Relaxed, Ordering::Relaxed)
                .ok();
        }
        u64::try_from(said.max(before)).unwrap_or(0)
    }
}

impl Measure for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.millis().saturating_mul(NANOS_PER_MILLI))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use sanntid_types::Instant;

    use super::*;

    /// A clock that stands where it is put.
    pub(crate) struct Put(pub(crate) AtomicI64);

    impl Put {
        pub(crate) fn at(millis: i64) -> Arc<Self> {
            Arc::new(Self(AtomicI64::new(millis)))
        }

        pub(crate) fn to(&self, millis: i64) {
            self.0.store(millis, Ordering::Relaxed);
        }

        pub(crate) fn forth(&self, millis: i64) {
            self.0.fetch_add(millis, Ordering::Relaxed);
        }
    }

    impl Clock for Put {
        fn now(&self) -> Instant {
            Instant::from_millis(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn it_goes_on_where_the_clock_is_set_back() {
        let clock = Put::at(1_000_000);
        let ticks = Ticks::new(clock.clone());
        for (said, ticked) in [
            (1_000_000, 0),
            (1_005_000, 5000),
            // A little back: it waits.
            (1_004_500, 5000),
            (1_005_500, 5500),
            // An hour back: it goes on from where it was.
            (-2_594_500, 5500),
            (-2_594_400, 5600),
            (-2_593_400, 6600),
            // Forth again.
            (1_006_600, 3_606_600),
        ] {
            clock.to(said);
            assert_eq!(ticks.millis(), ticked, "{said}");
        }
    }
}
