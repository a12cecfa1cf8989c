//! The entity `UnifiedActivity`: its schema and an activity's values as JSON texts.
//! Owns names, order and types of its fields. Must not decide which activities are shown.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::sync::LazyLock;

use sanntid_engine::TimelineEntry;
use sanntid_odata::Fields;
use sanntid_types::{
    ActivityId, Attribute, AttributeRole, EdmType, EntityName, EntitySchema, EntityType, Instant,
    Literal, ProfileId, Row, RowBuilder, UNIFIED_ACTIVITY, UnifiedActivity,
};

use crate::collection::{Candidate, Show};
use crate::json::Object;

pub(crate) const ACTIVITY_ID: usize = 0;
pub(crate) const CUSTOMER_ID: usize = 1;
pub(crate) const ACTIVITY_TIME: usize = 2;

type Value = fn(&UnifiedActivity, Option<&ProfileId>) -> Literal;

const FIELDS: [(&str, EdmType, Value); 12] = [
    ("ActivityId", EdmType::String, |a, _| {
        Literal::text(a.id.as_str())
    }),
    ("CustomerId", EdmType::String, |_, customer| {
        text(customer.map(ProfileId::as_str))
    }),
    ("ActivityTime", EdmType::DateTimeOffset, |a, _| {
        Literal::text(&a.time.to_string())
    }),
    ("ActivityType", EdmType::String, |a, _| {
        Literal::text(&a.activity_type)
    }),
    ("ActivityTypeDisplay", EdmType::String, |a, _| {
        text(a.activity_type_display.as_deref())
    }),
    ("ActivityName", EdmType::String, |a, _| {
        text(a.activity_name.as_deref())
    }),
    ("Title", EdmType::String, |a, _| text(a.title.as_deref())),
    ("Description", EdmType::String, |a, _| {
        text(a.description.as_deref())
    }),
    ("ExternalUrl", EdmType::String, |a, _| {
        text(a.external_url.as_deref())
    }),
    ("EntityName", EdmType::String, |a, _| {
        text(a.entity_name.as_deref())
    }),
    ("ActualActivityId", EdmType::String, |a, _| {
        text(a.actual_activity_id.as_deref())
    }),
    ("SemanticData", EdmType::String, |a, _| {
        text(a.semantic_data.as_deref())
    }),
];

/// The schema of `UnifiedActivity`, the same in every instance and before any snapshot.
///
/// `SemanticData` is a text that holds JSON.
pub fn unified_activity_schema() -> &'static EntitySchema {
    static SCHEMA: LazyLock<EntitySchema> = LazyLock::new(|| {
        let mut attributes: Vec<Attribute> = FIELDS
            .iter()
            .map(|(name, edm, _)| Attribute::plain(name, *edm))
            .collect();
        if let Some(key) = attributes.get_mut(ACTIVITY_ID) {
            key.role = AttributeRole::Key;
        }
        EntitySchema {
            name: EntityName::parse(UNIFIED_ACTIVITY).expect("a name"),
            friendly_name: None,
            entity_type: EntityType::UnifiedActivity,
            attributes,
            key: Some(ACTIVITY_ID),
        }
    });
    &SCHEMA
}

/// The JSON of one activity, with all fields of `UnifiedActivity` in the order of its schema.
///
/// `customer` is the profile whose timeline shows it; without one, `CustomerId` is null.
pub fn activity_json(activity: &UnifiedActivity, customer: Option<&ProfileId>) -> String {
    let mut json = String::new();
    let mut object = Object::open(&mut json);
    push_activity(&mut object, activity, customer);
    object.close();
    json
}

/// One activity as a row of `UnifiedActivity`.
pub fn activity_row(activity: &UnifiedActivity, customer: &ProfileId) -> Row {
    let mut row = RowBuilder::default();
    for (_, _, value) in &FIELDS {
        row.push(&value(activity, Some(customer)));
    }
    row.finish()
}

