//! Refreshes from data sources: what is read, what is skipped, what is refused and changes nothing.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use sanntid_testkit::{Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
const ID: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const OTHER: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";

/// A server that may read below a folder, and an instance on it.
struct Place {
    sample: Sample,
    server: TestServer,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let allowed = folder.path().join("in");
        fs::create_dir(&allowed).unwrap();
        let server = TestServer::start_with(|config| {
            config.actors.data_source_folders = vec![allowed];
        });
        let sample = Sample::create(&server.http);
        Self {
            sample,
            server,
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("in").join(name)
    }

    /// Writes a folder with both entities.
    fn write(&self, name: &str, as_of: &str, customers: usize) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).unwrap();
        write_both(&path, as_of, customers);
        path
    }

    fn put(&self, id: &str, name: &str, location: &str) -> (u16, Value) {
        let body = json!({"friendlyName": name, "kind": "folder", "location": location});
        let path = self.sample.path(&format!("/manage/datasources/{id}"));
        let answer = self.server.http.json("PUT", &path, &body);
        (answer.status, answer.json())
    }

    fn use_folder(&self, id: &str, path: &Path) {
        let (status, answer) = self.put(id, "nightly", &format!("file://{}", path.display()));
        assert_eq!(status, 200, "{answer}");
    }

    fn refresh(&self, options: &str) -> Value {
        let http = &self.server.http;
        let path = self.sample.path(&format!("/workflows/main/jobs{options}"));
        let job = http.send("POST", &path, &[], b"").expect(200).json();
        wait_for_job(http, &self.sample.instance, &job)
    }

    fn state(&self, id: &str) -> Value {
        let path = self.sample.path(&format!("/manage/datasources/{id}"));
        self.server.http.get(&path).expect(200).json()["dataSourceMetadata"].clone()
    }

    fn generation(&self) -> Value {
        let path = self.sample.path("/customers/C1/card");
        self.server.http.get(&path).expect(200).json()["generation"].clone()
    }
}

fn write_both(path: &Path, as_of: &str, customers: usize) {
    let mut manifest = Sample::manifest(as_of);
    manifest["entities"][0]["files"] = json!(["Customer.csv"]);
    manifest["entities"][1]["files"] = json!(["orders/*.csv"]);
    fs::create_dir_all(path.join("orders")).unwrap();
    fs::write(path.join("Customer.csv"), Sample::customers(customers)).unwrap();
    fs::write(path.join("orders/1.csv"), Sample::orders(1)).unwrap();
    fs::write(path.join("snapshot.json"), manifest.to_string()).unwrap();
}

fn status(job: &Value) -> &str {
    job["jobStatus"].as_str().unwrap()
}

fn message(job: &Value) -> &str {
    job["ciError"]["message"].as_str().unwrap_or_default()
}

#[test]
fn a_folder_is_loaded_skipped_while_it_stays_and_loaded_when_forced_or_changed() {
    let place = Place::new();
    assert_eq!(status(&place.refresh("")), "skipped", "without a source");
    let folder = place.write("a", FIRST, 3);
    place.use_folder(ID, &folder);
    assert_eq!(place.state(ID)["refreshState"], "notUpdated");

    let job = place.refresh("?operationType=all");
    assert_eq!(status(&job), "successful", "{job}");
    assert_eq!(
        (&job["report"]["profiles"], &job["report"]["rowsRead"]),
        (&json!(3), &json!(4))
    );
    let state = place.state(ID);
    assert_eq!(
        (&state["refreshState"], &state["entityNames"]),
        (&json!("updated"), &json!(["Customer", "Shop_Orders"]))
    );

    let job = place.refresh("");
    assert_eq!(status(&job), "skipped", "{job}");
    assert!(message(&job).contains("changed"), "{job}");
    assert_eq!(place.generation(), 1);

    let job = place.refresh(&format!("?identifiers={ID}&forceRunRequested=true"));
    assert_eq!((status(&job), &job["idList"]), ("successful", &json!([ID])));
    assert_eq!(place.generation(), 2);

    place.write("a", SECOND, 4);
    let job = place.refresh(&format!("?operationType=ingestion&identifiers={ID}"));
    assert_eq!(
        (status(&job), &job["report"]["profiles"]),
        ("successful", &json!(4))
    );
    place.write("a", FIRST, 5);
    let job = place.refresh("");
    assert_eq!(status(&job), "failed", "an older snapshot");
    assert_eq!(job["ciError"]["errorCode"], "asOfOutdated");
    assert_eq!(place.state(ID)["refreshState"], "updateFailed");
    assert_eq!(place.generation(), 3);
}

