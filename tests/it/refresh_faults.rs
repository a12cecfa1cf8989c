//! Whatever is wrong with a data source: its refresh fails with a message to act on, everything
//! stays as it was, and the next refresh works.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use sanntid_testkit::{Answer, Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

/// A server, an instance on it, and the folder that it is refreshed from.
struct Place {
    sample: Sample,
    server: TestServer,
    folder: PathBuf,
    _root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("a");
        let allowed = root.path().canonicalize().unwrap();
        let server = TestServer::start_with(|config| {
            config.actors.data_source_folders = vec![allowed];
        });
        let sample = Sample::create(&server.http);
        let place = Self {
            sample,
            server,
            folder,
            _root: root,
        };
        place.write(FIRST, 3);
        let location = format!("file://{}", place.folder.display());
        let body = json!({"friendlyName": "nightly", "kind": "folder", "location": location});
        let path = format!("/manage/datasources/{ID}");
        place.send("PUT", &path, &body).expect(200);
        place
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.server.http.json(method, &self.sample.path(path), body)
    }

    fn get(&self, path: &str) -> Value {
        self.server
            .http
            .get(&self.sample.path(path))
            .expect(200)
            .json()
    }

    /// Makes the folder anew: `count` customers and an order each.
    fn write(&self, as_of: &str, count: usize) {
        if self.folder.exists() {
            fs::remove_dir_all(&self.folder).unwrap();
        }
        fs::create_dir(&self.folder).unwrap();
        fs::write(self.folder.join("Customer.csv"), Sample::customers(count)).unwrap();
        fs::write(self.folder.join("Orders.csv"), Sample::orders(count)).unwrap();
        self.write_manifest(&manifest(as_of));
    }

    fn write_manifest(&self, manifest: &Value) {
        fs::write(self.folder.join("snapshot.json"), manifest.to_string()).unwrap();
    }

    fn refresh(&self) -> Value {
        let path = self.sample.path("/workflows/main/jobs");
        let job = self.server.http.send("POST", &path, &[], b"").expect(200);
        wait_for_job(&self.server.http, &self.sample.instance, &job.json())
    }

    /// All that a refresh could have changed for readers.
    fn shown(&self) -> [Value; 3] {
        [
            self.get("/customers/C1/card"),
            self.get("/data/Customer?view=source")["value"].clone(),
            self.get(
                "/data/UnifiedActivity?$filter=CustomerId eq 'C1'"
                    .replace(' ', "%20")
                    .as_str(),
            )["value"]
                .clone(),
        ]
    }

    fn state(&self) -> Value {
        self.get(&format!("/manage/datasources/{ID}"))["dataSourceMetadata"]["refreshState"].clone()
    }
}

fn manifest(as_of: &str) -> Value {
    let mut manifest = Sample::manifest(as_of);
    manifest["entities"][0]["files"] = json!(["Customer.csv"]);
    manifest["entities"][1]["files"] = json!(["Orders.csv"]);
    manifest
}

fn pipe(path: &Path) {
    fs::remove_file(path).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// One thing that can be wrong: what it is, how it comes about, what the job says.
type Fault<'a> = (&'a str, &'a dyn Fn(&Place), &'a str);

