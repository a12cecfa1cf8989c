//! Owns a clock that tests set. Must not go by itself.

use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    time::Duration,
};

use sanntid_types::{Clock, Instant};

/// Stands still until it is told to go on.
pub struct SimulatedClock {
    millis: AtomicI64,
    is_trusted: AtomicBool,
}

impl SimulatedClock {
    /// Starts at a fixed instant.
    pub fn new() -> Self {
        let start = Instant::parse("2026-11-23T12:00:00Z").unwrap();
        Self {
            millis: AtomicI64::new(start.as_millis()),
            is_trusted: AtomicBool::new(true),
        }
    }

    /// Goes on by `span`.
    pub fn advance(&self, span: Duration) {
        let span = i64::try_from(span.as_millis()).unwrap();
        self.millis.fetch_add(span, Ordering::SeqCst);
    }

    /// Says whether the clock claims to be right.
    pub fn trust(&self, is_trusted: bool) {
        self.is_trusted.store(is_trusted, Ordering::SeqCst);
    }
}

impl Default for SimulatedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.millis.load(Ordering::SeqCst))
    }

    fn is_trusted(&self) -> bool {
        self.is_trusted.load(Ordering::SeqCst)
    }

    fn confirm(&self) {
        self.trust(true);
    }
}
