//! Uploading snapshots: parts are streamed, in bounded pieces, whatever they hold.

use std::io::Write as _;

use sanntid_http::Config;
use serde_json::json;

use crate::client::{Call, KEY, connect};
use crate::server::{Running, at};

const SNAPSHOT: &str = "00000000-0000-0000-0000-000000000007";

fn part(number: &str) -> String {
    at(&format!(
        "/snapshots/{SNAPSHOT}/entities/Customer/parts/{number}"
    ))
}

fn csv(path: &str) -> Call {
    Call::new("PUT", path).header("Content-Type", "text/csv")
}

#[test]
fn a_snapshot_is_opened_committed_and_aborted() {
    let server = Running::start();
    let manifest = json!({"asOf": "2026-11-23T02:00:00Z", "entities": [
        {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": []}
    ]});
    let opened = server.send(&Call::new("POST", &at("/snapshots")).json(&manifest));
    assert_eq!(opened.status, 201);
    assert_eq!(
        opened.json(),
        json!({"snapshotId": SNAPSHOT, "state": "open", "expiresAt": "2026-11-24T12:00:00.000Z"})
    );
    let commit = Call::new("POST", &at(&format!("/snapshots/{SNAPSHOT}/commit")));
    let committed = server.send(&commit);
    assert_eq!(
        (committed.status, &committed.json()["jobType"]),
        (202, &json!("full"))
    );
    let aborted = server.send(&Call::new("DELETE", &at(&format!("/snapshots/{SNAPSHOT}"))));
    assert_eq!((aborted.status, aborted.text()), (204, ""));
    let unknown = server.send(&Call::new("DELETE", &at("/snapshots/7")));
    assert_eq!(
        (unknown.status, unknown.code().as_str()),
        (404, "snapshotNotFound")
    );
}

#[test]
fn parts_arrive_whole_in_bounded_pieces() {
    let server = Running::start();
    let bytes: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    for call in [
        csv(&part("1")).body(bytes.clone()),
        csv(&part("2")).body(bytes.clone()).chunked(),
    ] {
        let answer = server.send(&call);
        assert_eq!((answer.status, answer.text()), (204, ""));
        let (stored, largest) = server.mock.parts.pop();
        assert!(stored == bytes, "{} of {} bytes", stored.len(), bytes.len());
        assert!(largest < 2 << 20, "{largest} bytes at once");
    }
    let empty = server.send(&csv(&part("3")).body(""));
    assert_eq!(empty.status, 204);
    assert_eq!(
        server.mock.calls()[0],
        format!("open_part {SNAPSHOT} Customer 1 Csv(None)")
    );
}

#[test]
fn a_compressed_part_is_handed_on_as_it_is() {
    let server = Running::start();
    let call = Call::new("PUT", &part("1"))
        .header("Content-Type", "application/x-ndjson; charset=utf-8")
        .header("Content-Encoding", "gzip")
        .body(vec![0x1f, 0x8b, 0, 1]);
    assert_eq!(server.send(&call).status, 204);
    let (stored, _) = server.mock.parts.pop();
    assert_eq!(stored, [0x1f, 0x8b, 0, 1]);
    assert!(server.mock.calls()[0].ends_with(" Ndjson(Gzip)"));
}

#[test]
fn every_kind_of_part_is_told_by_its_headers() {
    let server = Running::start();
    for (kind, encoding, told) in [
        ("text/csv", "identity", "Csv(None)"),
        ("application/csv", "GZIP", "Csv(Gzip)"),
        (
            "text/csv; charset=utf-8; header=present",
            "zstd",
            "Csv(Zstd)",
        ),
        ("application/x-ndjson", "x-gzip", "Ndjson(Gzip)"),
        ("application/jsonl", "zstd", "Ndjson(Zstd)"),
        ("application/vnd.apache.parquet", "identity", "Parquet"),
        ("Application/Vnd.Apache.Parquet", "", "Parquet"),
    ] {
        let call = Call::new("PUT", &part("1"))
            .header("Content-Type", kind)
            .header("Content-Encoding", encoding)
            .body(vec![0x28, 0xb5, 0x2f, 0xfd]);
        let answer = server.send(&call);
        assert_eq!(answer.status, 204, "{kind} {encoding}: {}", answer.text());
        let calls = server.mock.calls();
        let last = calls.last().expect("a call");
        assert!(
            last.ends_with(&format!(" 1 {told}")),
            "{kind} {encoding}: {last}"
        );
        let (stored, _) = server.mock.parts.pop();
        assert_eq!(stored, [0x28, 0xb5, 0x2f, 0xfd]);
    }
}

#[test]
fn what_is_no_part_is_refused() {
    let server = Running::with(Config {
        part_bytes_max: 100_000,
        ..Config::default()
    });
    let put = |kind: &str, encoding: &str| {
        let call = Call::new("PUT", &part("1")).header("Content-Encoding", encoding);
        let answer = server.send(&call.header("Content-Type", kind).body("x"));
        (answer.status, answer.text().to_owned())
    };
    for (kind, encoding, named) in [
        ("application/vnd.apache.parquet", "gzip", "its pages itself"),
        ("application/vnd.apache.parquet", "zstd", "its pages itself"),
        ("application/vnd.apache.parquet", "br", "zstd"),
        ("application/json", "identity", "application/x-ndjson"),
        ("application/parquet", "identity", "vnd.apache.parquet"),
        ("", "identity", "text/csv"),
        ("text/csv", "br", "gzip"),
        ("text/csv", "gzip, zstd", "gzip"),
    ] {
        let (status, text) = put(kind, encoding);
        assert!(
            status == 415 && text.contains(named),
            "{kind} {encoding}: {text}"
        );
    }
    for bad in ["0", "x", "-1", "10001", "1.5"] {
        assert_eq!(server.send(&csv(&part(bad)).body("x")).status, 400, "{bad}");
    }
    let named = at(&format!(
        "/snapshots/{SNAPSHOT}/entities/Loyalty%20Tier/parts/1"
    ));
    assert_eq!(server.send(&csv(&named).body("x")).status, 400);
    assert_eq!(server.mock.calls(), [""; 0]);

    let large = csv(&part("1")).body(vec![0; 100_001]);
    assert_eq!(server.send(&large).status, 413);
    assert_eq!(server.send(&large.chunked()).status, 413);
    let full = server.send(&csv(&part("1")).body("reject"));
    assert_eq!((full.status, full.code().as_str()), (503, "diskFull"));
    assert_eq!(full.header("sanntid-limit"), Some("freeSpace"));
    assert!(server.mock.parts.finished.lock().unwrap().is_empty());
}

#[test]
fn more_uploads_than_places_are_told_to_come_back() {
    let server = Running::with(Config {
        uploads_max: 1,
        ..Config::default()
    });
    let mut first = connect(server.address);
    let head = format!(
        "PUT {} HTTP/1.1\r\nHost: a\r\nOcp-Apim-Subscription-Key: {KEY}\r\n\
         Content-Type: text/csv\r\nContent-Length: 10\r\n\r\nabc",
        part("1")
    );
    first.write_all(head.as_bytes()).expect("written");
    // The first has its place once the port has been asked to open its part.
    while server.mock.calls().is_empty() {
        std::thread::yield_now();
    }
    let second = server.send(&csv(&part("2")).body("x"));
    assert_eq!((second.status, second.code().as_str()), (503, "overloaded"));
    assert_eq!(second.header("sanntid-limit"), Some("uploadsInFlight"));
    assert_eq!(second.header("retry-after"), Some("1"));
    // It breaks off: its part is as if never sent, and its place is free for the next.
    drop(first);
    while *server.mock.parts.dropped.lock().unwrap() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(server.send(&csv(&part("3")).body("x")).status, 204);
    assert_eq!(server.mock.parts.finished.lock().unwrap().len(), 1);
}

#[test]
fn a_part_of_which_nothing_is_known_gets_no_answer() {
    let server = Running::start();
    for body in ["panic", "unknown"] {
        let call = csv(&part("1")).body(body);
        assert!(call.exchange(server.address).is_empty(), "{body}");
    }
    assert_eq!(server.send(&csv(&part("1")).body("x")).status, 204);
}

#[test]
fn open_uploads_are_listed_with_what_has_arrived() {
    let server = Running::start();
    let answer = server.send(&Call::new("GET", &at("/snapshots")));
    assert_eq!(answer.status, 200);
    let open = &answer.json()[0];
    assert_eq!(open["snapshotId"], "00000000-0000-0000-0000-000000000007");
    assert_eq!(open["state"], "open");
    assert_eq!(open["manifest"]["entities"][0]["name"], "Customer");
    let part = &open["parts"][0];
    assert_eq!(
        (&part["entity"], &part["number"]),
        (&"Customer".into(), &1.into())
    );
    assert_eq!(part["hash"], "ab".repeat(32));
}
