//! Refreshes by upload: what is refused changes nothing, moved customers are followed.

use sanntid_testkit::{Sample, TestServer};
use serde_json::json;

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";

#[test]
fn a_snapshot_older_than_the_current_one_or_of_the_future_is_refused() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(SECOND, &Sample::customers(1), &Sample::orders(1));
    let open = |as_of| http.json("POST", &sample.path("/snapshots"), &Sample::manifest(as_of));
    assert_eq!(open(FIRST).expect(409).code(), "asOfOutdated");
    open(SECOND).expect(201);
    assert_eq!(
        open("2026-11-23T12:05:01Z").expect(400).code(),
        "asOfInFuture"
    );
    open("2026-11-23T12:04:59Z").expect(201);
}

#[test]
fn unreadable_rows_are_listed_and_too_many_of_them_change_nothing() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let good = Sample::customers(200);
    let one_bad = format!("{good}C201,Name,Oslo,many,1980-01-01,1,,K201\n");
    let job = sample.load(FIRST, &one_bad, &Sample::orders(1));
    assert_eq!(job["jobStatus"], "successful");
    assert_eq!(
        (&job["report"]["profiles"], &job["report"]["rowsRejected"]),
        (&json!(200), &json!(1))
    );
    let id = job["jobId"].as_str().unwrap();
    let path = sample.path(&format!("/workflows/main/jobs/{id}/rejections"));
    let rejections = http.get(&path).expect(200).json();
    let first = rejections
        .as_array()
        .or(rejections["value"].as_array())
        .unwrap()[0]
        .clone();
    assert_eq!(
        (&first["row"], &first["column"]),
        (&json!(201), &json!("Score")),
        "{first}"
    );

    let bad = Sample::customers(3).replace("1980", "980");
    let job = sample.load(SECOND, &bad, &Sample::orders(1));
    assert_eq!(job["jobStatus"], "failed", "{job}");
    let card = http
        .get(&sample.path("/customers/C9/card"))
        .expect(200)
        .json();
    assert_eq!(
        card["generation"], 1,
        "the generation before is still there"
    );
}

#[test]
fn a_request_that_names_a_moved_customer_acts_on_the_new_one_and_says_so() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    http.json(
        "PATCH",
        &sample.path("/data/Customer/C1"),
        &json!({"City": "kept"}),
    )
    .expect(204);
    let merged = "CustomerId,FullName,City,Score,Born,LifetimeValue,PreviousCustomerId,ContactId\n\
                  C9,Merged,Bodø,9,1980-01-01,9.5,C1;C2,K1;K2\n";
    let job = sample.load(SECOND, merged, &Sample::orders(2));
    assert_eq!(
        (
            &job["report"]["profilesMoved"],
            &job["report"]["profilesVanished"]
        ),
        (&json!(2), &json!(0))
    );
    let read = http.get(&sample.path("/data/Customer('C1')")).expect(200);
    assert_eq!(
        (&read.json()["CustomerId"], &read.json()["City"]),
        (&json!("C9"), &json!("kept"))
    );
    let patched = http.json(
        "PATCH",
        &sample.path("/data/Customer/C2"),
        &json!({"Score": 5}),
    );
    let location = patched
        .expect(204)
        .header("Content-Location")
        .unwrap()
        .to_owned();
    assert!(location.contains("C9"), "{location}");
    let timeline = http
        .get(&sample.path("/customers/C1/timeline"))
        .expect(200)
        .json();
    assert_eq!(timeline["value"].as_array().unwrap().len(), 2);
}

#[test]
fn an_incomplete_upload_is_refused_and_names_what_is_missing() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let opened = http
        .json("POST", &sample.path("/snapshots"), &Sample::manifest(FIRST))
        .expect(201);
    let id = opened.json()["snapshotId"].as_str().unwrap().to_owned();
    let part = |entity: &str, number: u32| {
        let path = sample.path(&format!("/snapshots/{id}/entities/{entity}/parts/{number}"));
        http.send(
            "PUT",
            &path,
            &[("Content-Type", "text/csv")],
            Sample::customers(1).as_bytes(),
        )
    };
    part("Customer", 2).expect(204);
    let commit = sample.path(&format!("/snapshots/{id}/commit"));
    let refused = http.send("POST", &commit, &[], b"").expect(400);
    assert_eq!(refused.targets(), ["Customer", "Shop_Orders"]);
    part("Nothing", 1).expect(404);
    http.delete(&sample.path(&format!("/snapshots/{id}")))
        .expect(204);
    http.send("POST", &commit, &[], b"").expect(404);
}

#[test]
fn a_new_activity_configuration_projects_loaded_rows_anew() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let mut configured = http
        .get(&sample.path("/manage/activities"))
        .expect(200)
        .json();
    configured[0]["activityType"] = json!("Purchase");
    configured[0].as_object_mut().unwrap().remove("state");
    let path = sample.path("/manage/activities");
    let job = http.json("PUT", &path, &configured).expect(202).json();
    assert_eq!(job["operationType"], "activity");
    let job = sanntid_testkit::wait_for_job(http, &sample.instance, &job);
    assert_eq!(job["jobStatus"], "successful");
    let timeline = http
        .get(&sample.path("/customers/C1/timeline"))
        .expect(200)
        .json();
    assert_eq!(timeline["value"][0]["ActivityType"], "Purchase");
}

#[test]
fn rows_that_share_a_configured_key_give_one_activity() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let orders = "OrderId,ContactId,OrderedOn,Subject\n\
                  O1,K1,2026-11-01T10:00:00Z,same\nO2,K1,2026-11-02T10:00:00Z,same\n";
    sample.load(FIRST, &Sample::customers(1), orders);
    let path = sample.path("/manage/activities");
    let mut configured = http.get(&path).expect(200).json();
    configured[0]["primaryKey"] = json!("Subject");
    configured[0].as_object_mut().unwrap().remove("state");
    let job = http.json("PUT", &path, &configured).expect(202).json();
    let job = sanntid_testkit::wait_for_job(http, &sample.instance, &job);
    let report = &job["report"];
    assert_eq!(
        (&report["activities"], &report["rowsRejected"]),
        (&json!(1), &json!(1))
    );
    let timeline = http
        .get(&sample.path("/customers/C1/timeline"))
        .expect(200)
        .json();
    assert_eq!(timeline["value"].as_array().unwrap().len(), 1);
}
