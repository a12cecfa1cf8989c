//! Which way a query reads: what it names is read one by one, and a page reads no further.

use crate::fixtures::{order, person, visit};
use crate::instance::{Instance, at, ids};
use crate::stored::Reads;

/// 26 profiles `a`–`z` with an order each.
fn alphabet() -> Instance {
    let mut instance = Instance::empty();
    let names: Vec<String> = ('a'..='z').map(String::from).collect();
    let profiles: Vec<_> = names.iter().map(|id| person(id, None, None)).collect();
    let orders: Vec<_> = names
        .iter()
        .map(|id| order(id, at("2026-11-01T00:00:00Z"), &format!("{id}1")))
        .collect();
    instance.refresh(&profiles, &[], &orders);
    instance
}

fn reads(instance: &Instance, path: &str, options: &[(&str, &str)]) -> (Vec<String>, Reads) {
    instance.stored.take_reads();
    let found = ids(&instance.collection(path, options));
    (found, instance.stored.take_reads())
}

#[test]
fn customers_that_a_filter_names_are_read_one_by_one() {
    let instance = alphabet();
    for (filter, expected, profiles, keys) in [
        ("CustomerId eq 'c'", &["c"][..], 1, 0),
        ("'c' eq CustomerId and City eq null", &["c"], 1, 0),
        ("CustomerId in ('z', 'c', 'c', 'no')", &["c", "z"], 3, 0),
        ("CustomerId eq 'd' or CustomerId eq 'c'", &["c", "d"], 2, 0),
        ("CustomerId eq 'c' and City eq 'x'", &[], 1, 0),
        ("CustomerId eq ''", &[], 0, 0),
        ("ShopId eq 'c2'", &["c"], 1, 1),
        ("ShopId in ('c2', 'c1', 'd1', 'no')", &["c", "d"], 2, 4),
        ("ShopId eq 'c1' and ShopId eq 'c2'", &["c"], 1, 1),
        ("ShopId eq ''", &[], 0, 0),
        ("CustomerId eq 'c' and ShopId eq 'd1'", &[], 1, 0),
    ] {
        let options = [("$filter", filter), ("$count", "true")];
        let (found, reads) = reads(&instance, "Customer", &options);
        assert_eq!(found, expected, "{filter}");
        let wanted = Reads {
            profiles,
            keys,
            ..Reads::default()
        };
        assert_eq!(reads, wanted, "{filter}");
    }
}

#[test]
fn other_customers_are_walked_no_further_than_the_page() {
    let instance = alphabet();
    for (options, walked) in [
        (&[("$top", "3")][..], 3),
        (&[("$top", "3"), ("$orderby", "CustomerId")], 3),
        (
            &[("$top", "3"), ("$orderby", "customerid asc, City desc")],
            3,
        ),
        (&[("$top", "3"), ("$skip", "2")], 5),
        (&[("$top", "3"), ("$count", "true")], 3),
        (&[("$top", "0")], 0),
        (&[("$top", "0"), ("$orderby", "City")], 0),
        (&[("$top", "0"), ("$count", "true")], 0),
        (&[("$top", "2"), ("$filter", "CustomerId gt 'c'")], 5),
        (&[("$top", "3"), ("$orderby", "City")], 26),
        (&[("$top", "3"), ("$orderby", "CustomerId desc")], 26),
        (
            &[
                ("$top", "1"),
                ("$count", "true"),
                ("$filter", "City eq null"),
            ],
            26,
        ),
    ] {
        let (_, reads) = reads(&instance, "Customer", options);
        let wanted = Reads {
            walked,
            ..Reads::default()
        };
        assert_eq!(reads, wanted, "{options:?}");
    }
}

#[test]
fn a_next_page_begins_where_the_last_one_ended() {
    let mut instance = alphabet();
    instance.limits.page_rows_default = 10;
    let mut page = instance.collection("Customer", &[]);
    for walked in [11, 6] {
        instance.stored.take_reads();
        page = instance.follow(page["@odata.nextLink"].as_str().expect("more"));
        assert_eq!(instance.stored.take_reads().walked, walked);
    }
    assert_eq!(page.get("@odata.nextLink"), None);
}

