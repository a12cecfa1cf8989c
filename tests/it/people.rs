//! A person's data over HTTP: all that is kept comes as one document, and what callers wrote goes.

use sanntid_testkit::{Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
/// More than the document's pieces hold.
const VISITS: usize = 1_300;

/// Loads two customers, their orders and what they visited; one row is rejected.
fn load(server: &TestServer, sample: &Sample, customers: &str) -> Value {
    let http = &server.http;
    let mut manifest = Sample::manifest(FIRST);
    manifest["entities"].as_array_mut().unwrap().push(json!({
        "name": "Points", "entityType": "genericPrediction", "key": "RowId", "attributes": [
            {"name": "RowId", "dataType": "Edm.String"},
            {"name": "CustomerId", "dataType": "Edm.String"},
            {"name": "Earned", "dataType": "Edm.Int64"}]}));
    let opened = http.json("POST", &sample.path("/snapshots"), &manifest);
    let id = opened.expect(201).json()["snapshotId"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut points = String::from("RowId,CustomerId,Earned\n");
    for number in 0..VISITS {
        points.push_str(&format!(
            "r{number:05},C1,{number}\nq{number:05},C2,{number}\n"
        ));
    }
    points.push_str("r00001,C1,7\n");
    let orders = Sample::orders(2) + "O9,nobody,2026-11-01T10:00:00Z,Order 9\n";
    for (entity, rows) in [
        ("Customer", customers),
        ("Shop_Orders", orders.as_str()),
        ("Points", points.as_str()),
    ] {
        let path = sample.path(&format!("/snapshots/{id}/entities/{entity}/parts/1"));
        let headers = [("Content-Type", "text/csv")];
        http.send("PUT", &path, &headers, rows.as_bytes())
            .expect(204);
    }
    let path = sample.path(&format!("/snapshots/{id}/commit"));
    let job = http.send("POST", &path, &[], b"").expect(202).json();
    let job = wait_for_job(http, &sample.instance, &job);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    job
}

fn visit(number: usize, customer: &str) -> Value {
    json!({"ActivityId": format!("v{number}"), "CustomerId": customer, "ActivityType": "Visit",
           "ActivityTime": format!("2026-11-2{}T10:00:00Z", number % 3), "Title": "came by"})
}

fn list<'a>(document: &'a Value, name: &str) -> &'a Vec<Value> {
    document[name].as_array().unwrap()
}

fn count(document: &Value, member: &str, value: &str) -> usize {
    let all = list(document, "activities").iter();
    all.filter(|activity| activity[member] == value).count()
}

