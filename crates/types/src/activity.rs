//! Activities: the unified form that a timeline shows, and how source rows become one (rules 4).

use serde::{Deserialize, Serialize};

use crate::{ActivityId, EntityName, Instant};

/// Holds one entry of a timeline, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnifiedActivity {
    pub id: ActivityId,
    pub time: Instant,
    pub activity_type: String,
    pub activity_type_display: Option<String>,
    pub activity_name: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub external_url: Option<String>,
    /// The source entity that it came from, where it came from one.
    pub entity_name: Option<String>,
    pub actual_activity_id: Option<String>,
    /// JSON text, compact.
    pub semantic_data: Option<String>,
}

/// Says whether an activity's customer was known when it was accepted (rules 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ActivityState {
    Stored,
    Held,
}

/// Says by which key a source row finds its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Relationship {
    pub foreign_key: String,
    /// `{dataSourceName}_{entityName}` of an alternate key of `Customer`.
    pub to_entity: String,
}

/// Configures one source entity as activities. Field names name attributes of that entity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ActivityConfig {
    pub entity_name: EntityName,
    pub primary_key: String,
    pub timestamp: String,
    pub title: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub url: Option<String>,
    pub activity_type: String,
    #[serde(default)]
    pub activity_name: Option<String>,
    #[serde(default = "shown")]
    pub show_in_timeline: bool,
    #[serde(default)]
    pub icon: Option<String>,
    pub relationship: Relationship,
    /// Semantic field → attribute.
    #[serde(default)]
    pub semantic_fields: std::collections::BTreeMap<String, String>,
}

fn shown() -> bool {
    true
}
