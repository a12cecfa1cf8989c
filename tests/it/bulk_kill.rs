//! The server killed in the middle of bulk requests: each line that was answered is there.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use sanntid_testkit::{ChildServer, Http, Sample, serve_if_marked};
use serde_json::json;

use crate::bulk::{Bulk, chunk};

const ROUNDS: usize = 12;
/// Answered lines of a round before which the server is killed, at most.
const ANSWERED_MAX: usize = 4_000;
const SEED: u64 = 11;
const AS_OF: &str = "2026-01-01T00:00:00Z";

#[test]
fn the_child_serves() {
    serve_if_marked();
}

/// Sends lines until the connection breaks; gives the number of each that was answered well.
fn write(
    http: &Http,
    (method, path): (&str, &str),
    line: impl Fn(u64) -> String + Send + 'static,
    sent: &Arc<AtomicU64>,
    answered: &mpsc::Sender<()>,
) -> Vec<u64> {
    let mut bulk = Bulk::begin(http, method, path);
    let mut writer = bulk.writer();
    let sending = Arc::clone(sent);
    let writing = thread::spawn(move || {
        for first in (0..).step_by(50) {
            let lines: String = (first..first + 50).map(&line).collect();
            sending.store(first + 50, Ordering::SeqCst);
            if writer.write_all(&chunk(lines.as_bytes())).is_err() {
                return;
            }
        }
    });
    let mut good = Vec::new();
    while let Some(lines) = bulk.read(1 << 16) {
        for line in lines {
            let status = line["status"].as_u64().unwrap();
            assert!(matches!(status, 201 | 204), "{line}");
            good.push(line["line"].as_u64().unwrap() - 1);
            // Nobody may listen any more.
            answered.send(()).ok();
        }
    }
    writing.join().unwrap();
    good
}

fn activities(http: &Http, instance: &str, customer: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    let filter = format!("$filter=CustomerId%20eq%20'{customer}'&$select=ActivityId&$top=1000000");
    let mut next = format!("/api/instances/{instance}/data/UnifiedActivity?{filter}");
    loop {
        let page = http.get(&next).expect(200).json();
        let rows = page["value"].as_array().unwrap().iter();
        ids.extend(rows.map(|row| row["ActivityId"].as_str().unwrap().to_owned()));
        let Some(link) = page["@odata.nextLink"].as_str() else {
            return ids;
        };
        let (_, rest) = link.split_once("/api").unwrap();
        next = format!("/api{rest}");
    }
}

/// Finds what was answered in a round.
fn check(http: &Http, instance: &str, round: usize, expected: &BTreeSet<String>) {
    let stored = activities(http, instance, &format!("C{}", round + 1));
    let lost = expected.difference(&stored).count();
    assert_eq!(lost, 0, "round {round}, of {}", expected.len());
}

#[test]
fn no_answered_line_is_lost_by_a_kill_at_any_moment() {
    println!("seed {SEED}");
    let mut random = fastrand::Rng::with_seed(SEED);
    let folder = tempfile::tempdir().unwrap();
    let mut server = ChildServer::spawn(folder.path(), "bulk_kill::the_child_serves", 0);
    let sample = Sample::create(&server.http);
    let job = sample.load(AS_OF, &Sample::customers(20), &Sample::orders(20));
    assert_eq!(job["jobStatus"], "successful");
    let Sample { instance, .. } = sample;
    let mut rounds: Vec<BTreeSet<String>> = Vec::new();
    for round in 0..ROUNDS {
        let (answered, answers) = mpsc::channel();
        let path = |entity: &str| format!("/api/instances/{instance}/data/{entity}/$bulk");
        let posting = {
            let (http, answered) = (server.http.clone(), answered.clone());
            let path = path("UnifiedActivity");
            let customer = format!("C{}", round + 1);
            let line = move |number| {
                let body = json!({"ActivityId": format!("r{round}-{number}"), "CustomerId": customer,
                    "ActivityTime": "2026-01-01T00:00:00Z", "ActivityType": "Visit"});
                format!("{}\n", json!({"body": body}))
            };
            let sent = Arc::default();
            thread::spawn(move || write(&http, ("POST", &path), line, &sent, &answered))
        };
        let base = 1 + 1_000_000 * u64::try_from(round).unwrap();
        let patches_sent = Arc::new(AtomicU64::new(0));
        let patching = {
            let http = server.http.clone();
            let (path, sent) = (path("Customer"), Arc::clone(&patches_sent));
            let line = move |number| {
                let body = json!({"Score": base + number});
                format!("{}\n", json!({"id": "C20", "body": body}))
            };
            thread::spawn(move || write(&http, ("PATCH", &path), line, &sent, &answered))
        };
        let until = random.usize(1..ANSWERED_MAX);
        assert_eq!(answers.iter().take(until).count(), until);
        server.kill();
        let posted = posting.join().unwrap();
        let patched = patching.join().unwrap();
        rounds.push(
            posted
                .iter()
                .map(|number| format!("r{round}-{number}"))
                .collect(),
        );

        server = ChildServer::spawn(folder.path(), "bulk_kill::the_child_serves", 0);
        check(&server.http, &instance, round, &rounds[round]);
        let profile = format!("/api/instances/{instance}/data/Customer/C20");
        let shown = server.http.get(&profile).expect(200).json()["Score"]
            .as_u64()
            .unwrap();
        if let Some(last) = patched.last() {
            let range = base + last..base + patches_sent.load(Ordering::SeqCst);
            assert!(
                range.contains(&shown),
                "round {round}: {range:?}, shown {shown}"
            );
        }
    }
    // What an earlier kill had left is still there.
    for (round, expected) in rounds.iter().enumerate() {
        check(&server.http, &instance, round, expected);
    }
    assert!(rounds.iter().any(|expected| !expected.is_empty()));
}
