//! Owns the tests of what compactions drop: overrides and activities that have ended for good.
//!
//! Must not depend on when the engine compacts by itself.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use sanntid_engine::{Owner, View};
use sanntid_store::{Expiry, Fate, FjallKv, Reclaim, Space, catalog};
use sanntid_types::{Clock, Incarnation, Instant, TableId};

use crate::{
    conformance::small_config,
    samples::{
        HOUR, activity, activity_id, at, commit, dump, load_table, overlay, profile_id,
        put_overlay, view,
    },
};

const LIFE: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);

#[derive(Default)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// A store whose compactions look at a clock that the test sets.
struct Aging {
    clock: Arc<SetClock>,
    expiry: Arc<Expiry>,
    kv: FjallKv,
    _directory: tempfile::TempDir,
}

impl Aging {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("created");
        let clock = Arc::new(SetClock::default());
        let expiry = Expiry::new(clock.clone());
        let reclaim: Arc<dyn Reclaim> = expiry.clone();
        let kv = FjallKv::open(directory.path(), small_config(), Some(reclaim)).expect("opened");
        Self {
            clock,
            expiry,
            kv,
            _directory: directory,
        }
    }

    fn compact_at(&self, now: Instant) {
        self.clock.0.store(now.as_millis(), Ordering::SeqCst);
        for space in Space::ALL {
            self.kv.compact(space).expect("compacted");
        }
    }

    /// The profiles with an overlay.
    fn overlays(&self, life: Incarnation) -> Vec<String> {
        let view = view(&self.kv, life);
        let overlays = view.overlays().map(|entry| entry.expect("readable").0);
        overlays.map(|id| id.to_string()).collect()
    }

    fn put_overlays(&self, life: Incarnation, overlays: &[(&str, &[(Instant, Instant)])]) {
        let records: Vec<_> = overlays
            .iter()
            .map(|(id, changes)| put_overlay(id, overlay(changes)))
            .collect();
        commit(&self.kv, |batch| {
            catalog::put_records(batch, life, &records)
        });
    }
}

fn just_before(instant: Instant) -> Instant {
    Instant::from_millis(instant.as_millis() - 1)
}

#[test]
fn expired_overlays_vanish_an_hour_after_their_last_override_ended() {
    let store = Aging::new();
    store.put_overlays(
        LIFE,
        &[
            ("gone", &[(at(0), at(10)), (at(1), at(5))]),
            ("half", &[(at(0), at(10)), (at(1), at(11))]),
        ],
    );
    store.compact_at(just_before(at(10).plus(HOUR)));
    assert_eq!(store.overlays(LIFE), ["gone", "half"]);
    store.compact_at(at(10).plus(HOUR));
    assert_eq!(store.overlays(LIFE), ["half"]);
    store.compact_at(Instant::MAX);
    assert!(store.overlays(LIFE).is_empty());
}

#[test]
fn expired_activities_vanish_with_their_identities_and_others_stay() {
    let store = Aging::new();
    let owner = Owner::Profile(profile_id("p"));
    let records = [
        activity(&owner, at(1), "gone", at(10)),
        activity(&owner, at(1), "stays", at(11)),
    ];
    commit(&store.kv, |batch| {
        catalog::put_records(batch, LIFE, &records)
    });
    let is_there = |id: &str| {
        let view = view(&store.kv, LIFE);
        let found = view
            .realtime_activity(&owner, at(1), &activity_id(id))
            .unwrap();
        let identity = view.identity(&activity_id(id)).unwrap();
        assert_eq!(found.is_some(), identity.is_some());
        found.is_some()
    };
    store.compact_at(just_before(at(10).plus(HOUR)));
    assert!(is_there("gone") && is_there("stays"));
    // A refresh clears overrides, never activities.
    store.expiry.note_cleared(LIFE, Instant::MAX, at(0));
    store.compact_at(at(10).plus(HOUR));
    assert!(!is_there("gone") && is_there("stays"));
}

#[test]
fn cleared_overlays_vanish_an_hour_after_the_refresh_that_cleared_all_of_them() {
    let store = Aging::new();
    let never = Instant::MAX;
    for life in [LIFE, OTHER] {
        store.put_overlays(
            life,
            &[
                ("cleared", &[(at(0), never), (at(20), never)]),
                ("partly", &[(at(0), never), (at(21), never)]),
            ],
        );
    }
    store.expiry.note_cleared(LIFE, at(20), at(30));
    store.compact_at(just_before(at(30).plus(HOUR)));
    assert_eq!(store.overlays(LIFE), ["cleared", "partly"]);
    store.compact_at(at(30).plus(HOUR));
    assert_eq!(store.overlays(LIFE), ["partly"]);
    assert_eq!(store.overlays(OTHER), ["cleared", "partly"]);
}

#[test]
fn an_overlay_that_was_written_again_stays() {
    let store = Aging::new();
    store.put_overlays(LIFE, &[("p", &[(at(0), at(10))])]);
    store.compact_at(at(0));
    store.put_overlays(LIFE, &[("p", &[(at(0), at(10)), (at(9), Instant::MAX)])]);
    store.compact_at(at(10).plus(HOUR));
    assert_eq!(store.overlays(LIFE), ["p"]);
}

