//! Every operation that changes more than real-time data, done once: one record each, by its name.

use std::collections::BTreeSet;
use std::fs;

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::{Value, json};

use super::{log_of, records};

const SOURCE: &str = "3d2f8a51-5f1e-4f57-8a39-6a4a1c3e5b02";
const SCHEDULE: &str = "7d2f8a51-5f1e-4f57-8a39-6a4a1c3e5b03";
const AS_OF: &str = "2026-11-23T10:00:00Z";

/// What is done, and who looks afterwards whether it was noted.
struct Walk<'a> {
    http: &'a Http,
    instance: String,
    /// The operations that were done.
    done: BTreeSet<String>,
    count: usize,
}

impl Walk<'_> {
    /// Does an operation, and finds its record in its log.
    fn step(&mut self, log: &str, operation: &str, request: (&str, &str, &[u8])) -> (Value, Value) {
        let (method, path, body) = request;
        self.count += 1;
        let id = format!("walk-{}", self.count);
        let media = match operation {
            "put_snapshot_part" => "text/csv",
            _ => "application/json",
        };
        let headers = [("X-Request-Id", &*id), ("Content-Type", media)];
        let answer = self.http.send(method, path, &headers, body);
        assert!(
            (200..300).contains(&answer.status),
            "{operation}: {}",
            answer.text()
        );
        let found = records(self.http, log, &format!("action={operation}&outcome=done"));
        let its = |record: &&Value| record["requestId"] == *id;
        let its: Vec<&Value> = found.iter().filter(its).collect();
        assert_eq!(its.len(), 1, "{operation} leaves one record");
        assert_eq!(its[0]["actor"], "administrator");
        assert_eq!(its[0]["address"], "127.0.0.1");
        self.done.insert(operation.to_owned());
        let answer = serde_json::from_slice(&answer.body).unwrap_or_default();
        (answer, its[0].clone())
    }

    /// The same, of something in the instance.
    fn inside(
        &mut self,
        operation: &str,
        method: &str,
        rest: &str,
        body: &Value,
    ) -> (Value, Value) {
        let log = log_of(&self.instance);
        let body = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.step(
            &log,
            operation,
            (method, &format!("{log}{rest}"), body.as_bytes()),
        )
    }

    fn of_server(&mut self) {
        let new = json!({"instanceMetadata": {"name": "One", "instanceType": "sandbox"}});
        let body = new.to_string();
        let request = ("POST", "/api/instances/V2", body.as_bytes());
        let (made, record) = self.step("/api", "create_an_instance", request);
        self.instance = made["instanceId"].as_str().unwrap().to_owned();
        assert_eq!(record["target"], self.instance);
        let own = records(self.http, &log_of(&self.instance), "");
        assert_eq!(own, [record], "in both logs");
        let mut copy = new;
        copy["instanceIdToCopy"] = json!(self.instance);
        let body = copy.to_string();
        let request = ("POST", "/api/instances/copy", body.as_bytes());
        let (_, record) = self.step("/api", "copy_an_instance", request);
        assert_eq!(record["details"]["copyOf"], self.instance);
        self.step(
            "/api",
            "confirm_clock",
            ("POST", "/api/manage/clock/confirm", b""),
        );
    }

    fn of_configuration(&mut self) {
        let name = json!({"instanceMetadata": {"name": "Two"}});
        let (_, record) = self.inside("update_an_instance", "PATCH", "/V2", &name);
        assert_eq!(
            record["details"],
            json!({"name": "Two", "nameBefore": "One"})
        );
        let settings = json!({"refreshClears": "never"});
        let (_, record) = self.inside(
            "set_realtime_settings",
            "PUT",
            "/manage/realtime",
            &settings,
        );
        assert_eq!(record["details"], json!({"refreshClears": "never"}));
        let orders = json!([{
            "entityName": "Shop_Orders", "primaryKey": "OrderId", "timestamp": "OrderedOn",
            "title": "Subject", "activityType": "SalesOrder", "activityName": "Order",
            "relationship": {"foreignKey": "ContactId", "toEntity": "Shop_Contacts"}
        }]);
        self.inside("set_activities", "PUT", "/manage/activities", &orders);
        let limits = json!({"requestsPerSecond": 5000});
        let (_, record) = self.inside("set_limits", "PUT", "/manage/limits", &limits);
        assert_eq!(record["details"], json!({"requestsPerSecond": "5000"}));
        let keys = json!({"role": "viewer"});
        self.inside("set_keys", "PUT", "/manage/keys", &keys);
        let route = "/manage/keys/secondary/regenerate";
        let (key, record) = self.inside("regenerate_key", "POST", route, &Value::Null);
        assert!(!record.to_string().contains(key["key"].as_str().unwrap()));
        let roles = json!({"principalType": "group", "roles": ["contributor"]});
        let route = "/rbac/principals/crm/assignment";
        let (_, record) = self.inside("update_a_role_assignment", "PUT", route, &roles);
        assert_eq!(record["target"], "crm");
        assert_eq!(
            record["details"],
            json!({"type": "group", "roles": "contributor"})
        );
        self.inside("deletes_a_role_assignment", "DELETE", route, &Value::Null);
    }

    fn of_uploads(&mut self) {
        let log = log_of(&self.instance);
        let manifest = Sample::manifest(AS_OF);
        let open = |walk: &mut Self| {
            let (opened, _) = walk.inside("open_snapshot", "POST", "/snapshots", &manifest);
            opened["snapshotId"].as_str().unwrap().to_owned()
        };
        let aborted = open(self);
        self.inside(
            "abort_snapshot",
            "DELETE",
            &format!("/snapshots/{aborted}"),
            &Value::Null,
        );
        let upload = open(self);
        let contents = [
            ("Customer", Sample::customers(3)),
            ("Shop_Orders", Sample::orders(2)),
        ];
        for (entity, content) in contents {
            let path = format!("{log}/snapshots/{upload}/entities/{entity}/parts/1");
            let (_, record) = self.step(
                &log,
                "put_snapshot_part",
                ("PUT", &path, content.as_bytes()),
            );
            assert_eq!(record["details"]["bytes"], content.len().to_string());
        }
        let route = format!("/snapshots/{upload}/commit");
        let (job, record) = self.inside("commit_snapshot", "POST", &route, &Value::Null);
        assert_eq!(record["details"]["job"], job["jobId"]);
        sanntid_testkit::wait_for_job(self.http, &self.instance, &job);
    }

    fn of_refreshes(&mut self, location: &str) {
        let source = json!({"friendlyName": "Shop", "kind": "folder", "location": location});
        let route = format!("/manage/datasources/{SOURCE}");
        let (_, record) = self.inside("put_data_source", "PUT", &route, &source);
        assert_eq!(record["target"], SOURCE);
        let simulation = json!({"durationSeconds": 60});
        let route = "/workflows/main/simulations";
        let (job, _) = self.inside("simulate_a_refresh", "POST", route, &simulation);
        let route = format!(
            "/workflows/main/jobs/{}/cancel",
            job["jobId"].as_str().unwrap()
        );
        let (_, record) = self.inside("cancel_a_workflow_job", "POST", &route, &Value::Null);
        assert_eq!(record["target"], job["jobId"]);
        let asked = json!({"operationType": "activity"});
        let route = "/workflows/main/jobs";
        let (job, record) = self.inside("submit_a_workflow_job", "POST", route, &asked);
        assert_eq!(record["target"], job["jobId"]);
        sanntid_testkit::wait_for_job(self.http, &self.instance, &job);
        let schedule = json!({
            "scheduleId": SCHEDULE, "timezoneId": "Europe/Oslo", "cronSchedules": ["0 2 * * *"]
        });
        let route = "/workflows/main/schedules";
        self.inside("create_workflow_refresh_schedule", "POST", route, &schedule);
        let batch = "create_a_batch_of_workflow_refresh_schedules";
        self.inside(batch, "POST", &format!("{route}/batch"), &json!([schedule]));
        let route = format!("{route}/{SCHEDULE}");
        self.inside("delete_workflow_schedule", "DELETE", &route, &Value::Null);
        let route = format!("/manage/datasources/{SOURCE}");
        self.inside("delete_a_data_source", "DELETE", &route, &Value::Null);
    }

    fn of_endings(&mut self) {
        let (_, record) = self.inside(
            "erase_a_customer",
            "DELETE",
            "/customers/C1/realtime",
            &Value::Null,
        );
        assert_eq!(record["target"], "C1");
        self.inside("reset_an_instance", "DELETE", "/manage/reset", &Value::Null);
        let path = log_of(&self.instance);
        self.step("/api", "delete_an_instance", ("DELETE", &path, b""));
    }
}

