//! Request documents: the forms in which clients send them, and an object's members.
//! Owns what is a document at all; what its members mean is decided elsewhere.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use sanntid_types::{Detail, Error, ErrorCode};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::problems::shown;

/// How many members a document may have.
const MEMBERS_MAX: usize = 4_096;

const EXPECTED: &str = "expected a JSON object such as {\"City\": \"Oslo\"}, \
                        or a JSON string that contains one";

/// Gives the document's text: the body itself, or what is inside it where it is a JSON string.
///
/// The published client sends the document as a JSON string literal; everybody else sends it bare.
pub fn document_text(body: &[u8]) -> Result<Cow<'_, str>, Error> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let place = error.valid_up_to();
        invalid(format!("the body is not UTF-8: byte {place} is wrong"))
    })?;
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid(format!("the body is empty; {EXPECTED}")));
    }
    if !text.starts_with('"') {
        return Ok(Cow::Borrowed(text));
    }
    serde_json::from_str::<String>(text)
        .map(Cow::Owned)
        .map_err(|error| invalid(format!("the body is not valid JSON: {error}; {EXPECTED}")))
}

/// Holds the members of a document in their order, each name once.
pub(crate) struct Members<'a> {
    pub(crate) fields: Vec<(String, &'a RawValue)>,
    /// The names that come again, in any case (rules 3.2).
    pub(crate) problems: Vec<Detail>,
}

/// Gives the members of a document.
pub(crate) fn members(document: &str) -> Result<Members<'_>, Error> {
    let mut reader = serde_json::Deserializer::from_str(document);
    let mut fields = Reader
        .deserialize(&mut reader)
        .and_then(|fields| reader.end().map(|()| fields))
        .map_err(|error| explain(document, &error))?;
    let mut seen = BTreeSet::new();
    let mut problems = Vec::new();
    fields.retain(|(name, _)| {
        let is_new = seen.insert(name.to_ascii_lowercase());
        if !is_new {
            let text = "the same field stands here twice (names ignore case)";
            problems.push(Detail::new(ErrorCode::DuplicateField, &shown(name), text));
        }
        is_new
    });
    Ok(Members { fields, problems })
}

fn explain(document: &str, error: &serde_json::Error) -> Error {
    let document = document.trim_start();
    let hint = if document.starts_with("{'") || document.starts_with("{u'") {
        "; this looks like a Python repr: send json.dumps(document), not str(document)"
    } else {
        ""
    };
    invalid(format!(
        "the document can't be read: {error}{hint}; {EXPECTED}"
    ))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidBody, message)
}

struct Reader;

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Vec<(String, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.len() == MEMBERS_MAX {
                let text = format!("it has more than {MEMBERS_MAX} fields");
                return Err(serde::de::Error::custom(text));
            }
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &[u8]) -> Result<Vec<String>, Error> {
        let text = document_text(body)?;
        let members = members(&text)?;
        match members.problems.is_empty() {
            true => Ok(members.fields.into_iter().map(|(name, _)| name).collect()),
            false => Err(Error::of_details("twice", members.problems)),
        }
    }

    #[test]
    fn an_object_and_a_string_that_contains_one_are_the_same() {
        assert_eq!(
            names(br#" {"City": "Oslo", "b": [1]} "#).expect("object"),
            ["City", "b"]
        );
        assert_eq!(
            names(br#""{\"City\": \"Oslo\"}""#).expect("string"),
            ["City"]
        );
    }

    #[test]
    fn other_bodies_are_refused_with_a_hint() {
        for (body, hint) in [
            (&b""[..], "empty"),
            (b"[1]", "JSON object"),
            (b"42", "JSON object"),
            (b"{\"a\": 1} x", "trailing"),
            (b"{\"a\": ", "EOF"),
            (b"{'a': 1}", "Python repr"),
            (b"\"{'a': 1}\"", "Python repr"),
            (b"\xff", "UTF-8"),
            (b"\"\\ud800\"", "not valid JSON"),
        ] {
            let error = names(body).expect_err("refused");
            assert_eq!(error.code, ErrorCode::InvalidBody);
            assert!(error.message.contains(hint), "{body:?}: {}", error.message);
        }
    }

    #[test]
    fn a_name_twice_in_any_case_is_refused() {
        let error = names(br#"{"City": 1, "b": 2, "CITY": 3}"#).expect_err("twice");
        assert_eq!(error.code, ErrorCode::DuplicateField);
        assert_eq!(error.details.first().expect("detail").target, "CITY");
    }

    #[test]
    fn deep_nesting_costs_no_stack() {
        let deep = format!("{{\"a\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(
            names(deep.as_bytes()).expect("members are not looked into"),
            ["a"]
        );
    }
}
