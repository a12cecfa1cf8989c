//! Bulk and batch requests against the whole server: order, memory, and a client that reads slowly.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use sanntid_testkit::{ChildServer, Http, KEY, Sample, TestServer, serve_if_marked};
use serde_json::{Value, json};

const AS_OF: &str = "2026-01-01T00:00:00Z";
/// How long a socket may stand still before a test takes it for stopped.
const STILL: Duration = Duration::from_secs(3);

#[test]
fn the_child_serves() {
    serve_if_marked();
}

/// A request whose lines are sent and whose answers are read as the test wants.
pub(crate) struct Bulk {
    stream: TcpStream,
    received: Vec<u8>,
    is_in_body: bool,
    is_over: bool,
}

impl Bulk {
    pub(crate) fn begin(http: &Http, method: &str, path: &str) -> Self {
        Self::begin_as(http, KEY, method, path)
    }

    pub(crate) fn begin_as(http: &Http, key: &str, method: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(http.address()).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/x-ndjson\r\n\
             Ocp-Apim-Subscription-Key: {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        Self {
            stream,
            received: Vec::new(),
            is_in_body: false,
            is_over: false,
        }
    }

    /// The same connection, for a thread that writes.
    pub(crate) fn writer(&self) -> TcpStream {
        self.stream.try_clone().unwrap()
    }

    /// Reads at most so many bytes; gives the whole answer lines that have come.
    ///
    /// `None` where the connection or the answer has ended.
    pub(crate) fn read(&mut self, bytes_max: usize) -> Option<Vec<Value>> {
        if self.is_over {
            return None;
        }
        let mut buffer = vec![0; bytes_max];
        let length = match self.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(length) => length,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                return None;
            }
        };
        self.received.extend_from_slice(&buffer[..length]);
        if !self.is_in_body {
            let Some(end) = position(&self.received, b"\r\n\r\n") else {
                return Some(Vec::new());
            };
            let head = String::from_utf8_lossy(&self.received[..end]).into_owned();
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            self.received.drain(..end + 4);
            self.is_in_body = true;
        }
        let mut lines = Vec::new();
        loop {
            let Some(end) = position(&self.received, b"\r\n") else {
                return Some(lines);
            };
            let size = std::str::from_utf8(&self.received[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if self.received.len() < end + 2 + size + 2 {
                return Some(lines);
            }
            if size == 0 {
                self.is_over = true;
                return Some(lines);
            }
            // The server hands out whole lines.
            let text = std::str::from_utf8(&self.received[end + 2..end + 2 + size]).unwrap();
            lines.extend(
                text.lines()
                    .map(|line| serde_json::from_str::<Value>(line).unwrap()),
            );
            self.received.drain(..end + 2 + size + 2);
        }
    }
}

fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

pub(crate) fn chunk(text: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", text.len()).into_bytes();
    chunk.extend_from_slice(text);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

fn sample(http: &Http) -> Sample {
    let sample = Sample::create(http);
    let job = sample.load(AS_OF, &Sample::customers(100), &Sample::orders(100));
    assert_eq!(job["jobStatus"], "successful");
    sample
}

#[test]
fn a_hundred_thousand_lines_are_answered_in_order_to_a_client_that_reads_little_at_a_time() {
    const LINES: usize = 100_000;
    let server = TestServer::start();
    let sample = sample(&server.http);
    let path = sample.path("/data/Customer/$bulk");
    let mut bulk = Bulk::begin(&server.http, "PATCH", &path);
    let mut writer = bulk.writer();
    let writing = thread::spawn(move || {
        let mut text = String::new();
        for number in 1..=LINES {
            // Every hundredth is bad, between good ones.
            match number % 100 {
                7 => text.push_str("{\"id\": \"C1\", \"body\": {\"Nothing\": 1}}\n"),
                _ => {
                    let id = number % 100 + 1;
                    text.push_str(&format!(
                        "{{\"id\": \"C{id}\", \"body\": {{\"Score\": {number}}}}}\n"
                    ));
                }
            }
            if text.len() > 30_000 {
                writer.write_all(&chunk(text.as_bytes())).unwrap();
                text.clear();
            }
        }
        writer.write_all(&chunk(text.as_bytes())).unwrap();
        writer.write_all(b"0\r\n\r\n").unwrap();
    });
    let mut answered = 0;
    while let Some(lines) = bulk.read(2_000) {
        for line in lines {
            answered += 1;
            assert_eq!(line["line"], answered);
            let status = if answered % 100 == 7 { 400 } else { 204 };
            assert_eq!(line["status"], status, "{line}");
        }
    }
    writing.join().unwrap();
    assert_eq!(answered, LINES);
    for (id, score) in [("C1", 100_000), ("C2", 99_901), ("C100", 99_999)] {
        let profile = server
            .http
            .get(&sample.path(&format!("/data/Customer/{id}")));
        assert_eq!(
            profile.expect(200).json()["Score"],
            score,
            "the last of its lines"
        );
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kibibytes = line
        .and_then(|line| line.split_whitespace().nth(1))
        .unwrap();
    kibibytes.parse::<u64>().unwrap() * 1024
}

#[test]
fn a_client_that_reads_no_answers_stops_the_intake_and_costs_little_memory() {
    const MUCH: usize = 64 << 20;
    let folder = tempfile::tempdir().unwrap();
    let server = ChildServer::spawn(folder.path(), "bulk::the_child_serves", 0);
    let sample = sample(&server.http);
    let before = resident_bytes(server.pid());
    let path = sample.path("/data/Customer/$bulk");
    let mut bulk = Bulk::begin(&server.http, "PATCH", &path);
    let mut writer = bulk.writer();
    writer.set_write_timeout(Some(STILL)).unwrap();
    // Answers are far longer than such lines.
    let lines = chunk("x\n".repeat(20_000).as_bytes());
    let (mut sent, mut rest) = (0, 0);
    while sent < MUCH {
        // What part of a chunk was sent is known: the rest is sent when the answers are read.
        match writer.write(&lines[rest..]) {
            Ok(length) => {
                sent += length;
                rest = (rest + length) % lines.len();
            }
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "{error}"
                );
                break;
            }
        }
    }
    assert!(
        sent < MUCH,
        "the server takes lines although nobody reads the answers"
    );
    let grown = resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes");
    // Others are served meanwhile.
    server
        .http
        .get(&sample.path("/data/Customer/C1"))
        .expect(200);

    // Read again, it goes on where it stopped.
    let mut answered = 0;
    while answered < 20_000 {
        let lines = bulk.read(1 << 16).unwrap();
        for line in lines {
            answered += 1;
            assert_eq!(line["line"], answered);
            assert_eq!(line["error"]["errorCode"], "invalidBody");
        }
    }
}

#[test]
fn bulk_activities_are_shown_replayed_and_held_as_single_ones() {
    let server = TestServer::start();
    let sample = sample(&server.http);
    let visit = |id: &str, customer: &str, title: &str| {
        json!({"body": {"ActivityId": id, "CustomerId": customer, "ActivityType": "Visit",
                        "ActivityTime": "2026-01-01T00:00:00Z", "Title": title}})
    };
    let mut held = visit("a3", "C999", "later");
    held["onUnknownCustomer"] = "hold".into();
    let order = json!({"body": {"OrderId": "N1", "ContactId": "K2",
                                "OrderedOn": "2026-01-01T00:00:00Z", "Subject": "Lamp"}});
    let lines = |all: &[&Value]| -> String { all.iter().map(|line| format!("{line}\n")).collect() };
    let send = |entity: &str, body: String| {
        let path = sample.path(&format!("/data/{entity}/$bulk"));
        let headers = [("Content-Type", "application/x-ndjson")];
        let answer = server
            .http
            .send("POST", &path, &headers, body.as_bytes())
            .expect(200);
        let text = answer.text();
        let lines = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.collect::<Vec<_>>()
    };
    let (first, unknown) = (visit("a1", "C1", "one"), visit("a2", "C998", "nobody"));
    let other = visit("a1", "C1", "two");
    let all = [&first, &unknown, &held, &first, &other];
    let answers = send("UnifiedActivity", lines(&all));
    let statuses: Vec<_> = answers.iter().map(|line| line["status"].clone()).collect();
    assert_eq!(statuses, [201, 400, 202, 201, 409]);
    assert_eq!(answers[3]["replayed"], true, "it sees those before it");
    assert_eq!(answers[1]["error"]["errorCode"], "customerNotFound");

    // As a single call has it.
    let single = server.http.json(
        "POST",
        &sample.path("/data/UnifiedActivity"),
        &unknown["body"],
    );
    let alone = single.expect(400).json();
    assert_eq!(answers[1]["error"]["message"], alone["message"]);
    assert_eq!(answers[1]["error"]["target"], alone["target"]);
    let again = server.http.json(
        "POST",
        &sample.path("/data/UnifiedActivity"),
        &first["body"],
    );
    assert_eq!(again.expect(201).header("sanntid-replayed"), Some("true"));

    let answers = send("Shop_Orders", lines(&[&order]));
    assert_eq!(
        answers[0],
        json!({"line": 1, "status": 201, "id": "Shop_Orders:N1"})
    );
    server
        .http
        .get(&sample.path("/data/UnifiedActivity('Shop_Orders:N1')"))
        .expect(200);
    let answers = send("Shop_Nothing", lines(&[&order]));
    assert_eq!(answers[0]["error"]["errorCode"], "unknownActivityEntity");
}

#[test]
fn the_items_of_a_batch_see_those_before_them() {
    let server = TestServer::start();
    let sample = sample(&server.http);
    let old = server
        .http
        .get(&sample.path("/data/Customer/C1"))
        .expect(200);
    let etag = old.header("etag").unwrap();
    let activity = json!({"ActivityId": "b1", "CustomerId": "C1", "ActivityType": "Visit",
                          "ActivityTime": "2026-01-01T00:00:00Z"});
    let requests = json!([
        {"id": "patch", "method": "patch", "url": "Customer('C1')", "headers": {"If-Match": etag},
         "body": {"City": "Bergen"}},
        {"id": "again", "method": "patch", "url": "Customer('C1')", "headers": {"If-Match": etag},
         "body": {"City": "Voss"}},
        {"id": "read", "method": "get", "url": "Customer?$filter=CustomerId eq 'C1'&$select=City",
         "dependsOn": ["patch"]},
        {"id": "post", "method": "post", "url": sample.path("/data/UnifiedActivity"), "body": activity},
        {"id": "timeline", "method": "get", "url": "UnifiedActivity('b1')", "dependsOn": ["post"]},
        {"id": "lost", "method": "get", "url": "Customer('C1')", "dependsOn": ["again"]},
        {"id": "nested", "method": "post", "url": "$batch", "body": {"requests": []}},
    ]);
    let headers = [
        ("Content-Type", "application/json"),
        ("Prefer", "continue-on-error"),
    ];
    let body = json!({"requests": requests}).to_string();
    let path = sample.path("/data/$batch");
    let answer = server
        .http
        .send("POST", &path, &headers, body.as_bytes())
        .expect(200)
        .json();
    let answers = answer["responses"].as_array().unwrap();
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer["status"].clone())
        .collect();
    assert_eq!(
        statuses,
        [204, 412, 200, 201, 200, 424, 501],
        "{answers:#?}"
    );
    assert_eq!(answers[2]["body"]["value"], json!([{"City": "Bergen"}]));
    assert_eq!(answers[4]["body"]["ActivityId"], "b1");
}
