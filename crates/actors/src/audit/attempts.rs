//! Owns refused attempts on their way into a log: how many of each log are taken, and the count of
//! those that are not.
//!
//! Must not wait for anything.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use sanntid_engine::{AuditLog, RefusedAttempt};
use sanntid_types::Instant;
use tokio::sync::Notify;

use crate::node::Shared;

/// What the record is named that counts attempts which have none.
pub(super) const OMIT: &str = "omit_refused_attempts";

/// Attempts of one log that are noted within a moment.
const BURST: i64 = 100;
/// Milliseconds after which one more is.
const REFILL_MS: i64 = 100;
/// Attempts of all logs that wait for their commit.
const WAITING_MAX: usize = 4096;
/// How often the count of those left out is noted, in milliseconds.
const OMITTED_EVERY_MS: u64 = 60_000;

/// Attempts that have no record yet, with when each was made.
type Waiting = Vec<(RefusedAttempt, Instant)>;
/// How many attempts of a log were left out.
type Omitted = Vec<(AuditLog, u64)>;

/// Refused attempts that are not committed yet.
#[derive(Default)]
pub(crate) struct Attempts {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Default)]
struct State {
    waiting: Waiting,
    /// Those of the instances that there are, and the server's.
    logs: HashMap<AuditLog, Bucket>,
}

/// How much one log takes, and what it did not.
struct Bucket {
    /// When it is as good as new, in milliseconds: each attempt puts that off.
    full_at: i64,
    omitted: u64,
    /// When the count was last noted.
    counted_at: i64,
}

impl Attempts {
    /// Takes an attempt, or counts it.
    pub(super) fn take(&self, attempt: RefusedAttempt, now: Instant) {
        let mut state = self.state.lock();
        let has_room = state.waiting.len() < WAITING_MAX;
        let bucket = state
            .logs
            .entry(attempt.log)
            .or_insert_with(|| Bucket::new(now));
        if has_room && bucket.admit(now) {
            state.waiting.push((attempt, now));
            self.wake.notify_one();
        } else {
            bucket.omitted += 1;
        }
    }

    /// Has counts noted that are due.
    pub(crate) fn look_again(&self) {
        if !self.state.lock().logs.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Gives what is to be committed: attempts, and counts of those left out.
    pub(super) fn due(&self, now: Instant) -> (Waiting, Omitted) {
        let mut state = self.state.lock();
        let now = now.as_millis();
        let mut omitted = Vec::new();
        for (log, bucket) in &mut state.logs {
            if bucket.omitted > 0 && now.abs_diff(bucket.counted_at) >= OMITTED_EVERY_MS {
                omitted.push((*log, std::mem::take(&mut bucket.omitted)));
                bucket.counted_at = now;
            }
        }
        let is_new = |bucket: &Bucket| bucket.omitted == 0 && bucket.full_at <= now;
        state.logs.retain(|_, bucket| !is_new(bucket));
        (std::mem::take(&mut state.waiting), omitted)
    }

    /// Counts what could not be committed.
    pub(super) fn were_lost(&self, lost: impl Iterator<Item = (AuditLog, u64)>) {
        let mut state = self.state.lock();
        for (log, count) in lost {
            let bucket = state
                .logs
                .entry(log)
                .or_insert_with(|| Bucket::new(Instant::MIN));
            bucket.omitted += count;
        }
    }
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self {
            full_at: now.as_millis(),
            omitted: 0,
            counted_at: now.as_millis(),
        }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let now = now.as_millis();
        // A clock that was put back must not hold anything up.
        let latest = now.saturating_add(BURST * REFILL_MS);
        let full_at = self.full_at.clamp(now, latest);
        let is_admitted = full_at.saturating_sub(now) <= (BURST - 1) * REFILL_MS;
        if is_admitted {
            self.full_at = full_at.saturating_add(REFILL_MS);
        }
        is_admitted
    }
}

/// Commits attempts as they come, many in one commit where many come.
pub(crate) async fn note_attempts(shared: Arc<Shared>) {
    loop {
        shared.attempts.wake.notified().await;
        if let Err(error) = shared.aside(|shared| shared.commit_attempts()).await {
            tracing::warn!(?error, "refused attempts are counted instead of noted");
        }
    }
}

#[cfg(test)]
mod tests {
    use sanntid_types::{Actor, ErrorCode, InstanceId};

    use super::*;

    fn attempt(number: u128) -> RefusedAttempt {
        RefusedAttempt {
            log: AuditLog::Instance(InstanceId(uuid::Uuid::from_u128(number))),
            by: Actor::server("test"),
            code: ErrorCode::Forbidden,
        }
    }

    #[test]
    fn a_log_takes_a_burst_then_ten_a_second_and_counts_the_rest() {
        let attempts = Attempts::default();
        let at = |ms| Instant::from_millis(1_000_000_i64 + ms);
        for _ in 0..150 {
            attempts.take(attempt(1), at(0));
        }
        attempts.take(attempt(2), at(0));
        let (waiting, omitted) = attempts.due(at(0));
        assert_eq!((waiting.len(), omitted), (101, vec![]), "its own limit");
        for _ in 0..50 {
            attempts.take(attempt(1), at(1_000));
        }
        assert_eq!(attempts.due(at(1_000)).0.len(), 10);
        let (waiting, omitted) = attempts.due(at(60_000));
        assert!(waiting.is_empty());
        assert_eq!(omitted, [(attempt(1).log, 90)]);
        assert!(attempts.due(at(120_000)).1.is_empty(), "told once");
        assert!(attempts.state.lock().logs.is_empty(), "forgotten when calm");
    }

    #[test]
    fn what_could_not_be_committed_is_counted() {
        let attempts = Attempts::default();
        let now = Instant::from_millis(1_000_000);
        attempts.were_lost([(attempt(1).log, 3), (attempt(1).log, 2)].into_iter());
        let (_, omitted) = attempts.due(now);
        assert_eq!(omitted, [(attempt(1).log, 5)]);
    }

    #[test]
    fn all_logs_together_wait_in_bounded_room() {
        let attempts = Attempts::default();
        let now = Instant::from_millis(0);
        for number in 0..200 {
            (0..30).for_each(|_| attempts.take(attempt(number), now));
        }
        let (waiting, _) = attempts.due(now);
        assert_eq!(waiting.len(), WAITING_MAX);
    }
}
