//! What one profile, and a collection of them, shows (rules 3.3, 5.1, 5.3, 5.4).

use std::time::Duration;

use sanntid_query::{Answer, ReadOptions};
use sanntid_types::{ErrorCode, ProfileId};

use crate::fixtures::person;
use crate::instance::{BASE, Instance, OPTIONS, id, ids};

const SOURCE: ReadOptions = ReadOptions {
    source_only: true,
    explain: false,
};
const EXPLAIN: ReadOptions = ReadOptions {
    source_only: false,
    explain: true,
};

fn entity(
    instance: &Instance,
    path: &str,
    options: &[(&str, &str)],
    own: ReadOptions,
) -> (String, String, ProfileId) {
    match instance.ask(path, options, own) {
        Ok(Answer::Entity { json, etag, id }) => {
            (json, etag.expect("an ETag"), id.expect("a profile"))
        }
        other => panic!("{path}: {other:?}"),
    }
}

fn text(instance: &Instance, options: &[(&str, &str)], own: ReadOptions) -> String {
    match instance.ask("Customer", options, own) {
        Ok(Answer::Collection { json }) => json,
        other => panic!("{options:?}: {other:?}"),
    }
}

#[test]
fn every_path_form_gives_the_same_profile_with_values_as_they_came() {
    let mut instance = Instance::new();
    instance.patch("a", r#"{"Income": 7.00, "City": "\u00c5s"}"#);
    let (expected, etag, _) = entity(&instance, "Customer('a')", &[], OPTIONS);
    let quoted = etag.replace('"', "\\\"");
    assert_eq!(
        expected,
        format!(
            concat!(
                r#"{{"@odata.context":"{}/$metadata#Customer/$entity","@odata.etag":"{}","#,
                r#""CustomerId":"a","City":"Ås","Age":30,"Income":7.00,"ShopId":"a1; a2","Value":1e3}}"#
            ),
            BASE, quoted
        )
    );
    for path in ["Customer/a", "customer('a')", "CUSTOMER(customerid='a')"] {
        let (json, other_etag, acted_on) = entity(&instance, path, &[], OPTIONS);
        assert_eq!(
            (json, other_etag),
            (expected.clone(), etag.clone()),
            "{path}"
        );
        assert_eq!(acted_on, id("a"));
    }
}

#[test]
fn selecting_restricts_fields_and_changes_no_etag() {
    let instance = Instance::new();
    let (_, etag, _) = entity(&instance, "Customer('a')", &[], OPTIONS);
    for option in ["$select", "select", "SELECT"] {
        let (json, same, _) = entity(
            &instance,
            "Customer('a')",
            &[(option, "age, CITY")],
            OPTIONS,
        );
        assert!(json.ends_with(r#","City":"Oslo","Age":30}"#), "{json}");
        assert_eq!(same, etag);
    }
    let json = text(&instance, &[("$select", "Age"), ("$top", "1")], OPTIONS);
    assert!(json.contains(r#""value":[{"Age":30}]"#), "{json}");
}

#[test]
fn the_etag_is_that_of_the_values_shown() {
    let mut instance = Instance::new();
    let etag = |instance: &Instance, own| entity(instance, "Customer('a')", &[], own).1;
    let before = etag(&instance, OPTIONS);
    instance.patch("a", r#"{"Income": 12.5}"#);
    assert_eq!(
        etag(&instance, OPTIONS),
        before,
        "the same value otherwise spelled"
    );
    instance.patch("a", r#"{"Income": 13}"#);
    assert_ne!(etag(&instance, OPTIONS), before);
    assert_eq!(etag(&instance, SOURCE), before);
}

#[test]
fn overrides_show_until_they_end_and_the_source_view_never_shows_them() {
    let mut instance = Instance::new();
    let until = instance.clock.plus(Duration::from_secs(60));
    instance.patch_until("a", r#"{"City": "Moss", "Age": null}"#, Some(until), None);
    let select = [("$select", "City,Age")];
    let shown = |instance: &Instance, own| {
        let (json, ..) = entity(instance, "Customer('a')", &select, own);
        json.split_once(r#"","City":"#).expect("City").1.to_owned()
    };
    assert_eq!(shown(&instance, OPTIONS), r#""Moss","Age":null}"#);
    assert_eq!(shown(&instance, SOURCE), r#""Oslo","Age":30}"#);
    instance.clock = until;
    assert_eq!(shown(&instance, OPTIONS), r#""Oslo","Age":30}"#);
}

#[test]
fn explaining_stands_behind_each_overridden_and_selected_field() {
    let mut instance = Instance::new();
    let until = instance.clock.plus(Duration::from_secs(60));
    instance.patch_until(
        "a",
        r#"{"City": "Moss", "Age": 1}"#,
        Some(until),
        Some("crm"),
    );
    instance.patch_until("a", r#"{"Income": 1}"#, Some(until), None);
    let options = [("$select", "CustomerId,City,Income")];
    let (json, ..) = entity(&instance, "Customer('a')", &options, EXPLAIN);
    let (from, to) = (instance.clock, until);
    let expected = format!(
        concat!(
            r#""CustomerId":"a","City":"Moss","City@sanntid.realtime":{{"sourceValue":"Oslo","#,
            r#""acceptedAt":"{}","validUntil":"{}","caller":"crm","position":1}},"#,
            r#""Income":1,"Income@sanntid.realtime":{{"sourceValue":12.50,"acceptedAt":"{}","#,
            r#""validUntil":"{}","position":2}}}}"#
        ),
        from, to, from, to
    );
    assert!(json.ends_with(&expected), "{json}\n{expected}");
    let json = text(&instance, &options, EXPLAIN);
    assert!(json.contains(&expected), "{json}");
    let (json, ..) = entity(
        &instance,
        "Customer('a')",
        &options,
        ReadOptions {
            source_only: true,
            ..EXPLAIN
        },
    );
    assert!(!json.contains("sanntid"), "{json}");
}

#[test]
fn filters_and_orders_see_what_is_shown() {
    let mut instance = Instance::new();
    instance.patch("a", r#"{"City": "Moss"}"#);
    instance.patch("c", r#"{"Age": 99}"#);
    let filtered = |own, filter| {
        let json = text(&instance, &[("$filter", filter)], own);
        ids(&serde_json::from_str(&json).expect("JSON"))
    };
    assert_eq!(filtered(OPTIONS, "City eq 'Moss'"), ["a"]);
    assert!(filtered(OPTIONS, "City eq 'Oslo'").is_empty());
    assert_eq!(filtered(SOURCE, "City eq 'Oslo'"), ["a"]);
    assert!(filtered(SOURCE, "City eq 'Moss'").is_empty());
    let ordered = |own| {
        let json = text(&instance, &[("$orderby", "Age desc")], own);
        ids(&serde_json::from_str(&json).expect("JSON"))
    };
    assert_eq!(ordered(OPTIONS), ["c", "b", "a"]);
    assert_eq!(ordered(SOURCE), ["b", "a", "c"]);
}

#[test]
fn collections_have_context_count_and_rows_without_etag() {
    let instance = Instance::new();
    let options = [("$count", "true"), ("$top", "1"), ("$select", "City")];
    let json = text(&instance, &options, OPTIONS);
    let start = format!(
        r#"{{"@odata.context":"{BASE}/$metadata#Customer","@odata.count":3,"value":[{{"City":"Oslo"}}]"#
    );
    assert_eq!(json, start + "}");
    assert!(!text(&instance, &[], OPTIONS).contains("etag"));
    assert!(!text(&instance, &[("$count", "false")], OPTIONS).contains("count"));
}

#[test]
fn a_moved_id_is_followed_by_key_and_matches_nothing_in_a_filter() {
    let mut instance = Instance::new();
    instance.patch("a", r#"{"City": "Moss"}"#);
    let profiles = [person("b", Some("Bergen"), Some(40))];
    instance.tenant.settings.refresh_clears = sanntid_types::RefreshClears::Never;
    instance.refresh(&profiles, &[("a", "b"), ("z", "gone")], &[]);
    let (json, _, acted_on) = entity(&instance, "Customer('a')", &[], OPTIONS);
    assert_eq!(acted_on, id("b"));
    assert!(json.contains(r#""CustomerId":"b","City":"Moss""#), "{json}");
    for filter in ["CustomerId eq 'a'", "CustomerId in ('a', 'z')"] {
        assert!(
            instance
                .all_ids("Customer", &[("$filter", filter)])
                .is_empty()
        );
    }
    let error = instance.refusal("Customer('z')", &[]);
    assert_eq!(error.code, ErrorCode::ProfileNotFound);
}

#[test]
fn before_the_first_snapshot_collections_are_empty_and_no_profile_exists() {
    let instance = Instance::empty();
    for path in ["Customer", "UnifiedActivity"] {
        for options in [
            &[][..],
            &[("$filter", "CustomerId eq 'a'"), ("$top", "5")],
            &[("$orderby", "CustomerId desc"), ("$skip", "3")],
        ] {
            let page = instance.collection(path, options);
            assert_eq!(page["value"], serde_json::json!([]), "{path}");
            assert_eq!(page.get("@odata.nextLink"), None);
            assert_eq!(page.get("@odata.count"), None);
        }
        let page = instance.collection(path, &[("$count", "true")]);
        assert_eq!(page["@odata.count"], 0);
    }
    let code = |path| instance.refusal(path, &[]).code;
    assert_eq!(code("Customer('a')"), ErrorCode::ProfileNotFound);
    assert_eq!(code("UnifiedActivity('a')"), ErrorCode::ActivityNotFound);
}

#[test]
fn keys_with_any_characters_are_found() {
    let mut instance = Instance::empty();
    let long = "å".repeat(100);
    let odd = ["O'Hara", "a/b?c&d=e", "(x)", "%41", "a b+c", long.as_str()];
    let profiles: Vec<_> = odd.iter().map(|id| person(id, None, None)).collect();
    instance.refresh(&profiles, &[], &[]);
    for key in odd {
        let quoted = key.replace('\'', "''");
        let (_, _, found) = entity(&instance, &format!("Customer('{quoted}')"), &[], OPTIONS);
        assert_eq!(found, id(key));
        let filter = format!("CustomerId eq '{quoted}'");
        assert_eq!(instance.all_ids("Customer", &[("$filter", &filter)]), [key]);
    }
    assert_eq!(instance.all_ids("Customer", &[("$top", "4")]).len(), 4);
}

#[test]
fn a_query_within_the_path_counts() {
    let instance = Instance::new();
    let page = instance.collection("Customer?$filter=City eq 'Oslo'&$count=true", &[]);
    assert_eq!(
        (ids(&page), &page["@odata.count"]),
        (vec!["a".to_owned()], &1.into())
    );
}
