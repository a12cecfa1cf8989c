//! Buckets whose server hangs: a refresh from there ends in its time with a message to act on, can be
//! cancelled before, changes nothing, and keeps neither the next refresh nor the server's end.

#[expect(dead_code, reason = "the tests of reading buckets need more of it")]
#[path = "../../crates/sources/tests/it/s3_server.rs"]
mod s3_server;

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::mpsc,
    thread,
    time::Duration,
};

use sanntid_testkit::{Sample, TestServer, wait_for_job};
use sanntid_types::{Location, Secret};
use serde_json::{Value, json};

use self::s3_server::{Fault, S3Server};

const FIRST: &str = "2026-11-23T10:00:00Z";
const SECOND: &str = "2026-11-23T11:00:00Z";
const SOURCE: &str = "/manage/datasources/3f2504e0-4f89-41d3-9a0c-0305e82c3301";
const SHORT: Duration = Duration::from_millis(200);
/// Far longer than a test may take.
const LONG: Duration = Duration::from_secs(1800);

/// Fails the test where something takes longer than a few seconds.
fn soon<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, done) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    done.recv_timeout(Duration::from_secs(20)).expect(what)
}

/// An instance with a data source in a bucket.
struct Place {
    sample: Sample,
    server: TestServer,
}

impl Place {
    /// Buckets may send nothing for so long.
    fn new(endpoint: &str, stall_timeout: Duration) -> Self {
        let server = TestServer::start_with(|config| {
            let secret = config.secrets.entry("keys".to_owned()).or_default();
            secret.access_key_id = Some("id".to_owned());
            secret.secret_access_key = Some(Secret::new("key"));
            secret.endpoint = Some(endpoint.to_owned());
            secret.allow_http = true;
            config.actors.data_source_buckets = vec![Location::parse("s3://bucket/in").unwrap()];
            config.actors.bucket_stall_timeout = stall_timeout;
            config.actors.bucket_retries_max = 1;
            config.actors.bucket_retry_wait = Duration::from_millis(1);
        });
        let sample = Sample::create(&server.http);
        let place = Self { sample, server };
        let body = json!({"friendlyName": "nightly", "kind": "folder",
            "location": "s3://bucket/in", "credentials": {"name": "keys"}});
        let path = place.sample.path(SOURCE);
        place.server.http.json("PUT", &path, &body).expect(200);
        place
    }

    fn submit(&self) -> Value {
        let path = self.sample.path("/workflows/main/jobs");
        let http = &self.server.http;
        http.send("POST", &path, &[], b"").expect(200).json()
    }

    fn ended(&self, job: &Value) -> Value {
        let (http, instance) = (self.server.http.clone(), self.sample.instance.clone());
        let job = job.clone();
        soon("a job", move || wait_for_job(&http, &instance, &job))
    }

    fn refresh(&self) -> Value {
        let job = self.submit();
        self.ended(&job)
    }

    fn cancel(&self, job: &Value) {
        let id = job["jobId"].as_str().unwrap();
        let path = format!("/workflows/main/jobs/{id}/cancel");
        let http = &self.server.http;
        http.send("POST", &self.sample.path(&path), &[], b"")
            .expect(200);
    }

    fn card(&self) -> Value {
        let path = self.sample.path("/customers/C1/card");
        self.server.http.get(&path).expect(200).json()
    }
}

/// Puts `count` customers into two files, and an order of each into a third.
fn fill(s3: &S3Server, as_of: &str, count: usize) {
    let mut manifest = Sample::manifest(as_of);
    manifest["entities"][0]["files"] = json!(["Customer/*.csv"]);
    manifest["entities"][1]["files"] = json!(["Orders.csv"]);
    let customers = Sample::customers(count);
    let (first, second) = customers.split_at(customers.rfind(&format!("C{count},")).unwrap());
    let header = customers.lines().next().unwrap();
    s3.put("in/Customer/1.csv", first);
    s3.put("in/Customer/2.csv", format!("{header}\n{second}"));
    s3.put("in/Orders.csv", Sample::orders(count));
    s3.put("in/snapshot.json", manifest.to_string());
}

/// Waits until the server was asked for so many objects, or parts of them.
fn until_read(s3: &S3Server, count: usize) {
    let shared = s3.shared();
    soon("a read", move || {
        let is_read = |line: &&String| line.starts_with("GET ");
        while shared.0.lock().unwrap().seen.iter().filter(is_read).count() < count {
            thread::yield_now();
        }
    });
}

