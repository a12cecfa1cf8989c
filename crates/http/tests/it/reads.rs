//! Reads: one entity, collections, cards and timelines, with their headers and links.

use sanntid_http::Config;
use serde_json::json;

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};

#[test]
fn one_profile_comes_in_every_form_with_its_etag() {
    let server = Running::start();
    let mut etags = Vec::new();
    for path in [
        "/data/Customer('c1')",
        "/data/Customer%28%27c1%27%29",
        "/data/Customer%2Fc1",
        "/data/Customer/c1",
        "/data/customer/c1?view=merged&explain=false&forceSearch=true",
        "/data/Customer('c1')?view=source",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let body = answer.json();
        assert_eq!(
            (&body["CustomerId"], &body["City"]),
            (&json!("c1"), &json!("Oslo"))
        );
        let etag = answer.header("etag").expect("an etag").to_owned();
        assert_eq!(body["@odata.etag"], etag);
        let context = format!("http://test.example/api/instances/{INSTANCE}/data/$metadata");
        assert!(
            body["@odata.context"]
                .as_str()
                .expect("a link")
                .starts_with(&context)
        );
        assert_eq!(answer.header("content-location"), None, "{path}");
        etags.push(etag);
    }
    etags.dedup();
    assert_eq!(etags.len(), 1);
    let call = |tag: &str| Call::get(&at("/data/Customer/c1")).header("If-None-Match", tag);
    let same = server.send(&call(&format!("W/{}", etags[0])));
    assert_eq!((same.status, same.text()), (304, ""));
    assert_eq!(same.header("etag"), Some(etags[0].as_str()));
    assert_eq!(server.send(&call("\"other\"")).status, 200);
}

#[test]
fn the_source_alone_and_the_reasons_are_shown_on_request() {
    let server = Running::start();
    let city = |query: &str| server.get(&format!("/data/Customer/c2{query}")).json();
    assert_eq!(city("")["City"], "Bergen");
    assert_eq!(city("?view=merged")["City"], "Bergen");
    assert_eq!(city("?view=source")["City"], "Trondheim");
    let reason = "City@sanntid.realtime";
    assert_eq!(city("?explain=true")[reason]["sourceValue"], "Trondheim");
    assert_eq!(city("")[reason], json!(null));
}

#[test]
fn a_moved_profile_says_where_it_is() {
    let server = Running::start();
    let base = format!("http://test.example/v1/instances/{INSTANCE}");
    for (path, location) in [
        ("/data/Customer('old')", "/data/Customer('c1')"),
        ("/customers/old/card", "/customers/c1/card"),
        ("/customers/old/timeline", "/customers/c1/timeline"),
    ] {
        let answer = server.send(&Call::get(&format!("/v1/instances/{INSTANCE}{path}")));
        assert_eq!(answer.status, 200, "{path}");
        let expected = format!("{base}{location}");
        assert_eq!(
            answer.header("content-location"),
            Some(expected.as_str()),
            "{path}"
        );
    }
}

#[test]
fn collections_take_their_query_from_the_url_or_from_the_path() {
    let server = Running::start();
    for path in [
        "/data/Customer?$filter=City%20eq%20%27Bergen%27&$select=CustomerId",
        "/data/Customer?filter=City+eq+'Bergen'&select=CustomerId",
        "/data/Customer%3F%24filter%3DCity%20eq%20%27Bergen%27%26%24select%3DCustomerId",
        "/data/Customer%3F%24filter%3DCity%20eq%20%27Bergen%27?$select=CustomerId",
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(
            answer.json()["value"],
            json!([{"CustomerId": "c2"}]),
            "{path}"
        );
    }
    for bad in [
        "?nope=1",
        "?$filter=City",
        "?view=other",
        "?explain=maybe",
        "?$top=1&$top=2",
        "?$top=-1",
    ] {
        assert_eq!(
            server.get(&format!("/data/Customer{bad}")).status,
            400,
            "{bad}"
        );
    }
}

#[test]
fn pages_follow_links_of_the_own_prefix() {
    let server = Running::start();
    for prefix in ["/api", "/v1"] {
        let path = format!("{prefix}/instances/{INSTANCE}/data/Customer?$count=true&$top=2000");
        let whole = server.send(&Call::get(&path)).json();
        assert_eq!(whole["@odata.count"], 2);
        assert_eq!(whole["value"].as_array().expect("rows").len(), 2);
    }
    let timeline = format!("/v1/instances/{INSTANCE}/customers/c1/timeline?top=1");
    let page = server.send(&Call::get(&timeline)).json();
    assert_eq!(page["value"][0]["ActivityId"], "a2");
    let link = page["nextLink"].as_str().expect("a link");
    let own = format!("http://test.example/v1/instances/{INSTANCE}/customers/c1/timeline?");
    assert!(link.starts_with(&own), "{link}");
    let next = server.send(&Call::get(link.trim_start_matches("http://test.example")));
    assert_eq!(next.json()["value"][0]["ActivityId"], "a1");
    assert_eq!(next.json()["nextLink"], json!(null));
}

#[test]
fn links_are_those_of_the_public_address() {
    let server = Running::with(Config {
        public_url: Some("https://cdp.example".to_owned()),
        ..Config::default()
    });
    let context = server.get("/data/Customer").json()["@odata.context"].to_string();
    assert!(
        context.starts_with("\"https://cdp.example/api/instances/"),
        "{context}"
    );
    let server = Running::start();
    let call = Call::get(&at("/data/Customer")).header("X-Forwarded-Proto", "https");
    let context = server.send(&call).json()["@odata.context"].to_string();
    assert!(
        context.starts_with("\"https://test.example/api"),
        "{context}"
    );
}

