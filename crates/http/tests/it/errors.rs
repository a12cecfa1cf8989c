//! What errors look like on the wire.

use sanntid_engine::{CallError, Readiness};
use sanntid_http::Config;
use sanntid_types::{Detail, Error, ErrorCode};
use serde_json::json;

use crate::client::{Call, parse};
use crate::server::{Running, at};

/// Every code with its status.
const STATUSES: [(ErrorCode, u16); 46] = [
    (ErrorCode::InvalidArgument, 400),
    (ErrorCode::InvalidBody, 400),
    (ErrorCode::InvalidField, 400),
    (ErrorCode::UnknownField, 400),
    (ErrorCode::DuplicateField, 400),
    (ErrorCode::ReadOnlyField, 400),
    (ErrorCode::MissingField, 400),
    (ErrorCode::ValidUntilOutOfRange, 400),
    (ErrorCode::UnknownActivityEntity, 400),
    (ErrorCode::CustomerNotFound, 400),
    (ErrorCode::KeyNotResolved, 400),
    (ErrorCode::FilterNeedsIndex, 400),
    (ErrorCode::AsOfInFuture, 400),
    (ErrorCode::TooManyRowsRejected, 400),
    (ErrorCode::Unauthorized, 401),
    (ErrorCode::Forbidden, 403),
    (ErrorCode::InstanceNotFound, 404),
    (ErrorCode::EntityNotFound, 404),
    (ErrorCode::ProfileNotFound, 404),
    (ErrorCode::ActivityNotFound, 404),
    (ErrorCode::JobNotFound, 404),
    (ErrorCode::SnapshotNotFound, 404),
    (ErrorCode::ScheduleNotFound, 404),
    (ErrorCode::RouteNotFound, 404),
    (ErrorCode::MethodNotAllowed, 405),
    (ErrorCode::NotAcceptable, 406),
    (ErrorCode::InstanceExists, 409),
    (ErrorCode::ActivityConflict, 409),
    (ErrorCode::AsOfOutdated, 409),
    (ErrorCode::SnapshotClosed, 409),
    (ErrorCode::Interrupted, 409),
    (ErrorCode::Cancelled, 409),
    (ErrorCode::ETagMismatch, 412),
    (ErrorCode::BodyTooLarge, 413),
    (ErrorCode::UriTooLong, 414),
    (ErrorCode::HeadersTooLarge, 431),
    (ErrorCode::UnsupportedContentType, 415),
    (ErrorCode::LimitExceeded, 429),
    (ErrorCode::NotServed, 501),
    (ErrorCode::Overloaded, 503),
    (ErrorCode::DiskFull, 503),
    (ErrorCode::ClockJumped, 503),
    (ErrorCode::StorePoisoned, 503),
    (ErrorCode::TenantUnavailable, 503),
    (ErrorCode::IdentityUnavailable, 503),
    (ErrorCode::Internal, 500),
];

