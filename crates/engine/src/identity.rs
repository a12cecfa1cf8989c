//! What tells a repeated activity from another one (rules 4.5): its id and the hash of its content.
//! Owns the normal form of a document: equal values give equal bytes, however they were spelled.

use std::fmt::Write as _;

use sanntid_types::{ActivityId, EntitySchema, Number, ProfileId, Row, UnifiedActivity, scalar_of};

/// The first byte that is hashed; another normal form gets another number.
const CONTENT_VERSION: u8 = 1;
/// How deeply `SemanticData` may be nested.
const JSON_DEPTH_MAX: usize = 64;

/// The id of a source's row: `Entity:primaryKey`.
///
/// Where that is no activity id (over 100 characters, or with control characters), it is the
/// BLAKE3 hash of that text, as 64 lower-case hex digits.
pub(crate) fn source_id(entity: &str, key: &str) -> ActivityId {
    let text = format!("{entity}:{key}");
    ActivityId::parse(&text)
        .unwrap_or_else(|_| content_id(blake3::hash(text.as_bytes()).as_bytes()))
}

/// The id of an activity that has no other: the hash of its content, as hex digits.
pub(crate) fn content_id(hash: &[u8; 32]) -> ActivityId {
    let mut text = String::with_capacity(64);
    for byte in hash {
        write!(text, "{byte:02x}").expect("writing to a String can't fail");
    }
    ActivityId::parse(&text).expect("64 hex digits are an id")
}

/// Hashes the content of a document in the unified format, without its `ActivityId`.
///
/// The id is what two documents with this content are compared under; a document that gives the
/// id that another one derives has the same content.
pub(crate) fn unified_content(customer: &ProfileId, activity: &UnifiedActivity) -> [u8; 32] {
    let mut content = Content::new("unified");
    content.field("customer", Some(customer.as_str()));
    content.field("time", Some(&activity.time.as_millis().to_string()));
    content.field("type", Some(&activity.activity_type));
    content.field("typeDisplay", activity.activity_type_display.as_deref());
    content.field("name", activity.activity_name.as_deref());
    content.field("title", activity.title.as_deref());
    content.field("description", activity.description.as_deref());
    content.field("url", activity.external_url.as_deref());
    let entity = activity.entity_name.as_deref();
    content.field("entity", entity.map(str::to_ascii_lowercase).as_deref());
    content.field("actualId", activity.actual_activity_id.as_deref());
    let semantic = activity.semantic_data.as_deref().map(normal_or_raw);
    content.field("semantic", semantic.as_deref());
    content.finish()
}

/// Hashes the content of a document in the source format: its columns that are not null.
pub(crate) fn source_content(schema: &EntitySchema, row: &Row) -> [u8; 32] {
    let mut content = Content::new("source");
    content.field("", Some(schema.name.as_str()));
    let mut columns: Vec<_> = schema
        .attributes
        .iter()
        .zip(row.iter())
        .filter(|(_, json)| *json != "null")
        .map(|(attribute, json)| {
            (
                attribute.name.to_ascii_lowercase(),
                attribute.data_type,
                json,
            )
        })
        .collect();
    columns.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    for (name, data_type, json) in columns {
        let mut normal = String::new();
        match scalar_of(data_type, json) {
            Some(scalar) => scalar.write_normal(&mut normal),
            None => normal.push_str(json),
        }
        content.field(&name, Some(&normal));
    }
    content.finish()
}

/// Whether two JSON texts hold the same value.
pub(crate) fn same_json(a: &str, b: &str) -> bool {
    normal_or_raw(a) == normal_or_raw(b)
}

struct Content(blake3::Hasher);

impl Content {
    fn new(format: &str) -> Self {
        let mut content = Self(blake3::Hasher::new());
        content.0.update(&[CONTENT_VERSION]);
        content.part(format);
        content
    }

    /// Adds one field; a field without a value is as one that is not there.
    fn field(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.part(name);
            self.part(value);
        }
    }

    fn part(&mut self, part: &str) {
        self.0.update(&(part.len() as u64).to_le_bytes());
        self.0.update(part.as_bytes());
    }

    fn finish(self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

/// Takes the blanks out of valid JSON; values keep their spelling.
pub(crate) fn compact_json(json: &str) -> String {
    let mut compact = String::with_capacity(json.len());
    let (mut in_text, mut escaped) = (false, false);
    for character in json.chars() {
        if in_text || !matches!(character, ' ' | '\t' | '\n' | '\r') {
            compact.push(character);
        }
        if escaped {
            escaped = false;
        } else if character == '"' {
            in_text = !in_text;
        } else {
            escaped = in_text && character == '\\';
        }
    }
    compact
}

/// The one text that all spellings of a JSON value share: members by name, numbers by value.
pub(crate) fn normal_json(json: &str) -> Result<String, &'static str> {
    let mut out = String::with_capacity(json.len());
    let mut reader = JsonReader { rest: json };
    reader.value(0, &mut out)?;
    reader.skip_blanks();
    if reader.rest.is_empty() {
        Ok(out)
    } else {
        Err(NOT_JSON)
    }
}

fn normal_or_raw(json: &str) -> String {
    normal_json(json).unwrap_or_else(|_| json.to_owned())
}

const NOT_JSON: &str = "is not valid JSON";

struct JsonReader<'a> {
    rest: &'a str,
}

