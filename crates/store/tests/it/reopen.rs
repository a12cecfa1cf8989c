//! Owns the tests of closing and re-opening in one process.
//!
//! Must not need a failing disk.

use sanntid_store::{Error, FjallKv, Health, Kv, Space, WriteBatch};

use crate::conformance::{get, put, small_config};

#[test]
fn everything_committed_is_there_after_each_step_of_a_script() {
    let directory = tempfile::tempdir().unwrap();
    let mut kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
    for step in 0..12_u8 {
        put(&kv, Space::Overlay, &[step], &[step]);
        put(&kv, Space::Overlay, b"last", &[step]);
        match step % 3 {
            0 => kv.reopen().unwrap(),
            1 => kv.compact(Space::Overlay).unwrap(),
            _ => {
                kv.close().unwrap();
                drop(kv);
                kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
            }
        }
        for earlier in 0..=step {
            assert_eq!(
                get(&kv, Space::Overlay, &[earlier]).as_deref(),
                Some([earlier].as_slice())
            );
        }
        assert_eq!(
            get(&kv, Space::Overlay, b"last").as_deref(),
            Some([step].as_slice())
        );
    }
}

#[test]
fn a_reader_delays_a_reopening_and_is_never_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
    put(&kv, Space::Meta, b"k", b"v");
    let view = kv.snapshot().unwrap();
    assert!(matches!(kv.reopen(), Err(Error::Busy)));
    assert!(matches!(kv.close(), Err(Error::Busy)));
    assert_eq!(kv.health(), Health::Ok);
    assert!(view.get(Space::Meta, b"k").unwrap().is_some());
    drop(view);
    kv.reopen().unwrap();
    assert!(get(&kv, Space::Meta, b"k").is_some());
}

#[test]
fn a_load_that_a_reopening_interrupted_must_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
    let mut batch = WriteBatch::new();
    batch.put(Space::Base, "k", "v");
    let epoch = kv.load(batch.clone()).unwrap();
    kv.reopen().unwrap();
    assert!(matches!(kv.sync(epoch), Err(Error::LoadInterrupted)));
    let epoch = kv.load(batch).unwrap();
    kv.sync(epoch).unwrap();
}

#[test]
fn a_closed_store_says_so_and_lets_the_next_one_in() {
    let directory = tempfile::tempdir().unwrap();
    let kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
    assert!(matches!(
        FjallKv::open(directory.path(), small_config(), None),
        Err(Error::Locked)
    ));
    kv.close().unwrap();
    assert!(matches!(kv.snapshot().err(), Some(Error::Closed)));
    assert!(matches!(kv.commit(WriteBatch::new()), Err(Error::Closed)));
    assert!(matches!(kv.close(), Err(Error::Closed)));
    assert_eq!(kv.maintain(), Health::Closed);
    drop(kv);
    FjallKv::open(directory.path(), small_config(), None).unwrap();
}

#[test]
fn reopening_under_writers_and_readers_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let kv = FjallKv::open(directory.path(), small_config(), None).unwrap();
    let acknowledged = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3_u32)
            .map(|writer| {
                let kv = &kv;
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for number in 0..300_u32 {
                        let key = [writer.to_be_bytes(), number.to_be_bytes()].concat();
                        let mut batch = WriteBatch::new();
                        batch.put(Space::Overlay, key.clone(), "v");
                        match kv.commit(batch) {
                            Ok(()) => {
                                acknowledged.push(key.clone());
                                match kv.snapshot().and_then(|v| v.get(Space::Overlay, &key)) {
                                    Ok(value) => assert!(value.is_some(), "own write not read"),
                                    Err(error) => assert!(matches!(error, Error::Reopening)),
                                }
                            }
                            Err(error) => assert!(matches!(error, Error::Reopening), "{error}"),
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        for _ in 0..5 {
            kv.reopen().unwrap();
        }
        writers
            .into_iter()
            .flat_map(|writer| writer.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(!acknowledged.is_empty());
    assert!(
        acknowledged
            .iter()
            .all(|key| get(&kv, Space::Overlay, key).is_some())
    );
}
