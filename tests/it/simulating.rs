//! Simulated refreshes over HTTP: what they clear, absorb and refuse, and what a generation may not be
//! used for that is a simulation's.

use std::time::Duration;

use sanntid_testkit::{Answer, Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
/// When the server's clock stands at its start.
const NOON: &str = "2026-11-23T12:00:00.000Z";

struct Place {
    server: TestServer,
    sample: Sample,
}

impl Place {
    fn new() -> Self {
        let server = TestServer::start();
        let sample = Sample::create(&server.http);
        sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
        Self { server, sample }
    }

    fn wait(&self, secs: u64) {
        self.server.clock.advance(Duration::from_secs(secs));
    }

    fn post(&self, body: &Value) -> Answer {
        let path = self.sample.path("/workflows/main/simulations");
        self.server.http.json("POST", &path, body)
    }

    fn simulate(&self, body: &Value) -> Value {
        let job = self.post(body).expect(202).json();
        wait_for_job(&self.server.http, &self.sample.instance, &job)
    }

    fn patch(&self, id: &str, city: &str) {
        let path = self.sample.path(&format!("/data/Customer/{id}"));
        let patched = self
            .server
            .http
            .json("PATCH", &path, &json!({"City": city}));
        patched.expect(204);
    }

    fn city(&self, id: &str, options: &str) -> String {
        let path = format!("/data/Customer('{id}'){options}");
        let read = self.server.http.get(&self.sample.path(&path)).expect(200);
        read.json()["City"].as_str().unwrap().to_owned()
    }

    fn append(&self, id: &str) -> u16 {
        let visit = json!({
            "ActivityId": id, "CustomerId": "C1", "ActivityType": "Visit",
            "ActivityTime": "2026-11-23T11:00:00Z", "Title": "came by",
            "SemanticData": {"rooms": 2}
        });
        let path = self.sample.path("/data/UnifiedActivity");
        self.server.http.json("POST", &path, &visit).status
    }

    fn activities(&self, options: &str) -> Vec<String> {
        let path = format!("/data/UnifiedActivity?$filter=CustomerId%20eq%20'C1'{options}");
        let read = self.server.http.get(&self.sample.path(&path)).expect(200);
        let rows = read.json()["value"].as_array().unwrap().clone();
        let ids = rows
            .iter()
            .map(|row| row["ActivityId"].as_str().unwrap().to_owned());
        ids.collect()
    }

    fn export_status(&self, entity: &str) -> u16 {
        let path = self.sample.path(&format!("/exports/{entity}"));
        self.server.http.get(&path).status
    }
}

#[test]
fn without_absorbing_the_source_s_values_come_back_and_a_dry_run_has_said_so() {
    let place = Place::new();
    place.patch("C1", "Bergen");
    place.wait(10);
    place.patch("C2", "Voss");
    place.wait(10);
    let as_of = "2026-11-23T12:00:05Z";
    let said = place
        .post(&json!({"asOf": as_of, "dryRun": true}))
        .expect(200)
        .json();
    assert_eq!(
        said["clears"],
        json!([{"profileId": "C1", "field": "City"}])
    );
    assert_eq!(place.city("C1", ""), "Bergen", "nothing has changed");
    assert_eq!(place.export_status("Customer"), 200);

    let job = place.simulate(&json!({"asOf": as_of}));
    assert_eq!(
        (&job["jobStatus"], &job["operationType"]),
        (&json!("successful"), &json!("all"))
    );
    let mut report = job["report"].clone();
    let fields = report.as_object_mut().unwrap();
    let stages = fields.remove("stages").unwrap();
    assert_eq!(stages.as_array().unwrap().len(), 6);
    let mut said = said;
    said.as_object_mut().unwrap().remove("clears");
    assert_eq!(report, said, "the report is what the dry run gave");
    assert_eq!(report["overlayFieldsCleared"], 1);
    assert_eq!(report["overlayFieldsKept"], 1);
    assert_eq!(place.city("C1", ""), "Oslo 1");
    assert_eq!(place.city("C2", ""), "Voss");
}

#[test]
fn what_is_absorbed_shows_as_the_source_s_until_a_real_refresh_that_knows_nothing_of_it() {
    let place = Place::new();
    place.patch("C1", "Bergen");
    assert_eq!(place.append("v1"), 201);
    place.wait(10);
    let before = place.activities("");
    let job = place.simulate(&json!({"absorb": true}));
    assert_eq!(job["report"]["activitiesSuperseded"], 1, "{job}");
    assert_eq!(job["report"]["overlayFieldsCleared"], 1);
    for options in ["", "?view=source"] {
        assert_eq!(place.city("C1", options), "Bergen", "{options}");
    }
    assert_eq!(place.activities(""), before, "each once, in the same order");
    assert_eq!(place.activities("&view=source"), before);
    let card = place.sample.path("/customers/C1/card");
    let card = place.server.http.get(&card).expect(200).json();
    assert_eq!(card["timeline"]["value"][0]["Title"], "came by", "{card}");
    let one = place
        .sample
        .path("/data/UnifiedActivity?$filter=ActivityId%20eq%20'v1'");
    let one = place.server.http.get(&one).expect(200).json();
    let semantic = one["value"][0]["SemanticData"].as_str().unwrap_or_default();
    assert!(semantic.contains("\"rooms\":2"), "{one}");

    for entity in ["Customer", "Shop_Orders"] {
        assert_eq!(place.export_status(entity), 409, "{entity}");
    }
    let orders = place
        .sample
        .load(NOON, &Sample::customers(2), &Sample::orders(2));
    assert_eq!(orders["jobStatus"], "successful", "{orders}");
    assert_eq!(place.export_status("Customer"), 200);
    assert_eq!(place.city("C1", ""), "Oslo 1");
    assert_eq!(
        place.activities(""),
        before,
        "real-time again, until it expires"
    );
    assert_eq!(place.activities("&view=source").len(), before.len() - 1);
}

#[test]
fn a_simulation_takes_its_time_and_can_be_cancelled() {
    let place = Place::new();
    place.patch("C1", "Bergen");
    let job = place
        .post(&json!({"durationSeconds": 60}))
        .expect(202)
        .json();
    place.patch("C1", "Voss");
    let other = place
        .post(&json!({"durationSeconds": 3600, "absorb": true}))
        .expect(202)
        .json();
    assert_ne!(job["jobId"], other["jobId"]);
    place.wait(61);
    let job = wait_for_job(&place.server.http, &place.sample.instance, &job);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    assert_eq!(
        place.city("C1", ""),
        "Voss",
        "it came after what the simulation saw"
    );
    let id = other["jobId"].as_str().unwrap();
    let cancel = format!("/workflows/main/jobs/{id}/cancel");
    let cancel = place
        .server
        .http
        .send("POST", &place.sample.path(&cancel), &[], b"");
    assert_eq!(cancel.expect(200).json()["jobStatus"], "aborted");
    assert_eq!(place.city("C1", "?view=source"), "Oslo 1");
}

#[test]
fn what_can_t_be_simulated_is_refused() {
    let place = Place::new();
    let cases = [
        (json!({"asof": NOON}), 400, "invalidBody"),
        (json!({"asOf": "yesterday"}), 400, "invalidBody"),
        (json!({"dryRun": "yes"}), 400, "invalidBody"),
        (json!({"durationSeconds": -1}), 400, "invalidBody"),
        (json!({"durationSeconds": 1.5}), 400, "invalidBody"),
        (json!({"durationSeconds": 3601}), 400, "invalidArgument"),
        (json!({"asOf": "2026-11-23T12:05:01Z"}), 400, "asOfInFuture"),
        (json!({"asOf": "2026-11-23T09:59:59Z"}), 409, "asOfOutdated"),
        (json!([]), 400, "invalidBody"),
    ];
    for (body, status, code) in cases {
        let answer = place.post(&body);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{body}"
        );
    }
    let http = &place.server.http;
    let elsewhere = place.sample.path("/workflows/other/simulations");
    assert_eq!(http.json("POST", &elsewhere, &json!({})).status, 404);
    let unknown = "/api/instances/3f2504e0-4f89-41d3-9a0c-0305e82c3301/workflows/main/simulations";
    assert_eq!(http.json("POST", unknown, &json!({})).status, 404);
    let jobs = http
        .get(&place.sample.path("/workflows/main/jobs"))
        .expect(200)
        .json();
    assert_eq!(jobs.as_array().unwrap().len(), 1, "none was queued");

    let body = json!({"instanceMetadata": {"name": "Real", "instanceType": "production"}});
    let real = http
        .json("POST", "/api/instances/V2", &body)
        .expect(200)
        .json();
    let path = format!(
        "/v1/instances/{}/manage/workflows/main/simulations",
        real["instanceId"].as_str().unwrap()
    );
    let refused = http.json("POST", &path, &json!({}));
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (400, "invalidArgument")
    );
    assert!(refused.text().contains("production"), "{}", refused.text());
    let dry = http.json("POST", &path, &json!({"dryRun": true}));
    assert!(
        dry.text().contains("snapshot"),
        "there is nothing loaded: {}",
        dry.text()
    );
}
