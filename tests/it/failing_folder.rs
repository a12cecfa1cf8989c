//! Folders of a network that fail for a moment, fail for good, or do not answer: a refresh goes on
//! where it was, or ends with a message to act on; nobody waits for ever.

mod fuse;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use sanntid_testkit::{Sample, TestServer, wait_for_job};
use serde_json::{Value, json};

use self::fuse::Fuse;

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
const NETWORK: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const LOCAL: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3302";
const CUSTOMERS: usize = 5_000;

/// Fails the test where something takes longer than it must.
fn soon<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    done.recv_timeout(Duration::from_secs(25)).expect(what)
}

/// A server that may read a folder of a network and one of its own.
struct Place {
    sample: Sample,
    server: TestServer,
    root: tempfile::TempDir,
    /// Goes before the folder that it is mounted over.
    network: Option<Fuse>,
}

impl Place {
    /// `None` where nothing can be mounted.
    fn new() -> Option<Self> {
        let root = tempfile::tempdir().unwrap();
        let allowed =
            ["network", "local"].map(|name| root.path().canonicalize().unwrap().join(name));
        for folder in &allowed {
            fs::create_dir(folder).unwrap();
        }
        let network = match Fuse::mount(&allowed[0]) {
            Ok(network) => network,
            Err(error) => {
                println!("skipped: a file system can't be mounted here: {error}");
                return None;
            }
        };
        let server = TestServer::start_with(|config| {
            config.actors.data_source_folders = allowed.to_vec();
        });
        let place = Self {
            sample: Sample::create(&server.http),
            server,
            root,
            network: Some(network),
        };
        place.fill(FIRST);
        let (status, answer) = place.put(NETWORK, &place.path("network"));
        assert_eq!(status, 200, "{answer}");
        Some(place)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(name)
    }

    fn network(&self) -> &Fuse {
        self.network.as_ref().unwrap()
    }

    /// Puts two files of customers, and one of orders, into the folder of the network.
    fn fill(&self, as_of: &str) {
        let customers = Sample::customers(CUSTOMERS);
        let half = customers.find(&format!("C{},", CUSTOMERS / 2)).unwrap();
        let (first, second) = customers.split_at(half);
        let header = customers.lines().next().unwrap();
        let files = [
            ("1.csv", first.to_owned()),
            ("2.csv", format!("{header}\n{second}")),
            ("Orders.csv", Sample::orders(10)),
            ("snapshot.json", manifest(as_of, &["1.csv", "2.csv"])),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), text.into_bytes()));
        let mut state = self.network().state();
        state.files = files.into();
        state.reads.clear();
    }

    fn put(&self, id: &str, folder: &Path) -> (u16, Value) {
        let location = format!("file://{}", folder.display());
        let body = json!({"friendlyName": "nightly", "kind": "folder", "location": location});
        let path = self.sample.path(&format!("/manage/datasources/{id}"));
        let http = self.server.http.clone();
        let answer = soon("a data source", move || http.json("PUT", &path, &body));
        (answer.status, answer.json())
    }

    fn submit(&self, source: &str) -> Value {
        let rest = format!("/workflows/main/jobs?operationType=all&identifiers={source}");
        let path = self.sample.path(&rest);
        let http = &self.server.http;
        http.send("POST", &path, &[], b"").expect(200).json()
    }

    fn ended(&self, job: &Value) -> Value {
        let (http, instance) = (self.server.http.clone(), self.sample.instance.clone());
        let job = job.clone();
        soon("a job", move || wait_for_job(&http, &instance, &job))
    }

    fn refresh(&self, source: &str) -> Value {
        let job = self.submit(source);
        self.ended(&job)
    }

    fn cancel(&self, job: &Value) {
        let id = job["jobId"].as_str().unwrap();
        let path = format!("/workflows/main/jobs/{id}/cancel");
        let http = &self.server.http;
        http.send("POST", &self.sample.path(&path), &[], b"")
            .expect(200);
    }

    fn generation(&self) -> Value {
        let path = self.sample.path("/customers/C1/card");
        self.server.http.get(&path).expect(200).json()["generation"].clone()
    }

    /// Waits until the network leaves a request without an answer.
    fn until_hanging(&self) {
        while self.network().state().unanswered == 0 {
            thread::yield_now();
        }
    }
}

fn manifest(as_of: &str, customers: &[&str]) -> String {
    let mut manifest = Sample::manifest(as_of);
    manifest["entities"][0]["files"] = json!(customers);
    manifest["entities"][1]["files"] = json!(["Orders.csv"]);
    manifest.to_string()
}

