//! How a file's columns find their attributes, and how a value is read for one.
//! Owns the matching of names and the reasons why a value is refused. The same for all kinds.

use std::collections::HashMap;

use sanntid_types::{Attribute, EdmType, EntitySchema, Literal, LiteralError};

use crate::Error;

/// How many of a file's columns an error names.
const COLUMNS_SHOWN_MAX: usize = 50;
/// How many characters of a refused text a reason shows.
const SHOWN_LENGTH_MAX: usize = 60;

/// Holds an entity's attributes in order, to be found by a column's name.
pub(crate) struct Columns {
    attributes: Vec<Attribute>,
    key: Option<usize>,
    by_name: HashMap<String, usize>,
    /// The name looked up last, in the form in which `by_name` has it.
    wanted: String,
}

impl Columns {
    pub(crate) fn of(schema: &EntitySchema) -> Self {
        let mut by_name = HashMap::new();
        // An attribute's own name goes before what another one is called by people.
        let own = |attribute: &Attribute| Some(attribute.name.clone());
        let friendly = |attribute: &Attribute| attribute.friendly_name.clone();
        for name_of in [own as fn(&Attribute) -> Option<String>, friendly] {
            for (ordinal, attribute) in schema.attributes.iter().enumerate() {
                if let Some(name) = name_of(attribute) {
                    let mut normal = String::new();
                    write_normal(&name, &mut normal);
                    by_name.entry(normal).or_insert(ordinal);
                }
            }
        }
        Self {
            attributes: schema.attributes.clone(),
            key: schema.key,
            by_name,
            wanted: String::new(),
        }
    }

    /// The attributes in the order of the schema.
    pub(crate) fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    /// The ordinal of the attribute that a column of this name holds, where one is declared.
    pub(crate) fn find(&mut self, column: &str) -> Option<usize> {
        write_normal(column, &mut self.wanted);
        self.by_name.get(self.wanted.as_str()).copied()
    }

    /// Finds for each attribute the place of the column that holds it.
    ///
    /// # Errors
    /// An attribute has no column, or more than one.
    pub(crate) fn place<'a>(
        &mut self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<usize>, Error> {
        let mut places = vec![None; self.attributes.len()];
        let mut found = String::new();
        for (column, name) in names.enumerate() {
            if column < COLUMNS_SHOWN_MAX {
                let separator = if found.is_empty() { "" } else { ", " };
                found.push_str(separator);
                found.push_str(&shorten(name));
            } else if column == COLUMNS_SHOWN_MAX {
                found.push_str(", …");
            }
            let ordinal = self.find(name);
            if let Some(place) = ordinal.and_then(|ordinal| places.get_mut(ordinal))
                && place.replace(column).is_some()
            {
                let column = shorten(name);
                return Err(Error::ColumnTwice { column });
            }
        }
        let missing: Vec<&str> = self
            .attributes
            .iter()
            .zip(&places)
            .filter(|(_, place)| place.is_none())
            .map(|(attribute, _)| attribute.friendly_name.as_ref().unwrap_or(&attribute.name))
            .map(String::as_str)
            .collect();
        if missing.is_empty() {
            return Ok(places.into_iter().flatten().collect());
        }
        Err(Error::ColumnsMissing {
            columns: missing.join(", "),
            found,
        })
    }

    /// The attribute's name, for a rejection.
    pub(crate) fn name(&self, ordinal: usize) -> Option<String> {
        self.attributes
            .get(ordinal)
            .map(|attribute| attribute.name.clone())
    }

    /// Refuses a value that can't be the key.
    pub(crate) fn check_key(&self, ordinal: usize, value: &Literal) -> Result<(), String> {
        if self.key == Some(ordinal) && (value.is_null() || value.as_json() == "\"\"") {
            return Err("expected a value, because this is the key; there is none".to_owned());
        }
        Ok(())
    }
}

/// Reads a value that a file has as text.
///
/// Empty text is null, except where an `Edm.String` says otherwise. Around all other types blanks
/// mean nothing, so that text of blanks alone is null for them too.
pub(crate) fn read_text(attribute: &Attribute, text: &str) -> Result<Literal, String> {
    let (data_type, format) = (attribute.data_type, attribute.format.as_deref());
    let is_text = data_type == EdmType::String;
    if text.is_empty() || (!is_text && text.trim().is_empty()) {
        return Ok(empty(attribute));
    }
    Literal::from_text(data_type, format, text).map_err(|error| match (error, format) {
        (LiteralError::Type { got, .. }, Some(format)) => {
            let name = data_type.name();
            format!("expected {name} in the format {format}, got {got}")
        }
        (LiteralError::Type { got, .. }, None) if data_type == EdmType::Boolean => {
            format!("expected Edm.Boolean as true, false, 1 or 0, got {got}")
        }
        (LiteralError::Year, _) => format!("{}, got {}", LiteralError::Year, shorten(text)),
        (error, _) => error.to_string(),
    })
}

/// Reads a value that a file has as JSON: an Edm literal, or a text in the declared format.
///
/// Empty text is what it is in any file: null, except where an `Edm.String` says otherwise.
pub(crate) fn read_json(attribute: &Attribute, json: &str) -> Result<Literal, String> {
    let (data_type, format) = (attribute.data_type, attribute.format.as_deref());
    if json == "\"\"" {
        return Ok(empty(attribute));
    }
    let error = match Literal::from_json(data_type, json) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let Some(format) = format else {
        return Err(match error {
            LiteralError::Year => format!("{error}, got {}", shorten(json)),
            LiteralError::Type { .. } | LiteralError::Nul => error.to_string(),
        });
    };
    match serde_json::from_str::<String>(json) {
        Ok(text) => read_text(attribute, &text),
        Err(_) => Err(format!("{error}, or a text in the format {format}")),
    }
}

/// The start of a text, for a reason.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LENGTH_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn empty(attribute: &Attribute) -> Literal {
    if attribute.empty_is_value && attribute.data_type == EdmType::String {
        Literal::text("")
    } else {
        Literal::null()
    }
}

/// Writes a name so that names which mean the same column are equal: in one case, and with `_` for
/// what the name of an attribute can't have (as a manifest maps it).
fn write_normal(name: &str, normal: &mut String) {
    normal.clear();
    normal.extend(name.chars().map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '_'
        }
    }));
}

#[cfg(test)]
mod tests {
    use sanntid_types::{EntityName, EntityType};

    use super::*;

    #[test]
    fn columns_find_their_attribute_by_either_name_whatever_the_case() {
        let attribute = |name: &str, friendly: Option<&str>| Attribute {
            friendly_name: friendly.map(str::to_owned),
            ..Attribute::plain(name, EdmType::String)
        };
        let mut columns = Columns::of(&EntitySchema {
            name: EntityName::parse("Orders").expect("name"),
            friendly_name: None,
            entity_type: EntityType::Activity,
            attributes: vec![
                attribute("Loyalty_Tier", Some("Loyalty Tier")),
                attribute("Gr__e", Some("Größe")),
                attribute("Other", Some("Shown")),
                attribute("Shown", None),
            ],
            key: None,
        });
        for (column, ordinal) in [
            ("Loyalty Tier", Some(0)),
            ("LOYALTY_TIER", Some(0)),
            ("loyalty-tier", Some(0)),
            ("Loyalty  Tier", None),
            (" Loyalty Tier", None),
            ("GRÖßE", Some(1)),
            ("other", Some(2)),
            ("shown", Some(3)),
            ("", None),
        ] {
            assert_eq!(columns.find(column), ordinal, "{column:?}");
        }
    }
}
