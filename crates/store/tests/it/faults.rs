//! Owns the tests of planned faults.
//!
//! Must not touch a disk.

use sanntid_store::{Error, Fault, FaultyKv, Health, Kv, MemoryKv, Space, WriteBatch};

use crate::conformance::{get, put};

fn batch(key: &'static str) -> WriteBatch {
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, key, "v");
    batch
}

#[test]
fn a_planned_fault_poisons_until_maintained_and_shows_what_it_kept() {
    for (fault, stored) in [(Fault::Lost, false), (Fault::Stored, true)] {
        let kv = FaultyKv::new(MemoryKv::new());
        kv.fail_after(1, fault);
        put(&kv, Space::Meta, b"first", b"v");
        assert!(kv.commit(batch("second")).unwrap_err().outcome_is_unknown());
        assert!(matches!(kv.commit(batch("third")), Err(Error::Poisoned)));
        assert_eq!(kv.health(), Health::Poisoned);
        assert_eq!(get(&kv, Space::Meta, b"second"), None);
        assert_eq!(kv.maintain(), Health::Ok);
        assert_eq!(get(&kv, Space::Meta, b"second").is_some(), stored);
        assert_eq!(get(&kv, Space::Meta, b"third"), None);
        put(&kv, Space::Meta, b"fourth", b"v");
    }
}
