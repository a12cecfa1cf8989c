//! The clock and its confirmation, on the wire.

use serde_json::json;

use crate::client::Call;
use crate::server::Running;

#[test]
fn the_clock_is_shown_and_an_operator_confirms_it() {
    let server = Running::start();
    server.mock.clock.lock().unwrap().is_trusted = false;
    for prefix in ["/api", "/v1"] {
        let shown = server.send(&Call::get(&format!("{prefix}/manage/clock")));
        let wrong = json!({"now": "2026-11-23T12:00:00.000Z", "isTrusted": false});
        assert_eq!((shown.status, shown.json()), (200, wrong));
    }
    let path = "/api/manage/clock/confirm";
    let nobody = Call::new("POST", path).without_key();
    for (call, status) in [
        (nobody, 401),
        (Call::get(path), 405),
        (Call::new("POST", "/api/manage/clock"), 405),
        (Call::new("POST", "/api/manage/clock/confirm?now=1"), 400),
    ] {
        assert_eq!(server.send(&call).status, status, "{call:?}");
        assert!(!server.mock.clock.lock().unwrap().is_trusted, "{call:?}");
    }
    let confirmed = server.send(&Call::new("POST", path));
    let right = json!({"now": "2026-11-23T12:00:00.000Z", "isTrusted": true});
    assert_eq!((confirmed.status, confirmed.json()), (200, right));
}
