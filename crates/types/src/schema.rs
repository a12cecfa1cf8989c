//! What an entity looks like: its attributes, keys and which of them callers may change.
//! Owns name lookup (case-insensitive, rules 3.2). Must not know where rows come from.

use serde::{Deserialize, Serialize};

use crate::{EdmType, EntityName};

/// Says what an entity is for, with the published names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntityType {
    Profile,
    Activity,
    UnifiedActivity,
    ProfileKpi,
    AggregateKpi,
    SegmentMembership,
    Segment,
    Enrichment,
    Intelligence,
    GenericPrediction,
    Unspecified,
}

/// Names the source customer entity whose keys an attribute holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AlternateKey {
    pub data_source_name: String,
    pub entity_name: String,
}

impl AlternateKey {
    /// `{dataSourceName}_{entityName}`, what `relationship.toEntity` names.
    pub fn qualified_name(&self) -> String {
        format!("{}_{}", self.data_source_name, self.entity_name)
    }
}

/// Says what an attribute is for; all but `Plain` are read-only to callers (rules 3.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeRole {
    Plain,
    Key,
    AlternateKey(AlternateKey),
    PreviousId,
    Computed,
}

/// Describes one attribute of an entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub name: String,
    /// The name in the source where that has characters which ours may not have.
    pub friendly_name: Option<String>,
    pub data_type: EdmType,
    pub role: AttributeRole,
    /// A chrono pattern for text dates.
    pub format: Option<String>,
    pub empty_is_value: bool,
}

impl Attribute {
    /// Describes an ordinary, writable attribute.
    pub fn plain(name: &str, data_type: EdmType) -> Self {
        Self {
            name: name.to_owned(),
            friendly_name: None,
            data_type,
            role: AttributeRole::Plain,
            format: None,
            empty_is_value: false,
        }
    }

    /// Whether a real-time update may touch it.
    pub fn is_writable(&self) -> bool {
        self.role == AttributeRole::Plain
    }
}

/// Describes one entity. A row's values stand in the order of `attributes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntitySchema {
    pub name: EntityName,
    pub friendly_name: Option<String>,
    pub entity_type: EntityType,
    pub attributes: Vec<Attribute>,
    /// Ordinal of the key attribute, where the entity has one.
    pub key: Option<usize>,
}

impl EntitySchema {
    /// Finds an attribute by its name, whatever its case.
    pub fn find(&self, name: &str) -> Option<(usize, &Attribute)> {
        self.attributes
            .iter()
            .enumerate()
            .find(|(_, attribute)| attribute.name.eq_ignore_ascii_case(name))
    }

    /// The alternate keys, with their ordinals.
    pub fn alternate_keys(&self) -> impl Iterator<Item = (usize, &AlternateKey)> {
        self.attributes
            .iter()
            .enumerate()
            .filter_map(|(ordinal, attribute)| match &attribute.role {
                AttributeRole::AlternateKey(key) => Some((ordinal, key)),
                AttributeRole::Plain
                | AttributeRole::Key
                | AttributeRole::PreviousId
                | AttributeRole::Computed => None,
            })
    }
}
