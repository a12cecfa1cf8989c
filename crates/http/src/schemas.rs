//! The shapes of documents whose real types live in `types`, for the OpenAPI document alone.
//! Must not be read or written: tests hold them against the real types.

use std::collections::BTreeMap;

use utoipa::ToSchema;

macro_rules! described {
    ($($(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $kind:ty,)* })*) => {
        $($(#[$meta])*
        #[derive(ToSchema)]
        #[schema(rename_all = "camelCase")]
        #[expect(dead_code, reason = "described, never made")]
        pub(crate) struct $name { $($(#[$field_meta])* $field: $kind,)* })*
    };
}

described! {
    /// What a snapshot holds.
    struct Manifest {
        /// The instant up to which the data source was read (RFC 3339).
        #[schema(format = "date-time")]
        as_of: String,
        entities: Vec<ManifestEntity>,
    }

    /// One entity of a snapshot.
    struct ManifestEntity {
        /// `[A-Za-z0-9_]`; other characters are mapped to `_`.
        #[schema(example = "Customer")]
        name: String,
        /// `profile`, `activity`, `profileKpi`, `segmentMembership`, …
        #[schema(example = "profile")]
        entity_type: String,
        /// The key attribute.
        key: Option<String>,
        /// Not looked at in an upload: its parts are sent one by one.
        files: Option<Vec<String>>,
        /// Empty: as in the entity's previous schema.
        attributes: Option<Vec<ManifestAttribute>>,
    }

    /// One attribute of an entity of a snapshot.
    struct ManifestAttribute {
        name: String,
        /// `Edm.String`, `Edm.Boolean`, `Edm.Int16`, `Edm.Int32`, `Edm.Int64`, `Edm.Decimal`,
        /// `Edm.Double`, `Edm.Date`, `Edm.DateTimeOffset`, `Edm.TimeOfDay` or `Edm.Guid`.
        #[schema(example = "Edm.String")]
        data_type: String,
        /// A chrono pattern for text dates.
        #[schema(example = "%m/%d/%Y")]
        format: Option<String>,
        /// A measure or the like: read-only to real-time updates.
        computed: Option<bool>,
        /// An empty text is a value, not null.
        empty_is_value: Option<bool>,
        alternate_key: Option<AlternateKey>,
    }

    /// The source customer entity whose keys an attribute holds.
    struct AlternateKey {
        #[schema(example = "Ecommerce")]
        data_source_name: String,
        #[schema(example = "Contacts")]
        entity_name: String,
    }

    /// One source entity that is configured as activities. Its fields name that entity's attributes.
    struct ActivitySource {
        #[schema(example = "Ecommerce_OnlinePurchases")]
        entity_name: String,
        primary_key: String,
        timestamp: String,
        title: String,
        description: Option<String>,
        url: Option<String>,
        #[schema(example = "SalesOrder")]
        activity_type: String,
        /// Becomes `ActivityTypeDisplay`.
        activity_name: Option<String>,
        show_in_timeline: Option<bool>,
        icon: Option<String>,
        relationship: Relationship,
        /// Semantic field → attribute.
        semantic_fields: Option<BTreeMap<String, String>>,
        /// Answered only: `active`, or `pending` before a snapshot has brought the entity.
        #[schema(read_only, example = "active")]
        state: Option<String>,
    }

    /// By which key a source row finds its customer.
    struct Relationship {
        #[schema(example = "ContactId")]
        foreign_key: String,
        /// `{dataSourceName}_{entityName}` of an alternate key of `Customer`.
        #[schema(example = "Ecommerce_Contacts")]
        to_entity: String,
    }

    /// A time zone that a schedule can have.
    struct TimezoneDetail {
        /// As it stands in `timezoneId`.
        #[schema(example = "Europe/Oslo")]
        id: String,
        name: String,
    }

    /// A row of a snapshot that is not shown.
    struct RowRejection {
        /// `rejected`, or `unmatched`: an activity whose customer key matches no profile.
        #[schema(example = "rejected")]
        kind: String,
        entity: String,
        /// The number of the part that holds the row.
        part: Option<u32>,
        /// The file of a data source that holds the row.
        file: Option<String>,
        /// Counts the part's or file's rows from 1, without a header.
        row: Option<u64>,
        /// The row's key, where it has a readable one.
        key: Option<String>,
        column: Option<String>,
        reason: String,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;

    /// The names of the fields that a shape describes, in alphabetical order.
    fn described<T: PartialSchema>() -> Vec<String> {
        let schema = serde_json::to_value(T::schema()).expect("a schema");
        let properties = schema["properties"].as_object().expect("properties");
        let mut names: Vec<String> = properties.keys().cloned().collect();
        names.sort();
        names
    }

    /// The names of the fields of a value that has them all.
    fn names(value: &Value) -> Vec<String> {
        let mut names: Vec<String> = value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect();
        names.sort();
        names
    }

    /// Reads a document into its real type and writes it again: what the real type has not is lost.
    fn real<T: serde::de::DeserializeOwned + serde::Serialize>(document: Value) -> Value {
        let read: T = serde_json::from_value(document).expect("a real document");
        serde_json::to_value(read).expect("JSON")
    }

    #[test]
    fn a_manifest_is_described_as_it_is() {
        let manifest = real::<sanntid_types::Manifest>(json!({
            "asOf": "2026-11-23T02:00:00Z",
            "entities": [{
                "name": "Customer", "entityType": "profile", "key": "CustomerId", "files": ["a"],
                "attributes": [{
                    "name": "A", "dataType": "Edm.Date", "format": "%Y", "computed": true,
                    "emptyIsValue": true,
                    "alternateKey": {"dataSourceName": "Ecommerce", "entityName": "Contacts"}
                }]
            }]
        }));
        let entity = &manifest["entities"][0];
        let attribute = &entity["attributes"][0];
        assert_eq!(described::<Manifest>(), names(&manifest));
        assert_eq!(described::<ManifestEntity>(), names(entity));
        assert_eq!(described::<ManifestAttribute>(), names(attribute));
        assert_eq!(
            described::<AlternateKey>(),
            names(&attribute["alternateKey"])
        );
    }

    #[test]
    fn an_activity_source_is_described_as_it_is_answered() {
        let mut source = real::<sanntid_types::ActivityConfig>(json!({
            "entityName": "E", "primaryKey": "P", "timestamp": "T", "title": "S",
            "activityType": "A", "relationship": {"foreignKey": "F", "toEntity": "C"}
        }));
        assert_eq!(described::<Relationship>(), names(&source["relationship"]));
        source["state"] = json!("active");
        assert_eq!(described::<ActivitySource>(), names(&source));
    }

    #[test]
    fn a_rejection_is_described_as_it_is() {
        let rejection = real::<sanntid_types::RowRejection>(json!({
            "kind": "rejected", "entity": "E", "file": "f", "part": 1, "row": 2, "key": "k", "column": "C",
            "reason": "r"
        }));
        assert_eq!(described::<RowRejection>(), names(&rejection));
    }
}
