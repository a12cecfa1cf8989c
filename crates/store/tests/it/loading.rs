//! Owns the tests of loading tables in batches.
//!
//! Must not test how the records read back: the view's tests do.

use sanntid_engine::View;
use sanntid_store::{Fault, FaultyKv, Kv, Loader, MemoryKv};
use sanntid_types::{Incarnation, TableId};

use crate::samples::{on_every_store, profile_id, row, view};

const LIFE: Incarnation = Incarnation(1);
const TABLE: TableId = TableId(1);

#[test]
fn a_large_load_becomes_visible_in_batches_and_is_complete_at_its_end() {
    on_every_store(|kv| {
        let text = "t".repeat(1000);
        let mut loader = Loader::new(kv, LIFE);
        for number in 0..3000 {
            loader
                .profile(TABLE, &profile_id(&format!("{number:05}")), &row(&text))
                .unwrap();
        }
        let before = view(kv, LIFE).profiles(TABLE, None).count();
        assert!((1000..3000).contains(&before), "{before}");
        loader.flush().unwrap();
        assert_eq!(view(kv, LIFE).profiles(TABLE, None).count(), 3000);
        loader.finish().unwrap();
        Loader::new(kv, LIFE).finish().unwrap();
    });
}

#[test]
fn a_load_that_was_refused_is_not_forgotten() {
    let kv = FaultyKv::new(MemoryKv::new());
    let mut loader = Loader::new(&kv, LIFE);
    loader.profile(TABLE, &profile_id("p"), &row("r")).unwrap();
    kv.fail_after(0, Fault::Lost);
    assert!(loader.flush().is_err());
    kv.maintain();
    loader.profile(TABLE, &profile_id("q"), &row("r")).unwrap();
    loader.finish().unwrap();
    assert_eq!(view(&kv, LIFE).profiles(TABLE, None).count(), 2);
}
