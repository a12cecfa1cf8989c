//! Keys: made anew while others write, enabled and disabled, and gone with their instance.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;

use sanntid_testkit::{Http, Sample, TestServer};
use serde_json::{Value, json};

use super::{FIRST, at, client, renew, set_keys};
use crate::bulk::{Bulk, chunk};

fn loaded(http: &Http) -> Sample {
    let sample = Sample::create(http);
    sample.load(FIRST, &Sample::customers(2), &Sample::orders(1));
    sample
}

fn patch(http: &Http, sample: &Sample) -> u16 {
    let path = sample.path("/data/Customer/C1");
    http.json("PATCH", &path, &json!({"City": "Bergen"})).status
}

#[test]
fn keys_are_told_of_without_their_texts() {
    let server = TestServer::start();
    let http = &server.http;
    let one = Sample::create(http).instance;
    let keys = |http: &Http| http.get(&at(&one, "/manage/keys")).expect(200).json();
    let none = json!({"enabled": true, "role": "contributor", "keys": []});
    assert_eq!(
        keys(http),
        none,
        "an instance has no keys until they are made"
    );
    let text = renew(http, &one, "secondary");
    set_keys(http, &one, &json!({"role": "administrator"}));
    let primary = renew(&client(&server, &text), &one, "primary");
    let told = keys(http);
    assert_eq!(told["role"], "administrator");
    for (at, name, by) in [
        (0, "primary", "key:secondary"),
        (1, "secondary", "administrator"),
    ] {
        let key = &told["keys"][at];
        assert_eq!(
            (&key["name"], &key["createdBy"]),
            (&json!(name), &json!(by))
        );
        assert!(key["createdAt"].is_string());
    }
    let secret = |text: &str| text.rsplit('_').next().unwrap().to_owned();
    for text in [&text, &primary] {
        assert!(!told.to_string().contains(&secret(text)));
        assert_eq!(secret(text).len(), 64);
    }
    for (body, target) in [
        (json!({}), Value::Null),
        (json!({"role": "owner"}), json!("role")),
        (json!({"enabled": "yes"}), Value::Null),
        (json!({"enable": true}), Value::Null),
    ] {
        let refused = http
            .json("PUT", &at(&one, "/manage/keys"), &body)
            .expect(400);
        assert_eq!(refused.json()["target"], target, "{body}");
    }
    let third = at(&one, "/manage/keys/third/regenerate");
    let refused = http.send("POST", &third, &[], b"").expect(404);
    assert_eq!(refused.code(), "routeNotFound");
    assert_eq!(keys(http), told);
}

/// Writers that go on until they are told to stop, each with the key that is given at the time.
struct Writers<'a> {
    server: &'a TestServer,
    sample: &'a Sample,
    key: Mutex<String>,
    is_over: AtomicBool,
}

/// Who wrote, with which key, and what the answer was.
type Written = (usize, String, u16);

impl Writers<'_> {
    fn write(&self, writer: usize, told: &mpsc::Sender<Written>) {
        let mut used = String::new();
        let mut http = client(self.server, &used);
        while !self.is_over.load(Ordering::SeqCst) {
            let key = self.key.lock().unwrap().clone();
            if key != used {
                http = client(self.server, &key);
                used = key;
            }
            let written = (writer, used.clone(), patch(&http, self.sample));
            told.send(written).unwrap();
        }
    }
}

