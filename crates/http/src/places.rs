//! How many connections each address has open. Owns the count and its limit; must not know what a
//! connection carries.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts the open connections of each address; clones share the count.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// Zero where there is no limit.
    of_each_max: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Places {
    pub(crate) fn new(of_each_max: usize) -> Self {
        Self {
            of_each_max,
            taken: Arc::default(),
        }
    }

    /// Takes a place for a connection from an address; `None` where it has as many as it may have.
    pub(crate) fn take(&self, address: IpAddr) -> Option<Place> {
        if self.of_each_max == 0 {
            return Some(Place(None));
        }
        let address = network(address);
        let mut taken = self.taken.lock();
        let count = taken.entry(address).or_default();
        if *count >= self.of_each_max {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), address))))
    }
}

/// Holds the place of one connection until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(Option<(Places, IpAddr)>);

impl Drop for Place {
    fn drop(&mut self) {
        let Some((places, address)) = self.0.take() else {
            return;
        };
        let mut taken = places.taken.lock();
        if let Some(count) = taken.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&address);
            }
        }
    }
}

/// What counts as one address: of IPv6 the network that a single customer is given.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let places = Places::new(2);
        let first = places.take(at("192.0.2.1")).expect("a place");
        let second = places.take(at("192.0.2.1")).expect("a place");
        assert!(places.take(at("192.0.2.1")).is_none());
        let other = places.take(at("192.0.2.2"));
        assert!(other.is_some(), "another address is not held up");
        drop(first);
        let third = places.take(at("::ffff:192.0.2.1"));
        assert!(third.is_some(), "given back, under whatever spelling");
        assert!(places.take(at("192.0.2.1")).is_none());
        drop((second, third, other));
        assert!(
            places.taken.lock().is_empty(),
            "nothing is kept of the gone"
        );
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let places = Places::new(1);
        let _held = places.take(at("2001:db8::1")).expect("a place");
        assert!(places.take(at("2001:db8::ffff:2")).is_none());
        assert!(places.take(at("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn zero_is_no_limit() {
        let places = Places::new(0);
        let held: Vec<_> = (0..100).map(|_| places.take(at("192.0.2.1"))).collect();
        assert!(held.iter().all(Option::is_some));
    }
}
