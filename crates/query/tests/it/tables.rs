//! Read-only tables: rows by key and by customer, pages, moved customers; segments and measures.

use std::sync::Arc;

use sanntid_engine::EntityTable;
use sanntid_query::{Answer, Context, card};
use sanntid_types::{
    Attribute, AttributeRole, EdmType, EntitySchema, EntityType, ErrorCode, Literal, RowBuilder,
    TableId,
};
use serde_json::{Value, json};

use crate::fixtures::{name, person};
use crate::instance::{BASE, Instance, OPTIONS, id, next_of};

const MEASURES: &str = "Customer_Measure";
const SEGMENTS: &str = "SegmentMembership";

fn add(
    instance: &mut Instance,
    schema: EntitySchema,
    table: u64,
    rows: &[(&str, &str, &[Literal])],
) {
    let schema = Arc::new(schema);
    instance.tenant.entities.push(EntityTable {
        schema,
        table: TableId(table),
        as_of: instance.clock,
        rows: rows.len() as u64,
        size: 0,
    });
    let stored = instance.stored.tables.entry(TableId(table)).or_default();
    for (key, customer, values) in rows {
        let mut row = RowBuilder::default();
        for value in *values {
            row.push(value);
        }
        stored.insert((*key).to_owned(), ((*customer).to_owned(), row.finish()));
    }
}

/// Customers `a`, `b`, `c`; measures of `a` and `old`; `a` is in `Best` and `New`, `old` in `Best`.
pub(crate) fn instance() -> Instance {
    let mut instance = Instance::new();
    let people = ["a", "b", "c"].map(|id| person(id, Some("Oslo"), None));
    instance.refresh(&people, &[("old", "b")], &[]);
    let key = Attribute {
        role: AttributeRole::Key,
        ..Attribute::plain("CustomerId", EdmType::String)
    };
    let measures = EntitySchema {
        name: name(MEASURES),
        friendly_name: None,
        entity_type: EntityType::ProfileKpi,
        attributes: vec![key, Attribute::plain("Spent", EdmType::Decimal)],
        key: Some(0),
    };
    let number = |text| Literal::from_json(EdmType::Decimal, text).expect("number");
    let text = Literal::text;
    let rows: [(&str, &str, &[Literal]); 2] = [
        ("a", "a", &[text("a"), number("12.50")]),
        ("old", "old", &[text("old"), number("7")]),
    ];
    add(&mut instance, measures, 10, &rows);
    let segments = EntitySchema {
        name: name(SEGMENTS),
        friendly_name: None,
        entity_type: EntityType::SegmentMembership,
        attributes: vec![
            Attribute::plain("SegmentName", EdmType::String),
            Attribute::plain("CustomerId", EdmType::String),
        ],
        key: None,
    };
    let rows: [(&str, &str, &[Literal]); 3] = [
        ("1", "a", &[text("Best"), text("a")]),
        ("2", "a", &[text("New"), text("a")]),
        ("3", "old", &[text("Best"), text("old")]),
    ];
    add(&mut instance, segments, 11, &rows);
    instance
}

fn row(instance: &Instance, path: &str) -> Value {
    match instance.ask(path, &[], OPTIONS) {
        Ok(Answer::Entity { json, etag, id }) => {
            assert_eq!((etag, id), (None, None));
            serde_json::from_str(&json).expect("JSON")
        }
        other => panic!("{path}: {other:?}"),
    }
}

fn values(instance: &Instance, path: &str, options: &[(&str, &str)]) -> Value {
    instance.collection(path, options)["value"].clone()
}

#[test]
fn a_row_is_found_by_its_key_also_under_an_id_of_before() {
    let instance = instance();
    let expected = json!({
        "@odata.context": format!("{BASE}/$metadata#{MEASURES}/$entity"),
        "CustomerId": "a", "Spent": 12.5
    });
    for path in [
        "Customer_Measure('a')",
        "customer_measure/a",
        "Customer_Measure(CustomerId='a')",
    ] {
        assert_eq!(row(&instance, path), expected, "{path}");
    }
    for path in ["Customer_Measure('b')", "Customer_Measure('old')"] {
        let found = row(&instance, path);
        assert_eq!(
            (&found["CustomerId"], &found["Spent"]),
            (&json!("b"), &json!(7))
        );
    }
    let table = [
        ("Customer_Measure('c')", ErrorCode::EntityNotFound),
        ("Customer_Measure(Spent='a')", ErrorCode::InvalidArgument),
        ("SegmentMembership('1')", ErrorCode::InvalidArgument),
    ];
    for (path, code) in table {
        assert_eq!(instance.refusal(path, &[]).code, code, "{path}");
    }
}

#[test]
fn a_filter_that_names_customers_reads_their_rows_alone() {
    for is_unindexed in [false, true] {
        let mut instance = instance();
        instance.stored.is_unindexed = is_unindexed;
        instance.stored.take_reads();
        let found = values(&instance, SEGMENTS, &[("$filter", "CustomerId eq 'b'")]);
        assert_eq!(found, json!([{"SegmentName": "Best", "CustomerId": "b"}]));
        let read = instance.stored.take_reads().rows;
        assert_eq!(read, if is_unindexed { 3 } else { 1 });
        let options = [
            (
                "$filter",
                "CustomerId in ('b','a') and SegmentName eq 'Best'",
            ),
            ("$select", "CustomerId"),
            ("$orderby", "CustomerId desc"),
            ("$count", "true"),
        ];
        let page = instance.collection(SEGMENTS, &options);
        assert_eq!(
            page["value"],
            json!([{"CustomerId": "b"}, {"CustomerId": "a"}])
        );
        assert_eq!(page["@odata.count"], 2);
        let empty = values(&instance, SEGMENTS, &[("$filter", "CustomerId eq 'old'")]);
        assert_eq!(empty, json!([]), "a filter compares the ids that are shown");
    }
}

