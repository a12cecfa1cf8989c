//! Owns what readers see of a tenant without asking it: its state, swapped as a whole.
//!
//! Must hold only what is committed: a read never shows what a crash could take back (rules 5.2).

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

use arc_swap::ArcSwap;
use sanntid_engine::TenantState;
use sanntid_store::{Snapshot, TenantView};
use sanntid_types::Instant;

use crate::usage;

/// A state, and what is found out about it when it is first read.
struct Shown {
    state: Arc<TenantState>,
    /// Whether nobody moved in its generation.
    is_unmoved: OnceLock<bool>,
}

impl Shown {
    fn new(state: TenantState) -> Arc<Self> {
        Arc::new(Self {
            state: Arc::new(state),
            is_unmoved: OnceLock::new(),
        })
    }
}

/// The committed state of one tenant.
///
/// Configuration and generation change seldom and are swapped; the instant of the last write
/// changes with each and stands beside them.
pub(crate) struct Published {
    shown: ArcSwap<Shown>,
    accepted_at: AtomicI64,
    /// Whether a batch with its tenant's writes was lost, or may have been.
    in_doubt: AtomicBool,
    /// When what the tenant keeps was last counted, in milliseconds.
    counted_at: AtomicI64,
    count_wanted: AtomicBool,
}

impl Published {
    pub(crate) fn new(state: TenantState) -> Self {
        let accepted_at = AtomicI64::new(millis(state.accepted_at));
        Self {
            shown: ArcSwap::new(Shown::new(state)),
            accepted_at,
            in_doubt: AtomicBool::new(false),
            counted_at: AtomicI64::new(i64::MIN),
            count_wanted: AtomicBool::new(false),
        }
    }

    /// The state of the last change; its position and `accepted_at` may be older than the last
    /// write's.
    pub(crate) fn state(&self) -> Arc<TenantState> {
        Arc::clone(&self.shown.load().state)
    }

    /// Lets a view of `state` skip what is known not to be there.
    pub(crate) fn hint<S: Snapshot>(
        &self,
        state: &Arc<TenantState>,
        view: TenantView<S>,
    ) -> TenantView<S> {
        let shown = self.shown.load();
        let Some(customer) = state
            .customer()
            .filter(|_| Arc::ptr_eq(&shown.state, state))
        else {
            return view;
        };
        let is_unmoved = match shown.is_unmoved.get() {
            Some(is_unmoved) => *is_unmoved,
            None => match view.has_redirects(customer.table) {
                Ok(has) => *shown.is_unmoved.get_or_init(|| !has),
                Err(_) => false,
            },
        };
        view.with_unmoved(is_unmoved.then_some(customer.table))
    }

    /// The instant that a request works with: never before the last committed write (rules 2.1).
    pub(crate) fn now(&self, clock: Instant) -> Instant {
        clock.max(Instant::from_millis(
            self.accepted_at.load(Ordering::Acquire),
        ))
    }

    /// Whether the tenant's state must be read anew before anything is decided.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Acquire)
    }

    /// Notes whether the tenant's state can be relied on.
    pub(crate) fn set_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::Release);
    }

    /// Whether what the tenant keeps must be counted anew.
    pub(crate) fn is_count_due(&self, now: Instant) -> bool {
        let is_wanted = self.count_wanted.load(Ordering::Relaxed);
        let counted_at = self.counted_at.load(Ordering::Relaxed);
        if counted_at == i64::MIN && !is_wanted {
            // What an earlier life of the tenant committed is good for a while.
            self.counted_at.store(now.as_millis(), Ordering::Relaxed);
            return false;
        }
        usage::is_due(now, counted_at, is_wanted)
    }

    /// Notes that a count begins.
    pub(crate) fn count_begins(&self, now: Instant) {
        self.count_wanted.store(false, Ordering::Relaxed);
        self.counted_at.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Has what the tenant keeps counted soon.
    pub(crate) fn want_count(&self) {
        self.count_wanted.store(true, Ordering::Relaxed);
    }

    /// Notes a committed write.
    pub(crate) fn accepted(&self, accepted_at: Instant) {
        self.accepted_at
            .fetch_max(accepted_at.as_millis(), Ordering::AcqRel);
    }

    /// Shows a committed change.
    pub(crate) fn replace(&self, state: TenantState) {
        self.accepted_at
            .fetch_max(millis(state.accepted_at), Ordering::AcqRel);
        self.shown.store(Shown::new(state));
    }
}

fn millis(instant: Option<Instant>) -> i64 {
    instant.unwrap_or(Instant::MIN).as_millis()
}