fn faults_of_files() -> Vec<Fault<'static>> {
    fn customers(place: &Place) -> PathBuf {
        place.folder.join("Customer.csv")
    }
    vec![
        (
            "a file is missing",
            &|place| fs::remove_file(customers(place)).unwrap(),
            "Customer.csv",
        ),
        (
            "a folder stands where a file should",
            &|place| {
                fs::remove_file(customers(place)).unwrap();
                fs::create_dir(customers(place)).unwrap();
            },
            "is not a file",
        ),
        (
            "a pipe that nobody writes stands where a file should",
            &|place| pipe(&customers(place)),
            "is not a file",
        ),
        (
            "a pipe stands where the manifest should",
            &|place| pipe(&place.folder.join("snapshot.json")),
            "snapshot.json",
        ),
        (
            "rows are ragged",
            &|place| {
                let rows = Sample::customers(3) + "C4,too,few\n";
                fs::write(customers(place), rows).unwrap();
            },
            "1 of 4 rows of Customer were rejected",
        ),
        (
            "a key stands twice",
            &|place| {
                let again = Sample::customers(1).lines().nth(1).unwrap().to_owned();
                fs::write(customers(place), Sample::customers(3) + &again + "\n").unwrap();
            },
            "1 of 4 rows of Customer were rejected",
        ),
        (
            "a quote is never closed",
            &|place| {
                let rows = Sample::customers(3) + "C4,\"Name,Oslo,4,1980-01-01,1,,K4\n";
                fs::write(customers(place), rows).unwrap();
            },
            "a quote was never closed",
        ),
        (
            "a declared column is missing",
            &|place| {
                let rows = Sample::customers(3).replace("City", "Town");
                fs::write(customers(place), rows).unwrap();
            },
            "City",
        ),
        (
            "a file is cut off",
            &|place| {
                // The start of gzip data, and no more.
                let start = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
                fs::write(place.folder.join("Customer.csv.gz"), start).unwrap();
                let mut manifest = manifest(SECOND);
                manifest["entities"][0]["files"] = json!(["Customer.csv.gz"]);
                place.write_manifest(&manifest);
            },
            "the gzip data is cut off",
        ),
        (
            "a Parquet file is cut off",
            &|place| {
                fs::write(place.folder.join("Customer.parquet"), b"PAR1 and no footer").unwrap();
                let mut manifest = manifest(SECOND);
                manifest["entities"][0]["files"] = json!(["Customer.parquet"]);
                place.write_manifest(&manifest);
            },
            "the Parquet file is corrupt",
        ),
        (
            "a file is of no kind that can be read",
            &|place| {
                fs::write(place.folder.join("Customer.xlsx"), b"PK").unwrap();
                let mut manifest = manifest(SECOND);
                manifest["entities"][0]["files"] = json!(["Customer.xlsx"]);
                place.write_manifest(&manifest);
            },
            "files that can be end in",
        ),
    ]
}

fn faults_of_manifests() -> Vec<Fault<'static>> {
    fn change(place: &Place, change: impl Fn(&mut Value)) {
        let mut manifest = manifest(SECOND);
        change(&mut manifest);
        place.write_manifest(&manifest);
    }
    vec![
        (
            "it is cut off",
            &|place| {
                let text = manifest(SECOND).to_string();
                fs::write(place.folder.join("snapshot.json"), &text[..text.len() / 2]).unwrap();
            },
            "the manifest can't be read",
        ),
        (
            "it names a type that there is not",
            &|place| {
                change(place, |manifest| {
                    manifest["entities"][0]["attributes"][1]["dataType"] = json!("Edm.Text");
                });
            },
            "Edm.Text",
        ),
        (
            "its key is no attribute",
            &|place| {
                change(place, |manifest| {
                    manifest["entities"][0]["key"] = json!("Id")
                })
            },
            "key",
        ),
        (
            "it names an entity twice",
            &|place| {
                change(place, |manifest| {
                    let again = manifest["entities"][0].clone();
                    manifest["entities"].as_array_mut().unwrap().push(again);
                });
            },
            "Customer",
        ),
        (
            "it leads out of its folder",
            &|place| {
                change(place, |manifest| {
                    manifest["entities"][0]["files"] = json!(["../b/Customer.csv"]);
                });
            },
            "must be inside of the folder",
        ),
        (
            "it is older than what is loaded",
            &|place| {
                change(place, |manifest| {
                    manifest["asOf"] = json!("2026-11-22T10:00:00Z")
                })
            },
            "is before",
        ),
        (
            "it comes from the future",
            &|place| {
                change(place, |manifest| {
                    manifest["asOf"] = json!("2027-11-22T10:00:00Z")
                })
            },
            "minutes after now",
        ),
    ]
}