/// The operations that only administrators and the operator may call, but reads.
fn administrative(http: &Http) -> BTreeSet<String> {
    let document = http.get("/openapi.json").expect(200).json();
    let mut all = BTreeSet::new();
    for item in document["paths"].as_object().unwrap().values() {
        for method in ["post", "put", "patch", "delete"] {
            let needs = item[method]["x-sanntid-needs"].as_str();
            if matches!(needs, Some("administrator" | "operator")) {
                let id = item[method]["operationId"].as_str().unwrap();
                // Another spelling of its address.
                all.insert(id.trim_end_matches("_alias").to_owned());
            }
        }
    }
    all
}

#[test]
fn every_administrative_operation_leaves_one_record_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let allowed = folder.path().join("in");
    fs::create_dir(&allowed).unwrap();
    let location = format!("file://{}", allowed.display());
    let server = TestServer::start_with(|config| {
        config.actors.data_source_folders = vec![allowed];
    });
    let mut walk = Walk {
        http: &server.http,
        instance: String::new(),
        done: BTreeSet::new(),
        count: 0,
    };
    walk.of_server();
    walk.of_configuration();
    walk.of_uploads();
    walk.of_refreshes(&location);
    walk.of_endings();
    assert_eq!(
        walk.done,
        administrative(&server.http),
        "an operation that is new: walk it, too"
    );
}
