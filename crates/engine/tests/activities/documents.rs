//! What an activity's document may be (rules 4.1 to 4.3), a table per rule.

use sanntid_engine::{Appended, OnUnknownCustomer, StoredActivity, project_row};
use sanntid_types::{ErrorCode, Literal, RowBuilder};

use crate::instance::{Instance, ORDERS, at, orders_config, orders_schema};

fn stored(entity: &str, body: &str) -> StoredActivity {
    match Instance::new().post(entity, body) {
        Ok(Appended::New { activity, .. }) => *activity,
        other => panic!("{body} gives {other:?}"),
    }
}

fn problems(entity: &str, body: &str) -> Vec<(String, ErrorCode)> {
    let error = Instance::new().post(entity, body).expect_err(body);
    error
        .details
        .into_iter()
        .map(|detail| (detail.target, detail.error_code))
        .collect()
}

/// A valid unified document with more members.
fn with(more: &str) -> String {
    format!(
        "{{\"CustomerId\": \"a\", \"ActivityTime\": \"2026-11-01T00:00:00Z\", \
         \"ActivityType\": \"Visit\"{more}}}"
    )
}

fn one(field: &str, code: ErrorCode) -> Vec<(String, ErrorCode)> {
    vec![(field.to_owned(), code)]
}

#[test]
fn every_field_of_the_unified_format_is_kept_under_any_of_its_spellings() {
    let body = r#"{"customerid": "a", "ActivityTimeStamp": "2026-11-01T01:00:00.1239+01:00",
        "ACTIVITYTYPE": "Visit", "ActivityId": "x", "Title": "t", "ActivityName": "n",
        "ActivityTypeDisplay": "d", "Description": "de\nscription", "URL": "u",
        "SourceTableName": "Web_Visits", "SourceActivityId": "7",
        "SemanticData": {"Amount" : 12.50, "b": [ 1 ]}}"#;
    let activity = stored("unifiedactivity", body).activity;
    assert_eq!(activity.id.as_str(), "x");
    assert_eq!(activity.time, at("2026-11-01T00:00:00.123Z"));
    assert_eq!(activity.activity_type, "Visit");
    let texts = [
        (activity.title, "t"),
        (activity.activity_name, "n"),
        (activity.activity_type_display, "d"),
        (activity.description, "de\nscription"),
        (activity.external_url, "u"),
        (activity.entity_name, "Web_Visits"),
        (activity.actual_activity_id, "7"),
        (activity.semantic_data, r#"{"Amount":12.50,"b":[1]}"#),
    ];
    for (kept, expected) in texts {
        assert_eq!(kept.as_deref(), Some(expected));
    }
    for spelling in ["EntityName", "SourceEntityName", "sourceTableName"] {
        let kept = stored(
            "UnifiedActivity",
            &with(&format!(", \"{spelling}\": \"E\"")),
        );
        assert_eq!(
            kept.activity.entity_name.as_deref(),
            Some("E"),
            "{spelling}"
        );
    }
    let literal = serde_json::Value::from(body).to_string();
    assert_eq!(
        stored("UnifiedActivity", &literal).activity.id.as_str(),
        "x",
        "string literal form"
    );
}

