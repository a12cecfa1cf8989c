//! Owns the tests of loading tables: sorted, past the journal, in any order of adding.
//!
//! Must not test how the records read back: the view's tests do.

use sanntid_engine::View;
use sanntid_store::{Error, Fault, FaultyKv, Kv, Loader, MemoryKv, Space};
use sanntid_types::{Incarnation, TableId};

use crate::samples::{crash_image, on_every_store, open, profile_id, row, view};

const LIFE: Incarnation = Incarnation(1);
const TABLE: TableId = TableId(1);

#[test]
fn a_load_becomes_visible_when_it_is_settled_whatever_the_order_of_adding() {
    on_every_store(|kv| {
        let text = "t".repeat(1000);
        let mut loader = Loader::new(kv, LIFE);
        // 7,919 is a prime: every number comes once, in no order.
        for number in (0..3000).map(|number| number * 7919 % 3000) {
            let id = profile_id(&format!("{number:05}"));
            assert!(!loader.has_profile(TABLE, &id).unwrap());
            loader.profile(TABLE, &id, &row(&text)).unwrap();
            loader.key_of(TABLE, "Shop", &id.to_string(), &id).unwrap();
            assert!(loader.has_profile(TABLE, &id).unwrap());
        }
        let seventh = profile_id("00007");
        let holder = loader.holder(TABLE, "Shop", "00007").unwrap();
        assert_eq!(holder, Some(seventh.clone()));
        assert_eq!(view(kv, LIFE).profiles(TABLE, None).count(), 0);
        loader.profile(TABLE, &seventh, &row("last")).unwrap();
        loader.settle(|| Ok::<_, Error>(())).unwrap();
        assert!(!loader.has_profile(TABLE, &seventh).unwrap(), "settled");
        let view = view(kv, LIFE);
        assert_eq!(view.profiles(TABLE, None).count(), 3000);
        assert_eq!(view.profile(TABLE, &seventh).unwrap(), Some(row("last")));
        let found = view.resolve_key(TABLE, "Shop", "00007").unwrap();
        assert_eq!(found, Some(seventh));
        loader.finish().unwrap();
        Loader::new(kv, LIFE).finish().unwrap();
    });
}

#[test]
fn what_is_settled_survives_a_crash_without_a_sync_more() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let mut loader = Loader::new(&kv, LIFE);
    loader.profile(TABLE, &profile_id("p"), &row("r")).unwrap();
    loader.settle(|| Ok::<_, Error>(())).unwrap();
    let image = crash_image(directory.path());
    let found = view(&open(image.path()), LIFE);
    let found = found.profile(TABLE, &profile_id("p")).unwrap();
    assert_eq!(found, Some(row("r")));
}

#[test]
fn a_snapshot_from_before_shows_nothing_of_what_is_ingested() {
    on_every_store(|kv| {
        let before = view(kv, LIFE);
        let mut loader = Loader::new(kv, LIFE);
        loader.profile(TABLE, &profile_id("p"), &row("r")).unwrap();
        loader.finish().unwrap();
        assert_eq!(before.profiles(TABLE, None).count(), 0);
        assert_eq!(view(kv, LIFE).profiles(TABLE, None).count(), 1);
    });
}

#[test]
fn whoever_asks_to_stop_is_heard_and_a_failing_source_of_records_is_told() {
    on_every_store(|kv| {
        let mut loader = Loader::new(kv, LIFE);
        loader.profile(TABLE, &profile_id("p"), &row("r")).unwrap();
        let stopped = loader.settle(|| Err(Error::Busy));
        assert!(matches!(stopped, Err(Error::Busy)), "{stopped:?}");
        assert_eq!(view(kv, LIFE).profiles(TABLE, None).count(), 0);

        let record = |key: &'static str| Ok((key.into(), "value".into()));
        let mut records = [record("a"), record("b"), Err(Error::Busy), record("c")].into_iter();
        let failed = kv.ingest(Space::Activities, &mut records);
        assert!(matches!(failed, Err(Error::Busy)), "{failed:?}");
        let snapshot = kv.snapshot().unwrap();
        assert_eq!(snapshot.get(Space::Activities, b"c").unwrap(), None);
    });
}

#[test]
fn a_load_that_the_store_refuses_is_an_error() {
    let kv = FaultyKv::new(MemoryKv::new());
    let mut loader = Loader::new(&kv, LIFE);
    loader.profile(TABLE, &profile_id("p"), &row("r")).unwrap();
    kv.fail_after(0, Fault::Lost);
    assert!(loader.finish().is_err());
    kv.maintain();
    assert_eq!(view(&kv, LIFE).profiles(TABLE, None).count(), 0);
}