#[test]
fn a_file_that_fails_for_a_moment_is_read_on_from_where_it_was() {
    let Some(place) = Place::new() else { return };
    place.network().state().failing = Some(("1.csv".to_owned(), 100_000, 2));
    let job = place.refresh(NETWORK);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    assert_eq!(job["report"]["profiles"], CUSTOMERS, "{job}");
    assert_eq!(job["report"]["rowsRejected"], 0, "{job}");
    let state = place.network().state();
    assert_eq!(state.failing.as_ref().unwrap().2, 0);
    let reads = state.reads.iter().filter(|(name, _)| name == "1.csv");
    let offsets: Vec<u64> = reads.map(|(_, offset)| *offset).collect();
    assert!(offsets.is_sorted(), "nothing is read again: {offsets:?}");
}

#[test]
fn a_file_that_keeps_failing_fails_the_refresh_and_the_next_one_works() {
    let Some(place) = Place::new() else { return };
    assert_eq!(place.refresh(NETWORK)["jobStatus"], "successful");
    let before = place.generation();
    place.fill(SECOND);
    place.network().state().failing = Some(("2.csv".to_owned(), 50_000, u32::MAX));
    let job = place.refresh(NETWORK);
    assert_eq!(job["jobStatus"], "failed", "{job}");
    let message = job["ciError"]["message"].as_str().unwrap();
    let why = "\"2.csv\" of the data source nightly: reading failed: Input/output error \
               (os error 5); tried 4 times";
    assert_eq!(message, why);
    assert_eq!(place.generation(), before);
    place.network().state().failing = None;
    let job = place.refresh(NETWORK);
    assert_eq!(job["jobStatus"], "successful", "{job}");
}

#[test]
fn a_file_that_changes_while_it_fails_is_not_read_on() {
    let Some(place) = Place::new() else { return };
    place.network().state().failing = Some(("1.csv".to_owned(), 50_000, u32::MAX));
    let job = place.submit(NETWORK);
    let failed = |state: &fuse::State| state.failing.as_ref().is_some_and(|of| of.2 < u32::MAX);
    while !failed(&place.network().state()) {
        thread::yield_now();
    }
    let mut state = place.network().state();
    state.files.get_mut("1.csv").unwrap().truncate(90_000);
    state.failing = None;
    drop(state);
    let job = place.ended(&job);
    assert_eq!(job["jobStatus"], "failed", "{job}");
    let message = job["ciError"]["message"].as_str().unwrap();
    assert!(message.contains("the file was changed"), "{message}");
}

#[test]
fn a_folder_that_does_not_answer_keeps_nobody() {
    let Some(mut place) = Place::new() else {
        return;
    };
    assert_eq!(place.refresh(NETWORK)["jobStatus"], "successful");
    let before = place.generation();
    place.fill(SECOND);
    // One file of it, which is read ahead of the other's rows; then all of it.
    for hanging in ["2.csv", ""] {
        place.network().state().unanswered = 0;
        place.network().state().hanging = Some(hanging.to_owned());
        let job = place.submit(NETWORK);
        place.until_hanging();
        place.cancel(&job);
        let job = place.ended(&job);
        assert_eq!(job["jobStatus"], "aborted", "{hanging:?}: {job}");
        assert_eq!(place.generation(), before, "{hanging:?}");
    }
    // To configure it again, or another one beside it.
    let (status, answer) = place.put(NETWORK, &place.path("network"));
    assert_eq!(
        (status, &answer["errorCode"]),
        (503, &json!("overloaded")),
        "{answer}"
    );
    let message = answer["message"].as_str().unwrap();
    assert!(message.contains("did not answer within 5s"), "{message}");
    let local = place.path("local");
    fs::write(
        local.join("Segments.csv"),
        "SegmentName,CustomerId\nBest,C1\n",
    )
    .unwrap();
    let segments = json!({"asOf": SECOND, "entities": [{"name": "SegmentMembership",
        "entityType": "segmentMembership", "files": ["Segments.csv"], "attributes": [
            {"name": "SegmentName", "dataType": "Edm.String"},
            {"name": "CustomerId", "dataType": "Edm.String"}]}]});
    fs::write(local.join("snapshot.json"), segments.to_string()).unwrap();
    let (status, answer) = place.put(LOCAL, &local);
    assert_eq!(status, 200, "{answer}");
    let job = place.refresh(LOCAL);
    assert_eq!(job["jobStatus"], "successful", "{job}");
    // The server ends while another job hangs there, and before the folder comes back.
    place.network().state().unanswered = 0;
    place.submit(NETWORK);
    place.until_hanging();
    let network = place.network.take();
    let root = soon("the end of the server", move || {
        place.server.stop();
        place.root
    });
    drop(network);
    drop(root);
}
