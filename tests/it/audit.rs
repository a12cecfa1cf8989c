//! Audit logs: every administrative operation leaves one record, durable with what it did; what was
//! refused is there, too; pages are complete; nobody else reads them, and no secret is in them.

mod refused;
mod walk;

use std::{collections::BTreeSet, time::Duration};

use sanntid_testkit::{ChildServer, Http, Sample, SimulatedClock, TestServer, serve_if_marked};
use serde_json::{Value, json};

/// All records of a log that match a filter, page by page, newest first.
fn records(http: &Http, log: &str, filter: &str) -> Vec<Value> {
    let mut path = format!("{log}/manage/audit?{filter}");
    let mut all = Vec::new();
    loop {
        let page = http.get(&path).expect(200).json();
        all.extend(page["value"].as_array().unwrap().iter().cloned());
        let Some(link) = page["nextLink"].as_str() else {
            return all;
        };
        let (_, behind) = link.split_once("/api/").unwrap();
        path = format!("/api/{behind}");
    }
}

/// The path of an instance's log, but for its end.
fn log_of(instance: &str) -> String {
    format!("/api/instances/{instance}")
}

fn set_margin(http: &Http, instance: &str, seconds: u64) {
    let path = format!("/api/instances/{instance}/manage/realtime");
    let settings = json!({"asOfMarginSecs": seconds});
    http.json("PUT", &path, &settings).expect(200);
}

fn margins(records: &[Value]) -> Vec<u64> {
    let margin = |record: &Value| record["details"]["asOfMarginSecs"].as_str()?.parse().ok();
    records.iter().filter_map(margin).collect()
}

#[test]
fn pages_are_complete_and_without_repeats_while_new_records_come() {
    let server = TestServer::start();
    let http = &server.http;
    let instance = Sample::create(http).instance;
    let log = log_of(&instance);
    for number in 1..=40_u64 {
        set_margin(http, &instance, number);
        server.clock.advance(Duration::from_millis(number % 3));
        if number % 4 == 0 {
            let path = format!("{log}/manage/realtime");
            http.json("PUT", &path, &json!({"asOfMarginSecs": -1}))
                .expect(400);
        }
    }
    let wanted = || {
        records(
            http,
            &log,
            "action=set_realtime_settings&outcome=done&top=1000",
        )
    };
    let expected: Vec<u64> = (1..=40).rev().collect();
    assert_eq!(margins(&wanted()), expected, "newest first");
    let mut path = format!("{log}/manage/audit?action=set_realtime_settings&outcome=done&top=7");
    let mut found = Vec::new();
    let mut more = 41;
    loop {
        let page = http.get(&path).expect(200).json();
        let value = page["value"].as_array().unwrap();
        assert!(value.len() <= 7);
        found.extend(value.iter().cloned());
        set_margin(http, &instance, more);
        more += 1;
        let Some(link) = page["nextLink"].as_str() else {
            break;
        };
        path = format!("/api/{}", link.split_once("/api/").unwrap().1);
    }
    assert_eq!(margins(&found), expected);
    let ids: BTreeSet<&str> = found
        .iter()
        .map(|record| record["auditId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), found.len());
}

#[test]
fn records_are_found_by_time_actor_action_and_outcome() {
    let server = TestServer::start();
    let http = &server.http;
    let instance = Sample::create(http).instance;
    let log = log_of(&instance);
    let mut times = Vec::new();
    for number in 1..=5 {
        server.clock.advance(Duration::from_secs(60));
        set_margin(http, &instance, number);
        let newest = &records(http, &log, "top=1")[0];
        times.push(newest["at"].as_str().unwrap().to_owned());
    }
    let of = |filter: &str| margins(&records(http, &log, filter));
    assert_eq!(of(&format!("from={}", times[1])), [5, 4, 3, 2], "not older");
    assert_eq!(of(&format!("to={}", times[1])), [1], "before it");
    assert_eq!(
        of(&format!("from={}&to={}&top=1", times[1], times[3])),
        [3, 2]
    );
    assert_eq!(
        of(&format!("from={}&to={}", times[3], times[1])),
        [0_u64; 0]
    );
    assert_eq!(of("actor=administrator").len(), 5);
    assert_eq!(of("actor=key%3Aprimary").len(), 0);
    assert_eq!(of("outcome=refused").len(), 0);
    assert_eq!(records(http, &log, "action=create_an_instance").len(), 1);
    for bad in [
        "outcome=all",
        "from=now",
        "top=1001",
        "skipToken=1",
        "filter=x",
    ] {
        let path = format!("{log}/manage/audit?{bad}");
        assert_eq!(
            http.get(&path).expect(400).code(),
            "invalidArgument",
            "{bad}"
        );
    }
}

#[test]
fn a_log_outlives_a_reset_and_ends_with_its_instance() {
    let folder = tempfile::tempdir().unwrap();
    let clock = std::sync::Arc::new(SimulatedClock::new());
    let server = TestServer::start_in(folder.path(), &clock);
    let http = &server.http;
    let instance = Sample::create(http).instance;
    let log = log_of(&instance);
    set_margin(http, &instance, 7);
    for _ in 0..2 {
        http.delete(&format!("{log}/manage/reset")).expect(200);
    }
    set_margin(http, &instance, 8);
    let all = records(http, &log, "");
    assert_eq!(margins(&all), [8, 7]);
    assert_eq!(records(http, &log, "action=reset_an_instance").len(), 2);
    server.stop();
    let server = TestServer::start_in(folder.path(), &clock);
    let http = &server.http;
    assert_eq!(records(http, &log, ""), all, "as it was");
    http.delete(&log).expect(200);
    assert_eq!(
        http.get(&format!("{log}/manage/audit")).expect(404).code(),
        "instanceNotFound"
    );
    let deleted = records(http, "/api", "action=delete_an_instance");
    assert_eq!(
        (deleted.len(), &deleted[0]["target"]),
        (1, &json!(instance))
    );
    let again = json!({"instanceMetadata": {"name": "Again", "instanceId": instance}});
    http.json("POST", "/api/instances/V2", &again).expect(200);
    let all = records(http, &log, "");
    let actions: Vec<&str> = all
        .iter()
        .map(|record| record["action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["create_an_instance"], "nothing of the one before");
}

/// The child that is killed.
#[test]
fn the_audited_child_serves() {
    serve_if_marked();
}

#[test]
fn a_server_killed_right_after_an_answer_has_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let mut instance = None;
    for round in 1..=5_u64 {
        let child = ChildServer::spawn(folder.path(), "audit::the_audited_child_serves", 0);
        let http = child.http.clone();
        let instance = instance.get_or_insert_with(|| Sample::create(&http).instance);
        if round > 1 {
            let found = margins(&records(
                &http,
                &log_of(instance),
                "action=set_realtime_settings",
            ));
            let expected: Vec<u64> = (1..round).rev().collect();
            assert_eq!(found, expected);
        }
        set_margin(&http, instance, round);
        child.kill();
    }
}
