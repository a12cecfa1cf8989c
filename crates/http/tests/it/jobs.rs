//! Jobs in their published shape.

use sanntid_types::{Error, ErrorCode, JobStatus};
use serde_json::{Value, json};

use crate::client::Call;
use crate::server::{Running, at};
use crate::stored::report;

const JOB: &str = "00000000-0000-0000-0000-000000000009";

#[test]
fn a_job_is_submitted_by_options_or_by_a_body() {
    let server = Running::start();
    let post = |query: &str, body: Option<Value>| {
        let call = Call::new("POST", &at(&format!("/workflows/main/jobs{query}")));
        let call = body.map_or(call.clone(), |body| call.json(&body));
        let answer = server.send(&call);
        (answer.status, server.mock.calls().pop().unwrap_or_default())
    };
    let refresh = "submit_job Refresh(RefreshRequest { sources: [], forced: false })".to_owned();
    let forced = "submit_job Refresh(RefreshRequest { sources: [\
                  DataSourceId(00000000-0000-0000-0000-00000000000a), \
                  DataSourceId(00000000-0000-0000-0000-00000000000b)], forced: true })";
    let forced = forced.to_owned();
    let reproject = "submit_job Reproject".to_owned();
    for (query, body, done) in [
        ("", None, &refresh),
        (
            "?operationType=all&identifiers=00000000-0000-0000-0000-00000000000b&identifiers=00000000-0000-0000-0000-00000000000a&forceRunRequested=true",
            None,
            &forced,
        ),
        ("?operationType=activity", None, &reproject),
        (
            "",
            Some(json!({"operationType": "activity", "graphName": "main"})),
            &reproject,
        ),
        (
            "",
            Some(json!({"operationType": "ingestion", "options": {}, "jobType": "full"})),
            &refresh,
        ),
        (
            "?operationType=all",
            Some(json!({"operationType": "activity"})),
            &refresh,
        ),
    ] {
        assert_eq!(post(query, body), (200, done.clone()), "{query}");
    }
    let asked = server.mock.calls().len();
    assert_eq!(post("?operationType=segmentation", None).0, 501);
    assert_eq!(post("?operationType=everything", None).0, 400);
    assert_eq!(post("?forceRunRequested=1", None).0, 400);
    assert_eq!(post("?identifiers=nightly", None).0, 404);
    assert_eq!(server.mock.calls().len(), asked);
}

#[test]
fn a_running_job_shows_how_far_it_came() {
    let server = Running::start();
    let job = server.get(&format!("/workflows/main/jobs/{JOB}")).json();
    let task = |task_id: &Value, name: &str, status: &str, rows: u64| {
        json!({
            "taskId": task_id, "taskStatus": status, "operationType": name, "jobIds": [JOB],
            "submittedTimestamp": "2026-11-23T11:00:00.000Z", "rows": rows, "rowsTotal": 100
        })
    };
    let stage = |name: &str, status: &str, rows: u64| json!({"name": name, "status": status, "rows": rows, "rowsTotal": 100, "durationMs": 5});
    let ids = [&job["tasks"][0]["taskId"], &job["tasks"][1]["taskId"]];
    assert_ne!(ids[0], ids[1]);
    assert_eq!(
        job,
        json!({
            "jobId": JOB, "jobType": "full", "jobSubmissionKind": "onDemand",
            "jobStatus": "running", "operationType": "all",
            "submittedTimestamp": "2026-11-23T11:00:00.000Z",
            "startTimestamp": "2026-11-23T11:00:01.000Z",
            "tasks": [
                task(ids[0], "ingestion", "successful", 100),
                task(ids[1], "map", "running", 40)
            ],
            "idList": [],
            "report": {"stages": [
                stage("ingestion", "successful", 100), stage("map", "running", 40)
            ]}
        })
    );
    let again = server.get(&format!("/workflows/main/jobs/{JOB}")).json();
    assert_eq!(again, job, "the same task keeps its id");
    let bare = server
        .get(&format!("/workflows/main/jobs/{JOB}?includeTasks=false"))
        .json();
    assert_eq!(bare["tasks"], Value::Null);
}

#[test]
fn an_ended_job_has_its_report_or_its_error() {
    let server = Running::start();
    {
        let mut job = server.mock.job.lock().unwrap();
        job.status = JobStatus::Successful;
        job.report = Some(report());
    }
    let job = server.get(&format!("/workflows/main/jobs/{JOB}")).json();
    assert_eq!(job["report"]["profiles"], 5003);
    assert_eq!(job["report"]["overlayFieldsCleared"], 12);
    assert_eq!(job["report"]["generation"], 7);
    assert_eq!(job["report"]["stages"][0]["name"], "ingestion");
    {
        let mut job = server.mock.job.lock().unwrap();
        job.status = JobStatus::Failed;
        job.report = None;
        job.stages[1].status = JobStatus::Failed;
        job.error = Some(Error::new(
            ErrorCode::TooManyRowsRejected,
            "2 % of Customer",
        ));
    }
    let job = server.get(&format!("/workflows/main/jobs/{JOB}")).json();
    let why = json!({
        "exceptionCulprit": "user", "errorCode": "tooManyRowsRejected", "resultSeverity": "error",
        "message": "2 % of Customer"
    });
    assert_eq!(job["ciError"], why);
    assert_eq!(job["tasks"][0]["ciError"], Value::Null);
    assert_eq!(job["tasks"][1]["ciError"], why);
}

#[test]
fn jobs_are_listed_cancelled_and_asked_for_their_rejections() {
    let server = Running::start();
    assert_eq!(server.get("/workflows/main/jobs").json()[0]["jobId"], JOB);
    assert_eq!(
        server
            .get("/workflows/main/jobs?top=3&includeTasks=true")
            .status,
        200
    );
    let cancel = Call::new("POST", &at(&format!("/workflows/main/jobs/{JOB}/cancel")));
    assert_eq!(server.send(&cancel).json()["jobStatus"], "aborted");
    let rejections = server
        .get(&format!("/workflows/main/jobs/{JOB}/rejections"))
        .json();
    assert_eq!(
        rejections,
        json!([{
            "kind": "unmatched", "entity": "Ecommerce_OnlinePurchases", "part": 1,
            "row": 17, "reason": "no profile has the key"
        }])
    );
    server.get(&format!("/workflows/main/jobs/{JOB}/rejections?top=1000"));
    assert_eq!(
        server.mock.calls(),
        [
            "jobs 20".to_owned(),
            "jobs 3".to_owned(),
            format!("cancel_job {JOB}"),
            format!("job_rejections {JOB} 100"),
            format!("job_rejections {JOB} 1000"),
        ]
    );
    for bad in [
        "?top=0",
        "?top=101",
        "?top=x",
        "?includeTasks=maybe",
        "?skip=1",
    ] {
        assert_eq!(
            server.get(&format!("/workflows/main/jobs{bad}")).status,
            400,
            "{bad}"
        );
    }
}
