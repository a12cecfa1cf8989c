//! The state of the workflow, its history, and the segments that it brought, in published shapes.

use std::sync::Arc;

use sanntid_types::{
    Attribute, EdmType, EntityName, EntitySchema, EntityType, Error, ErrorCode, JobStatus, TableId,
};
use serde_json::{Value, json};

use crate::server::Running;
use crate::stored::at;

const JOB: &str = "00000000-0000-0000-0000-000000000009";

#[test]
fn the_stages_of_a_running_job_are_the_state() {
    let server = Running::start();
    for path in ["/workflows/main/status", "/manage/workflows/main/status"] {
        let nodes = server.get(path).json();
        let nodes = nodes.as_array().expect("a list");
        let shown = |node: &Value| (node["operationType"].clone(), node["taskStatus"].clone());
        let shown: Vec<_> = nodes.iter().map(shown).collect();
        let expected = [
            (json!("ingestion"), json!("successful")),
            (json!("map"), json!("running")),
            (json!("merge"), json!("running")),
            (json!("activity"), json!("running")),
            (json!("search"), json!("running")),
            (json!("profileStore"), json!("running")),
        ];
        assert_eq!(shown, expected, "the mock's job knows of two stages");
        assert_eq!(nodes[0]["jobIds"], json!([JOB]));
        assert_eq!(nodes[0]["lastSuccessJobIds"], json!([]));
    }
    assert_eq!(server.mock.calls(), ["jobs 1000", "jobs 1000"]);
    assert_eq!(server.get("/workflows/other/status").status, 404);
    assert_eq!(server.get("/workflows/main/status?top=1").status, 400);
}

#[test]
fn the_history_has_the_newest_task_first() {
    let server = Running::start();
    let tasks = |path: &str| {
        let tasks = server.get(path).json();
        let tasks = tasks.as_array().expect("a list").iter();
        tasks
            .map(|task| task["operationType"].as_str().expect("a name").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(tasks("/workflows/main/history"), ["map", "ingestion"]);
    assert_eq!(tasks("/workflows/main/history?top=1"), ["map"]);
    for bad in ["?top=0", "?top=1001", "?top=x", "?skip=1"] {
        let path = format!("/workflows/main/history{bad}");
        assert_eq!(server.get(&path).status, 400, "{bad}");
    }
    server.mock.job.lock().unwrap().status = JobStatus::Queued;
    assert_eq!(tasks("/workflows/main/history"), [""; 0]);
}

#[test]
fn a_job_that_a_crash_interrupted_is_one_failed_task() {
    let server = Running::start();
    {
        let mut job = server.mock.job.lock().unwrap();
        job.status = JobStatus::Failed;
        job.ended_at = Some(at("2026-11-23T12:00:00Z"));
        job.stages.clear();
        job.error = Some(Error::new(ErrorCode::Interrupted, "interrupted"));
    }
    let history = server.get("/workflows/main/history").json();
    assert_eq!(history.as_array().map(Vec::len), Some(1));
    assert_eq!(history[0]["operationType"], "all");
    assert_eq!(history[0]["taskStatus"], "failed");
    assert_eq!(history[0]["endTimestamp"], "2026-11-23T12:00:00.000Z");
    assert_eq!(history[0]["ciError"]["errorCode"], "interrupted");
    let nodes = server.get("/workflows/main/status").json();
    for node in nodes.as_array().expect("a list") {
        assert_eq!(node["taskStatus"], "failed");
        assert_eq!(node["ciError"]["errorCode"], "interrupted");
    }
}

/// Adds a table of memberships to the mock's instance: three of `Best`, one of `New ones`.
pub(crate) fn load_segments(server: &Running) {
    let mut tenant = server.mock.tenant.lock().unwrap();
    let mut table = tenant.entities[0].clone();
    table.schema = Arc::new(EntitySchema {
        name: EntityName::parse("Membership").expect("a name"),
        friendly_name: None,
        entity_type: EntityType::SegmentMembership,
        attributes: vec![
            Attribute::plain("CustomerId", EdmType::String),
            Attribute::plain("SegmentName", EdmType::String),
        ],
        key: None,
    });
    table.table = TableId(4);
    tenant.entities.push(table);
}

#[test]
fn segments_have_their_members_as_of_the_snapshot() {
    let server = Running::start();
    assert_eq!(server.get("/manage/segments").json(), json!([]));
    load_segments(&server);
    let best = json!({
        "kind": "default", "name": "Best", "friendlyName": "Best", "state": "active",
        "evaluationStatus": {
            "jobStatus": "CompletedSuccess", "evaluationDate": "2026-11-23T02:00:00.000Z",
            "entityCount": 3
        },
        "instanceId": crate::client::INSTANCE
    });
    let all = server
        .get("/manage/segments?includeHistoricStats=true&historicStatsDays=5")
        .json();
    assert_eq!(all[0], best);
    assert_eq!(all[1]["name"], "New ones");
    let first = server.get("/manage/segments?numberOfSegments=1").json();
    assert_eq!(first, json!([best]));
    assert_eq!(server.get("/manage/segments/Best").json(), best);
    let named = server.get("/manage/segments/New%20ones").json();
    assert_eq!(named["evaluationStatus"]["entityCount"], 1);
    for unknown in ["best", "Worst"] {
        let answer = server.get(&format!("/manage/segments/{unknown}"));
        assert_eq!(
            (answer.status, answer.code()),
            (404, "entityNotFound".to_owned())
        );
    }
    for bad in ["?numberOfSegments=0", "?top=1", "?includeHistoricStats=x"] {
        let answer = server.get(&format!("/manage/segments{bad}"));
        assert_eq!(answer.status, 400, "{bad}");
    }
}
