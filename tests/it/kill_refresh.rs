//! The server killed at every stage of a refresh: one generation or the other is there afterwards,
//! whole, with all that callers wrote; nothing is left half-built, and the next job works.

use std::{collections::BTreeSet, fs, path::Path};

use sanntid_store::{
    FjallKv, Kv,
    catalog::{self, TableState},
};
use sanntid_testkit::{ChildServer, Http, Sample, serve_if_marked, wait_for_job};
use serde_json::{Value, json};
use tempfile::TempDir;

const TEST: &str = "kill_refresh::the_child_serves";
const AS_OF: &str = "2026-01-01T00:00:00Z";
const CUSTOMERS: usize = 250;
const SOURCE: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

const BEGINS: &str = "a stage begins";
const ROWS: &str = "rows are done";
const ENDS: &str = "a stage ends";
/// The moment between a switch and the count of its effect.
const SWITCHED: (&str, &str) = ("ProfileStore", "a switch is done");

/// All stages of a refresh that loads rows, in their order.
const LOADING: [(&str, &str); 13] = [
    ("Ingestion", BEGINS),
    ("Ingestion", ROWS),
    ("Ingestion", ENDS),
    ("Map", BEGINS),
    ("Merge", BEGINS),
    ("Merge", ROWS),
    ("Activity", BEGINS),
    ("Activity", ROWS),
    ("Activity", ENDS),
    ("Search", BEGINS),
    ("ProfileStore", BEGINS),
    SWITCHED,
    ("ProfileStore", ENDS),
];

/// The same of one that copies tables.
const COPYING: [(&str, &str); 7] = [
    ("Ingestion", BEGINS),
    ("Ingestion", ROWS),
    ("Ingestion", ENDS),
    ("Activity", BEGINS),
    ("Activity", ENDS),
    ("ProfileStore", BEGINS),
    SWITCHED,
];

#[test]
fn the_child_serves() {
    serve_if_marked();
}

#[test]
fn an_upload_survives_a_kill_at_any_stage() {
    walk(Kind::Upload, &LOADING);
}

#[test]
fn a_refresh_from_a_folder_survives_a_kill_at_any_stage() {
    walk(Kind::Folder, &LOADING);
}

#[test]
fn a_copy_survives_a_kill_at_any_stage() {
    walk(Kind::Copy, &COPYING);
}

/// What brings the generations of a walk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Upload,
    Folder,
    Copy,
}

/// One instance in one folder, through many kills.
struct World {
    kind: Kind,
    folder: TempDir,
    sample: Sample,
}

/// A job, and the instance that it refreshes.
struct Begun {
    instance: String,
    job: Value,
}

impl World {
    /// Sets out with the cities `before`.
    fn new(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("sources/a")).unwrap();
        let server = ChildServer::spawn(folder.path(), TEST, 0);
        let sample = Sample::create(&server.http);
        let world = Self {
            kind,
            folder,
            sample,
        };
        if kind == Kind::Folder {
            let place = world.path().join("sources/a").canonicalize().unwrap();
            let location = format!("file://{}", place.display());
            let body = json!({"friendlyName": "a", "kind": "folder", "location": location});
            let path = world.sample.path(&format!("/manage/datasources/{SOURCE}"));
            server.http.json("PUT", &path, &body).expect(200);
        }
        let first = world.bring(&server.http, "before");
        let ended = wait_for_job(&server.http, &first.instance, &first.job);
        assert_eq!(ended["jobStatus"], "successful", "{ended}");
        server.kill();
        world
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Asks for a generation with this city: by upload or from the folder.
    fn bring(&self, http: &Http, city: &str) -> Begun {
        let instance = self.sample.instance.clone();
        let rows = Sample::customers(CUSTOMERS).replace("Oslo", city);
        // One customer has been another one before: the stage `merge` has a row.
        let rows = rows.replacen(".5,,K2\n", ".5,C0,K2\n", 1);
        let orders = Sample::orders(CUSTOMERS);
        if self.kind != Kind::Folder {
            let job = upload(http, &instance, &rows, &orders);
            return Begun { instance, job };
        }
        let place = self.path().join("sources/a");
        let mut manifest = Sample::manifest(AS_OF);
        manifest["entities"][0]["files"] = json!(["Customer.csv"]);
        manifest["entities"][1]["files"] = json!(["Orders.csv"]);
        fs::write(place.join("Customer.csv"), rows).unwrap();
        fs::write(place.join("Orders.csv"), orders).unwrap();
        fs::write(place.join("snapshot.json"), manifest.to_string()).unwrap();
        let path = self
            .sample
            .path("/workflows/main/jobs?forceRunRequested=true");
        let job = http.send("POST", &path, &[], b"").expect(200).json();
        Begun { instance, job }
    }

