//! What an audit log holds: who did what, from where, to what, when, and with which result.
//!
//! Owns the words of a record. Must not hold a secret: whoever makes a note says what was changed,
//! never a key's text.

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::{Actor, AuditId, ErrorCode, Instant};

/// Longest text of a note, in characters; the rest is cut off.
const TEXT_CHARS_MAX: usize = 256;

/// One entry of an audit log. It is never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// Unique; of two of the same instant the later one has the larger.
    pub id: AuditId,
    pub at: Instant,
    /// Also says which operation it was.
    pub by: Actor,
    pub outcome: AuditOutcome,
    #[serde(flatten)]
    pub note: AuditNote,
}

/// Says whether something was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuditOutcome {
    /// It is durable, together with the record.
    Done,
    /// Nothing was changed.
    Refused(ErrorCode),
}

/// Says what a change was about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditNote {
    /// The thing within the instance that was changed, such as the id of a data source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What it is now, as far as it was changed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl AuditNote {
    /// A note about one thing of the instance.
    pub fn of(target: impl Display) -> Self {
        Self::default().about(target)
    }

    /// Says which thing it is about.
    #[must_use]
    pub fn about(self, target: impl Display) -> Self {
        Self {
            target: Some(cut(&target.to_string())),
            ..self
        }
    }

    /// Adds what something is now.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Display) -> Self {
        self.details
            .insert(name.to_owned(), cut(&value.to_string()));
        self
    }

    /// Adds the members of an object that are others than before; both are taken as their JSON.
    #[must_use]
    pub fn with_changes<T: Serialize>(mut self, before: &T, after: &T) -> Self {
        let members = |value: &T| match serde_json::to_value(value) {
            Ok(serde_json::Value::Object(members)) => members,
            Ok(_) | Err(_) => serde_json::Map::new(),
        };
        let (before, after) = (members(before), members(after));
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            self = self.with(name, "none");
        }
        for (name, value) in &after {
            if before.get(name) != Some(value) {
                self = match value.as_str() {
                    Some(text) => self.with(name, text),
                    None => self.with(name, value),
                };
            }
        }
        self
    }
}

/// Cuts a text where it is too long.
fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_what_has_changed_and_no_more() {
        #[derive(Serialize)]
        struct Thing {
            name: &'static str,
            limit: Option<u32>,
            same: bool,
            #[serde(skip_serializing_if = "Option::is_none")]
            gone: Option<u32>,
        }
        let thing = |name, limit, gone| Thing {
            name,
            limit,
            same: true,
            gone,
        };
        let before = thing("a", None, Some(1));
        let after = thing("b", Some(5), None);
        let note = AuditNote::of("t").with_changes(&before, &after);
        let details: Vec<_> = note.details.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(details, [("gone", "none"), ("limit", "5"), ("name", "b")]);
        assert_eq!(
            AuditNote::default().with_changes(&after, &after),
            AuditNote::default()
        );
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let long = "ø".repeat(300);
        let note = AuditNote::of(&long).with("x", &long);
        let cut = format!("{}…", "ø".repeat(256));
        assert_eq!(
            (note.target, note.details.get("x")),
            (Some(cut.clone()), Some(&cut))
        );
        assert_eq!(AuditNote::of("ø".repeat(256)).target, Some("ø".repeat(256)));
    }

    #[test]
    fn a_record_reads_back() {
        let record = AuditRecord {
            id: AuditId(uuid::Uuid::from_u128(7)),
            at: Instant::from_millis(5),
            by: Actor::server("run_schedule"),
            outcome: AuditOutcome::Refused(ErrorCode::Forbidden),
            note: AuditNote::of("x").with("a", 1),
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<AuditRecord>(&text).unwrap(),
            record,
            "{text}"
        );
        let bare = AuditRecord {
            outcome: AuditOutcome::Done,
            note: AuditNote::default(),
            ..record
        };
        let text = serde_json::to_string(&bare).unwrap();
        assert_eq!(
            serde_json::from_str::<AuditRecord>(&text).unwrap(),
            bare,
            "{text}"
        );
    }
}
