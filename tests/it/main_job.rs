//! The main job: a snapshot goes in, updates override it, expire, and give way to a refresh.

use std::time::Duration;

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

fn field(http: &Http, sample: &Sample, profile: &str, name: &str) -> Value {
    let path = sample.path(&format!("/data/Customer/{profile}"));
    http.get(&path).expect(200).json()[name].clone()
}

fn patch(http: &Http, sample: &Sample, profile: &str, query: &str, body: &Value) {
    let path = sample.path(&format!("/data/Customer/{profile}{query}"));
    http.json("PATCH", &path, body).expect(204);
}

#[test]
fn an_update_shows_at_once_and_gives_way_when_it_expires() {
    let server = TestServer::start();
    let (http, clock) = (&server.http, &server.clock);
    let sample = Sample::create(http);
    let job = sample.load(FIRST, &Sample::customers(3), &Sample::orders(3));
    assert_eq!(job["jobStatus"], "successful", "{job}");

    assert_eq!(field(http, &sample, "C1", "City"), "Oslo 1");
    patch(
        http,
        &sample,
        "C1",
        "?caller=crm",
        &json!({"City": "Bergen"}),
    );
    assert_eq!(field(http, &sample, "C1", "City"), "Bergen");
    assert_eq!(
        field(http, &sample, "C2", "City"),
        "Oslo 2",
        "another profile is as it was"
    );

    clock.advance(Duration::from_secs(4 * 3600 - 1));
    assert_eq!(field(http, &sample, "C1", "City"), "Bergen");
    clock.advance(Duration::from_secs(1));
    assert_eq!(
        field(http, &sample, "C1", "City"),
        "Oslo 1",
        "4 hours are over"
    );
}

#[test]
fn an_older_update_shows_again_when_a_newer_one_has_expired() {
    let server = TestServer::start();
    let (http, clock) = (&server.http, &server.clock);
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    patch(http, &sample, "C1", "", &json!({"City": "long"}));
    patch(
        http,
        &sample,
        "C1",
        "?validUntil=2026-11-23T12:00:10Z",
        &json!({"City": "short"}),
    );
    assert_eq!(field(http, &sample, "C1", "City"), "short");
    clock.advance(Duration::from_secs(10));
    assert_eq!(field(http, &sample, "C1", "City"), "long");
}

#[test]
fn a_refresh_clears_what_its_source_has_seen_and_keeps_what_came_later() {
    let server = TestServer::start();
    let (http, clock) = (&server.http, &server.clock);
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    patch(
        http,
        &sample,
        "C1",
        "",
        &json!({"City": "before", "FullName": "before"}),
    );
    clock.advance(Duration::from_secs(60));
    let seen_until = "2026-11-23T12:00:30Z";
    patch(http, &sample, "C2", "", &json!({"City": "after"}));

    let rows = Sample::customers(2).replace("Oslo", "Trondheim");
    let job = sample.load(seen_until, &rows, &Sample::orders(2));
    assert_eq!(field(http, &sample, "C1", "City"), "Trondheim 1");
    assert_eq!(field(http, &sample, "C2", "City"), "after");
    let report = &job["report"];
    assert_eq!(
        (
            &report["overlayFieldsCleared"],
            &report["overlayFieldsKept"]
        ),
        (&json!(2), &json!(1))
    );
    assert_eq!(report["generation"], 2);
}

#[test]
fn a_card_says_where_each_field_comes_from_and_until_when() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    patch(
        http,
        &sample,
        "C1",
        "?caller=crm",
        &json!({"City": "Bergen"}),
    );
    let card = http
        .get(&sample.path("/customers/C1/card"))
        .expect(200)
        .json();
    let fields = card["fields"].as_array().unwrap();
    let of = |name: &str| {
        fields
            .iter()
            .find(|field| field["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        of("City"),
        json!({"name": "City", "value": "Bergen", "origin": "realtime", "sourceValue": "Oslo 1",
               "acceptedAt": "2026-11-23T12:00:00.000Z", "validUntil": "2026-11-23T16:00:00.000Z",
               "caller": "crm"})
    );
    assert_eq!(
        of("Score"),
        json!({"name": "Score", "value": 1, "origin": "source"})
    );
    assert_eq!(card["measures"], json!({"LifetimeValue": 1.5}));
    assert_eq!(card["timeline"]["value"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&card["profileId"], &card["generation"]),
        (&json!("C1"), &json!(1))
    );
}

#[test]
fn an_activity_shows_in_the_very_next_read_and_a_repeat_is_told() {
    let server = TestServer::start();
    let (http, clock) = (&server.http, &server.clock);
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    let unified = sample.path("/data/UnifiedActivity");
    let visit = json!({"CustomerId": "C1", "ActivityTime": "2026-11-23T11:59:00Z",
                       "ActivityType": "Visit", "ActivityId": "v1", "Title": "Came by"});
    let created = http.json("POST", &unified, &visit).expect(201);
    assert_eq!(created.json()["value"]["state"], "stored");
    assert_eq!(created.header("Sanntid-Replayed"), None);
    let timeline = || {
        let path = sample.path("/customers/C1/timeline");
        let entries = http.get(&path).expect(200).json()["value"]
            .as_array()
            .unwrap()
            .clone();
        entries
            .iter()
            .map(|entry| entry["ActivityId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(timeline(), ["v1", "Shop_Orders:O1"], "newest first");

    let again = http.json("POST", &unified, &visit).expect(201);
    assert_eq!(again.header("Sanntid-Replayed"), Some("true"));
    assert_eq!(timeline().len(), 2);
    let mut other = visit;
    other["Title"] = json!("Something else");
    http.json("POST", &unified, &other).expect(409);

    clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(timeline(), ["Shop_Orders:O1"], "30 days are over");
}

#[test]
fn a_source_row_posted_early_is_superseded_by_the_sources_copy() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(1));
    let orders = sample.path("/data/Shop_Orders");
    let row = json!({"OrderId": "O2", "ContactId": "K2", "OrderedOn": "2026-11-01T10:00:00Z",
                     "Subject": "Order 2"});
    http.json("POST", &orders, &row).expect(201);
    let job = sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    assert_eq!(job["report"]["activitiesSuperseded"], 1);
    let path = sample.path("/customers/C2/timeline");
    let entries = http.get(&path).expect(200).json()["value"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!(entries[0]["origin"], "source");
}

#[test]
fn an_activity_of_an_unknown_customer_is_refused_or_held_until_the_customer_comes() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let visit = json!({"CustomerId": "C2", "ActivityTime": "2026-11-23T11:00:00Z",
                       "ActivityType": "Visit"});
    let path = sample.path("/data/UnifiedActivity");
    assert_eq!(
        http.json("POST", &path, &visit).expect(400).code(),
        "customerNotFound"
    );
    let held = http
        .json("POST", &format!("{path}?onUnknownCustomer=hold"), &visit)
        .expect(202);
    assert_eq!(held.json()["value"]["state"], "held");
    http.get(&sample.path("/customers/C2/timeline")).expect(404);
    let job = sample.load(FIRST, &Sample::customers(2), &Sample::orders(1));
    assert_eq!(job["report"]["activitiesAttached"], 1);
    let entries = http
        .get(&sample.path("/customers/C2/timeline"))
        .expect(200)
        .json();
    assert_eq!(entries["value"].as_array().unwrap().len(), 1);
}
