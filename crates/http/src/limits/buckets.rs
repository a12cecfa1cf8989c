//! What one instance may use at present: its buckets, those of its callers and of its profiles.
//! Owns counting. Must not know requests, nor why something is counted.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header::HeaderValue;
use governor::clock::Clock as _;
use governor::middleware::{NoOpMiddleware, RateLimitingMiddleware, StateInformationMiddleware};
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use sanntid_types::{BYTES_PER_SECOND_MIN, InstanceLimits, LimitName, Limits};

use super::fields;
use super::ticks::Ticks;

/// Bytes are counted in so many: a rate of single ones would be too fine for a clock.
const UNIT: u64 = 64;
/// Bodies are let in by pieces of so many bytes; the smallest bucket holds one.
pub(super) const PIECE: u64 = BYTES_PER_SECOND_MIN;
/// Keys that are looked at before idle ones are dropped.
const KEYS_BEFORE_TIDYING: u64 = 1024;

type Bucket<M> = RateLimiter<NotKeyed, InMemoryState, Ticks, M>;
type Silent = NoOpMiddleware<Nanos>;

/// Buckets by key, of which idle ones go.
///
/// Invariant: a bucket that nobody has used for as long as it takes to fill is not kept, so that
/// there are no more than keys of the last second and those since the last look.
pub(super) struct Keyed<K, M>
where
    K: Hash + Eq + Clone,
    M: RateLimitingMiddleware<Nanos>,
{
    buckets: RateLimiter<K, HashMapStateStore<K>, Ticks, M>,
    since_tidying: AtomicU64,
}

impl<K, M> Keyed<K, M>
where
    K: Hash + Eq + Clone,
    M: RateLimitingMiddleware<Nanos>,
{
    pub(super) fn new(quota: Quota, ticks: &Ticks) -> Self {
        let store = HashMapStateStore::default();
        Self {
            buckets: RateLimiter::new(quota, store, ticks.clone()),
            since_tidying: AtomicU64::new(0),
        }
    }

    pub(super) fn take(&self, key: &K) -> Result<M::PositiveOutcome, M::NegativeOutcome> {
        if self.since_tidying.fetch_add(1, Ordering::Relaxed) >= KEYS_BEFORE_TIDYING {
            self.tidy();
        }
        self.buckets.check_key(key)
    }

    /// Drops what is as if it had never been.
    pub(super) fn tidy(&self) {
        self.since_tidying.store(0, Ordering::Relaxed);
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }
}

/// The buckets of one instance, made for limits that do not change.
pub(super) struct Buckets {
    /// What was set for the instance when they were made.
    pub(super) own: InstanceLimits,
    pub(super) limits: Limits,
    requests: Option<Bucket<StateInformationMiddleware>>,
    callers: Option<Keyed<u64, StateInformationMiddleware>>,
    bytes: Option<Bucket<Silent>>,
    profiles: Option<Keyed<u64, Silent>>,
    /// Shared with the buckets before and after these: requests outlive a change.
    under_way: Arc<AtomicU32>,
    /// When they were used last, in milliseconds.
    used_at: AtomicU64,
    /// What a caller is told of these limits with every answer.
    pub(super) policy: Option<HeaderValue>,
    ticks: Ticks,
}

/// What is left of the limits that a caller is told of; `None` where there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) requests: Option<u32>,
    pub(super) of_caller: Option<u32>,
}

impl Buckets {
    pub(super) fn new(
        limits: Limits,
        own: InstanceLimits,
        before: Option<&Self>,
        ticks: &Ticks,
    ) -> Self {
        let quota = |rate: u32| NonZeroU32::new(rate).map(Quota::per_second);
        let units = u32::try_from(limits.bytes_per_second / UNIT).unwrap_or(u32::MAX);
        let under_way = before.map(|before| Arc::clone(&before.under_way));
        Self {
            requests: quota(limits.requests_per_second).map(|quota| bucket(quota, ticks)),
            callers: quota(limits.caller_requests_per_second).map(|quota| Keyed::new(quota, ticks)),
            bytes: quota(units).map(|quota| bucket(quota, ticks)),
            profiles: quota(limits.profile_writes_per_second).map(|quota| Keyed::new(quota, ticks)),
            under_way: under_way.unwrap_or_default(),
            used_at: AtomicU64::new(ticks.millis()),
            policy: fields::policy(&limits),
            ticks: ticks.clone(),
            limits,
            own,
        }
    }

