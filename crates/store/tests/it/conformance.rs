//! Owns the cases of the contract, run against every implementation.
//!
//! Must not test what only one implementation has.

use std::ops::Bound;

use bytes::Bytes;
use sanntid_store::{
    Config, Error, FjallKv, Health, KEY_BYTES_MAX, Kv, MemoryKv, Order, Snapshot, Space,
    WriteBatch, prefix_end,
};

pub(crate) fn small_config() -> Config {
    Config {
        free_space_min_bytes: 0,
        cache_bytes: 4 << 20,
        ..Config::default()
    }
}

pub(crate) fn put(kv: &dyn Kv, space: Space, key: &[u8], value: &[u8]) {
    let mut batch = WriteBatch::new();
    batch.put(space, key.to_vec(), value.to_vec());
    kv.commit(batch)
        .expect("a healthy store accepts a small batch");
}

pub(crate) fn get(kv: &dyn Kv, space: Space, key: &[u8]) -> Option<Bytes> {
    kv.snapshot()
        .and_then(|view| view.get(space, key))
        .expect("a store can be read")
}

fn keys(view: &dyn Snapshot, lower: Bound<&[u8]>, upper: Bound<&[u8]>) -> Vec<Vec<u8>> {
    let list = |order| -> Vec<Vec<u8>> {
        view.range(Space::Base, lower, upper, order)
            .map(|entry| entry.expect("a store can be read").0.to_vec())
            .collect()
    };
    let ascending = list(Order::Ascending);
    let mut descending = list(Order::Descending);
    descending.reverse();
    assert_eq!(ascending, descending, "both orders list the same keys");
    ascending
}

fn prefixed(view: &dyn Snapshot, prefix: &[u8]) -> Vec<Vec<u8>> {
    view.prefix(Space::Base, prefix, Order::Ascending)
        .map(|entry| entry.expect("a store can be read").0.to_vec())
        .collect()
}

fn spaces_are_separate_and_a_batch_covers_all(kv: &dyn Kv) {
    let mut batch = WriteBatch::new();
    for space in Space::ALL {
        batch.put(space, "k", space.name());
    }
    kv.commit(batch).expect("accepted");
    for space in Space::ALL {
        assert_eq!(
            get(kv, space, b"k").as_deref(),
            Some(space.name().as_bytes())
        );
    }
}

fn the_last_write_of_a_batch_wins(kv: &dyn Kv) {
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, "a", "1");
    batch.put(Space::Meta, "a", "2");
    batch.put(Space::Meta, "b", "1");
    batch.delete(Space::Meta, "b");
    batch.delete(Space::Meta, "c");
    batch.put(Space::Meta, "c", "3");
    assert_eq!((batch.len(), batch.bytes()), (6, 10));
    kv.commit(batch).expect("accepted");
    assert_eq!(get(kv, Space::Meta, b"a").as_deref(), Some(b"2".as_slice()));
    assert_eq!(get(kv, Space::Meta, b"b"), None);
    assert_eq!(get(kv, Space::Meta, b"c").as_deref(), Some(b"3".as_slice()));
}

fn a_snapshot_does_not_move(kv: &dyn Kv) {
    put(kv, Space::Meta, b"k", b"old");
    put(kv, Space::Overlay, b"k", b"old");
    let view = kv.snapshot().expect("readable");
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, "k", "new");
    batch.delete(Space::Overlay, "k");
    batch.put(Space::Base, "new", "new");
    kv.commit(batch).expect("accepted");
    for space in [Space::Meta, Space::Overlay] {
        assert_eq!(
            view.get(space, b"k").expect("readable").as_deref(),
            Some(b"old".as_slice())
        );
    }
    assert_eq!(view.get(Space::Base, b"new").expect("readable"), None);
    assert!(keys(&*view, Bound::Unbounded, Bound::Unbounded).is_empty());
    assert_eq!(get(kv, Space::Overlay, b"k"), None);
}