impl<'a> JsonReader<'a> {
    fn value(&mut self, depth: usize, out: &mut String) -> Result<(), &'static str> {
        if depth > JSON_DEPTH_MAX {
            return Err("is nested deeper than 64 levels");
        }
        self.skip_blanks();
        if self.rest.starts_with('"') {
            out.push_str(&self.text()?);
        } else if self.take('{') {
            self.object(depth, out)?;
        } else if self.take('[') {
            self.array(depth, out)?;
        } else {
            let word = self.word()?;
            match Number::parse(word) {
                Some(number) => number.write_normal(out),
                None => out.push_str(word),
            }
        }
        Ok(())
    }

    fn object(&mut self, depth: usize, out: &mut String) -> Result<(), &'static str> {
        let mut members = Vec::new();
        self.skip_blanks();
        if !self.take('}') {
            loop {
                self.skip_blanks();
                let name = self.text()?;
                self.skip_blanks();
                self.expect(':')?;
                let mut value = String::new();
                self.value(depth + 1, &mut value)?;
                members.push((name, value));
                self.skip_blanks();
                if self.take('}') {
                    break;
                }
                self.expect(',')?;
            }
        }
        // Stable: of a name that stands there twice, the order is kept.
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        out.push('{');
        for (name, value) in members {
            out.push_str(&name);
            out.push(':');
            out.push_str(&value);
            out.push(',');
        }
        out.push('}');
        Ok(())
    }

    fn array(&mut self, depth: usize, out: &mut String) -> Result<(), &'static str> {
        out.push('[');
        self.skip_blanks();
        if !self.take(']') {
            loop {
                self.value(depth + 1, out)?;
                out.push(',');
                self.skip_blanks();
                if self.take(']') {
                    break;
                }
                self.expect(',')?;
            }
        }
        out.push(']');
        Ok(())
    }

    /// A JSON string with serde_json's escapes and no others.
    fn text(&mut self) -> Result<String, &'static str> {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find(|(_, character)| {
            let ends = *character == '"' && !escaped;
            escaped = *character == '\\' && !escaped;
            ends
        });
        let (token, rest) = end
            .and_then(|(end, _)| self.rest.split_at_checked(end + 1))
            .ok_or(NOT_JSON)?;
        self.rest = rest;
        let text: String =
            serde_json::from_str(token).map_err(|_| "holds text that is not Unicode")?;
        if text.contains('\0') {
            return Err("holds the control character U+0000");
        }
        Ok(serde_json::Value::from(text).to_string())
    }

    fn word(&mut self) -> Result<&'a str, &'static str> {
        let ends = |character| matches!(character, ',' | ']' | '}' | ' ' | '\t' | '\n' | '\r');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).ok_or(NOT_JSON)?;
        self.rest = rest;
        if word.is_empty() {
            Err(NOT_JSON)
        } else {
            Ok(word)
        }
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    fn take(&mut self, character: char) -> bool {
        match self.rest.strip_prefix(character) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, character: char) -> Result<(), &'static str> {
        if self.take(character) {
            Ok(())
        } else {
            Err(NOT_JSON)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_the_same_by_value_however_it_is_spelled() {
        for (a, b) in [
            (
                r#"{"a": 1.50, "b": [true, null]}"#,
                r#"{"b":[true,null],"a":15e-1}"#,
            ),
            (r#"{"\u0061": "\u00e5\/"}"#, r#"{"a":"å/"}"#),
            ("{ }", "{}"),
            ("[ ]", "[]"),
        ] {
            assert!(same_json(a, b), "{a} {b}");
        }
        for (a, b) in [
            (r#"{"a": "1"}"#, r#"{"a": 1}"#),
            (r#"{"a": [1, 2]}"#, r#"{"a": [2, 1]}"#),
            (r#"{"a": 9007199254740993}"#, r#"{"a": 9007199254740992}"#),
            (r#"{"a": 1}"#, r#"{"A": 1}"#),
            (r#"{"a": "x,b:y"}"#, r#"{"a": "x", "b": "y"}"#),
        ] {
            assert!(!same_json(a, b), "{a} {b}");
        }
    }

    #[test]
    fn nesting_has_a_limit_and_bad_json_is_refused() {
        let nested = |depth| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(normal_json(&nested(JSON_DEPTH_MAX)).is_ok());
        assert!(normal_json(&nested(JSON_DEPTH_MAX + 1)).is_err());
        for bad in [
            "",
            "{",
            "[1",
            "{\"a\" 1}",
            "\"",
            "\"\\ud800\"",
            "{} x",
            "[1,]",
            "{\"a\":}",
        ] {
            assert!(normal_json(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn compacting_keeps_what_stands_in_texts() {
        let json = "{ \"a b\" : \" \\\" x \" ,\n\"n\": 1.50 }";
        assert_eq!(compact_json(json), "{\"a b\":\" \\\" x \",\"n\":1.50}");
    }

    #[test]
    fn a_long_source_key_is_hashed() {
        assert_eq!(source_id("E", "1").as_str(), "E:1");
        let (fits, long) = ("k".repeat(98), "k".repeat(99));
        assert_eq!(source_id("E", &fits).as_str(), format!("E:{fits}"));
        let hashed = source_id("E", &long);
        assert_eq!(
            hashed.as_str(),
            blake3::hash(format!("E:{long}").as_bytes())
                .to_hex()
                .as_str()
        );
        assert_ne!(hashed, source_id("F", &long));
        assert_eq!(source_id("E", "a\nb").as_str().len(), 64);
    }
}
