//! Owns the records as they were written once: stores that hold them must stay readable.
//!
//! Must not change a line of a fixture: a changed format gets a new version and a new fixture.

use std::fmt::Write as _;

use bytes::Bytes;
use sanntid_store::{MemoryKv, Space};
use sanntid_types::Incarnation;

use crate::{
    life::{read_life, write_store},
    samples::{commit, dump},
};

const LIFE: Incarnation = Incarnation(0x0102);
/// Each line is a space, a key and a value.
const FIXTURES: [(&str, &str); 1] = [("formats-1.hex", include_str!("../fixtures/formats-1.hex"))];
/// JSON grows fields, so what is written today may differ from what old stores hold.
const JSON: u8 = 1;

fn bytes_of(hex: &str) -> Bytes {
    let digits = hex.as_bytes().chunks(2);
    let byte = digits.map(|pair| {
        let pair = std::str::from_utf8(pair).expect("hex digits");
        u8::from_str_radix(pair, 16).expect("hex digits")
    });
    byte.collect()
}

fn records(text: &str) -> Vec<((Space, Bytes), Bytes)> {
    let line = |line: &str| {
        let mut words = line.split(' ');
        let mut word = || words.next().unwrap_or_default();
        let name = word();
        let space = Space::ALL.into_iter().find(|space| space.name() == name);
        let key = bytes_of(word());
        ((space.expect("a space"), key), bytes_of(word()))
    };
    text.lines().map(line).collect()
}

fn text_of<'a>(records: impl IntoIterator<Item = (&'a (Space, Bytes), &'a Bytes)>) -> String {
    let mut text = String::new();
    for ((space, key), value) in records {
        writeln!(text, "{} {key:x} {value:x}", space.name()).expect("a String takes it");
    }
    text
}

#[test]
fn what_was_written_once_reads_back_as_if_it_were_written_today() {
    let today = MemoryKv::new();
    write_store(&today, LIFE);
    let expected = read_life(&today, LIFE).unwrap();
    for (name, text) in FIXTURES {
        let kv = MemoryKv::new();
        commit(&kv, |batch| {
            for ((space, key), value) in records(text) {
                batch.put(space, key, value);
            }
        });
        assert_eq!(read_life(&kv, LIFE).unwrap(), expected, "{name}");
    }
}

#[test]
fn todays_keys_and_binary_values_are_those_of_the_newest_fixture() {
    let kv = MemoryKv::new();
    write_store(&kv, LIFE);
    let today = dump(&kv);
    let (name, newest) = FIXTURES.last().unwrap();
    let newest = records(newest)
        .into_iter()
        .collect::<std::collections::BTreeMap<_, _>>();
    let is_json = |value: &Bytes| value.first() == Some(&JSON);
    let same = today.len() == newest.len()
        && today.iter().all(|(place, value)| match newest.get(place) {
            Some(old) => old == value || is_json(old) && is_json(value),
            None => false,
        });
    assert!(
        same,
        "a format differs from {name}: give it a new version and a new fixture, which would be\n{}",
        text_of(&today)
    );
}

#[test]
fn the_fixtures_hold_every_format() {
    let all = FIXTURES.iter().flat_map(|(_, text)| records(text));
    let formats: std::collections::BTreeSet<_> = all
        .filter_map(|(_, value)| value.first().copied())
        .collect();
    assert_eq!(formats.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}
