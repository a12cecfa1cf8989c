//! The snapshot manifest (`snapshot.json`), read and checked into schemas.
//! Owns its JSON shape and name rules. Must not open the files that it names.

use serde::{Deserialize, Serialize};

use crate::error::{Detail, Error, ErrorCode};
use crate::{
    AlternateKey, Attribute, AttributeRole, EdmType, EntityName, EntitySchema, EntityType, Instant,
};

/// What a manifest may hold besides the profiles' own entity.
pub const CUSTOMER: &str = "Customer";
/// The entity that is made of all activities; no snapshot brings it.
pub const UNIFIED_ACTIVITY: &str = "UnifiedActivity";

/// Describes a snapshot: its instant and its entities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    pub as_of: Instant,
    pub entities: Vec<ManifestEntity>,
}

/// Describes one entity of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestEntity {
    pub name: String,
    pub entity_type: EntityType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    #[serde(default)]
    pub attributes: Vec<ManifestAttribute>,
}

/// Describes one attribute of an entity of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestAttribute {
    pub name: String,
    pub data_type: EdmType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub computed: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub empty_is_value: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternate_key: Option<AlternateKey>,
}

impl Manifest {
    /// Checks all entities and gives their schemas in manifest order, or every problem found.
    pub fn schemas(&self) -> Result<Vec<EntitySchema>, Error> {
        let mut problems = Vec::new();
        let mut schemas: Vec<EntitySchema> = Vec::new();
        if self.entities.is_empty() {
            problems.push(problem("entities", "the manifest names no entity"));
        }
        for (index, entity) in self.entities.iter().enumerate() {
            let target = format!("entities[{index}]");
            let Some(schema) = entity.schema(&target, &mut problems) else {
                continue;
            };
            let name = schema.name.as_str();
            if schemas
                .iter()
                .any(|other| other.name.as_str().eq_ignore_ascii_case(name))
            {
                problems.push(problem(
                    &target,
                    format!("the entity {name} stands here twice"),
                ));
            }
            schemas.push(schema);
        }
        if problems.is_empty() {
            Ok(schemas)
        } else {
            Err(Error::of_details("the manifest is not valid", problems))
        }
    }
}

impl ManifestEntity {
    fn schema(&self, target: &str, problems: &mut Vec<Detail>) -> Option<EntitySchema> {
        let before = problems.len();
        let (mapped, friendly_name) = map_name(&self.name);
        let name = match EntityName::parse(&mapped) {
            Ok(name) => Some(name),
            Err(error) => {
                problems.push(problem(&format!("{target}.name"), error.message));
                None
            }
        };
        if mapped.eq_ignore_ascii_case(UNIFIED_ACTIVITY) {
            problems.push(problem(
                &format!("{target}.name"),
                "UnifiedActivity is made of the activity entities and can't be delivered",
            ));
        }
        let is_customer = mapped == CUSTOMER;
        if mapped.eq_ignore_ascii_case(CUSTOMER) && !is_customer {
            problems.push(problem(
                &format!("{target}.name"),
                "the entity of the profiles is spelled Customer",
            ));
        }
        if is_customer != (self.entity_type == EntityType::Profile) {
            problems.push(problem(
                &format!("{target}.entityType"),
                "the entity Customer, and no other, has the entity type profile",
            ));
        }
        let mut attributes: Vec<Attribute> = Vec::with_capacity(self.attributes.len());
        for (index, declared) in self.attributes.iter().enumerate() {
            let target = format!("{target}.attributes[{index}]");
            let attribute = declared.attribute(is_customer, &target, problems);
            if attributes
                .iter()
                .any(|other| other.name.eq_ignore_ascii_case(&attribute.name))
            {
                let name = &attribute.name;
                problems.push(problem(
                    &target,
                    format!("a second attribute is called {name}"),
                ));
            }
            attributes.push(attribute);
        }
        let key = self.key_ordinal(target, &attributes, problems);
        if let Some(attribute) = key.and_then(|ordinal| attributes.get_mut(ordinal)) {
            attribute.role = AttributeRole::Key;
        }
        (problems.len() == before).then_some(())?;
        Some(EntitySchema {
            name: name?,
            friendly_name,
            entity_type: self.entity_type,
            attributes,
            key,
        })
    }

    fn key_ordinal(
        &self,
        target: &str,
        attributes: &[Attribute],
        problems: &mut Vec<Detail>,
    ) -> Option<usize> {
        let target = format!("{target}.key");
        let needed = matches!(self.entity_type, EntityType::Profile | EntityType::Activity);
        let Some(key) = &self.key else {
            if needed {
                problems.push(problem(&target, "an entity of this type needs a key"));
            }
            return None;
        };
        let (mapped, _) = map_name(key);
        let found = attributes
            .iter()
            .position(|a| a.name.eq_ignore_ascii_case(&mapped));
        if found.is_none() && !attributes.is_empty() {
            problems.push(problem(&target, format!("no attribute is called {key}")));
        }
        found
    }
}

impl ManifestAttribute {
    /// Declares the attributes of a loaded entity again.
    pub fn of_schema(schema: &EntitySchema) -> Vec<Self> {
        let declare = |attribute: &Attribute| Self {
            name: attribute
                .friendly_name
                .clone()
                .unwrap_or_else(|| attribute.name.clone()),
            data_type: attribute.data_type,
            format: attribute.format.clone(),
            computed: attribute.role == AttributeRole::Computed,
            empty_is_value: attribute.empty_is_value,
            alternate_key: match &attribute.role {
                AttributeRole::AlternateKey(key) => Some(key.clone()),
                AttributeRole::Plain
                | AttributeRole::Key
                | AttributeRole::PreviousId
                | AttributeRole::Computed => None,
            },
        };
        schema.attributes.iter().map(declare).collect()
    }