#[test]
fn a_card_has_all_of_one_moment() {
    let server = Running::start();
    let answer = server.get("/customers/c1/card");
    let card = answer.json();
    assert_eq!(card["profileId"], "c1");
    assert_eq!(answer.header("etag"), card["etag"].as_str());
    assert_eq!(card["generation"], 7);
    assert_eq!(card["timeline"]["value"][0]["ActivityId"], "a2");
    assert_eq!(server.get("/customers/c1/card?x=1").status, 400);
    assert_eq!(server.get("/customers/%00/card").status, 400);
}

#[test]
fn a_timeline_is_filtered() {
    let server = Running::start();
    let ids = |query: &str| {
        let page = server.get(&format!("/customers/c1/timeline{query}"));
        assert_eq!(page.status, 200, "{query}: {}", page.text());
        let entries = page.json()["value"].as_array().expect("entries").clone();
        entries
            .iter()
            .map(|entry| entry["ActivityId"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(""), ["a2", "a1"]);
    assert_eq!(ids("?type=salesorder&to=2026-11-22T23:00:00Z"), ["a1"]);
    assert_eq!(ids("?from=2026-11-23T11:00:00+00:00"), ["a2"]);
    assert_eq!(ids("?type=Call"), [""; 0]);
    for bad in [
        "?top=0",
        "?top=1001",
        "?from=noon",
        "?skipToken=abc",
        "?Type=x",
    ] {
        assert_eq!(
            server.get(&format!("/customers/c1/timeline{bad}")).status,
            400,
            "{bad}"
        );
    }
}

#[test]
fn the_key_ring_is_found_by_any_key() {
    let server = Running::start();
    let find = |key: &str| {
        server.get(&format!(
            "/profile/keyring?dataSourceName=ecommerce&entityName=Contacts&key={key}"
        ))
    };
    assert_eq!(
        find("CNTID_2").json(),
        json!({
            "instanceId": INSTANCE, "customerId": "c1", "keyRing": [{
                "dataSourceName": "Ecommerce", "entityName": "Contacts",
                "preferredKey": "CNTID_1", "keys": ["CNTID_1", "CNTID_2"]
            }]
        })
    );
    assert_eq!(find("CNTID_9").status, 404);
    assert_eq!(find("").status, 400);
    let unknown = "/profile/keyring?dataSourceName=X&entityName=Y&key=1";
    assert!(
        server.get(unknown).text().contains("Ecommerce"),
        "known ones are listed"
    );
}

#[test]
fn activities_are_counted_by_type() {
    let server = Running::start();
    for asked in ["c1", "old"] {
        let counts = server.get(&format!(
            "/profile/activityresponsemetadata?customerId={asked}"
        ));
        assert_eq!(
            counts.json(),
            json!({
                "instanceId": INSTANCE, "customerId": "c1", "totalCount": 2,
                "activityTypes": [{
                    "activityType": "SalesOrder", "activityTypeDisplay": "Online purchase",
                    "count": 2
                }]
            })
        );
    }
    assert_eq!(
        server
            .get("/profile/activityresponsemetadata?customerId=c9")
            .status,
        404
    );
    assert_eq!(server.get("/profile/activityresponsemetadata").status, 400);
}

#[test]
fn the_store_state_shows_what_is_loaded_and_what_is_built() {
    let server = Running::start();
    assert_eq!(
        server.get("/profilestore/stateinfo").json(),
        json!({
            "instanceId": INSTANCE, "ingestionTime": "2026-11-23T02:00:00.000Z",
            "primaryInfo": {"currentState": "queryable", "rowCount": 2, "size": 80},
            "secondaryInfo": {"currentState": "inBuild", "rowCount": 0, "size": 0}
        })
    );
}

#[test]
fn the_model_is_xml_or_json_as_the_caller_takes_it() {
    let server = Running::start();
    let get = |path: &str, accept: &str| {
        let answer = server.send(&Call::get(&at(path)).header("Accept", accept));
        let kind = answer.header("content-type").unwrap_or_default().to_owned();
        (answer.status, kind, answer)
    };
    let (xml, json) = ("application/xml", "application/json");
    for (path, accept, expected) in [
        ("/data/$metadata", "*/*", xml),
        ("/data/$metadata", xml, xml),
        ("/data/%24metadata", json, json),
        (
            "/data/$metadata",
            "application/json, application/xml;q=0.9",
            json,
        ),
        ("/data/$metadata?$format=json", "*/*", json),
        ("/data/$metadata?format=xml", json, xml),
    ] {
        let (status, kind, answer) = get(path, accept);
        assert_eq!((status, kind.as_str()), (200, expected), "{path} {accept}");
        if expected == json {
            let model = answer.json();
            assert_eq!(model["Sanntid"]["Customer"]["$Key"][0], "CustomerId");
        }
    }
    for (path, accept, status) in [
        ("/data/$metadata?$format=html", "*/*", 400),
        ("/data/$metadata?$top=1", "*/*", 400),
        ("/data/$metadata", "text/html", 406),
    ] {
        assert_eq!(get(path, accept).0, status, "{path} {accept}");
    }
}
