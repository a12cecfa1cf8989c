//! What `UnifiedActivity` shows, in which order (rules 4.6, 4.7, 5.1, 6.4).

use std::time::Duration;

use sanntid_query::{Answer, ReadOptions};
use sanntid_types::ErrorCode;

use crate::fixtures::{order, orders_config, person, visit};
use crate::instance::{BASE, Instance, OPTIONS, at, ids};

const SOURCE: ReadOptions = ReadOptions {
    source_only: true,
    explain: false,
};

/// `a` has orders 1 and 3 and the visits v and w, `b` order 2 and, by its key, order 4.
fn instance() -> Instance {
    let mut instance = Instance::empty();
    let orders = [
        order("1", at("2026-11-01T00:00:00Z"), "a1"),
        order("2", at("2026-11-02T00:00:00Z"), "b2"),
        order("3", at("2026-11-03T00:00:00Z"), "a2"),
    ];
    let profiles = ["a", "b", "c"].map(|id| person(id, None, None));
    instance.refresh(&profiles, &[], &orders);
    instance.append(&visit("v", "a", "2026-11-02T00:00:00Z"));
    instance.append(&visit("w", "a", "2026-11-03T00:00:00Z"));
    instance.append(r#"{"OrderId": "4", "At": "2026-11-01T00:00:00Z", "ContactId": "b1"}"#);
    instance
}

fn one(instance: &Instance, path: &str, own: ReadOptions) -> Option<String> {
    match instance.ask(path, &[], own) {
        Ok(Answer::Entity { json, etag, id }) => {
            assert_eq!((etag, id), (None, None));
            Some(json)
        }
        Ok(other) => panic!("{path}: {other:?}"),
        Err(error) => {
            assert_eq!(error.code, ErrorCode::ActivityNotFound, "{path}: {error}");
            None
        }
    }
}

#[test]
fn activities_come_by_customer_then_newest_first_then_by_id() {
    let instance = instance();
    let o = |number| format!("Shop_Orders:{number}");
    let own = [o(3), "w".into(), "v".into(), o(1), o(2), o(4)];
    for order in [
        "",
        "CustomerId",
        "CustomerId,ActivityTime desc",
        "CustomerId,ActivityTime desc,ActivityId,Title",
    ] {
        let options = [("$orderby", order)];
        let options = if order.is_empty() { &[][..] } else { &options };
        assert_eq!(instance.all_ids("UnifiedActivity", options), own, "{order}");
    }
    let newest = instance.all_ids("UnifiedActivity", &[("$orderby", "ActivityTime desc")]);
    assert_eq!(newest, [o(3), "w".into(), "v".into(), o(2), o(1), o(4)]);
    let of_a = [
        ("$filter", "CustomerId eq 'a'"),
        ("$orderby", "ActivityTime"),
    ];
    let oldest = instance.all_ids("UnifiedActivity", &of_a);
    assert_eq!(oldest, [o(1), "v".into(), o(3), "w".into()]);
}

#[test]
fn filters_take_type_time_and_customer() {
    let instance = instance();
    for (filter, expected) in [
        ("ActivityType eq 'Visit'", &["w", "v"][..]),
        (
            "ActivityTypeDisplay eq 'Order' and CustomerId eq 'b'",
            &["Shop_Orders:2", "Shop_Orders:4"],
        ),
        (
            "CustomerId eq 'a' and ActivityTime gt 2026-11-02T00:00:00Z",
            &["Shop_Orders:3", "w"],
        ),
        (
            "CustomerId eq 'a' and ActivityTime le 2026-11-02",
            &["v", "Shop_Orders:1"],
        ),
        ("ActivityTime eq 2026-11-02", &["v", "Shop_Orders:2"]),
        ("Title eq 'bought 2'", &["Shop_Orders:2"]),
        ("SemanticData eq '{\"Order\":\"2\"}'", &["Shop_Orders:2"]),
        ("CustomerId eq 'c' or CustomerId eq 'x'", &[]),
        (
            "ActivityTime gt 2026-11-03 and ActivityTime lt 2026-11-01",
            &[],
        ),
    ] {
        let options = [("$filter", filter), ("$count", "true")];
        let page = instance.collection("UnifiedActivity", &options);
        assert_eq!(ids(&page), expected, "{filter}");
        assert_eq!(page["@odata.count"], expected.len(), "{filter}");
    }
}

#[test]
fn one_activity_is_read_by_its_id() {
    let instance = instance();
    let json = one(&instance, "UnifiedActivity('Shop_Orders:2')", OPTIONS).expect("is there");
    assert_eq!(
        json,
        format!(
            concat!(
                r#"{{"@odata.context":"{}/$metadata#UnifiedActivity/$entity","#,
                r#""ActivityId":"Shop_Orders:2","CustomerId":"b","ActivityTime":"2026-11-02T00:00:00.000Z","#,
                r#""ActivityType":"SalesOrder","ActivityTypeDisplay":"Order","ActivityName":null,"#,
                r#""Title":"bought 2","Description":null,"ExternalUrl":null,"EntityName":"Shop_Orders","#,
                r#""ActualActivityId":"2","SemanticData":"{{\"Order\":\"2\"}}"}}"#
            ),
            BASE
        )
    );
    for path in ["UnifiedActivity/v", "unifiedactivity(ACTIVITYID='v')"] {
        let json = one(&instance, path, OPTIONS).expect(path);
        assert!(
            json.contains(r#""ActivityId":"v","CustomerId":"a""#),
            "{json}"
        );
    }
    assert!(one(&instance, "UnifiedActivity('Shop_Orders:4')", OPTIONS).is_some());
    assert!(one(&instance, "UnifiedActivity('nobody')", OPTIONS).is_none());
}

#[test]
fn by_id_and_in_collections_the_same_activities_are_visible() {
    let mut instance = instance();
    let soon = instance.clock.plus(Duration::from_secs(5));
    instance.append_until(&visit("short", "a", "2026-11-04T00:00:00Z"), Some(soon));
    instance.append(&visit("held", "nobody", "2026-11-04T00:00:00Z"));
    instance.append(r#"{"OrderId": "5", "At": "2026-11-01T00:00:00Z", "ContactId": "x"}"#);
    let all = ["v", "w", "short", "held", "1", "2", "3", "4", "5", "6"];
    let check = |instance: &Instance, own: ReadOptions, expected: &[&str], when: &str| {
        let Ok(Answer::Collection { json }) = instance.ask("UnifiedActivity", &[], own) else {
            panic!("a collection")
        };
        let page: serde_json::Value = serde_json::from_str(&json).expect("JSON");
        let mut shown = ids(&page);
        shown.sort();
        let full = |id: &&str| match id.parse::<u32>() {
            Ok(number) => format!("Shop_Orders:{number}"),
            Err(_) => (*id).to_owned(),
        };
        let mut wanted: Vec<String> = expected.iter().map(full).collect();
        wanted.sort();
        assert_eq!(shown, wanted, "{when}");
        for id in all.iter().map(full) {
            let found = one(instance, &format!("UnifiedActivity('{id}')"), own);
            assert_eq!(found.is_some(), wanted.contains(&id), "{when}: {id}");
        }
    };
    check(
        &instance,
        OPTIONS,
        &["v", "w", "short", "1", "2", "3", "4"],
        "at first",
    );
    check(&instance, SOURCE, &["1", "2", "3"], "the source alone");
    instance.clock = soon;
    check(
        &instance,
        OPTIONS,
        &["v", "w", "1", "2", "3", "4"],
        "one has expired",
    );

    // `a` is merged into `b`; the source brings order 4 and no longer order 1; `nobody` appears.
    let orders = [
        order("2", at("2026-11-02T00:00:00Z"), "b2"),
        order("4", at("2026-11-01T00:00:00Z"), "nobody1"),
        order("6", at("2026-11-01T00:00:00Z"), "unmatched"),
    ];
    let profiles = ["b", "nobody"].map(|id| person(id, None, None));
    instance.refresh(&profiles, &[("a", "b")], &orders);
    check(
        &instance,
        OPTIONS,
        &["v", "w", "held", "2", "4"],
        "after a refresh",
    );
    check(
        &instance,
        SOURCE,
        &["2", "4"],
        "the source alone after a refresh",
    );
    let json = one(&instance, "UnifiedActivity('v')", OPTIONS).expect("moved");
    assert!(json.contains(r#""CustomerId":"b""#), "{json}");
    let json = one(&instance, "UnifiedActivity('Shop_Orders:4')", OPTIONS).expect("superseded");
    assert!(json.contains(r#""CustomerId":"nobody""#), "{json}");
    let of_a = [("$filter", "CustomerId eq 'a'")];
    assert!(instance.all_ids("UnifiedActivity", &of_a).is_empty());

    let mut hidden = orders_config();
    hidden.show_in_timeline = false;
    instance.tenant.activities = vec![hidden];
    check(&instance, OPTIONS, &["v", "w", "held"], "orders are hidden");
}
