//! What browsers and caches are told: headers of every answer, and which pages may call.

use sanntid_http::Config;

use crate::client::{Answer, Call};
use crate::server::{Running, at};

const HEADERS: [&str; 7] = [
    "x-content-type-options",
    "referrer-policy",
    "x-frame-options",
    "content-security-policy",
    "cache-control",
    "strict-transport-security",
    "access-control-allow-origin",
];

fn of(answer: &Answer) -> [Option<&str>; 7] {
    HEADERS.map(|name| answer.header(name))
}

#[test]
fn every_answer_says_to_guess_nothing_to_embed_nothing_and_to_keep_no_data() {
    let server = Running::start();
    *server.mock.panics.lock().unwrap() = false;
    let data = [
        Some("nosniff"),
        Some("no-referrer"),
        Some("DENY"),
        Some("default-src 'none'; frame-ancestors 'none'"),
        Some("no-store"),
        None,
        None,
    ];
    for call in [
        Call::get("/healthz"),
        Call::get("/metrics"),
        Call::get("/nowhere"),
        Call::get("/api/%FF"),
        Call::get("/api/instances").without_key(),
        Call::get(&at("/data/Customer")),
        Call::get(&at("/data/Nobody")),
        Call::new("PUT", &at("/data/Customer/c1")),
        Call::new("OPTIONS", "/api/instances").header("Origin", "https://a"),
        Call::new("PATCH", &at("/data/Customer/c1")).body("{}"),
    ] {
        assert_eq!(of(&server.send(&call)), data, "{call:?}");
    }
    *server.mock.panics.lock().unwrap() = true;
    let panicked = server.get("/manage/realtime");
    assert_eq!((panicked.status, of(&panicked)), (500, data));
}

#[test]
fn what_has_a_version_may_be_kept_by_who_asked_and_asked_for_again() {
    let server = Running::start();
    let first = server.get("/data/Customer/c1");
    let etag = first.header("etag").expect("a version").to_owned();
    assert_eq!(first.header("cache-control"), Some("private, no-cache"));
    let again = Call::get(&at("/data/Customer/c1")).header("If-None-Match", &etag);
    let again = server.send(&again);
    assert_eq!(again.status, 304);
    assert_eq!(again.header("cache-control"), Some("private, no-cache"));
}

#[test]
fn the_page_runs_and_loads_nothing_but_what_is_from_here() {
    let server = Running::start();
    for path in ["/docs", "/docs/", "/docs/swagger-ui.css", "/openapi.json"] {
        let answer = server.send(&Call::get(path).without_key());
        let policy = answer.header("content-security-policy").expect("a policy");
        for part in [
            "script-src 'self';",
            "connect-src 'self';",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{path}");
        assert_eq!(answer.header("x-frame-options"), Some("DENY"), "{path}");
    }
}

fn open_to(origins: &[&str]) -> Running {
    Running::with(Config {
        cors_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        ..Config::default()
    })
}

fn preflight(path: &str, origin: &str) -> Call {
    Call::new("OPTIONS", path)
        .without_key()
        .header("Origin", origin)
        .header("Access-Control-Request-Method", "PATCH")
        .header(
            "Access-Control-Request-Headers",
            "ocp-apim-subscription-key",
        )
}

#[test]
fn no_page_may_call_unless_its_origin_is_configured() {
    let server = Running::start();
    let asked = server.send(&preflight(&at("/data/Customer/c1"), "https://app.example"));
    assert_eq!(asked.status, 401);
    let read = Call::get(&at("/data/Customer")).header("Origin", "https://app.example");
    let read = server.send(&read);
    for answer in [asked, read] {
        let of_cors = |(name, _): &&(String, String)| name.starts_with("access-control-");
        assert_eq!(answer.headers.iter().find(of_cors), None);
        assert_eq!(answer.header("vary"), None);
    }
}

#[test]
fn a_page_of_a_configured_origin_may_call_and_no_other() {
    let server = open_to(&["https://app.example", "http://localhost:3000"]);
    for origin in ["https://app.example", "http://localhost:3000"] {
        let asked = server.send(&preflight(&at("/data/Customer/c1"), origin));
        assert_eq!(asked.status, 204, "without a key");
        assert_eq!(asked.header("access-control-allow-origin"), Some(origin));
        assert_eq!(asked.header("vary"), Some("Origin"));
        assert!(
            asked
                .header("access-control-allow-methods")
                .is_some_and(|m| m.contains("PATCH"))
        );
        let headers = asked
            .header("access-control-allow-headers")
            .expect("headers");
        assert!(headers.contains("ocp-apim-subscription-key"), "{headers}");
        for call in [
            Call::get(&at("/data/Customer")),
            Call::get(&at("/data/Customer")).without_key(),
            Call::get("/nowhere"),
        ] {
            let answer = server.send(&call.header("Origin", origin));
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            let exposed = answer
                .header("access-control-expose-headers")
                .expect("headers");
            assert!(exposed.contains("etag") && exposed.contains("retry-after"));
        }
    }
    for other in [
        "https://app.example.evil",
        "https://app.example:8443",
        "http://app.example",
        "https://APP.example",
        "null",
        "*",
        "",
    ] {
        assert_eq!(
            server.send(&preflight(&at(""), other)).status,
            401,
            "{other}"
        );
        let answer = server.send(&Call::get(&at("")).header("Origin", other));
        assert_eq!(answer.status, 200, "a browser alone keeps it from the page");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            None,
            "{other}"
        );
        assert_eq!(answer.header("vary"), Some("Origin"), "for caches");
    }
    let two = preflight(&at(""), "https://app.example").header("Origin", "https://evil.example");
    assert_eq!(
        server.send(&two).header("access-control-allow-origin"),
        None
    );
    // Without what a browser asks for it is no question, and the key is needed.
    let plain = Call::new("OPTIONS", &at("")).header("Origin", "https://app.example");
    assert_eq!(server.send(&plain.clone().without_key()).status, 401);
    assert_eq!(server.send(&plain).status, 405);
}
