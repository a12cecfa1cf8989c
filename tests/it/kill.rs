//! The server killed at random moments under load: what was acknowledged is there afterwards.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use sanntid_testkit::{ChildServer, Http, Sample, serve_if_marked};
use serde_json::{Value, json};

const ROUNDS: usize = 50;
const WRITERS: usize = 4;
/// Acknowledged writes of a round before which the server is killed, at most.
const ACKS_MAX: usize = 120;
const SEED: u64 = 7;
const AS_OF: &str = "2026-01-01T00:00:00Z";

#[test]
fn the_child_serves() {
    serve_if_marked();
}

/// What the writers of one round know to be stored.
#[derive(Default)]
struct Acknowledged {
    /// Per writer the last value set.
    scores: [u64; WRITERS],
    activities: Vec<String>,
    count: usize,
}

#[derive(Clone, Default)]
struct Shared {
    acknowledged: Arc<(Mutex<Acknowledged>, Condvar)>,
    is_over: Arc<AtomicBool>,
}

impl Shared {
    fn note(&self, note: impl FnOnce(&mut Acknowledged)) {
        let (lock, changed) = &*self.acknowledged;
        let mut acknowledged = lock.lock().unwrap();
        note(&mut acknowledged);
        acknowledged.count += 1;
        changed.notify_all();
    }

    fn wait_for(&self, count: usize) {
        let (lock, changed) = &*self.acknowledged;
        let guard = lock.lock().unwrap();
        drop(
            changed
                .wait_while(guard, |acknowledged| acknowledged.count < count)
                .unwrap(),
        );
    }
}

/// Patches and posts until the connection breaks.
fn write(http: &Http, instance: &str, writer: usize, from: u64, shared: &Shared) {
    let path = |rest: &str| format!("/api/instances/{instance}{rest}");
    let json_type = [("Content-Type", "application/json")];
    for number in from.. {
        let body = json!({"Score": number}).to_string();
        let patch = path(&format!("/data/Customer/C{}", writer + 1));
        match http.try_send("PATCH", &patch, &json_type, body.as_bytes()) {
            Some(answer) if answer.status == 204 => {
                shared.note(|acknowledged| acknowledged.scores[writer] = number);
            }
            other => return assert!(shared.is_over.load(Ordering::SeqCst), "{other:?}"),
        }
        let id = format!("a-{writer}-{number}");
        let body = json!({"CustomerId": format!("C{}", writer + 1), "ActivityId": id,
                          "ActivityTime": "2026-01-01T00:00:00Z", "ActivityType": "Visit"});
        let post = path("/data/UnifiedActivity");
        match http.try_send("POST", &post, &json_type, body.to_string().as_bytes()) {
            Some(answer) if answer.status == 201 => {
                shared.note(|acknowledged| acknowledged.activities.push(id));
            }
            other => return assert!(shared.is_over.load(Ordering::SeqCst), "{other:?}"),
        }
    }
}

/// Uploads one snapshot after another, each with cities of its own, until the connection breaks.
fn refresh(http: &Http, instance: &str, round: usize) {
    let path = |rest: &str| format!("/api/instances/{instance}{rest}");
    let csv = [("Content-Type", "text/csv")];
    for number in 0.. {
        let manifest = Sample::manifest(AS_OF).to_string();
        let json_type = [("Content-Type", "application/json")];
        let opened = http.try_send("POST", &path("/snapshots"), &json_type, manifest.as_bytes());
        let Some(opened) = opened.filter(|answer| answer.status == 201) else {
            return;
        };
        let id = opened.json()["snapshotId"].as_str().unwrap().to_owned();
        let rows = Sample::customers(300).replace("Oslo", &format!("R{round}N{number}"));
        let orders = Sample::orders(300);
        for (entity, rows) in [("Customer", &rows), ("Shop_Orders", &orders)] {
            let part = path(&format!("/snapshots/{id}/entities/{entity}/parts/1"));
            if http.try_send("PUT", &part, &csv, rows.as_bytes()).is_none() {
                return;
            }
        }
        let commit = path(&format!("/snapshots/{id}/commit"));
        let Some(job) = http.try_send("POST", &commit, &[], b"") else {
            return;
        };
        let job = job.json()["jobId"].as_str().unwrap_or_default().to_owned();
        let poll = path(&format!("/workflows/main/jobs/{job}"));
        loop {
            let Some(answer) = http.try_send("GET", &poll, &[], b"") else {
                return;
            };
            if !matches!(
                answer.json()["jobStatus"].as_str(),
                Some("queued" | "running")
            ) {
                break;
            }
        }
    }
}