#[test]
fn each_fault_fails_its_refresh_alone() {
    let place = Place::new();
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let live = json!({"City": "Bergen"});
    place.send("PATCH", "/data/Customer/C1", &live).expect(204);
    let faults = faults_of_files().into_iter().chain(faults_of_manifests());
    for (generation, (case, spoil, why)) in (1..).zip(faults) {
        // Any file that was touched is a change.
        place.write(SECOND, 3);
        let before = place.shown();
        assert_eq!(before[0]["generation"], generation, "{case}");
        spoil(&place);
        let job = place.refresh();
        assert_eq!(job["jobStatus"], "failed", "{case}: {job}");
        let message = job["ciError"]["message"].as_str().unwrap();
        assert!(message.contains(why), "{case}: {message}");
        let root = place.folder.parent().unwrap().to_str().unwrap();
        assert!(
            !job.to_string().contains(root),
            "{case}: a path shows: {job}"
        );
        assert_eq!(place.shown(), before, "{case}");
        assert_eq!(place.state(), "updateFailed", "{case}");

        place.write(SECOND, 3);
        let job = place.refresh();
        assert_eq!(job["jobStatus"], "successful", "after: {case}: {job}");
        assert_eq!(place.state(), "updated", "{case}");
    }
}

#[test]
fn an_entity_that_needs_no_key_may_leave_it_out() {
    let place = Place::new();
    let mut manifest = manifest(FIRST);
    manifest["entities"].as_array_mut().unwrap().push(json!({
        "name": "SegmentMembership", "entityType": "segmentMembership",
        "files": ["segments.ndjson"], "attributes": [
            {"name": "SegmentName", "dataType": "Edm.String"},
            {"name": "CustomerId", "dataType": "Edm.String"}]}));
    let rows = "{\"SegmentName\": \"Best\", \"CustomerId\": \"C1\"}\n\
                {\"SegmentName\": \"Best\", \"CustomerId\": \"C2\"}\n";
    fs::write(place.folder.join("segments.ndjson"), rows).unwrap();
    place.write_manifest(&manifest);
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let shown = place.get("/data/SegmentMembership");
    assert_eq!(shown["value"].as_array().unwrap().len(), 2, "{shown}");
}

#[test]
fn an_operator_confirms_a_clock_that_has_jumped() {
    let place = Place::new();
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "successful", "{job}");
    let http = &place.server.http;
    let clock = || http.get("/api/manage/clock").expect(200).json();
    let patch = || place.send("PATCH", "/data/Customer/C1", &json!({"City": "Moss"}));
    assert_eq!(
        clock(),
        json!({"now": "2026-11-23T12:00:00.000Z", "isTrusted": true})
    );
    place
        .server
        .clock
        .advance(std::time::Duration::from_secs(3600));
    place.server.clock.trust(false);
    assert_eq!(
        clock(),
        json!({"now": "2026-11-23T13:00:00.000Z", "isTrusted": false})
    );
    let refused = patch().expect(503);
    assert_eq!(refused.code(), "clockJumped");
    assert!(refused.text().contains("confirm"), "{}", refused.text());
    let path = place
        .sample
        .path("/workflows/main/jobs?forceRunRequested=true");
    assert_eq!(
        http.send("POST", &path, &[], b"").expect(503).code(),
        "clockJumped"
    );
    http.without_key()
        .send("POST", "/api/manage/clock/confirm", &[], b"")
        .expect(401);
    patch().expect(503);
    let confirmed = http.send("POST", "/api/manage/clock/confirm", &[], b"");
    assert_eq!(
        confirmed.expect(200).json(),
        json!({"now": "2026-11-23T13:00:00.000Z", "isTrusted": true})
    );
    patch().expect(204);
    let job = http.send("POST", &path, &[], b"").expect(200).json();
    let job = wait_for_job(http, &place.sample.instance, &job);
    assert_eq!(job["jobStatus"], "successful", "{job}");
}
