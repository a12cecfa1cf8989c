//! Tables of what good queries mean.

use std::cmp::Ordering;
use std::ops::Bound;

use super::*;
use crate::{BoundOrder, QueryOptions, bind_names, parse_order};

#[test]
fn operators_bind_as_odata_says() {
    for (text, grouped) in [
        ("A or B and C", "A or (B and C)"),
        ("A and B or C and D", "(A and B) or (C and D)"),
        ("A and B and C", "A and B and C"),
        ("(A and B) and C", "(A and B) and C"),
        ("not A and B", "(not A) and B"),
        ("not A eq B", "(not A) eq B"),
        ("not (A eq B)", "not (A eq B)"),
        ("not A in (1, 2)", "not (A in (1,2))"),
        ("not not A", "not (not A)"),
        ("A gt 1 eq B lt 2", "(A gt 1) eq (B lt 2)"),
        ("A in (1) eq true", "(A in (1)) eq true"),
        ("A eq 1 or B ne 2", "(A eq 1) or (B ne 2)"),
        ("not(A) Or((B))", "(not A) or B"),
        (
            "eq EQ 1 AND and in(TRUE,Null)",
            "(eq eq 1) and (and in (true,null))",
        ),
    ] {
        let expr = parse_filter(text).unwrap();
        assert_eq!(expr, parse_filter(grouped).unwrap(), "{text}");
        assert_eq!(expr.to_string(), grouped, "{text}");
    }
}

#[test]
fn literals_compare_by_value() {
    let row = row(&[
        ("CustomerId", "\"O'Neil \\\"å\\\"\""),
        ("Age", "42"),
        ("Vip", "true"),
        ("Seen", "\"2026-01-01T10:00:00+01:00\""),
        ("Score", "\"INF\""),
        ("Born", "\"1990-02-03\""),
        ("Wakes", "\"06:30:00.0\""),
        ("Token", "\"F47AC10B-58CC-4372-A567-0E02B2C3D479\""),
        ("Total", "12345678901234567890.10"),
    ]);
    for filter in [
        "CustomerId eq 'O''Neil \"å\"'",
        "customerid ge 'O'",
        "'P' gt CUSTOMERID",
        "Age eq 42.0 and Age eq +42 and Age eq 4.2e1",
        "Age gt -1 and Age lt 42.5 and Age ne 41.5",
        "Age in (1, 42, 99999999999)",
        "1 lt Age and 42 ge Age",
        "Vip",
        "Vip eq true and not (Vip eq false)",
        "Seen eq 2026-01-01T09:00:00Z",
        "Seen eq 2026-01-01T09:00Z and Seen eq 2026-01-01T09:00",
        "Seen gt 2026-01-01 and Seen lt 2026-01-02",
        "Score eq INF and Score gt -INF and Score gt 1e300",
        "Born eq 1990-02-03 and Born lt 1990-02-04",
        "Wakes eq 06:30 and Wakes lt 06:30:00.5",
        "Token eq f47ac10b-58cc-4372-a567-0e02b2c3d479",
        "Token in (f47ac10b-58cc-4372-a567-0e02b2c3d479)",
        "Total eq 12345678901234567890.1",
        "Total gt 12345678901234567890.09",
        "Total gt Age and Score gt Total",
        "(Age gt 1) eq Vip",
        "1 eq 1.0 and 'a' lt 'b' and 2 in (1, 2)",
    ] {
        assert!(bound(filter).matches(&row), "{filter}");
        assert!(
            !bound(&format!("not ({filter})")).matches(&row),
            "not {filter}"
        );
    }
}

#[test]
fn null_is_equal_to_itself_and_has_no_order() {
    let row = row(&[("Age", "1")]);
    for (filter, matches) in [
        ("Score eq null", true),
        ("null eq null", true),
        ("Age ne null", true),
        ("Score ne null", false),
        ("Score eq 1", false),
        ("Score ne 1", true),
        ("Score in (1, null)", true),
        ("Score in (1)", false),
        (
            "Score lt 1 or Score gt 1 or Score ge null or Score le null",
            false,
        ),
        ("Age gt null or null lt Age", false),
        ("not (Score lt 1)", true),
        ("Score eq Total", true),
        // `Vip` is null: unknown as a condition.
        ("Vip", false),
        ("not Vip", false),
        ("Vip or true", true),
        ("Vip or false", false),
        ("not (Vip and false)", true),
        ("not (Vip and true)", false),
        ("(Vip and true) eq null", true),
        ("null", false),
    ] {
        assert_eq!(bound(filter).matches(&row), matches, "{filter}");
    }
}

#[test]
fn unreadable_values_count_as_null() {
    let row = row(&[("Age", "\"old\"")]);
    assert!(bound("Age eq null").matches(&row));
}

#[test]
fn alternate_keys_compare_by_member() {
    let row = row(&[("Shop_Contacts_Id", "\"c1; c2;;c3 \"")]);
    for (filter, matches) in [
        ("Shop_Contacts_Id eq 'c1'", true),
        (
            "Shop_Contacts_Id eq 'c2' and 'c3' eq Shop_Contacts_Id",
            true,
        ),
        ("Shop_Contacts_Id ne 'c2'", false),
        ("Shop_Contacts_Id ne 'c4'", true),
        ("Shop_Contacts_Id eq ''", false),
        ("Shop_Contacts_Id eq 'c'", false),
        ("Shop_Contacts_Id in ('x', 'c3')", true),
        ("Shop_Contacts_Id in ('x')", false),
        ("Shop_Contacts_Id eq null", false),
        ("Shop_Contacts_Id gt 'c1'", true),
    ] {
        assert_eq!(bound(filter).matches(&row), matches, "{filter}");
    }
}

