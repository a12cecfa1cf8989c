//! `$expand` of customers, and the list of segments: what tables and activities belong to whom.

use sanntid_query::{Answer, Limits, ReadOptions, Segment, segments};
use sanntid_types::ErrorCode;
use serde_json::{Value, json};

use crate::fixtures::{order, visit};
use crate::instance::{Instance, OPTIONS, at, ids};
use crate::tables::instance;

const BOTH: (&str, &str) = ("$expand", "UnifiedActivity,customer_measure");

/// As that of the tables' tests, with `count` visits of `a`, the newest called `v{count}`.
fn with_visits(count: usize) -> Instance {
    let mut instance = instance();
    for number in 1..=count {
        let time = format!("2026-11-01T{:02}:{:02}:00Z", number / 60, number % 60);
        instance.append(&visit(&format!("v{number}"), "a", &time));
    }
    instance
}

fn names(rows: &Value, attribute: &str) -> Vec<String> {
    let rows = rows.as_array().expect("rows").iter();
    rows.map(|row| row[attribute].as_str().expect("a text").to_owned())
        .collect()
}

#[test]
fn customers_hold_their_activities_and_their_rows() {
    let instance = with_visits(2);
    let page = instance.collection("Customer", &[BOTH, ("$select", "CustomerId")]);
    let rows = page["value"].as_array().expect("rows");
    assert_eq!(ids(&page), ["a", "b", "c"]);
    assert_eq!(
        names(&rows[0]["UnifiedActivity"], "ActivityId"),
        ["v2", "v1"]
    );
    assert_eq!(rows[0]["UnifiedActivity"][0]["CustomerId"], "a");
    assert_eq!(
        rows[0]["Customer_Measure"],
        json!([{"CustomerId": "a", "Spent": 12.5}])
    );
    // The table still has the id from before the move.
    assert_eq!(
        rows[1]["Customer_Measure"],
        json!([{"CustomerId": "b", "Spent": 7}])
    );
    assert_eq!(rows[1]["UnifiedActivity"], json!([]));
    assert_eq!(rows[2]["Customer_Measure"], json!([]));
    assert_eq!(rows[0].get("SegmentMembership"), None, "not asked for");
    let moved = instance.ask(
        "Customer('old')",
        &[("expand", "SegmentMembership")],
        OPTIONS,
    );
    let Ok(Answer::Entity { json, .. }) = moved else {
        panic!("{moved:?}")
    };
    let row: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        row["SegmentMembership"],
        json!([{"SegmentName": "Best", "CustomerId": "b"}])
    );
}

#[test]
fn what_does_not_stand_in_a_row_is_linked() {
    let instance = with_visits(105);
    for path in ["Customer", "Customer/a"] {
        let answer = instance.ask(path, &[("$expand", "UnifiedActivity")], OPTIONS);
        let (Ok(Answer::Collection { json }) | Ok(Answer::Entity { json, .. })) = answer else {
            panic!("{answer:?}")
        };
        let answer: Value = serde_json::from_str(&json).expect("JSON");
        let row = answer.get("value").map_or(&answer, |rows| &rows[0]);
        let mut found = names(&row["UnifiedActivity"], "ActivityId");
        assert_eq!(found.len(), 100, "{path}");
        let link = row["UnifiedActivity@odata.nextLink"]
            .as_str()
            .expect("a link");
        found.extend(ids(&instance.follow(link)));
        let expected: Vec<String> = (1..=105).rev().map(|number| format!("v{number}")).collect();
        assert_eq!(found, expected, "{path}");
    }
    let few = with_visits(100).collection("Customer", &[("$expand", "UnifiedActivity")]);
    assert_eq!(few["value"][0].get("UnifiedActivity@odata.nextLink"), None);
}

#[test]
fn a_page_holds_no_more_than_its_bytes() {
    let mut instance = instance();
    let long = "x".repeat(900_000);
    for number in 0..20 {
        let customer = if number < 18 { "a" } else { "b" };
        let document = format!(
            r#"{{"ActivityId": "v{number:02}", "CustomerId": "{customer}", "ActivityType": "Visit",
                "ActivityTime": "2026-11-01T00:00:00Z", "SemanticData": "{long}"}}"#
        );
        instance.append(&document);
    }
    let page = instance.collection("Customer", &[("$expand", "UnifiedActivity")]);
    let rows = page["value"].as_array().expect("rows");
    let size = serde_json::to_string(&page).expect("JSON").len();
    assert!(size < 10 << 20, "{size}");
    let mut found = Vec::new();
    for row in rows {
        found.extend(names(&row["UnifiedActivity"], "ActivityId"));
        if let Some(link) = row.get("UnifiedActivity@odata.nextLink") {
            found.extend(ids(&instance.follow(link.as_str().expect("a link"))));
        }
    }
    let expected: Vec<String> = (0..20).map(|number| format!("v{number:02}")).collect();
    assert_eq!(found, expected, "nothing is lost");
}