    /// Takes one request of a caller; a caller who is refused takes nothing of the instance's share.
    pub(super) fn take_request(&self, caller: u64, left: &mut Left) -> Result<(), LimitName> {
        self.used_at.store(self.ticks.millis(), Ordering::Relaxed);
        if let Some(callers) = &self.callers {
            let taken = callers.take(&caller).ok();
            left.of_caller = Some(taken.as_ref().map_or(0, |it| it.remaining_burst_capacity()));
            taken.ok_or(LimitName::CallerRequestsPerSecond)?;
        }
        if let Some(requests) = &self.requests {
            let taken = requests.check().ok();
            left.requests = Some(taken.as_ref().map_or(0, |it| it.remaining_burst_capacity()));
            taken.ok_or(LimitName::RequestsPerSecond)?;
        }
        Ok(())
    }

    /// Takes a place for one more request under way.
    pub(super) fn enter(&self) -> Result<UnderWay, LimitName> {
        let most = self.limits.concurrent_requests;
        let before = self.under_way.fetch_add(1, Ordering::Relaxed);
        let place = UnderWay(Arc::clone(&self.under_way));
        if most > 0 && before >= most {
            return Err(LimitName::ConcurrentRequests);
        }
        Ok(place)
    }

    /// Takes at most [`PIECE`] bytes, or says how long to wait for them.
    pub(super) fn take_bytes(&self, bytes: u64) -> Result<(), Duration> {
        let Some(bucket) = &self.bytes else {
            return Ok(());
        };
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let Some(units) = NonZeroU32::new(units) else {
            return Ok(());
        };
        match bucket.check_n(units) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(refused)) => Err(refused.wait_time_from(self.ticks.now())),
            Err(_) => {
                debug_assert!(bytes <= PIECE, "the smallest bucket holds a piece");
                Ok(())
            }
        }
    }

    /// Takes one update of a profile.
    pub(super) fn take_write(&self, profile: u64) -> Result<(), LimitName> {
        let Some(profiles) = &self.profiles else {
            return Ok(());
        };
        let taken = profiles.take(&profile).ok();
        taken.ok_or(LimitName::ProfileWritesPerSecond)
    }

    /// How much of a limit there is.
    pub(super) fn most(&self, limit: LimitName) -> u64 {
        let limits = &self.limits;
        match limit {
            LimitName::RequestsPerSecond => limits.requests_per_second.into(),
            LimitName::BytesPerSecond => limits.bytes_per_second,
            LimitName::ConcurrentRequests => limits.concurrent_requests.into(),
            LimitName::CallerRequestsPerSecond => limits.caller_requests_per_second.into(),
            LimitName::ProfileWritesPerSecond => limits.profile_writes_per_second.into(),
            LimitName::BatchItems => limits.batch_items.into(),
            LimitName::FieldsPerUpdate => limits.fields_per_update.into(),
            LimitName::OverlayFields => limits.overlay_fields,
            LimitName::Activities => limits.activities,
            LimitName::StoredBytes => limits.stored_bytes,
            LimitName::FailedAttempts => limits.failed_attempts_per_second.into(),
        }
    }

    /// Drops idle keys; says whether anything is left that new buckets would not have.
    pub(super) fn tidy(&self, idle_since: u64) -> bool {
        if let Some(callers) = &self.callers {
            callers.tidy();
        }
        if let Some(profiles) = &self.profiles {
            profiles.tidy();
        }
        self.under_way.load(Ordering::Relaxed) > 0
            || self.used_at.load(Ordering::Relaxed) > idle_since
    }

    #[cfg(test)]
    pub(super) fn profiles(&self) -> usize {
        self.profiles.as_ref().map_or(0, Keyed::len)
    }
}

fn bucket<M: RateLimitingMiddleware<Nanos>>(quota: Quota, ticks: &Ticks) -> Bucket<M> {
    RateLimiter::direct_with_clock(quota, ticks.clone()).with_middleware()
}

/// Counts a request as long as it is under way.
pub(super) struct UnderWay(Arc<AtomicU32>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
