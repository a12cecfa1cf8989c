//! Accepting an activity configuration (rules 4.3): its names checked against the loaded entities.
//! Owns its limits and which changes need the timeline made anew. Must not project anything.

use std::collections::{BTreeMap, BTreeSet};

use sanntid_types::{
    ActivityConfig, CUSTOMER, Detail, EdmType, EntityName, EntitySchema, EntityType, Error,
    ErrorCode, UNIFIED_ACTIVITY,
};

use crate::tenant::TenantState;

/// How many source entities may be configured as activities.
const SOURCES_MAX: usize = 100;
/// How many semantic fields one source may have.
const SEMANTIC_FIELDS_MAX: usize = 100;
/// Longest name of an attribute, an entity or a semantic field, in characters.
const NAME_LENGTH_MAX: usize = 100;
/// Longest other text, in characters.
const TEXT_LENGTH_MAX: usize = 4_000;

/// Checks a whole new configuration and gives it with all names as they are declared.
///
/// An entity that no snapshot has brought is accepted unseen, and so is a relationship before the
/// first `Customer`. An error lists every problem, with a target like `[0].timestamp`.
pub fn check_activities(
    tenant: &TenantState,
    activities: Vec<ActivityConfig>,
) -> Result<Vec<ActivityConfig>, Error> {
    if activities.len() > SOURCES_MAX {
        let text = format!(
            "{} sources are configured; at most {SOURCES_MAX} may be",
            activities.len()
        );
        return Err(Error::new(ErrorCode::InvalidArgument, text));
    }
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut checked = Vec::with_capacity(activities.len());
    for (index, config) in activities.into_iter().enumerate() {
        let mut check = Check {
            tenant,
            schema: tenant
                .entity(config.entity_name.as_str())
                .map(|entity| &*entity.schema),
            place: format!("[{index}]"),
            problems: &mut problems,
        };
        if !seen.insert(config.entity_name.as_str().to_ascii_lowercase()) {
            let text = format!(
                "{} is configured twice (names ignore case)",
                config.entity_name
            );
            check.problem("entityName", text);
        }
        checked.push(check.source(config));
    }
    if problems.is_empty() {
        Ok(checked)
    } else {
        let text = "the activity configuration is not valid";
        Err(Error::of_details(text, problems))
    }
}

/// Whether no snapshot has brought the configured entity yet.
pub fn is_pending(tenant: &TenantState, config: &ActivityConfig) -> bool {
    tenant.entity(config.entity_name.as_str()).is_none()
}

/// Whether rows that are already loaded make other activities with the configuration `new`.
///
/// What is evaluated at reading (`showInTimeline`, `icon`) needs nothing made anew.
pub fn needs_reprojection(tenant: &TenantState, new: &[ActivityConfig]) -> bool {
    let of = |configs: &[ActivityConfig], entity: &EntityName| {
        let mut found = configs.iter();
        found
            .find(|config| same_name(config.entity_name.as_str(), entity.as_str()))
            .cloned()
    };
    tenant
        .entities
        .iter()
        .filter(|table| table.rows > 0)
        .any(|table| {
            let entity = &table.schema.name;
            match (of(&tenant.projected_with, entity), of(new, entity)) {
                (Some(before), Some(after)) => {
                    normal_projection(before) != normal_projection(after)
                }
                (before, after) => before.is_some() != after.is_some(),
            }
        })
}

/// The configuration without what only readers look at, its names in one case.
fn normal_projection(mut config: ActivityConfig) -> ActivityConfig {
    config.show_in_timeline = true;
    config.icon = None;
    if let Ok(name) = EntityName::parse(&config.entity_name.as_str().to_ascii_lowercase()) {
        config.entity_name = name;
    }
    let names = [
        &mut config.primary_key,
        &mut config.timestamp,
        &mut config.title,
        &mut config.relationship.foreign_key,
        &mut config.relationship.to_entity,
    ];
    names
        .into_iter()
        .chain(&mut config.description)
        .chain(&mut config.url)
        .chain(config.semantic_fields.values_mut())
        .for_each(|name| name.make_ascii_lowercase());
    config
}

/// Checks one source; problems go to the list of all sources.
struct Check<'a> {
    tenant: &'a TenantState,
    /// `None` where the entity is pending.
    schema: Option<&'a EntitySchema>,
    place: String,
    problems: &'a mut Vec<Detail>,
}

