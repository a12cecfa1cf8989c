//! Uploads of Parquet and of zstd against a real server: what the files tell is taken, and what can't
//! be read fails with a message and changes nothing.

use std::fs;

use sanntid_server::{
    Client, Instance, Interrupt, Part, PartKind, PartPacking, Secret, Silent, push,
};
use sanntid_testkit::{Http, Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
/// Written by another writer; see `parquet/make.py`.
const CUSTOMERS: &[u8] = include_bytes!("parquet/customers.parquet");
const MEASURES: &[u8] = include_bytes!("parquet/measures.parquet");
const PARQUET: &str = "application/vnd.apache.parquet";

/// A manifest that leaves the attributes to the files.
fn manifest(as_of: &str) -> Value {
    json!({"asOf": as_of, "entities": [
        {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": []},
        {"name": "Customer_Measure", "entityType": "profileKpi", "key": "CustomerId"}]})
}

fn open(http: &Http, sample: &Sample, manifest: &Value) -> String {
    let opened = http.json("POST", &sample.path("/snapshots"), manifest);
    let opened = opened.expect(201).json();
    sample.path(&format!(
        "/snapshots/{}",
        opened["snapshotId"].as_str().unwrap()
    ))
}

fn put(http: &Http, snapshot: &str, entity: &str, kind: &str, bytes: &[u8]) {
    let path = format!("{snapshot}/entities/{entity}/parts/1");
    http.send("PUT", &path, &[("Content-Type", kind)], bytes)
        .expect(204);
}

fn commit(http: &Http, sample: &Sample, snapshot: &str) -> Value {
    let job = http.send("POST", &format!("{snapshot}/commit"), &[], b"");
    wait_for_job(http, &sample.instance, &job.expect(202).json())
}

/// Loads customers and measures from Parquet.
fn load(http: &Http, sample: &Sample, as_of: &str) {
    let snapshot = open(http, sample, &manifest(as_of));
    put(http, &snapshot, "Customer", PARQUET, CUSTOMERS);
    put(http, &snapshot, "Customer_Measure", PARQUET, MEASURES);
    let job = commit(http, sample, &snapshot);
    assert_eq!(job["jobStatus"], "successful", "{job}");
}

fn customer(http: &Http, sample: &Sample, id: &str) -> Value {
    http.get(&sample.path(&format!("/data/Customer/{id}")))
        .expect(200)
        .json()
}

#[test]
fn attributes_that_the_manifest_leaves_out_are_those_of_the_parquet_files() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    load(http, &sample, FIRST);
    let first = customer(http, &sample, "C1");
    assert_eq!(
        (&first["City"], &first["Score"]),
        (&json!("Oslo 1"), &json!(1.5))
    );
    assert_eq!(first["Born"], Value::Null);
    assert_eq!(customer(http, &sample, "C3")["Born"], "1980-01-01");
    let row = http.get(&sample.path("/data/Customer_Measure('C1')"));
    let row = row.expect(200).json();
    assert_eq!((&row["Spent"], &row["Orders"]), (&json!(12.5), &json!(3)));
    let path = sample.path("/manage/entities/Customer");
    let entity = http.get(&path).expect(200).json();
    let types: Vec<_> = entity["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| attribute["dataType"].as_str().unwrap())
        .collect();
    let of_file = [
        "Edm.String",
        "Edm.String",
        "Edm.String",
        "Edm.Decimal",
        "Edm.Date",
    ];
    assert_eq!(types, of_file);

    // The file goes before what was loaded before, which tells where no file does.
    let snapshot = open(http, &sample, &manifest(SECOND));
    let fewer = "CustomerId,FullName,City,Score,Born\nC1,Kari,Moss,7,2000-02-01\n";
    let packed = zstd(fewer);
    let path = format!("{snapshot}/entities/Customer/parts/1");
    let headers = [("Content-Type", "text/csv"), ("Content-Encoding", "zstd")];
    http.send("PUT", &path, &headers, &packed).expect(204);
    put(http, &snapshot, "Customer_Measure", PARQUET, MEASURES);
    let job = commit(http, &sample, &snapshot);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let first = customer(http, &sample, "C1");
    assert_eq!(
        (&first["City"], &first["Score"]),
        (&json!("Moss"), &json!(7))
    );
}

/// A frame of one block that is stored as it is: no compressor is needed to write it.
fn zstd(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    frame.extend(length.to_le_bytes());
    frame.extend(&(length << 3 | 1).to_le_bytes()[..3]);
    frame.extend(text.as_bytes());
    frame
}

#[test]
fn attributes_that_nothing_tells_are_asked_for_at_the_commit() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let snapshot = open(http, &sample, &manifest(FIRST));
    put(http, &snapshot, "Customer", "text/csv", b"CustomerId\nC1\n");
    put(
        http,
        &snapshot,
        "Customer_Measure",
        PARQUET,
        &MEASURES[..MEASURES.len() - 9],
    );
    let path = format!("{snapshot}/commit");
    let refused = http.send("POST", &path, &[], b"").expect(400);
    assert_eq!(
        refused.targets(),
        ["entities[0].attributes", "entities[1].attributes"]
    );
    let text = refused.text();
    assert!(
        text.contains("no Parquet file tells: name its attributes"),
        "{text}"
    );
    assert!(
        text.contains("Customer_Measure: part 1: the Parquet file is corrupt"),
        "{text}"
    );
    // Nothing is lost: with other parts it can be committed.
    put(http, &snapshot, "Customer", PARQUET, CUSTOMERS);
    put(http, &snapshot, "Customer_Measure", PARQUET, MEASURES);
    let job = commit(http, &sample, &snapshot);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    // A file that lacks the key that the manifest names.
    let mut other = manifest(SECOND);
    other["entities"][1]["key"] = json!("Id");
    let snapshot = open(http, &sample, &other);
    put(http, &snapshot, "Customer", PARQUET, CUSTOMERS);
    put(http, &snapshot, "Customer_Measure", PARQUET, MEASURES);
    let refused = http.send("POST", &format!("{snapshot}/commit"), &[], b"");
    assert_eq!(refused.expect(400).targets(), ["entities[1].key"]);
}

#[test]
fn a_part_that_can_not_be_read_fails_the_job_and_changes_nothing() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    load(http, &sample, FIRST);
    let before = customer(http, &sample, "C2");
    let attributes = |names: &[&str]| -> Value {
        let of = |name: &&str| json!({"name": name, "dataType": "Edm.String"});
        names.iter().map(of).collect()
    };
    let mut declared = manifest(SECOND);
    declared["entities"] = json!([declared["entities"][0]]);
    declared["entities"][0]["attributes"] = attributes(&["CustomerId", "City"]);
    let cut = &CUSTOMERS[..CUSTOMERS.len() / 2];
    let mut changed = CUSTOMERS.to_vec();
    changed[4..40].fill(0xff);
    for (bytes, why) in [
        (
            cut,
            "Customer part 1: the Parquet file is corrupt: it does not end with PAR1",
        ),
        (&changed, "Customer part 1: the Parquet file is corrupt"),
        (b"CustomerId,City\nC2,Moss\n", "does not begin with PAR1"),
        (MEASURES, "the declared columns City are missing"),
    ] {
        let snapshot = open(http, &sample, &declared);
        put(http, &snapshot, "Customer", PARQUET, bytes);
        let job = commit(http, &sample, &snapshot);
        assert_eq!(job["jobStatus"], "failed", "{job}");
        assert!(job.to_string().contains(why), "{why}: {job}");
        assert_eq!(customer(http, &sample, "C2"), before);
    }
    load(http, &sample, SECOND);
}