#[test]
fn nothing_vanishes_while_paused_nor_from_other_spaces() {
    let store = Aging::new();
    load_table(&store.kv, LIFE, TableId(1), "rows");
    crate::life::write_life(&store.kv, LIFE);
    store.put_overlays(LIFE, &[("p", &[(at(0), at(10))])]);
    store.expiry.note_cleared(LIFE, at(50), at(60));
    let before = dump(&store.kv);
    store.expiry.pause(true);
    store.compact_at(Instant::MAX);
    assert_eq!(dump(&store.kv), before);
    store.expiry.pause(false);
    store.compact_at(Instant::MAX);
    let mut left = before;
    left.retain(|(space, _), _| matches!(space, Space::Meta | Space::Base));
    assert_eq!(dump(&store.kv), left);
}

/// Asks about an overlay of one override, accepted at an instant, that does not expire.
fn fate(clock: &SetClock, expiry: &Expiry, now: Instant, accepted_at: Instant) -> Fate {
    clock.0.store(now.as_millis(), Ordering::SeqCst);
    let mut batch = sanntid_store::WriteBatch::new();
    let record = put_overlay("p", overlay(&[(accepted_at, Instant::MAX)]));
    catalog::put_records(&mut batch, LIFE, &[record]);
    let op = batch.ops().first().expect("one record");
    let value = op.value.as_ref().expect("a put");
    expiry.fate(op.space, &op.key, value)
}

#[test]
fn later_refreshes_do_not_delay_what_earlier_ones_have_cleared() {
    let clock = Arc::new(SetClock::default());
    let expiry = Expiry::new(clock.clone());
    let minute = |number: i64| at(60 * number);
    // One refresh a minute, which clears what was accepted before it began.
    for number in 0..300 {
        expiry.note_cleared(LIFE, minute(number), minute(number));
        let kept = number - 60;
        if kept >= 0 {
            let gone = fate(&clock, &expiry, minute(number), minute(kept));
            assert_eq!(gone, Fate::Drop, "cleared an hour ago, at minute {number}");
        }
        let stays = fate(&clock, &expiry, minute(number), minute(kept + 1));
        assert_eq!(
            stays,
            Fate::Keep,
            "cleared less than an hour ago, at minute {number}"
        );
    }
}

#[test]
fn any_number_of_refreshes_in_an_hour_delays_by_an_hour_at_most() {
    let clock = Arc::new(SetClock::default());
    let expiry = Expiry::new(clock.clone());
    let second = |number: i64| at(number);
    for number in 0..20_000 {
        expiry.note_cleared(LIFE, second(number), second(number));
        if number % 100 == 0 {
            let young = fate(&clock, &expiry, second(number), second(number - 3599));
            assert_eq!(young, Fate::Keep, "at second {number}");
            let old = fate(&clock, &expiry, second(number), second(number - 7200));
            match number {
                ..3600 => assert_eq!(old, Fate::Keep, "at second {number}"),
                3600..7200 => {}
                _ => assert_eq!(old, Fate::Drop, "at second {number}"),
            }
        }
    }
}

#[test]
fn a_note_that_says_nothing_new_does_not_delay() {
    let clock = Arc::new(SetClock::default());
    let expiry = Expiry::new(clock.clone());
    expiry.note_cleared(LIFE, at(20), at(30));
    expiry.note_cleared(LIFE, at(20), at(40));
    expiry.note_cleared(LIFE, at(10), at(50));
    assert_eq!(fate(&clock, &expiry, at(30).plus(HOUR), at(20)), Fate::Drop);
    assert_eq!(fate(&clock, &expiry, at(30).plus(HOUR), at(21)), Fate::Keep);
}

#[test]
fn an_ended_life_can_be_forgotten() {
    let clock = Arc::new(SetClock::default());
    let expiry = Expiry::new(clock.clone());
    expiry.note_cleared(LIFE, at(20), at(30));
    expiry.forget(OTHER);
    assert_eq!(fate(&clock, &expiry, Instant::MAX, at(20)), Fate::Drop);
    expiry.forget(LIFE);
    // Expired by then, too: ask before the end of time.
    assert_eq!(fate(&clock, &expiry, at(30).plus(HOUR), at(20)), Fate::Keep);
}

#[test]
fn what_is_not_understood_is_kept() {
    let expiry = Expiry::new(Arc::new(SetClock(AtomicI64::new(Instant::MAX.as_millis()))));
    let key = 1_u64.to_be_bytes();
    let cut_off = [3; 16];
    for value in [&[][..], &[3], &cut_off, &[0; 40], &[2; 40], &[255; 40]] {
        assert_eq!(
            expiry.fate(Space::Overlay, &key, value),
            Fate::Keep,
            "{value:?}"
        );
    }
    let mut expired = vec![3];
    expired.extend_from_slice(&[0; 16]);
    assert_eq!(expiry.fate(Space::Overlay, &key, &expired), Fate::Drop);
    assert_eq!(expiry.fate(Space::Overlay, &key[..7], &expired), Fate::Keep);
    for space in [Space::Meta, Space::Base] {
        assert_eq!(expiry.fate(space, &key, &expired), Fate::Keep);
    }
}
