//! Projects a source's row to the unified activity that a timeline shows (rules 4.3).
//! Owns how a value becomes a key, a time or a text. The same for rows posted and rows loaded.

use sanntid_types::{
    ActivityConfig, Attribute, Detail, EdmType, EntitySchema, Error, ErrorCode, Instant, Literal,
    Row, Scalar, UnifiedActivity, scalar_of,
};

use crate::identity;
use crate::ports::ViewError;
use crate::profile::view_error;
use crate::record::{Owner, SourceActivity, SourceContent};
use crate::tenant::TenantState;

/// Gives the activity that `row` of the entity `schema` is, and by which key it finds its customer.
///
/// Its id is `Entity:primaryKey`, or the BLAKE3 hash of that text in hex where it is no valid id
/// (over 100 characters). A row without primary key, timestamp or foreign key is refused, as is one
/// of an entity that lacks the configured columns; `details` name the columns.
pub fn project_row(
    config: &ActivityConfig,
    schema: &EntitySchema,
    row: &Row,
) -> Result<(UnifiedActivity, Owner), Error> {
    let mut problems = Vec::new();
    let mut required = |name: &str, what: &str| {
        let value = required_column(schema, row, name, what);
        value.map_err(|problem| problems.push(problem)).ok()
    };
    let key = required(&config.primary_key, "primary key");
    let time = required(&config.timestamp, "timestamp");
    let foreign_key = required(&config.relationship.foreign_key, "foreign key");
    let time = time.and_then(|(attribute, json)| {
        let time = instant(attribute, json);
        if time.is_none() {
            problems.push(not_a_time(attribute, json));
        }
        time
    });
    let (Some((key_at, key)), Some(time), Some((owner_at, owner))) = (key, time, foreign_key)
    else {
        return Err(Error::of_details(
            "the row can't become an activity",
            problems,
        ));
    };
    let entity = schema.name.as_str();
    let key = key_text(key_at.data_type, key).unwrap_or_default();
    let owner = key_text(owner_at.data_type, owner).unwrap_or_default();
    let text = |name: &str| {
        schema
            .find(name)
            .and_then(|(at, _)| plain_text(row.get(at)))
    };
    let activity = UnifiedActivity {
        id: identity::source_id(entity, &key),
        time,
        activity_type: config.activity_type.clone(),
        activity_type_display: config.activity_name.clone(),
        activity_name: None,
        title: text(&config.title),
        description: config.description.as_deref().and_then(text),
        external_url: config.url.as_deref().and_then(text),
        entity_name: Some(entity.to_owned()),
        actual_activity_id: Some(key),
        semantic_data: semantic_data(config, schema, row),
    };
    let owner = Owner::Key {
        entity: config.relationship.to_entity.clone(),
        key: owner.trim().to_owned(),
    };
    Ok((activity, owner))
}

/// Projects a loaded activity with the configuration that its generation was made with; one that was
/// absorbed was projected when it was accepted.
///
/// `None` where the generation has no such entity; a row that was loaded and can't be projected is
/// corrupt.
pub(crate) fn source_activity(
    tenant: &TenantState,
    source: &SourceActivity,
) -> Result<Option<UnifiedActivity>, Error> {
    let (entity, row) = match &source.content {
        SourceContent::Row { entity, row } => (entity.as_str(), row),
        SourceContent::Absorbed { activity, .. } => return Ok(Some((**activity).clone())),
    };
    let made_with = &tenant.projected_with;
    let config = made_with
        .iter()
        .find(|config| config.entity_name.as_str().eq_ignore_ascii_case(entity));
    let (Some(config), Some(table)) = (config, tenant.entity(entity)) else {
        return Ok(None);
    };
    match project_row(config, &table.schema, row) {
        Ok((activity, _)) => Ok(Some(activity)),
        Err(error) => {
            let text = format!("the activity {} is corrupt: {error}", source.id);
            Err(view_error(ViewError::Corrupt(text)))
        }
    }
}