#[test]
fn parquet_is_not_taken_compressed_as_a_whole() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    let snapshot = open(http, &sample, &manifest(FIRST));
    let path = format!("{snapshot}/entities/Customer/parts/1");
    for (kind, encoding, why) in [
        (PARQUET, "gzip", "its pages itself"),
        (PARQUET, "zstd", "its pages itself"),
        ("application/parquet", "identity", PARQUET),
        ("text/csv", "br", "gzip or zstd"),
    ] {
        let headers = [("Content-Type", kind), ("Content-Encoding", encoding)];
        let refused = http.send("PUT", &path, &headers, CUSTOMERS).expect(415);
        assert!(refused.text().contains(why), "{}", refused.text());
    }
}

#[test]
fn push_sends_parquet_and_zstd_as_they_are_and_goes_on_where_it_stopped() {
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    let folder = tempfile::tempdir().unwrap();
    let part = |entity: &str, name: &str, (kind, packing), bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        Part {
            entity: entity.to_owned(),
            path,
            kind,
            packing,
            bytes: bytes.len() as u64,
        }
    };
    let more = "{\"CustomerId\": \"C9\", \"FullName\": \"Nine\", \"City\": \"Moss\"}\n";
    let (parquet, ndjson) = (
        (PartKind::Parquet, PartPacking::None),
        (PartKind::Ndjson, PartPacking::Zstd),
    );
    let parts = [
        part("Customer", "c.parquet", parquet, CUSTOMERS),
        part("Customer", "c.ndjson.zst", ndjson, &zstd(more)),
        part("Customer_Measure", "m.parquet", parquet, MEASURES),
    ];
    let wanted: sanntid_types::Manifest = serde_json::from_value(manifest(FIRST)).unwrap();
    let url = format!("http://{}", server.address());
    let key = Secret::new(sanntid_testkit::KEY);
    let client = Client::new(&url, Some(key), Interrupt::new()).unwrap();
    let instance = Instance::new(&client, &sample.instance);

    // The first one has arrived before, from a push that went no further.
    let snapshot = instance.open_snapshot(&wanted).unwrap();
    let base = sample.path(&format!("/snapshots/{snapshot}"));
    put(&server.http, &base, "Customer", PARQUET, CUSTOMERS);
    let job = push(&instance, &wanted, &parts, &Silent).unwrap();
    let job = instance.wait_for_job(&job.job_id, |_| ()).unwrap();
    let profiles = job.report().map(|report| report.profiles);
    assert_eq!(profiles, Some(4), "{job:?}");
    assert_eq!(customer(&server.http, &sample, "C9")["City"], "Moss");
    assert!(instance.open_snapshots().unwrap().is_empty());
}
