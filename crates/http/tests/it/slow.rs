//! Clients that take their time: none of them holds anything that others need.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sanntid_http::Config;

use crate::client::{KEY, connect};
use crate::server::{Running, at};

const SHORT: Duration = Duration::from_millis(200);
const SECOND: Duration = Duration::from_secs(1);

fn impatient() -> Config {
    Config {
        head_timeout: SECOND,
        body_stall_timeout: SHORT,
        answer_stall_timeout: SHORT,
        keep_alive: SECOND,
        disconnect_timeout: SECOND,
        ..Config::default()
    }
}

/// What comes until the server closes; nothing where it does not.
fn rest(stream: &mut TcpStream) -> Option<String> {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => None,
        // Reset or closed, it is over.
        Ok(_) | Err(_) => Some(String::from_utf8_lossy(&answer).into_owned()),
    }
}

/// Opens connections until one is served: none is while another has the only place.
fn wait_for_a_place(address: SocketAddr) {
    for _ in 0..100_000 {
        let mut stream = connect(address);
        let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        drop(stream.write_all(request));
        if rest(&mut stream).is_some_and(|answer| answer.starts_with("HTTP/1.1 200")) {
            return;
        }
    }
    panic!("the place is never given back");
}

#[test]
fn heads_and_bodies_that_do_not_come_are_given_up_and_others_are_served() {
    let server = Running::with(impatient());
    let path = at("/data/Customer/c1");
    let body = format!(
        "PATCH {path} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {KEY}\r\n\
         Content-Length: 100\r\n\r\n{{\"City\":"
    );
    let starts = [
        ("", ""),
        ("G", "HTTP/1.1 408"),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\nX: ", "HTTP/1.1 408"),
        (body.as_str(), "HTTP/1.1 400"),
    ];
    let mut open = Vec::new();
    for round in 0..200 {
        let (start, expected) = starts[round % starts.len()];
        let mut stream = connect(server.address);
        stream.write_all(start.as_bytes()).expect("a write");
        open.push((stream, expected));
    }
    assert_eq!(server.get("").status, 200, "one worker, and it is free");
    for (stream, expected) in &mut open {
        let answer = rest(stream).expect("the server closes");
        // Where a start came late, nothing is said at all.
        let is_given_up = answer.is_empty() || answer.starts_with(*expected);
        assert!(is_given_up, "{expected:?}: {answer}");
    }
    assert_eq!(server.mock.patches.lock().unwrap().len(), 0);
}

#[test]
fn a_connection_on_which_no_second_head_is_finished_is_closed() {
    let server = Running::with(impatient());
    for more in ["", "G", "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut stream = connect(server.address);
        let request = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n{more}");
        stream.write_all(request.as_bytes()).expect("a write");
        let answer = rest(&mut stream).expect("the server closes");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn a_client_that_takes_nothing_loses_its_connection() {
    let server = Running::with(Config {
        connections_per_address_max: Some(1),
        ..impatient()
    });
    let mut stream = connect(server.address);
    stream
        .set_write_timeout(Some(SHORT))
        .expect("socket option");
    // More answers than any buffer between holds, and none is read.
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n".repeat(2000);
    drop(stream.write_all(requests.as_bytes()));
    wait_for_a_place(server.address);
    drop(stream);
}

#[test]
fn an_address_has_as_many_connections_as_it_may_have() {
    let server = Running::with(Config {
        connections_per_address_max: Some(3),
        ..Config::default()
    });
    let request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect(server.address);
        stream.write_all(request).expect("a write");
        let mut first = [0; 12];
        stream.read_exact(&mut first).expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        held.push(stream);
    }
    let mut more = connect(server.address);
    drop(more.write_all(request));
    assert_eq!(
        rest(&mut more).as_deref(),
        Some(""),
        "closed without an answer"
    );
    held.pop();
    wait_for_a_place(server.address);
}