#[test]
fn a_next_page_of_activities_reads_none_of_the_pages_before() {
    let mut instance = Instance::new();
    instance.limits.page_rows_default = 20;
    for second in 0..60 {
        let time = format!("2026-11-01T00:00:{second:02}Z");
        instance.append(&visit(&format!("v{second:02}"), "b", &time));
    }
    for options in [&[("$filter", "CustomerId in ('a', 'b')")][..], &[]] {
        let mut page = instance.collection("UnifiedActivity", options);
        // The entry before and the one behind the page are met as well.
        for activities in [23, 21] {
            instance.stored.take_reads();
            page = instance.follow(page["@odata.nextLink"].as_str().expect("more"));
            assert_eq!(
                instance.stored.take_reads().activities,
                activities,
                "{options:?}"
            );
        }
        assert_eq!(page.get("@odata.nextLink"), None);
    }
}

#[test]
fn one_activity_opens_only_the_timelines_where_it_can_stand() {
    let mut instance = alphabet();
    instance.append(&visit("v", "c", "2026-11-02T00:00:00Z"));
    for (filter, expected, timelines) in [
        ("ActivityId eq 'v'", &["v"][..], 1),
        ("ActivityId eq 'Shop_Orders:d'", &["Shop_Orders:d"], 1),
        (
            "ActivityId in ('v', 'Shop_Orders:d', 'no', '')",
            &["v", "Shop_Orders:d"],
            2,
        ),
        ("ActivityId eq 'v' and Title eq 'x'", &[], 1),
        ("CustomerId eq 'c'", &["v", "Shop_Orders:c"], 1),
        (
            "CustomerId in ('d', 'c', 'no')",
            &["v", "Shop_Orders:c", "Shop_Orders:d"],
            2,
        ),
        ("CustomerId eq 'no'", &[], 0),
    ] {
        let (found, reads) = reads(&instance, "UnifiedActivity", &[("$filter", filter)]);
        assert_eq!(found, expected, "{filter}");
        assert_eq!((reads.timelines, reads.walked), (timelines, 0), "{filter}");
    }
}

#[test]
fn a_time_range_is_read_and_no_more() {
    let mut instance = Instance::new();
    for second in 0..60 {
        let time = format!("2026-11-01T00:00:{second:02}Z");
        instance.append(&visit(&format!("v{second:02}"), "a", &time));
    }
    let range = "CustomerId eq 'a' and ActivityTime ge 2026-11-01T00:00:10Z \
                 and ActivityTime lt 2026-11-01T00:00:15.0005Z";
    let (found, reads) = reads(&instance, "UnifiedActivity", &[("$filter", range)]);
    assert_eq!(found, ["v15", "v14", "v13", "v12", "v11", "v10"]);
    // One more than the range has tells that it is over.
    assert_eq!(reads.activities, 7);
}

#[test]
fn walking_activities_stops_behind_the_page() {
    let instance = alphabet();
    for (options, timelines) in [
        (&[("$top", "3")][..], 3),
        (
            &[("$top", "3"), ("$orderby", "CustomerId, ActivityTime desc")],
            3,
        ),
        (&[("$top", "3"), ("$skip", "2")], 5),
        (&[("$top", "3"), ("$orderby", "ActivityTime desc")], 26),
        (&[("$top", "3"), ("$count", "true")], 26),
        (&[("$top", "0")], 0),
    ] {
        let (_, reads) = reads(&instance, "UnifiedActivity", options);
        assert_eq!(reads.timelines, timelines, "{options:?}");
    }
}

#[test]
fn the_newest_of_one_customer_need_no_sorting() {
    let mut instance = Instance::new();
    for second in 0..60 {
        let time = format!("2026-11-01T00:00:{second:02}Z");
        instance.append(&visit(&format!("v{second:02}"), "a", &time));
    }
    for (order, activities) in [
        ("ActivityTime desc", 3),
        ("CustomerId desc, ActivityTime desc, ActivityId, Title", 3),
        ("ActivityTime", 60),
        ("ActivityTime desc, ActivityId desc", 60),
    ] {
        let options = [
            ("$filter", "CustomerId eq 'a'"),
            ("$orderby", order),
            ("$top", "2"),
        ];
        let (_, reads) = reads(&instance, "UnifiedActivity", &options);
        assert_eq!(reads.activities, activities, "{order}");
    }
}
