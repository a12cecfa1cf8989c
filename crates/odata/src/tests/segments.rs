//! The one function: its forms, its meaning, and who may be asked.

use sanntid_types::{EntitySchema, EntityType};

use super::schema;
use crate::{BoundFilter, Fields, parse_filter};

/// A customer aged 30 who is in the segment `it's`.
struct Member;

impl Fields for Member {
    fn json(&self, ordinal: usize) -> &str {
        if ordinal == super::AGE { "30" } else { "null" }
    }

    fn is_in_segment(&self, name: &str) -> bool {
        name == "it's"
    }
}

fn bound(text: &str) -> BoundFilter {
    BoundFilter::bind(&parse_filter(text).expect(text), &schema()).expect(text)
}

#[test]
fn a_filter_asks_for_segments_alone_and_within_conditions() {
    let table = [
        ("IsMemberOfSegment('it''s')", true),
        ("ismemberofsegment ( 'it''s' )", true),
        ("IsMemberOfSegment('IT''S')", false),
        ("not IsMemberOfSegment('it''s')", false),
        ("not IsMemberOfSegment('b') and Age eq 30", true),
        ("Age eq 1 or IsMemberOfSegment('it''s')", true),
        ("IsMemberOfSegment('it''s') eq true", true),
        ("IsMemberOfSegment('b') in (false)", true),
    ];
    for (text, expected) in table {
        let filter = bound(text);
        assert_eq!(filter.matches(&Member), expected, "{text}");
        assert!(filter.has_segments(), "{text}");
        let expr = parse_filter(text).expect(text);
        let printed = expr.to_string();
        assert_eq!(parse_filter(&printed).expect(&printed), expr, "{printed}");
    }
    assert!(!bound("Age eq 30 and not (Age in (1))").has_segments());
}

#[test]
fn an_index_is_found_beside_a_segment_but_not_as_an_alternative_to_it() {
    let ids = |text: &str| bound(text).equalities(super::ID);
    let one = Some(vec!["a".to_owned()]);
    assert_eq!(ids("CustomerId eq 'a' and IsMemberOfSegment('s')"), one);
    assert_eq!(ids("CustomerId eq 'a' or IsMemberOfSegment('s')"), None);
}

#[test]
fn other_forms_and_other_functions_are_refused() {
    let table = [
        ("IsMemberOfSegment()", "the name of a segment"),
        ("IsMemberOfSegment(1)", "the name of a segment"),
        ("IsMemberOfSegment(Age)", "the name of a segment"),
        ("IsMemberOfSegment('a','b')", "`)`"),
        ("IsMemberOfSegment('a'", "`)`"),
        ("contains('a')", "function contains is not supported"),
    ];
    for (text, expected) in table {
        let message = parse_filter(text).expect_err(text).message;
        assert!(message.contains(expected), "{text}: {message}");
    }
}

#[test]
fn only_customers_are_in_segments() {
    let schema = EntitySchema {
        entity_type: EntityType::ProfileKpi,
        ..schema()
    };
    let expr = parse_filter("IsMemberOfSegment('a')").expect("parses");
    let error = BoundFilter::bind(&expr, &schema).expect_err("refused");
    assert!(error.message.contains("is for customers"), "{error:?}");
}
