//! The rules for updating and reading one profile, one test each.

use std::time::Duration;

use sanntid_engine::{FieldOrigin, PatchProfile, patch_profile, profile};
use sanntid_types::{EdmType, ErrorCode, RefreshClears, Settings};

use crate::instance::{Instance, id};

#[test]
fn an_update_shows_until_it_expires_and_an_older_one_shows_again() {
    let mut instance = Instance::with_profiles(&["a"]);
    instance
        .patch("a", r#"{"city": "long"}"#, Some(100))
        .expect("accepted");
    instance
        .patch("a", r#"{"City": "short"}"#, Some(10))
        .expect("accepted");
    assert_eq!(instance.city("a").as_deref(), Some("\"short\""));
    instance.wait(10);
    assert_eq!(instance.city("a").as_deref(), Some("\"long\""));
    instance.wait(90);
    assert_eq!(instance.city("a").as_deref(), Some("\"source 1\""));
}

#[test]
fn a_refresh_clears_what_its_source_has_seen_and_keeps_the_rest() {
    let mut instance = Instance::with_profiles(&["a", "b"]);
    instance
        .patch("a", r#"{"City": "before"}"#, None)
        .expect("accepted");
    let as_of = instance.tenant.accepted_at.expect("accepted");
    instance.wait(1);
    instance
        .patch("b", r#"{"City": "after"}"#, None)
        .expect("accepted");
    instance
        .refresh(as_of, EdmType::Int32, &["a", "b"], &[])
        .expect("switches");
    assert_eq!(
        instance.city("a").as_deref(),
        Some("\"source 2\""),
        "accepted at as_of: cleared"
    );
    assert_eq!(instance.city("b").as_deref(), Some("\"after\""));
}

#[test]
fn clearing_is_final_whatever_the_settings_say_later() {
    let mut instance = Instance::with_profiles(&["a"]);
    instance
        .patch("a", r#"{"City": "x"}"#, None)
        .expect("accepted");
    instance.wait(1);
    instance
        .refresh(instance.clock, EdmType::Int32, &["a"], &[])
        .expect("switches");
    let never = Settings {
        refresh_clears: RefreshClears::Never,
        ..Settings::default()
    };
    instance.tenant.set_settings(never);
    assert_eq!(instance.city("a").as_deref(), Some("\"source 2\""));
}

#[test]
fn with_clearing_off_an_update_ends_at_its_expiry_alone() {
    let mut instance = Instance::with_profiles(&["a"]);
    let never = Settings {
        refresh_clears: RefreshClears::Never,
        ..Settings::default()
    };
    instance.tenant.set_settings(never);
    instance
        .patch("a", r#"{"City": "x"}"#, Some(50))
        .expect("accepted");
    instance.wait(10);
    instance
        .refresh(instance.clock, EdmType::Int32, &["a"], &[])
        .expect("switches");
    assert_eq!(instance.city("a").as_deref(), Some("\"x\""));
    instance.wait(40);
    assert_eq!(instance.city("a").as_deref(), Some("\"source 2\""));
}

#[test]
fn another_type_or_role_hides_an_update_until_it_is_back() {
    let mut instance = Instance::with_profiles(&["a"]);
    let second = Duration::from_secs(1);
    let as_of = instance.clock.minus(second);
    let load = |instance: &mut Instance, score| {
        instance.refresh(as_of, score, &["a"], &[]).expect("loads");
    };
    let score = |instance: &Instance| instance.read("a").expect("exists")[2].clone();
    instance
        .patch("a", r#"{"Score": 1}"#, Some(100))
        .expect("a number");
    load(&mut instance, EdmType::String);
    assert_eq!(score(&instance), "null", "the source's own");
    instance
        .patch("a", r#"{"Score": "s"}"#, Some(200))
        .expect("a text that lives longer");
    assert_eq!(score(&instance), "\"s\"");
    load(&mut instance, EdmType::Int32);
    assert_eq!(score(&instance), "1");
    let customer = instance.tenant.entities.first_mut().expect("customers");
    let schema = std::sync::Arc::make_mut(&mut customer.schema);
    schema.attributes[2].role = sanntid_types::AttributeRole::Computed;
    assert_eq!(score(&instance), "null", "a computed value is the source's");
}

#[test]
fn no_write_falls_between_what_the_refresh_saw_and_what_it_clears() {
    let mut instance = Instance::with_profiles(&["a"]);
    let as_of = instance.clock;
    instance.tenant.open_refresh(as_of);
    instance
        .patch("a", r#"{"City": "x"}"#, None)
        .expect("accepted");
    instance
        .refresh(as_of, EdmType::Int32, &["a"], &[])
        .expect("switches");
    assert_eq!(
        instance.city("a").as_deref(),
        Some("\"x\""),
        "accepted after as_of was fixed"
    );
}

#[test]
fn every_bad_field_is_listed_and_nothing_is_stored() {
    let mut instance = Instance::with_profiles(&["a"]);
    let body = r#"{"CustomerId": "z", "shopid": "k", "PreviousCustomerId": "", "Value": 1,
                   "Score": "1", "Nope": 1, "City": 5}"#;
    let error = instance.patch("a", body, None).expect_err("refused");
    let found: Vec<_> = error
        .details
        .iter()
        .map(|d| (d.target.as_str(), d.error_code))
        .collect();
    assert_eq!(
        found,
        [
            ("CustomerId", ErrorCode::ReadOnlyField),
            ("ShopId", ErrorCode::ReadOnlyField),
            ("PreviousCustomerId", ErrorCode::ReadOnlyField),
            ("Value", ErrorCode::ReadOnlyField),
            ("Score", ErrorCode::InvalidField),
            ("Nope", ErrorCode::UnknownField),
            ("City", ErrorCode::InvalidField),
        ]
    );
    assert!(instance.stored.overlays.is_empty());
    assert!(
        instance.patch("a", "{}", None).is_err(),
        "at least one field"
    );
    let unknown = instance
        .patch("zzz", r#"{"City": "x"}"#, None)
        .expect_err("no upsert");
    assert_eq!(unknown.code, ErrorCode::ProfileNotFound);
}

#[test]
fn as_of_never_goes_back_and_hardly_ahead() {
    let mut instance = Instance::with_profiles(&["a"]);
    let code = |result: Result<(), sanntid_types::Error>| result.expect_err("refused").code;
    let (now, second) = (instance.clock, Duration::from_secs(1));
    let current = now.minus(second);
    assert_eq!(
        code(instance.refresh(current.minus(second), EdmType::Int32, &[], &[])),
        ErrorCode::AsOfOutdated
    );
    let far = now.plus(Duration::from_secs(301));
    assert_eq!(
        code(instance.refresh(far, EdmType::Int32, &[], &[])),
        ErrorCode::AsOfInFuture
    );
    assert_eq!(
        instance.city("a").as_deref(),
        Some("\"source 1\""),
        "nothing changed"
    );
    instance
        .refresh(current, EdmType::Int32, &["a"], &[])
        .expect("equal is allowed");
    let near = now.plus(Duration::from_secs(300));
    instance
        .refresh(near, EdmType::Int32, &["a"], &[])
        .expect("cut to now");
    assert_eq!(instance.tenant.as_of_real, Some(now));
}

#[test]
fn the_etag_goes_by_value_and_guards_an_update() {
    let mut instance = Instance::with_profiles(&["a"]);
    let etag = |instance: &Instance| {
        let read = profile(&instance.stored, &instance.tenant, instance.clock, &id("a"));
        read.expect("reads").expect("exists").etag()
    };
    let before = etag(&instance);
    instance
        .patch("a", r#"{"Score": 1}"#, None)
        .expect("accepted");
    let one = etag(&instance);
    instance
        .patch("a", r#"{"Score": 1.0}"#, None)
        .expect("accepted");
    assert_ne!(before, one);
    assert_eq!(one, etag(&instance), "1 and 1.0 are the same value");
    let (profile, clock) = (id("a"), instance.clock);
    let with = |if_match: &str| {
        let command = PatchProfile {
            profile: &profile,
            body: br#"{"Score": 2}"#,
            valid_until: None,
            caller: None,
            if_match: Some(if_match),
        };
        patch_profile(&instance.stored, &instance.tenant, clock, &command).map(|p| p.profile)
    };
    assert_eq!(
        with(&before).expect_err("stale").code,
        ErrorCode::ETagMismatch
    );
    assert!(with(&one).is_ok() && with("*").is_ok());
}

#[test]
fn the_source_alone_can_be_read_with_what_lies_over_it() {
    let mut instance = Instance::with_profiles(&["a"]);
    instance
        .patch("a", r#"{"City": "x", "Score": 1}"#, None)
        .expect("accepted");
    let read = profile(&instance.stored, &instance.tenant, instance.clock, &id("a"));
    let merged = read.expect("reads").expect("exists");
    let etag = merged.etag();
    let over: Vec<_> = merged
        .fields()
        .filter_map(|(ordinal, shown, origin)| match origin {
            FieldOrigin::Source => None,
            FieldOrigin::Realtime { source, .. } => Some((ordinal, shown, source)),
        })
        .collect();
    assert_eq!(over, [(1, "\"x\"", "\"source 1\""), (2, "1", "null")]);
    assert_eq!(merged.overridden(), 2);
    let source = merged.clone().without_overrides();
    assert_eq!((source.json(1), source.overridden()), ("\"source 1\"", 0));
    assert!(
        source
            .fields()
            .all(|(.., origin)| origin == FieldOrigin::Source)
    );
    assert_ne!(source.etag(), etag);
}

#[test]
fn a_name_given_twice_hides_no_other_bad_field() {
    let mut instance = Instance::with_profiles(&["a"]);
    let body = r#"{"Nope": 1, "City": "x", "CITY": "y", "Score": "1", "city": 5}"#;
    let error = instance.patch("a", body, Some(0)).expect_err("refused");
    let mut found: Vec<_> = error
        .details
        .iter()
        .map(|d| (d.target.as_str(), d.error_code))
        .collect();
    found.sort_by_key(|(target, _)| *target);
    assert_eq!(
        found,
        [
            ("CITY", ErrorCode::DuplicateField),
            ("Nope", ErrorCode::UnknownField),
            ("Score", ErrorCode::InvalidField),
            ("city", ErrorCode::DuplicateField),
            ("validUntil", ErrorCode::ValidUntilOutOfRange),
        ]
    );
}

#[test]
fn an_update_shows_in_the_next_read_or_is_refused() {
    let mut instance = Instance::with_profiles(&["a"]);
    let ahead = instance.clock.plus(Duration::from_secs(10));
    instance.tenant.open_refresh(ahead);
    let error = instance
        .patch("a", r#"{"City": "x"}"#, Some(10))
        .expect_err("would have ended before it was accepted");
    assert_eq!(error.code, ErrorCode::ValidUntilOutOfRange);
    instance
        .patch("a", r#"{"City": "x"}"#, Some(11))
        .expect("accepted");
    assert_eq!(instance.city("a").as_deref(), Some("\"x\""));
}

#[test]
fn updates_that_lie_over_each_other_are_bounded() {
    let mut instance = Instance::with_profiles(&["a"]);
    let city = |instance: &mut Instance, ttl| instance.patch("a", r#"{"City": "x"}"#, Some(ttl));
    for layer in 0..64 {
        city(&mut instance, 1000 - layer).expect("each ends before the one under it");
    }
    let error = city(&mut instance, 900).expect_err("one too many");
    assert_eq!(error.code, ErrorCode::ValidUntilOutOfRange);
    assert_eq!(error.details[0].target, "City");
    city(&mut instance, 937).expect("takes the place of the one that ends with it");
    instance
        .patch("a", r#"{"Score": 1}"#, Some(900))
        .expect("another field has its own");
    instance.wait(937);
    city(&mut instance, 1).expect("some have expired");
}

#[test]
fn a_document_has_a_bounded_number_of_fields() {
    let mut instance = Instance::with_profiles(&["a"]);
    let body = |count: usize| {
        let members: Vec<_> = (0..count).map(|n| format!("\"f{n}\": 1")).collect();
        format!("{{{}}}", members.join(","))
    };
    let refused = |instance: &mut Instance, count| {
        let error = instance.patch("a", &body(count), None);
        error.expect_err("refused").details.len()
    };
    assert_eq!(
        refused(&mut instance, 4096),
        4096,
        "every bad field is listed"
    );
    assert_eq!(refused(&mut instance, 4097), 0);
    let long = format!("{{\"{}\": 1}}", "å".repeat(100_000));
    let error = instance.patch("a", &long, None).expect_err("unknown");
    assert!(error.details[0].target.chars().count() <= 101, "shortened");
}