#[test]
fn a_broken_folder_fails_its_job_and_changes_nothing() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 1);
    place.use_folder(ID, &folder);
    assert_eq!(status(&place.refresh("")), "successful");
    let broken: [(&str, &dyn Fn(), &str); 5] = [
        (
            "a file is missing",
            &|| fs::remove_file(folder.join("Customer.csv")).unwrap(),
            "Customer.csv",
        ),
        (
            "an entity has no files",
            &|| {
                let manifest = Sample::manifest(SECOND).to_string();
                fs::write(folder.join("snapshot.json"), manifest).unwrap();
            },
            "names no files",
        ),
        (
            "the manifest is no JSON",
            &|| fs::write(folder.join("snapshot.json"), "{").unwrap(),
            "manifest can't be read",
        ),
        (
            "the manifest is missing",
            &|| fs::remove_file(folder.join("snapshot.json")).unwrap(),
            "snapshot.json can't be read",
        ),
        (
            "the folder is missing",
            &|| fs::remove_dir_all(&folder).unwrap(),
            "can't be read",
        ),
    ];
    for (case, spoil, why) in broken {
        place.write("a", SECOND, 2);
        spoil();
        let job = place.refresh("");
        assert_eq!(status(&job), "failed", "{case}: {job}");
        assert!(message(&job).contains(why), "{case}: {job}");
        let shown = job.to_string();
        let root = place.folder.path().to_str().unwrap();
        assert!(!shown.contains(root), "{case}: a path shows: {shown}");
    }
    assert_eq!(place.generation(), 1);
    assert_eq!(place.state(ID)["refreshState"], "updateFailed");
}

#[test]
fn rejected_rows_name_their_file() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 200);
    let rows = format!(
        "{}C201,Name,Oslo,many,1980-01-01,1,,K201\n",
        Sample::customers(200)
    );
    fs::write(folder.join("Customer.csv"), rows).unwrap();
    place.use_folder(ID, &folder);
    let job = place.refresh("");
    assert_eq!(
        (status(&job), &job["report"]["rowsRejected"]),
        ("successful", &json!(1))
    );
    let id = job["jobId"].as_str().unwrap();
    let path = place
        .sample
        .path(&format!("/workflows/main/jobs/{id}/rejections"));
    let rows = place.server.http.get(&path).expect(200).json();
    let row = rows.as_array().or(rows["value"].as_array()).unwrap()[0].clone();
    assert_eq!(
        (&row["file"], &row["row"], &row["column"]),
        (&json!("Customer.csv"), &json!(201), &json!("Score"))
    );
}

#[test]
fn only_allowed_folders_are_read_whatever_links_say() {
    let place = Place::new();
    let outside = place.folder.path().join("out");
    fs::create_dir(&outside).unwrap();
    write_both(&outside, FIRST, 1);
    symlink(&outside, place.path("link")).unwrap();
    let location = |path: &Path| format!("file://{}", path.display());
    for (location, why) in [
        (location(&outside), "in none of the folders"),
        (location(&place.path("link")), "in none of the folders"),
        (location(&place.path("none")), "can't be read"),
        (location(&place.path("../out")), "without . and .."),
        ("s3://bucket/prefix".to_owned(), "is read with credentials"),
        (
            "az://container/prefix".to_owned(),
            "is read with credentials",
        ),
        ("/srv".to_owned(), "no scheme"),
    ] {
        let (status, answer) = place.put(ID, "nightly", &location);
        assert_eq!(status, 400, "{location}: {answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(message.contains(why), "{location}: {message}");
    }

    // What was a folder when it was configured may be a link when it is read.
    let folder = place.write("a", FIRST, 1);
    place.use_folder(ID, &folder);
    fs::rename(&folder, place.path("moved")).unwrap();
    symlink(&outside, &folder).unwrap();
    let job = place.refresh("");
    assert_eq!(status(&job), "failed", "{job}");
    assert!(message(&job).contains("in none of the folders"), "{job}");

    // So may its manifest and its files.
    fs::remove_file(&folder).unwrap();
    place.write("a", FIRST, 1);
    for name in ["snapshot.json", "Customer.csv"] {
        let file = folder.join(name);
        let kept = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        symlink(outside.join(name), &file).unwrap();
        let job = place.refresh("");
        assert_eq!(status(&job), "failed", "{name}: {job}");
        assert!(message(&job).contains("symbolic link"), "{name}: {job}");
        fs::remove_file(&file).unwrap();
        fs::write(&file, kept).unwrap();
    }
    assert_eq!(status(&place.refresh("")), "successful");

    let without = TestServer::start();
    let sample = Sample::create(&without.http);
    let body = json!({"friendlyName": "n", "kind": "folder", "location": "file:///srv"});
    let path = sample.path(&format!("/manage/datasources/{ID}"));
    let refused = without.http.json("PUT", &path, &body).expect(400).json();
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("actors.data_source_folders"), "{message}");
}

