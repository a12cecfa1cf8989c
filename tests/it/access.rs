//! Who may do what: every operation, for every caller, on the own and on another instance; keys that
//! are made anew, disabled, and end with their instance.

mod keys;
mod matrix;

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::{Value, json};

const FIRST: &str = "2026-11-23T10:00:00Z";

/// A path below an instance.
fn at(instance: &str, rest: &str) -> String {
    format!("/api/instances/{instance}{rest}")
}

/// Makes a key anew and gives its text.
fn renew(http: &Http, instance: &str, name: &str) -> String {
    let path = at(instance, &format!("/manage/keys/{name}/regenerate"));
    let made = http.send("POST", &path, &[], b"").expect(200);
    assert_eq!(made.header("Cache-Control"), Some("no-store"));
    let made = made.json();
    assert_eq!(made["name"], name);
    let text = made["key"].as_str().unwrap().to_owned();
    let hint = made["hint"].as_str().unwrap();
    assert!(text.ends_with(hint.trim_start_matches('…')), "{hint}");
    text
}

fn set_keys(http: &Http, instance: &str, change: &Value) -> Value {
    let path = at(instance, "/manage/keys");
    http.json("PUT", &path, change).expect(200).json()
}

/// A client of its own, with connections of its own.
fn client(server: &TestServer, key: &str) -> Http {
    Http::new(server.address(), Some(key))
}

fn ids(http: &Http) -> Vec<String> {
    let listed = http.get("/api/instances").expect(200).json();
    let id = |info: &Value| info["instanceId"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(id).collect()
}

#[test]
fn a_key_lists_its_own_instance_alone() {
    let server = TestServer::start();
    let http = &server.http;
    let [one, two] = [(); 2].map(|()| Sample::create(http).instance);
    assert_eq!(ids(http).len(), 2, "the operator sees all");
    for instance in [&one, &two] {
        let own = client(&server, &renew(http, instance, "primary"));
        assert_eq!(&ids(&own), std::slice::from_ref(instance));
    }
}

#[test]
fn roles_are_given_listed_and_taken() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder.path(), |_| ());
    let http = &server.http;
    let one = Sample::create(http).instance;
    let definitions = http.get(&at(&one, "/rbac/roles")).expect(200).json();
    let names: Vec<&Value> = definitions
        .as_array()
        .unwrap()
        .iter()
        .map(|role| &role["roleName"])
        .collect();
    assert_eq!(names, ["viewer", "contributor", "administrator"]);
    let path = |id: &str| at(&one, &format!("/rbac/principals/{id}/assignment"));
    let user = json!({"principalId": "kari", "principalType": "user", "roles": ["Viewer"], "instanceId": one});
    http.json("PUT", &path("kari"), &user).expect(200);
    let group = json!({"principalType": "group", "roles": ["administrator", "viewer", "viewer"]});
    let all = http
        .json("PUT", &path("a%2Fb%20c"), &group)
        .expect(200)
        .json();
    let expected = json!([
        {"principalId": "a/b c", "principalType": "group", "roles": ["viewer", "administrator"], "instanceId": one},
        {"principalId": "kari", "principalType": "user", "roles": ["viewer"], "instanceId": one},
    ]);
    assert_eq!(all, expected);
    let app = json!({"principalType": "app", "roles": ["contributor"]});
    let all = http.json("PUT", &path("kari"), &app).expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 2, "in place of what it had");
    server.stop();
    let server = TestServer::start_on(folder.path(), |_| ());
    let http = &server.http;
    assert_eq!(
        http.get(&at(&one, "/rbac/assignments")).expect(200).json(),
        all
    );
    for _ in 0..2 {
        http.delete(&path("a%2Fb%20c")).expect(200);
    }
    let left = http.get(&at(&one, "/rbac/assignments")).expect(200).json();
    assert_eq!(left, json!([all[1]]));
}

#[test]
fn a_bad_assignment_says_all_that_is_wrong_and_gives_nothing() {
    let server = TestServer::start();
    let http = &server.http;
    let one = Sample::create(http).instance;
    let path = at(&one, "/rbac/principals/kari/assignment");
    let good = || json!({"principalType": "user", "roles": ["viewer"]});
    let with = |field: &str, value: Value| {
        let mut body = good();
        body[field] = value;
        body
    };
    for (body, targets) in [
        (json!({}), vec!["principalType", "roles"]),
        (with("principalId", json!("Kari")), vec!["principalId"]),
        (with("principalId", json!("kаri")), vec!["principalId"]),
        (with("instanceId", json!("kari")), vec!["instanceId"]),
        (with("principalType", json!("human")), vec!["principalType"]),
        (with("roles", json!([])), vec!["roles"]),
        (with("roles", json!(["viewer", "owner"])), vec!["roles"]),
        (with("role", json!("viewer")), vec![]),
        (with("roles", json!("viewer")), vec![]),
    ] {
        let refused = http.json("PUT", &path, &body).expect(400);
        assert_eq!(refused.targets(), targets, "{body}");
    }
    for id in ["%20kari", "kari%0a", "%00", &"x".repeat(257)] {
        let path = at(&one, &format!("/rbac/principals/{id}/assignment"));
        let refused = http.json("PUT", &path, &good()).expect(400);
        assert_eq!(refused.json()["target"], "principalId", "{id}");
    }
    assert_eq!(
        http.get(&at(&one, "/rbac/assignments")).expect(200).json(),
        json!([])
    );
}

#[test]
fn an_item_of_a_batch_needs_what_it_would_need_by_itself() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(1), &Sample::orders(1));
    let one = &sample.instance;
    let caller = client(&server, &renew(http, one, "primary"));
    let batch = json!({"requests": [
        {"id": "1", "method": "get", "url": "Customer('C1')"},
        {"id": "2", "method": "patch", "url": "Customer('C1')", "body": {"City": "Bergen"}},
        {"id": "3", "method": "post", "url": "UnifiedActivity", "body": {
            "CustomerId": "C1", "ActivityTime": FIRST, "ActivityType": "Visit"}},
        {"id": "4", "method": "delete", "url": "Customer('C1')"},
    ]});
    let headers = [
        ("Content-Type", "application/json"),
        ("Prefer", "continue-on-error"),
    ];
    let path = sample.path("/data/$batch");
    let statuses = |role: &str| {
        set_keys(http, one, &json!({"role": role}));
        let answer = caller.send("POST", &path, &headers, batch.to_string().as_bytes());
        let answers = answer.expect(200).json()["responses"].clone();
        let status = |item: &Value| item["status"].as_u64().unwrap();
        answers
            .as_array()
            .unwrap()
            .iter()
            .map(status)
            .collect::<Vec<_>>()
    };
    assert_eq!(statuses("viewer"), [200, 403, 403, 405]);
    let city = http
        .get(&sample.path("/data/Customer/C1"))
        .expect(200)
        .json()["City"]
        .clone();
    assert_eq!(city, "Oslo 1", "what is refused is not done");
    assert_eq!(statuses("contributor"), [200, 204, 201, 405]);
}
