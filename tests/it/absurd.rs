//! Absurd input over the wire: very much of something, packed bombs, tricks with paths and texts.
//! Each gets a clean answer, and the server goes on.

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::json;

const FIRST: &str = "2026-11-23T10:00:00Z";

fn sample(http: &Http) -> Sample {
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    sample
}

#[test]
fn very_much_of_anything_is_refused() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = sample(http);
    let customers = sample.path("/data/Customer");
    let many = |count: usize| (0..count).map(|n| format!("a{n}=b&")).collect::<String>();
    let or = "%20or%20City%20eq%20%27x%27".repeat(1_000);
    for query in [
        many(101),
        many(3_000),
        format!("$filter={}", "x".repeat(60_000)),
        format!("$filter={}", "(".repeat(20_000)),
        format!("$filter={}", "not%20".repeat(4_000)),
        format!("$filter=City%20eq%20%27x%27{or}"),
        format!("$orderby={}", "City,".repeat(5_000)),
        format!("$select={}", "City,".repeat(5_000)),
        format!("$top={}", "9".repeat(20_000)),
        format!("$skiptoken={}", "A".repeat(20_000)),
    ] {
        let answer = http.get(&format!("{customers}?{query}"));
        let shown = query.get(..20).unwrap_or(&query);
        assert!(
            matches!(answer.status, 400 | 414),
            "{shown} of {}: {}",
            query.len(),
            answer.status
        );
    }
    let json_type = [("Content-Type", "application/json")];
    let customer = sample.path("/data/Customer/C1");
    let fields: Vec<String> = (0..10_000).map(|n| format!("\"F{n}\":1")).collect();
    let same: Vec<&str> = vec!["\"City\":\"x\""; 10_000];
    let deep =
        |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    for body in [
        format!("{{{}}}", fields.join(",")),
        format!("{{{}}}", same.join(",")),
        format!("{{\"City\":{}}}", deep("[", "]")),
        format!("{{\"City\":{}}}", deep("{\"a\":", "}")),
        deep("{\"City\":", "}"),
        format!("{{\"{}\":1}}", "x".repeat(900_000)),
    ] {
        let answer = http.send("PATCH", &customer, &json_type, body.as_bytes());
        let shown = body.get(..30).unwrap_or(&body);
        assert_eq!(answer.status, 400, "{shown}");
    }
    let batch = sample.path("/data/$batch");
    for body in [deep("[", "]"), deep("{\"requests\":", "}")] {
        let answer = http.send("POST", &batch, &json_type, body.as_bytes());
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    http.get(&customer).expect(200);
}

/// Zeros, packed as gzip (RFC 1951, 1952): 16 MiB in 105 KiB.
fn bomb() -> Vec<u8> {
    let mut gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    // One fixed block: a zero, then matches of length 258 at distance 1.
    let mut bits = Bits::default();
    bits.push(0b011, 3);
    bits.literal_zero();
    for _ in 0..65_000 {
        bits.match_258_at_1();
    }
    bits.push(0, 7);
    gzip.extend(bits.finish());
    // The checksum behind it is wrong; nobody should come so far.
    gzip.extend([0; 8]);
    gzip
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// Literal 0: the code 00110000, its first bit first.
    fn literal_zero(&mut self) {
        self.push(0b0000_1100, 8);
    }

    /// Length 258 is the symbol 285, code 11000101; distance 1 the code 00000.
    fn match_258_at_1(&mut self) {
        self.push(0b1010_0011, 8);
        self.push(0, 5);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.bytes
    }
}

#[test]
fn a_packed_bomb_gets_a_clean_answer() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = sample(http);
    let bomb = bomb();
    assert!(bomb.len() < 128 << 10);
    let gzip = ("Content-Encoding", "gzip");
    let bulk = sample.path("/data/Customer/$bulk");
    let lines = [("Content-Type", "application/x-ndjson"), gzip];
    let answer = http.send("PATCH", &bulk, &lines, &bomb);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.text().contains("\"status\":4"), "{}", answer.text());
    // Where nothing is unpacked, nothing can burst.
    let json = [("Content-Type", "application/json"), gzip];
    for (method, path) in [
        ("PATCH", sample.path("/data/Customer/C1")),
        ("POST", sample.path("/data/UnifiedActivity")),
        ("POST", sample.path("/data/$batch")),
    ] {
        assert_eq!(http.send(method, &path, &json, &bomb).status, 415, "{path}");
    }
    http.get(&sample.path("/data/Customer/C1")).expect(200);
}

#[test]
fn tricks_with_paths_lead_nowhere() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = sample(http);
    let id = sample.path("").rsplit('/').next().unwrap().to_owned();
    assert_eq!(http.get(&sample.path("/data/Customer/C%31")).status, 200);
    for path in [
        "/data/Customer/%2e%2e",
        "/data/Customer/%2e%2e/C1",
        "/data/Customer/..%2fC1",
        "/data/%2e%2e/manage/realtime",
        "/data/Customer/C1%00",
        "/data/Customer/%2543%31",
        "/data/Customer/%C3%28",
        "/data/Customer/%ff",
        "/data/Customer/%u0043",
        "/data/Customer/C1%0d%0aX:%20y",
        "/data/Customer/%EF%BC%A31",
        "/data/Customer/C1%E2%80%8B",
        "/data/Customer/C1%CC%81",
        "/data/Customer/%D0%A11",
        "/data/Customer/c1",
        "/manage/..%2f..%2fmetrics",
    ] {
        let answer = http.get(&sample.path(path));
        assert!(
            matches!(answer.status, 400 | 404 | 501),
            "{path}: {}",
            answer.text()
        );
        assert!(answer.header("x").is_none(), "{path}");
    }
    for path in [
        format!("/api/instances/{id}%00/data/Customer"),
        format!("/api/instances/{id}%2f..%2f{id}/data/Customer"),
        format!("/api/..%2fapi/instances/{id}"),
    ] {
        assert_eq!(http.get(&path).status, 404, "{path}");
    }
    // The same to the eye is not the same: what is written under one is not under the other.
    let composed = json!({"CustomerId": "C1", "ActivityTime": FIRST, "ActivityType": "v", "ActivityId": "\u{e9}"});
    let taken_apart = json!({"CustomerId": "C1", "ActivityTime": FIRST, "ActivityType": "v", "ActivityId": "e\u{301}"});
    let unified = sample.path("/data/UnifiedActivity");
    for activity in [&composed, &taken_apart] {
        let answer = http.json("POST", &unified, activity).expect(201);
        assert_eq!(answer.header("sanntid-replayed"), None);
    }
}
