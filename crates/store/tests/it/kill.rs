//! Owns the test that kills a writing process and looks at what it left.
//!
//! Must not kill anything but the child it spawned.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use sanntid_store::{FjallKv, Kv, Order, Space, WriteBatch};

use crate::conformance::small_config;

const MARKER: &str = "write-until-killed";
const ROUNDS: u64 = 5;

fn batch(number: u64) -> WriteBatch {
    let mut batch = WriteBatch::new();
    for space in Space::ALL {
        // Sizes differ so that batches cross pages and buffers everywhere.
        let length = usize::try_from(number * 7919 % 5000).expect("small") + 8;
        let mut value = number.to_be_bytes().to_vec();
        value.resize(length, 0xA5);
        batch.put(space, number.to_be_bytes().to_vec(), value);
    }
    batch
}

fn numbers(kv: &dyn Kv, space: Space) -> Vec<u64> {
    let view = kv.snapshot().expect("readable");
    view.prefix(space, b"", Order::Ascending)
        .map(|entry| {
            let (key, value) = entry.expect("readable");
            let number = u64::from_be_bytes(key.as_ref().try_into().expect("eight bytes"));
            let written = batch(number);
            assert_eq!(
                written.ops().first().and_then(|op| op.value.clone()),
                Some(value)
            );
            number
        })
        .collect()
}

/// The child's half; in an ordinary run there is no marker and nothing to do.
#[test]
fn the_killed_child() {
    let Ok(start) = fs::read_to_string(MARKER) else {
        return;
    };
    let start: u64 = start.trim().parse().unwrap();
    let kv = FjallKv::open("store", small_config(), None).unwrap();
    let mut output = std::io::stdout().lock();
    for number in start.. {
        kv.commit(batch(number)).unwrap();
        writeln!(output, "ack {number}").unwrap();
        output.flush().unwrap();
        if number % 500 == 0 {
            kv.compact(Space::Overlay).unwrap();
        }
    }
}

fn run_and_kill(directory: &Path, start: u64, acknowledgements: u64) -> u64 {
    fs::write(directory.join(MARKER), start.to_string()).expect("written");
    let mut child = Command::new(std::env::current_exe().expect("a test has a path"))
        .args([
            "--exact",
            "kill::the_killed_child",
            "--nocapture",
            "--test-threads=1",
        ])
        .current_dir(directory)
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawned");
    let output = child.stdout.take().expect("piped");
    let mut acknowledged = None;
    let mut kills = 0;
    for line in BufReader::new(output).lines() {
        let line = line.expect("readable");
        // The harness may write in front of the first one on the same line.
        if let Some((_, number)) = line.split_once("ack ") {
            acknowledged = number.parse().ok().or(acknowledged);
            if acknowledged == Some(start + acknowledgements) {
                child.kill().expect("killed");
                kills += 1;
            }
        }
    }
    child.wait().expect("waited");
    assert_eq!(kills, 1, "the child ended by itself");
    acknowledged.expect("something was acknowledged")
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_half_there_after_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut next = 0;
    let mut random: u64 = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..ROUNDS {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888);
        let last = run_and_kill(directory.path(), next, 1 + (random >> 33) % 700);
        let kv = FjallKv::open(directory.path().join("store"), small_config(), None).unwrap();
        let found = numbers(&kv, Space::Meta);
        let end = u64::try_from(found.len()).unwrap();
        assert!(end > last, "acknowledged {last}, found only {end}");
        assert_eq!(found, (0..end).collect::<Vec<_>>());
        for space in Space::ALL {
            assert_eq!(numbers(&kv, space), found, "a batch is half there");
        }
        next = end;
    }
}
