//! Refresh schedules: what is due starts once, also after a time without a server.

use std::sync::Arc;
use std::time::Duration;

use sanntid_testkit::{Http, Sample, SimulatedClock, TestServer};
use serde_json::{Value, json};

const HOUR: Duration = Duration::from_secs(3600);

/// The jobs of an instance that a schedule has started, newest first.
fn scheduled(http: &Http, sample: &Sample) -> Vec<Value> {
    let jobs = http.get(&sample.path("/workflows/main/jobs")).expect(200);
    let jobs = jobs.json().as_array().unwrap().clone();
    let is_scheduled = |job: &Value| job["jobSubmissionKind"] == "scheduled";
    jobs.into_iter().filter(is_scheduled).collect()
}

/// Waits for the next rounds of upkeep to start what is due; each look is a request.
fn wait_for(http: &Http, sample: &Sample, count: usize) -> Vec<Value> {
    loop {
        let jobs = scheduled(http, sample);
        assert!(jobs.len() <= count, "{jobs:?}");
        if jobs.len() == count {
            return jobs;
        }
    }
}

#[test]
fn what_is_due_starts_once_and_what_was_missed_starts_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(SimulatedClock::new());
    let server = TestServer::start_in(folder.path(), &clock);
    let (http, sample) = (&server.http, Sample::create(&server.http));
    let path = sample.path("/workflows/main/schedules");
    // It is noon in UTC, 13:00 in Oslo.
    let daily = json!({"timezoneId": "Europe/Oslo", "cronSchedules": ["0 14 * * *"]});
    let made = http.json("POST", &path, &daily).expect(200).json();
    let never = json!({"timezoneId": "UTC", "cronSchedules": ["* * * * *"], "isActive": false});
    http.json("POST", &path, &never).expect(200);
    clock.trust(false);
    clock.advance(HOUR);
    clock.trust(true);
    let jobs = wait_for(http, &sample, 1);
    assert_eq!(jobs[0]["jobStatus"], "skipped", "there is no data source");
    clock.advance(24 * HOUR);
    wait_for(http, &sample, 2);
    server.stop();

    clock.advance(10 * 24 * HOUR);
    let server = TestServer::start_in(folder.path(), &clock);
    wait_for(&server.http, &sample, 3);
    clock.advance(24 * HOUR);
    wait_for(&server.http, &sample, 4);
    let listed = server.http.get(&path).expect(200).json();
    assert!(listed.as_array().unwrap().contains(&made), "{listed}");
}

#[test]
fn schedules_are_replaced_kept_by_a_reset_and_forgotten() {
    let server = TestServer::start();
    let (http, sample) = (&server.http, Sample::create(&server.http));
    let path = sample.path("/workflows/main/schedules");
    let weekly = json!({"timezoneId": "W. Europe Standard Time", "cronSchedules": ["0 2 * * SUN"]});
    let mut made = http.json("POST", &path, &weekly).expect(200).json();
    made["cronSchedules"] = json!(["0 3 * * 7", "0 4 * * 0"]);
    let batch = http.json("POST", &format!("{path}/batch"), &json!([made]));
    assert_eq!(batch.expect(200).json(), json!([made]));
    http.delete(&sample.path("/manage/reset")).expect(200);
    assert_eq!(http.get(&path).expect(200).json(), json!([made]));
    let one = format!("{path}/{}", made["scheduleId"].as_str().unwrap());
    http.delete(&one).expect(204);
    assert_eq!(http.delete(&one).expect(404).code(), "scheduleNotFound");
    assert_eq!(http.get(&path).expect(200).json(), json!([]));
}

#[test]
fn a_schedule_that_can_not_be_followed_is_refused() {
    let server = TestServer::start();
    let (http, sample) = (&server.http, Sample::create(&server.http));
    let path = sample.path("/workflows/main/schedules");
    let good = json!({"timezoneId": "UTC", "cronSchedules": ["0 2 * * *"]});
    for (field, value, target) in [
        ("timezoneId", json!("Europe/Trondheim"), "timezoneId"),
        ("cronSchedules", json!([]), "cronSchedules"),
        (
            "cronSchedules",
            json!(vec!["0 2 * * *"; 25]),
            "cronSchedules",
        ),
        (
            "cronSchedules",
            json!(["0 2 * * *", "0 0 2 * * *"]),
            "cronSchedules[1]",
        ),
        ("cronSchedules", json!(["0 2 1 * *"]), "cronSchedules[0]"),
        ("operationType", json!("merge"), "operationType"),
        ("scheduleId", json!("one"), "scheduleId"),
        (
            "instanceId",
            json!("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
            "instanceId",
        ),
        (
            "identifiers",
            json!(["3f2504e0-4f89-41d3-9a0c-0305e82c3301"]),
            "identifiers",
        ),
    ] {
        let mut schedule = good.clone();
        schedule[field] = value;
        let refused = http.json("POST", &path, &schedule).expect(400);
        assert_eq!(refused.code(), "invalidArgument");
        assert!(
            refused.text().contains(&format!("\"{target}\"")),
            "{}",
            refused.text()
        );
    }
    let many = json!(vec![good.clone(); 21]);
    http.json("POST", &format!("{path}/batch"), &many)
        .expect(400);
    assert_eq!(http.get(&path).expect(200).json(), json!([]));
    let most = json!(vec![good.clone(); 20]);
    http.json("POST", &format!("{path}/batch"), &most)
        .expect(200);
    http.json("POST", &path, &good).expect(400);
    let zones = http
        .get(&format!("{path}/supportedTimezones"))
        .expect(200)
        .json();
    assert!(zones.as_array().unwrap().len() > 500);
}
