//! Looks for secrets and personal data in everything that a server says about itself: its log at the
//! finest level, its metrics, its configuration as it is printed.
//!
//! The server and its story run in a process of their own, whose log is searched once it has ended.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use sanntid_server::{Config, Secret};
use sanntid_testkit::{Answer, Http, KEY, Sample, TestServer, log_everything, wait_for_job};
use sanntid_types::Location;
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";
/// Found in the folder in which the story is to be told.
const MARKER: &str = "tell-the-story";
/// Where the story writes the keys that it was given.
const KEYS: &str = "keys.json";
/// Where it writes what the server says of itself over HTTP.
const METRICS: &str = "metrics.txt";

/// What must not be found, by what it is. Each is planted in the story.
const PLANTED: [(&str, &str); 15] = [
    ("the server's key", KEY),
    ("a wrong key in a header", "wrong-key-5f1b7e02c9a84d35"),
    ("a wrong key in the query", "query-key-0c61d8e3b7f94a26"),
    (
        "a bearer token",
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrYXJpIn0.cGxhbnRlZC1zaWduYXR1cmU",
    ),
    ("a basic credential", "a2FyaTpwbGFudGVkLXBhc3N3b3Jk"),
    ("a bucket's secret key", "planted-bucket-secret-7d0e"),
    ("a bucket's session token", "planted-session-token-3b9c"),
    ("a value of an update", "Planted-Street-17"),
    ("a value of a bad update", "planted-no-number"),
    ("a value of a bad document", "planted-broken-json"),
    ("a title", "Planted visit at the clinic"),
    ("a bad activity's customer", "planted-unknown-customer"),
    ("a name of the source", "Planted Nordmann"),
    ("a rejected row of the source", "planted-no-date"),
    ("a filter", "Planted-Filter"),
];

/// Serves and calls where a parent asked for it; else does nothing.
#[test]
fn the_story() {
    if !Path::new(MARKER).exists() {
        return;
    }
    log_everything();
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder.path(), plant);
    let http = &server.http;
    let sample = Sample::create(http);
    let key = |name: &str| {
        let path = sample.path(&format!("/manage/keys/{name}/regenerate"));
        let made = http.send("POST", &path, &[], b"").expect(200).json();
        made["key"].as_str().unwrap().to_owned()
    };
    let keys = [key("primary"), key("secondary")];
    fs::write(KEYS, json!(keys).to_string()).unwrap();
    load(&sample);
    write(&Http::new(server.address(), Some(&keys[0])), &sample);
    knock(&http.without_key(), &sample, &keys[1]);
    read(http, &sample);
    let path = sample.path("/customers/C1/realtime");
    http.delete(&path).expect(200);
    fs::write(METRICS, http.get("/metrics").expect(200).text()).unwrap();
    // What is left is said at its end.
    server.stop();
}

fn plant(config: &mut Config) {
    let secrets = json!({"lake": {
        "access_key_id": "lake-user", "secret_access_key": "planted-bucket-secret-7d0e",
        "session_token": "planted-session-token-3b9c", "endpoint": "http://127.0.0.1:1",
        "allow_http": true, "region": "eu-north-1"}});
    config.secrets = serde_json::from_value(secrets).unwrap();
    config.actors.data_source_buckets = vec![Location::parse("s3://lake/").unwrap()];
    config.actors.bucket_retries_max = 0;
}

/// Loads a snapshot with a name, and a row that is rejected.
fn load(sample: &Sample) {
    let mut customers = Sample::customers(500).replace("Name 1,", "Planted Nordmann,");
    customers.push_str("bad,Bad,Oslo,4,planted-no-date,4.5,,K0\n");
    let job = sample.load(FIRST, &customers, &Sample::orders(3));
    assert_eq!(job["jobStatus"], "successful", "{job}");
    assert_eq!(job["report"]["rowsRejected"], 1, "{job}");
}

/// Writes good and bad.
fn write(http: &Http, sample: &Sample) {
    let customer = sample.path("/data/Customer('C1')?caller=crm");
    for (body, status) in [
        (json!({"City": "Planted-Street-17"}), 204),
        (json!({"Score": "planted-no-number"}), 400),
        (json!({"Planted-Street-17": 1}), 400),
    ] {
        http.json("PATCH", &customer, &body).expect(status);
    }
    let headers = [("Content-Type", "application/json")];
    let broken = br#"{"City": "planted-broken-json"#;
    http.send("PATCH", &customer, &headers, broken).expect(400);
    let visit = |customer: &str| {
        json!({"CustomerId": customer, "ActivityTime": FIRST, "ActivityType": "Visit",
               "Title": "Planted visit at the clinic"})
    };
    let activities = sample.path("/data/UnifiedActivity");
    let post = |body: &Value| http.json("POST", &activities, body);
    post(&visit("C1")).expect(201);
    post(&visit("C1")).expect(201);
    post(&visit("planted-unknown-customer")).expect(400);
    let lines = format!(
        "{}\n{}\n{{\"planted-broken-json",
        json!({"body": visit("C2")}),
        json!({"body": visit("C9")})
    );
    let bulk = sample.path("/data/UnifiedActivity/$bulk");
    let ndjson = [("Content-Type", "application/x-ndjson")];
    http.send("POST", &bulk, &ndjson, lines.as_bytes())
        .expect(200);
}