#[test]
fn semantic_data_is_an_object_or_a_text() {
    for (given, kept) in [
        (r#"{"a": 1.00}"#, Some(r#"{"a":1.00}"#)),
        (r#""{\"a\": 1.00}""#, Some(r#"{"a":1.00}"#)),
        (r#""plain text""#, Some(r#""plain text""#)),
        ("null", None),
    ] {
        let activity = stored(
            "UnifiedActivity",
            &with(&format!(", \"SemanticData\": {given}")),
        );
        assert_eq!(activity.activity.semantic_data.as_deref(), kept, "{given}");
    }
}

#[test]
fn every_bad_field_is_listed_once() {
    use ErrorCode::{DuplicateField, InvalidField, MissingField, UnknownField};
    let body = r#"{"ActivityTime": "soon", "Nope": 1, "URL": "u", "ExternalUrl": "v", "Title": 5,
                   "SemanticData": [1], "ActivityId": ""}"#;
    let expected = [
        ("Nope", UnknownField),
        ("ExternalUrl", DuplicateField),
        ("CustomerId", MissingField),
        ("ActivityTime", InvalidField),
        ("ActivityType", MissingField),
        ("ActivityId", InvalidField),
        ("Title", InvalidField),
        ("SemanticData", InvalidField),
    ]
    .map(|(field, code)| (field.to_owned(), code));
    assert_eq!(problems("UnifiedActivity", body), expected);
    let twice = r#"{"Title": "t", "TITLE": "u", "CustomerId": "a", "ActivityType": 5}"#;
    let expected = [
        ("TITLE", DuplicateField),
        ("ActivityTime", MissingField),
        ("ActivityType", InvalidField),
    ]
    .map(|(field, code)| (field.to_owned(), code));
    assert_eq!(problems("UnifiedActivity", twice), expected);
    let row = r#"{"OrderId": 1, "ORDERID": 2, "Nope": 1, "Total": true, "ContactId": "k1"}"#;
    let expected = [
        ("ORDERID", DuplicateField),
        ("Nope", UnknownField),
        ("Total", InvalidField),
        ("PurchasedOn", MissingField),
    ]
    .map(|(field, code)| (field.to_owned(), code));
    assert_eq!(problems(ORDERS, row), expected);
}

#[test]
fn a_bad_valid_until_is_listed_with_what_else_is_wrong() {
    for (entity, body, other) in [
        ("UnifiedActivity", with(", \"Title\": 5"), "Title"),
        (
            "UnifiedActivity",
            with("").replace("\"a\"", "\"zz\""),
            "CustomerId",
        ),
        (ORDERS, "{\"Nope\": 1}".to_owned(), "Nope"),
        (ORDERS, "5".to_owned(), "body"),
    ] {
        let reject = OnUnknownCustomer::Reject;
        let error = Instance::new()
            .post_with(entity, &body, Some(0), reject)
            .expect_err("refused");
        let targets: Vec<_> = error.details.iter().map(|d| d.target.as_str()).collect();
        assert_eq!(targets.first(), Some(&other), "{body}");
        assert_eq!(targets.last(), Some(&"validUntil"), "{body}");
    }
    let error = Instance::new()
        .post_with("Customer", "{}", Some(0), OnUnknownCustomer::Reject)
        .expect_err("refused");
    assert_eq!(error.code, ErrorCode::MethodNotAllowed);
}

#[test]
fn limits_of_the_unified_format_are_exact() {
    let text = |length| "å".repeat(length);
    for (field, max) in [
        ("ActivityId", 100),
        ("ActualActivityId", 100),
        ("EntityName", 100),
    ]
    .into_iter()
    .chain(["Title", "ActivityName", "Description", "ExternalUrl"].map(|name| (name, 4_000)))
    {
        stored(
            "UnifiedActivity",
            &with(&format!(", \"{field}\": \"{}\"", text(max))),
        );
        let over = with(&format!(", \"{field}\": \"{}\"", text(max + 1)));
        assert_eq!(
            problems("UnifiedActivity", &over),
            one(field, ErrorCode::InvalidField)
        );
    }
    let semantic = |size: usize| {
        with(&format!(
            ", \"SemanticData\": {{ \"a\": \"{}\"}}",
            "x".repeat(size - 8)
        ))
    };
    stored("UnifiedActivity", &semantic(1 << 20));
    let invalid = one("SemanticData", ErrorCode::InvalidField);
    assert_eq!(
        problems("UnifiedActivity", &semantic((1 << 20) + 1)),
        invalid
    );
    let deep = format!(
        ", \"SemanticData\": {{\"a\": {}{}}}",
        "[".repeat(9_000),
        "]".repeat(9_000)
    );
    assert_eq!(problems("UnifiedActivity", &with(&deep)), invalid);
}

#[test]
fn bad_values_of_the_unified_format_are_refused() {
    for (more, field) in [
        (r#", "Title": "a\u0000b""#, "Title"),
        (r#", "Title": "\ud800""#, "Title"),
        (r#", "ActivityId": "a\nb""#, "ActivityId"),
        (r#", "EntityName": """#, "EntityName"),
        (r#", "SemanticData": {"a": "\ud800"}"#, "SemanticData"),
        (r#", "SemanticData": 5"#, "SemanticData"),
        (r#", "SemanticData": {"a": "\u0000"}"#, "SemanticData"),
        (r#", "SemanticData": "\u0000""#, "SemanticData"),
    ] {
        assert_eq!(
            problems("UnifiedActivity", &with(more)),
            one(field, ErrorCode::InvalidField)
        );
    }
    for time in [
        "2026-11-01",
        "0999-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "2026-02-30T00:00:00Z",
    ] {
        let body = with("").replace("2026-11-01T00:00:00Z", time);
        assert_eq!(
            problems("UnifiedActivity", &body),
            one("ActivityTime", ErrorCode::InvalidField)
        );
    }
    for value in ["5", "\"\"", "null"] {
        let body = with("").replace("\"Visit\"", value);
        assert_eq!(problems("UnifiedActivity", &body).len(), 1, "{value}");
    }
}

#[test]
fn a_source_row_becomes_the_configured_activity() {
    let body = r#"{"orderid": "7", "PurchasedOn": "11/01/2026", "Subject": "Blue shoes",
                   "Product": "P-1", "Total": 12.50, "ContactId": " k1 "}"#;
    let kept = stored("shop_orders", body);
    assert_eq!(kept.source_entity.expect("source format").as_str(), ORDERS);
    let activity = kept.activity;
    assert_eq!(activity.id.as_str(), "Shop_Orders:7");
    assert_eq!(activity.time, at("2026-11-01T00:00:00Z"));
    assert_eq!(activity.activity_type, "SalesOrder");
    for (field, expected) in [
        (activity.activity_type_display, "Online purchase"),
        (activity.title, "Blue shoes"),
        (activity.description, "P-1"),
        (activity.entity_name, ORDERS),
        (activity.actual_activity_id, "7"),
        (activity.semantic_data, r#"{"Amount":12.50,"Order":7}"#),
    ] {
        assert_eq!(field.as_deref(), Some(expected));
    }
}

#[test]
fn source_times_are_edm_literals_or_in_the_declared_format() {
    for (time, expected) in [
        ("2026-11-01T05:00:00+01:00", "2026-11-01T04:00:00Z"),
        ("2026-11-01T05:00:00.25", "2026-11-01T05:00:00.250Z"),
        ("2026-11-01", "2026-11-01T00:00:00Z"),
        ("11/02/2026", "2026-11-02T00:00:00Z"),
    ] {
        let body = format!(r#"{{"OrderId": 7, "PurchasedOn": "{time}", "ContactId": "k1"}}"#);
        assert_eq!(stored(ORDERS, &body).activity.time, at(expected), "{time}");
    }
    for time in [
        "\"2026-13-01\"",
        "\"13/01/2026\"",
        "\"\"",
        "1761955200",
        "\"soon\"",
    ] {
        let body = format!(r#"{{"OrderId": 7, "PurchasedOn": {time}, "ContactId": "k1"}}"#);
        assert_eq!(
            problems(ORDERS, &body),
            one("PurchasedOn", ErrorCode::InvalidField),
            "{time}"
        );
    }
}

#[test]
fn every_bad_column_is_listed() {
    use ErrorCode::{InvalidField, MissingField, UnknownField};
    let body = r#"{"Total": "much", "Nope": 1, "Subject": 5, "ContactId": " "}"#;
    let expected = [
        ("Total", InvalidField),
        ("Nope", UnknownField),
        ("Subject", InvalidField),
        ("OrderId", MissingField),
        ("PurchasedOn", MissingField),
        ("ContactId", MissingField),
    ]
    .map(|(field, code)| (field.to_owned(), code));
    assert_eq!(problems(ORDERS, body), expected);
    let bad_key = r#"{"OrderId": 1.5, "PurchasedOn": "2026-11-01", "ContactId": "k1"}"#;
    assert_eq!(
        problems(ORDERS, bad_key),
        one("OrderId", InvalidField),
        "not missing too"
    );
    let twice = r#"{"OrderId": 1, "PurchasedOn": "2026-11-01", "ContactId": "k1", "orderID": 1}"#;
    assert_eq!(
        problems(ORDERS, twice),
        one("orderID", ErrorCode::DuplicateField)
    );
}

#[test]
fn only_configured_entities_take_activities() {
    let mut instance = Instance::new();
    let code = |instance: &mut Instance, entity| instance.post(entity, "{}").expect_err("no").code;
    for entity in ["Customer", "customer"] {
        assert_eq!(code(&mut instance, entity), ErrorCode::MethodNotAllowed);
    }
    for entity in ["Shop_Returns", "", "Customer_Measure"] {
        let error = instance.post(entity, "{}").expect_err("no");
        assert_eq!(error.code, ErrorCode::UnknownActivityEntity);
        assert!(
            error.message.contains("UnifiedActivity, Shop_Orders"),
            "{}",
            error.message
        );
    }
    let mut empty = Instance::empty();
    assert_eq!(
        code(&mut empty, ORDERS),
        ErrorCode::UnknownActivityEntity,
        "no columns known yet"
    );
}

#[test]
fn a_row_that_can_not_be_projected_names_its_columns() {
    let mut row = RowBuilder::default();
    row.push(&Literal::null());
    let error = project_row(&orders_config(), &orders_schema(), &row.finish()).expect_err("empty");
    let targets: Vec<_> = error
        .details
        .iter()
        .map(|detail| detail.target.as_str())
        .collect();
    assert_eq!(targets, ["OrderId", "PurchasedOn", "ContactId"]);
    let mut config = orders_config();
    config.primary_key = "Gone".to_owned();
    let row = crate::instance::order(1, "11/01/2026", "s", "k1");
    let error = project_row(&config, &orders_schema(), &row).expect_err("no such column");
    assert!(error.details[0].message.contains("Gone"));
}
