//! Heads and bodies that two readers could understand differently: one of them must not be us.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use sanntid_http::Config;

use crate::client::{KEY, connect};
use crate::server::{Running, at};

/// A server that does not wait long for what never comes.
fn server() -> Running {
    Running::with(Config {
        head_timeout: Duration::from_secs(1),
        disconnect_timeout: Duration::from_secs(1),
        body_stall_timeout: Duration::from_millis(300),
        ..Config::default()
    })
}

/// Sends bytes and gives all that comes back; the client says that nothing more will come.
fn exchange(server: &Running, bytes: &[u8]) -> String {
    let mut stream = connect(server.address);
    let written = stream.write_all(bytes);
    let closed = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    // A server that has seen enough may close before all is written.
    drop((written, closed, read));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The statuses of all answers that came back.
fn statuses(answers: &str) -> Vec<&str> {
    let parts = answers.split("HTTP/1.").skip(1);
    parts.filter_map(|part| part.get(2..5)).collect()
}

/// A write with these further headers and this body, with a second write behind it that must not
/// be taken for a request of its own.
fn write(headers: &str, body: &str) -> Vec<u8> {
    let path = at("/data/Customer/c1");
    format!(
        "PATCH {path} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {KEY}\r\n{headers}\r\n{body}\
         PATCH {path} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {KEY}\r\n\
         Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    )
    .into_bytes()
}

#[test]
fn a_length_that_can_be_read_in_two_ways_ends_the_connection() {
    let server = server();
    for headers in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: 5, 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: 5 5\r\n",
        "Content-Length: \r\n",
        "Content-Length: 5.0\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Content-Length : 5\r\n",
        " Content-Length: 5\r\n",
        "Content-Length\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: chunkedx\r\n",
        "Transfer-Encoding: chunked;q=1\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding\r\n: chunked\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: a\r\n Transfer-Encoding: chunked\r\n",
        "X: a\r\n\tb\r\n",
        "X: a\rContent-Length: 4\r\n",
        "X: a\0b\r\n",
        "X\0: a\r\n",
        "X Y: a\r\n",
        ": a\r\n",
    ] {
        let answers = exchange(&server, &write(headers, "0\r\n\r\n"));
        assert_eq!(statuses(&answers), ["400"], "{headers:?}: {answers}");
    }
    assert_eq!(
        server.mock.patches.lock().unwrap().len(),
        0,
        "nothing was done"
    );
    assert_eq!(server.get("").status, 200);
}

#[test]
fn a_chunk_that_is_none_ends_the_connection() {
    let server = server();
    for body in [
        "x\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "2\r{}\r\n0\r\n\r\n",
        "\r\n2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "8000000000000000\r\n{}",
        "2;a\nb\r\n{}\r\n0\r\n\r\n",
    ] {
        let bytes = write("Transfer-Encoding: chunked\r\n", body);
        let answers = exchange(&server, &bytes);
        let statuses = statuses(&answers);
        assert!(
            statuses.iter().all(|status| *status == "400") && statuses.len() <= 2,
            "{body:?}: {answers}"
        );
    }
    assert_eq!(
        server.mock.patches.lock().unwrap().len(),
        0,
        "nothing was done"
    );
    // What chunks may be.
    let good = "2;name=value\r\n{}\r\n0\r\n\r\n";
    let answers = exchange(&server, &write("Transfer-Encoding: chunked\r\n", good));
    assert_eq!(statuses(&answers), ["204", "204"], "{answers}");
}

#[test]
fn first_lines_that_are_none_get_a_400_and_no_more() {
    let server = server();
    let long = "a".repeat(70_000);
    for line in [
        "GET",
        "GET /healthz",
        "GET  /healthz HTTP/1.1",
        "GET /healthz  HTTP/1.1",
        "GET /healthz HTTP/1.1 ",
        "GET /healthz HTTP/1.2",
        "GET /healthz HTTP/2.0",
        "GET /healthz http/1.1",
        "GET /health\0z HTTP/1.1",
        "GET /health z HTTP/1.1",
        "G\0ET /healthz HTTP/1.1",
        "GET healthz HTTP/1.1",
        "GET /\u{e5} HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET //[::1 HTTP/1.1",
        &format!("GET /{long} HTTP/1.1"),
    ] {
        let shown = line.get(..40).unwrap_or(line);
        let answers = exchange(&server, format!("{line}\r\nHost: a\r\n\r\n").as_bytes());
        let statuses = statuses(&answers);
        assert!(
            matches!(statuses.as_slice(), ["400" | "401" | "404" | "414" | "431"]),
            "{shown:?}: {answers}"
        );
    }
    assert_eq!(server.get("").status, 200);
}

#[test]
fn forms_of_the_target_that_are_for_proxies_reach_nothing_else() {
    let server = server();
    let key = format!("Ocp-Apim-Subscription-Key: {KEY}");
    for (line, expected) in [
        // Absolute: the path counts, wherever it claims to lead (RFC 9112, 3.2.2).
        ("GET http://elsewhere.example/healthz HTTP/1.1", "200"),
        ("GET http://elsewhere.example HTTP/1.1", "404"),
        ("CONNECT elsewhere.example:443 HTTP/1.1", "404"),
        ("OPTIONS * HTTP/1.1", "404"),
        ("GET * HTTP/1.1", "404"),
        ("TRACE /healthz HTTP/1.1", "405"),
        ("TRACK /healthz HTTP/1.1", "405"),
        ("OPTIONS /healthz HTTP/1.1", "405"),
        ("OPTIONS /api/instances HTTP/1.1", "405"),
        ("BREW /api/instances HTTP/1.1", "405"),
    ] {
        let head = format!("{line}\r\nHost: a\r\n{key}\r\nConnection: close\r\n\r\n");
        let answers = exchange(&server, head.as_bytes());
        assert_eq!(statuses(&answers), [expected], "{line}: {answers}");
        assert!(!answers.contains(KEY), "nothing is echoed: {answers}");
    }
    for head in [
        "GET /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST /healthz HTTP/1.0\r\n\r\n",
        "POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        assert_eq!(
            statuses(&exchange(&server, head.as_bytes())),
            ["400"],
            "{head:?}"
        );
    }
}

