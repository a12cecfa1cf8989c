//! Activity configurations: what is accepted, how it is stored, and what must be made anew for it.

use std::sync::Arc;

use sanntid_engine::{check_activities, is_pending, needs_reprojection};
use sanntid_types::{ActivityConfig, Attribute, EdmType, EntityType, Error, ErrorCode};

use crate::instance::{Instance, ORDERS, name, orders_config};

fn with(change: impl FnOnce(&mut ActivityConfig)) -> ActivityConfig {
    let mut config = ActivityConfig {
        relationship: sanntid_types::Relationship {
            foreign_key: "ContactId".to_owned(),
            to_entity: "Shop_Contacts".to_owned(),
        },
        ..orders_config()
    };
    change(&mut config);
    config
}

fn targets(error: &Error) -> Vec<&str> {
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    let details = error.details.iter();
    details.map(|detail| detail.target.as_str()).collect()
}

#[test]
fn names_are_stored_as_they_are_declared() {
    let instance = Instance::new();
    let given = with(|config| {
        config.entity_name = name("SHOP_orders");
        config.primary_key = "orderid".to_owned();
        config.timestamp = "PURCHASEDON".to_owned();
        config.title = "subject".to_owned();
        config.description = Some("PRODUCT".to_owned());
        config.url = Some("product".to_owned());
        config.relationship.foreign_key = "contactid".to_owned();
        config.relationship.to_entity = "SHOP_CONTACTS".to_owned();
        config.semantic_fields = [("amount".to_owned(), "TOTAL".to_owned())].into();
    });
    let stored = with(|config| {
        config.url = Some("Product".to_owned());
        config.semantic_fields = [("amount".to_owned(), "Total".to_owned())].into();
    });
    assert_eq!(
        check_activities(&instance.tenant, vec![given]),
        Ok(vec![stored])
    );
}

#[test]
fn every_problem_is_listed_with_its_place() {
    let instance = Instance::new();
    let fine = with(|_| {});
    let bad = with(|config| {
        config.entity_name = name("shop_ORDERS");
        config.primary_key = "Nope".to_owned();
        config.timestamp = "Total".to_owned();
        config.title = " ".to_owned();
        config.description = Some(String::new());
        config.url = Some("Nope".to_owned());
        config.activity_type = String::new();
        config.activity_name = Some("\n".to_owned());
        config.icon = Some("a\u{7}".to_owned());
        config.relationship.foreign_key = "Nope".to_owned();
        config.relationship.to_entity = "Shop_Nobody".to_owned();
        config.semantic_fields = [("Field", "Nope"), ("", "Total")]
            .map(|(field, column)| (field.to_owned(), column.to_owned()))
            .into();
    });
    let error = check_activities(&instance.tenant, vec![fine, bad]).expect_err("refused");
    let mut found = targets(&error);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "[1].activityName",
            "[1].activityType",
            "[1].description",
            "[1].entityName",
            "[1].icon",
            "[1].primaryKey",
            "[1].relationship.foreignKey",
            "[1].relationship.toEntity",
            "[1].semanticFields",
            "[1].semanticFields.Field",
            "[1].timestamp",
            "[1].title",
            "[1].url",
        ]
    );
    let known = error
        .details
        .iter()
        .any(|d| d.message.contains("Shop_Contacts"));
    assert!(known, "the alternate keys that there are are named");
}

#[test]
fn customers_unified_activities_and_other_kinds_of_entities_are_no_sources() {
    let mut instance = Instance::new();
    let kpi = instance.tenant.entities.last_mut().expect("orders");
    Arc::make_mut(&mut kpi.schema).entity_type = EntityType::ProfileKpi;
    for entity in ["customer", "UNIFIEDactivity", ORDERS] {
        let config = with(|config| config.entity_name = name(entity));
        let error = check_activities(&instance.tenant, vec![config]).expect_err(entity);
        assert!(targets(&error).contains(&"[0].entityName"), "{entity}");
    }
}

#[test]
fn a_timestamp_is_a_time_a_date_or_a_text() {
    for data_type in EdmType::ALL {
        let mut instance = Instance::new();
        let orders = instance.tenant.entities.last_mut().expect("orders");
        Arc::make_mut(&mut orders.schema).attributes[1] =
            Attribute::plain("PurchasedOn", data_type);
        let fits = matches!(
            data_type,
            EdmType::Date | EdmType::DateTimeOffset | EdmType::String
        );
        let checked = check_activities(&instance.tenant, vec![with(|_| {})]);
        assert_eq!(checked.is_ok(), fits, "{data_type:?}");
        if let Err(error) = checked {
            assert_eq!(targets(&error), ["[0].timestamp"]);
        }
    }
}