/// Reads the value of a column that must have one.
pub(crate) fn required_column<'a>(
    schema: &'a EntitySchema,
    row: &'a Row,
    name: &str,
    what: &str,
) -> Result<(&'a Attribute, &'a str), Detail> {
    let Some((ordinal, attribute)) = schema.find(name) else {
        let text = format!(
            "{} has no column {name}, its configured {what}",
            schema.name
        );
        return Err(Detail::new(ErrorCode::MissingField, name, text));
    };
    let json = row.get(ordinal);
    if plain_text(json).is_none_or(|text| text.trim().is_empty()) {
        let text = format!("{name} is the {what} and must have a value");
        return Err(Detail::new(ErrorCode::MissingField, &attribute.name, text));
    }
    Ok((attribute, json))
}

/// Says that a column's value names no time.
pub(crate) fn not_a_time(attribute: &Attribute, json: &str) -> Detail {
    let text = format!("{json} is no time; expected RFC 3339 or a date");
    Detail::new(ErrorCode::InvalidField, &attribute.name, text)
}

/// The instant that a value names; a date without a time is midnight UTC.
pub(crate) fn instant(attribute: &Attribute, json: &str) -> Option<Instant> {
    match scalar_of(attribute.data_type, json)? {
        Scalar::Instant(nanos) => i64::try_from(nanos.div_euclid(1_000_000))
            .ok()
            .map(Instant::from_millis),
        Scalar::Date(date) => Instant::parse(&format!("{date}T00:00:00Z")),
        Scalar::Text(text) => instant_of_text(&text, attribute.format.as_deref()),
        Scalar::Null
        | Scalar::Boolean(_)
        | Scalar::Number(_)
        | Scalar::Double(_)
        | Scalar::Time(_)
        | Scalar::Guid(_) => None,
    }
}

fn instant_of_text(text: &str, format: Option<&str>) -> Option<Instant> {
    let text = text.trim();
    let read = |format: Option<&str>, text: &str| {
        let literal = Literal::from_text(EdmType::DateTimeOffset, format, text).ok()?;
        plain_text(literal.as_json()).and_then(|text| Instant::parse(&text))
    };
    read(None, text)
        .or_else(|| read(None, &format!("{text}T00:00:00Z")))
        .or_else(|| read(Some(format?), text))
}

/// The text that a key's value has in ids and in the key ring: equal for equal values.
pub fn key_text(data_type: EdmType, json: &str) -> Option<String> {
    match scalar_of(data_type, json) {
        None => plain_text(json),
        Some(Scalar::Null) => None,
        Some(Scalar::Text(text)) => Some(text.into_owned()),
        Some(Scalar::Number(number)) if number.to_i64().is_some() => {
            number.to_i64().map(|number| number.to_string())
        }
        Some(scalar) => {
            let mut text = String::new();
            scalar.write_normal(&mut text);
            Some(text)
        }
    }
}

/// A value as a reader would write it: a string without quotes, others as they are in JSON.
pub(crate) fn plain_text(json: &str) -> Option<String> {
    match json {
        "null" => None,
        _ if json.starts_with('"') => serde_json::from_str(json).ok(),
        _ => Some(json.to_owned()),
    }
}

/// The configured semantic fields that have a value, as one JSON object.
fn semantic_data(config: &ActivityConfig, schema: &EntitySchema, row: &Row) -> Option<String> {
    let mut object = String::new();
    for (field, column) in &config.semantic_fields {
        let json = schema
            .find(column)
            .map_or("null", |(ordinal, _)| row.get(ordinal));
        if json == "null" {
            continue;
        }
        object.push(if object.is_empty() { '{' } else { ',' });
        object.push_str(Literal::text(field).as_json());
        object.push(':');
        object.push_str(json);
    }
    (!object.is_empty()).then(|| object + "}")
}
