//! Tables of what bad queries are told.

use sanntid_types::{ErrorCode, Result};

use super::*;
use crate::{BoundOrder, DEPTH_MAX, LIST_LEN_MAX, OPTION_BYTES_MAX, QueryOptions, parse_order};

fn message<T: std::fmt::Debug>(result: Result<T>, target: &str) -> String {
    let error = result.expect_err("an error");
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert_eq!(error.target.as_deref(), Some(target), "{error}");
    error.message
}

#[test]
fn malformed_filters_say_where_and_what_was_expected() {
    for (filter, expected) in [
        (
            "",
            "1: expected an attribute, a literal, `not` or `(`, got the end",
        ),
        (
            "  ",
            "3: expected an attribute, a literal, `not` or `(`, got the end",
        ),
        (
            "Age eq",
            "7: expected an attribute, a literal, `not` or `(`, got the end",
        ),
        ("Age eq 1 and", "13: expected an attribute"),
        ("Age eq 1)", "9: expected an operator or the end, got `)`"),
        ("(Age eq 1", "10: expected an operator or `)`, got the end"),
        (
            "Age eq 1 Vip",
            "10: expected an operator or the end, got `Vip`",
        ),
        ("Age is 1", "5: expected an operator or the end, got `is`"),
        ("Age add 1 eq 2", "5: operator add is not supported"),
        ("(Age MOD 2) eq 0", "6: operator MOD is not supported"),
        (
            "contains(CustomerId,'a')",
            "1: function contains is not supported",
        ),
        (
            "Age eq 1 and now() gt Seen",
            "14: function now is not supported",
        ),
        (
            "Age eq 1 eq true",
            "10: a second `eq`: comparisons don't chain",
        ),
        ("1 lt Age lt 3", "10: a second `lt`"),
        (
            "Age in 1",
            "8: expected `(` and a list of literals, got `1`",
        ),
        ("Age in ()", "9: expected a literal, got `)`"),
        ("Age in (1,)", "11: expected a literal, got `)`"),
        ("Age in (1 2)", "11: expected `,` or `)`, got `2`"),
        ("Age in (Age)", "9: expected a literal, got `Age`"),
        (
            "CustomerId eq 'a",
            "15: the string that begins here has no closing `'`",
        ),
        ("CustomerId eq 'a''", "15: the string"),
        (
            "CustomerId eq \"a\"",
            "15: unexpected `\"`: strings stand in single quotes",
        ),
        ("Age = 1", "5: unexpected `=`: the operators are eq, ne"),
        ("A/B eq 1", "2: unexpected `/`: paths are not supported"),
        ("å eq 'ø' and %", "14: unexpected `%`"),
        ("Age eq 1.", "8: `1.` is neither a name nor a literal"),
        ("Age eq -", "8: `-` is neither"),
        ("Age eq --1", "8: `--1` is neither"),
        ("Born eq 2026-02-30", "9: expected Edm.Date"),
        (
            "Seen eq 2026-01-01T25:00:00Z",
            "9: expected Edm.DateTimeOffset",
        ),
        ("Seen eq 0001-01-01T00:00:00Z", "9: the year must be"),
        ("Wakes eq 25:00", "10: expected Edm.TimeOfDay"),
        ("Token eq f47ac10b-58cc", "10: `f47ac10b-58cc` is neither"),
        ("Age eq 1\nor Vip", "9: unexpected `\\n`"),
    ] {
        let message = message(parse_filter(filter), "$filter");
        let expected = format!("$filter, character {expected}");
        assert!(message.starts_with(&expected), "{filter:?}: {message}");
    }
}

#[test]
fn filters_that_fit_no_schema_say_why() {
    for (filter, expected) in [
        (
            "Nickname eq 'a'",
            "1: expected an attribute of Customer, got `Nickname`",
        ),
        (
            "Age eq 1 or (not Nick)",
            "18: expected an attribute of Customer, got `Nick`",
        ),
        ("Age eq '1'", "8: expected a number"),
        (
            "Age in (1,'x')",
            "11: expected a number for `Age` (Edm.Int32), got `'x'`",
        ),
        ("Age eq INF", "8: expected a number (Edm.Int32), got `INF`"),
        ("CustomerId eq 5", "15: expected a string in single quotes"),
        (
            "Seen gt '2026-01-01'",
            "9: expected a time like 2026-11-23T12:00:00Z without",
        ),
        ("Born eq 2026-01-01T00:00:00Z", "9: expected a date"),
        ("Token eq 'x'", "10: expected a UUID without quotes"),
        ("Vip eq 1", "8: expected true or false"),
        (
            "Age",
            "1: expected a condition, got `Age` of type Edm.Int32",
        ),
        ("not Age eq 1", "5: expected a condition, got `Age`"),
        ("5", "1: expected true or false"),
        ("Vip and 'a'", "9: expected true or false"),
        (
            "Age eq CustomerId",
            "1: Edm.Int32 on the left and Edm.String on the right",
        ),
        ("1 eq 'a'", "6: expected a number"),
    ] {
        let expr = parse_filter(filter).unwrap();
        let message = message(BoundFilter::bind(&expr, &schema()), "$filter");
        let expected = format!("$filter, character {expected}");
        assert!(message.starts_with(&expected), "{filter:?}: {message}");
    }
}