/// Finds everything that was acknowledged; gives what is shown of each writer's now.
fn check(http: &Http, instance: &str, acknowledged: &Acknowledged) -> [u64; WRITERS] {
    let mut all_shown = [0; WRITERS];
    let path = |rest: &str| format!("/api/instances/{instance}{rest}");
    for (writer, score) in acknowledged.scores.iter().enumerate() {
        let profile = http
            .get(&path(&format!("/data/Customer/C{}", writer + 1)))
            .expect(200);
        let shown = profile.json()["Score"].as_u64().unwrap();
        // One more may be stored: its answer was on the way.
        assert!(
            (*score..=score + 1).contains(&shown),
            "writer {writer}: {score}, shown {shown}"
        );
        all_shown[writer] = shown;
    }
    for id in &acknowledged.activities {
        http.get(&path(&format!("/data/UnifiedActivity('{id}')")))
            .expect(200);
    }
    let mut cities = Vec::new();
    let mut next = path("/data/Customer?view=source&$select=City&$top=1000");
    loop {
        let page = http.get(&next).expect(200).json();
        let rows = page["value"].as_array().unwrap().iter();
        cities.extend(rows.map(|row| {
            row["City"]
                .as_str()
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .to_owned()
        }));
        let Some(link) = page["@odata.nextLink"].as_str() else {
            break;
        };
        next = link
            .split_once("/api")
            .map(|(_, rest)| format!("/api{rest}"))
            .unwrap();
    }
    assert_eq!(cities.len(), 300);
    cities.dedup();
    assert_eq!(cities.len(), 1, "a refresh is done wholly or not at all");
    all_shown
}

#[test]
fn no_acknowledged_write_is_lost_by_a_kill_at_any_moment() {
    println!("seed {SEED}");
    let mut random = fastrand::Rng::with_seed(SEED);
    let folder = tempfile::tempdir().unwrap();
    let mut server = ChildServer::spawn(folder.path(), "kill::the_child_serves", 0);
    let sample = Sample::create(&server.http);
    let job: Value = sample.load(AS_OF, &Sample::customers(300), &Sample::orders(300));
    assert_eq!(job["jobStatus"], "successful");
    let Sample { instance, .. } = sample;
    let mut scores = [1_000_u64; WRITERS];
    for writer in 0..WRITERS {
        let path = format!("/api/instances/{instance}/data/Customer/C{}", writer + 1);
        server
            .http
            .json("PATCH", &path, &json!({"Score": 1_000}))
            .expect(204);
    }
    for round in 0..ROUNDS {
        let shared = Shared::default();
        shared.acknowledged.0.lock().unwrap().scores = scores;
        let mut threads = Vec::new();
        for (writer, score) in scores.into_iter().enumerate() {
            let (http, of, shared) = (server.http.clone(), instance.clone(), shared.clone());
            threads.push(thread::spawn(move || {
                write(&http, &of, writer, score + 1, &shared)
            }));
        }
        let (http, of) = (server.http.clone(), instance.clone());
        threads.push(thread::spawn(move || refresh(&http, &of, round)));
        shared.wait_for(random.usize(1..ACKS_MAX));
        shared.is_over.store(true, Ordering::SeqCst);
        server.kill();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());

        server = ChildServer::spawn(folder.path(), "kill::the_child_serves", 0);
        let acknowledged = shared.acknowledged.0.lock().unwrap();
        // With the write that may be stored without an answer: none is under way any more.
        scores = check(&server.http, &instance, &acknowledged);
    }
}
