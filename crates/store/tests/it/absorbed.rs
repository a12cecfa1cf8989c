//! Owns the tests of activities that were absorbed: they read back among the source's own, in every
//! way in which those are read, and what is no such record is corrupt.

use std::fmt::Write as _;

use sanntid_engine::{
    Owner, Record, SourceActivity, SourceContent, StoredActivity, View, ViewError,
};
use sanntid_store::{Kv, Loader, MemoryKv, Space};
use sanntid_types::{Incarnation, Instant, TableId};

use crate::samples::{
    activity, activity_id, at, commit, dump, entity, on_every_store, profile_id, row, view,
};

const LIFE: Incarnation = Incarnation(0x0102);
const TABLE: TableId = TableId(3);
/// Written once; a line is a key and a value of `base`.
const FIXTURE: &str = include_str!("../fixtures/absorbed-1.hex");

fn stored(profile: &str, time: i64, id: &str, source: bool) -> StoredActivity {
    let owner = Owner::Profile(profile_id(profile));
    let activity = match activity(&owner, at(time), id, at(100)) {
        Record::Activity { activity, .. } => Some(activity),
        Record::Overlay { .. } | Record::Head { .. } => None,
    };
    let activity = activity.expect("an activity");
    StoredActivity {
        source_entity: source.then(|| entity("Shop_Orders")),
        ..*activity
    }
}

fn absorbed(profile: &str, time: i64, id: &str, source: bool) -> SourceActivity {
    SourceActivity::absorbed(stored(profile, time, id, source), profile_id(profile))
}

/// Two customers' timelines with rows and absorbed activities in turn.
fn load(kv: &dyn Kv) -> Vec<SourceActivity> {
    let all = vec![
        absorbed("p", 9, "one", true),
        absorbed("p", 5, "two", false),
        absorbed("p/", 5, "three", false),
    ];
    let mut loader = Loader::new(kv, LIFE);
    for activity in &all {
        loader.absorbed(TABLE, activity).expect("loaded");
    }
    let p = profile_id("p");
    for (time, id) in [(7, "row"), (1, "old row")] {
        let (id, orders) = (activity_id(id), entity("Shop_Orders"));
        loader
            .activity(TABLE, &orders, &id, at(time), Some(&p), &row("r"))
            .expect("loaded");
    }
    loader.finish().expect("loaded");
    all
}

#[test]
fn absorbed_activities_stand_in_their_place_among_the_source_s_own() {
    on_every_store(|kv| {
        let all = load(kv);
        let view = view(kv, LIFE);
        let found: Result<Vec<_>, _> = view
            .source_timeline(TABLE, &profile_id("p"), Instant::MAX)
            .collect();
        let found = found.unwrap();
        let ids: Vec<_> = found.iter().map(|found| found.id.as_str()).collect();
        assert_eq!(ids, ["one", "row", "two", "old row"]);
        assert_eq!((&found[0], &found[2]), (&all[0], &all[1]));
        for activity in &all {
            let alone = view.source_activity(TABLE, &activity.id).unwrap();
            assert_eq!(alone.as_ref(), Some(activity));
        }
        let listed: Result<Vec<_>, _> = view.absorbed(TABLE).collect();
        assert_eq!(listed.unwrap(), all, "rows are left out");
        assert_eq!(view.absorbed(TableId(4)).count(), 0);
    });
}

#[test]
fn what_has_no_place_or_is_a_row_is_not_added() {
    let kv = MemoryKv::new();
    let mut nowhere = absorbed("p", 1, "a", false);
    nowhere.profile = None;
    let mut of_row = absorbed("p", 1, "b", false);
    of_row.content = SourceContent::Row {
        entity: entity("Shop_Orders"),
        row: row("r"),
    };
    let mut loader = Loader::new(&kv, LIFE);
    loader.absorbed(TABLE, &nowhere).unwrap();
    loader.absorbed(TABLE, &of_row).unwrap();
    loader.finish().unwrap();
    assert!(dump(&kv).is_empty());
}

#[test]
fn a_place_without_its_activity_and_a_cut_off_record_are_corrupt() {
    let kv = MemoryKv::new();
    let all = load(&kv);
    let id = &all[0].id;
    for ((space, key), value) in dump(&kv) {
        let is_of_id = key.ends_with(id.as_str().as_bytes());
        if !is_of_id {
            continue;
        }
        for length in 0..value.len() {
            let cut = value.slice(..length);
            commit(&kv, |batch| batch.put(space, key.clone(), cut));
            let found = view(&kv, LIFE).source_activity(TABLE, id);
            assert!(matches!(found, Err(ViewError::Corrupt(_))), "{found:?}");
        }
        commit(&kv, |batch| batch.put(space, key.clone(), value.clone()));
    }
    let in_timeline = dump(&kv).into_keys();
    let in_timeline: Vec<_> = in_timeline
        .filter(|(_, key)| key.get(16) == Some(&b's'))
        .collect();
    commit(&kv, |batch| {
        for (space, key) in in_timeline {
            batch.delete(space, key);
        }
    });
    let found = view(&kv, LIFE).source_activity(TABLE, id);
    assert!(matches!(found, Err(ViewError::Corrupt(_))), "{found:?}");
}

#[test]
fn what_was_written_once_reads_back_and_is_written_the_same_today() {
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        let digits = digits.map(|pair| std::str::from_utf8(pair).expect("hex digits"));
        digits
            .map(|pair| u8::from_str_radix(pair, 16).expect("hex digits"))
            .collect()
    };
    let old = MemoryKv::new();
    commit(&old, |batch| {
        for line in FIXTURE.lines() {
            let (key, value) = line.split_once(' ').expect("a key and a value");
            batch.put(Space::Base, bytes(key), bytes(value));
        }
    });
    let today = MemoryKv::new();
    let all = load(&today);
    let mut text = String::new();
    for ((_, key), value) in dump(&today) {
        writeln!(text, "{key:x} {value:x}").expect("a String takes it");
    }
    assert!(
        dump(&old) == dump(&today),
        "the new fixture would be\n{text}"
    );
    let listed: Result<Vec<_>, _> = view(&old, LIFE).absorbed(TABLE).collect();
    assert_eq!(listed.unwrap(), all);
}