#[test]
fn all_that_is_kept_of_a_person_is_one_document_and_what_callers_wrote_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder.path(), |_| ());
    let http = &server.http;
    let sample = Sample::create(http);
    load(&server, &sample, &Sample::customers(2));
    let customer = sample.path("/data/Customer('C1')");
    http.json(
        "PATCH",
        &format!("{customer}?caller=crm"),
        &json!({"City": "Bergen"}),
    )
    .expect(204);
    let line = |number| json!({"body": visit(number, "C1")}).to_string();
    let lines: Vec<String> = (0..VISITS).map(line).collect();
    let bulk = sample.path("/data/UnifiedActivity/$bulk");
    let ndjson = [("Content-Type", "application/x-ndjson")];
    http.send("POST", &bulk, &ndjson, lines.join("\n").as_bytes())
        .expect(200);
    let order =
        json!({"OrderId": "O7", "ContactId": "K1", "OrderedOn": FIRST, "Subject": "by key"});
    http.json("POST", &sample.path("/data/Shop_Orders"), &order)
        .expect(201);
    http.json(
        "POST",
        &sample.path("/data/UnifiedActivity"),
        &visit(9999, "C2"),
    )
    .expect(201);

    let export = |id: &str| {
        let path = sample.path(&format!("/customers/{id}/data"));
        http.get(&path).expect(200).json()
    };
    let document = export("C1");
    assert_eq!(document["source"]["City"], "Oslo 1");
    let update = &list(&document, "overlay")[0];
    assert_eq!(
        (&update["value"], &update["state"]),
        (&json!("Bergen"), &json!("shown"))
    );
    assert_eq!(update["caller"], "crm");
    assert_eq!(document["keyRing"][0]["keys"], json!(["K1"]));
    let mut tables = list(&document, "tables").iter();
    let points = tables.find(|table| table["name"] == "Points").unwrap();
    let rows = list(points, "rows");
    assert_eq!(rows.len(), VISITS);
    assert!(rows.iter().all(|row| row["CustomerId"] == "C1"));
    assert_eq!(count(&document, "origin", "source"), 1);
    assert_eq!(count(&document, "state", "live"), VISITS + 1);
    let mut ids: Vec<&str> = list(&document, "activities")
        .iter()
        .map(|activity| activity["ActivityId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), VISITS + 2, "each once");
    assert!(
        !document.to_string().contains("v9999"),
        "nothing of another"
    );

    let erase = |id: &str| http.delete(&sample.path(&format!("/customers/{id}/realtime")));
    let erased = erase("C1").expect(200).json();
    let expected = json!({"profileId": "C1", "overlayFields": 1, "activities": VISITS + 1,
                          "rejections": 0});
    assert_eq!(erased, expected);
    let check = |server: &TestServer| {
        let http = &server.http;
        let city = http.get(&customer).expect(200).json()["City"].clone();
        assert_eq!(city, "Oslo 1");
        let document = http
            .get(&sample.path("/customers/C1/data"))
            .expect(200)
            .json();
        assert_eq!(document["overlay"], json!([]));
        assert_eq!(list(&document, "activities").len(), 1, "the source's own");
        let other = http
            .get(&sample.path("/customers/C2/timeline"))
            .expect(200)
            .json();
        assert_eq!(list(&other, "value").len(), 2);
        http.delete(&sample.path("/customers/C7/realtime"))
            .expect(404);
        http.get(&sample.path("/customers/C7/data")).expect(404);
    };
    check(&server);
    server.stop();
    let server = TestServer::start_on(folder.path(), |_| ());
    check(&server);
    let again = server.http.json(
        "POST",
        &sample.path("/data/UnifiedActivity"),
        &visit(1, "C2"),
    );
    assert_eq!(
        again.expect(201).header("Sanntid-Replayed"),
        None,
        "the id is free"
    );
}

#[test]
fn rows_that_a_job_rejected_are_exported_and_erased_and_a_moved_customer_is_found() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let job = load(&server, &sample, &Sample::customers(2));
    let rejections = || {
        let job = job["jobId"].as_str().unwrap();
        let path = sample.path(&format!("/workflows/main/jobs/{job}/rejections"));
        http.get(&path).expect(200).json().as_array().unwrap().len()
    };
    assert_eq!(rejections(), 2, "an order of nobody, and points twice");
    // By now that key is of a customer that C1 was moved to.
    let header = Sample::customers(0);
    let moved = format!("{header}N1,Name,Oslo,1,1980-01-01,1.5,C1,K1;nobody\n");
    load(&server, &sample, &moved);
    let answer = http.get(&sample.path("/customers/C1/data")).expect(200);
    let location = answer.header("Content-Location").unwrap();
    assert!(location.ends_with("/customers/N1/data"), "{location}");
    let document = answer.json();
    assert_eq!(document["formerIds"], json!(["C1"]));
    let rejected = list(&document, "rejections");
    assert_eq!(rejected.len(), 1, "{document}");
    assert_eq!(rejected[0]["key"], "O9");
    let erased = http
        .delete(&sample.path("/customers/C1/realtime"))
        .expect(200);
    assert!(
        erased
            .header("Content-Location")
            .unwrap()
            .ends_with("/customers/N1/realtime")
    );
    assert_eq!(erased.json()["rejections"], 1);
    assert_eq!(rejections(), 1);
}
