//! Reads the document of an activity, in the unified or in a source's format (rules 4.2, 4.3).
//! Owns field names, aliases and limits. An error lists every bad field.

use std::collections::BTreeMap;

use sanntid_types::{
    ActivityConfig, ActivityId, Attribute, Detail, EdmType, EntitySchema, Error, ErrorCode,
    Instant, Literal, ProfileId, Row, RowBuilder,
};
use serde_json::value::RawValue;

use crate::body::{self, Members};
use crate::identity::{compact_json, normal_json};
use crate::problems::shown;
use crate::project;

/// Longest id, in characters.
const ID_LENGTH_MAX: usize = 100;
/// Longest text, in characters.
const TEXT_LENGTH_MAX: usize = 4_000;
/// Largest `SemanticData`, in bytes of compact JSON: 1 MiB.
const SEMANTIC_SIZE_MAX: usize = 1 << 20;

/// Every accepted spelling, and the field that it names.
const SPELLINGS: [(&str, &str); 17] = [
    ("CustomerId", "CustomerId"),
    ("ActivityTime", "ActivityTime"),
    ("ActivityTimeStamp", "ActivityTime"),
    ("ActivityType", "ActivityType"),
    ("ActivityId", "ActivityId"),
    ("Title", "Title"),
    ("ActivityName", "ActivityName"),
    ("ActivityTypeDisplay", "ActivityTypeDisplay"),
    ("Description", "Description"),
    ("ExternalUrl", "ExternalUrl"),
    ("URL", "ExternalUrl"),
    ("EntityName", "EntityName"),
    ("SourceEntityName", "EntityName"),
    ("SourceTableName", "EntityName"),
    ("ActualActivityId", "ActualActivityId"),
    ("SourceActivityId", "ActualActivityId"),
    ("SemanticData", "SemanticData"),
];

/// Holds a document in the unified format. A field that is null is as one that is not given.
#[derive(Clone, Debug)]
pub(crate) struct UnifiedDocument {
    pub(crate) customer: ProfileId,
    pub(crate) time: Instant,
    pub(crate) activity_type: String,
    pub(crate) id: Option<ActivityId>,
    pub(crate) title: Option<String>,
    pub(crate) activity_name: Option<String>,
    pub(crate) activity_type_display: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) external_url: Option<String>,
    pub(crate) entity_name: Option<String>,
    pub(crate) actual_activity_id: Option<String>,
    pub(crate) semantic_data: Option<String>,
}

/// Reads a document in the unified format.
pub(crate) fn unified_document(document: &str) -> Result<UnifiedDocument, Error> {
    let members = body::members(document)?;
    let mut fields = Fields::sort(members);
    let customer = fields.required("CustomerId", |json| {
        ProfileId::parse(&text(json, ID_LENGTH_MAX)?).map_err(|error| error.message)
    });
    let time = fields.required("ActivityTime", time);
    let activity_type = fields.required("ActivityType", |json| non_empty(json, TEXT_LENGTH_MAX));
    let id = fields.optional("ActivityId", |json| {
        ActivityId::parse(&text(json, ID_LENGTH_MAX)?).map_err(|error| error.message)
    });
    let title = fields.text("Title");
    let activity_name = fields.text("ActivityName");
    let activity_type_display = fields.text("ActivityTypeDisplay");
    let description = fields.text("Description");
    let external_url = fields.text("ExternalUrl");
    let entity_name = fields.optional("EntityName", |json| non_empty(json, ID_LENGTH_MAX));
    let actual_activity_id =
        fields.optional("ActualActivityId", |json| non_empty(json, ID_LENGTH_MAX));
    let semantic_data = fields.optional("SemanticData", semantic);
    let problems = fields.problems;
    match (customer, time, activity_type) {
        (Some(customer), Some(time), Some(activity_type)) if problems.is_empty() => {
            Ok(UnifiedDocument {
                customer,
                time,
                activity_type,
                id,
                title,
                activity_name,
                activity_type_display,
                description,
                external_url,
                entity_name,
                actual_activity_id,
                semantic_data,
            })
        }
        _ => Err(refused(problems)),
    }
}

