//! Limits of the whole server: each met by its name and there again, and nobody else's.

use std::sync::Arc;
use std::time::Duration;

use sanntid_testkit::{Answer, Http, Sample, SimulatedClock, TestServer};
use serde_json::{Value, json};

/// An hour before the clock starts.
const AS_OF: &str = "2026-11-23T11:00:00Z";

fn set(http: &Http, sample: &Sample, limits: &Value) -> Value {
    let path = sample.path("/manage/limits");
    http.json("PUT", &path, limits).expect(200).json()
}

fn patch(http: &Http, sample: &Sample, id: &str, fields: &Value) -> Answer {
    http.json(
        "PATCH",
        &sample.path(&format!("/data/Customer('{id}')")),
        fields,
    )
}

fn activity(http: &Http, sample: &Sample, id: &str, until: Option<&str>) -> Answer {
    let query = until.map_or_else(String::new, |until| format!("?validUntil={until}"));
    let body = json!({
        "ActivityId": id, "CustomerId": "C1", "ActivityTime": "2026-11-23T11:00:00Z",
        "ActivityType": "Visit"
    });
    http.json(
        "POST",
        &sample.path(&format!("/data/UnifiedActivity{query}")),
        &body,
    )
}

fn limited(answer: &Answer, limit: &str) {
    let met = (answer.status, answer.header("sanntid-limit"));
    assert_eq!(met, (429, Some(limit)), "{}", answer.text());
    assert_eq!(answer.code(), "limitExceeded");
    assert!(answer.header("retry-after").is_some());
}

#[test]
fn rates_are_met_by_name_come_again_and_hold_from_the_answer_on() {
    let server = TestServer::start();
    let (http, sample) = (&server.http, Sample::create(&server.http));
    sample.load(AS_OF, &Sample::customers(2), &Sample::orders(1));
    let other = Sample::create(http);
    let shown = sample.path("/manage/realtime");
    let patch = |id: &str| patch(http, &sample, id, &json!({"City": "Oslo"}));
    set(http, &sample, &json!({"requestsPerSecond": 2}));
    for _ in 0..3 {
        assert_eq!(http.get(&shown).status, 200);
        let last = http.get(&shown).expect(200);
        assert_eq!(
            last.header("ratelimit"),
            Some("\"requestsPerSecond\";r=0;t=1")
        );
        for _ in 0..20 {
            limited(&http.get(&shown), "requestsPerSecond");
            // Another instance is served as ever.
            http.get(&other.path("/manage/realtime")).expect(200);
        }
        server.clock.advance(Duration::from_secs(1));
    }
    set(http, &sample, &json!({"callerRequestsPerSecond": 1}));
    http.get(&shown).expect(200);
    limited(&http.get(&shown), "callerRequestsPerSecond");
    set(http, &sample, &json!({"profileWritesPerSecond": 1}));
    patch("C1").expect(204);
    limited(&patch("C1"), "profileWritesPerSecond");
    patch("C2").expect(204);
    server.clock.advance(Duration::from_secs(1));
    patch("C1").expect(204);
    set(http, &sample, &json!({"bytesPerSecond": 65_536}));
    let body = json!({"City": "x".repeat(50_000)});
    let large = || http.json("PATCH", &sample.path("/data/Customer('C1')"), &body);
    large().expect(204);
    limited(&large(), "bytesPerSecond");
    server.clock.advance(Duration::from_secs(1));
    large().expect(204);
    set(http, &sample, &json!({"fieldsPerUpdate": 1}));
    let two = json!({"City": "Oslo", "Score": 1});
    let answer = http.json("PATCH", &sample.path("/data/Customer('C1')"), &two);
    let met = (answer.status, answer.header("sanntid-limit"));
    assert_eq!(met, (413, Some("fieldsPerUpdate")), "{}", answer.text());
    set(http, &sample, &json!({}));
    http.json("PATCH", &sample.path("/data/Customer('C1')"), &two)
        .expect(204);
}

/// Asks until upkeep has counted what is kept: its rounds come by themselves.
fn taken_at_last(ask: impl Fn() -> Answer) -> Answer {
    loop {
        let answer = ask();
        if answer.status != 429 {
            return answer;
        }
    }
}

#[test]
fn what_is_kept_is_limited_across_a_restart_and_what_ends_makes_room() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new());
    let server = TestServer::start_in(folder.path(), &clock);
    let (http, sample) = (&server.http, Sample::create(&server.http));
    sample.load(AS_OF, &Sample::customers(2), &Sample::orders(1));
    let limits = json!({"overlayFields": 1, "activities": 2});
    set(http, &sample, &limits);
    patch(http, &sample, "C1", &json!({"City": "Oslo"})).expect(204);
    let city = json!({"City": "Bergen"});
    limited(&patch(http, &sample, "C2", &city), "overlayFields");
    let soon = Some("2026-11-23T12:10:00Z");
    activity(http, &sample, "a1", soon).expect(201);
    activity(http, &sample, "a2", None).expect(201);
    limited(&activity(http, &sample, "a3", None), "activities");
    let used = |http: &Http| http.get(&sample.path("/manage/limits")).expect(200).json();
    let before = used(http);
    assert_eq!(before["own"], limits);
    assert_eq!(before["use"]["overlayFields"], 1);
    assert_eq!(before["use"]["activities"], 2);
    server.stop();

    let server = TestServer::start_in(folder.path(), &clock);
    let http = &server.http;
    assert_eq!(used(http), before);
    limited(&patch(http, &sample, "C2", &city), "overlayFields");
    limited(&activity(http, &sample, "a3", None), "activities");
    // The update ends after four hours.
    clock.advance(Duration::from_secs(5 * 3600));
    taken_at_last(|| activity(http, &sample, "a3", None)).expect(201);
    taken_at_last(|| patch(http, &sample, "C2", &city)).expect(204);
    let after = used(http);
    assert_eq!(after["use"]["overlayFields"], 1);
    assert_eq!(after["use"]["activities"], 2);
}

#[test]
fn one_at_its_limit_holds_up_nobody_and_refusals_are_counted_without_names() {
    let server = TestServer::start_with(|config| config.limits.failed_attempts_per_second = 2);
    let (http, sample) = (&server.http, Sample::create(&server.http));
    set(
        http,
        &sample,
        &json!({"requestsPerSecond": 1, "concurrentRequests": 1}),
    );
    // The metrics are the process's, and other tests run in it, too.
    let met = |limit: &str| -> u64 {
        let metrics = http.get("/metrics").expect(200).text();
        let of = format!("sanntid_limits_met_total{{limit=\"{limit}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&of));
        line.map_or(0, |count| count.parse().expect("a number"))
    };
    let before = ["requestsPerSecond", "failedAttempts"].map(met);
    http.get(&sample.path("/manage/realtime")).expect(200);
    for _ in 0..5 {
        limited(
            &http.get(&sample.path("/data/Customer")),
            "requestsPerSecond",
        );
    }
    let stranger = http.without_key();
    for _ in 0..10 {
        stranger.get("/api/instances").expect(401);
    }
    limited(&stranger.get("/api/instances"), "failedAttempts");
    let after = ["requestsPerSecond", "failedAttempts"].map(met);
    assert!(after[0] >= before[0] + 5, "{before:?} {after:?}");
    assert!(after[1] > before[1], "{before:?} {after:?}");
    let metrics = http.get("/metrics").expect(200).text();
    assert!(!metrics.contains(&sample.instance), "{metrics}");
}
