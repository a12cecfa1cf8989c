//! Instances: their life, their isolation, and what a restart keeps.

use std::sync::Arc;

use sanntid_testkit::{Sample, SimulatedClock, TestServer};
use serde_json::json;

const FIRST: &str = "2026-11-23T10:00:00Z";

#[test]
fn instances_do_not_see_each_other() {
    let server = TestServer::start();
    let http = &server.http;
    let (one, two) = (Sample::create(http), Sample::create(http));
    one.load(FIRST, &Sample::customers(2), &Sample::orders(1));
    two.load(
        FIRST,
        &Sample::customers(1).replace("Oslo", "Paris"),
        &Sample::orders(1),
    );
    http.json(
        "PATCH",
        &one.path("/data/Customer/C1"),
        &json!({"City": "Bergen"}),
    )
    .expect(204);
    let city = |sample: &Sample| {
        http.get(&sample.path("/data/Customer/C1"))
            .expect(200)
            .json()["City"]
            .clone()
    };
    assert_eq!(
        (city(&one), city(&two)),
        (json!("Bergen"), json!("Paris 1"))
    );
    http.get(&two.path("/data/Customer/C2")).expect(404);
}

#[test]
fn a_deleted_instance_is_gone_and_its_id_can_begin_anew() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    assert_eq!(
        http.delete(&sample.path("")).expect(200).json(),
        json!(true)
    );
    for path in [
        "",
        "/data/Customer",
        "/manage/entities",
        "/customers/C1/card",
    ] {
        http.get(&sample.path(path)).expect(404);
    }
    http.json(
        "PATCH",
        &sample.path("/data/Customer/C1"),
        &json!({"City": "x"}),
    )
    .expect(404);
    let again = json!({"instanceMetadata": {"name": "Again", "instanceId": sample.instance}});
    http.json("POST", "/api/instances/V2", &again).expect(200);
    http.json("POST", "/api/instances/V2", &again).expect(409);
    assert_eq!(
        http.get(&sample.path("/data/Customer")).expect(200).json()["value"],
        json!([])
    );
}

#[test]
fn a_reset_instance_is_empty_and_keeps_name_and_configuration() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    assert_eq!(
        http.delete(&sample.path("/manage/reset"))
            .expect(200)
            .json(),
        json!(true)
    );
    http.get(&sample.path("/data/Customer/C1")).expect(404);
    assert_eq!(
        http.get(&sample.path("")).expect(200).json()["name"],
        "Sample"
    );
    let activities = http
        .get(&sample.path("/manage/activities"))
        .expect(200)
        .json();
    assert_eq!(activities[0]["entityName"], "Shop_Orders");
    let job = sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    assert_eq!(job["report"]["generation"], 1);
}

#[test]
fn a_restart_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new());
    let server = TestServer::start_in(folder.path(), &clock);
    let sample = Sample::create(&server.http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    let path = sample.path("/data/Customer/C1");
    server
        .http
        .json("PATCH", &path, &json!({"City": "Bergen"}))
        .expect(204);
    let before = server
        .http
        .get(&sample.path("/customers/C1/card"))
        .expect(200)
        .json();
    server.stop();
    let server = TestServer::start_in(folder.path(), &clock);
    let after = server
        .http
        .get(&sample.path("/customers/C1/card"))
        .expect(200)
        .json();
    assert_eq!(without_links(before), without_links(after));
}

fn without_links(mut card: serde_json::Value) -> serde_json::Value {
    card["timeline"]["nextLink"].take();
    card
}

#[test]
fn a_clock_that_is_not_trusted_stops_writes_and_not_reads() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let path = sample.path("/data/Customer/C1");
    server.clock.trust(false);
    let refused = http.json("PATCH", &path, &json!({"City": "x"})).expect(503);
    assert_eq!(refused.code(), "clockJumped");
    assert!(refused.header("Retry-After").is_some());
    assert_eq!(http.get(&path).expect(200).json()["City"], "Oslo 1");
    server.clock.trust(true);
    http.json("PATCH", &path, &json!({"City": "x"})).expect(204);
}