#[test]
fn the_source_alone_expands_to_the_source_alone() {
    let mut instance = Instance::new();
    let orders = [order("o1", at("2026-11-01T00:00:00Z"), "a1")];
    let people = [crate::fixtures::person("a", None, None)];
    instance.refresh(&people, &[], &orders);
    instance.append(&visit("v1", "a", "2026-11-02T00:00:00Z"));
    let own = ReadOptions {
        source_only: true,
        ..OPTIONS
    };
    for (own, expected) in [
        (own, &["Shop_Orders:o1"][..]),
        (OPTIONS, &["v1", "Shop_Orders:o1"]),
    ] {
        let found = instance.ask("Customer", &[("$expand", "UnifiedActivity")], own);
        let Ok(Answer::Collection { json }) = found else {
            panic!("{found:?}")
        };
        let page: Value = serde_json::from_str(&json).expect("JSON");
        let found = names(&page["value"][0]["UnifiedActivity"], "ActivityId");
        assert_eq!(found, expected);
    }
}

#[test]
fn what_can_not_be_expanded_is_refused() {
    let instance = instance();
    for (path, expand) in [
        ("Customer", "Orders"),
        ("Customer", "Shop_Orders"),
        ("Customer", "Customer"),
        ("Customer", "City"),
        ("Customer", "UnifiedActivity($top=1)"),
        ("Customer", ""),
        ("Customer('a')", "Nothing"),
        ("UnifiedActivity", "Customer"),
        ("Customer_Measure", "Customer"),
        ("Customer_Measure('a')", "UnifiedActivity"),
    ] {
        let error = instance.refusal(path, &[("$expand", expand)]);
        assert_eq!(error.code, ErrorCode::InvalidArgument, "{path} {expand}");
        assert_eq!(error.target.as_deref(), Some("$expand"), "{path} {expand}");
    }
    let error = instance.refusal("Customer", &[("$expand", "Orders")]);
    let named = "UnifiedActivity, Customer_Measure, SegmentMembership";
    assert!(error.message.contains(named), "{error}");
    let empty = Instance::empty().collection("Customer", &[("$expand", "UnifiedActivity")]);
    assert_eq!(empty["value"], json!([]));
}

#[test]
fn a_table_without_an_index_is_not_expanded() {
    let mut instance = instance();
    instance.stored.is_unindexed = true;
    let error = instance.refusal("Customer", &[("$expand", "Customer_Measure")]);
    assert_eq!(error.code, ErrorCode::FilterNeedsIndex);
    assert_eq!(error.target.as_deref(), Some("$expand"));
}

#[test]
fn segments_are_those_of_the_tables_with_their_members() {
    let mut instance = instance();
    let as_of = instance
        .tenant
        .entity("SegmentMembership")
        .expect("it")
        .as_of;
    let segment = |name: &str, members| Segment {
        name: name.to_owned(),
        members,
        as_of,
    };
    let expected = vec![segment("Best", 2), segment("New", 1)];
    let limits = Limits::default();
    assert_eq!(segments(&instance.moment(), &limits), Ok(expected));
    let few = Limits {
        scan_rows_max: 2,
        ..limits
    };
    let error = segments(&instance.moment(), &few).expect_err("three rows are to be read");
    assert_eq!(error.code, ErrorCode::FilterNeedsIndex);
    // Those that were counted at loading cost no row.
    instance.stored.counted = Some(vec![("Best".to_owned(), 5_000_000)]);
    instance.stored.take_reads();
    let counted = vec![segment("Best", 5_000_000)];
    assert_eq!(segments(&instance.moment(), &few), Ok(counted));
    assert_eq!(instance.stored.take_reads().rows, 0);
    assert_eq!(segments(&Instance::empty().moment(), &few), Ok(Vec::new()));
}