#[test]
fn pages_go_on_behind_the_last_row_and_deliver_each_once() {
    let instance = instance();
    for filter in [
        None,
        Some("CustomerId in ('a','b')"),
        Some("SegmentName ne 'x'"),
    ] {
        for order in [None, Some("SegmentName desc"), Some("CustomerId")] {
            let mut options = vec![("$top", "1")];
            options.extend(filter.map(|filter| ("$filter", filter)));
            options.extend(order.map(|order| ("$orderby", order)));
            let first = instance.collection(SEGMENTS, &options);
            assert_eq!(first["value"].as_array().map(Vec::len), Some(1));
            let mut limited = instance_with_pages_of_one();
            limited.clock = instance.clock;
            options.remove(0);
            let mut page = limited.collection(SEGMENTS, &options);
            let mut rows = Vec::new();
            loop {
                rows.extend(page["value"].as_array().expect("rows").clone());
                assert!(rows.len() <= 3, "{options:?}");
                let Some(next) = next_of(&page) else { break };
                page = limited.follow(&next);
            }
            let whole = values(&instance, SEGMENTS, &options);
            assert_eq!(Value::Array(rows), whole, "{options:?}");
            assert_eq!(whole.as_array().map(Vec::len), Some(3));
        }
    }
}

fn instance_with_pages_of_one() -> Instance {
    let mut instance = instance();
    instance.limits.page_rows_default = 1;
    instance
}

#[test]
fn of_a_large_table_only_named_rows_are_read() {
    let mut instance = instance();
    instance.limits.scan_rows_max = 1;
    values(&instance, MEASURES, &[]);
    values(&instance, MEASURES, &[("$filter", "CustomerId eq 'a'")]);
    for options in [
        [("$filter", "Spent gt 1")],
        [("$orderby", "Spent")],
        [("$skip", "2")],
    ] {
        let error = instance.refusal(MEASURES, &options);
        assert_eq!(error.code, ErrorCode::FilterNeedsIndex, "{options:?}");
        assert_eq!(error.target.as_deref(), Some(options[0].0));
    }
    let two = [("$filter", "CustomerId eq 'a'")];
    let error = instance.refusal(SEGMENTS, &two);
    assert_eq!(
        error.code,
        ErrorCode::FilterNeedsIndex,
        "two rows of one customer"
    );
}

#[test]
fn customers_are_filtered_by_their_segments() {
    for is_unindexed in [false, true] {
        let mut instance = instance();
        instance.stored.is_unindexed = is_unindexed;
        let table = [
            ("IsMemberOfSegment('Best')", &["a", "b"] as &[&str]),
            ("IsMemberOfSegment('New')", &["a"]),
            ("not IsMemberOfSegment('Best')", &["c"]),
            ("IsMemberOfSegment('best')", &[]),
            (
                "CustomerId in ('b','c') and IsMemberOfSegment('Best')",
                &["b"],
            ),
        ];
        for (filter, expected) in table {
            let found = instance.all_ids("Customer", &[("$filter", filter)]);
            assert_eq!(found, expected, "{filter}");
        }
        let error = instance.refusal(MEASURES, &[("$filter", "IsMemberOfSegment('Best')")]);
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    }
    let none = Instance::new().all_ids("Customer", &[("$filter", "IsMemberOfSegment('x')")]);
    assert_eq!(none, [""; 0], "nobody is in a segment where there are none");
}

#[test]
fn a_card_holds_segments_and_the_measures_of_tables() {
    let mut instance = instance();
    let read = |instance: &Instance, profile: &str| -> Value {
        let context = Context { base_url: BASE };
        let card = card(&instance.moment(), &context, &id(profile), &instance.limits);
        serde_json::from_str(&card.expect("reads").expect("a card").json).expect("JSON")
    };
    let table = [
        (
            "a",
            json!(["Best", "New"]),
            json!({"Value": 1e3, "Spent": 12.5}),
        ),
        ("b", json!(["Best"]), json!({"Value": 1e3, "Spent": 7})),
        ("old", json!(["Best"]), json!({"Value": 1e3, "Spent": 7})),
        ("c", json!([]), json!({"Value": 1e3})),
    ];
    for is_unindexed in [false, true] {
        instance.stored.is_unindexed = is_unindexed;
        for (profile, segments, measures) in &table {
            let card = read(&instance, profile);
            assert_eq!((&card["segments"], &card["measures"]), (segments, measures));
        }
    }
    instance.limits.scan_rows_max = 2;
    assert_eq!(
        read(&instance, "a")["segments"],
        Value::Null,
        "too many without an index"
    );
    instance.stored.is_unindexed = false;
    assert_eq!(read(&instance, "a")["segments"], json!(["Best", "New"]));
}
