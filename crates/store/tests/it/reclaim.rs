//! Owns the tests of the reclamation hook.
//!
//! Must not depend on when the engine compacts by itself.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sanntid_store::{Fate, FjallKv, Space};

use crate::conformance::{get, put, small_config};

#[test]
fn a_dropped_record_is_gone_and_its_older_version_stays_gone() {
    let directory = tempfile::tempdir().unwrap();
    let on = Arc::new(AtomicBool::new(false));
    let switch = Arc::clone(&on);
    let hook = move |space: Space, _: &[u8], value: &[u8]| {
        let dead = space == Space::Base && value == b"dead" && switch.load(Ordering::SeqCst);
        if dead { Fate::Drop } else { Fate::Keep }
    };
    let open = || {
        FjallKv::open(
            directory.path(),
            small_config(),
            Some(Arc::new(hook.clone())),
        )
    };
    let kv = open().unwrap();
    put(&kv, Space::Base, b"k", b"older");
    put(&kv, Space::Base, b"other", b"alive");
    put(&kv, Space::Overlay, b"k", b"dead");
    kv.compact(Space::Base).unwrap();
    put(&kv, Space::Base, b"k", b"dead");
    on.store(true, Ordering::SeqCst);
    kv.compact(Space::Base).unwrap();
    kv.compact(Space::Overlay).unwrap();
    assert_eq!(get(&kv, Space::Base, b"k"), None);
    assert_eq!(
        get(&kv, Space::Base, b"other").as_deref(),
        Some(b"alive".as_slice())
    );
    assert_eq!(
        get(&kv, Space::Overlay, b"k").as_deref(),
        Some(b"dead".as_slice())
    );
    kv.close().unwrap();
    drop(kv);
    let kv = open().unwrap();
    // The journal may still hold the dropped record, but never less than its newest version.
    assert_ne!(
        get(&kv, Space::Base, b"k").as_deref(),
        Some(b"older".as_slice())
    );
    put(&kv, Space::Base, b"k", b"alive again");
    kv.compact(Space::Base).unwrap();
    assert_eq!(
        get(&kv, Space::Base, b"k").as_deref(),
        Some(b"alive again".as_slice())
    );
}