#[test]
fn both_keys_are_made_anew_and_no_writer_is_ever_refused() {
    const WRITERS: usize = 3;
    const ROUNDS: usize = 6;
    let server = TestServer::start();
    let http = &server.http;
    let sample = loaded(http);
    let one = &sample.instance;
    let mut current = renew(http, one, "secondary");
    let writers = Writers {
        server: &server,
        sample: &sample,
        key: Mutex::new(current.clone()),
        is_over: AtomicBool::new(false),
    };
    let statuses = thread::scope(|scope| {
        let (sender, answers) = mpsc::channel::<Written>();
        for writer in 0..WRITERS {
            let (writers, sender) = (&writers, sender.clone());
            scope.spawn(move || writers.write(writer, &sender));
        }
        drop(sender);
        let mut statuses = Vec::new();
        // Waits until every writer has had an answer with a key: none of them uses another then.
        let mut all_use = |key: &str| {
            let mut have = BTreeSet::new();
            statuses.extend(answers.try_iter().map(|(.., status)| status));
            while have.len() < WRITERS {
                let (writer, used, status) = answers.recv().unwrap();
                statuses.push(status);
                if used == key {
                    have.insert(writer);
                }
            }
        };
        for round in 0..ROUNDS {
            // The one that nobody uses is made anew, and the writers change to it.
            let next = renew(http, one, ["primary", "secondary"][round % 2]);
            all_use(&current);
            writers.key.lock().unwrap().clone_from(&next);
            all_use(&next);
            current = next;
        }
        writers.is_over.store(true, Ordering::SeqCst);
        statuses.extend(answers.iter().map(|(.., status)| status));
        statuses
    });
    assert!(statuses.len() >= 2 * ROUNDS * WRITERS, "{}", statuses.len());
    let refused = statuses.iter().filter(|status| **status != 204).count();
    assert_eq!(refused, 0, "of {}", statuses.len());
}

#[test]
fn a_key_made_anew_is_unknown_at_once_on_every_connection() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = loaded(http);
    let one = &sample.instance;
    let other = client(&server, &renew(http, one, "secondary"));
    for _ in 0..3 {
        let old = renew(http, one, "primary");
        let open: Vec<Http> = (0..8).map(|_| client(&server, &old)).collect();
        for http in &open {
            assert_eq!(patch(http, &sample), 204);
        }
        let new = renew(http, one, "primary");
        for http in &open {
            assert_eq!(patch(http, &sample), 401);
            http.get(&at(one, "")).expect(401);
        }
        assert_eq!(patch(&client(&server, &new), &sample), 204);
        assert_eq!(patch(&other, &sample), 204, "the other key goes on");
    }
}

#[test]
fn a_key_ends_also_in_the_middle_of_a_request() {
    let server = TestServer::start();
    let http = &server.http;
    let sample = loaded(http);
    let key = renew(http, &sample.instance, "primary");
    let path = sample.path("/data/Customer/$bulk");
    let mut bulk = Bulk::begin_as(http, &key, "PATCH", &path);
    let mut writer = bulk.writer();
    let line = chunk(b"{\"id\": \"C1\", \"body\": {\"City\": \"Bergen\"}}\n");
    let mut next = |what: &[u8]| {
        writer.write_all(what).unwrap();
        loop {
            match bulk.read(4096).unwrap().as_slice() {
                [] => {}
                [answer] => return answer.clone(),
                more => panic!("{more:?}"),
            }
        }
    };
    assert_eq!(next(&line)["status"], 204);
    set_keys(http, &sample.instance, &json!({"role": "viewer"}));
    assert_eq!(next(&line)["status"], 403);
    set_keys(http, &sample.instance, &json!({"role": "contributor"}));
    assert_eq!(next(&line)["status"], 204);
    renew(http, &sample.instance, "primary");
    let refused = next(&line);
    assert_eq!(refused["status"], 401, "{refused}");
    writer.write_all(b"0\r\n\r\n").unwrap();
}

#[test]
fn a_disabled_api_knows_no_key_and_can_be_enabled_again() {
    let server = TestServer::start();
    let http = &server.http;
    let (sample, beside) = (loaded(http), loaded(http));
    let one = &sample.instance;
    set_keys(http, one, &json!({"role": "administrator"}));
    let own = client(&server, &renew(http, one, "primary"));
    let other = client(&server, &renew(http, &beside.instance, "primary"));
    let unknown = client(&server, "snt_00000000000040008000000000000000_0");
    let told = set_keys(&own, one, &json!({"enabled": false}));
    assert_eq!(
        (&told["enabled"], &told["role"]),
        (&json!(false), &json!("administrator"))
    );
    for path in ["", "/manage/keys", "/data/Customer/C1"] {
        let refused = own.get(&at(one, path)).expect(401).json();
        let as_unknown = unknown.get(&at(one, path)).expect(401).json();
        assert_eq!(refused["message"], as_unknown["message"]);
    }
    own.get("/api/instances").expect(401);
    assert_eq!(patch(&own, &sample), 401);
    assert_eq!(patch(http, &sample), 204, "the operator is let in");
    assert_eq!(patch(&other, &beside), 204, "another instance is as it was");
    set_keys(http, one, &json!({"enabled": true}));
    assert_eq!(patch(&own, &sample), 204);
}