#[test]
fn limits_hold_to_the_last_allowed() {
    let nested = |depth: usize| format!("{}Vip{}", "(".repeat(depth), ")".repeat(depth));
    assert!(parse_filter(&nested(DEPTH_MAX)).is_ok());
    let told = message(parse_filter(&nested(DEPTH_MAX + 1)), "$filter");
    assert!(told.contains("at most 64 levels"), "{told}");
    let negated = |depth: usize| format!("{}Vip", "not ".repeat(depth));
    assert!(parse_filter(&negated(DEPTH_MAX)).is_ok());
    assert!(parse_filter(&negated(DEPTH_MAX + 1)).is_err());
    // Nesting is counted, not the number of parentheses.
    assert!(parse_filter(&["(Vip)"; 500].join(" or ")).is_ok());

    let list = |length: usize| format!("Age in ({})", vec!["1"; length].join(","));
    assert!(parse_filter(&list(LIST_LEN_MAX)).is_ok());
    let told = message(parse_filter(&list(LIST_LEN_MAX + 1)), "$filter");
    assert!(told.contains("at most 1000 literals"), "{told}");

    let long = |length: usize| format!("CustomerId eq '{}'", "å".repeat((length - 16) / 2));
    assert!(parse_filter(&long(OPTION_BYTES_MAX)).is_ok());
    let told = message(parse_filter(&long(OPTION_BYTES_MAX + 2)), "$filter");
    assert!(told.contains("at most 8192 bytes, got 8194"), "{told}");
}

#[test]
fn the_deepest_filter_prints_binds_and_runs() {
    let row = row(&[("Age", "1"), ("Vip", "true")]);
    // The second step nests by `not` and by a parenthesis; its value alternates with each.
    for (step, depth, matches) in [
        ("false or Vip and true eq (", DEPTH_MAX, true),
        ("false or Vip and (Age gt 1) ne not (", DEPTH_MAX / 2, true),
    ] {
        let deep = format!("{}Vip{}", step.repeat(depth), ")".repeat(depth));
        let expr = parse_filter(&deep).unwrap();
        let filter = BoundFilter::bind(&expr, &schema()).unwrap();
        assert_eq!(filter.matches(&row), matches, "{expr}");
    }
}

#[test]
fn bad_options_are_named() {
    for (pairs, target, expected) in [
        (
            vec![("$top", "-1")],
            "$top",
            "$top, character 1: expected a whole number from 0 on, got `-1`",
        ),
        (
            vec![("top", "1.5")],
            "$top",
            "$top, character 1: expected a whole",
        ),
        (
            vec![("$top", "")],
            "$top",
            "$top, character 1: expected a whole",
        ),
        (
            vec![("$skip", "99999999999999999999")],
            "$skip",
            "$skip, character 1: expected a whole",
        ),
        (
            vec![("$count", "1")],
            "$count",
            "$count, character 1: expected true or false, got `1`",
        ),
        (
            vec![("$search", " ")],
            "$search",
            "$search, character 1: expected a text",
        ),
        (
            vec![("$skiptoken", "")],
            "$skiptoken",
            "$skiptoken, character 1: expected a text",
        ),
        (
            vec![("$select", "A,,B")],
            "$select",
            "$select, character 3: expected a name, got `,`",
        ),
        (
            vec![("$select", "A B")],
            "$select",
            "$select, character 3: expected `,` or the end, got `B`",
        ),
        (
            vec![("$expand", "A($top=1)")],
            "$expand",
            "$expand, character 2: expected `,` or the end, got `(`",
        ),
        (
            vec![("$orderby", "A up")],
            "$orderby",
            "$orderby, character 3: expected `asc`, `desc`, `,`",
        ),
        (
            vec![("$orderby", "A desc asc")],
            "$orderby",
            "$orderby, character 8: expected",
        ),
        (
            vec![("$orderby", "")],
            "$orderby",
            "$orderby, character 1: expected a name, got the end",
        ),
        (
            vec![("filter", "A eq")],
            "$filter",
            "$filter, character 5: expected",
        ),
        (
            vec![("$top", "1"), ("top", "1")],
            "$top",
            "$top is given twice",
        ),
        (
            vec![("$format", "json")],
            "$format",
            "unknown query option `$format`: expected one of $select,",
        ),
        (vec![("", "")], "", "unknown query option ``"),
    ] {
        let told = message(QueryOptions::parse(pairs.clone(), &["view"]), target);
        assert!(told.starts_with(expected), "{pairs:?}: {told}");
    }
    let told = message(QueryOptions::parse([("x", "")], &["view"]), "x");
    assert!(told.ends_with("$expand, view"), "{told}");
    let keys = parse_order("Age,Nope").unwrap();
    let told = message(BoundOrder::bind(&keys, &schema()), "$orderby");
    assert_eq!(
        told,
        "$orderby, character 5: expected an attribute of Customer, got `Nope`"
    );
}
