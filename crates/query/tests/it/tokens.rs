//! Next links: absolute, complete, and good for their own query alone.

use sanntid_types::ErrorCode::InvalidArgument;

use crate::instance::{BASE, Instance, ids, link_parts, next_of, pairs};

fn paged() -> Instance {
    let mut instance = Instance::new();
    instance.limits.page_rows_default = 1;
    instance
}

fn token(instance: &Instance, options: &[(&str, &str)]) -> String {
    let next = next_of(&instance.collection("Customer", options)).expect("more");
    let (_, options) = link_parts(&next);
    let (_, token) = options.last().expect("a token").clone();
    token
}

#[test]
fn a_next_link_repeats_the_request_without_skip() {
    let instance = paged();
    let options = [
        ("$filter", "City ne 'R&B + Å'"),
        ("skip", "1"),
        ("orderBy", "Age desc"),
        ("$count", "true"),
    ];
    let page = instance.collection("customer", &options);
    assert_eq!(ids(&page), ["a"]);
    let next = next_of(&page).expect("more");
    let start = "/Customer?$filter=City%20ne%20'R%26B%20%2B%20%C3%85'&orderBy=Age%20desc\
                 &$count=true&$skiptoken=";
    assert!(next.starts_with(&format!("{BASE}{start}")), "{next}");
    let page = instance.follow(&next);
    assert_eq!(
        (ids(&page), &page["@odata.count"]),
        (vec!["c".to_owned()], &3.into())
    );
    assert_eq!(next_of(&page), None);
}

#[test]
fn a_next_link_keeps_our_own_options() {
    let mut instance = paged();
    instance.patch("b", r#"{"City": "Moss"}"#);
    for (source_only, explain) in [(true, false), (false, true), (true, true)] {
        let own = sanntid_query::ReadOptions {
            source_only,
            explain,
        };
        let Ok(sanntid_query::Answer::Collection { json }) = instance.ask("Customer", &[], own)
        else {
            panic!("a collection")
        };
        let page = serde_json::from_str(&json).expect("JSON");
        let page = instance.follow(&next_of(&page).expect("more"));
        let row = &page["value"][0];
        assert_eq!(row["City"] == "Bergen", source_only, "{row}");
        let explained = row.get("City@sanntid.realtime").is_some();
        assert_eq!(explained, explain && !source_only, "{row}");
    }
}

#[test]
fn a_token_is_refused_by_any_other_query() {
    let mut instance = paged();
    instance.limits.page_rows_max = 1;
    let base = [("$filter", "Age ne 1"), ("$orderby", "City"), ("$top", "3")];
    let token = token(&instance, &base);
    let with = |options: &[(&str, &str)]| {
        let mut options = options.to_vec();
        options.push(("$skiptoken", &token));
        instance.ask("Customer", &options, crate::instance::OPTIONS)
    };
    assert!(with(&base).is_ok());
    for other in [
        &[("$filter", "Age ne 2"), base[1], base[2]][..],
        &[base[0], ("$orderby", "City desc"), base[2]],
        &[base[0], ("$orderby", "Age"), base[2]],
        &[base[0], base[1], ("$top", "2")],
        &[base[0], base[1]],
        &[base[0], base[1], base[2], ("$select", "City")],
    ] {
        let error = with(other).expect_err("foreign");
        assert_eq!(error.code, InvalidArgument, "{other:?}");
        assert_eq!(error.target.as_deref(), Some("$skiptoken"), "{other:?}");
    }
    for bad in ["x", "", "AAAA", &token[1..], &format!("{token}A")] {
        let options = [base[0], base[1], base[2], ("$skiptoken", bad)];
        let error = instance.refusal("Customer", &options);
        assert_eq!(error.target.as_deref(), Some("$skiptoken"), "{bad}");
    }
    let both = [
        base[0],
        base[1],
        base[2],
        ("$skip", "1"),
        ("$skiptoken", &token),
    ];
    assert_eq!(
        instance.refusal("Customer", &both).target.as_deref(),
        Some("$skip")
    );
}

#[test]
fn a_token_is_refused_by_another_view_entity_and_instance() {
    let mut instance = paged();
    let token = token(&instance, &[]);
    let given = pairs(&[("$skiptoken", &token)]);
    let options: Vec<_> = given
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert!(
        instance
            .ask("Customer", &options, crate::instance::OPTIONS)
            .is_ok()
    );
    let source = sanntid_query::ReadOptions {
        source_only: true,
        explain: false,
    };
    assert!(instance.ask("Customer", &options, source).is_err());
    assert!(
        instance
            .ask("UnifiedActivity", &options, crate::instance::OPTIONS)
            .is_err()
    );
    instance.tenant.instance =
        sanntid_types::InstanceId::parse("00000000-0000-0000-0000-000000000002").expect("uuid");
    assert!(
        instance
            .ask("Customer", &options, crate::instance::OPTIONS)
            .is_err()
    );
}

#[test]
fn sort_values_too_long_for_a_link_are_refused_only_where_a_page_follows() {
    let mut instance = paged();
    let long = "x".repeat(7000);
    for id in ["a", "b", "c"] {
        instance.patch(id, &format!(r#"{{"City": "{long}"}}"#));
    }
    let error = instance.refusal("Customer", &[("$orderby", "City")]);
    assert_eq!(error.target.as_deref(), Some("$orderby"));
    instance.limits.page_rows_default = 3;
    assert_eq!(
        instance.all_ids("Customer", &[("$orderby", "City")]),
        ["a", "b", "c"]
    );
    instance.limits.page_rows_default = 1;
    assert_eq!(instance.all_ids("Customer", &[]), ["a", "b", "c"]);
}
