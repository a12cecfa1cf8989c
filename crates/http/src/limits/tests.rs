//! Owns the tests of counting: each limit is met, recovers, and leaves others alone.

use proptest::prelude::*;
use sanntid_types::InstanceLimits;
use uuid::Uuid;

use super::ticks::tests::Put;
use super::*;

fn instance(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

fn access(limits: InstanceLimits) -> InstanceAccess {
    InstanceAccess {
        limits,
        ..InstanceAccess::default()
    }
}

fn off() -> Limits {
    Limits {
        requests_per_second: 0,
        bytes_per_second: 0,
        concurrent_requests: 0,
        caller_requests_per_second: 0,
        profile_writes_per_second: 0,
        ..Limits::default()
    }
}

/// Asks for requests until one is refused; says how many were let in, at most 1,000.
fn burst(buckets: &Buckets, caller: u64) -> usize {
    let taken = |_: &usize| buckets.take_request(caller, &mut Left::default()).is_ok();
    (0..1000).take_while(taken).count()
}

#[test]
fn a_second_s_worth_may_come_at_once_and_comes_again_within_a_second() {
    let clock = Put::at(0);
    let limits = Limits {
        requests_per_second: 20,
        ..off()
    };
    let limiter = Limiter::new(limits, clock.clone());
    let (one, other) = (instance(1), instance(2));
    let all = access(InstanceLimits::default());
    assert_eq!(burst(&limiter.of(one, &all), 1), 20);
    assert_eq!(burst(&limiter.of(one, &all), 2), 0, "all callers share it");
    assert_eq!(burst(&limiter.of(other, &all), 1), 20, "each has its own");
    clock.forth(50);
    assert_eq!(burst(&limiter.of(one, &all), 1), 1);
    clock.forth(10_000);
    assert_eq!(burst(&limiter.of(one, &all), 1), 20);
    // An hour back.
    clock.forth(-3_600_000);
    assert_eq!(burst(&limiter.of(one, &all), 1), 0);
    clock.forth(1000);
    assert_eq!(burst(&limiter.of(one, &all), 1), 20);
}

#[test]
fn a_greedy_caller_takes_nothing_of_the_others_share() {
    let limits = Limits {
        requests_per_second: 20,
        caller_requests_per_second: 5,
        ..off()
    };
    let limiter = Limiter::new(limits, Put::at(0));
    let buckets = limiter.of(instance(1), &access(InstanceLimits::default()));
    let mut left = Left::default();
    for _ in 0..500 {
        let met = buckets.take_request(1, &mut left).err();
        assert!(met.is_none_or(|limit| limit == LimitName::CallerRequestsPerSecond));
    }
    assert_eq!(left.of_caller, Some(0));
    for caller in 2..5 {
        assert_eq!(burst(&buckets, caller), 5, "caller {caller}");
    }
    let met = buckets.take_request(5, &mut left).err();
    assert_eq!(met, Some(LimitName::RequestsPerSecond));
    assert_eq!(left.requests, Some(0));
}

#[test]
fn a_change_holds_at_once_and_requests_under_way_count_on() {
    let limits = Limits {
        concurrent_requests: 2,
        ..off()
    };
    let limiter = Limiter::new(limits, Put::at(0));
    let of = |own: &InstanceLimits| limiter.of(instance(1), &access(own.clone()));
    let mut own = InstanceLimits::default();
    let first = of(&own).enter().expect("a place");
    let second = of(&own).enter().expect("a place");
    assert!(of(&own).enter().is_err());
    own.concurrent_requests = Some(3);
    own.requests_per_second = Some(1);
    let third = of(&own).enter().expect("a place");
    assert!(of(&own).enter().is_err(), "those from before count");
    assert_eq!(burst(&of(&own), 1), 1);
    own.concurrent_requests = Some(1);
    drop((first, second));
    assert!(of(&own).enter().is_err());
    drop(third);
    let only = of(&own).enter().expect("a place");
    assert!(of(&own).enter().is_err());
    own.requests_per_second = Some(0);
    assert_eq!(burst(&of(&own), 1), 1000);
    drop(only);
}

#[test]
fn bytes_are_let_in_at_their_rate_whatever_the_pieces() {
    let clock = Put::at(0);
    let limits = Limits {
        bytes_per_second: 2 * PIECE,
        ..off()
    };
    let limiter = Limiter::new(limits, clock.clone());
    let buckets = limiter.of(instance(1), &access(InstanceLimits::default()));
    assert!(buckets.take_bytes(PIECE).is_ok());
    assert!(buckets.take_bytes(PIECE).is_ok());
    let wait = buckets.take_bytes(PIECE).expect_err("too many");
    assert!((400..=500).contains(&wait.as_millis()), "{wait:?}");
    assert!(buckets.take_bytes(0).is_ok());
    clock.forth(500);
    assert!(buckets.take_bytes(PIECE).is_ok());
}

#[test]
fn a_million_profiles_are_not_kept() {
    let clock = Put::at(0);
    let limits = Limits {
        profile_writes_per_second: 1,
        ..off()
    };
    let limiter = Limiter::new(limits, clock.clone());
    let buckets = limiter.of(instance(1), &access(InstanceLimits::default()));
    let mut most = 0;
    for profile in 0..1_000_000_u64 {
        assert!(buckets.take_write(profile).is_ok());
        assert!(buckets.take_write(profile).is_err(), "{profile} is hot");
        // 10,000 profiles a second.
        if profile % 10 == 0 {
            clock.forth(1);
        }
        if profile % 4096 == 0 {
            most = most.max(buckets.profiles());
        }
    }
    assert!(most <= 24_000, "{most} were kept");
    clock.forth(2000);
    limiter.forget_idle(&mut limiter.instances.write());
    assert_eq!(buckets.profiles(), 0);
}

#[test]
fn instances_that_nobody_calls_are_forgotten_and_busy_ones_are_not() {
    let clock = Put::at(0);
    let limiter = Limiter::new(off(), clock.clone());
    let all = access(InstanceLimits::default());
    let busy = limiter.of(instance(0), &all).enter().expect("a place");
    for number in 1..20_000 {
        let buckets = limiter.of(instance(number), &all);
        assert!(buckets.take_request(1, &mut Left::default()).is_ok());
        clock.forth(100);
        let known = limiter.instances.read().len();
        assert!(known <= 1200, "{known} are known");
    }
    assert!(limiter.instances.read().contains_key(&instance(0)));
    drop(busy);
}

#[test]
fn every_limit_that_is_met_says_when_to_come_again() {
    for limit in LimitName::ALL {
        let error = limit.error(1);
        match limit.kind() {
            LimitKind::Rate => assert_eq!(retry_after(&error), Some(1)),
            LimitKind::Stored => assert_eq!(retry_after(&error), Some(RETRY_WHEN_FULL_SECS)),
            LimitKind::Size => {
                assert_eq!(retry_after(&error), None);
                assert_eq!(size_limit(&error), Some(limit.name()));
                continue;
            }
        }
        assert_eq!(size_limit(&error), None);
    }
    let other = Error::new(ErrorCode::BodyTooLarge, "x").with_target("body_bytes_max");
    assert_eq!(size_limit(&other), None);
}

proptest! {
    /// Over any stretch no more comes through than the burst and what the stretch brings.
    #[test]
    fn no_pattern_of_requests_beats_the_rate(
        rate in 1_u32..200,
        steps in prop::collection::vec((0_i64..400, 0_usize..50), 1..80),
    ) {
        let clock = Put::at(0);
        let limits = Limits { requests_per_second: rate, ..off() };
        let limiter = Limiter::new(limits, clock.clone());
        let buckets = limiter.of(instance(1), &access(InstanceLimits::default()));
        let (mut passed, mut millis) = (0_u64, 0_u64);
        for (wait, requests) in steps {
            clock.forth(wait);
            millis += wait.unsigned_abs();
            for _ in 0..requests {
                let taken = buckets.take_request(1, &mut Left::default());
                passed += u64::from(taken.is_ok());
            }
            let most = u64::from(rate) + u64::from(rate) * millis / 1000 + 1;
            prop_assert!(passed <= most, "{passed} of {most}");
        }
    }
}

/// Prints what a look at the limits costs; the bound is far above it, for debug builds and busy
/// machines.
#[test]
fn a_look_costs_little() {
    let limiter = Limiter::new(Limits::default(), Put::at(0));
    let all = access(InstanceLimits::default());
    let rounds: u32 = 200_000;
    let before = sanntid_now();
    let mut let_in = 0_u32;
    for round in 0..rounds {
        let buckets = limiter.of(instance((round % 8).into()), &all);
        let place = buckets.enter();
        let taken = buckets.take_request(u64::from(round % 4), &mut Left::default());
        let bytes = buckets.take_bytes(100);
        let_in += u32::from(place.is_ok() && taken.is_ok() && bytes.is_ok());
    }
    let nanos = sanntid_now().saturating_sub(before).as_nanos() / u128::from(rounds);
    eprintln!("{nanos} ns each, {let_in} of {rounds} let in");
    assert!(nanos < 50_000, "{nanos} ns each");
}

#[expect(
    clippy::disallowed_methods,
    reason = "a duration that is printed: no decision depends on it"
)]
fn sanntid_now() -> std::time::Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after the epoch")
}
