//! What is a repeat and what a conflict (rules 4.5).

use sanntid_engine::{Appended, OnUnknownCustomer};
use sanntid_types::{ActivityState, Error, ErrorCode};

use crate::instance::{Instance, ORDERS, order, unified};

const BASE: &str = r#"{"CustomerId": "a", "ActivityTime": "2026-11-01T00:00:00Z",
    "ActivityType": "Visit", "Title": "t", "SemanticData": {"n": 1.50, "m": "x"}}"#;

#[derive(Debug, PartialEq)]
enum Answer {
    New(String),
    Replayed(String),
    Refused(ErrorCode),
}

fn answer(result: Result<Appended, Error>) -> Answer {
    match result {
        Ok(Appended::New { activity, .. }) => Answer::New(activity.activity.id.to_string()),
        Ok(Appended::Replayed { activity, .. }) => Answer::Replayed(activity.id.to_string()),
        Err(error) => Answer::Refused(error.code),
    }
}

fn post(instance: &mut Instance, entity: &str, body: &str) -> Answer {
    answer(instance.post(entity, body))
}

const CONFLICT: Answer = Answer::Refused(ErrorCode::ActivityConflict);

#[test]
fn the_same_values_in_another_spelling_are_a_repeat() {
    let mut instance = Instance::new();
    let Answer::New(id) = post(&mut instance, "UnifiedActivity", BASE) else {
        panic!("new")
    };
    assert_eq!(id.len(), 64, "a content hash");
    for spelled in [
        BASE.to_owned(),
        serde_json::Value::from(BASE).to_string(),
        BASE.replace("ActivityTime", "activitytimestamp"),
        BASE.replace("00:00:00Z", "01:00:00.000+01:00"),
        BASE.replace("00:00:00Z", "00:00:00"),
        BASE.replace(r#""n": 1.50, "m": "x""#, r#""m":"\u0078","n":15e-1"#),
        BASE.replace(r#"{"n": 1.50, "m": "x"}"#, r#""{\"m\":\"x\",\"n\":1.5}""#),
        BASE.replace(r#""Title""#, r#""Description": null, "Title""#),
        BASE.replace(r#""Title""#, &format!(r#""ActivityId": "{id}", "Title""#)),
    ] {
        let again = post(&mut instance, "UnifiedActivity", &spelled);
        assert_eq!(again, Answer::Replayed(id.clone()), "{spelled}");
    }
    assert_eq!(instance.stored.realtime.len(), 1, "nothing is stored twice");
}

#[test]
fn other_values_are_another_activity() {
    let mut instance = Instance::new();
    post(&mut instance, "UnifiedActivity", BASE);
    for other in [
        BASE.replace("\"a\"", "\"b\""),
        BASE.replace("00:00:00Z", "00:00:00.001Z"),
        BASE.replace("Visit", "visit"),
        BASE.replace("\"t\"", "\"T\""),
        BASE.replace("\"Title\"", "\"Description\""),
        BASE.replace("1.50", "1.51"),
        BASE.replace("1.50", "\"1.50\""),
    ] {
        let answer = post(&mut instance, "UnifiedActivity", &other);
        assert!(matches!(answer, Answer::New(_)), "{other}");
        let named = |body: &str| body.replacen('{', "{\"ActivityId\": \"same\", ", 1);
        let mut instance = Instance::new();
        post(&mut instance, "UnifiedActivity", &named(BASE));
        assert_eq!(
            post(&mut instance, "UnifiedActivity", &named(&other)),
            CONFLICT,
            "{other}"
        );
    }
}

#[test]
fn a_source_row_repeats_by_value() {
    let mut instance = Instance::new();
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-01", "Total": 12.50, "ContactId": "k1"}"#;
    let id = || "Shop_Orders:7".to_owned();
    assert_eq!(post(&mut instance, ORDERS, row), Answer::New(id()));
    for spelled in [
        row.replace("12.50", "\"12.5\""),
        row.replace("7", "\"7\""),
        row.replace("2026-11-01", "11/01/2026"),
        row.replace("2026-11-01", "2026-11-01T01:00:00+01:00"),
        row.replace("OrderId", "ORDERID"),
        row.replace("\"Total\"", "\"Subject\": null, \"Total\""),
    ] {
        assert_eq!(
            post(&mut instance, ORDERS, &spelled),
            Answer::Replayed(id()),
            "{spelled}"
        );
    }
    for other in [
        row.replace("12.50", "12.51"),
        row.replace("k1", "k2"),
        row.replace("\"Total\"", "\"Subject\": \"s\", \"Total\""),
    ] {
        assert_eq!(post(&mut instance, ORDERS, &other), CONFLICT, "{other}");
    }
    let unified = r#"{"CustomerId": "a", "ActivityTime": "2026-11-01T00:00:00Z", "ActivityType":
        "SalesOrder", "EntityName": "shop_orders", "ActualActivityId": "7"}"#;
    assert_eq!(
        post(&mut instance, "UnifiedActivity", unified),
        CONFLICT,
        "the same id"
    );
}

#[test]
fn an_entity_is_the_same_in_any_case() {
    let mut instance = Instance::new();
    let body = r#"{"CustomerId": "a", "ActivityTime": "2026-11-01T00:00:00Z", "ActivityType":
        "Visit", "EntityName": "shop_ORDERS", "ActualActivityId": "7"}"#;
    let id = || "Shop_Orders:7".to_owned();
    assert_eq!(
        post(&mut instance, "UnifiedActivity", body),
        Answer::New(id())
    );
    let spelled = body.replace("shop_ORDERS", ORDERS);
    assert_eq!(
        post(&mut instance, "UnifiedActivity", &spelled),
        Answer::Replayed(id())
    );
}

#[test]
fn a_source_configured_ahead_goes_by_the_name_that_its_snapshot_declares() {
    let mut instance = Instance::empty();
    instance.tenant.activities[0].entity_name = crate::instance::name("SHOP_ORDERS");
    instance.refresh(&[("a", "k1")], &[], &[order(1, "11/01/2026", "s", "k1")]);
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-02", "ContactId": "k1"}"#;
    let id = Answer::New("Shop_Orders:7".to_owned());
    assert_eq!(post(&mut instance, "shop_orders", row), id);
    assert_eq!(instance.ids("a"), ["Shop_Orders:7", "Shop_Orders:1"]);
    let entries = instance.entries("a", Default::default());
    let named = entries
        .iter()
        .map(|entry| entry.activity.entity_name.as_deref());
    assert!(named.eq([Some(ORDERS); 2]));
    let again = row.replace("7", "1").replace("11-02", "11-01");
    let brought = Answer::Replayed("Shop_Orders:1".to_owned());
    assert_eq!(post(&mut instance, "shop_orders", &again), brought);
    instance.tenant.projected_with[0].entity_name = crate::instance::name("SHOP_ORDERS");
    assert_eq!(
        instance.ids("a").len(),
        2,
        "as it was when the timeline was made"
    );
}

#[test]
fn ids_are_unique_whatever_the_customer_or_format() {
    let mut instance = Instance::new();
    post(
        &mut instance,
        "UnifiedActivity",
        &unified("Shop_Orders:7", "a", 1),
    );
    assert_eq!(
        post(
            &mut instance,
            "UnifiedActivity",
            &unified("Shop_Orders:7", "b", 1)
        ),
        CONFLICT
    );
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-01", "ContactId": "k3"}"#;
    assert_eq!(post(&mut instance, ORDERS, row), CONFLICT);
}

#[test]
fn the_first_answer_stands_whatever_has_changed_since() {
    let mut instance = Instance::empty();
    let (body, hold) = (unified("x", "a", 1), OnUnknownCustomer::Hold);
    instance
        .post_with("UnifiedActivity", &body, Some(100), hold)
        .expect("held");
    instance.refresh(&[("a", "k1")], &[], &[]);
    instance.wait(50);
    let again = instance.post_with("UnifiedActivity", &body, Some(0), OnUnknownCustomer::Reject);
    let Ok(Appended::Replayed {
        state, activity, ..
    }) = again
    else {
        panic!("{again:?}")
    };
    assert_eq!((state, activity.id.as_str()), (ActivityState::Held, "x"));
    instance.refresh(&[("b", "k3")], &[], &[]);
    assert_eq!(
        post(&mut instance, "UnifiedActivity", &body),
        Answer::Replayed("x".to_owned())
    );
    instance.wait(49);
    assert_eq!(
        post(&mut instance, "UnifiedActivity", &body),
        Answer::Replayed("x".to_owned())
    );
    instance.wait(1);
    let unknown = Answer::Refused(ErrorCode::CustomerNotFound);
    assert_eq!(
        post(&mut instance, "UnifiedActivity", &body),
        unknown,
        "expired at its first time"
    );
}

#[test]
fn a_repeat_shows_the_text_projected_at_acceptance() {
    let mut instance = Instance::new();
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-01", "Subject": "s", "ContactId": "k1"}"#;
    instance.post(ORDERS, row).expect("new");
    instance.tenant.activities[0].activity_type = "Other".to_owned();
    let Ok(Appended::Replayed { activity, .. }) = instance.post(ORDERS, row) else {
        panic!()
    };
    assert_eq!(activity.activity_type, "SalesOrder");
    assert_eq!(
        instance.entries("a", Default::default())[0].activity,
        *activity
    );
}

#[test]
fn an_expired_id_is_free_for_other_content() {
    let mut instance = Instance::new();
    let reject = OnUnknownCustomer::Reject;
    instance
        .post_with("UnifiedActivity", &unified("x", "a", 1), Some(10), reject)
        .expect("new");
    instance.wait(9);
    assert_eq!(
        post(&mut instance, "UnifiedActivity", &unified("x", "b", 2)),
        CONFLICT
    );
    instance.wait(1);
    let again = post(&mut instance, "UnifiedActivity", &unified("x", "b", 2));
    assert_eq!(again, Answer::New("x".to_owned()));
    assert_eq!((instance.ids("a").len(), instance.ids("b").len()), (0, 1));
}

#[test]
fn an_id_that_only_the_source_brought_compares_the_given_fields() {
    let mut instance = Instance::new();
    let rows = [
        order(7, "11/01/2026", "shoes", "k1"),
        order(8, "11/01/2026", "lost", "none"),
    ];
    instance.refresh(&[("a", "k1;k2"), ("b", "k3")], &[("old", "a")], &rows);
    let replayed = || Answer::Replayed("Shop_Orders:7".to_owned());
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-01", "Total": 12.5, "ContactId": "k1"}"#;
    assert_eq!(post(&mut instance, ORDERS, row), replayed());
    for other in [
        row.replace("12.5", "13"),
        row.replace("k1", "k2"),
        row.replace("\"Total\"", "\"Product\": \"p\", \"Total\""),
    ] {
        assert_eq!(post(&mut instance, ORDERS, &other), CONFLICT, "{other}");
    }
    let body = r#"{"CustomerId": "old", "ActivityTime": "2026-11-01T00:00:00Z", "Title": "shoes",
        "ActivityType": "SalesOrder", "EntityName": "SHOP_orders", "ActualActivityId": "7",
        "SemanticData": {"Order": 7.0, "Amount": 12.5}}"#;
    assert_eq!(post(&mut instance, "UnifiedActivity", body), replayed());
    for other in [
        body.replace("\"old\"", "\"b\""),
        body.replace("00:00:00Z", "00:00:01Z"),
        body.replace("shoes", "boots"),
        body.replace("SalesOrder", "Visit"),
        body.replace("12.5", "13"),
        body.replace("\"Title\"", "\"Description\""),
        body.replace("\"7\"", "\"8\"")
            .replace("shoes", "lost")
            .replace("7.0", "8"),
    ] {
        assert_eq!(
            post(&mut instance, "UnifiedActivity", &other),
            CONFLICT,
            "{other}"
        );
    }
    assert!(instance.stored.realtime.is_empty());
}

#[test]
fn a_superseded_activity_keeps_its_own_identity() {
    let mut instance = Instance::new();
    let row = r#"{"OrderId": 7, "PurchasedOn": "2026-11-01", "Total": 99, "ContactId": "k1"}"#;
    instance.post(ORDERS, row).expect("new");
    let brought = [order(7, "11/02/2026", "s", "k1")];
    instance.refresh(&[("a", "k1;k2"), ("b", "k3")], &[], &brought);
    assert_eq!(
        post(&mut instance, ORDERS, row),
        Answer::Replayed("Shop_Orders:7".to_owned())
    );
    let as_source = r#"{"OrderId": 7, "PurchasedOn": "2026-11-02", "ContactId": "k1"}"#;
    assert_eq!(post(&mut instance, ORDERS, as_source), CONFLICT);
}
