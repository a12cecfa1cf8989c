//! Erasing what callers wrote about a customer, and the export of all that is kept.

use serde_json::{Value, json};

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};

fn export(server: &Running, path: &str) -> (String, Value) {
    let answer = Call::get(&at(path)).exchange(server.address);
    let (head, body) = crate::exports::body(&answer);
    let document = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (head, document)
}

#[test]
fn an_erasure_tells_what_was_erased_and_who_asked() {
    let server = Running::start();
    let answer = server.send(&Call::new("DELETE", &at("/customers/c%201/realtime")));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let expected =
        json!({"profileId": "c 1", "overlayFields": 2, "activities": 3, "rejections": 1});
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("content-location"), None);
    let calls = server.mock.calls.lock().unwrap().join("\n");
    assert!(calls.contains("erase c 1 by administrator"), "{calls}");
    for (path, status) in [
        ("/customers/%00/realtime", 400),
        ("/customers/c1/realtime?force=true", 400),
    ] {
        let answer = server.send(&Call::new("DELETE", &at(path)));
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    let other = server.send(&Call::get(&at("/customers/c1/realtime")));
    assert_eq!((other.status, other.header("allow")), (405, Some("DELETE")));
}

#[test]
fn an_export_is_one_document_with_all_that_is_kept() {
    let server = Running::start();
    let (head, document) = export(&server, "/customers/c2/data");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert_eq!(document["profileId"], "c2");
    assert_eq!(document["source"]["City"], "Trondheim");
    let update = &document["overlay"][0];
    assert_eq!(
        (&update["name"], &update["value"], &update["state"]),
        (&json!("City"), &json!("Bergen"), &json!("shown"))
    );
    for list in ["formerIds", "keyRing", "tables", "activities", "rejections"] {
        assert!(document[list].is_array(), "{list}: {document}");
    }
    let (_, document) = export(&server, "/customers/c1/data");
    let keys = &document["keyRing"][0]["keys"];
    assert_eq!(*keys, json!(["CNTID_1", "CNTID_2"]));
    assert!(
        !document["activities"]
            .as_array()
            .expect("a list")
            .is_empty()
    );
}

#[test]
fn an_export_follows_a_moved_customer_and_knows_nothing_of_others() {
    let server = Running::start();
    let (head, document) = export(&server, "/customers/old/data");
    let base = format!("http://test.example/api/instances/{INSTANCE}");
    let location = format!("content-location: {base}/customers/c1/data");
    assert!(head.contains(&location), "{head}");
    assert_eq!(document["profileId"], "c1");
    assert_eq!(server.get("/customers/c9/data").status, 404);
    assert_eq!(server.get("/customers/c1/data?format=csv").status, 400);
}