    /// Begins the job that is to be killed.
    fn begin(&self, http: &Http, city: &str) -> Begun {
        if self.kind != Kind::Copy {
            return self.bring(http, city);
        }
        let body = json!({"instanceIdToCopy": self.sample.instance,
                          "instanceMetadata": {"name": "Copy"}});
        let made = http.json("POST", "/api/instances/copy", &body).expect(200);
        let instance = made.json()["instanceId"].as_str().unwrap().to_owned();
        let jobs = format!("/api/instances/{instance}/workflows/main/jobs");
        let job = http.get(&jobs).expect(200).json()[0].clone();
        Begun { instance, job }
    }

    /// Tables that a job was filling, of all instances; nobody may have the store open.
    fn loading(&self) -> usize {
        let config = sanntid_store::Config {
            free_space_min_bytes: 0,
            ..sanntid_store::Config::default()
        };
        let store = FjallKv::open(self.path().join("data/store"), config, None).unwrap();
        let snapshot = store.snapshot().unwrap();
        let mut count = 0;
        for record in catalog::instances(&*snapshot) {
            let tables = catalog::tables(&*snapshot, record.unwrap().incarnation).unwrap();
            let is_loading = |table: &&(_, TableState)| matches!(table.1, TableState::Loading(_));
            count += tables.iter().filter(is_loading).count();
        }
        count
    }
}

fn upload(http: &Http, instance: &str, customers: &str, orders: &str) -> Value {
    let path = |rest: &str| format!("/api/instances/{instance}{rest}");
    let opened = http.json("POST", &path("/snapshots"), &Sample::manifest(AS_OF));
    let id = opened.expect(201).json()["snapshotId"].clone();
    let id = id.as_str().unwrap();
    for (entity, rows) in [("Customer", customers), ("Shop_Orders", orders)] {
        let part = path(&format!("/snapshots/{id}/entities/{entity}/parts/1"));
        http.send(
            "PUT",
            &part,
            &[("Content-Type", "text/csv")],
            rows.as_bytes(),
        )
        .expect(204);
    }
    let commit = path(&format!("/snapshots/{id}/commit"));
    http.send("POST", &commit, &[], b"").expect(202).json()
}

/// Writes what must be there whenever it is asked for again: a score and an activity.
fn write(http: &Http, instance: &str, number: usize) {
    let path = |rest: &str| format!("/api/instances/{instance}/data{rest}");
    let score = json!({"Score": 10_000 + number});
    http.json("PATCH", &path("/Customer/C1"), &score)
        .expect(204);
    let visit = json!({"CustomerId": "C1", "ActivityId": format!("a-{number}"),
                       "ActivityTime": AS_OF, "ActivityType": "Visit"});
    http.json("POST", &path("/UnifiedActivity"), &visit)
        .expect(201);
}

fn check_written(http: &Http, instance: &str, number: usize) {
    let path = |rest: &str| format!("/api/instances/{instance}/data{rest}");
    let profile = http.get(&path("/Customer/C1")).expect(200).json();
    assert_eq!(profile["Score"].to_string(), (10_000 + number).to_string());
    http.get(&path(&format!("/UnifiedActivity('a-{number}')")))
        .expect(200);
}

/// The city of all customers in the source of truth; `None` where there are no customers.
fn city(http: &Http, instance: &str) -> Option<String> {
    let root = format!("/api/instances/{instance}/data/Customer");
    let mut next = format!("{root}?view=source&$select=City");
    let (mut cities, mut count) = (BTreeSet::new(), 0);
    loop {
        let page = http.get(&next).expect(200).json();
        for row in page["value"].as_array().unwrap() {
            let (city, _) = row["City"].as_str().unwrap().split_once(' ').unwrap();
            cities.insert(city.to_owned());
            count += 1;
        }
        match page["@odata.nextLink"].as_str() {
            Some(link) => next = format!("/api{}", link.split_once("/api").unwrap().1),
            None => break,
        }
    }
    assert!(count == 0 || count == CUSTOMERS, "{count} of {CUSTOMERS}");
    assert!(cities.len() <= 1, "two generations at once: {cities:?}");
    cities.pop_first()
}