    fn attribute(&self, of_customer: bool, target: &str, problems: &mut Vec<Detail>) -> Attribute {
        let (name, friendly_name) = map_name(&self.name);
        if name.is_empty() || name.len() > crate::id::ID_LENGTH_MAX {
            problems.push(problem(
                &format!("{target}.name"),
                "a name has 1 to 100 characters",
            ));
        }
        if let Some(format) = &self.format {
            let bad = chrono::format::StrftimeItems::new(format)
                .any(|item| matches!(item, chrono::format::Item::Error));
            if bad || !matches!(self.data_type, EdmType::Date | EdmType::DateTimeOffset) {
                problems.push(problem(
                    &format!("{target}.format"),
                    "a format is a chrono pattern of an Edm.Date or Edm.DateTimeOffset",
                ));
            }
        }
        let role = match &self.alternate_key {
            Some(_) if !of_customer => {
                let text = "only Customer has alternate keys";
                problems.push(problem(&format!("{target}.alternateKey"), text));
                AttributeRole::Plain
            }
            Some(key) if self.data_type == EdmType::String => {
                AttributeRole::AlternateKey(key.clone())
            }
            Some(_) => {
                let text = "an alternate key is an Edm.String";
                problems.push(problem(&format!("{target}.dataType"), text));
                AttributeRole::Plain
            }
            None if self.computed => AttributeRole::Computed,
            None if of_customer && name.eq_ignore_ascii_case("PreviousCustomerId") => {
                AttributeRole::PreviousId
            }
            None => AttributeRole::Plain,
        };
        Attribute {
            name,
            friendly_name,
            data_type: self.data_type,
            role,
            format: self.format.clone(),
            empty_is_value: self.empty_is_value,
        }
    }
}

/// Maps characters outside `[A-Za-z0-9_]` away; the original becomes the friendly name.
fn map_name(name: &str) -> (String, Option<String>) {
    let keep = |c: char| {
        if c.is_ascii_alphanumeric() || c == '_' {
            c
        } else {
            '_'
        }
    };
    let mapped: String = name.chars().map(keep).collect();
    let friendly = (mapped != name).then(|| name.to_owned());
    (mapped, friendly)
}

fn problem(target: &str, message: impl Into<String>) -> Detail {
    Detail::new(ErrorCode::InvalidArgument, target, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(json: &str) -> Result<Vec<EntitySchema>, Error> {
        let manifest: Manifest = serde_json::from_str(json).expect("shape");
        manifest.schemas()
    }

    #[test]
    fn a_manifest_gives_schemas_with_roles() {
        let schemas = manifest(
            r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
              {"name": "Customer", "entityType": "profile", "key": "CustomerId", "attributes": [
                {"name": "CustomerId", "dataType": "Edm.String"},
                {"name": "Loyalty Tier", "dataType": "Edm.String"},
                {"name": "PreviousCustomerId", "dataType": "Edm.String"},
                {"name": "Value", "dataType": "Edm.Double", "computed": true},
                {"name": "Shop_Contacts_Id", "dataType": "Edm.String",
                 "alternateKey": {"dataSourceName": "Shop", "entityName": "Contacts"}}]}]}"#,
        )
        .expect("valid");
        let customer = schemas.first().expect("one");
        assert_eq!(customer.key, Some(0));
        assert_eq!(
            customer.find("loyalty_tier").map(|(ordinal, _)| ordinal),
            Some(1)
        );
        assert_eq!(
            customer.attributes[1].friendly_name.as_deref(),
            Some("Loyalty Tier")
        );
        let writable: Vec<_> = customer
            .attributes
            .iter()
            .map(Attribute::is_writable)
            .collect();
        assert_eq!(writable, [false, true, false, false, false]);
        let keys: Vec<_> = customer
            .alternate_keys()
            .map(|(_, key)| key.qualified_name())
            .collect();
        assert_eq!(keys, ["Shop_Contacts"]);
    }

    #[test]
    fn every_problem_is_listed_with_its_target() {
        let error = manifest(
            r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
              {"name": "Customer", "entityType": "profile", "key": "Id", "attributes": [
                {"name": "A b", "dataType": "Edm.String"},
                {"name": "a_B", "dataType": "Edm.Double", "format": "%Y"}]},
              {"name": "UnifiedActivity", "entityType": "unifiedActivity", "attributes": []},
              {"name": "Orders", "entityType": "activity", "attributes": []}]}"#,
        )
        .expect_err("invalid");
        let targets: Vec<_> = error.details.iter().map(|d| d.target.as_str()).collect();
        assert_eq!(
            targets,
            [
                "entities[0].attributes[1].format",
                "entities[0].attributes[1]",
                "entities[0].key",
                "entities[1].name",
                "entities[2].key"
            ]
        );
    }

    #[test]
    fn customer_has_one_spelling() {
        let error = manifest(
            r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
              {"name": "customer", "entityType": "unspecified", "attributes": []}]}"#,
        )
        .expect_err("would be taken for the profiles");
        assert_eq!(error.details[0].target, "entities[0].name");
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(
            serde_json::from_str::<Manifest>(
                r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [], "extra": 1}"#
            )
            .is_err()
        );
    }
}
