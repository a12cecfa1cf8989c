//! Bodies: content types and sizes.

use serde_json::json;

use sanntid_http::Config;

use crate::client::Call;
use crate::server::{Running, at};

const KIB: usize = 1024;

fn small() -> Running {
    Running::with(Config {
        body_bytes_max: KIB,
        activity_body_bytes_max: 8 * KIB,
        document_bytes_max: 2 * KIB,
        part_bytes_max: 100_000,
        ..Config::default()
    })
}

/// A document of exactly this many bytes.
fn document(bytes: usize) -> String {
    let frame = r#"{"City":""}"#.len();
    format!(r#"{{"City":"{}"}}"#, "x".repeat(bytes - frame))
}

#[test]
fn json_is_taken_under_its_names_and_nothing_else() {
    let server = Running::start();
    let call = || Call::new("PATCH", &at("/data/Customer/c1")).body("{}");
    assert_eq!(server.send(&call()).status, 204, "no content type is JSON");
    for (content_type, status) in [
        ("application/json-patch+json; charset=utf-8", 204),
        ("application/json", 204),
        ("text/json", 204),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("application/json; charset=iso-8859-1", 415),
    ] {
        let answer = server.send(&call().header("Content-Type", content_type));
        assert_eq!(answer.status, status, "{content_type}");
        if status == 415 {
            assert_eq!(answer.code(), "unsupportedContentType");
        }
    }
    let form = call().header("Content-Type", "application/x-www-form-urlencoded");
    let message = server.send(&form).json()["message"].to_string();
    assert!(message.contains("application/json"), "{message}");
    let packed = call().header("Content-Encoding", "gzip");
    assert_eq!(server.send(&packed).status, 415);
}

#[test]
fn sizes_are_limited_whether_declared_or_streamed() {
    let server = small();
    let patch = |bytes: usize| Call::new("PATCH", &at("/data/Customer/c1")).body(document(bytes));
    assert_eq!(server.send(&patch(KIB)).status, 204);
    assert_eq!(server.send(&patch(KIB).chunked()).status, 204);
    for call in [
        patch(KIB + 1),
        patch(KIB + 1).chunked(),
        patch(500 * KIB).chunked(),
    ] {
        let answer = server.send(&call);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (413, "bodyTooLarge")
        );
        assert!(
            answer.text().contains("body_bytes_max"),
            "{}",
            answer.text()
        );
    }
    assert_eq!(server.mock.patches.lock().unwrap().len(), 2);
}

#[test]
fn a_body_declared_too_large_is_not_waited_for() {
    use std::io::{Read as _, Write as _};
    let server = small();
    let mut stream = crate::client::connect(server.address);
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
         Ocp-Apim-Subscription-Key: {}\r\nContent-Length: 1025\r\n\r\n",
        at("/data/Customer/c1"),
        crate::client::KEY
    );
    stream.write_all(head.as_bytes()).expect("written");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn an_activity_may_be_large_as_sent_but_not_decoded() {
    let server = small();
    let post = |body: String| {
        let call = Call::new("POST", &at("/data/UnifiedActivity")).body(body);
        let answer = server.send(&call);
        let text = answer.text().to_owned();
        (answer.status, text)
    };
    let quoted = |document: &str| json!(document).to_string();
    assert_eq!(post(document(2 * KIB)).0, 201);
    let (status, text) = post(document(2 * KIB + 1));
    assert!(
        status == 413 && text.contains("document_bytes_max"),
        "{text}"
    );
    // Twice as large when sent as a JSON string, since every quote is escaped.
    let quotes = format!(r#"{{"A":"{}"}}"#, "\\\"".repeat(900));
    assert!(quotes.len() < 2 * KIB && quoted(&quotes).len() > 3 * KIB);
    assert_eq!(post(quoted(&quotes)).0, 201);
    assert_eq!(post(quoted(&document(2 * KIB + 1))).0, 413);
    let (status, text) = post(quoted(&document(8 * KIB)));
    assert!(
        status == 413 && text.contains("activity_body_bytes_max"),
        "{text}"
    );
    assert_eq!(
        post(format!("\"{}", "x".repeat(3 * KIB))).0,
        400,
        "no JSON at all"
    );
}

#[test]
fn a_body_that_breaks_off_reaches_nobody() {
    use std::io::{Read as _, Write as _};
    let server = Running::start();
    let mut stream = crate::client::connect(server.address);
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {}\r\nContent-Length: 100\r\n\r\n{{\"City\"",
        at("/data/Customer/c1"),
        crate::client::KEY
    );
    stream.write_all(head.as_bytes()).expect("written");
    stream.shutdown(std::net::Shutdown::Write).expect("shut");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    assert_eq!(server.mock.calls(), [""; 0]);
}

#[test]
fn a_body_that_stalls_is_given_up() {
    use std::io::{Read as _, Write as _};
    let server = Running::with(Config {
        body_stall_timeout: std::time::Duration::from_millis(100),
        ..Config::default()
    });
    let mut stream = crate::client::connect(server.address);
    let head = format!(
        "PATCH {} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {}\r\nContent-Length: 100\r\n\r\n{{",
        at("/data/Customer/c1"),
        crate::client::KEY
    );
    stream.write_all(head.as_bytes()).expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read");
    let answer = crate::client::parse(&answer);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("stalled"), "{}", answer.text());
    assert_eq!(server.mock.calls(), [""; 0]);
}

#[test]
fn unknown_and_malformed_fields_are_named() {
    let server = Running::start();
    for (method, path, body, named) in [
        ("PUT", "/manage/realtime", r#"{"ttl": 1}"#, "ttl"),
        ("PUT", "/manage/realtime", "", "empty"),
        ("PUT", "/manage/realtime", "{", "line 1"),
        (
            "PUT",
            "/manage/realtime",
            r#"{"refreshClears": "no"}"#,
            "always",
        ),
        ("PUT", "/manage/activities", r#"[{"entity": 1}]"#, "entity"),
        ("PUT", "/manage/activities", "{}", "sequence"),
        (
            "POST",
            "/snapshots",
            r#"{"asOf": "yesterday", "entities": []}"#,
            "yesterday",
        ),
        ("POST", "/snapshots", r#"{"entities": []}"#, "asOf"),
        (
            "POST",
            "/workflows/main/jobs",
            r#"{"operation": "all"}"#,
            "operation",
        ),
        ("PATCH", "/V2", r#"{"instanceMetadata": {}}"#, "name"),
        (
            "PATCH",
            "/V2",
            r#"{"instanceMetadata": {"name": ""}}"#,
            "instanceMetadata.name",
        ),
        (
            "PATCH",
            "/V2",
            r#"{"instanceMetadata": {"name": "A", "nme": 1}}"#,
            "instanceMetadata.nme",
        ),
        (
            "PATCH",
            "/V2",
            r#"{"instanceMetadata": {"name": "A"}, "other": 1}"#,
            "other",
        ),
    ] {
        let answer = server.send(&Call::new(method, &at(path)).body(body));
        assert_eq!(answer.status, 400, "{method} {path} {body}");
        assert!(answer.text().contains(named), "{body}: {}", answer.text());
    }
    assert_eq!(server.mock.calls(), [""; 0]);
}
