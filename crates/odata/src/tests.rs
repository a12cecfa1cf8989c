//! Tests over the whole crate, and what they share.

mod batch;
mod errors;
mod filters;
mod naive;
mod properties;
mod segments;

use sanntid_types::{AlternateKey, Attribute, AttributeRole, EntitySchema, EntityType};
use sanntid_types::{EdmType, EntityName};

use crate::{BoundFilter, Fields, parse_filter};

/// The JSON texts of one row, in the order of `schema`.
#[derive(Clone, Debug)]
struct TestRow(Vec<String>);

impl Fields for TestRow {
    fn json(&self, ordinal: usize) -> &str {
        self.0.get(ordinal).map_or("null", String::as_str)
    }
}

const ID: usize = 0;
const ALT: usize = 1;
const AGE: usize = 2;
const SEEN: usize = 4;

fn schema() -> EntitySchema {
    let mut attributes: Vec<Attribute> = [
        ("CustomerId", EdmType::String),
        ("Shop_Contacts_Id", EdmType::String),
        ("Age", EdmType::Int32),
        ("Vip", EdmType::Boolean),
        ("Seen", EdmType::DateTimeOffset),
        ("Score", EdmType::Double),
        ("Born", EdmType::Date),
        ("Wakes", EdmType::TimeOfDay),
        ("Token", EdmType::Guid),
        ("Total", EdmType::Decimal),
    ]
    .iter()
    .map(|(name, edm)| Attribute::plain(name, *edm))
    .collect();
    attributes[ALT].role = AttributeRole::AlternateKey(AlternateKey {
        data_source_name: "Shop".to_owned(),
        entity_name: "Contacts".to_owned(),
    });
    EntitySchema {
        name: EntityName::parse("Customer").unwrap(),
        friendly_name: None,
        entity_type: EntityType::Profile,
        attributes,
        key: Some(ID),
    }
}

/// A row that has `pairs` and is null elsewhere.
fn row(pairs: &[(&str, &str)]) -> TestRow {
    let schema = schema();
    let mut texts = vec!["null".to_owned(); schema.attributes.len()];
    for (name, json) in pairs {
        let (ordinal, _) = schema.find(name).unwrap();
        texts[ordinal] = (*json).to_owned();
    }
    TestRow(texts)
}

fn bound(filter: &str) -> BoundFilter {
    let expr = parse_filter(filter).unwrap_or_else(|e| panic!("{filter}: {e}"));
    BoundFilter::bind(&expr, &schema()).unwrap_or_else(|e| panic!("{filter}: {e}"))
}
