//! Batches of calls: each item is answered as the call by itself.

use sanntid_engine::CallError;
use sanntid_http::Config;
use sanntid_types::{Error, ErrorCode};
use serde_json::{Value, json};

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};

fn batch(items: &Value) -> Call {
    Call::new("POST", &at("/data/$batch")).json(&json!({"requests": items}))
}

fn unchunked(bytes: &[u8]) -> Vec<u8> {
    let mut rest = bytes;
    let mut text = Vec::new();
    while let Some(end) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        text.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    text
}

/// The answers of a batch that is understood.
fn responses(server: &Running, call: &Call) -> Vec<Value> {
    let answer = server.send(call);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let body: Value = serde_json::from_slice(&unchunked(&answer.body)).expect("JSON");
    body["responses"].as_array().expect("a list").clone()
}

fn one(server: &Running, item: Value) -> Value {
    responses(server, &batch(&json!([item])))
        .pop()
        .expect("an answer")
}

fn statuses(answers: &[Value]) -> Vec<u64> {
    let all = answers.iter().map(|answer| answer["status"].as_u64());
    all.map(|status| status.expect("a status")).collect()
}

#[test]
fn each_item_is_answered_as_the_call_by_itself() {
    let server = Running::start();
    let post = json!({"CustomerId": "c1"});
    let items = json!([
        {"id": "1", "method": "PATCH", "url": "Customer('c1')?caller=crm", "headers": {"If-Match": "\"a\""},
         "body": {"City": "Oslo"}},
        {"id": "2", "method": "post", "url": "UnifiedActivity?onUnknownCustomer=hold", "body": post},
        {"id": "3", "method": "get", "url": "Customer('c1')"},
        {"id": "4", "method": "get", "url": "Customer?$top=1&$select=CustomerId", "dependsOn": ["1", "3"]},
        {"id": "5", "method": "patch", "url": "Customer/old", "body": "{\"City\": \"Oslo\"}"},
    ]);
    let answers = responses(&server, &batch(&items));
    assert_eq!(statuses(&answers), [204, 201, 200, 200, 204]);
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_str()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5"].map(Some));
    assert!(answers[0].get("body").is_none());
    let alone = server.send(&Call::new("POST", &at("/data/UnifiedActivity")).json(&post));
    assert_eq!(answers[1]["body"], alone.json());
    assert_eq!(
        answers[1]["headers"]["location"],
        *alone.header("location").unwrap()
    );
    let alone = server.get("/data/Customer('c1')");
    assert_eq!(answers[2]["body"], alone.json());
    assert_eq!(
        answers[2]["headers"]["etag"],
        *alone.header("etag").unwrap()
    );
    let alone = server.get("/data/Customer?$top=1&$select=CustomerId");
    assert_eq!(answers[3]["body"], alone.json());
    let moved = answers[4]["headers"]["content-location"].as_str().unwrap();
    assert!(moved.ends_with("/data/Customer('c1')"), "{moved}");
    let calls = server.mock.patches.lock().unwrap();
    assert_eq!(calls[0].caller.as_ref().unwrap().as_str(), "crm");
    assert_eq!(calls[0].if_match.as_deref(), Some("\"a\""));
    assert_eq!(&*calls[0].body, br#"{"City":"Oslo"}"#);
    assert_eq!(&*calls[1].body, br#""{\"City\": \"Oslo\"}""#);
}

#[test]
fn urls_may_be_relative_or_absolute_but_lead_to_the_same_instance() {
    let server = Running::with(Config {
        public_url: Some("https://cdp.example".to_owned()),
        ..Config::default()
    });
    let base = format!("/instances/{INSTANCE}/data");
    for good in [
        "Customer('c1')".to_owned(),
        "Customer%28%27c1%27%29".to_owned(),
        "Customer/c1".to_owned(),
        format!("/api{base}/Customer('c1')"),
        format!("/v1{base}/Customer/c1"),
        format!("http://test.example/api{base}/Customer/c1"),
        format!("https://CDP.example/api{base}/Customer/c1"),
    ] {
        let answer = one(&server, json!({"id": "1", "method": "get", "url": good}));
        assert_eq!(answer["status"], 200, "{good}: {answer}");
    }
    let other = "00000000-0000-0000-0000-000000000001";
    for (bad, status, code) in [
        (
            format!("http://other.example/api{base}/Customer"),
            400,
            "invalidArgument",
        ),
        (
            format!("/api/instances/{other}/data/Customer"),
            400,
            "invalidArgument",
        ),
        (
            format!("/api/instances/{INSTANCE}/manage/entities"),
            400,
            "invalidArgument",
        ),
        (
            format!("/api/instances/{INSTANCE}/data/../../{other}/data/Customer"),
            404,
            "entityNotFound",
        ),
        ("../manage/entities".to_owned(), 404, "entityNotFound"),
        ("Customer%zz".to_owned(), 400, "invalidArgument"),
        ("Nobody".to_owned(), 404, "entityNotFound"),
        ("Customer/c9".to_owned(), 404, "profileNotFound"),
        ("$batch".to_owned(), 501, "notServed"),
        ("Customer/$bulk".to_owned(), 501, "notServed"),
        ("$1/Orders".to_owned(), 501, "notServed"),
    ] {
        let answer = one(&server, json!({"id": "1", "method": "get", "url": bad}));
        let found = (
            answer["status"].as_u64(),
            answer["body"]["errorCode"].as_str(),
        );
        assert_eq!(found, (Some(status), Some(code)), "{bad}: {answer}");
    }
}

#[test]
fn an_item_has_the_limits_and_refusals_of_its_call() {
    let server = Running::with(Config {
        body_bytes_max: 1024,
        ..Config::default()
    });
    let long = "x".repeat(1100);
    for (item, status, code) in [
        (
            json!({"method": "delete", "url": "Customer/c1"}),
            405,
            "methodNotAllowed",
        ),
        (
            json!({"method": "put", "url": "UnifiedActivity", "body": {}}),
            405,
            "methodNotAllowed",
        ),
        (
            json!({"method": "post", "url": "Customer", "body": {}}),
            405,
            "methodNotAllowed",
        ),
        (
            json!({"method": "patch", "url": "Customer", "body": {}}),
            405,
            "methodNotAllowed",
        ),
        (
            json!({"method": "patch", "url": "Customer/c1", "body": {"A": long}}),
            413,
            "bodyTooLarge",
        ),
        (
            json!({"method": "get", "url": "Customer/c1", "body": {}}),
            400,
            "invalidBody",
        ),
        (
            json!({"method": "get", "url": "Customer?view=x"}),
            400,
            "invalidArgument",
        ),
        (
            json!({"method": "patch", "url": "Customer/c1?validUntil=soon", "body": {}}),
            400,
            "invalidArgument",
        ),
        (
            json!({"method": "patch", "url": "Customer/c1", "body": {}, "headers": {"content-type": "text/csv"}}),
            415,
            "unsupportedContentType",
        ),
        (
            json!({"method": "get", "url": "Customer/c1", "headers": {"accept": "text/html"}}),
            406,
            "notAcceptable",
        ),
        (
            json!({"method": "get", "url": "Customer/c1", "headers": {"a b": "x"}}),
            400,
            "invalidArgument",
        ),
        (
            json!({"method": "get", "url": "Customer/c1", "atomicityGroup": "g"}),
            501,
            "notServed",
        ),
    ] {
        let mut item = item;
        item["id"] = "7".into();
        let call = batch(&json!([item])).header("x-request-id", "batch-7");
        let answer = responses(&server, &call).pop().expect("an answer");
        let found = (
            answer["status"].as_u64(),
            answer["body"]["errorCode"].as_str(),
        );
        assert_eq!(found, (Some(status), Some(code)), "{item}: {answer}");
        assert_eq!(answer["body"]["requestId"], "batch-7");
    }
    let allow = one(
        &server,
        json!({"id": "1", "method": "delete", "url": "Customer/c1"}),
    );
    assert_eq!(allow["headers"]["allow"], "GET, PATCH");
}

#[test]
fn behind_a_failed_item_the_rest_is_not_tried_unless_it_is_wanted() {
    let server = Running::start();
    let items = json!([
        {"id": "1", "method": "patch", "url": "Customer/c1", "body": {"City": "Oslo"}},
        {"id": "2", "method": "get", "url": "Customer/c9"},
        {"id": "3", "method": "patch", "url": "Customer/c2", "body": {"City": "Oslo"}},
        {"id": "4", "method": "patch", "url": "Customer/c3", "body": {}, "dependsOn": ["2"]},
        {"id": "5", "method": "patch", "url": "Customer/c4", "body": {}, "dependsOn": ["4"]},
    ]);
    let stopped = responses(&server, &batch(&items));
    assert_eq!(statuses(&stopped), [204, 404, 424, 424, 424]);
    assert_eq!(stopped[2]["body"]["errorCode"], "dependencyFailed");
    let message = stopped[2]["body"]["message"].as_str().unwrap();
    assert!(message.contains("continue-on-error"), "{message}");
    assert_eq!(server.mock.patches.lock().unwrap().len(), 1);

    let call = batch(&items).header("Prefer", "odata.continue-on-error");
    assert_eq!(
        server.send(&call).header("preference-applied"),
        Some("continue-on-error")
    );
    let went_on = responses(&server, &call);
    assert_eq!(statuses(&went_on), [204, 404, 204, 424, 424]);
}

#[test]
fn a_batch_that_is_none_is_refused_as_a_whole() {
    let server = Running::start();
    let post = || Call::new("POST", &at("/data/$batch"));
    let twice =
        json!([{"id": "1", "method": "get", "url": "a"}, {"id": "1", "method": "get", "url": "a"}]);
    for (call, status, code) in [
        (
            post()
                .header("Content-Type", "multipart/mixed; boundary=x")
                .body("x"),
            415,
            "unsupportedContentType",
        ),
        (post().json(&json!({"requests": 1})), 400, "invalidBody"),
        (post(), 400, "invalidBody"),
        (batch(&twice), 400, "invalidArgument"),
        (
            Call::new("POST", &at("/data/$batch?a=b")).json(&json!({"requests": []})),
            400,
            "invalidArgument",
        ),
        (batch(&json!([])).without_key(), 401, "unauthorized"),
        (Call::get(&at("/data/$batch")), 405, "methodNotAllowed"),
        (
            Call::new(
                "POST",
                "/api/instances/00000000-0000-0000-0000-000000000001/data/$batch",
            )
            .json(&json!({"requests": []})),
            404,
            "instanceNotFound",
        ),
    ] {
        let answer = server.send(&call);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{call:?}"
        );
    }
    assert!(responses(&server, &batch(&json!([]))).is_empty());
    assert_eq!(
        server.send(&batch(&twice)).json()["details"][0]["target"],
        "requests/1"
    );
}

#[test]
fn a_thousand_items_are_answered_in_their_order() {
    let server = Running::start();
    let item = |id| json!({"id": format!("i{id}"), "method": "patch", "url": format!("Customer/c{id}"), "body": {"A": id}});
    let items: Vec<Value> = (0..1_000).map(item).collect();
    let answers = responses(&server, &batch(&items.into()));
    assert_eq!(answers.len(), 1_000);
    for (at, answer) in answers.iter().enumerate() {
        assert_eq!(
            (&answer["id"], &answer["status"]),
            (&json!(format!("i{at}")), &json!(204))
        );
    }
    let asked = server.mock.patches.lock().unwrap();
    assert!(
        asked
            .iter()
            .enumerate()
            .all(|(at, call)| call.profile.as_str() == format!("c{at}"))
    );
}

#[test]
fn an_unknown_outcome_cuts_the_answer_off() {
    let server = Running::start();
    let items = json!([{"id": "1", "method": "get", "url": "Customer/c1"}]);
    assert_eq!(statuses(&responses(&server, &batch(&items))), [200]);
    server
        .mock
        .fail(CallError::Refused(Error::new(ErrorCode::DiskFull, "full")));
    assert_eq!(server.send(&batch(&items)).status, 503);
    server.mock.fail(CallError::Unknown);
    assert!(batch(&items).exchange(server.address).is_empty());
    *server.mock.failure.lock().unwrap() = None;

    let patch = |id: &str, text: &str| json!({"id": id, "method": "patch", "url": "Customer/c1", "body": {"A": text}});
    let items = json!([patch("1", "a"), patch("2", "tell unknown"), patch("3", "b")]);
    let call = batch(&items).header("Prefer", "continue-on-error");
    let bytes = call.exchange(server.address);
    let text = String::from_utf8_lossy(&bytes);
    assert!(
        text.contains(r#"{"id":"1","status":204"#),
        "what is known is told: {text}"
    );
    assert!(
        !text.contains(r#""id":"2""#) && !text.ends_with("\r\n0\r\n\r\n"),
        "{text}"
    );
}