#[test]
fn rows_keep_the_order_of_their_files_however_long_each_takes() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 20_000);
    // The second file is read long before the first one has come to the row that it repeats.
    let again = Sample::customers(1).replace("C1,", "C20000,") + "C20001,Last,Moss,1,,,,\n";
    fs::write(folder.join("More.csv"), again).unwrap();
    let mut manifest = Sample::manifest(FIRST);
    manifest["entities"][0]["files"] = json!(["Customer.csv", "More.csv"]);
    manifest["entities"][1]["files"] = json!(["orders/*.csv"]);
    fs::write(folder.join("snapshot.json"), manifest.to_string()).unwrap();
    place.use_folder(ID, &folder);
    let job = place.refresh("");
    assert_eq!(status(&job), "successful", "{job}");
    assert_eq!(job["report"]["profiles"], 20_001, "{job}");
    let id = job["jobId"].as_str().unwrap();
    let path = format!("/workflows/main/jobs/{id}/rejections");
    let rejected = place.server.http.get(&place.sample.path(&path));
    let rejected = rejected.expect(200).json();
    let rejected = rejected.as_array().unwrap();
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(
        (
            &rejected[0]["file"],
            &rejected[0]["row"],
            &rejected[0]["key"]
        ),
        (&json!("More.csv"), &json!(1), &json!("C20000"))
    );
}

#[test]
fn an_entity_comes_from_one_source() {
    let place = Place::new();
    place
        .sample
        .load(FIRST, &Sample::customers(1), &Sample::orders(1));
    place.use_folder(ID, &place.write("a", SECOND, 2));
    let job = place.refresh("");
    assert_eq!(status(&job), "failed", "{job}");
    assert!(message(&job).contains("belongs to uploads"), "{job}");

    let place = Place::new();
    place.use_folder(ID, &place.write("a", FIRST, 2));
    assert_eq!(status(&place.refresh("")), "successful");
    let other = format!("file://{}", place.write("b", SECOND, 3).display());
    assert_eq!(place.put(OTHER, "weekly", &other).0, 200);
    let job = place.refresh("");
    assert_eq!(status(&job), "failed", "{job}");
    for name in ["weekly", "nightly", "Customer"] {
        assert!(message(&job).contains(name), "{job}");
    }
    let http = &place.server.http;
    let upload = place.sample.path("/snapshots");
    let refused = http.json("POST", &upload, &Sample::manifest(SECOND));
    assert!(
        refused
            .expect(400)
            .text()
            .contains("belongs to the data source")
    );

    let path = place.sample.path(&format!("/manage/datasources/{ID}"));
    http.delete(&path).expect(200);
    http.delete(&path).expect(404);
    let unknown = place
        .sample
        .path(&format!("/workflows/main/jobs?identifiers={ID}"));
    let refused = http.send("POST", &unknown, &[], b"").expect(404);
    assert!(refused.text().contains(ID));
    assert_eq!(
        status(&place.refresh("")),
        "successful",
        "the other takes over"
    );
}

#[test]
fn a_reset_keeps_the_data_sources_and_forgets_what_they_held() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 2);
    place.use_folder(ID, &folder);
    assert_eq!(status(&place.refresh("")), "successful");
    let http = &place.server.http;
    http.delete(&place.sample.path("/manage/reset")).expect(200);
    let listed = http
        .get(&place.sample.path("/manage/datasources/v2"))
        .expect(200)
        .json();
    let metadata = &listed[0]["dataSourceMetadata"];
    assert_eq!(
        (&metadata["dataSourceId"], &metadata["refreshState"]),
        (&json!(ID), &json!("notUpdated"))
    );
    assert_eq!(status(&place.refresh("")), "successful");
}

#[test]
fn attributes_that_a_manifest_leaves_out_are_as_they_were() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 2);
    place.use_folder(ID, &folder);
    assert_eq!(status(&place.refresh("")), "successful");
    let manifest = json!({"asOf": SECOND, "entities": [
        {"name": "Customer", "entityType": "profile", "key": "CustomerId",
         "files": ["Customer.csv"], "attributes": []}]});
    fs::write(folder.join("snapshot.json"), manifest.to_string()).unwrap();
    let job = place.refresh("");
    assert_eq!(
        (status(&job), &job["report"]["profiles"]),
        ("successful", &json!(2)),
        "{job}"
    );
    assert_eq!(job["report"]["activities"], 1, "carried over");
}

#[test]
fn after_a_simulation_a_source_that_has_not_changed_makes_the_generation_real_again() {
    let place = Place::new();
    let folder = place.write("a", FIRST, 3);
    place.use_folder(ID, &folder);
    assert_eq!(status(&place.refresh("")), "successful");
    let (http, path) = (&place.server.http, |rest| place.sample.path(rest));
    let simulations = path("/workflows/main/simulations");
    let job = http.json("POST", &simulations, &json!({})).expect(202);
    let job = wait_for_job(http, &place.sample.instance, &job.json());
    assert_eq!(status(&job), "successful", "{job}");
    http.get(&path("/exports/Customer")).expect(409);
    let job = place.refresh("");
    assert_eq!(status(&job), "successful", "{job}");
    http.get(&path("/exports/Customer")).expect(200);
    assert_eq!(status(&place.refresh("")), "skipped");
}
