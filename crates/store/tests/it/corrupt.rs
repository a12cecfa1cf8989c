//! Owns the tests with stored bytes that nobody wrote: they are said to be corrupt, never shown.
//!
//! Must not go through a disk: the engine's own checksums would stop such bytes first.

use bytes::Bytes;
use proptest::{prelude::*, test_runner::TestRunner};
use sanntid_store::{Kv, MemoryKv, Space};
use sanntid_types::Incarnation;

use crate::{
    life::{read_life, write_store},
    samples::{commit, dump},
};

const LIFE: Incarnation = Incarnation(1);
/// The format of rows: their values have lengths, the row has none.
const ROW: u8 = 4;

type Record = ((Space, Bytes), Bytes);

fn store() -> (MemoryKv, Vec<Record>) {
    let kv = MemoryKv::new();
    write_store(&kv, LIFE);
    let records = dump(&kv).into_iter().collect();
    (kv, records)
}

fn put(kv: &dyn Kv, (space, key): &(Space, Bytes), value: impl Into<Bytes>) {
    commit(kv, |batch| batch.put(*space, key.clone(), value));
}

fn is_marker(value: &[u8]) -> bool {
    value.is_empty()
}

fn is_row(value: &[u8]) -> bool {
    value.first() == Some(&ROW)
}

#[test]
fn values_that_are_cut_off_or_too_long_are_corrupt() {
    let (kv, records) = store();
    let whole = read_life(&kv, LIFE).unwrap();
    let mut checked = 0;
    for (place, value) in records.iter().filter(|(_, value)| !is_marker(value)) {
        let mut longer = value.to_vec();
        longer.push(1);
        let cut = (0..value.len()).map(|length| value.slice(..length));
        for broken in cut.chain([longer.into()]) {
            let length = broken.len();
            put(&kv, place, broken);
            match read_life(&kv, LIFE) {
                Err(error) => assert!(error.contains("corrupt"), "{error}"),
                Ok(_) if is_row(value) && length > 0 => {}
                Ok(_) => panic!("{place:?} {value:?} reads as whole with {length} bytes"),
            }
            checked += 1;
        }
        put(&kv, place, value.clone());
    }
    assert!(checked > 1000, "only {checked}");
    assert_eq!(read_life(&kv, LIFE).unwrap(), whole);
}

#[test]
fn values_of_an_unknown_format_are_corrupt() {
    let (kv, records) = store();
    for (place, value) in records.iter().filter(|(_, value)| !is_marker(value)) {
        for format in (0..=u8::MAX).filter(|format| Some(format) != value.first()) {
            let mut other = value.to_vec();
            *other.first_mut().unwrap() = format;
            put(&kv, place, other);
            let error = read_life(&kv, LIFE).unwrap_err();
            assert!(error.contains("corrupt"), "{error}");
        }
        put(&kv, place, value.clone());
    }
}

#[test]
fn any_bytes_in_the_place_of_a_value_are_read_without_a_panic() {
    let (kv, records) = store();
    let bytes = prop::collection::vec(any::<u8>(), 0..80);
    let format = prop::option::of(0..6_u8);
    let case = (any::<prop::sample::Index>(), format, bytes);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(2000));
    let run = runner.run(&case, |(index, format, mut bytes)| {
        let (place, value) = index.get(&records);
        bytes.splice(0..0, format);
        put(&kv, place, bytes);
        if let Err(error) = read_life(&kv, LIFE) {
            prop_assert!(error.contains("corrupt"), "{}", error);
        }
        put(&kv, place, value.clone());
        Ok(())
    });
    run.unwrap();
}

#[test]
fn any_key_is_read_without_a_panic() {
    let (kv, records) = store();
    for (place, value) in &records {
        let (space, key) = place;
        commit(&kv, |batch| batch.delete(*space, key.clone()));
        let cut = (1..key.len()).map(|length| key.slice(..length));
        let longer = [0, 1, b'x', 0x80, 0xFF].map(|byte| [key, [byte].as_slice()].concat());
        for other in cut.chain(longer.map(Bytes::from)) {
            if records
                .iter()
                .any(|((of, key), _)| of == space && *key == other)
            {
                continue;
            }
            put(&kv, &(*space, other.clone()), value.clone());
            if let Err(error) = read_life(&kv, LIFE) {
                assert!(
                    error.contains("corrupt") || error.contains("lost"),
                    "{error}"
                );
            }
            commit(&kv, |batch| batch.delete(*space, other));
        }
        put(&kv, place, value.clone());
    }
}
