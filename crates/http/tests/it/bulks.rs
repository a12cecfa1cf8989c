//! Bulk requests: a line for each line, in order, whatever is wrong with some of them.

use std::io::Write as _;

use sanntid_engine::{CallError, OnUnknownCustomer, PatchAnswer, WriteCall, Written};
use sanntid_http::Config;
use sanntid_types::{ActivityState, Error, ErrorCode};
use serde_json::{Value, json};

use crate::client::{Answer, Call};
use crate::mock::Mock;
use crate::server::{Running, at};
use crate::stored::profile_id;

pub(crate) const NDJSON: &str = "application/x-ndjson";

impl Mock {
    /// What becomes of one of many writes; its body may ask for a refusal or an unknown outcome.
    pub(crate) fn written(&self, call: WriteCall) -> Result<Written, CallError> {
        let body = match &call {
            WriteCall::Patch(call) => call.body.clone(),
            WriteCall::Append(call) => call.body.clone(),
        };
        let asks = |what: &str| std::str::from_utf8(&body).is_ok_and(|text| text.contains(what));
        if asks("tell unknown") {
            return Err(CallError::Unknown);
        }
        if asks("tell full") {
            return Err(Error::new(ErrorCode::DiskFull, "no space is left").into());
        }
        match call {
            WriteCall::Patch(call) => {
                let moved = call.profile.as_str() == "old";
                let profile = if moved {
                    profile_id("c1")
                } else {
                    call.profile.clone()
                };
                self.patches.lock().unwrap().push(call);
                Ok(Written::Patched(PatchAnswer { profile }))
            }
            WriteCall::Append(call) => {
                self.appends.lock().unwrap().push(call);
                let answer = self.append.lock().unwrap().clone();
                Ok(Written::Appended {
                    id: answer.activity.id,
                    state: answer.state,
                    replayed: answer.replayed,
                })
            }
        }
    }
}

pub(crate) fn patches() -> Call {
    Call::new("PATCH", &at("/data/Customer/$bulk")).header("Content-Type", NDJSON)
}

fn posts(entity: &str) -> Call {
    Call::new("POST", &at(&format!("/data/{entity}/$bulk"))).header("Content-Type", NDJSON)
}

/// The whole text of a streamed answer, and whether it came to its end.
pub(crate) fn unchunked(bytes: &[u8]) -> (Vec<u8>, bool) {
    let begin = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let mut rest = &bytes[begin.expect("a head") + 4..];
    let mut text = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else {
            return (text, false);
        };
        let size = std::str::from_utf8(&rest[..end]).expect("a size");
        let size = usize::from_str_radix(size, 16).expect("a size");
        rest = &rest[end + 2..];
        if size == 0 {
            return (text, true);
        }
        text.extend_from_slice(&rest[..size]);
        rest = &rest[size + 2..];
    }
}

/// The answer lines, and whether the answer came to its end.
pub(crate) fn exchange(server: &Running, call: &Call) -> (Vec<Value>, bool) {
    let bytes = call.exchange(server.address);
    assert!(
        bytes.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&bytes)
    );
    let (text, is_whole) = unchunked(&bytes);
    let text = String::from_utf8(text).expect("a text");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    (lines.collect(), is_whole)
}

/// The answer lines of a request that is answered to its end.
fn lines(server: &Running, call: &Call) -> Vec<Value> {
    let (lines, is_whole) = exchange(server, call);
    assert!(is_whole, "{lines:?}");
    for (at, line) in lines.iter().enumerate() {
        assert_eq!(line["line"], at + 1, "one for each, in order");
    }
    lines
}

