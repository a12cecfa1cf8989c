//! Limits as callers meet them: each by its name, gone again once time has passed, and nobody else's.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use sanntid_engine::{CallError, key_hash};
use sanntid_http::Config;
use sanntid_types::{ApiKey, InstanceLimits, KeySlot, LimitName, Limits, Role};
use serde_json::json;

use crate::access_mock::key_text;
use crate::bulks::{exchange, patches};
use crate::client::{Answer, Call, INSTANCE, KEY, connect};
use crate::server::{Hand, Running, at};

fn off() -> Limits {
    Limits {
        requests_per_second: 0,
        bytes_per_second: 0,
        concurrent_requests: 0,
        caller_requests_per_second: 0,
        profile_writes_per_second: 0,
        ..Limits::default()
    }
}

fn start(limits: Limits) -> (Running, Arc<Hand>) {
    let clock = Hand::new();
    let server = Running::limited(Config::default(), limits, Arc::clone(&clock));
    (server, clock)
}

fn limited(answer: &Answer, limit: &str) {
    assert_eq!(
        (answer.status, answer.header("sanntid-limit")),
        (429, Some(limit)),
        "{}",
        answer.text()
    );
    assert_eq!(answer.code(), "limitExceeded");
    let secs = answer.header("retry-after").expect("when to come again");
    assert!(secs.parse::<u32>().is_ok_and(|secs| secs > 0), "{secs}");
}

fn patch(id: &str) -> Call {
    Call::new("PATCH", &at(&format!("/data/Customer/{id}"))).json(&json!({"City": "Oslo"}))
}

/// Has the instance take its keys.
fn with_keys(server: &Running) {
    let keys = &mut server.mock.access.lock().unwrap().keys;
    keys.role = Role::Administrator;
    for slot in KeySlot::ALL {
        let key = Some(ApiKey {
            hash: *key_hash(&key_text(slot)).as_bytes(),
            hint: "xxxx".to_owned(),
            made_at: crate::stored::at("2026-11-23T12:00:00Z"),
            made_by: "test".to_owned(),
        });
        match slot {
            KeySlot::Primary => keys.primary = key,
            KeySlot::Secondary => keys.secondary = key,
        }
    }
}

fn by_key(slot: KeySlot) -> Call {
    Call::get(&at("/manage/realtime"))
        .without_key()
        .header("Ocp-Apim-Subscription-Key", &key_text(slot))
}

#[test]
fn requests_are_counted_and_every_answer_says_how_many_are_left() {
    let (server, clock) = start(Limits {
        requests_per_second: 3,
        ..off()
    });
    for left in [2, 1, 0] {
        let answer = server.get("/manage/realtime");
        assert_eq!(answer.status, 200);
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"requestsPerSecond\";q=3;w=1"));
        let expected = format!("\"requestsPerSecond\";r={left};t=1");
        assert_eq!(answer.header("ratelimit"), Some(&*expected));
    }
    let refused = server.get("/manage/realtime");
    limited(&refused, "requestsPerSecond");
    assert_eq!(
        refused.header("ratelimit"),
        Some("\"requestsPerSecond\";r=0;t=1")
    );
    // What concerns no instance is not counted, nor is another instance.
    assert_eq!(server.send(&Call::get("/api/instances")).status, 200);
    let elsewhere = "/api/instances/5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c0ff/manage/realtime";
    let elsewhere = server.send(&Call::get(elsewhere));
    assert_eq!(
        (elsewhere.status, elsewhere.header("ratelimit")),
        (404, None)
    );
    clock.advance(334);
    assert_eq!(server.get("/manage/realtime").status, 200);
    limited(&server.get("/manage/realtime"), "requestsPerSecond");
    clock.advance(1000);
    // An answer that is a failure has the fields too.
    let failure = server.send(&Call::get(&at("/data/Nothing/x")));
    assert!(failure.status >= 400);
    assert!(
        failure
            .header("ratelimit")
            .is_some_and(|text| text.contains("r=2"))
    );
}

#[test]
fn callers_have_shares_of_their_own() {
    let (server, clock) = start(Limits {
        caller_requests_per_second: 2,
        ..off()
    });
    with_keys(&server);
    for slot in KeySlot::ALL {
        assert_eq!(server.send(&by_key(slot)).status, 200);
        assert_eq!(server.send(&by_key(slot)).status, 200);
        limited(&server.send(&by_key(slot)), "callerRequestsPerSecond");
    }
    assert_eq!(server.get("/manage/realtime").status, 200, "the operator");
    clock.advance(500);
    assert_eq!(server.send(&by_key(KeySlot::Primary)).status, 200);
}

