//! What callers do wrong is their business: the server answers it and logs nothing about it.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use crate::child::{KEY, STEP_MAX, Server};

/// Sends a request and gives the answer's status line.
fn status_of(server: &Server, method: &str, path: &str, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n{head}\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    // One that refuses early may not take all of a large body.
    stream.write_all(body).ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    let answer = String::from_utf8_lossy(&answer);
    answer.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn a_head_that_the_decoder_can_not_bear_leaves_the_log_empty() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let long = format!("{}: y\r\n", "x".repeat(70_000));
    assert_eq!(status_of(&server, "GET", "/healthz", &long, b""), "");
    let good = status_of(&server, "GET", "/healthz", "", b"");
    assert_eq!(good, "HTTP/1.1 200 OK");
    server.signal(Signal::TERM);
    let (status, errors) = server.wait(STEP_MAX);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn bad_requests_leave_no_warning_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let instance = server.call(&["instance", "create", "Contoso"]);
    let data = format!("/api/instances/{}/data", instance.trim());
    let customer = format!("{data}/Customer/C1");
    let unified = format!("{data}/UnifiedActivity");
    let with_key = format!("Ocp-Apim-Subscription-Key: {KEY}\r\n");
    let json = format!("{with_key}Content-Type: application/json\r\n");
    let deep = format!("{{\"a\": {}}}", "[".repeat(100_000));
    let large = vec![b'x'; 2 << 20];
    let cases: &[(&str, &str, &str, &[u8], &str)] = &[
        ("GET", &customer, "", b"", "401"),
        (
            "GET",
            &customer,
            "Authorization: Bearer wrong\r\n",
            b"",
            "401",
        ),
        ("GET", &customer, &with_key, b"", "404"),
        (
            "GET",
            "/api/instances/none/data/Customer",
            &with_key,
            b"",
            "404",
        ),
        (
            "GET",
            &format!("{data}/Customer?$filter=%28"),
            &with_key,
            b"",
            "400",
        ),
        ("PATCH", &customer, &json, b"{'City': 1}", "404"),
        ("POST", &unified, &json, b"{'City': 1}", "400"),
        ("POST", &unified, &json, b"\xff\xfe", "400"),
        ("POST", &unified, &json, deep.as_bytes(), "400"),
        (
            "POST",
            &unified,
            &json,
            b"{\"CustomerId\": \"a\\u0000b\"}",
            "400",
        ),
        ("PATCH", &customer, &json, &large, "413"),
        (
            "PATCH",
            &customer,
            &format!("{with_key}Content-Type: text/xml\r\n"),
            b"<a/>",
            "415",
        ),
        ("DELETE", &customer, &with_key, b"", "405"),
        (
            "GET",
            &format!("{data}/Customer/%ff"),
            &with_key,
            b"",
            "400",
        ),
    ];
    for (method, path, head, body, status) in cases {
        let answered = status_of(&server, method, path, head, body);
        assert!(answered.contains(status), "{method} {path}: {answered}");
    }
    server.signal(Signal::TERM);
    let (status, errors) = server.wait(STEP_MAX);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}
