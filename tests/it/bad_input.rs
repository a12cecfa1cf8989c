//! Bad input over the wire: each gets a 4xx that says which field and why, and stores nothing.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use sanntid_testkit::{Answer, Sample, TestServer};
use serde_json::json;

const FIRST: &str = "2026-11-23T10:00:00Z";

/// Method, path, headers, body and the status that it gets.
type Case<'a> = (&'a str, String, &'a [(&'a str, &'a str)], &'a [u8], u16);

fn check_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{code}: {}", answer.text());
    let body = answer.json();
    assert_eq!(body["errorCode"], code, "{body}");
    assert_eq!(body["error"]["code"], code, "both shapes say the same");
    assert!(
        body["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    assert_eq!(body["requestId"].as_str(), answer.header("x-request-id"));
}

#[test]
fn bad_patches_name_every_bad_field_and_change_nothing() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let path = sample.path("/data/Customer/C1");
    let before = http.get(&path).expect(200).body;
    let json_type = [("Content-Type", "application/json")];
    let deep = format!(
        "{{\"City\": {}1{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    let cases: &[(&[u8], &str, &[&str])] = &[
        (b"", "invalidBody", &[]),
        (b"{", "invalidBody", &[]),
        (b"[1]", "invalidBody", &[]),
        (b"{}", "invalidBody", &[]),
        (b"{'City': 'x'}", "invalidBody", &[]),
        (b"\"{'City': 'x'}\"", "invalidBody", &[]),
        (b"{\"City\": \"\xff\"}", "invalidBody", &[]),
        (
            br#"{"City": 1, "Score": "x", "Nope": 1}"#,
            "invalidField",
            &["City", "Score", "Nope"],
        ),
        (br#"{"Nope": 1}"#, "unknownField", &["Nope"]),
        (br#"{"CustomerId": "C2"}"#, "readOnlyField", &["CustomerId"]),
        (br#"{"ContactId": "K9"}"#, "readOnlyField", &["ContactId"]),
        (
            br#"{"LifetimeValue": 9}"#,
            "readOnlyField",
            &["LifetimeValue"],
        ),
        (
            br#"{"PreviousCustomerId": "C9"}"#,
            "readOnlyField",
            &["PreviousCustomerId"],
        ),
        (
            br#"{"City": "a", "CITY": "b"}"#,
            "duplicateField",
            &["CITY"],
        ),
        (br#"{"Born": "1.2.1980"}"#, "invalidField", &["Born"]),
        (br#"{"City": "a\u0000b"}"#, "invalidField", &["City"]),
        (deep.as_bytes(), "invalidField", &["City"]),
    ];
    for (body, code, targets) in cases {
        let answer = http.send("PATCH", &path, &json_type, body);
        let shown = String::from_utf8_lossy(body)
            .chars()
            .take(60)
            .collect::<String>();
        assert_eq!(answer.status, 400, "{shown}: {}", answer.text());
        check_error(&answer, 400, code);
        if !targets.is_empty() {
            assert_eq!(answer.targets(), *targets, "{shown}");
        }
    }
    for (query, code) in [
        ("?validUntil=yesterday", "validUntilOutOfRange"),
        ("?validUntil=2026-11-23T11:59:59Z", "validUntilOutOfRange"),
        ("?validUntil=2026-12-23T12:05:01Z", "validUntilOutOfRange"),
        ("?nope=1", "invalidArgument"),
    ] {
        let answer = http.json("PATCH", &format!("{path}{query}"), &json!({"City": "x"}));
        assert!(answer.status == 400, "{query}: {}", answer.text());
        let accepted = [code, "invalidArgument"];
        assert!(
            accepted.contains(&answer.code().as_str()),
            "{query}: {}",
            answer.text()
        );
    }
    assert_eq!(
        http.get(&path).expect(200).body,
        before,
        "nothing of it is stored"
    );
}

#[test]
fn bad_requests_get_the_status_that_says_what_is_wrong() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let nobody = "/api/instances/00000000-0000-0000-0000-000000000009";
    let customer = sample.path("/data/Customer/C1");
    let too_long = sample.path(&format!("/data/Customer/{}", "x".repeat(101)));
    let json_type = ("Content-Type", "application/json");
    let big = format!("{{\"City\": \"{}\"}}", "x".repeat(1 << 20));
    let body = br#"{"City": "x"}"#;
    let table: &[Case<'_>] = &[
        ("GET", format!("{nobody}/data/Customer"), &[], b"", 404),
        ("GET", "/api/instances/no-uuid".to_owned(), &[], b"", 404),
        ("GET", sample.path("/data/Nothing"), &[], b"", 404),
        ("GET", sample.path("/data/Customer/C9"), &[], b"", 404),
        (
            "PATCH",
            sample.path("/data/Customer/C9"),
            &[json_type],
            body,
            404,
        ),
        (
            "PATCH",
            sample.path("/data/Customer/a%00b"),
            &[json_type],
            body,
            400,
        ),
        (
            "PATCH",
            sample.path("/data/Customer/a%0Ab"),
            &[json_type],
            body,
            400,
        ),
        (
            "PATCH",
            sample.path("/data/Customer/a%FFb"),
            &[json_type],
            body,
            400,
        ),
        ("PATCH", too_long, &[json_type], body, 400),
        ("PATCH", customer.clone(), &[json_type], big.as_bytes(), 413),
        (
            "PATCH",
            customer.clone(),
            &[("Content-Type", "text/xml")],
            body,
            415,
        ),
        ("PUT", customer.clone(), &[json_type], body, 405),
        ("DELETE", customer.clone(), &[], b"", 405),
        (
            "POST",
            sample.path("/data/Customer"),
            &[json_type],
            body,
            405,
        ),
        (
            "PATCH",
            sample.path("/data/UnifiedActivity/x"),
            &[json_type],
            body,
            405,
        ),
        (
            "POST",
            sample.path("/data/Nothing"),
            &[json_type],
            body,
            400,
        ),
        (
            "GET",
            customer.clone(),
            &[("Accept", "image/png")],
            b"",
            406,
        ),
        ("GET", format!("{customer}?$nope=1"), &[], b"", 400),
        (
            "GET",
            sample.path("/data/Customer?$filter=City%20eq"),
            &[],
            b"",
            400,
        ),
        ("GET", sample.path("/data/Customer?$top=-1"), &[], b"", 400),
        (
            "GET",
            sample.path("/data/Customer?$skiptoken=rubbish"),
            &[],
            b"",
            400,
        ),
        ("GET", "/nowhere".to_owned(), &[], b"", 404),
        (
            "GET",
            sample.path("/manage/segments/x/nothing"),
            &[],
            b"",
            404,
        ),
        (
            "POST",
            sample.path("/manage/measures"),
            &[json_type],
            b"{}",
            501,
        ),
        ("GET", sample.path("/hierarchies"), &[], b"", 501),
    ];
    for (method, path, headers, body, status) in table {
        let answer = http.send(method, path, headers, body);
        let shown = path.chars().take(90).collect::<String>();
        assert_eq!(
            answer.status,
            *status,
            "{method} {shown}: {}",
            answer.text()
        );
        assert!(answer.json()["errorCode"].is_string(), "{method} {shown}");
        assert!(answer.header("x-request-id").is_some(), "{method} {shown}");
    }
}

#[test]
fn without_a_key_there_is_nothing_but_health() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let nobody = http.without_key();
    let refused = nobody.get(&sample.path("/data/Customer")).expect(401);
    assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer"));
    assert_eq!(refused.code(), "unauthorized");
    let with =
        |name: &str, value: &str| nobody.send("GET", "/api/instances", &[(name, value)], b"");
    with("Authorization", "Bearer wrong").expect(401);
    with("Ocp-Apim-Subscription-Key", "wrong").expect(401);
    nobody
        .get("/api/instances?subscription-key=wrong")
        .expect(401);
    nobody.get("/healthz").expect(200);
    nobody.get("/readyz").expect(200);
    nobody
        .get("/api/instances/00000000-0000-0000-0000-000000000009")
        .expect(401);
}

#[test]
fn bad_activities_name_every_bad_field() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let unified = sample.path("/data/UnifiedActivity");
    let answer = http.json(
        "POST",
        &unified,
        &json!({"ActivityTime": "soon", "Extra": 1}),
    );
    check_error(&answer, 400, &answer.code());
    let mut targets = answer.targets();
    targets.sort();
    assert_eq!(
        targets,
        ["ActivityTime", "ActivityType", "CustomerId", "Extra"]
    );
    let orders = sample.path("/data/Shop_Orders");
    let answer = http.json("POST", &orders, &json!({"OrderId": "x", "Nope": 1}));
    let mut targets = answer.expect(400).targets();
    targets.sort();
    assert_eq!(targets, ["ContactId", "Nope", "OrderedOn"]);
    let row = json!({"OrderId": "x", "ContactId": "K9", "OrderedOn": "2026-11-23T10:00:00Z"});
    let answer = http.json("POST", &orders, &row);
    check_error(&answer, 400, "keyNotResolved");
    assert!(answer.json()["message"].as_str().unwrap().contains("K9"));
}

#[test]
fn rubbish_on_the_socket_does_not_hurt_anybody_else() {
    let server = TestServer::start();
    for rubbish in [
        &b"\x00\xff\xfe rubbish\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST",
    ] {
        let mut socket = TcpStream::connect(server.address()).unwrap();
        socket.write_all(rubbish).unwrap();
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok();
        assert!(
            !answer.starts_with(b"HTTP/1.1 2"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    server.http.get("/healthz").expect(200);
}