#[test]
fn a_server_that_never_answers_fails_the_refresh_in_its_time() {
    // Connections are made, and nobody reads what comes through them.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let place = Place::new(&endpoint, SHORT);
    let uploaded = place
        .sample
        .load(FIRST, &Sample::customers(2), &Sample::orders(1));
    assert_eq!(uploaded["jobStatus"], "successful", "{uploaded}");
    let before = place.card();
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "failed", "{job}");
    let message = job["ciError"]["message"].as_str().unwrap();
    for part in [
        "data source nightly",
        "sent nothing for 200ms",
        "check that it is up",
        "actors.bucket_stall_timeout",
        "tried 2 times",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(place.card(), before);
    let next = place
        .sample
        .load(SECOND, &Sample::customers(3), &Sample::orders(1));
    assert_eq!(next["jobStatus"], "successful", "{next}");
}

#[test]
fn an_object_that_stalls_half_way_fails_the_refresh_by_its_name_and_the_next_one_works() {
    let s3 = S3Server::start();
    fill(&s3, FIRST, 3);
    let place = Place::new(&s3.endpoint(), SHORT);
    assert_eq!(place.refresh()["jobStatus"], "successful");
    let before = place.card();
    // The manifest comes whole; of each object some, and then nothing more.
    fill(&s3, SECOND, 300);
    let manifest = Fault::Cut(s3.state().objects["in/snapshot.json"].len());
    let half = [Fault::Hang(60), Fault::Hang(60), Fault::Hang(60)];
    let none = std::iter::repeat_n(Fault::Hang(0), 20);
    s3.state().faults = std::iter::once(manifest).chain(half).chain(none).collect();
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "failed", "{job}");
    let message = job["ciError"]["message"].as_str().unwrap();
    assert!(
        message.contains("\"Customer/1.csv\" of the data source nightly"),
        "{message}"
    );
    assert!(message.contains("check that it is up"), "{message}");
    assert_eq!(place.card(), before);
    s3.state().faults.clear();
    let job = place.refresh();
    assert_eq!(job["jobStatus"], "successful", "{job}");
    assert_eq!(job["report"]["profiles"], 300, "{job}");
}

#[test]
fn a_hanging_refresh_is_cancelled_at_once_whatever_it_hangs_at() {
    let s3 = S3Server::start();
    fill(&s3, FIRST, 3);
    let place = Place::new(&s3.endpoint(), LONG);
    assert_eq!(place.refresh()["jobStatus"], "successful");
    let manifest = Fault::Cut(s3.state().objects["in/snapshot.json"].len());
    for (customers, case, faults) in [
        (4, "at the manifest", vec![Fault::Hang(10)]),
        (
            5,
            "at the objects",
            vec![manifest, Fault::Hang(60), Fault::Hang(60)],
        ),
    ] {
        fill(&s3, SECOND, customers);
        let before = (place.card(), s3.reads().len());
        let count = before.1 + faults.len();
        s3.state().faults = faults.into();
        let job = place.submit();
        until_read(&s3, count);
        place.cancel(&job);
        let job = place.ended(&job);
        assert_eq!(job["jobStatus"], "aborted", "{case}: {job}");
        assert_eq!(place.card(), before.0, "{case}");
        s3.state().faults.clear();
        let path = place
            .sample
            .path("/workflows/main/jobs?forceRunRequested=true");
        let job = place.server.http.send("POST", &path, &[], b"").expect(200);
        let job = place.ended(&job.json());
        assert_eq!(job["jobStatus"], "successful", "{case}: {job}");
    }
}

#[test]
fn a_server_ends_while_its_refresh_hangs() {
    let s3 = S3Server::start();
    fill(&s3, FIRST, 3);
    let place = Place::new(&s3.endpoint(), LONG);
    s3.state().faults = [Fault::Hang(10)].into();
    place.submit();
    until_read(&s3, 1);
    soon("the end of the server", move || place.server.stop());
}

#[test]
fn objects_are_asked_for_before_those_ahead_of_them_have_come() {
    let s3 = S3Server::start();
    fill(&s3, FIRST, 3);
    let place = Place::new(&s3.endpoint(), LONG);
    let manifest = Fault::Cut(s3.state().objects["in/snapshot.json"].len());
    // Whichever of the first two is asked for first hangs; the other one is asked for all the same.
    s3.state().faults = [manifest, Fault::Hang(10), Fault::Hang(10)].into();
    let job = place.submit();
    let shared = s3.shared();
    soon("both objects", move || {
        let is_asked = |name: &str| {
            let seen = &shared.0.lock().unwrap().seen;
            seen.iter()
                .any(|line| line.starts_with(&format!("GET in/Customer/{name}")))
        };
        while !(is_asked("1.csv") && is_asked("2.csv")) {
            thread::yield_now();
        }
    });
    let asked = s3.reads();
    assert!(
        !asked.iter().any(|line| line.contains("Orders")),
        "two at a time: {asked:?}"
    );
    place.cancel(&job);
    assert_eq!(place.ended(&job)["jobStatus"], "aborted");
}
