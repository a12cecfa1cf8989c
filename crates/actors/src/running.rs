//! Owns a tenant that takes calls, and the counts of calls in flight, of one tenant and of all.
//!
//! Must not know how a tenant is started or ends.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use actix::Addr;
use sanntid_types::{Error, Instant};

use crate::{outcome::overloaded, published::Published, registry::Registry, tenant::TenantActor};

/// A tenant that takes calls.
pub(crate) struct Running {
    pub(crate) addr: Addr<TenantActor>,
    pub(crate) published: Arc<Published>,
    pub(crate) started_at: Instant,
    calls: AtomicUsize,
    used_at: AtomicI64,
}

impl Running {
    pub(crate) fn new(addr: Addr<TenantActor>, published: Arc<Published>, now: Instant) -> Self {
        Self {
            addr,
            published,
            started_at: now,
            calls: AtomicUsize::new(0),
            used_at: AtomicI64::new(now.as_millis()),
        }
    }

    /// Notes a use, so that the tenant stays in memory.
    pub(crate) fn touch(&self, now: Instant) {
        self.used_at.store(now.as_millis(), Ordering::Relaxed);
    }

    /// Whether it has no call in flight and was not used since.
    pub(crate) fn is_idle(&self, since: Instant) -> bool {
        self.calls.load(Ordering::Acquire) == 0
            && Instant::from_millis(self.used_at.load(Ordering::Relaxed)) <= since
    }
}

/// The calls of a node that wait for something.
#[derive(Default)]
pub(crate) struct Calls(AtomicUsize);

impl Calls {
    /// How many wait.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// The right to be one of the calls that wait.
pub(crate) struct Place(Arc<Registry>);

impl Place {
    /// Takes a place of those that the node has.
    pub(crate) fn take(registry: &Arc<Registry>) -> Result<Self, Error> {
        let place = Self(Arc::clone(registry));
        let before = registry.calls.0.fetch_add(1, Ordering::AcqRel);
        if before >= registry.config.node_calls_max {
            return Err(overloaded("nodeCalls"));
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.calls.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The right to have one call of a tenant in flight.
pub(crate) struct Permit {
    running: Arc<Running>,
    _place: Place,
}

impl Permit {
    /// Takes a place of the node's and one of the tenant's.
    pub(crate) fn take(registry: &Arc<Registry>, running: &Arc<Running>) -> Result<Self, Error> {
        let place = Place::take(registry)?;
        let before = running.calls.fetch_add(1, Ordering::AcqRel);
        let permit = Self {
            running: Arc::clone(running),
            _place: place,
        };
        if before >= registry.config.tenant_calls_max {
            return Err(overloaded("tenantCalls"));
        }
        running.touch(registry.clock.now());
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.running.calls.fetch_sub(1, Ordering::AcqRel);
    }
}