/// Reads a document in the format of a source entity: its columns, as a row by the schema's order.
pub(crate) fn source_document(
    config: &ActivityConfig,
    schema: &EntitySchema,
    document: &str,
) -> Result<Row, Error> {
    let Members {
        fields,
        mut problems,
    } = body::members(document)?;
    let mut columns = BTreeMap::new();
    let mut bad = Vec::new();
    for (name, raw) in fields {
        let Some((ordinal, attribute)) = schema.find(&name) else {
            let text = format!("{} has no column of this name", schema.name);
            problems.push(Detail::new(ErrorCode::UnknownField, &shown(&name), text));
            continue;
        };
        match column(attribute, raw.get()) {
            Ok(value) => {
                columns.insert(ordinal, value);
            }
            Err(text) => {
                bad.push(ordinal);
                problems.push(Detail::new(ErrorCode::InvalidField, &attribute.name, text));
            }
        }
    }
    let mut row = RowBuilder::default();
    for ordinal in 0..schema.attributes.len() {
        row.push(columns.get(&ordinal).unwrap_or(&Literal::null()));
    }
    let row = row.finish();
    let is_bad = |name: &str| schema.find(name).is_some_and(|(at, _)| bad.contains(&at));
    for (name, what) in [
        (&config.primary_key, "primary key"),
        (&config.timestamp, "timestamp"),
        (&config.relationship.foreign_key, "foreign key"),
    ] {
        if is_bad(name) {
            continue;
        }
        match project::required_column(schema, &row, name, what) {
            Ok((attribute, json)) => {
                if name == &config.timestamp && project::instant(attribute, json).is_none() {
                    problems.push(project::not_a_time(attribute, json));
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(row)
    } else {
        Err(refused(problems))
    }
}

/// Reads a column's value: an Edm literal, or a date in the attribute's declared format.
fn column(attribute: &Attribute, json: &str) -> Result<Literal, String> {
    let (data_type, format) = (attribute.data_type, attribute.format.as_deref());
    let error = match Literal::from_json(data_type, json) {
        Ok(literal) => return Ok(literal),
        Err(error) => error,
    };
    let is_time = data_type == EdmType::DateTimeOffset;
    if let Ok(text) = serde_json::from_str::<String>(json) {
        if format.is_some()
            && (is_time || data_type == EdmType::Date)
            && let Ok(literal) = Literal::from_text(data_type, format, &text)
        {
            return Ok(literal);
        }
        if is_time && Literal::from_json(EdmType::Date, json).is_ok() {
            return Ok(Literal::text(&format!("{text}T00:00:00Z")));
        }
    }
    Err(match format {
        Some(format) => format!("{error}, or a text in the column's format {format}"),
        None => error.to_string(),
    })
}

struct Fields<'a> {
    given: BTreeMap<&'static str, &'a str>,
    problems: Vec<Detail>,
}

impl<'a> Fields<'a> {
    fn sort(members: Members<'a>) -> Self {
        let mut fields = Self {
            given: BTreeMap::new(),
            problems: members.problems,
        };
        for (name, raw) in members.fields {
            let known = SPELLINGS
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(&name));
            let (code, text) = match known {
                None => (
                    ErrorCode::UnknownField,
                    "an activity in the unified format has no field of this name".to_owned(),
                ),
                Some((_, field)) => {
                    if fields.given.insert(field, raw.get()).is_none() {
                        continue;
                    }
                    (
                        ErrorCode::DuplicateField,
                        format!("{field} stands here in another spelling"),
                    )
                }
            };
            fields.problems.push(Detail::new(code, &shown(&name), text));
        }
        fields
    }

    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let json = *self.given.get(name)?;
        if json == "null" {
            return None;
        }
        read(json)
            .map_err(|text| {
                self.problems
                    .push(Detail::new(ErrorCode::InvalidField, name, text));
            })
            .ok()
    }

    fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        if self.given.get(name).is_none_or(|json| *json == "null") {
            let text = format!("{name} is required");
            self.problems
                .push(Detail::new(ErrorCode::MissingField, name, text));
        }
        self.optional(name, read)
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.optional(name, |json| text(json, TEXT_LENGTH_MAX))
    }
}

fn text(json: &str, length_max: usize) -> Result<String, String> {
    let literal = Literal::from_json(EdmType::String, json).map_err(|error| error.to_string())?;
    let text = project::plain_text(literal.as_json()).unwrap_or_default();
    if text.chars().count() > length_max {
        return Err(format!("is longer than {length_max} characters"));
    }
    Ok(text)
}

fn non_empty(json: &str, length_max: usize) -> Result<String, String> {
    match text(json, length_max)? {
        text if text.is_empty() => Err("is empty".to_owned()),
        text => Ok(text),
    }
}

fn time(json: &str) -> Result<Instant, String> {
    let literal =
        Literal::from_json(EdmType::DateTimeOffset, json).map_err(|error| error.to_string())?;
    project::plain_text(literal.as_json())
        .and_then(|text| Instant::parse(&text))
        .ok_or_else(|| "is no time between the years 1000 and 9999".to_owned())
}

/// Takes an object, or a text: one that contains an object stands for it.
fn semantic(json: &str) -> Result<String, String> {
    let compact = if json.starts_with('"') {
        let text: String = serde_json::from_str(json).map_err(|_| "is not Unicode".to_owned())?;
        match serde_json::from_str::<&RawValue>(&text) {
            Ok(inner) if inner.get().starts_with('{') => compact_json(inner.get()),
            _ => Literal::text(&text).as_json().to_owned(),
        }
    } else if json.starts_with('{') {
        compact_json(json)
    } else {
        return Err("expected a JSON object, or a text that contains one".to_owned());
    };
    if compact.len() > SEMANTIC_SIZE_MAX {
        return Err("is larger than 1 MiB".to_owned());
    }
    normal_json(&compact)?;
    Ok(compact)
}

fn refused(problems: Vec<Detail>) -> Error {
    Error::of_details("the activity has fields that can't be accepted", problems)
}
