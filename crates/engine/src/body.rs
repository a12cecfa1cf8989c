//! Request documents: the forms in which clients send them, and an object's members.
//! Owns what is a document at all; what its members mean is decided elsewhere.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use sanntid_types::{Detail, Error, ErrorCode};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

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

/// Gives the members of a document in their order; a name that comes twice, in any case, is refused.
pub(crate) fn members(document: &str) -> Result<Vec<(Cow<'_, str>, &RawValue)>, Error> {
    let mut reader = serde_json::Deserializer::from_str(document);
    let members = Members
        .deserialize(&mut reader)
        .and_then(|members| reader.end().map(|()| members))
        .map_err(|error| explain(document, &error))?;
    let mut seen = BTreeSet::new();
    let twice: Vec<Detail> = members
        .iter()
        .filter(|(name, _)| !seen.insert(name.to_ascii_lowercase()))
        .map(|(name, _)| {
            let text = "the same field stands here twice (names ignore case)";
            Detail::new(ErrorCode::DuplicateField, name, text)
        })
        .collect();
    if twice.is_empty() {
        Ok(members)
    } else {
        Err(Error::of_details("the document names a field twice", twice))
    }
}

fn explain(document: &str, error: &serde_json::Error) -> Error {
    let document = document.trim_start();
    let hint = if document.starts_with("{'") || document.starts_with("{u'") {
        "; this looks like a Python repr: send json.dumps(document), not str(document)"
    } else {
        ""
    };
    invalid(format!(
        "the document is not a JSON object: {error}{hint}; {EXPECTED}"
    ))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidBody, message)
}

struct Members;

impl<'de> DeserializeSeed<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            members.push((Cow::Owned(name), map.next_value()?));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &[u8]) -> Result<Vec<String>, Error> {
        let text = document_text(body)?;
        Ok(members(&text)?
            .into_iter()
            .map(|(name, _)| name.into_owned())
            .collect())
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
