//! Updates and activities: every form of an address, what is handed on, what is answered.

use sanntid_engine::OnUnknownCustomer;
use sanntid_types::ActivityState;
use serde_json::json;

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};
use crate::stored::at as instant;

const CITY: &str = r#"{"City": "Bergen"}"#;

fn patch(path: &str) -> Call {
    Call::new("PATCH", &at(path)).body(CITY)
}

#[test]
fn a_profile_is_named_in_every_form() {
    let server = Running::start();
    for (path, id) in [
        ("/data/Customer/c1", "c1"),
        ("/data/Customer('c1')", "c1"),
        ("/data/customer('c1')", "c1"),
        ("/data/Customer(CustomerId='c1')", "c1"),
        ("/data/Customer%28%27c1%27%29", "c1"),
        ("/data/Customer%2Fc1", "c1"),
        ("/data/Customer%2fc%31", "c1"),
        ("/data/Customer('O''Hara')", "O'Hara"),
        ("/data/Customer%28%27O%27%27Hara%27%29", "O'Hara"),
        ("/data/Customer('a%2Fb%3Fc')", "a/b?c"),
        ("/data/Customer/a+b%20c", "a+b c"),
        ("/data/Customer/%C3%A5%2525", "å%25"),
        // A segment of its own is the key, whatever it holds: no other profile may be meant.
        ("/data/Customer/a%2Fb", "a/b"),
        ("/data/Customer/a%3Fcaller=x", "a?caller=x"),
        ("/data/Customer/O'Hara", "O'Hara"),
        ("/data/Customer('$count')", "$count"),
    ] {
        let answer = server.send(&patch(path));
        assert_eq!(answer.status, 204, "{path}: {}", answer.text());
        let call = server.mock.patches.lock().unwrap().pop().expect("a patch");
        assert_eq!(call.profile.as_str(), id, "{path}");
        assert_eq!(call.body, CITY.as_bytes(), "{path}");
    }
}

#[test]
fn a_patch_hands_on_all_that_was_said_and_answers_nothing() {
    let server = Running::start();
    let path = "/data/Customer/c1?validUntil=2026-11-23T16:00:00+02:00&caller=crm%20%26%20co";
    let answer = server.send(&patch(path).header("If-Match", "\"abc\""));
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(answer.header("content-location"), None);
    assert!(answer.header("x-request-id").is_some());
    let call = server.mock.patches.lock().unwrap().pop().expect("a patch");
    assert_eq!(call.valid_until, Some(instant("2026-11-23T14:00:00Z")));
    assert_eq!(call.caller.expect("a caller").as_str(), "crm & co");
    assert_eq!(call.if_match.as_deref(), Some("\"abc\""));

    // The query may stand inside the encoded path.
    let path = "/data/Customer%2Fc1%3FvalidUntil%3D2026-11-23T16%3A00%3A00Z";
    assert_eq!(server.send(&patch(path)).status, 204);
    let call = server.mock.patches.lock().unwrap().pop().expect("a patch");
    assert_eq!(call.valid_until, Some(instant("2026-11-23T16:00:00Z")));
}

#[test]
fn a_moved_profile_is_named() {
    let server = Running::start();
    let answer = server.send(&patch("/data/Customer/old"));
    let location = format!("http://test.example/api/instances/{INSTANCE}/data/Customer('c1')");
    assert_eq!(answer.header("content-location"), Some(location.as_str()));
}

#[test]
fn bad_patches_change_nothing() {
    let server = Running::start();
    let long = "x".repeat(101);
    for (path, status, code) in [
        (
            "/data/Customer/c1?validuntil=2026-11-23T16:00:00Z",
            400,
            "invalidArgument",
        ),
        (
            "/data/Customer/c1?validUntil=tomorrow",
            400,
            "invalidArgument",
        ),
        ("/data/Customer/c1?validUntil=", 400, "invalidArgument"),
        ("/data/Customer/c1?caller=", 400, "invalidArgument"),
        (
            "/data/Customer/c1?caller=a&caller=b",
            400,
            "invalidArgument",
        ),
        (
            "/data/Customer/c1?onUnknownCustomer=hold",
            400,
            "invalidArgument",
        ),
        ("/data/Customer/c1?caller=%FF", 400, "invalidArgument"),
        ("/data/Customer/%FF", 400, "invalidArgument"),
        ("/data/Customer/%C3%28", 400, "invalidArgument"),
        ("/data/Customer/c%2", 400, "invalidArgument"),
        ("/data/Customer/%00", 400, "invalidArgument"),
        ("/data/Customer/a%0Ab", 400, "invalidArgument"),
        ("/data/Customer('')", 400, "invalidArgument"),
        ("/data/Customer(", 400, "invalidArgument"),
        ("/data/Customer(City='c1')", 400, "invalidArgument"),
        (&format!("/data/Customer/{long}"), 400, "invalidArgument"),
        ("/data/", 404, "entityNotFound"),
    ] {
        let answer = server.send(&patch(path));
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{path}"
        );
    }
    assert_eq!(server.mock.calls(), [""; 0]);
}

