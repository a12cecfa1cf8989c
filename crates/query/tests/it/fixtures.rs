//! What the tests load and send: profiles, orders and visits, with their schemas.

use std::sync::Arc;

use sanntid_types::{
    ActivityConfig, AlternateKey, Attribute, AttributeRole, EdmType, EntityName, EntitySchema,
    EntityType, Instant, Literal, Relationship, Row, RowBuilder,
};

pub(crate) const ORDERS: &str = "Shop_Orders";

/// A profile as a source brings it: values of `Customer` as JSON, `null` where left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Profile {
    pub(crate) id: String,
    pub(crate) city: Option<String>,
    pub(crate) age: Option<i32>,
    pub(crate) keys: String,
}

pub(crate) fn name(text: &str) -> EntityName {
    EntityName::parse(text).expect("name")
}

/// A profile with the alternate keys `{id}1` and `{id}2`.
pub(crate) fn person(id: &str, city: Option<&str>, age: Option<i32>) -> Profile {
    Profile {
        id: id.to_owned(),
        city: city.map(str::to_owned),
        age,
        keys: format!("{id}1; {id}2"),
    }
}

pub(crate) fn customer_schema() -> Arc<EntitySchema> {
    let shop = AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    };
    let role = |name, edm, role| Attribute {
        role,
        ..Attribute::plain(name, edm)
    };
    Arc::new(EntitySchema {
        name: name("Customer"),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes: vec![
            role("CustomerId", EdmType::String, AttributeRole::Key),
            Attribute::plain("City", EdmType::String),
            Attribute::plain("Age", EdmType::Int32),
            Attribute::plain("Income", EdmType::Decimal),
            role("ShopId", EdmType::String, AttributeRole::AlternateKey(shop)),
            role("Value", EdmType::Double, AttributeRole::Computed),
        ],
        key: Some(0),
    })
}

pub(crate) fn orders_schema() -> Arc<EntitySchema> {
    Arc::new(EntitySchema {
        name: name(ORDERS),
        friendly_name: None,
        entity_type: EntityType::Activity,
        attributes: vec![
            Attribute {
                role: AttributeRole::Key,
                ..Attribute::plain("OrderId", EdmType::String)
            },
            Attribute::plain("At", EdmType::DateTimeOffset),
            Attribute::plain("Subject", EdmType::String),
            Attribute::plain("ContactId", EdmType::String),
        ],
        key: Some(0),
    })
}

pub(crate) fn orders_config() -> ActivityConfig {
    ActivityConfig {
        entity_name: name(ORDERS),
        primary_key: "OrderId".to_owned(),
        timestamp: "At".to_owned(),
        title: "Subject".to_owned(),
        description: None,
        url: None,
        activity_type: "SalesOrder".to_owned(),
        activity_name: Some("Order".to_owned()),
        show_in_timeline: true,
        icon: None,
        relationship: Relationship {
            foreign_key: "ContactId".to_owned(),
            to_entity: "Shop_Contacts".to_owned(),
        },
        semantic_fields: [("Order".to_owned(), "OrderId".to_owned())].into(),
    }
}

/// A row of `Shop_Orders`; its activity has the id `Shop_Orders:{order}`.
pub(crate) fn order(order: &str, time: Instant, key: &str) -> Row {
    let mut row = RowBuilder::default();
    for text in [order, &time.to_string(), &format!("bought {order}"), key] {
        row.push(&Literal::text(text));
    }
    row.finish()
}

/// A document of the unified format.
pub(crate) fn visit(id: &str, customer: &str, time: &str) -> String {
    format!(
        r#"{{"ActivityId": "{id}", "CustomerId": "{customer}", "ActivityType": "Visit", "ActivityTime": "{time}"}}"#
    )
}