#[test]
fn every_code_has_its_status_and_the_shape_of_both_readers() {
    let server = Running::start();
    for (code, status) in STATUSES {
        let details = vec![Detail::new(ErrorCode::InvalidField, "City", "is no text")];
        server.mock.fail(CallError::Refused(Error {
            code,
            message: "what was wrong".to_owned(),
            target: Some("City".to_owned()),
            details,
        }));
        let answer = server.get("/manage/realtime");
        assert_eq!(answer.status, status, "{code:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let name = serde_json::to_value(code).expect("a name");
        let request_id = answer.header("x-request-id").expect("a request id");
        assert_eq!(
            answer.json(),
            json!({
                "errorCode": name, "message": "what was wrong", "target": "City",
                "details": [{"errorCode": "invalidField", "message": "is no text", "target": "City"}],
                "requestId": request_id,
                "httpStatusCode": status.to_string(),
                "exceptionCulprit": if status >= 500 { "system" } else { "user" },
                "resultSeverity": "error",
                "error": {
                    "code": name, "message": "what was wrong", "target": "City",
                    "details": [{"code": "invalidField", "message": "is no text", "target": "City"}]
                }
            }),
            "{code:?}"
        );
        let retry = answer
            .header("retry-after")
            .and_then(|secs| secs.parse::<u32>().ok());
        assert_eq!(
            retry.is_some_and(|secs| secs > 0),
            matches!(status, 429 | 503),
            "{code:?}"
        );
        assert_eq!(
            answer.header("sanntid-limit").is_some(),
            matches!(status, 429 | 503),
            "{code:?}"
        );
        let bearer = answer.header("www-authenticate");
        assert_eq!(bearer, (status == 401).then_some("Bearer"), "{code:?}");
    }
}

#[test]
fn an_overload_names_the_limit_that_was_met() {
    let server = Running::start();
    for (target, named) in [
        (Some("writesInFlight"), "writesInFlight"),
        (None, "load"),
        (Some("å"), "load"),
    ] {
        let mut error = Error::new(ErrorCode::Overloaded, "too many");
        error.target = target.map(str::to_owned);
        server.mock.fail(CallError::Refused(error));
        let answer = server.get("/manage/realtime");
        assert_eq!(answer.header("sanntid-limit"), Some(named), "{target:?}");
    }
}

#[test]
fn an_unknown_outcome_closes_the_connection_without_an_answer() {
    let server = Running::start();
    server.mock.fail(CallError::Unknown);
    for call in [
        Call::new("PATCH", &at("/data/Customer/c1")).json(&json!({"City": "Oslo"})),
        Call::new("POST", &at("/data/UnifiedActivity")).json(&json!({})),
        Call::new("PUT", &at("/manage/realtime")).json(&json!({})),
    ] {
        let bytes = call.exchange(server.address);
        assert_eq!(String::from_utf8_lossy(&bytes), "", "{call:?}");
    }
    assert_eq!(
        server.mock.patches.lock().unwrap().len(),
        1,
        "the write was tried"
    );
    *server.mock.failure.lock().unwrap() = None;
    assert_eq!(server.get("").status, 200, "the server goes on");
}

#[test]
fn a_panicking_read_is_a_500_and_the_worker_goes_on() {
    let server = Running::start();
    *server.mock.panics.lock().unwrap() = true;
    for _ in 0..3 {
        let call = Call::get(&at("/manage/realtime")).header("x-request-id", "mine");
        let answer = server.send(&call);
        assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
        assert_eq!(answer.header("x-request-id"), Some("mine"));
        assert_eq!(answer.json()["requestId"], "mine");
        assert!(!answer.text().contains("told to panic"));
    }
    // A write may have been stored before it panicked: it gets no answer.
    let patch = Call::new("PATCH", &at("/data/Customer/c1")).body("{}");
    assert!(patch.exchange(server.address).is_empty());
    *server.mock.panics.lock().unwrap() = false;
    assert_eq!(server.get("").status, 200);
}

#[test]
fn a_request_id_is_taken_where_it_is_well_formed() {
    let server = Running::start();
    let longest = "x".repeat(128);
    for good in ["1", "a-b_c.d:e/f", longest.as_str()] {
        let answer = server.send(&Call::get("/healthz").header("X-Request-Id", good));
        assert_eq!(answer.header("x-request-id"), Some(good));
    }
    let mut made = Vec::new();
    for bad in ["", "a b", "å", &"x".repeat(129)] {
        let answer = server.send(&Call::get("/healthz").header("X-Request-Id", bad));
        let id = answer.header("x-request-id").expect("an id");
        assert!(uuid::Uuid::try_parse(id).is_ok(), "{bad:?} gave {id:?}");
        made.push(id.to_owned());
    }
    made.dedup();
    assert_eq!(made.len(), 4, "each is another");
}

#[test]
fn readiness_follows_the_port() {
    let server = Running::start();
    *server.mock.readiness.lock().unwrap() = Readiness::NotReady("the disk is full");
    let answer = server.send(&Call::get("/readyz").without_key());
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("the disk is full"));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(
        server.send(&Call::get("/healthz").without_key()).status,
        200
    );
}

#[test]
fn a_graceful_stop_takes_no_more_connections() {
    let mut server = Running::start();
    let kept = server.get("");
    assert_eq!(kept.status, 200);
    server.stop();
    assert!(std::net::TcpStream::connect(server.address).is_err());
}

#[test]
fn a_graceful_stop_waits_for_what_is_under_way() {
    let mut server = Running::start();
    let gate = std::sync::Arc::clone(&server.mock.gate);
    let closed = gate.door.lock().unwrap();
    let address = server.address;
    let read = std::thread::spawn(move || Call::get(&at("/data/Customer")).send(address).status);
    while gate.entered() == 0 {
        std::thread::yield_now();
    }
    let stopping = std::thread::spawn(move || server.stop());
    drop(closed);
    assert_eq!(read.join().expect("an answer"), 200);
    stopping.join().expect("a good end");
}

#[test]
fn more_scans_than_places_are_told_to_come_back() {
    let server = Running::with(Config {
        scans_max: 1,
        ..Config::default()
    });
    let gate = std::sync::Arc::clone(&server.mock.gate);
    let closed = gate.door.lock().unwrap();
    let address = server.address;
    let first = std::thread::spawn(move || Call::get(&at("/data/Customer")).send(address).status);
    while gate.entered() == 0 {
        std::thread::yield_now();
    }
    let second = server.get("/data/Customer");
    assert_eq!((second.status, second.code().as_str()), (503, "overloaded"));
    assert_eq!(second.header("sanntid-limit"), Some("scansInFlight"));
    assert_eq!(
        server.get("/data/Customer/c1").status,
        200,
        "one row needs no place"
    );
    drop(closed);
    assert_eq!(first.join().expect("an answer"), 200);
    assert_eq!(
        server.get("/data/Customer").status,
        200,
        "the place is free again"
    );
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    use std::io::{Read as _, Write as _};
    let server = Running::start();
    let mut stream = crate::client::connect(server.address);
    let first = "GET /healthz HTTP/1.1\r\nHost: a\r\nx-request-id: one\r\n\r\n";
    let second =
        "GET /readyz HTTP/1.1\r\nHost: a\r\nx-request-id: two\r\nConnection: close\r\n\r\n";
    stream
        .write_all(format!("{first}{second}").as_bytes())
        .expect("written");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("read");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert_eq!(parse(&bytes).header("x-request-id"), Some("one"));
    assert!(
        text.find("x-request-id: one") < text.find("x-request-id: two"),
        "{text}"
    );
}