#[test]
fn other_verbs_and_entities_are_refused_with_what_is_taken() {
    let server = Running::start();
    let reads = "GET";
    let patches = "GET, PATCH";
    let activities = "GET, POST";
    for (method, path, allow) in [
        ("PATCH", "/data/Customer", reads),
        ("POST", "/data/Customer", reads),
        ("POST", "/data/customer", reads),
        ("PUT", "/data/Customer", reads),
        ("DELETE", "/data/Customer", reads),
        ("POST", "/data/Customer('c1')", patches),
        ("PUT", "/data/Customer('c1')", patches),
        ("DELETE", "/data/Customer%2Fc1", patches),
        ("PATCH", "/data/UnifiedActivity('a1')", activities),
        ("PATCH", "/data/Ecommerce_OnlinePurchases", activities),
        ("PUT", "/data/UnifiedActivity", activities),
        ("DELETE", "/data/UnifiedActivity('a1')", reads),
        ("POST", "/data/UnifiedActivity('a1')", reads),
        ("OPTIONS", "/data/Customer", reads),
    ] {
        let answer = server.send(&Call::new(method, &at(path)).body("{}"));
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(answer.code(), "methodNotAllowed");
    }
    assert_eq!(server.mock.calls(), [""; 0]);
}

#[test]
fn a_stored_activity_is_answered_whole() {
    let server = Running::start();
    let call = Call::new(
        "POST",
        &format!("/v1/instances/{INSTANCE}/data/UnifiedActivity"),
    );
    let answer = server.send(&call.json(&json!({"CustomerId": "c1"})));
    assert_eq!(answer.status, 201);
    let location =
        format!("http://test.example/v1/instances/{INSTANCE}/data/UnifiedActivity('a1')");
    assert_eq!(answer.header("location"), Some(location.as_str()));
    assert_eq!(answer.header("sanntid-replayed"), None);
    let body = answer.json();
    assert_eq!(body["location"], location);
    assert_eq!(body["statusCode"], 201);
    assert_eq!(body["value"]["ActivityId"], "a1");
    assert_eq!(body["value"]["CustomerId"], "c1");
    assert_eq!(body["value"]["Title"], "Bought a \"lamp\"");
    assert_eq!(body["value"]["state"], "stored");
}

#[test]
fn a_strange_host_stays_inside_its_text() {
    let server = Running::start();
    let call = Call::new("POST", &at("/data/UnifiedActivity")).header("X-Forwarded-Host", "a\"b");
    let answer = server.send(&call.body("{}"));
    assert_eq!(answer.status, 201);
    let location = answer.json()["location"].to_string();
    assert!(location.contains("a\\\"b"), "{location}");
}

#[test]
fn a_held_or_repeated_activity_says_so() {
    let server = Running::start();
    let post = |path: &str| server.send(&Call::new("POST", &at(path)).body("{}"));
    {
        let mut answer = server.mock.append.lock().unwrap();
        answer.state = ActivityState::Held;
        answer.customer = None;
    }
    let answer = post("/data/Ecommerce_OnlinePurchases?onUnknownCustomer=hold");
    assert_eq!(answer.status, 202);
    assert_eq!(answer.json()["statusCode"], 202);
    assert_eq!(answer.json()["value"]["state"], "held");
    let call = server
        .mock
        .appends
        .lock()
        .unwrap()
        .pop()
        .expect("an activity");
    assert_eq!(call.on_unknown, OnUnknownCustomer::Hold);
    assert_eq!(call.entity, "Ecommerce_OnlinePurchases");

    server.mock.append.lock().unwrap().replayed = true;
    let answer = post("/data/UnifiedActivity");
    assert_eq!(answer.status, 202, "the first status again");
    assert_eq!(answer.header("sanntid-replayed"), Some("true"));
}

#[test]
fn any_entity_name_of_an_activity_is_judged_by_the_instance() {
    let server = Running::start();
    for (path, entity) in [
        ("/data/UnifiedActivity", "UnifiedActivity"),
        ("/data/Nobody_Knows", "Nobody_Knows"),
        ("/data/Loyalty%20Tier", "Loyalty Tier"),
    ] {
        let answer = server.send(&Call::new("POST", &at(path)).body("{}"));
        assert_eq!(answer.status, 201, "{path}");
        let call = server
            .mock
            .appends
            .lock()
            .unwrap()
            .pop()
            .expect("an activity");
        assert_eq!(call.entity, entity);
    }
    for (path, status) in [
        ("/data/UnifiedActivity?onUnknownCustomer=maybe", 400),
        ("/data/UnifiedActivity?other=1", 400),
    ] {
        let answer = server.send(&Call::new("POST", &at(path)).body("{}"));
        assert_eq!(answer.status, status, "{path}");
    }
}
