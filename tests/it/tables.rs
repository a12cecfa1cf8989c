//! Read-only tables: an upload brings measures and segments, and they are read where they belong.

use sanntid_testkit::{Answer, Http, Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
const MEASURES: &str = "CustomerId,Spent,Orders\nC1,12.50,3\nC2,7,1\n";
const SEGMENTS: &str = "SegmentName,CustomerId\nBest,C1\nNew,C1\nBest,C2\nGone,C9\n";

fn tables() -> [Value; 2] {
    [
        json!({"name": "Customer_Measure", "entityType": "profileKpi", "key": "CustomerId",
            "attributes": [
                {"name": "CustomerId", "dataType": "Edm.String"},
                {"name": "Spent", "dataType": "Edm.Decimal"},
                {"name": "Orders", "dataType": "Edm.Int64"}]}),
        json!({"name": "SegmentMembership", "entityType": "segmentMembership", "attributes": [
                {"name": "SegmentName", "dataType": "Edm.String"},
                {"name": "CustomerId", "dataType": "Edm.String"}]}),
    ]
}

/// Loads a snapshot of these entities and gives the ended job.
fn load(http: &Http, sample: &Sample, manifest: &Value, parts: &[(&str, &str)]) -> Value {
    let opened = http.json("POST", &sample.path("/snapshots"), manifest);
    let opened = opened.expect(201).json();
    let id = opened["snapshotId"].as_str().unwrap();
    for (entity, rows) in parts {
        let path = sample.path(&format!("/snapshots/{id}/entities/{entity}/parts/1"));
        http.send(
            "PUT",
            &path,
            &[("Content-Type", "text/csv")],
            rows.as_bytes(),
        )
        .expect(204);
    }
    let commit = sample.path(&format!("/snapshots/{id}/commit"));
    let job = http.send("POST", &commit, &[], b"").expect(202).json();
    wait_for_job(http, &sample.instance, &job)
}

fn with_tables(http: &Http) -> Sample {
    let sample = Sample::create(http);
    let mut manifest = Sample::manifest(FIRST);
    manifest["entities"]
        .as_array_mut()
        .unwrap()
        .extend(tables());
    let (customers, orders) = (Sample::customers(3), Sample::orders(1));
    let parts = [
        ("Customer", customers.as_str()),
        ("Shop_Orders", &orders),
        ("Customer_Measure", MEASURES),
        ("SegmentMembership", SEGMENTS),
    ];
    let job = load(http, &sample, &manifest, &parts);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    sample
}

#[test]
fn measures_and_segments_of_an_upload_are_read_by_key_by_customer_and_in_pages() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = with_tables(http);
    let get = |rest: &str| http.get(&sample.path(rest));
    let row = get("/data/Customer_Measure('C1')").expect(200);
    assert!(row.text().contains(r#""Spent":12.50"#), "{}", row.text());
    assert_eq!(
        get("/data/Customer_Measure('C3')").expect(404).code(),
        "entityNotFound"
    );
    let values = |rest: &str| get(rest).expect(200).json()["value"].clone();
    let of_two =
        "/data/SegmentMembership?$filter=CustomerId%20in%20('C2','C9')&$orderby=CustomerId";
    let expected = json!([
        {"SegmentName": "Best", "CustomerId": "C2"},
        {"SegmentName": "Gone", "CustomerId": "C9"}
    ]);
    assert_eq!(values(of_two), expected);
    let page = get("/data/Customer_Measure?$select=Orders&$count=true")
        .expect(200)
        .json();
    assert_eq!(page["value"], json!([{"Orders": 3}, {"Orders": 1}]));
    assert_eq!(page["@odata.count"], 2);
    let segments = get("/manage/segments").expect(200).json();
    let segments: Vec<_> = segments
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| {
            let status = &segment["evaluationStatus"];
            (segment["name"].clone(), status["entityCount"].clone())
        })
        .collect();
    let expected = [("Best", 2), ("Gone", 1), ("New", 1)];
    assert_eq!(
        segments,
        expected.map(|(name, count)| (json!(name), json!(count)))
    );
    let expanded =
        get("/data/Customer/C1?$expand=customer_measure,UnifiedActivity,SegmentMembership")
            .expect(200)
            .json();
    assert_eq!(expanded["Customer_Measure"][0]["Orders"], 3);
    assert_eq!(
        expanded["UnifiedActivity"][0]["ActivityId"],
        "Shop_Orders:O1"
    );
    assert_eq!(expanded["SegmentMembership"][1]["SegmentName"], "New");
    assert_eq!(
        get("/data/Customer?$expand=Orders").expect(400).code(),
        "invalidArgument"
    );
    let members = "/data/Customer?$filter=IsMemberOfSegment('Best')&$select=CustomerId";
    assert_eq!(
        values(members),
        json!([{"CustomerId": "C1"}, {"CustomerId": "C2"}])
    );
    let card = get("/customers/C1/card").expect(200).json();
    assert_eq!(card["segments"], json!(["Best", "New"]));
    let measures = json!({"LifetimeValue": 1.5, "Spent": 12.5, "Orders": 3});
    assert_eq!(card["measures"], measures);
    let entities = get("/manage/entities").expect(200).json();
    let named = |name: &str| {
        let all = entities["entities"].as_array().unwrap();
        all.iter()
            .find(|entity| entity["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(
        named("Customer_Measure")["attributes"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        named("SegmentMembership")["entityType"],
        "segmentMembership"
    );
}

#[test]
fn rows_of_a_table_that_is_carried_over_follow_their_moved_customer() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = with_tables(http);
    let merged = "CustomerId,FullName,City,Score,Born,LifetimeValue,PreviousCustomerId,ContactId\n\
                  C7,Merged,Bodø,9,1980-01-01,9.5,C1,K1\n";
    let job = sample.load(SECOND, merged, &Sample::orders(1));
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let get = |rest: &str| http.get(&sample.path(rest)).expect(200).json();
    for id in ["C1", "C7"] {
        let row = get(&format!("/data/Customer_Measure('{id}')"));
        assert_eq!(
            (&row["CustomerId"], &row["Orders"]),
            (&json!("C7"), &json!(3))
        );
        let card = get(&format!("/customers/{id}/card"));
        assert_eq!(card["segments"], json!(["Best", "New"]));
    }
    let found = get("/data/SegmentMembership?$filter=CustomerId%20eq%20'C7'");
    assert_eq!(found["value"].as_array().unwrap().len(), 2);
}

#[test]
fn measures_and_relationships_follow_from_what_is_loaded() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = with_tables(http);
    let get = |rest: &str| http.get(&sample.path(rest));
    let names = |rest: &str| -> Vec<String> {
        let listed = get(rest).expect(200).json();
        let listed = listed.as_array().unwrap().iter();
        listed
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let measures = ["LifetimeValue", "Spent", "Orders"];
    assert_eq!(names("/manage/measures"), measures);
    let spent = get("/manage/measures/spent").expect(200).json();
    let entity = &spent["definition"]["dependencies"][0]["qualifiedEntityName"];
    assert_eq!(entity, "Customer_Measure");
    get("/manage/measures/FullName").expect(404);
    assert_eq!(
        names("/manage/relationships"),
        ["Shop_Orders_Shop_Contacts"]
    );
    let system = [
        "Customer_Measure_Customer",
        "SegmentMembership_Customer",
        "UnifiedActivity_Customer",
    ];
    assert_eq!(names("/manage/systemrelationships"), system);
    for name in ["Shop_Orders_Shop_Contacts", "Customer_Measure_Customer"] {
        let path = format!("/manage/relationships/{name}");
        assert_eq!(get(&path).expect(200).json()["name"], name);
    }
    get("/manage/relationships/none").expect(404);
}

#[test]
fn a_table_can_not_be_written() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = with_tables(http);
    let write = |method: &str, rest: &str| -> Answer {
        http.json(method, &sample.path(rest), &json!({"Spent": 1}))
    };
    write("PATCH", "/data/Customer_Measure/C1").expect(405);
    write("POST", "/data/Customer_Measure").expect(400);
    write("POST", "/data/SegmentMembership").expect(400);
    let row = http
        .get(&sample.path("/data/Customer_Measure/C1"))
        .expect(200);
    assert!(row.text().contains(r#""Spent":12.50"#));
}
