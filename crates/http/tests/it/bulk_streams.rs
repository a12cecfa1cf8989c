//! Bulk requests whose body or answer does not come to its end, or comes line by line.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use sanntid_http::Config;
use serde_json::Value;

use crate::bulks::{NDJSON, exchange, patches, unchunked};
use crate::client::{INSTANCE, KEY, connect};
use crate::server::Running;

#[test]
fn behind_an_unknown_outcome_the_answer_is_cut_off() {
    let server = Running::start();
    let line = |what: &str| format!("{{\"id\": \"c1\", \"body\": {{\"A\": \"{what}\"}}}}\n");
    let body = [line("a"), line("b"), line("tell unknown"), line("c")].concat();
    let (answers, is_whole) = exchange(&server, &patches().body(body));
    assert!(!is_whole);
    let statuses: Vec<_> = answers.iter().map(|line| line["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(204); 2], "what is known is told");
}

#[test]
fn a_body_that_breaks_off_ends_with_the_line_that_is_not_whole() {
    let server = Running::with(Config {
        body_stall_timeout: Duration::from_millis(300),
        ..Config::default()
    });
    let mut stream = begin(&server, "PATCH", "Customer");
    send(
        &mut stream,
        b"{\"id\": \"c1\", \"body\": {}}\n{\"id\": \"c1\", \"body\": {}}",
    );
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an end");
    let (text, is_whole) = unchunked(&answer);
    let text = String::from_utf8(text).expect("a text");
    assert!(is_whole, "{text}");
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(answers[0]["status"], 204);
    assert_eq!(
        answers[1]["status"], 400,
        "never done, though it looks whole"
    );
    assert!(text.contains("stalled"), "{text}");
    assert_eq!(server.mock.patches.lock().unwrap().len(), 1);
}

/// Begins a request whose body comes in chunks.
fn begin(server: &Running, method: &str, entity: &str) -> TcpStream {
    let mut stream = connect(server.address);
    let path = format!("/api/instances/{INSTANCE}/data/{entity}/$bulk");
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test.example\r\nConnection: close\r\nContent-Type: {NDJSON}\r\n\
         Ocp-Apim-Subscription-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream
}

fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream
        .write_all(format!("{:x}\r\n", bytes.len()).as_bytes())
        .expect("sent");
    stream.write_all(bytes).expect("sent");
    stream.write_all(b"\r\n").expect("sent");
}

#[test]
fn each_line_is_answered_before_the_next_is_sent() {
    let server = Running::start();
    let mut stream = begin(&server, "PATCH", "Customer");
    let mut answer = Vec::new();
    for number in 1..=5 {
        send(&mut stream, b"{\"id\": \"c1\", \"body\": {}}\n");
        let wanted = format!("{{\"line\":{number},");
        let mut buffer = [0; 4096];
        while !String::from_utf8_lossy(&answer).contains(&wanted) {
            let length = stream.read(&mut buffer).expect("an answer");
            assert!(length > 0, "it goes on");
            answer.extend_from_slice(&buffer[..length]);
        }
    }
    stream.write_all(b"0\r\n\r\n").expect("sent");
    stream.read_to_end(&mut answer).expect("an end");
    assert!(unchunked(&answer).1);
}

#[test]
fn bulk_requests_at_a_time_are_limited() {
    let server = Running::with(Config {
        bulks_max: 1,
        ..Config::default()
    });
    let mut first = begin(&server, "PATCH", "Customer");
    send(&mut first, b"{\"id\": \"c1\", \"body\": {}}\n");
    let mut one = [0; 1];
    first.read_exact(&mut one).expect("it is answered");
    let answer = server.send(&patches().body("{}"));
    assert_eq!(
        (answer.status, answer.header("sanntid-limit")),
        (503, Some("bulksInFlight"))
    );
    first.write_all(b"0\r\n\r\n").expect("sent");
    let mut rest = Vec::new();
    first.read_to_end(&mut rest).expect("an end");
    assert_eq!(server.send(&patches().body("{}")).status, 200);
}
