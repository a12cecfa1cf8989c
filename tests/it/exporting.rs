//! Exports: the source of truth as it was loaded, whatever callers have written since.

use sanntid_server::{Client, Instance, Interrupt, Secret};
use sanntid_testkit::{KEY, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

fn instance(server: &TestServer, sample: &Sample) -> Instance {
    let url = format!("http://{}", server.address());
    let client = Client::new(&url, Some(Secret::new(KEY)), Interrupt::new()).unwrap();
    Instance::new(&client, &sample.instance)
}

fn exported(server: &TestServer, sample: &Sample, entity: &str) -> String {
    let answer = server
        .http
        .get(&sample.path(&format!("/exports/{entity}")))
        .expect(200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/csv; charset=utf-8")
    );
    answer.text()
}

#[test]
fn an_export_holds_the_source_and_nothing_of_callers() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let customers = Sample::customers(2).replace("Name 2", "\"Nordmann, \"\"Kari\"\"\nNilsen\"");
    let orders = Sample::orders(2);
    sample.load(FIRST, &customers, &orders);
    let patch = json!({"City": "Bergen", "FullName": null});
    http.json("PATCH", &sample.path("/data/Customer/C1"), &patch)
        .expect(204);
    let visit = json!({"CustomerId": "C1", "ActivityTime": FIRST, "ActivityType": "Visit"});
    http.json("POST", &sample.path("/data/UnifiedActivity"), &visit)
        .expect(201);
    let order = json!({"OrderId": "O9", "ContactId": "K1", "OrderedOn": FIRST});
    http.json("POST", &sample.path("/data/Shop_Orders"), &order)
        .expect(201);

    assert_eq!(exported(&server, &sample, "customer"), customers);
    assert_eq!(exported(&server, &sample, "Shop_Orders"), orders);

    // The published way there: an answer that names the files.
    let files = |entity: &str| {
        let path = sample.path(&format!("/data/{entity}?proxy=true&forceSearch=false"));
        let answer = http.get(&path).expect(200).json();
        let requests = answer["httpRequests"].as_array().unwrap().clone();
        requests
            .iter()
            .map(|request| request["uri"].clone())
            .collect::<Vec<_>>()
    };
    let base = format!("http://{}{}", server.address(), sample.path("/exports"));
    assert_eq!(files("Customer"), [json!(format!("{base}/Customer"))]);
    assert_eq!(
        files("UnifiedActivity"),
        [json!(format!("{base}/UnifiedActivity"))]
    );
}

#[test]
fn the_activities_of_the_source_are_one_file_of_one_generation() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    // More than is read at a time: of customers without an activity, and of one customer.
    let mut orders = Sample::orders(1);
    for number in 2..=2_500 {
        orders.push_str(&format!(
            "O{number},K2,2026-11-01T10:00:00Z,Order {number}\n"
        ));
    }
    orders.push_str("O9999,nobody,2026-11-01T10:00:00Z,Order of nobody\n");
    sample.load(FIRST, &Sample::customers(1_500), &orders);
    let visit = json!({"CustomerId": "C1", "ActivityTime": FIRST, "ActivityType": "Visit"});
    http.json("POST", &sample.path("/data/UnifiedActivity"), &visit)
        .expect(201);
    let csv = exported(&server, &sample, "unifiedactivity");
    let mut rows = csv.lines();
    let header = rows.next().unwrap();
    assert!(
        header.starts_with("ActivityId,CustomerId,ActivityTime,ActivityType,"),
        "{header}"
    );
    let found: Vec<(String, String)> = rows
        .map(|row| {
            let mut fields = row.split(',');
            let mut field = || fields.next().unwrap().to_owned();
            (field(), field())
        })
        .collect();
    let mut expected: Vec<(String, String)> = (1..=2_500)
        .map(|number| {
            let customer = if number == 1 { "C1" } else { "C2" };
            (format!("Shop_Orders:O{number}"), customer.to_owned())
        })
        .collect();
    // All are of one time: by customer, then by id.
    expected.sort_by_key(|(id, customer)| (customer.clone(), id.clone()));
    assert_eq!(found, expected);
}

#[test]
fn an_export_as_parquet_says_so_and_has_its_marks() {
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(2));
    let parquet = "application/vnd.apache.parquet";
    for (entity, accept) in [
        ("Customer?format=parquet", "*/*"),
        ("UnifiedActivity", parquet),
        ("Shop_Orders", parquet),
    ] {
        let path = sample.path(&format!("/exports/{entity}"));
        let answer = server.http.send("GET", &path, &[("Accept", accept)], b"");
        let answer = answer.expect(200);
        assert_eq!(answer.header("content-type"), Some(parquet), "{entity}");
        let mut bytes = Vec::new();
        instance(&server, &sample)
            .download(
                &format!(
                    "/exports/{}?format=parquet",
                    entity.replace("?format=parquet", "")
                ),
                &mut bytes,
            )
            .unwrap();
        assert!(
            bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"),
            "{entity}"
        );
    }
}

#[test]
fn a_large_export_arrives_whole_and_in_order() {
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    sample.load(FIRST, &Sample::customers(2_500), &Sample::orders(1));
    let mut csv = Vec::new();
    let bytes = instance(&server, &sample)
        .download("/exports/Customer", &mut csv)
        .unwrap();
    assert_eq!(bytes, csv.len() as u64);
    let csv = String::from_utf8(csv).unwrap();
    let ids: Vec<&str> = csv
        .lines()
        .skip(1)
        .map(|row| row.split(',').next().unwrap())
        .collect();
    let mut expected: Vec<String> = (1..=2_500).map(|number| format!("C{number}")).collect();
    expected.sort();
    assert_eq!(ids, expected);
}

#[test]
fn what_can_t_be_exported_is_refused_with_its_reason() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let get = |path: &str| http.get(&sample.path(path));
    assert_eq!(
        get("/exports/Customer").expect(404).code(),
        "entityNotFound"
    );
    let empty = get("/data/Customer?proxy=true").expect(200).json();
    assert_eq!(empty, json!({"httpRequests": []}));
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    for (path, status, code) in [
        ("/exports/Nothing", 404, "entityNotFound"),
        ("/exports/%2e%2e", 404, "entityNotFound"),
        ("/exports/Customer?format=xml", 400, "invalidArgument"),
        ("/data/Nothing?proxy=true", 404, "entityNotFound"),
        ("/data/Customer('C1')?proxy=true", 400, "invalidArgument"),
        (
            "/data/Customer?proxy=true&$filter=City eq 'Oslo'",
            400,
            "invalidArgument",
        ),
        ("/data/Customer?proxy=maybe", 400, "invalidArgument"),
    ] {
        let answer = get(&path.replace(' ', "%20").replace('\'', "%27"));
        let got: (u16, Value) = (answer.status, json!(answer.code()));
        assert_eq!(got, (status, json!(code)), "{path}");
    }
}
