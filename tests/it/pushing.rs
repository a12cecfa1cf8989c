//! `snapshot push` against a real server: what arrived before an interruption is not sent again.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use sanntid_server::{
    Client, Instance, Interrupt, Part, PartKind, PartPacking, Progress, Secret, push,
};
use sanntid_testkit::{Sample, TestServer};
use sanntid_types::Manifest;

const AS_OF: &str = "2026-11-23T10:00:00Z";

/// Notes what became of each file, and stops the upload when `stop_at` begins.
#[derive(Default)]
struct Notes {
    told: Mutex<Vec<String>>,
    stop_at: Option<(String, Interrupt)>,
}

impl Notes {
    fn tell(&self, what: &str, part: &Part) {
        let told = format!("{what} {}", part.entity);
        self.told.lock().unwrap().push(told);
    }

    fn told(self) -> Vec<String> {
        self.told.into_inner().unwrap()
    }
}

impl Progress for Notes {
    fn begin(&self, part: &Part) {
        if let Some((entity, interrupt)) = &self.stop_at
            && *entity == part.entity
        {
            interrupt.raise();
        }
    }

    fn advance(&self, _: u64) {}

    fn end(&self, part: &Part) {
        self.tell("sent", part);
    }

    fn skip(&self, part: &Part) {
        self.tell("skipped", part);
    }
}

fn part(folder: &Path, entity: &str, rows: &str) -> Part {
    let path = folder.join(format!("{entity}.csv"));
    fs::write(&path, rows).unwrap();
    Part {
        entity: entity.to_owned(),
        path,
        kind: PartKind::Csv,
        packing: PartPacking::None,
        bytes: rows.len() as u64,
    }
}

fn instance(server: &TestServer, sample: &Sample, interrupt: &Interrupt) -> Instance {
    let url = format!("http://{}", server.address());
    let key = Secret::new(sanntid_testkit::KEY);
    let client = Client::new(&url, Some(key), interrupt.clone()).unwrap();
    Instance::new(&client, &sample.instance)
}

/// Pushes until `Shop_Orders` begins, and gives the manifest and parts to go on with.
fn interrupted(server: &TestServer, sample: &Sample, folder: &Path) -> (Manifest, [Part; 2]) {
    let manifest = serde_json::from_value(Sample::manifest(AS_OF)).unwrap();
    let parts = [
        part(folder, "Customer", &Sample::customers(3)),
        part(folder, "Shop_Orders", &Sample::orders(3)),
    ];
    let interrupt = Interrupt::new();
    let notes = Notes {
        stop_at: Some(("Shop_Orders".to_owned(), interrupt.clone())),
        ..Notes::default()
    };
    let pushed = push(
        &instance(server, sample, &interrupt),
        &manifest,
        &parts,
        &notes,
    );
    assert_eq!(pushed.unwrap_err().to_string(), "interrupted");
    assert_eq!(notes.told(), ["sent Customer"]);
    (manifest, parts)
}

#[test]
fn an_interrupted_push_sends_only_what_has_not_arrived() {
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    let folder = tempfile::tempdir().unwrap();
    let (manifest, parts) = interrupted(&server, &sample, folder.path());

    let again = instance(&server, &sample, &Interrupt::new());
    let notes = Notes::default();
    let job = push(&again, &manifest, &parts, &notes).unwrap();
    assert_eq!(notes.told(), ["skipped Customer", "sent Shop_Orders"]);
    let job = again.wait_for_job(&job.job_id, |_| ()).unwrap();
    assert_eq!(
        job.report().map(|report| report.profiles),
        Some(3),
        "{job:?}"
    );
    assert!(again.open_snapshots().unwrap().is_empty());
}

#[test]
fn a_file_that_changed_since_the_interruption_is_sent_again() {
    let server = TestServer::start();
    let sample = Sample::create(&server.http);
    let folder = tempfile::tempdir().unwrap();
    let (manifest, [customers, orders]) = interrupted(&server, &sample, folder.path());

    // As many bytes, but others.
    let changed = Sample::customers(3).replace("Oslo", "Moss");
    let parts = [part(folder.path(), "Customer", &changed), orders];
    assert_eq!(parts[0].bytes, customers.bytes);
    let again = instance(&server, &sample, &Interrupt::new());
    let notes = Notes::default();
    let job = push(&again, &manifest, &parts, &notes).unwrap();
    assert_eq!(notes.told(), ["sent Customer", "sent Shop_Orders"]);
    again.wait_for_job(&job.job_id, |_| ()).unwrap();
    let path = sample.path("/data/Customer/C1");
    assert_eq!(server.http.get(&path).expect(200).json()["City"], "Moss 1");
}
