//! Reading entities over HTTP: the forms of a path, queries, paging, conditions.

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

fn ids(answer: &Value) -> Vec<String> {
    let rows = answer["value"].as_array().unwrap();
    rows.iter()
        .map(|row| row["CustomerId"].as_str().unwrap().to_owned())
        .collect()
}

fn pages(http: &Http, first: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut path = first.to_owned();
    loop {
        let page = http.get(&path).expect(200).json();
        pages.push(ids(&page));
        let Some(next) = page["@odata.nextLink"].as_str() else {
            return pages;
        };
        let prefix = format!("http://{}", http.address());
        next.strip_prefix(&prefix)
            .expect("an absolute link to this server")
            .clone_into(&mut path);
    }
}

#[test]
fn every_form_of_a_path_names_the_same_profile() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let plain = http.get(&sample.path("/data/Customer/C1")).expect(200);
    for form in [
        "Customer('C1')",
        "Customer%28%27C1%27%29",
        "Customer%2FC1",
        "Customer(CustomerId='C1')",
    ] {
        let same = http.get(&sample.path(&format!("/data/{form}"))).expect(200);
        assert_eq!(same.json()["City"], plain.json()["City"], "{form}");
        assert_eq!(same.header("ETag"), plain.header("ETag"));
    }
    let inside = "/data/Customer%3F%24filter%3DCity%20eq%20%27Oslo%201%27";
    assert_eq!(
        ids(&http.get(&sample.path(inside)).expect(200).json()),
        ["C1"]
    );
    let v1 = format!("/v1/instances/{}/data/Customer/C1", sample.instance);
    http.get(&v1).expect(200);
}

#[test]
fn filters_see_merged_values_and_the_source_view_does_not() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(3), &Sample::orders(3));
    http.json(
        "PATCH",
        &sample.path("/data/Customer/C2"),
        &json!({"City": "Bergen"}),
    )
    .expect(204);
    let found = |query: &str| {
        ids(&http
            .get(&sample.path(&format!("/data/Customer?{query}")))
            .expect(200)
            .json())
    };
    assert_eq!(
        found("$filter=City eq 'Bergen'".replace(' ', "%20").as_str()),
        ["C2"]
    );
    assert!(found("$filter=City%20eq%20'Oslo%202'").is_empty());
    assert_eq!(found("$filter=City%20eq%20'Oslo%202'&view=source"), ["C2"]);
    assert_eq!(found("$filter=ContactId%20eq%20'K3'"), ["C3"]);
    assert_eq!(
        found("$filter=Score%20ge%202%20and%20not%20(Score%20eq%203)"),
        ["C2"]
    );
    assert_eq!(found("$orderby=Score%20desc&$top=2"), ["C3", "C2"]);
    assert_eq!(found("orderby=Score%20desc&skip=1"), ["C2", "C1"]);
}

#[test]
fn pages_hold_every_row_once_while_writes_go_on() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(250), &Sample::orders(1));
    let first = sample.path("/data/Customer?$count=true");
    assert_eq!(http.get(&first).expect(200).json()["@odata.count"], 250);
    let all = pages(http, &sample.path("/data/Customer?$orderby=Score%20desc"));
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 50]);
    assert_eq!(all.concat().first().unwrap(), "C250");
    let mut seen = all.concat();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 250);
    let limited = pages(http, &sample.path("/data/Customer?$top=150"));
    assert_eq!(limited.iter().map(Vec::len).sum::<usize>(), 150);
}

#[test]
fn conditional_requests_compare_what_is_shown() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let path = sample.path("/data/Customer/C1");
    let etag = http
        .get(&path)
        .expect(200)
        .header("ETag")
        .unwrap()
        .to_owned();
    http.send("GET", &path, &[("If-None-Match", &etag)], b"")
        .expect(304);
    let explained = format!("{path}?explain=true");
    http.send("GET", &explained, &[("If-None-Match", &etag)], b"")
        .expect(200);
    let json = ("Content-Type", "application/json");
    let body = br#"{"City": "Bergen"}"#;
    http.send("PATCH", &path, &[json, ("If-Match", "\"other\"")], body)
        .expect(412);
    http.send("PATCH", &path, &[json, ("If-Match", &etag)], body)
        .expect(204);
    http.send("PATCH", &path, &[json, ("If-Match", &etag)], body)
        .expect(412);
    http.send("GET", &path, &[("If-None-Match", &etag)], b"")
        .expect(200);
}

#[test]
fn what_is_overridden_is_explained() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let path = sample.path("/data/Customer/C1");
    let json_type = [("Content-Type", "application/json")];
    let patch = format!("{path}?caller=crm");
    http.send("PATCH", &patch, &json_type, br#"{"score": 1.50}"#)
        .expect(204);
    let answer = http
        .get(&format!("{path}?explain=true&$select=Score"))
        .expect(200);
    assert!(
        answer.text().contains("\"Score\":1.50"),
        "digits are kept: {}",
        answer.text()
    );
    let explained = &answer.json()["Score@sanntid.realtime"];
    assert_eq!(
        (&explained["sourceValue"], &explained["caller"]),
        (&json!(1), &json!("crm"))
    );
    assert_eq!(explained["position"], 1);
}

#[test]
fn activities_are_found_by_customer_time_and_type() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(3), &Sample::orders(3));
    let visit = json!({"CustomerId": "C1", "ActivityTime": "2026-11-23T11:59:00Z",
                       "ActivityType": "Visit", "ActivityId": "v1"});
    http.json("POST", &sample.path("/data/UnifiedActivity"), &visit)
        .expect(201);
    let found = |filter: &str| {
        let path = format!(
            "/data/UnifiedActivity?$filter={}",
            filter.replace(' ', "%20")
        );
        let rows = http.get(&sample.path(&path)).expect(200).json()["value"].clone();
        let rows = rows.as_array().unwrap();
        rows.iter()
            .map(|row| row["ActivityId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(found("CustomerId eq 'C1'"), ["v1", "Shop_Orders:O1"]);
    assert_eq!(
        found("CustomerId eq 'C1' and ActivityType eq 'Visit'"),
        ["v1"]
    );
    assert_eq!(
        found("CustomerId eq 'C1' and ActivityTime lt 2026-11-02T00:00:00Z"),
        ["Shop_Orders:O1"]
    );
    assert_eq!(found("ActivityType eq 'SalesOrder'").len(), 3);
    let counts = http.get(&sample.path("/profile/activityresponsemetadata?customerId=C1"));
    assert_eq!(counts.expect(200).json()["totalCount"], 2);
    let ring = "/profile/keyring?dataSourceName=Shop&entityName=Contacts&key=K2";
    assert_eq!(
        http.get(&sample.path(ring)).expect(200).json()["customerId"],
        "C2"
    );
}
