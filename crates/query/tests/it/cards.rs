//! The customer card, whole.

use std::time::Duration;

use sanntid_query::{Card, Context, card};

use crate::fixtures::{order, person, visit};
use crate::instance::{BASE, Instance, at, id, split_link};

fn read(instance: &Instance, profile: &str) -> Option<Card> {
    let context = Context { base_url: BASE };
    let card = card(&instance.moment(), &context, &id(profile), &instance.limits);
    card.expect("reads")
}

#[test]
fn a_card_holds_fields_measures_and_the_newest_activities() {
    let mut instance = Instance::empty();
    let orders = [order("1", at("2026-11-01T00:00:00Z"), "a1")];
    instance.refresh(&[person("a", Some("Oslo"), None)], &[], &orders);
    let (as_of, from) = (instance.clock.minus(Duration::from_secs(1)), instance.clock);
    let until = from.plus(Duration::from_secs(60));
    instance.patch_until("a", r#"{"City": "Moss"}"#, Some(until), Some("crm"));
    instance.patch_until("a", r#"{"Age": 5}"#, Some(until), None);
    instance.append_until(&visit("v", "a", "2026-11-02T00:00:00Z"), Some(until));
    let Card { json, id, etag } = read(&instance, "a").expect("a card");
    assert_eq!(id.as_str(), "a");
    let activity = |text: &str| text.to_owned();
    let expected = [
        format!(
            r#"{{"profileId":"a","etag":"{}","fields":["#,
            etag.replace('"', "\\\"")
        ),
        activity(r#"{"name":"CustomerId","value":"a","origin":"source"},"#),
        activity(r#"{"name":"City","value":"Moss","origin":"realtime","sourceValue":"Oslo","#),
        format!(r#""acceptedAt":"{from}","validUntil":"{until}","caller":"crm"}},"#),
        activity(r#"{"name":"Age","value":5,"origin":"realtime","sourceValue":null,"#),
        format!(r#""acceptedAt":"{from}","validUntil":"{until}"}},"#),
        activity(r#"{"name":"Income","value":12.50,"origin":"source"},"#),
        activity(r#"{"name":"ShopId","value":"a1; a2","origin":"source"}],"#),
        activity(r#""measures":{"Value":1e3},"segments":[],"timeline":{"value":["#),
        activity(
            r#"{"ActivityId":"v","CustomerId":"a","ActivityTime":"2026-11-02T00:00:00.000Z","#,
        ),
        activity(r#""ActivityType":"Visit","ActivityTypeDisplay":null,"ActivityName":null,"#),
        activity(r#""Title":null,"Description":null,"ExternalUrl":null,"EntityName":null,"#),
        activity(r#""ActualActivityId":null,"SemanticData":null,"origin":"realtime","#),
        format!(r#""acceptedAt":"{from}","validUntil":"{until}","caller":"crm"}},"#),
        activity(r#"{"ActivityId":"Shop_Orders:1","CustomerId":"a","#),
        activity(r#""ActivityTime":"2026-11-01T00:00:00.000Z","ActivityType":"SalesOrder","#),
        activity(r#""ActivityTypeDisplay":"Order","ActivityName":null,"Title":"bought 1","#),
        activity(r#""Description":null,"ExternalUrl":null,"EntityName":"Shop_Orders","#),
        activity(
            r#""ActualActivityId":"1","SemanticData":"{\"Order\":\"1\"}","origin":"source"}],"#,
        ),
        format!(r#""nextLink":null}},"generation":1,"asOf":"{as_of}"}}"#),
    ];
    assert_eq!(json, expected.concat());
}

#[test]
fn a_card_links_to_the_rest_of_its_timeline() {
    let mut instance = Instance::new();
    for number in 0..51 {
        let time = format!("2026-11-01T00:{number:02}:00Z");
        instance.append(&visit(&format!("v{number:02}"), "a", &time));
    }
    instance.patch("a", r#"{"City": "Moss"}"#);
    let odd = person("å/b", None, None);
    instance.refresh(&[odd], &[("a", "å/b")], &[]);
    let card = read(&instance, "a").expect("a card");
    assert_eq!(card.id.as_str(), "å/b");
    let json: serde_json::Value = serde_json::from_str(&card.json).expect("JSON");
    let rows = json["timeline"]["value"].as_array().expect("rows");
    assert_eq!((rows.len(), &rows[0]["ActivityId"]), (50, &"v50".into()));
    let next = json["timeline"]["nextLink"].as_str().expect("a link");
    let start = "http://h/v1/instances/i/customers/%C3%A5%2Fb/timeline?skipToken=";
    assert!(next.starts_with(start), "{next}");
    let (url, options) = split_link(next);
    let rest = crate::timelines::page(&instance, &url, "å/b", &options).expect("a page");
    let rest: serde_json::Value = serde_json::from_str(&rest.json).expect("JSON");
    assert_eq!(rest["value"].as_array().map(Vec::len), Some(1));
    assert_eq!(rest["value"][0]["ActivityId"], "v00");
    assert!(rest["nextLink"].is_null());
}

#[test]
fn nobody_has_no_card() {
    assert_eq!(read(&Instance::new(), "nobody"), None);
    assert_eq!(read(&Instance::empty(), "a"), None);
}
