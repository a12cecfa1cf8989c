//! Simulations in their published shape.

use serde_json::{Value, json};

use crate::client::Call;
use crate::server::{Running, at};

#[test]
fn everything_may_be_left_out_and_reaches_the_port_as_it_is() {
    let server = Running::start();
    let post = |body: Option<Value>| {
        let call = Call::new("POST", &at("/workflows/main/simulations"));
        let call = body.map_or(call.clone(), |body| call.json(&body));
        let answer = server.send(&call);
        (answer.status, server.mock.calls().pop().unwrap_or_default())
    };
    let asked = |name, as_of, absorb, secs| {
        format!(
            "{name} SimulationRequest {{ as_of: {as_of}, absorb: {absorb}, duration_secs: {secs} }}"
        )
    };
    let all = json!({
        "asOf": "2026-11-23T12:00:00Z", "dryRun": false, "absorb": true, "durationSeconds": 3600
    });
    let as_of = "Some(Instant(1795435200000))";
    for (body, status, call) in [
        (None, 202, asked("simulate", "None", false, 0)),
        (Some(json!({})), 202, asked("simulate", "None", false, 0)),
        (Some(all), 202, asked("simulate", as_of, true, 3600)),
        (
            Some(json!({"dryRun": true, "absorb": true})),
            200,
            asked("dry_run", "None", true, 0),
        ),
    ] {
        assert_eq!(post(body.clone()), (status, call), "{body:?}");
    }
    let before = server.mock.calls().len();
    for bad in [
        json!({"durationSeconds": 3601}),
        json!({"asOf": 1}),
        json!({"asof": "2026-11-23T12:00:00Z"}),
        json!({"absorb": null}),
        json!("dryRun"),
        json!([]),
    ] {
        assert_eq!(post(Some(bad.clone())).0, 400, "{bad}");
    }
    assert_eq!(server.mock.calls().len(), before, "none got through");
}

#[test]
fn a_dry_run_answers_with_the_report_and_what_would_be_cleared() {
    let server = Running::start();
    let call = Call::new("POST", &at("/workflows/main/simulations"));
    let answer = server.send(&call.json(&json!({"dryRun": true}))).json();
    assert_eq!(
        answer,
        json!({
            "asOf": "2026-11-23T02:00:00.000Z", "rowsRead": 57416, "rowsRejected": 0,
            "profiles": 5003, "activities": 52387, "activitiesUnmatched": 26,
            "overlayFieldsCleared": 12, "overlayFieldsKept": 4, "activitiesSuperseded": 2,
            "activitiesAttached": 1, "profilesMoved": 0, "profilesVanished": 0, "generation": 7,
            "clears": [{"profileId": "c1", "field": "City"}]
        })
    );
}