#[test]
fn requests_under_way_are_counted_until_their_answer_is_made_also_a_stream() {
    let (server, _) = start(Limits {
        concurrent_requests: 1,
        ..off()
    });
    // Its answer goes on as long as lines come.
    let mut stream = connect(server.address);
    let head = format!(
        "PATCH /api/instances/{INSTANCE}/data/Customer/$bulk HTTP/1.1\r\nHost: test.example\r\n\
         Connection: close\r\nContent-Type: application/x-ndjson\r\n\
         Ocp-Apim-Subscription-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let line = b"{\"id\": \"c1\", \"body\": {}}\n";
    stream
        .write_all(format!("{:x}\r\n", line.len()).as_bytes())
        .expect("sent");
    stream.write_all(line).expect("sent");
    stream.write_all(b"\r\n").expect("sent");
    let mut first = [0; 1];
    stream.read_exact(&mut first).expect("it is answered");
    limited(&server.get("/manage/realtime"), "concurrentRequests");
    stream.write_all(b"0\r\n\r\n").expect("sent");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end");
    assert_eq!(server.get("/manage/realtime").status, 200);
    assert_eq!(server.get("/manage/realtime").status, 200);
}

#[test]
fn bytes_are_counted_before_a_body_is_read() {
    let (server, clock) = start(Limits {
        bytes_per_second: 64 * 1024,
        ..off()
    });
    let large = || {
        let text = json!({"City": "x".repeat(40_000)});
        Call::new("PATCH", &at("/data/Customer/c1")).json(&text)
    };
    assert_eq!(server.send(&large()).status, 204);
    limited(&server.send(&large()), "bytesPerSecond");
    assert_eq!(server.get("/manage/realtime").status, 200, "it has no body");
    assert_eq!(server.mock.patches.lock().unwrap().len(), 1);
    clock.advance(1000);
    assert_eq!(server.send(&large()).status, 204);
}

#[test]
fn a_body_that_is_long_or_of_unknown_length_waits_for_room_and_comes_in_whole() {
    for is_chunked in [false, true] {
        let (server, clock) = start(Limits {
            bytes_per_second: 64 * 1024,
            ..off()
        });
        let text = json!({"City": "x".repeat(150_000)});
        let call = Call::new("PATCH", &at("/data/Customer/c1")).json(&text);
        let call = if is_chunked { call.chunked() } else { call };
        let address = server.address;
        let sent = std::thread::spawn(move || call.send(address).status);
        // It is let in only as the clock goes on.
        while !sent.is_finished() {
            clock.advance(20);
            std::thread::yield_now();
        }
        assert_eq!(sent.join().expect("an answer"), 204);
        let body = server.mock.patches.lock().unwrap().remove(0).body;
        assert_eq!(body.len(), text.to_string().len());
    }
}

#[test]
fn a_hot_profile_is_refused_by_itself_in_all_ways_to_update_it() {
    let (server, clock) = start(Limits {
        profile_writes_per_second: 2,
        ..off()
    });
    assert_eq!(server.send(&patch("c1")).status, 204);
    assert_eq!(server.send(&patch("c1")).status, 204);
    limited(&server.send(&patch("c1")), "profileWritesPerSecond");
    assert_eq!(server.send(&patch("c2")).status, 204);
    let item = |id: &str| json!({"id": id, "method": "patch", "url": format!("Customer('{id}')"), "body": {"City": "x"}});
    let batch = Call::new("POST", &at("/data/$batch"))
        .header("Prefer", "continue-on-error")
        .json(&json!({"requests": [item("c1"), item("c3")]}));
    let bytes = batch.exchange(server.address);
    let (text, _) = crate::bulks::unchunked(&bytes);
    let answer: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let first = &answer["responses"][0];
    assert_eq!(
        (first["status"].as_u64(), &first["headers"]["sanntid-limit"]),
        (Some(429), &json!("profileWritesPerSecond"))
    );
    assert_eq!(answer["responses"][1]["status"], 204);
    let lines = "{\"id\": \"c1\", \"body\": {}}\n{\"id\": \"c4\", \"body\": {}}\n";
    let (answers, _) = exchange(&server, &patches().body(lines));
    assert_eq!(
        (&answers[0]["status"], &answers[1]["status"]),
        (&json!(429), &json!(204))
    );
    assert_eq!(answers[0]["error"]["target"], "profileWritesPerSecond");
    clock.advance(500);
    assert_eq!(server.send(&patch("c1")).status, 204);
}

#[test]
fn a_batch_of_too_many_items_is_too_large_and_a_bulk_request_ends_at_the_line() {
    let (server, _) = start(Limits {
        batch_items: 2,
        ..off()
    });
    let item = |id: u32| json!({"id": id.to_string(), "method": "get", "url": "Customer('c1')"});
    let batch = |count: u32| {
        let items: Vec<_> = (0..count).map(item).collect();
        Call::new("POST", &at("/data/$batch")).json(&json!({"requests": items}))
    };
    assert_eq!(server.send(&batch(2)).status, 200);
    let answer = server.send(&batch(3));
    assert_eq!(
        (answer.status, answer.header("sanntid-limit")),
        (413, Some("batchItems"))
    );
    assert_eq!(answer.header("retry-after"), None, "waiting does not help");
    let lines = "{\"id\": \"c1\", \"body\": {}}\n".repeat(5);
    let (answers, is_whole) = exchange(&server, &patches().body(lines));
    assert!(is_whole);
    let statuses: Vec<_> = answers.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(204), Some(204), Some(413)]);
    assert_eq!(answers[2]["error"]["target"], "batchItems");
}

