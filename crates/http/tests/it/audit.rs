//! Audit logs: their shape, their pages, and which refusals are noted.

use sanntid_engine::{AuditLog, AuditQuery};
use sanntid_types::ErrorCode;
use serde_json::json;

use crate::client::{Call, INSTANCE};
use crate::server::Running;
use crate::stored::{at, instance};

#[test]
fn a_log_comes_newest_first_in_pages_that_keep_what_was_asked() {
    let server = Running::start();
    let first =
        server.get("/manage/audit?actor=user:a%20b&outcome=done&from=2026-11-01T00:00:00Z&top=2");
    let first = first.json();
    let expected = json!([
        {
            "auditId": "00000000-0000-0000-0000-000000000003", "at": "2026-11-23T12:00:00.000Z",
            "actor": "server", "address": "192.0.2.1", "requestId": "r1", "action": "rename",
            "target": "t", "outcome": "done", "errorCode": null, "details": {"name": "B"}
        },
        {
            "auditId": "00000000-0000-0000-0000-000000000002", "at": "2026-11-23T12:00:00.000Z",
            "actor": "server", "address": "192.0.2.1", "requestId": "r1", "action": "rename",
            "target": null, "outcome": "refused", "errorCode": "forbidden", "details": {}
        }
    ]);
    assert_eq!(first["value"], expected);
    let link = first["nextLink"].as_str().unwrap();
    let (_, path) = link
        .split_once(&format!("/api/instances/{INSTANCE}"))
        .expect(link);
    let last = server.get(path).json();
    assert_eq!(
        (last["value"].as_array().unwrap().len(), &last["nextLink"]),
        (1, &json!(null))
    );
    let asked = server.mock.audit.lock().unwrap().clone();
    let query = AuditQuery {
        from: Some(at("2026-11-01T00:00:00Z")),
        actor: Some("user:a b".to_owned()),
        is_done: Some(true),
        top: 2,
        ..AuditQuery::default()
    };
    assert_eq!(asked[0], (AuditLog::Instance(instance()), query.clone()));
    let (_, second) = &asked[1];
    let after = second.after.expect("a place");
    assert_eq!(
        (after.at, after.id.0.as_u128()),
        (at("2026-11-23T12:00:00Z"), 2)
    );
    assert_eq!(
        AuditQuery {
            after: None,
            ..second.clone()
        },
        query
    );
    let of_server = server.send(&Call::get("/v1/manage/audit")).json();
    assert!(
        of_server["nextLink"]
            .as_str()
            .unwrap()
            .contains("/v1/manage/audit?top=100&skipToken=")
    );
    assert_eq!(
        server.mock.audit.lock().unwrap().last().unwrap().0,
        AuditLog::Server
    );
}

#[test]
fn refusals_are_noted_by_what_they_were_for() {
    let server = Running::start();
    let path = |rest: &str| format!("/api/instances/{INSTANCE}{rest}");
    let delete = || Call::new("DELETE", &path("/manage/reset"));
    let own = AuditLog::Instance(instance());
    let noted = |call: Call| {
        server.send(&call);
        let mut all = std::mem::take(&mut *server.mock.refused.lock().unwrap());
        assert!(all.len() <= 1);
        all.pop()
            .map(|one| (one.log, one.by.name, one.by.operation, one.code))
    };
    let of = |log, name: &str, operation: &str, code| {
        Some((log, name.to_owned(), operation.to_owned(), code))
    };
    let nobody = ErrorCode::Unauthorized;
    assert_eq!(
        noted(delete().without_key()),
        of(own, "nobody", "reset_an_instance", nobody)
    );
    let alias = Call::get("/v1/manage/clock").without_key();
    assert_eq!(
        noted(alias),
        of(AuditLog::Server, "nobody", "get_clock", nobody)
    );
    let nowhere = Call::get(&path("/nowhere/at/all")).without_key();
    assert_eq!(noted(nowhere), of(own, "nobody", "unmatched", nobody));
    let wrong = Call::new("DELETE", &path("/manage/reset?x=1"));
    let invalid = ErrorCode::InvalidArgument;
    assert_eq!(
        noted(wrong),
        of(own, "administrator", "reset_an_instance", invalid)
    );
    // What is done is noted by whoever does it; what is read or written wrongly is nobody's matter.
    assert_eq!(noted(delete()), None);
    assert_eq!(noted(Call::get(&path("/manage/audit?top=0"))), None);
    assert_eq!(
        noted(Call::new("PATCH", &path("/data/Customer('c1')")).body("{")),
        None
    );
    assert_eq!(
        noted(Call::get(
            "/api/instances/00000000-0000-4000-8000-000000000000"
        )),
        None
    );
}