/// Appends all fields of an activity.
pub(crate) fn push_activity(
    object: &mut Object<'_>,
    activity: &UnifiedActivity,
    customer: Option<&ProfileId>,
) {
    for (name, _, value) in &FIELDS {
        object.json(name, value(activity, customer).as_json());
    }
}

/// Orders activities: by customer, newest first, then by id.
pub(crate) type ActivityKey = (ProfileId, Reverse<Instant>, ActivityId);

/// Holds an activity that is shown, with its values ready for filters and orders.
pub(crate) struct ActivityRow {
    pub(crate) entry: TimelineEntry,
    key: ActivityKey,
    /// Made when asked for: a filter looks at few of the values, which can be long.
    values: [OnceCell<Literal>; FIELDS.len()],
}

impl ActivityRow {
    pub(crate) fn new(entry: TimelineEntry, customer: ProfileId) -> Self {
        let key = (
            customer,
            Reverse(entry.activity.time),
            entry.activity.id.clone(),
        );
        let values = std::array::from_fn(|_| OnceCell::new());
        Self { entry, key, values }
    }
}

impl Fields for ActivityRow {
    fn json(&self, ordinal: usize) -> &str {
        match (self.values.get(ordinal), FIELDS.get(ordinal)) {
            (Some(cell), Some((_, _, value))) => cell
                .get_or_init(|| value(&self.entry.activity, Some(&self.key.0)))
                .as_json(),
            _ => "null",
        }
    }
}

impl Candidate for ActivityRow {
    type Key = ActivityKey;

    fn key(&self) -> &ActivityKey {
        &self.key
    }
}

impl Show for ActivityRow {
    fn push_fields(&self, object: &mut Object<'_>, select: Option<&[usize]>, _: bool) {
        for (ordinal, (name, ..)) in FIELDS.iter().enumerate() {
            if select.is_none_or(|selected| selected.contains(&ordinal)) {
                object.json(name, self.json(ordinal));
            }
        }
    }
}

fn text(value: Option<&str>) -> Literal {
    value.map_or_else(Literal::null, Literal::text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_name_their_fields() {
        let schema = unified_activity_schema();
        for (ordinal, name) in [
            (ACTIVITY_ID, "ActivityId"),
            (CUSTOMER_ID, "CustomerId"),
            (ACTIVITY_TIME, "ActivityTime"),
        ] {
            assert_eq!(schema.find(name).map(|(at, _)| at), Some(ordinal));
        }
        let keys: Vec<_> = schema
            .attributes
            .iter()
            .filter(|attribute| attribute.role == AttributeRole::Key)
            .map(|attribute| attribute.name.as_str())
            .collect();
        assert_eq!(keys, ["ActivityId"]);
    }

    #[test]
    fn an_activity_has_all_fields_in_order_and_semantic_data_as_text() {
        let activity = UnifiedActivity {
            id: ActivityId::parse("a:1").expect("id"),
            time: Instant::parse("2026-11-23T12:00:00+01:00").expect("time"),
            activity_type: "Visit \"x\"".to_owned(),
            activity_type_display: None,
            activity_name: Some("n".to_owned()),
            title: None,
            description: None,
            external_url: None,
            entity_name: None,
            actual_activity_id: None,
            semantic_data: Some("{\"a\":1.50}".to_owned()),
        };
        let json = activity_json(&activity, None);
        assert_eq!(
            json,
            concat!(
                r#"{"ActivityId":"a:1","CustomerId":null,"ActivityTime":"2026-11-23T11:00:00.000Z","#,
                r#""ActivityType":"Visit \"x\"","ActivityTypeDisplay":null,"ActivityName":"n","#,
                r#""Title":null,"Description":null,"ExternalUrl":null,"EntityName":null,"#,
                r#""ActualActivityId":null,"SemanticData":"{\"a\":1.50}"}"#
            )
        );
    }
}