fn borders_of_ranges_and_prefixes(kv: &dyn Kv) {
    let all: [&[u8]; 7] = [
        b"a",
        b"a\0",
        b"a\xFF",
        b"a\xFF\xFF",
        b"b",
        b"\xFF",
        b"\xFF\xFF\x01",
    ];
    for key in all {
        put(kv, Space::Base, key, b"v");
    }
    let view = kv.snapshot().expect("readable");
    let view = &*view;
    assert_eq!(keys(view, Bound::Unbounded, Bound::Unbounded), all);
    assert_eq!(
        keys(view, Bound::Excluded(b"a"), Bound::Included(b"b")),
        [b"a\0".as_slice(), b"a\xFF", b"a\xFF\xFF", b"b"]
    );
    assert_eq!(
        keys(view, Bound::Included(b"b"), Bound::Excluded(b"\xFF")),
        [b"b"]
    );
    assert!(keys(view, Bound::Included(b"b"), Bound::Included(b"a")).is_empty());
    assert!(keys(view, Bound::Excluded(b"b"), Bound::Excluded(b"b")).is_empty());
    assert!(keys(view, Bound::Included(b"b"), Bound::Excluded(b"b")).is_empty());
    assert_eq!(
        keys(view, Bound::Included(b"b"), Bound::Included(b"b")),
        [b"b"]
    );
    assert_eq!(
        prefixed(view, b"a\xFF"),
        [b"a\xFF".as_slice(), b"a\xFF\xFF"]
    );
    assert_eq!(
        prefixed(view, b"\xFF"),
        [b"\xFF".as_slice(), b"\xFF\xFF\x01"]
    );
    assert_eq!(prefixed(view, b"\xFF\xFF"), [b"\xFF\xFF\x01"]);
    assert_eq!(prefixed(view, b""), all);
    assert!(prefixed(view, b"c").is_empty());
}

fn sizes_at_the_limits(kv: &dyn Kv) {
    kv.commit(WriteBatch::new())
        .expect("an empty batch is no error");
    let value: Vec<u8> = (0..3_000_000_u32)
        .map(|i| i.to_le_bytes()[0] ^ 0x5A)
        .collect();
    let key = vec![7; KEY_BYTES_MAX];
    put(kv, Space::Base, &key, &value);
    put(kv, Space::Base, b"empty", b"");
    assert!(get(kv, Space::Base, &key).as_deref() == Some(value.as_slice()));
    assert_eq!(
        get(kv, Space::Base, b"empty").as_deref(),
        Some(b"".as_slice())
    );
    for length in [0, KEY_BYTES_MAX + 1] {
        let mut batch = WriteBatch::new();
        batch.put(Space::Base, "beside", "v");
        batch.put(Space::Base, vec![0; length], "v");
        assert!(matches!(kv.commit(batch), Err(Error::InvalidKey { length: l }) if l == length));
    }
    assert_eq!(
        get(kv, Space::Base, b"beside"),
        None,
        "nothing of a refused batch is stored"
    );
    assert_eq!(kv.health(), Health::Ok);
}

fn loads_are_visible_and_can_be_synced(kv: &dyn Kv) {
    let mut batch = WriteBatch::new();
    batch.put(Space::Base, "loaded", "v");
    let epoch = kv.load(batch).expect("accepted");
    assert!(get(kv, Space::Base, b"loaded").is_some());
    kv.sync(epoch).expect("synced");
}

fn a_range_is_swept_within_its_budget(kv: &dyn Kv) {
    for i in 0..25_u8 {
        put(kv, Space::Base, &[b't', i], b"v");
    }
    put(kv, Space::Base, b"s", b"v");
    put(kv, Space::Base, b"u", b"v");
    let mut steps = Vec::new();
    loop {
        let step = kv
            .delete_range_step(Space::Base, b"t", b"u", 10)
            .expect("accepted");
        steps.push(step.deleted);
        if step.done {
            break;
        }
    }
    assert_eq!(steps, [10, 10, 5]);
    let view = kv.snapshot().expect("readable");
    assert_eq!(
        keys(&*view, Bound::Unbounded, Bound::Unbounded),
        [b"s", b"u"]
    );
}

const CASES: [fn(&dyn Kv); 7] = [
    spaces_are_separate_and_a_batch_covers_all,
    the_last_write_of_a_batch_wins,
    a_snapshot_does_not_move,
    borders_of_ranges_and_prefixes,
    sizes_at_the_limits,
    loads_are_visible_and_can_be_synced,
    a_range_is_swept_within_its_budget,
];

#[test]
fn the_memory_store_keeps_the_contract() {
    for case in CASES {
        case(&MemoryKv::new());
    }
}

#[test]
fn the_durable_store_keeps_the_contract() {
    for case in CASES {
        let directory = tempfile::tempdir().unwrap();
        case(&FjallKv::open(directory.path(), small_config(), None).unwrap());
    }
}

#[test]
fn a_prefix_ends_before_the_next_one() {
    assert_eq!(prefix_end(b"ab").as_deref(), Some(b"ac".as_slice()));
    assert_eq!(prefix_end(b"a\xFF\xFF").as_deref(), Some(b"b".as_slice()));
    assert_eq!(prefix_end(b"\xFF\xFF"), None);
    assert_eq!(prefix_end(b""), None);
}