#[test]
fn what_may_come_once_is_refused_twice() {
    let server = server();
    let path = at("/data/Customer/c1");
    for (first, second) in [
        (
            format!("Ocp-Apim-Subscription-Key: {KEY}"),
            "Ocp-Apim-Subscription-Key: other",
        ),
        (
            format!("Ocp-Apim-Subscription-Key: {KEY}"),
            "ocp-apim-subscription-key: ",
        ),
        (
            format!("Authorization: Bearer {KEY}"),
            "Authorization: Bearer other",
        ),
        (
            format!("Authorization: Bearer {KEY}"),
            "Authorization: Basic eDp5",
        ),
        (
            format!("Ocp-Apim-Subscription-Key: {KEY}\r\nContent-Type: application/json"),
            "Content-Type: text/csv",
        ),
        (
            format!("Ocp-Apim-Subscription-Key: {KEY}\r\nIf-Match: \"a\""),
            "If-Match: \"b\"",
        ),
        (
            format!("Ocp-Apim-Subscription-Key: {KEY}\r\nContent-Encoding: identity"),
            "Content-Encoding: gzip",
        ),
    ] {
        for pair in [
            format!("{first}\r\n{second}"),
            format!("{second}\r\n{first}"),
        ] {
            let request = format!(
                "PATCH {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{pair}\r\n\
                 Content-Length: 2\r\n\r\n{{}}"
            );
            let answers = exchange(&server, request.as_bytes());
            assert_eq!(statuses(&answers), ["400"], "{pair}: {answers}");
            assert!(answers.contains("comes twice"), "{answers}");
            assert!(!answers.contains(KEY), "{answers}");
        }
    }
    assert_eq!(server.mock.patches.lock().unwrap().len(), 0);
}

#[test]
fn a_name_longer_than_any_may_be_ends_its_connection_alone() {
    let server = server();
    let long = format!(
        "GET /healthz HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n",
        "x".repeat(70_000)
    );
    // The framework's decoder panics at it: the connection ends, its thread goes on.
    for _ in 0..3 {
        assert_eq!(exchange(&server, long.as_bytes()), "");
        assert_eq!(server.get("").status, 200);
    }
}

#[test]
fn heads_have_limits_and_say_so() {
    let server = server();
    let key = format!("Ocp-Apim-Subscription-Key: {KEY}");
    let many = |count: usize| "X: y\r\n".repeat(count);
    for (target, headers, expected) in [
        ("/api/instances", many(80), &["200"][..]),
        ("/api/instances", many(97), &["400", "431"]),
        ("/api/instances", many(20_000), &["400", "431"]),
        (
            "/api/instances",
            format!("X: {}\r\n", "y".repeat(60_000)),
            &["200"],
        ),
        (
            "/api/instances",
            format!("X: {}\r\n", "y".repeat(66_000)),
            &["431"],
        ),
        (
            "/api/instances",
            format!("X: {}\r\n", "y".repeat(1 << 20)),
            &["431"],
        ),
        (
            "/api/instances",
            format!("{}: y\r\n", "x".repeat(60_000)),
            &["200"],
        ),
        (
            &format!("/api/instances?x={}", "y".repeat(32 << 10)),
            String::new(),
            &["414"],
        ),
        (
            &format!("/api/{}", "a/".repeat(16 << 10)),
            String::new(),
            &["414"],
        ),
        (
            &format!("/api/instances?x={}", "y".repeat(70_000)),
            String::new(),
            &["400"],
        ),
    ] {
        let head = format!(
            "GET {target} HTTP/1.1\r\nHost: a\r\n{key}\r\nConnection: close\r\n{headers}\r\n"
        );
        let answers = exchange(&server, head.as_bytes());
        let shown = (
            &target[..target.len().min(20)],
            &headers[..headers.len().min(20)],
        );
        let got = statuses(&answers);
        assert!(
            matches!(got.as_slice(), [one] if expected.contains(one)),
            "{shown:?} {} got {got:?}",
            headers.len()
        );
    }
    assert_eq!(server.get("").status, 200);
}