#[test]
fn updates_are_answered_line_by_line_and_handed_on_as_they_are() {
    let server = Running::start();
    let body = concat!(
        r#"{"id": "c1", "body": {"City": "Oslo"}}"#,
        "\n",
        r#"{"body": "{\"City\": \"Moss\"}", "id": "old", "caller": "crm", "validUntil": "2026-11-23T13:00:00Z"}"#,
        "\r\n",
        r#"{"id":"c\u0032","body":{"Score": 9007199254740993}}"#
    );
    let answers = lines(&server, &patches().body(body));
    assert_eq!(
        answers,
        [
            json!({"line": 1, "status": 204, "id": "c1"}),
            json!({"line": 2, "status": 204, "id": "c1"}),
            json!({"line": 3, "status": 204, "id": "c2"}),
        ]
    );
    let calls = server.mock.patches.lock().unwrap();
    let bodies: Vec<&[u8]> = calls.iter().map(|call| &*call.body).collect();
    assert_eq!(bodies[0], br#"{"City": "Oslo"}"#);
    assert_eq!(bodies[1], br#""{\"City\": \"Moss\"}""#);
    assert_eq!(bodies[2], br#"{"Score": 9007199254740993}"#);
    assert_eq!(calls[1].caller.as_ref().unwrap().as_str(), "crm");
    assert!(calls[1].valid_until.is_some() && calls[0].valid_until.is_none());
}

#[test]
fn activities_tell_their_id_their_state_and_a_repeat() {
    let server = Running::start();
    let line = json!({"body": {"CustomerId": "c1"}, "onUnknownCustomer": "hold"});
    let post = posts("UnifiedActivity").body(format!("{line}\n"));
    assert_eq!(
        lines(&server, &post),
        [json!({"line": 1, "status": 201, "id": "a1"})]
    );
    server.mock.append.lock().unwrap().replayed = true;
    server.mock.append.lock().unwrap().state = ActivityState::Held;
    assert_eq!(
        lines(&server, &post),
        [json!({"line": 1, "status": 202, "id": "a1", "replayed": true})]
    );
    let calls = server.mock.appends.lock().unwrap();
    assert_eq!(calls[0].entity, "UnifiedActivity");
    assert_eq!(calls[0].on_unknown, OnUnknownCustomer::Hold);
}

#[test]
fn a_bad_line_spoils_no_other() {
    let server = Running::with(Config {
        body_bytes_max: 2048,
        ..Config::default()
    });
    let good = r#"{"id": "c1", "body": {"A": 1}}"#;
    let long = format!(r#"{{"id": "c1", "body": {{"A": "{}"}}}}"#, "x".repeat(2048));
    let longer = format!(
        r#"{{"id": "c1", "body": {{"A": "{}"}}}}"#,
        "x".repeat(70_000)
    );
    let bad: Vec<(&[u8], u16, &str, &str)> = vec![
        (b"", 400, "invalidBody", "empty"),
        (b"  \t", 400, "invalidBody", "empty"),
        (b"{", 400, "invalidBody", "can't be read"),
        (b"[1]", 400, "invalidBody", "can't be read"),
        (b"\xff{}", 400, "invalidBody", "UTF-8"),
        (b"{'id': 'c1'}", 400, "invalidBody", "can't be read"),
        (br#"{"id": "c1"}"#, 400, "missingField", "body"),
        (br#"{"body": {}}"#, 400, "missingField", "id"),
        (
            br#"{"id": "c1", "body": null}"#,
            400,
            "missingField",
            "body",
        ),
        (
            br#"{"id": "c1", "body": {}} {}"#,
            400,
            "invalidBody",
            "trailing",
        ),
        (br#"{"id": "", "body": {}}"#, 400, "invalidArgument", ""),
        (br#"{"id": 1, "body": {}}"#, 400, "invalidBody", "string"),
        (
            br#"{"id": "c1", "id": "c2", "body": {}}"#,
            400,
            "invalidBody",
            "duplicate",
        ),
        (
            br#"{"id": "c1", "body": {}, "more": 1}"#,
            400,
            "invalidBody",
            "more",
        ),
        (
            br#"{"id": "c1", "body": {}, "validUntil": "soon"}"#,
            400,
            "invalidArgument",
            "RFC 3339",
        ),
        (
            br#"{"id": "c1", "body": {}, "onUnknownCustomer": "hold"}"#,
            400,
            "invalidArgument",
            "activities",
        ),
        (
            br#"{"id": "c1", "body": {"A": "tell full"}}"#,
            503,
            "diskFull",
            "space",
        ),
        (long.as_bytes(), 413, "bodyTooLarge", "body_bytes_max"),
        (longer.as_bytes(), 413, "bodyTooLarge", "body_bytes_max"),
    ];
    let mut body = Vec::new();
    for (line, ..) in &bad {
        body.extend_from_slice(line);
        body.push(b'\n');
        body.extend_from_slice(good.as_bytes());
        body.push(b'\n');
    }
    for call in [
        patches().body(body.clone()),
        patches().body(body.clone()).chunked(),
    ] {
        let answers = lines(&server, &call.header("x-request-id", "bulk-7"));
        assert_eq!(answers.len(), 2 * bad.len());
        for (pair, (line, status, code, hint)) in answers.chunks(2).zip(&bad) {
            let line = String::from_utf8_lossy(line);
            assert_eq!(pair[0]["status"], *status, "{line}: {}", pair[0]);
            let error = &pair[0]["error"];
            assert_eq!(error["errorCode"], *code, "{line}");
            assert_eq!(error["error"]["code"], *code, "as a single call has it");
            assert_eq!(error["requestId"], "bulk-7");
            assert!(
                error["message"].as_str().unwrap().contains(hint),
                "{line}: {error}"
            );
            assert_eq!(pair[1]["status"], 204);
        }
    }
}

#[test]
fn what_is_wrong_with_the_whole_request_is_said_at_once() {
    let server = Running::start();
    let good = || Call::new("PATCH", &at("/data/Customer/$bulk"));
    let table: Vec<(Call, u16, &str)> = vec![
        (good().body("{}"), 415, "unsupportedContentType"),
        (
            good().header("Content-Type", "application/json").body("{}"),
            415,
            "unsupportedContentType",
        ),
        (
            patches().header("Content-Encoding", "br").body("x"),
            415,
            "unsupportedContentType",
        ),
        (
            patches().header("Accept", "text/html").body("{}"),
            406,
            "notAcceptable",
        ),
        (patches().without_key().body("{}"), 401, "unauthorized"),
        (
            Call::new("PATCH", &at("/data/Customer/$bulk?caller=x"))
                .header("Content-Type", NDJSON)
                .body("{}"),
            400,
            "invalidArgument",
        ),
        (
            Call::new(
                "PATCH",
                &format!("/api/instances/{}/data/Customer/$bulk", "0".repeat(8)),
            )
            .body("{}"),
            404,
            "instanceNotFound",
        ),
        (posts("Customer").body("{}"), 405, "methodNotAllowed"),
        (posts("customer").body("{}"), 405, "methodNotAllowed"),
        (
            Call::get(&at("/data/Customer/$bulk")),
            405,
            "methodNotAllowed",
        ),
        (
            Call::new("PATCH", &at("/data/UnifiedActivity/$bulk")).body("{}"),
            405,
            "methodNotAllowed",
        ),
    ];
    for (call, status, code) in table {
        let answer: Answer = server.send(&call);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{call:?}"
        );
    }
    for path in [
        "/data/Customer%2F%24bulk",
        "/data/Customer/%24bulk",
        "/data/customer/$bulk",
    ] {
        let call = Call::new("PATCH", &at(path)).header("Content-Type", NDJSON);
        let answer = server.send(&call.header("Accept", NDJSON).body("\n"));
        let status = if path.contains("%2F") { 406 } else { 200 };
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let failing = Running::start();
    failing
        .mock
        .fail(Error::new(ErrorCode::TenantUnavailable, "not now").into());
    assert_eq!(failing.send(&patches().body("{}")).status, 503);
}

#[test]
fn packed_lines_are_unpacked_and_a_cut_off_body_is_told_behind_its_whole_lines() {
    let server = Running::start();
    let mut text = String::new();
    for number in 0..5_000 {
        text.push_str(&format!(
            "{{\"id\": \"c{number}\", \"body\": {{\"A\": {number}}}}}\n"
        ));
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let zstd = zstd::encode_all(text.as_bytes(), 1).expect("memory");
    for (encoding, packed) in [("gzip", gzip), ("zstd", zstd)] {
        let call = |bytes: &[u8]| patches().header("Content-Encoding", encoding).body(bytes);
        assert_eq!(lines(&server, &call(&packed)).len(), 5_000);
        let answers = lines(&server, &call(&packed[..packed.len() / 2]));
        let last = answers.last().expect("one");
        assert_eq!(last["status"], 400, "{last}");
        assert!(
            last["error"]["message"]
                .as_str()
                .unwrap()
                .contains("cut off"),
            "{last}"
        );
        assert!(
            answers[..answers.len() - 1]
                .iter()
                .all(|line| line["status"] == 204)
        );
    }
    let answers = lines(
        &server,
        &patches().header("Content-Encoding", "gzip").body("plain"),
    );
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["error"]["errorCode"], "invalidBody");
}

#[test]
fn a_bomb_is_one_line_that_is_too_long() {
    let server = Running::start();
    // 256 MiB without a line feed, and a good line behind it.
    let mut zstd = zstd::Encoder::new(Vec::new(), 1).expect("memory");
    for _ in 0..256 {
        zstd.write_all(&[b'x'; 1 << 20]).expect("memory");
    }
    zstd.write_all(b"\n{\"id\": \"c1\", \"body\": {}}\n")
        .expect("memory");
    let packed = zstd.finish().expect("memory");
    assert!(packed.len() < 1 << 20);
    let answers = lines(
        &server,
        &patches().header("Content-Encoding", "zstd").body(packed),
    );
    let statuses: Vec<_> = answers.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(413), Some(204)]);
}
