//! The instance's entities, and how rows and documents of them are spelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use sanntid_types::{
    ActivityConfig, AlternateKey, Attribute, AttributeRole, EdmType, EntityName, EntitySchema,
    EntityType, Literal, Relationship, Row, RowBuilder,
};

use crate::steps::{Document, Order, Orders, Score, day};

pub(crate) const IDS: [&str; 4] = ["a", "b", "c", "d"];
pub(crate) const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];
pub(crate) const ORDERS: &str = "Shop_Orders";

pub(crate) fn config(orders: Orders) -> Vec<ActivityConfig> {
    let text = str::to_owned;
    let config = ActivityConfig {
        entity_name: EntityName::parse(ORDERS).expect("name"),
        primary_key: text("ORDERID"),
        timestamp: text("orderedOn"),
        title: text("OrderId"),
        description: None,
        url: None,
        activity_type: text("SalesOrder"),
        activity_name: None,
        show_in_timeline: orders == Orders::Shown,
        icon: None,
        relationship: Relationship {
            foreign_key: text("ContactId"),
            to_entity: text("shop_contacts"),
        },
        semantic_fields: BTreeMap::new(),
    };
    match orders {
        Orders::Shown | Orders::Hidden => vec![config],
        Orders::Unconfigured => Vec::new(),
    }
}

fn schema(name: &str, entity_type: EntityType, attributes: Vec<Attribute>) -> Arc<EntitySchema> {
    Arc::new(EntitySchema {
        name: EntityName::parse(name).expect("name"),
        friendly_name: None,
        entity_type,
        attributes,
        key: Some(0),
    })
}

fn role(name: &str, data_type: EdmType, role: AttributeRole) -> Attribute {
    Attribute {
        role,
        ..Attribute::plain(name, data_type)
    }
}

pub(crate) fn customer_schema(score: Score) -> Arc<EntitySchema> {
    let contacts = AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    };
    let mut attributes = vec![
        role("CustomerId", EdmType::String, AttributeRole::Key),
        Attribute::plain("City", EdmType::String),
        role(
            "ContactId",
            EdmType::String,
            AttributeRole::AlternateKey(contacts),
        ),
    ];
    attributes.extend(match score {
        Score::Number => Some(Attribute::plain("Score", EdmType::Int64)),
        Score::Text => Some(Attribute::plain("Score", EdmType::String)),
        Score::Computed => Some(role("Score", EdmType::Int64, AttributeRole::Computed)),
        Score::Gone => None,
    });
    schema("Customer", EntityType::Profile, attributes)
}

pub(crate) fn orders_schema() -> Arc<EntitySchema> {
    let attributes = vec![
        role("OrderId", EdmType::Int64, AttributeRole::Key),
        Attribute::plain("OrderedOn", EdmType::Date),
        Attribute::plain("ContactId", EdmType::String),
    ];
    schema(ORDERS, EntityType::Activity, attributes)
}

pub(crate) fn row(schema: &EntitySchema, texts: &[&str]) -> Row {
    let mut row = RowBuilder::default();
    for (attribute, text) in schema.attributes.iter().zip(texts) {
        row.push(&Literal::from_text(attribute.data_type, None, text).expect(text));
    }
    row.finish()
}

pub(crate) fn order_row(order: &Order) -> Row {
    let date = &day(order.day).to_string()[..10];
    let texts = [&order.number.to_string(), date, KEYS[order.key]];
    row(&orders_schema(), &texts)
}

/// The entity that a document is posted to, and its body.
pub(crate) fn spelled(document: &Document) -> (&'static str, String) {
    let time = document.time();
    match document {
        Document::Visit { id, customer, .. } => {
            let id = id
                .map(|id| format!("\"ActivityId\": \"v{id}\", "))
                .unwrap_or_default();
            let customer = IDS[*customer];
            let body = format!(
                "{{{id}\"CustomerId\": \"{customer}\", \"ActivityTime\": \"{time}\", \
                 \"ActivityType\": \"Visit\"}}"
            );
            ("UnifiedActivity", body)
        }
        Document::Named {
            number, customer, ..
        } => {
            let (customer, kind) = (IDS[*customer], document.kind());
            let body = format!(
                "{{\"EntityName\": \"{ORDERS}\", \"ActualActivityId\": \"{number}\", \
                 \"CustomerId\": \"{customer}\", \"ActivityTime\": \"{time}\", \
                 \"ActivityType\": \"{kind}\"}}"
            );
            ("unifiedactivity", body)
        }
        Document::Row(order) => {
            let (number, key) = (order.number, KEYS[order.key]);
            let date = &time.to_string()[..10];
            let body = format!(
                "{{\"OrderId\": {number}, \"OrderedOn\": \"{date}\", \"ContactId\": \"{key}\"}}"
            );
            ("SHOP_ORDERS", body)
        }
    }
}
