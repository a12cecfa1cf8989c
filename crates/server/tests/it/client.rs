//! The client against a server that misbehaves in written-down ways.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use sanntid_server::{
    Client, Instance, Interrupt, Part, PartKind, PartPacking, Secret, Silent, push,
};

/// Answers one connection after the other with written-down texts.
struct Canned {
    url: String,
    thread: JoinHandle<Vec<String>>,
}

impl Canned {
    fn serve(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let next = move |answer: String| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut request = String::new();
            while !request.ends_with("\r\n\r\n") {
                if reader.read_line(&mut request).unwrap() == 0 {
                    return None;
                }
            }
            let lower = request.to_lowercase();
            let length = lower
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = reader.take(length.map_or(0, |text| text.parse().unwrap()));
            body.read_to_string(&mut request).unwrap();
            // A client that has given up reads no answer.
            if body.limit() == 0 {
                stream.write_all(answer.as_bytes()).unwrap();
            }
            Some(request)
        };
        let thread = std::thread::spawn(move || answers.into_iter().map_while(next).collect());
        Self { url, thread }
    }

    /// The requests that came; answers that nobody has asked for are given up.
    fn requests(self) -> Vec<String> {
        // Refused where all answers were given; else the connection that says nothing ends it.
        drop(TcpStream::connect(
            self.url.strip_prefix("http://").unwrap(),
        ));
        self.thread.join().unwrap()
    }
}

fn answer(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn busy() -> String {
    let body = r#"{"errorCode": "overloaded", "message": "too much"}"#;
    answer("503 Service Unavailable\r\nRetry-After: 0", body)
}

fn client(url: &str) -> Client {
    let key = Secret::new("the-key-of-this-test");
    Client::new(url, Some(key), Interrupt::new()).unwrap()
}

#[test]
fn what_the_server_has_no_room_for_is_tried_again_but_not_for_ever() {
    let server = Canned::serve(vec![busy(), busy(), answer("200 OK", "[1]")]);
    let client_of = client(&server.url);
    assert_eq!(client_of.get("/instances").unwrap(), serde_json::json!([1]));
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(
            request.starts_with("GET /api/instances HTTP/1.1"),
            "{request}"
        );
        assert!(
            request
                .to_lowercase()
                .contains("ocp-apim-subscription-key: the-key-of-this-test")
        );
    }

    let server = Canned::serve((0..6).map(|_| busy()).collect());
    let error = client(&server.url).get("/instances").unwrap_err();
    assert_eq!(error.to_string(), "too much (503 overloaded)");
    assert_eq!(server.requests().len(), 6);
}

#[test]
fn other_refusals_are_not_tried_again() {
    for (status, head) in [(400, "400 Bad Request"), (500, "500 Internal Server Error")] {
        let body = r#"{"errorCode": "internal", "message": "no", "details":
            [{"errorCode": "x", "target": "City", "message": "is wrong"}]}"#;
        let server = Canned::serve(vec![answer(head, body)]);
        let error = client(&server.url).get("/x").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("no ({status} internal)\n  City: is wrong")
        );
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn a_connection_without_an_answer_and_an_answer_of_somebody_else_are_told_apart() {
    let server = Canned::serve(vec![String::new()]);
    let error = client(&server.url).get("/x").unwrap_err().to_string();
    assert!(
        error.contains("gave no answer") && error.contains("again is safe"),
        "{error}"
    );
    server.requests();

    let server = Canned::serve(vec![answer("502 Bad Gateway", "<html>proxy</html>")]);
    let error = client(&server.url).get("/x").unwrap_err().to_string();
    assert!(error.contains("status 502: <html>proxy</html>"), "{error}");
    server.requests();
}

#[test]
fn a_link_to_another_host_never_gets_the_key() {
    let error = client("http://127.0.0.1:1")
        .get("http://example.com/page2")
        .unwrap_err();
    assert!(
        error.to_string().contains("no address of a server"),
        "{error}"
    );
    let error = client("http://127.0.0.1:1")
        .get("http://127.0.0.1:10/page2")
        .unwrap_err();
    assert!(
        error.to_string().contains("no address of a server"),
        "{error}"
    );
}

