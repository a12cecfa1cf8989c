//! Failed attempts to get in, counted by the address that they come from.
//! Owns when an address has tried too often. A good key is taken from any address: behind a proxy
//! all callers share one, and nobody must be able to keep the others out.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use governor::Quota;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use sanntid_types::{Error, LimitName};

use super::buckets::Keyed;
use super::ticks::Ticks;

/// So many seconds' worth of attempts may come at once.
const BURST_SECS: u32 = 5;
/// Of an IPv6 address, the part that one subscriber has as a whole.
const NETWORK_BITS: u32 = 64;

/// Counts failed attempts.
pub(super) struct Attempts {
    per_second: u32,
    buckets: Option<Keyed<u128, NoOpMiddleware<Nanos>>>,
}

impl Attempts {
    pub(super) fn new(per_second: u32, ticks: &Ticks) -> Self {
        let rate = NonZeroU32::new(per_second);
        let burst = NonZeroU32::new(per_second.saturating_mul(BURST_SECS));
        let quota = rate.zip(burst);
        let buckets = quota.map(|(rate, burst)| {
            let quota = Quota::per_second(rate).allow_burst(burst);
            Keyed::new(quota, ticks)
        });
        Self {
            per_second,
            buckets,
        }
    }

    /// Notes a failed attempt; an error where there were too many.
    pub(super) fn failed(&self, peer: Option<SocketAddr>) -> Result<(), Error> {
        let (Some(buckets), Some(peer)) = (&self.buckets, peer) else {
            return Ok(());
        };
        let network = match peer.ip().to_canonical() {
            IpAddr::V4(address) => u128::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> NETWORK_BITS) << NETWORK_BITS,
        };
        let taken = buckets.take(&network).ok();
        taken.ok_or_else(|| LimitName::FailedAttempts.error(self.per_second.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ticks::tests::Put;
    use super::*;

    #[test]
    fn an_address_has_a_burst_and_a_rate_and_its_neighbours_have_their_own() {
        let clock = Put::at(0);
        let attempts = Attempts::new(2, &Ticks::new(clock.clone()));
        let failed = |from: &str| attempts.failed(Some(from.parse().expect("an address")));
        for attempt in 0..10 {
            assert!(failed("127.0.0.1:1").is_ok(), "{attempt}");
        }
        let refused = failed("127.0.0.1:2").expect_err("too many");
        assert_eq!(refused.target.as_deref(), Some("failedAttempts"));
        assert!(failed("127.0.0.2:1").is_ok());
        // An IPv4 address is the same in the clothes of IPv6.
        assert!(failed("[::ffff:127.0.0.1]:1").is_err());
        clock.forth(500);
        assert!(failed("127.0.0.1:1").is_ok());
        assert!(failed("127.0.0.1:1").is_err());
        // One subscriber has a whole network.
        for host in 0..10 {
            assert!(failed(&format!("[2001:db8::{host}]:1")).is_ok(), "{host}");
        }
        assert!(failed("[2001:db8::ffff]:1").is_err());
        assert!(failed("[2001:db8:0:1::1]:1").is_ok());
        assert!(attempts.failed(None).is_ok());
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let attempts = Attempts::new(0, &Ticks::new(Put::at(0)));
        let from = "127.0.0.1:1".parse().ok();
        assert!((0..1000).all(|_| attempts.failed(from).is_ok()));
    }
}
