//! What was refused: who is named, in which log, how many at most, and that it pushes nothing out.

use std::time::Duration;

use sanntid_testkit::{Answer, Http, Sample, TestServer};
use serde_json::{Value, json};

use super::{log_of, records, set_margin};

fn renew(http: &Http, instance: &str) -> String {
    let path = format!("/api/instances/{instance}/manage/keys/primary/regenerate");
    let made = http.send("POST", &path, &[], b"").expect(200).json();
    made["key"].as_str().unwrap().to_owned()
}

fn summary(record: &Value) -> (&str, &str, &str, &str) {
    let text = |name: &str| record[name].as_str().unwrap_or("");
    (
        text("actor"),
        text("action"),
        text("outcome"),
        text("errorCode"),
    )
}

/// Polls until a log has as many refused records; each poll is a request.
fn refused(http: &Http, log: &str, count: usize) -> Vec<Value> {
    loop {
        let found = records(http, log, "outcome=refused");
        if found.len() >= count {
            return found;
        }
    }
}

#[test]
fn a_refused_attempt_is_noted_in_the_log_of_what_it_was_aimed_at() {
    let server = TestServer::start();
    let http = &server.http;
    let [one, two] = [(); 2].map(|()| Sample::create(http).instance);
    let (log, settings) = (log_of(&one), format!("{}/manage/realtime", log_of(&one)));
    let contributor = Http::new(server.address(), Some(&renew(http, &one)));
    let other = Http::new(server.address(), Some(&renew(http, &two)));
    let nobody = http.without_key();
    let bad = json!({"asOfMarginSecs": -1});
    let put = |http: &Http, body: &Value| -> Answer { http.json("PUT", &settings, body) };
    put(http, &bad).expect(400);
    put(&contributor, &json!({})).expect(403);
    put(&other, &json!({})).expect(404);
    put(&nobody, &json!({})).expect(401);
    nobody
        .get(&format!("{log}/data/Customer('secret-person')"))
        .expect(401);
    let found = refused(http, &log, 5);
    let mut told: Vec<_> = found.iter().map(summary).collect();
    told.sort_unstable();
    let expected = [
        (
            "administrator",
            "set_realtime_settings",
            "refused",
            "invalidBody",
        ),
        (
            "key of another instance",
            "set_realtime_settings",
            "refused",
            "instanceNotFound",
        ),
        (
            "key:primary",
            "set_realtime_settings",
            "refused",
            "forbidden",
        ),
        (
            "nobody",
            "get_entities_with_odata_path",
            "refused",
            "unauthorized",
        ),
        ("nobody", "set_realtime_settings", "refused", "unauthorized"),
    ];
    assert_eq!(told, expected);
    assert!(found.iter().all(|record| record["address"] == "127.0.0.1"));
    let all = json!(found).to_string();
    assert!(
        !all.contains("secret-person") && !all.contains(&two),
        "{all}"
    );
    // What names no instance, or one that there is not, is the server's business, or nobody's.
    contributor
        .json("POST", "/api/instances/V2", &json!({}))
        .expect(403);
    nobody.get("/metrics").expect(401);
    let nowhere = "/api/instances/00000000-0000-4000-8000-000000000000/manage/realtime";
    nobody.get(nowhere).expect(401);
    contributor.get(nowhere).expect(404);
    let found = refused(http, "/api", 2);
    let mut told: Vec<_> = found.iter().map(summary).collect();
    told.sort_unstable();
    let expected = [
        ("key:primary", "create_an_instance", "refused", "forbidden"),
        ("nobody", "get_metrics", "refused", "unauthorized"),
    ];
    assert_eq!(told, expected);
    // Reads and writes of data that are wrong are no attempts at anything.
    http.get(&format!("{log}/data/NoSuchEntity")).expect(404);
    set_margin(http, &one, 1);
    assert_eq!(records(http, &log, "outcome=refused").len(), 5);
}

#[test]
fn many_refused_attempts_are_counted_and_push_out_nothing() {
    let server = TestServer::start();
    let http = &server.http;
    let [one, two] = [(); 2].map(|()| Sample::create(http).instance);
    set_margin(http, &one, 7);
    let done = records(http, &log_of(&one), "outcome=done");
    let nobody = http.without_key();
    let path = format!("{}/manage/realtime", log_of(&one));
    for _ in 0..150 {
        nobody.get(&path).expect(401);
    }
    nobody
        .get(&format!("{}/manage/realtime", log_of(&two)))
        .expect(401);
    assert_eq!(
        refused(http, &log_of(&two), 1).len(),
        1,
        "another's is not held back"
    );
    assert_eq!(
        refused(http, &log_of(&one), 100).len(),
        100,
        "a burst, then by and by"
    );
    server.clock.advance(Duration::from_secs(61));
    let found = refused(http, &log_of(&one), 101);
    assert_eq!(
        summary(&found[0]),
        ("server", "omit_refused_attempts", "refused", "overloaded")
    );
    assert_eq!(found[0]["details"], json!({"count": "50"}));
    assert_eq!(records(http, &log_of(&one), "outcome=done"), done);
}

#[test]
fn a_log_is_read_by_administrators_of_its_instance_alone() {
    let server = TestServer::start();
    let http = &server.http;
    let [one, two] = [(); 2].map(|()| Sample::create(http).instance);
    let keys = |instance: &str, role: &str| {
        let path = format!("{}/manage/keys", log_of(instance));
        http.json("PUT", &path, &json!({"role": role})).expect(200);
    };
    let own = Http::new(server.address(), Some(&renew(http, &one)));
    let other = Http::new(server.address(), Some(&renew(http, &two)));
    keys(&two, "administrator");
    let log = format!("{}/manage/audit", log_of(&one));
    for role in ["viewer", "contributor"] {
        keys(&one, role);
        assert_eq!(own.get(&log).expect(403).code(), "forbidden", "{role}");
    }
    keys(&one, "administrator");
    own.get(&log).expect(200);
    assert_eq!(other.get(&log).expect(404).code(), "instanceNotFound");
    for administrator in [&own, &other] {
        administrator.get("/api/manage/audit").expect(403);
    }
    let all = records(http, &log_of(&one), "")
        .iter()
        .chain(&records(http, "/api", ""))
        .map(Value::to_string)
        .collect::<String>();
    assert!(!all.contains("snt_"), "no key's text");
}