#[test]
fn access_outlives_a_reset_and_ends_with_the_instance() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder.path(), |_| ());
    let http = &server.http;
    let sample = Sample::create(http);
    let one = &sample.instance;
    let key = renew(http, one, "primary");
    let role = json!({"principalType": "user", "roles": ["viewer"]});
    let assignment = at(one, "/rbac/principals/kari/assignment");
    http.json("PUT", &assignment, &role).expect(200);
    let own = client(&server, &key);
    let (keys, roles) = (at(one, "/manage/keys"), at(one, "/rbac/assignments"));
    let before = (http.get(&keys).json(), http.get(&roles).json());

    http.delete(&at(one, "/manage/reset")).expect(200);
    own.get(&at(one, "")).expect(200);
    assert_eq!((http.get(&keys).json(), http.get(&roles).json()), before);

    let copy = json!({"instanceIdToCopy": one, "instanceMetadata": {"name": "Copy"}});
    let copy = http
        .json("POST", "/api/instances/copy", &copy)
        .expect(200)
        .json();
    let copy = copy["instanceId"].as_str().unwrap();
    own.get(&at(copy, "")).expect(404);
    let told = http.get(&at(copy, "/manage/keys")).expect(200).json();
    assert_eq!(told["keys"], json!([]), "a copy has no keys");
    let told = http.get(&at(copy, "/rbac/assignments")).expect(200).json();
    assert_eq!(told, json!([]), "and nobody has a role in it");

    http.delete(&at(one, "")).expect(200);
    own.get(&at(one, "")).expect(401);
    let again = json!({"instanceMetadata": {"name": "Again", "instanceId": one}});
    http.json("POST", "/api/instances/V2", &again).expect(200);
    own.get(&at(one, "")).expect(401);
    assert_eq!(http.get(&keys).json()["keys"], json!([]));
    assert_eq!(http.get(&roles).json(), json!([]));
    server.stop();
    let server = TestServer::start_on(folder.path(), |_| ());
    client(&server, &key).get(&at(one, "")).expect(401);
}

#[test]
fn a_key_survives_a_restart_and_its_text_stands_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::start_on(folder.path(), |_| ());
    let sample = loaded(&server.http);
    let texts = ["primary", "secondary"].map(|name| renew(&server.http, &sample.instance, name));
    for text in &texts {
        let path = sample.path("/data/Customer/C1");
        assert_eq!(patch(&client(&server, text), &sample), 204);
        // Nor in what answers repeat of a request.
        let path = format!("{path}?$top=1&subscription-key={text}");
        let answer = server.http.without_key().get(&path).text();
        assert!(!answer.contains(text.as_str()), "{answer}");
        let paged = sample.path(&format!("/data/Customer?$top=1&subscription-key={text}"));
        let answer = server.http.without_key().get(&paged).expect(200).text();
        assert!(!answer.contains(text.as_str()), "{answer}");
    }
    server.stop();
    let secrets = texts
        .each_ref()
        .map(|text| text.rsplit('_').next().unwrap());
    let mut bytes = 0;
    search(folder.path(), &mut |path, content| {
        bytes += content.len();
        let content = String::from_utf8_lossy(content);
        for secret in secrets {
            // A part of it would be enough to be found, whatever stands around.
            for part in [&secret[..16], &secret[48..]] {
                assert!(!content.contains(part), "{} holds a key", path.display());
            }
        }
    });
    assert!(bytes > 1000, "the data were looked at");
    let server = TestServer::start_on(folder.path(), |_| ());
    for text in &texts {
        assert_eq!(patch(&client(&server, text), &sample), 204);
    }
}

fn search(folder: &Path, look: &mut dyn FnMut(&Path, &[u8])) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, look);
        } else {
            look(&path, &fs::read(&path).unwrap());
        }
    }
}