/// Kills the server at each of the moments, one after the other.
fn walk(kind: Kind, moments: &[(&str, &str)]) {
    let world = World::new(kind);
    let mut before = "before".to_owned();
    for (number, moment) in moments.iter().enumerate() {
        let is_switched = moments[..=number].contains(&SWITCHED);
        before = kill_at(&world, number, *moment, is_switched, &before);
    }
}

/// One round; gives the city of the generation that it ends with.
fn kill_at(
    world: &World,
    number: usize,
    moment: (&str, &str),
    is_switched: bool,
    before: &str,
) -> String {
    let case = format!("{moment:?}");
    println!("{case}");
    let live = &world.sample.instance;
    let (killed_city, queued_city) = (format!("K{number}"), format!("Q{number}"));
    let server = ChildServer::spawn_held(world.path(), TEST, moment);
    write(&server.http, live, 1_000 + number);
    let killed = world.begin(&server.http, &killed_city);
    server.wait_until_held();
    let is_copy = world.kind == Kind::Copy;
    let shown = |is_new: bool| match (is_new, is_copy) {
        (true, false) => Some(killed_city.clone()),
        (false, true) => None,
        (false, false) | (true, true) => Some(before.to_owned()),
    };
    // A refresh that stands still right before its switch lets no tenant start: a copy's has not.
    if is_switched || !is_copy {
        let city = city(&server.http, &killed.instance);
        assert_eq!(city, shown(is_switched), "{case}, held");
    }
    // Reads and writes go on meanwhile, and jobs queue.
    write(&server.http, live, number);
    let with_queued = number % 2 == 1 && !is_copy;
    let queued = with_queued.then(|| {
        let rows = Sample::customers(CUSTOMERS).replace("Oslo", &queued_city);
        match world.kind {
            Kind::Upload => upload(&server.http, live, &rows, &Sample::orders(CUSTOMERS)),
            Kind::Folder | Kind::Copy => {
                let jobs =
                    format!("/workflows/main/jobs?identifiers={SOURCE}&forceRunRequested=true");
                let path = world.sample.path(&jobs);
                server.http.send("POST", &path, &[], b"").expect(200).json()
            }
        }
    });
    server.kill();
    let is_filling = !is_switched && moment != ("Ingestion", BEGINS);
    assert_eq!(world.loading() > 0, is_filling, "{case}");

    let server = ChildServer::spawn(world.path(), TEST, 0);
    let http = &server.http;
    let ended = wait_for_job(http, &killed.instance, &killed.job);
    let status = if is_switched { "successful" } else { "failed" };
    assert_eq!(ended["jobStatus"], status, "{case}: {ended}");
    assert_eq!(
        ended["ciError"]["errorCode"], "interrupted",
        "{case}: {ended}"
    );
    let message = ended["ciError"]["message"].as_str().unwrap();
    assert!(message.contains("interrupted"), "{case}: {message}");
    match queued {
        Some(job) => {
            let ended = wait_for_job(http, live, &job);
            assert_eq!(ended["jobStatus"], "successful", "{case}: {ended}");
        }
        None => {
            assert_eq!(city(http, &killed.instance), shown(is_switched), "{case}");
            if world.kind == Kind::Folder {
                let path = world.sample.path(&format!("/manage/datasources/{SOURCE}"));
                let source = http.get(&path).expect(200).json();
                let state = if is_switched {
                    "updated"
                } else {
                    "updateFailed"
                };
                assert_eq!(
                    source["dataSourceMetadata"]["refreshState"], state,
                    "{case}"
                );
            }
        }
    }
    check_written(http, live, number);

    let next_city = format!("N{number}");
    let next = world.bring(http, &next_city);
    let ended = wait_for_job(http, live, &next.job);
    assert_eq!(ended["jobStatus"], "successful", "{case}: {ended}");
    assert_eq!(city(http, live), Some(next_city.clone()), "{case}");
    check_written(http, live, number);
    if is_copy {
        let path = format!("/api/instances/{}", killed.instance);
        http.delete(&path).expect(200);
    }
    server.kill();
    assert_eq!(world.loading(), 0, "{case}");
    next_city
}
