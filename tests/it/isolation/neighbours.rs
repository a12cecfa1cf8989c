//! One instance is broken, loads, or is at its limits: the others' answers stay right.

use sanntid_server::Config;
use sanntid_store::{FjallKv, Kv, Space, WriteBatch, catalog};
use sanntid_testkit::{Http, Sample, TestServer, wait_for_job};
use sanntid_types::InstanceId;
use serde_json::json;

use super::FIRST;

/// Rows of the refresh beside which another instance is used.
const ROWS: usize = 20_000;

/// Writes and reads back, and reads what the source brought.
fn works(http: &Http, sample: &Sample, round: usize) {
    let city = format!("Bergen {round}");
    let customer = sample.path("/data/Customer('C1')");
    http.json("PATCH", &customer, &json!({"City": city}))
        .expect(204);
    let read = http.get(&customer).expect(200).json();
    assert_eq!(read["City"], city);
    let timeline = http
        .get(&sample.path("/customers/C2/timeline"))
        .expect(200)
        .json();
    assert_eq!(timeline["value"].as_array().unwrap().len(), 1);
}

fn loaded(http: &Http) -> Sample {
    let sample = Sample::create(http);
    let job = sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    assert_eq!(job["jobStatus"], "successful", "{job}");
    sample
}

/// Spoils the state of an instance, and what it holds in a range of keys.
fn spoil(server: TestServer, instance: &str, is_state: bool) {
    let folder = server.folder().join("store");
    server.stop();
    let kv = FjallKv::open(&folder, Config::default().store, None).unwrap();
    let snapshot = kv.snapshot().unwrap();
    let id = InstanceId::parse(instance).unwrap();
    let record = catalog::instance(&*snapshot, id).unwrap().unwrap();
    let life = record.incarnation.0.to_be_bytes();
    let mut batch = WriteBatch::new();
    if is_state {
        batch.put(Space::Meta, [&b"t"[..], &life].concat(), vec![1, b'{']);
    }
    for space in [Space::Overlay, Space::Activities, Space::Base] {
        let range = snapshot.prefix(space, &life, sanntid_store::Order::Ascending);
        for entry in range {
            let (key, _) = entry.unwrap();
            batch.put(space, key, vec![250, 1, 2]);
        }
    }
    drop(snapshot);
    kv.commit(batch).unwrap();
}

#[test]
fn an_instance_with_a_corrupt_range_of_keys_is_alone_with_it() {
    let folder = tempfile::tempdir().unwrap();
    for is_state in [false, true] {
        let server = TestServer::start_on(folder.path(), |_| ());
        let [broken, sound] = [(); 2].map(|()| loaded(&server.http));
        works(&server.http, &broken, 0);
        works(&server.http, &sound, 0);
        spoil(server, &broken.instance, is_state);

        let server = TestServer::start_on(folder.path(), |_| ());
        let http = &server.http;
        let at = |sample: &Sample, rest: &str| format!("/api/instances/{}{rest}", sample.instance);
        for round in 1..5 {
            for rest in [
                "/data/Customer('C1')",
                "/data/Customer",
                "/customers/C1/timeline",
            ] {
                let answer = http.get(&at(&broken, rest));
                assert!(answer.status >= 500, "{rest}: {}", answer.text());
                assert!(!answer.text().contains("Oslo"), "{}", answer.text());
            }
            let body = json!({"City": "Moss"});
            let patch = http.json("PATCH", &at(&broken, "/data/Customer('C1')"), &body);
            assert!(patch.status >= 500, "{}", patch.text());
            let of_server = Sample::at(http, &sound.instance);
            works(http, &of_server, round);
        }
        let listed = http.get("/api/instances").expect(200).json();
        assert!(listed.as_array().unwrap().len() >= 2);
        http.delete(&at(&broken, "")).expect(200);
        http.get(&at(&broken, "/data/Customer")).expect(404);
    }
}

#[test]
fn a_large_refresh_of_one_leaves_the_others_right() {
    let server = TestServer::start();
    let http = &server.http;
    let [busy, other] = [(); 2].map(|()| loaded(http));
    let job = busy.upload(FIRST, &Sample::customers(ROWS), &Sample::orders(ROWS));
    let mut round = 0;
    loop {
        round += 1;
        works(http, &other, round);
        let path = busy.path(&format!(
            "/workflows/main/jobs/{}",
            job["jobId"].as_str().unwrap()
        ));
        let status = http.get(&path).expect(200).json()["jobStatus"].clone();
        if status != "queued" && status != "running" {
            break;
        }
    }
    let job = wait_for_job(http, &busy.instance, &job);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    assert!(round > 1, "the refresh took longer than a round");
    works(http, &busy, 0);
}

#[test]
fn an_instance_at_its_limits_takes_nothing_from_another() {
    let server = TestServer::start();
    let http = &server.http;
    let [greedy, other] = [(); 2].map(|()| loaded(http));
    // Afterwards: how often a job is looked at until it has ended is not known.
    for sample in [&greedy, &other] {
        let limits = json!({"requestsPerSecond": 200});
        http.json("PUT", &sample.path("/manage/limits"), &limits)
            .expect(200);
    }
    let customer = greedy.path("/data/Customer('C1')");
    let refused = (0..300)
        .filter(|_| http.get(&customer).status == 429)
        .count();
    assert!(refused > 0, "the limit was met");
    for round in 0..10 {
        works(http, &other, round);
        http.get(&customer);
    }
}