#[test]
fn what_an_instance_may_keep_is_the_caller_s_limit() {
    let (server, _) = start(off());
    for limit in [
        LimitName::OverlayFields,
        LimitName::Activities,
        LimitName::StoredBytes,
    ] {
        server.mock.fail(CallError::Refused(limit.error(10)));
        let answer = server.send(&patch("c1"));
        limited(&answer, limit.name());
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    server
        .mock
        .fail(CallError::Refused(LimitName::FieldsPerUpdate.error(10)));
    let answer = server.send(&patch("c1"));
    assert_eq!(
        (answer.status, answer.header("sanntid-limit")),
        (413, Some("fieldsPerUpdate"))
    );
}

#[test]
fn limits_are_read_by_administrators_and_set_by_the_operator_even_where_they_are_met() {
    let (server, _) = start(Limits {
        requests_per_second: 5,
        ..off()
    });
    with_keys(&server);
    let path = at("/manage/limits");
    let set = |value: serde_json::Value| Call::new("PUT", &path).json(&value);
    let by_administrator = set(json!({"requestsPerSecond": 100}))
        .without_key()
        .header("Ocp-Apim-Subscription-Key", &key_text(KeySlot::Primary));
    assert_eq!(
        server.send(&by_administrator).status,
        403,
        "nobody raises their own"
    );
    let answer = server.send(&set(json!({"requestsPerSecond": 1, "activities": 0})));
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(
        body["own"],
        json!({"requestsPerSecond": 1, "activities": 0})
    );
    assert_eq!(body["limits"]["requestsPerSecond"], 1);
    assert_eq!(body["limits"]["fieldsPerUpdate"], 1000);
    assert_eq!(
        body["use"],
        json!({"overlayFields": 12, "activities": 3, "storedBytes": 980})
    );
    assert_eq!(server.get("/manage/limits").json(), body);
    limited(&server.get("/manage/limits"), "requestsPerSecond");
    // It holds from the answer on.
    assert_eq!(server.send(&set(json!({}))).status, 200);
    assert_eq!(server.get("/manage/limits").json()["own"], json!({}));
    for (bad, code) in [
        (json!({"requestsPerHour": 1}), "invalidBody"),
        (json!({"requestsPerSecond": -1}), "invalidBody"),
        (json!({"bytesPerSecond": 1}), "invalidArgument"),
        (json!([]), "invalidBody"),
    ] {
        let answer = server.send(&set(bad.clone()));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, code),
            "{bad}"
        );
    }
    assert_eq!(
        server.mock.access.lock().unwrap().limits,
        InstanceLimits::default()
    );
}

#[test]
fn failed_attempts_are_limited_by_address_and_good_keys_go_on() {
    let (server, clock) = start(Limits {
        failed_attempts_per_second: 2,
        ..off()
    });
    let bad = || {
        Call::get("/api/instances")
            .without_key()
            .header("Ocp-Apim-Subscription-Key", "guess")
    };
    for attempt in 0..10 {
        assert_eq!(server.send(&bad()).status, 401, "{attempt}");
    }
    limited(&server.send(&bad()), "failedAttempts");
    limited(
        &server.send(&Call::get(&at("")).without_key()),
        "failedAttempts",
    );
    assert_eq!(server.send(&Call::get("/api/instances")).status, 200);
    clock.advance(500);
    assert_eq!(server.send(&bad()).status, 401);
    limited(&server.send(&bad()), "failedAttempts");
}