/// Comes with all kinds of credentials, of which one is good.
fn knock(http: &Http, sample: &Sample, key: &str) {
    let path = sample.path("/data/Customer('C1')");
    let with = |name: &str, value: &str| http.send("GET", &path, &[(name, value)], b"");
    with("Ocp-Apim-Subscription-Key", "wrong-key-5f1b7e02c9a84d35").expect(401);
    let bearer = format!("Bearer {}", PLANTED[3].1);
    with("Authorization", &bearer).expect(401);
    with("Authorization", "Basic a2FyaTpwbGFudGVkLXBhc3N3b3Jk").expect(401);
    let query = |key: &str| http.get(&format!("{path}?subscription-key={key}"));
    query("query-key-0c61d8e3b7f94a26").expect(401);
    query(key).expect(200);
    query(KEY).expect(200);
    // No address that is known, and the key is in it.
    http.get(&format!("/nowhere?subscription-key={KEY}"));
    with("Authorization", &format!("Bearer {key}")).expect(200);
}

/// Reads by every door, refreshes from a bucket that does not answer, explains, exports.
fn read(http: &Http, sample: &Sample) {
    for rest in [
        "/data/Customer('C1')?explain=true",
        "/data/Customer?$filter=City%20eq%20'Planted-Filter'",
        "/data/Customer?$filter=City%20eq%20Planted-Filter",
        "/customers/C1/card",
        "/customers/C1/timeline",
        "/customers/C1/data",
        "/exports/Customer",
        "/manage/keys",
    ] {
        let answer: Answer = http.get(&sample.path(rest));
        assert!(answer.status < 500, "{rest}: {}", answer.text());
    }
    let source = json!({"friendlyName": "nightly", "kind": "folder",
        "location": "s3://lake/in", "credentials": {"name": "lake"}});
    let path = sample.path("/manage/datasources/5f0c8e0e-6d0a-4d3c-9f0e-2b8a51d1c001");
    http.json("PUT", &path, &source).expect(200);
    let job = sample.path("/workflows/main/jobs");
    let job = http.send("POST", &job, &[], b"").expect(200).json();
    let job = wait_for_job(http, &sample.instance, &job);
    assert_eq!(job["jobStatus"], "failed", "nobody answers there: {job}");
    let simulated = sample.path("/workflows/main/simulations");
    let dry = http.json("POST", &simulated, &json!({"dryRun": true, "absorb": true}));
    dry.expect(200);
}

#[test]
fn nothing_that_a_server_says_of_itself_has_a_secret_or_personal_data() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(MARKER), "").unwrap();
    let log = |name: &str| fs::File::create(folder.path().join(name)).unwrap();
    let told = Command::new(std::env::current_exe().unwrap())
        .args([
            "secrets::the_story",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log("stdout"))
        .stderr(log("stderr"))
        .status()
        .unwrap();
    let said = |name: &str| {
        let bytes = fs::read(folder.path().join(name)).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let log = said("stderr");
    let panics = log.lines().skip_while(|line| !line.contains("panicked"));
    let panic: Vec<&str> = panics.take(6).collect();
    assert!(told.success(), "{}", panic.join("\n"));
    let keys: Vec<String> = serde_json::from_str(&said(KEYS)).unwrap();
    let mut planted = PLANTED.to_vec();
    planted.extend(keys.iter().map(|key| ("an instance's key", key.as_str())));
    let mut found = Vec::new();
    for place in ["stdout", "stderr", METRICS] {
        let text = said(place);
        assert!(
            !text.is_empty() || place == "stdout",
            "{place} says nothing"
        );
        for (what, secret) in &planted {
            let mut lines = text.lines().filter(|line| line.contains(secret));
            found.extend(
                lines
                    .next()
                    .map(|line| format!("{what} in {place}: {line}")),
            );
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(log.contains("TRACE"), "the log is at its finest level");
    assert!(log.contains("sanntid_"), "it is the server's");
}

#[test]
fn a_configuration_that_is_printed_has_no_secret() {
    let mut config = Config {
        admin_key: Some(Secret::new(KEY)),
        ..Config::default()
    };
    plant(&mut config);
    for printed in [format!("{config:?}"), format!("{config:#?}")] {
        for (what, secret) in PLANTED {
            assert!(!printed.contains(secret), "{what} in {printed}");
        }
        assert!(printed.contains("lake-user"), "what is no secret shows");
    }
}