#[test]
fn orders_put_nulls_lowest_and_follow_each_key() {
    let order = |text: &str| BoundOrder::bind(&parse_order(text).unwrap(), &schema()).unwrap();
    let low = row(&[("Age", "9"), ("CustomerId", "\"Z\"")]);
    let high = row(&[("Age", "10"), ("CustomerId", "\"a\"")]);
    let none = row(&[("CustomerId", "\"Z\"")]);
    for (text, left, right, expected) in [
        ("Age", &low, &high, Ordering::Less),
        ("age DESC", &low, &high, Ordering::Greater),
        ("Age", &none, &low, Ordering::Less),
        ("Age desc", &none, &low, Ordering::Greater),
        ("CustomerId asc", &low, &high, Ordering::Less),
        ("CustomerId,Age desc", &low, &none, Ordering::Less),
        ("CustomerId", &low, &none, Ordering::Equal),
    ] {
        assert_eq!(order(text).compare(left, right), expected, "{text}");
    }
    let keys: Vec<_> = order("Seen desc , CustomerId").keys().collect();
    assert_eq!(keys, [(SEEN, true), (ID, false)]);
}

#[test]
fn plans_name_the_values_that_an_index_needs() {
    for (filter, ordinal, texts) in [
        ("CustomerId eq 'a'", ID, Some(vec!["a"])),
        ("'a' eq CustomerId and Age gt 1", ID, Some(vec!["a"])),
        (
            "CustomerId in ('b','a') and Age gt 1",
            ID,
            Some(vec!["a", "b"]),
        ),
        (
            "CustomerId eq 'a' or CustomerId in ('b')",
            ID,
            Some(vec!["a", "b"]),
        ),
        ("CustomerId eq 'a' or Age eq 1", ID, None),
        ("CustomerId in ('a', null)", ID, None),
        ("CustomerId eq null", ID, None),
        ("CustomerId ne 'a'", ID, None),
        ("not (CustomerId eq 'a')", ID, None),
        ("Age eq 1", AGE, None),
        (
            "Shop_Contacts_Id eq 'a' and Shop_Contacts_Id in ('b','c')",
            ALT,
            Some(vec!["a"]),
        ),
    ] {
        let expected = texts.map(|texts| texts.iter().map(ToString::to_string).collect());
        assert_eq!(bound(filter).equalities(ordinal), expected, "{filter}");
    }
    let shown = |bound: Bound<crate::Constant>| {
        bound.map(|constant| constant.literal().as_json().to_owned())
    };
    let included = |text: &str| Bound::Included(text.to_owned());
    let excluded = |text: &str| Bound::Excluded(text.to_owned());
    for (filter, start, end) in [
        ("Age gt 1 and Age le 5", excluded("1"), included("5")),
        (
            "Age ge 1 and Age gt 1 and 9 gt Age",
            excluded("1"),
            excluded("9"),
        ),
        ("Age eq 4 and Age lt 9", included("4"), included("4")),
        ("Age in (7, 3, 5)", included("3"), included("7")),
        ("Age in (7, null)", Bound::Unbounded, Bound::Unbounded),
        ("Age eq null", Bound::Unbounded, Bound::Unbounded),
        ("Age gt 1 or Age lt 0", Bound::Unbounded, Bound::Unbounded),
        ("not (Age gt 1)", Bound::Unbounded, Bound::Unbounded),
        (
            "Age gt 1 and (Age lt 3 and Vip)",
            excluded("1"),
            excluded("3"),
        ),
    ] {
        let range = bound(filter).range(AGE);
        assert_eq!((shown(range.0), shown(range.1)), (start, end), "{filter}");
    }
    assert!(matches!(
        bound("Shop_Contacts_Id eq 'a'").range(ALT),
        (Bound::Unbounded, Bound::Unbounded)
    ));
}

#[test]
fn options_go_with_and_without_dollar() {
    let options = QueryOptions::parse(
        [
            ("$filter", "Age gt 1"),
            ("orderby", "Age desc,CustomerId"),
            ("$Top", "10"),
            ("skip", "0"),
            ("$count", "True"),
            ("search", " \"anna\" "),
            ("$select", "Age, customerid,AGE"),
            ("expand", "UnifiedActivity,Customer_Measure"),
            ("$skiptoken", "abc=="),
            ("view", "source"),
        ],
        &["view"],
    )
    .unwrap();
    assert_eq!(options.filter, Some(parse_filter("Age gt 1").unwrap()));
    assert_eq!(options.order, parse_order("Age desc,CustomerId").unwrap());
    assert_eq!((options.top, options.skip), (Some(10), Some(0)));
    assert!(options.count);
    assert_eq!(options.search.as_deref(), Some("\"anna\""));
    assert_eq!(options.skip_token.as_deref(), Some("abc=="));
    assert_eq!(options.expand.len(), 2);
    let select = bind_names("$select", &options.select.unwrap(), &schema()).unwrap();
    assert_eq!(select, [AGE, ID]);
    let all = QueryOptions::parse([("$select", "*"), ("count", "false")], &[]).unwrap();
    assert_eq!(all, QueryOptions::default());
}
