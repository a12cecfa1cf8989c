//! How far a read may go: tables just at and just over the limit.

use sanntid_types::ErrorCode::FilterNeedsIndex;

use crate::fixtures::{order, person, visit};
use crate::instance::{Instance, at, ids};

/// Profiles `p0`…, each with an order, where at most five rows may be scanned.
fn instance(profiles: usize) -> Instance {
    let mut instance = Instance::empty();
    instance.limits.scan_rows_max = 5;
    let names: Vec<String> = (0..profiles).map(|n| format!("p{n}")).collect();
    let rows: Vec<_> = names
        .iter()
        .map(|id| person(id, Some("Oslo"), None))
        .collect();
    let orders: Vec<_> = names
        .iter()
        .map(|id| order(id, at("2026-11-01T00:00:00Z"), &format!("{id}1")))
        .collect();
    instance.refresh(&rows, &[], &orders);
    instance
}

const NEEDS_ALL: [(&str, &str, &str); 6] = [
    ("$filter", "City eq 'Oslo'", "$filter"),
    ("$filter", "CustomerId gt 'p'", "$filter"),
    ("$filter", "not (CustomerId eq 'p')", "$filter"),
    ("$orderby", "City", "$orderby"),
    ("$orderby", "CustomerId desc", "$orderby"),
    ("$skip", "6", "$skip"),
];

#[test]
fn a_table_at_the_limit_is_answered_fully() {
    let instance = instance(5);
    for (option, value, _) in NEEDS_ALL {
        let page = instance.collection("Customer", &[(option, value), ("$count", "true")]);
        assert_eq!(page["@odata.count"], 5, "{option}={value}");
    }
}

#[test]
fn a_table_over_the_limit_says_what_would_help() {
    let instance = instance(6);
    for (option, value, target) in NEEDS_ALL {
        let error = instance.refusal("Customer", &[(option, value)]);
        assert_eq!(error.code, FilterNeedsIndex, "{option}={value}");
        assert_eq!(error.target.as_deref(), Some(target), "{option}={value}");
        assert!(error.message.contains("CustomerId, ShopId"), "{error}");
    }
    assert_eq!(instance.stored.take_reads().walked, 0);
}

#[test]
fn a_table_over_the_limit_is_still_paged_counted_and_read_by_key() {
    let mut instance = instance(6);
    instance.limits.page_rows_default = 2;
    let everyone = ["p0", "p1", "p2", "p3", "p4", "p5"];
    assert_eq!(instance.all_ids("Customer", &[]), everyone);
    let ordered = [("$orderby", "CustomerId asc, City")];
    assert_eq!(instance.all_ids("Customer", &ordered), everyone);
    assert_eq!(instance.all_ids("Customer", &[("$skip", "5")]), ["p5"]);
    let page = instance.collection("Customer", &[("$count", "true")]);
    assert_eq!(page["@odata.count"], 6);
    for filter in [
        "CustomerId in ('p1', 'p3') and City eq 'Oslo'",
        "ShopId in ('p12', 'p31')",
    ] {
        let options = [
            ("$filter", filter),
            ("$orderby", "CustomerId desc"),
            ("$count", "true"),
        ];
        let page = instance.collection("Customer", &options);
        assert_eq!(ids(&page), ["p3", "p1"], "{filter}");
        assert_eq!(page["@odata.count"], 2);
    }
}

#[test]
fn activities_at_the_limit_are_answered_fully() {
    let instance = instance(5);
    for options in [
        &[("$filter", "EntityName eq 'Shop_Orders'")][..],
        &[("$orderby", "Title desc")],
        &[("$skip", "4")],
    ] {
        let counted = [options, &[("$count", "true")]].concat();
        let page = instance.collection("UnifiedActivity", &counted);
        assert_eq!(page["@odata.count"], 5, "{options:?}");
    }
}

#[test]
fn activities_over_the_limit_are_refused_where_all_are_needed() {
    // Over the limit by customers in one instance, by activities of one customer in the other.
    let mut crowd = instance(2);
    for second in 0..4 {
        let time = format!("2026-11-02T00:00:0{second}Z");
        crowd.append(&visit(&format!("v{second}"), "p0", &time));
    }
    for (instance, name) in [(instance(6), "customers"), (crowd, "activities")] {
        for options in [
            &[("$filter", "Title eq 'x'")][..],
            &[("$orderby", "Title")],
            &[("$count", "true")],
            &[("$skip", "5")],
            &[("$top", "6")],
        ] {
            let error = instance.refusal("UnifiedActivity", options);
            assert_eq!(error.code, FilterNeedsIndex, "{name} {options:?}");
            assert!(error.message.contains("CustomerId"), "{error}");
        }
        let page = instance.collection("UnifiedActivity", &[("$top", "2")]);
        assert_eq!(ids(&page).len(), 2, "{name}");
        let found = "CustomerId eq 'p1'";
        let page = instance.collection(
            "UnifiedActivity",
            &[
                ("$filter", found),
                ("$orderby", "Title"),
                ("$count", "true"),
            ],
        );
        assert_eq!(ids(&page), ["Shop_Orders:p1"], "{name}");
    }
}

#[test]
fn customers_without_activities_count_as_visited() {
    let mut instance = instance(0);
    let names = ["a", "b", "c", "d", "e", "f"];
    let people = names.map(|id| person(id, None, None));
    instance.refresh(&people[..5], &[], &[]);
    assert!(instance.all_ids("UnifiedActivity", &[]).is_empty());
    instance.refresh(&people, &[], &[]);
    let error = instance.refusal("UnifiedActivity", &[]);
    assert_eq!(error.code, FilterNeedsIndex);
}

#[test]
fn pages_over_the_limit_go_on_as_each_reads_little() {
    let mut instance = instance(12);
    instance.limits.page_rows_default = 3;
    assert_eq!(instance.all_ids("UnifiedActivity", &[]).len(), 12);
}

#[test]
fn a_page_has_a_greatest_size_and_a_larger_top_goes_on() {
    let mut instance = instance(5);
    instance.limits.page_rows_max = 2;
    for path in ["Customer", "UnifiedActivity"] {
        for (top, sizes) in [
            ("1", &[1][..]),
            ("2", &[2]),
            ("3", &[2, 1]),
            ("5", &[2, 2, 1]),
            ("99", &[2, 2, 1]),
        ] {
            let mut page = instance.collection(path, &[("$top", top)]);
            let mut got = vec![ids(&page).len()];
            while let Some(next) = page["@odata.nextLink"].as_str() {
                page = instance.follow(next);
                got.push(ids(&page).len());
                assert!(got.len() < 9, "pages without end");
            }
            assert_eq!(got, sizes, "{path} $top={top}");
        }
    }
}