#[test]
fn what_no_snapshot_has_brought_is_accepted_unseen_but_not_empty() {
    let (empty, loaded) = (Instance::empty(), Instance::new());
    let ahead = with(|config| {
        config.entity_name = name("Shop_Returns");
        config.timestamp = "Whenever".to_owned();
        config.relationship.to_entity = "Web_Visitors".to_owned();
    });
    let checked = check_activities(&empty.tenant, vec![ahead.clone()]).expect("unseen");
    assert_eq!(checked, std::slice::from_ref(&ahead));
    assert!(is_pending(&empty.tenant, &ahead) && is_pending(&loaded.tenant, &ahead));
    assert!(!is_pending(&loaded.tenant, &with(|_| {})));

    let error = check_activities(&loaded.tenant, vec![ahead.clone()]).expect_err("no such key");
    assert_eq!(targets(&error), ["[0].relationship.toEntity"]);
    let blank = ActivityConfig {
        timestamp: String::new(),
        ..ahead
    };
    let error = check_activities(&empty.tenant, vec![blank]).expect_err("empty");
    assert_eq!(targets(&error), ["[0].timestamp"]);
}

#[test]
fn limits_are_exact() {
    let empty = Instance::empty();
    let accepts = |configs: Vec<ActivityConfig>| check_activities(&empty.tenant, configs).is_ok();
    let sources = |count: usize| {
        let named = |number| with(|config| config.entity_name = name(&format!("E{number}")));
        (0..count).map(named).collect::<Vec<_>>()
    };
    assert!(accepts(sources(100)) && !accepts(sources(101)));
    let fields = |count: usize| {
        let fields = (0..count).map(|number| (format!("F{number}"), "Total".to_owned()));
        vec![with(|config| config.semantic_fields = fields.collect())]
    };
    assert!(accepts(fields(100)) && !accepts(fields(101)));
    let column = |length| vec![with(|config| config.title = "å".repeat(length))];
    assert!(accepts(column(100)) && !accepts(column(101)));
    let text = |length| vec![with(|config| config.activity_type = "å".repeat(length))];
    assert!(accepts(text(4000)) && !accepts(text(4001)));
    let field = |length| {
        let field = ("f".repeat(length), "Total".to_owned());
        vec![with(|config| config.semantic_fields = [field].into())]
    };
    assert!(accepts(field(100)) && !accepts(field(101)));
}

#[test]
fn loaded_rows_are_made_anew_for_what_changes_their_activities() {
    let mut instance = Instance::new();
    let made_with = instance.tenant.projected_with.clone();
    let change = |change: fn(&mut ActivityConfig)| {
        let mut configs = made_with.clone();
        configs.iter_mut().for_each(change);
        configs
    };
    let other = with(|config| config.entity_name = name("Shop_Returns"));
    let added = [made_with.clone(), vec![other]].concat();
    let changes: [(&str, bool, Vec<ActivityConfig>); 10] = [
        ("nothing", false, made_with.clone()),
        ("hidden", false, change(|c| c.show_in_timeline = false)),
        ("icon", false, change(|c| c.icon = Some("cart".to_owned()))),
        ("case", false, change(|c| c.title = "subject".to_owned())),
        ("pending source", false, added),
        ("title", true, change(|c| c.title = "Product".to_owned())),
        (
            "type",
            true,
            change(|c| c.activity_type = "salesorder".to_owned()),
        ),
        ("name", true, change(|c| c.activity_name = None)),
        ("semantic", true, change(|c| c.semantic_fields.clear())),
        ("removed", true, Vec::new()),
    ];
    for (what, _, configs) in &changes {
        let needed = needs_reprojection(&instance.tenant, configs);
        assert!(!needed, "without rows nothing is made anew: {what}");
    }
    instance.tenant.entities.last_mut().expect("orders").rows = 1;
    for (what, expected, configs) in &changes {
        let needed = needs_reprojection(&instance.tenant, configs);
        assert_eq!(needed, *expected, "{what}");
    }
    instance.tenant.projected_with.clear();
    assert!(needs_reprojection(&instance.tenant, &made_with), "added");
}
