//! Copies of instances: configuration and current generation, never what callers wrote.

use sanntid_testkit::{Http, Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

/// Copies an instance and waits for its first job, where it has one.
fn copied(http: &Http, source: &str) -> String {
    let body = json!({"instanceIdToCopy": source, "instanceMetadata": {"name": "Copy"}});
    let made = http.json("POST", "/api/instances/copy", &body).expect(200);
    let id = made.json()["instanceId"].as_str().unwrap().to_owned();
    let jobs = format!("/api/instances/{id}/workflows/main/jobs");
    if let Some(job) = http.get(&jobs).expect(200).json().get(0) {
        let ended = wait_for_job(http, &id, job);
        assert_eq!(ended["jobStatus"], "successful", "{ended}");
        for task in ended["tasks"].as_array().unwrap() {
            assert_eq!(task["taskStatus"], "successful", "{ended}");
        }
    }
    id
}

fn at(instance: &str, rest: &str) -> String {
    format!("/api/instances/{instance}{rest}")
}

fn rows(http: &Http, path: &str) -> Value {
    http.get(path).expect(200).json()["value"].clone()
}

#[test]
fn a_copy_has_the_source_of_truth_and_the_configuration_but_no_real_time_data() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let lost = "O9,nobody,2026-11-01T10:00:00Z,Of nobody\n";
    let orders = Sample::orders(2) + lost;
    sample.load(FIRST, &Sample::customers(3), &orders);
    let settings = json!({"refreshClears": "always", "asOfMarginSecs": 7,
        "profileTtlDefault": "1h", "activityTtlDefault": "2d", "rowsRejectedMaxPercent": 5.0});
    http.json("PUT", &sample.path("/manage/realtime"), &settings)
        .expect(200);
    http.json(
        "PATCH",
        &sample.path("/data/Customer/C1"),
        &json!({"City": "Bergen"}),
    )
    .expect(204);
    let visit = json!({"CustomerId": "C1", "ActivityTime": "2026-11-23T09:00:00Z",
        "ActivityType": "Visit", "ActivityId": "v1"});
    http.json("POST", &sample.path("/data/UnifiedActivity"), &visit)
        .expect(201);

    let copy = copied(http, &sample.instance);
    for path in ["/data/Customer?view=source", "/manage/activities"] {
        let (own, other) = (http.get(&sample.path(path)), http.get(&at(&copy, path)));
        let (own, other) = (own.expect(200).json(), other.expect(200).json());
        let of = |json: &Value| json.get("value").unwrap_or(json).clone();
        assert_eq!(of(&own), of(&other), "{path}");
    }
    let held = http.get(&at(&copy, "/manage/realtime")).expect(200).json();
    assert_eq!(held, settings);
    assert_eq!(
        rows(http, &at(&copy, "/data/Customer/"))[0]["City"],
        "Oslo 1"
    );
    let timeline = rows(http, &at(&copy, "/customers/C1/timeline"));
    let ids: Vec<_> = timeline
        .as_array()
        .unwrap()
        .iter()
        .map(|a| &a["ActivityId"])
        .collect();
    assert_eq!(ids, ["Shop_Orders:O1"]);
    let report = &http
        .get(&at(&copy, "/workflows/main/jobs"))
        .expect(200)
        .json()[0]["report"];
    assert_eq!(
        (
            &report["profiles"],
            &report["activities"],
            &report["activitiesUnmatched"]
        ),
        (&json!(3), &json!(2), &json!(1))
    );

    // Each lives on by itself.
    let path = at(&copy, "/data/Customer/C2");
    http.json("PATCH", &path, &json!({"City": "Moss"}))
        .expect(204);
    http.delete(&sample.path("")).expect(200);
    assert_eq!(http.get(&path).expect(200).json()["City"], "Moss");
    let order = json!({"OrderId": "O7", "ContactId": "K3", "OrderedOn": "2026-11-23T09:00:00Z"});
    http.json("POST", &at(&copy, "/data/Shop_Orders"), &order)
        .expect(201);
}

#[test]
fn an_empty_instance_is_copied_without_a_job_and_what_is_not_there_not_at_all() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let copy = copied(http, &sample.instance);
    let jobs = http.get(&at(&copy, "/workflows/main/jobs")).expect(200);
    assert_eq!(jobs.json(), json!([]));
    assert_eq!(rows(http, &at(&copy, "/data/Customer")), json!([]));

    let copy = |body: Value| http.json("POST", "/api/instances/copy", &body);
    let metadata = json!({"name": "Copy"});
    let nobody = json!({"instanceIdToCopy": "00000000-0000-0000-0000-000000000001",
        "instanceMetadata": metadata});
    assert_eq!(copy(nobody).expect(400).targets(), Vec::<String>::new());
    let taken = json!({"instanceIdToCopy": sample.instance,
        "instanceMetadata": {"name": "Copy", "instanceId": sample.instance}});
    assert_eq!(copy(taken).expect(409).code(), "instanceExists");
    for bad in [
        json!({"instanceMetadata": metadata}),
        json!({"instanceIdToCopy": "x", "instanceMetadata": metadata}),
        json!({"instanceIdToCopy": sample.instance}),
        json!({"instanceIdToCopy": sample.instance, "instanceMetadata": metadata, "extra": 1}),
        json!({"instanceIdToCopy": sample.instance, "instanceMetadata": {"name": ""}}),
    ] {
        let refused = copy(bad.clone());
        assert_eq!(refused.status, 400, "{bad}");
    }
}
