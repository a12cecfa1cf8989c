//! Owns how the made-up source describes itself: its snapshot's manifest, its activities.

use sanntid_types::{Instant, Manifest};
use serde_json::{Value, json};

use super::people::{ORDERS_ENTITY, REVIEWS_ENTITY};

/// Describes the snapshot's entities.
pub(crate) fn manifest(as_of: Instant) -> Manifest {
    let attribute =
        |name: &str, kind: &str| json!({"name": name, "dataType": format!("Edm.{kind}")});
    let alternate = |name: &str, source: &str, entity: &str| {
        json!({"name": name, "dataType": "Edm.String",
            "alternateKey": {"dataSourceName": source, "entityName": entity}})
    };
    let texts = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| attribute(name, "String")).collect()
    };
    let mut customer = texts(&[
        "CustomerId",
        "FullName",
        "FirstName",
        "LastName",
        "Email",
        "City",
        "Occupation",
        "LoyaltyTier",
    ]);
    customer.extend([
        attribute("DateOfBirth", "Date"),
        attribute("Income", "Double"),
        attribute("RewardPoints", "Int64"),
        json!({"name": "LifetimeValue", "dataType": "Edm.Double", "computed": true}),
        alternate("Ecommerce_Contacts_ContactId", "Ecommerce", "Contacts"),
        alternate("Loyalty_Customers_LoyaltyId", "Loyalty", "Customers"),
    ]);
    let mut orders = texts(&["PurchaseId", "ContactId", "Subject", "ProductId"]);
    orders.extend([
        attribute("PurchasedOn", "DateTimeOffset"),
        attribute("TotalPrice", "Double"),
    ]);
    let mut reviews = texts(&["ReviewId", "UserId", "ReviewText"]);
    reviews.extend([
        attribute("ReviewDate", "DateTimeOffset"),
        attribute("ReviewRating", "Int64"),
    ]);
    let manifest = json!({"asOf": as_of, "entities": [
        {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": customer},
        {"name": ORDERS_ENTITY, "entityType": "activity", "key": "PurchaseId", "attributes": orders},
        {"name": REVIEWS_ENTITY, "entityType": "activity", "key": "ReviewId", "attributes": reviews},
    ]});
    serde_json::from_value(manifest).expect("the manifest has the published shape")
}

/// Says how the sources' rows become activities.
pub(crate) fn activities() -> Value {
    json!([
        {"entityName": ORDERS_ENTITY, "primaryKey": "PurchaseId", "timestamp": "PurchasedOn",
         "title": "Subject", "description": "ProductId", "url": null, "activityType": "SalesOrder",
         "activityName": "Online purchase", "showInTimeline": true, "icon": "cart",
         "relationship": {"foreignKey": "ContactId", "toEntity": "Ecommerce_Contacts"},
         "semanticFields": {"SalesOrderId": "PurchaseId", "TotalAmount": "TotalPrice"}},
        {"entityName": REVIEWS_ENTITY, "primaryKey": "ReviewId", "timestamp": "ReviewDate",
         "title": "ReviewText", "description": null, "url": null, "activityType": "Feedback",
         "activityName": "Website review", "showInTimeline": true, "icon": "star",
         "relationship": {"foreignKey": "UserId", "toEntity": "Ecommerce_Contacts"},
         "semanticFields": {"Rating": "ReviewRating"}},
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_and_activity_configuration_have_the_published_shapes_and_fit() {
        let schemas = manifest(Instant::from_millis(0)).schemas().unwrap();
        let configs: Vec<sanntid_types::ActivityConfig> =
            serde_json::from_value(activities()).unwrap();
        assert_eq!((schemas.len(), configs.len()), (3, 2));
        for config in &configs {
            let schema = schemas
                .iter()
                .find(|schema| schema.name == config.entity_name)
                .unwrap();
            for name in [&config.primary_key, &config.timestamp, &config.title] {
                assert!(schema.find(name).is_some(), "{name}");
            }
        }
    }
}
