//! Owns the tests of staged writes against a model that applies them at once.
//!
//! Must not test what a store does with a batch: the contract's cases do.

use std::{collections::BTreeMap, ops::Bound};

use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseResult, TestRunner},
};
use sanntid_store::{Kv, MemoryKv, Order, Snapshot, Space, Staged, StagedSnapshot, WriteBatch};

use crate::samples::{commit, dump, open};

type Key = Vec<u8>;
type Model = BTreeMap<(Space, Key), Vec<u8>>;
type Change = (Space, Key, Option<u8>);

/// Few different bytes, so that stored and staged keys meet; the outermost ones among them.
fn key() -> impl Strategy<Value = Key> {
    let byte = prop::sample::select(vec![0, 1, b'a', b'b', 0xFE, 0xFF]);
    prop::collection::vec(byte, 1..4)
}

fn changes(count: usize) -> impl Strategy<Value = Vec<Change>> {
    let space = prop::sample::select(Space::ALL.to_vec());
    let change = (space, key(), prop::option::weighted(0.7, any::<u8>()));
    prop::collection::vec(change, 0..count)
}

fn bound() -> impl Strategy<Value = Bound<Key>> {
    prop_oneof![
        Just(Bound::Unbounded),
        key().prop_map(Bound::Included),
        key().prop_map(Bound::Excluded),
    ]
}

#[derive(Debug, Clone)]
struct Case {
    stored: Vec<Change>,
    staged: Vec<Vec<Change>>,
    bounds: Vec<(Bound<Key>, Bound<Key>)>,
    keys: Vec<Key>,
}

fn case() -> impl Strategy<Value = Case> {
    let staged = prop::collection::vec(changes(8), 0..4);
    let bounds = prop::collection::vec((bound(), bound()), 1..8);
    let keys = prop::collection::vec(key(), 1..8);
    (changes(30), staged, bounds, keys).prop_map(|(stored, staged, bounds, keys)| Case {
        stored,
        staged,
        bounds,
        keys,
    })
}

fn batch_of(changes: &[Change]) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for (space, key, value) in changes {
        match value {
            Some(value) => batch.put(*space, key.clone(), vec![*value]),
            None => batch.delete(*space, key.clone()),
        }
    }
    batch
}

fn apply(model: &mut Model, changes: &[Change]) {
    for (space, key, value) in changes {
        match value {
            Some(value) => model.insert((*space, key.clone()), vec![*value]),
            None => model.remove(&(*space, key.clone())),
        };
    }
}

fn is_within(key: &[u8], lower: &Bound<Key>, upper: &Bound<Key>) -> bool {
    let above = match lower {
        Bound::Included(lower) => key >= lower.as_slice(),
        Bound::Excluded(lower) => key > lower.as_slice(),
        Bound::Unbounded => true,
    };
    let below = match upper {
        Bound::Included(upper) => key <= upper.as_slice(),
        Bound::Excluded(upper) => key < upper.as_slice(),
        Bound::Unbounded => true,
    };
    above && below
}

fn expected(model: &Model, space: Space, holds: impl Fn(&[u8]) -> bool) -> Vec<(Key, Vec<u8>)> {
    let entries = model.iter();
    let entries = entries.filter(|((of, key), _)| *of == space && holds(key));
    entries
        .map(|((_, key), value)| (key.clone(), value.clone()))
        .collect()
}

fn found(entries: sanntid_store::Entries<'_>, order: Order) -> Vec<(Key, Vec<u8>)> {
    let entries = entries.map(|entry| entry.expect("readable"));
    let mut found: Vec<_> = entries
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    if order == Order::Descending {
        found.reverse();
    }
    found
}

fn as_slice(bound: &Bound<Key>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

fn check_reads(snapshot: &dyn Snapshot, model: &Model, case: &Case) -> TestCaseResult {
    for space in Space::ALL {
        for key in &case.keys {
            let value = snapshot.get(space, key).expect("readable");
            let stored = model.get(&(space, key.clone()));
            prop_assert_eq!(value.as_deref(), stored.map(Vec::as_slice));
        }
        for order in [Order::Ascending, Order::Descending] {
            for (lower, upper) in &case.bounds {
                let range = snapshot.range(space, as_slice(lower), as_slice(upper), order);
                let holds = |key: &[u8]| is_within(key, lower, upper);
                prop_assert_eq!(found(range, order), expected(model, space, holds));
            }
            for key in case.keys.iter().chain([&Vec::new()]) {
                let entries = snapshot.prefix(space, key, order);
                let holds = |other: &[u8]| other.starts_with(key);
                prop_assert_eq!(found(entries, order), expected(model, space, holds));
            }
        }
    }
    Ok(())
}

fn check(kv: &dyn Kv, case: &Case) -> TestCaseResult {
    commit(kv, |batch| {
        dump(kv)
            .into_keys()
            .for_each(|(space, key)| batch.delete(space, key));
    });
    let mut model = Model::new();
    commit(kv, |batch| batch.append(batch_of(&case.stored)));
    apply(&mut model, &case.stored);
    let before = model.clone();

    let mut staged = Staged::default();
    for changes in &case.staged {
        staged.stage(batch_of(changes));
        apply(&mut model, changes);
    }
    prop_assert_eq!(staged.is_empty(), case.staged.iter().all(Vec::is_empty));
    let snapshot = kv.snapshot().expect("readable");
    check_reads(&StagedSnapshot::new(&*snapshot, &staged), &model, case)?;
    check_reads(&*snapshot, &before, case)?;

    let bytes = staged.bytes();
    let batch = staged.take();
    prop_assert!(batch.bytes() <= bytes);
    prop_assert!(staged.is_empty() && staged.bytes() == 0);
    check_reads(&StagedSnapshot::new(&*snapshot, &staged), &before, case)?;
    drop(snapshot);
    kv.commit(batch).expect("accepted");
    check_reads(&*kv.snapshot().expect("readable"), &model, case)
}

#[test]
fn staged_writes_show_as_if_they_were_committed_and_only_there() {
    let run = |kv: &dyn Kv, cases| {
        let mut runner = TestRunner::new(Config::with_cases(cases));
        runner.run(&case(), |case| check(kv, &case)).unwrap();
    };
    run(&MemoryKv::new(), 256);
    let directory = tempfile::tempdir().unwrap();
    run(&open(directory.path()), 12);
}

#[test]
fn a_staged_delete_of_everything_leaves_nothing() {
    let kv = MemoryKv::new();
    let all: Vec<Change> = [b"a", b"b"]
        .map(|key| (Space::Base, key.to_vec(), Some(1)))
        .into();
    commit(&kv, |batch| batch.append(batch_of(&all)));
    let mut staged = Staged::default();
    let deletes: Vec<Change> = all
        .into_iter()
        .map(|(space, key, _)| (space, key, None))
        .collect();
    staged.stage(batch_of(&deletes));
    let snapshot = kv.snapshot().unwrap();
    let view = StagedSnapshot::new(&*snapshot, &staged);
    assert_eq!(view.prefix(Space::Base, b"", Order::Descending).count(), 0);
    assert_eq!(staged.take().len(), 2, "deletes are written too");
}
