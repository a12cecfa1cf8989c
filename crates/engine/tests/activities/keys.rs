//! Key rings and counts of one profile.

use sanntid_engine::{ActivityTypeCount, KeyRing, activity_counts, key_members, key_ring};
use sanntid_types::{Error, ErrorCode};

use crate::instance::{Instance, ORDERS, id, order, unified};

fn ring(
    instance: &Instance,
    source: &str,
    entity: &str,
    key: &str,
) -> Result<Option<KeyRing>, Error> {
    key_ring(&instance.stored, &instance.tenant, source, entity, key)
}

#[test]
fn a_column_is_split_into_its_keys() {
    for (json, members) in [
        ("null", &[][..]),
        ("\"\"", &[]),
        ("\" ; ;\"", &[]),
        ("\"a\"", &["a"]),
        ("\" a b ;c;a b;\"", &["a b", "c"]),
        ("\"\\u00e5;\\\"\"", &["å", "\""]),
        ("12", &["12"]),
    ] {
        assert_eq!(key_members(json), members, "{json}");
    }
}

#[test]
fn any_key_finds_all_keys_of_its_profile() {
    let instance = Instance::new();
    for (source, entity, key) in [
        ("Shop", "Contacts", "k1"),
        ("SHOP", "contacts", "k2"),
        ("Shop", "Contacts", " k2 "),
    ] {
        let ring = ring(&instance, source, entity, key)
            .expect("reads")
            .expect(key);
        assert_eq!(ring.customer, id("a"));
        let [entry] = ring.entries.as_slice() else {
            panic!("one source customer entity")
        };
        assert_eq!(entry.data_source_name, "Shop");
        assert_eq!(entry.entity_name, "Contacts");
        assert_eq!(entry.preferred_key.as_deref(), Some("k1"));
        assert_eq!(entry.keys, ["k1", "k2"]);
    }
    for absent in ["k9", "K1", ""] {
        assert_eq!(ring(&instance, "Shop", "Contacts", absent), Ok(None));
    }
    let before = Instance::empty();
    assert_eq!(ring(&before, "Shop", "Contacts", "k1"), Ok(None));
}

#[test]
fn an_unknown_source_is_refused_with_the_known_ones() {
    let instance = Instance::new();
    for (source, entity) in [("Shop", "Orders"), ("Web", "Contacts"), ("", "")] {
        let error = ring(&instance, source, entity, "k1").expect_err("unknown");
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert!(error.message.contains("Contacts of Shop"), "{error}");
    }
}

#[test]
fn visible_activities_are_counted_by_type_then_display_name() {
    let mut instance = Instance::new();
    let rows = [
        order(1, "11/01/2026", "x", "k1"),
        order(2, "11/02/2026", "y", "k3"),
    ];
    instance.refresh(&[("a", "k1;k2"), ("b", "k3")], &[], &rows);
    let posted = r#"{"OrderId": 3, "PurchasedOn": "2026-11-03", "ContactId": "k2"}"#;
    instance.post(ORDERS, posted).expect("stored");
    for second in 0..2 {
        let visit = unified(&format!("v{second}"), "a", second);
        instance.post("UnifiedActivity", &visit).expect("stored");
    }
    let named = unified("w", "a", 5).replace('}', ", \"ActivityTypeDisplay\": \"At the shop\"}");
    instance.post("UnifiedActivity", &named).expect("stored");
    let short = unified("gone", "a", 6);
    let hold = sanntid_engine::OnUnknownCustomer::Reject;
    instance
        .post_with("UnifiedActivity", &short, Some(1), hold)
        .expect("stored");
    instance.wait(1);

    let counted = |instance: &Instance| {
        activity_counts(&instance.stored, &instance.tenant, instance.clock, &id("a"))
            .expect("reads")
    };
    let count = |activity_type: &str, display: Option<&str>, count| ActivityTypeCount {
        activity_type: activity_type.to_owned(),
        activity_type_display: display.map(str::to_owned),
        count,
    };
    let visits = [
        count("Visit", None, 2),
        count("Visit", Some("At the shop"), 1),
    ];
    let orders = count("SalesOrder", Some("Online purchase"), 2);
    let all = [vec![orders], visits.to_vec()].concat();
    assert_eq!(counted(&instance), all);
    instance.tenant.activities[0].show_in_timeline = false;
    assert_eq!(counted(&instance), visits, "hidden ones do not count");
}