#[test]
fn addresses_are_taken_with_and_without_their_prefix() {
    for (suffix, path) in [
        ("", "/api/x"),
        ("/", "/api/x"),
        ("/v1", "/v1/x"),
        ("/ci/api/", "/ci/api/x"),
    ] {
        let server = Canned::serve(vec![answer("200 OK", "1")]);
        client(&format!("{}{suffix}", server.url))
            .get("/x")
            .unwrap();
        let request = server.requests().remove(0);
        assert!(
            request.starts_with(&format!("GET {path} HTTP/1.1")),
            "{request}"
        );
    }
    for bad in ["", "127.0.0.1:8080", "ftp://x", "http://", "http://x?key=y"] {
        assert!(Client::new(bad, None, Interrupt::new()).is_err(), "{bad}");
    }
}

#[test]
fn a_failed_upload_is_thrown_away_and_parts_tell_their_length_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Customer.csv.gz");
    fs::write(&path, "12345").unwrap();
    let part = Part {
        entity: "Customer".to_owned(),
        path,
        kind: PartKind::Csv,
        packing: PartPacking::Gzip,
        bytes: 5,
    };
    let refused = answer("400 Bad Request", r#"{"errorCode": "x", "message": "no"}"#);
    let server = Canned::serve(vec![
        answer("200 OK", "[]"),
        answer("201 Created", r#"{"snapshotId": "s1", "state": "open"}"#),
        busy(),
        answer("204 No Content", ""),
        refused,
        answer("204 No Content", ""),
    ]);
    let instance = Instance::new(&client(&server.url), "i1");
    let manifest = serde_json::from_str(
        r#"{"asOf": "2026-01-01T00:00:00Z", "entities":
            [{"name": "Customer", "entityType": "profile", "files": ["Customer.csv.gz"]}]}"#,
    )
    .unwrap();
    let parts = [part.clone(), part];
    assert_eq!(
        push(&instance, &manifest, &parts, &Silent)
            .unwrap_err()
            .to_string(),
        "no (400 x)"
    );
    let requests = server.requests();
    let heads: Vec<&str> = requests.iter().map(|r| r.lines().next().unwrap()).collect();
    let entities = "/api/instances/i1/snapshots/s1/entities/Customer/parts";
    assert_eq!(
        heads,
        [
            "GET /api/instances/i1/snapshots HTTP/1.1".to_owned(),
            "POST /api/instances/i1/snapshots HTTP/1.1".to_owned(),
            format!("PUT {entities}/1 HTTP/1.1"),
            format!("PUT {entities}/1 HTTP/1.1"),
            format!("PUT {entities}/2 HTTP/1.1"),
            "DELETE /api/instances/i1/snapshots/s1 HTTP/1.1".to_owned(),
        ]
    );
    assert!(!requests[1].contains("files"), "{}", requests[1]);
    let sent = requests[2].to_lowercase();
    assert!(
        sent.contains("content-length: 5") && sent.ends_with("12345"),
        "{sent}"
    );
    assert!(sent.contains("content-encoding: gzip") && sent.contains("content-type: text/csv"));
    assert!(
        requests[3].ends_with("12345"),
        "another try begins at the start"
    );
}

#[test]
fn an_upload_that_the_user_stops_stays_to_be_gone_on_with() {
    let server = Canned::serve(vec![
        answer("200 OK", "[]"),
        answer("201 Created", r#"{"snapshotId": "s1", "state": "open"}"#),
        "never sent".to_owned(),
        answer("204 No Content", ""),
    ]);
    let interrupt = Interrupt::new();
    let client = Client::new(&server.url, None, interrupt.clone()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("Customer.csv");
    fs::write(&path, "12345").unwrap();
    struct Stopping(Interrupt);
    impl sanntid_server::Progress for Stopping {
        fn begin(&self, _: &Part) {
            self.0.raise();
        }
        fn advance(&self, _: u64) {}
        fn end(&self, _: &Part) {}
        fn skip(&self, _: &Part) {}
    }
    let part = Part {
        entity: "Customer".to_owned(),
        path,
        kind: PartKind::Csv,
        packing: PartPacking::None,
        bytes: 5,
    };
    let manifest = serde_json::from_str(
        r#"{"asOf": "2026-01-01T00:00:00Z", "entities": [{"name": "Customer", "entityType": "profile"}]}"#,
    )
    .unwrap();
    let pushed = push(
        &Instance::new(&client, "i1"),
        &manifest,
        &[part],
        &Stopping(interrupt),
    );
    assert_eq!(pushed.unwrap_err().to_string(), "interrupted");
    let requests = server.requests();
    assert!(requests[2].starts_with("PUT ") && !requests[2].contains("12345"));
    assert!(!requests.iter().any(|request| request.starts_with("DELETE")));
}