impl Check<'_> {
    fn source(&mut self, config: ActivityConfig) -> ActivityConfig {
        let timestamp = self.attribute("timestamp", config.timestamp);
        self.timestamp_type(&timestamp);
        let mut relationship = config.relationship;
        relationship.foreign_key =
            self.attribute("relationship.foreignKey", relationship.foreign_key);
        relationship.to_entity = self.customer_source(relationship.to_entity);
        let optional = |check: &mut Self, field, name: Option<String>| {
            name.map(|name| check.attribute(field, name))
        };
        self.text("activityType", Some(&config.activity_type));
        self.text("activityName", config.activity_name.as_deref());
        self.text("icon", config.icon.as_deref());
        ActivityConfig {
            entity_name: self.entity(config.entity_name),
            primary_key: self.attribute("primaryKey", config.primary_key),
            timestamp,
            title: self.attribute("title", config.title),
            description: optional(self, "description", config.description),
            url: optional(self, "url", config.url),
            activity_type: config.activity_type,
            activity_name: config.activity_name,
            show_in_timeline: config.show_in_timeline,
            icon: config.icon,
            relationship,
            semantic_fields: self.semantic_fields(config.semantic_fields),
        }
    }

    fn entity(&mut self, name: EntityName) -> EntityName {
        if [CUSTOMER, UNIFIED_ACTIVITY]
            .iter()
            .any(|reserved| same_name(reserved, name.as_str()))
        {
            self.problem("entityName", format!("{name} is no activity source"));
            return name;
        }
        let Some(schema) = self.schema else {
            return name;
        };
        if schema.entity_type != EntityType::Activity {
            let text = format!("{} is loaded, but not as an activity entity", schema.name);
            self.problem("entityName", text);
        }
        schema.name.clone()
    }

    /// Gives an attribute's name as it is declared, where the entity is loaded.
    fn attribute(&mut self, field: &str, name: String) -> String {
        if let Some(text) = bad_text(&name, NAME_LENGTH_MAX) {
            self.problem(field, text);
            return name;
        }
        let Some(schema) = self.schema else {
            return name;
        };
        match schema.find(&name) {
            Some((_, attribute)) => attribute.name.clone(),
            None => {
                let text = format!("{} has no attribute {name}", schema.name);
                self.problem(field, text);
                name
            }
        }
    }

    fn timestamp_type(&mut self, name: &str) {
        let found = self.schema.and_then(|schema| schema.find(name));
        let Some((_, attribute)) = found else {
            return;
        };
        match attribute.data_type {
            EdmType::Date | EdmType::DateTimeOffset | EdmType::String => {}
            EdmType::Boolean
            | EdmType::Int16
            | EdmType::Int32
            | EdmType::Int64
            | EdmType::Decimal
            | EdmType::Double
            | EdmType::TimeOfDay
            | EdmType::Guid => {
                let text = format!(
                    "{name} is {}; a timestamp is Edm.DateTimeOffset, Edm.Date or Edm.String",
                    attribute.data_type.name()
                );
                self.problem("timestamp", text);
            }
        }
    }

    /// Gives a source customer entity's name as an alternate key of `Customer` declares it.
    fn customer_source(&mut self, name: String) -> String {
        let field = "relationship.toEntity";
        if let Some(text) = bad_text(&name, 2 * NAME_LENGTH_MAX + 1) {
            self.problem(field, text);
            return name;
        }
        let Some(customer) = self.tenant.customer() else {
            return name;
        };
        let known: Vec<String> = customer
            .schema
            .alternate_keys()
            .map(|(_, key)| key.qualified_name())
            .collect();
        match known.iter().find(|known| same_name(known, &name)) {
            Some(declared) => declared.clone(),
            None => {
                let known = match known.as_slice() {
                    [] => "it has none".to_owned(),
                    known => format!("these are: {}", known.join(", ")),
                };
                let text = format!("{name} is no alternate key of {CUSTOMER}; {known}");
                self.problem(field, text);
                name
            }
        }
    }

    fn semantic_fields(&mut self, fields: BTreeMap<String, String>) -> BTreeMap<String, String> {
        if fields.len() > SEMANTIC_FIELDS_MAX {
            let text = format!(
                "{} fields are named; at most {SEMANTIC_FIELDS_MAX} may be",
                fields.len()
            );
            self.problem("semanticFields", text);
            return fields;
        }
        fields
            .into_iter()
            .map(|(field, attribute)| {
                if let Some(text) = bad_text(&field, NAME_LENGTH_MAX) {
                    self.problem("semanticFields", format!("the name of a field {text}"));
                    return (field, attribute);
                }
                let attribute = self.attribute(&format!("semanticFields.{field}"), attribute);
                (field, attribute)
            })
            .collect()
    }

    fn text(&mut self, field: &str, text: Option<&str>) {
        if let Some(problem) = text.and_then(|text| bad_text(text, TEXT_LENGTH_MAX)) {
            self.problem(field, problem);
        }
    }

    fn problem(&mut self, field: &str, text: String) {
        let target = format!("{}.{field}", self.place);
        self.problems
            .push(Detail::new(ErrorCode::InvalidArgument, &target, text));
    }
}

fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn bad_text(text: &str, length_max: usize) -> Option<String> {
    if text.trim().is_empty() {
        Some("is empty".to_owned())
    } else if text.chars().any(char::is_control) {
        Some("contains a control character".to_owned())
    } else if text.chars().count() > length_max {
        Some(format!("is longer than {length_max} characters"))
    } else {
        None
    }
}
