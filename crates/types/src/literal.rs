//! Attribute values as they were written: a JSON scalar's text, valid for a declared type.
//! Owns reading values strictly (rules 3.3) from JSON and from a file's text. Must not round.

use std::borrow::Cow;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};

use crate::time_text::{has_shape, parse_date, parse_instant, parse_time, parse_with_format};
use crate::{EdmType, Number, Scalar};

/// Holds one value as compact JSON text, ready to be sent (`"Oslo"`, `12.50`, `true`, `null`).
///
/// Invariant: valid JSON, one scalar; strings carry serde_json's escapes and no others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Literal(Box<str>);

/// Says why a text is no value of a type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiteralError {
    #[error("expected {} as {}, got {got}", .expected.name(), hint(*.expected))]
    Type { expected: EdmType, got: String },
    #[error("the year must be between 1000 and 9999")]
    Year,
    #[error("control character U+0000 is not allowed")]
    Nul,
}

impl Literal {
    /// The value that overrides a field with "no value".
    pub fn null() -> Self {
        Self("null".into())
    }

    /// A text value of `Edm.String`.
    pub fn text(value: &str) -> Self {
        Self(quote(value))
    }

    /// The JSON text.
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }

    /// Reads a JSON value (its text, as `RawValue` keeps it) strictly as `edm`.
    ///
    /// `null` is a value of every type. `Edm.Int64` and `Edm.Decimal` may come as JSON strings.
    pub fn from_json(edm: EdmType, json: &str) -> Result<Self, LiteralError> {
        let json = json.trim();
        if json == "null" {
            return Ok(Self::null());
        }
        let wrong = || LiteralError::Type {
            expected: edm,
            got: shorten(json),
        };
        if json.starts_with('"') {
            let text: Cow<'_, str> = serde_json::from_str::<String>(json)
                .map(Cow::Owned)
                .map_err(|_| wrong())?;
            return match edm {
                EdmType::Boolean | EdmType::Int16 | EdmType::Int32 => Err(wrong()),
                EdmType::Double if !matches!(&*text, "INF" | "-INF" | "NaN") => Err(wrong()),
                EdmType::Double => Ok(Self(quote(&text))),
                _ => Self::from_plain(edm, &text),
            };
        }
        match edm {
            EdmType::Boolean if json == "true" || json == "false" => Ok(Self(json.into())),
            EdmType::Int16
            | EdmType::Int32
            | EdmType::Int64
            | EdmType::Decimal
            | EdmType::Double
                if serde_json::from_str::<&serde_json::value::RawValue>(json).is_ok() =>
            {
                Self::from_plain(edm, json)
            }
            _ => Err(wrong()),
        }
    }

    /// Reads a file's text as `edm`; `format` is a chrono pattern for dates.
    ///
    /// Text is kept verbatim; other types ignore blanks around the value; booleans are
    /// `true/false/1/0`. Empty text is the caller's business (`emptyIsValue`).
    pub fn from_text(edm: EdmType, format: Option<&str>, text: &str) -> Result<Self, LiteralError> {
        if edm == EdmType::String {
            return Self::from_plain(edm, text);
        }
        let text = text.trim();
        let wrong = || LiteralError::Type {
            expected: edm,
            got: shorten(text),
        };
        match (edm, format) {
            (EdmType::Boolean, _) => match text {
                "1" => Ok(Self("true".into())),
                "0" => Ok(Self("false".into())),
                _ => match text.to_ascii_lowercase().as_str() {
                    word @ ("true" | "false") => Ok(Self(word.into())),
                    _ => Err(wrong()),
                },
            },
            (EdmType::Date, Some(format)) => {
                let date = NaiveDate::parse_from_str(text, format).map_err(|_| wrong())?;
                check_year(date)?;
                Ok(Self(quote(&date.format("%Y-%m-%d").to_string())))
            }
            (EdmType::DateTimeOffset, Some(format)) => {
                let instant = parse_with_format(text, format).ok_or_else(wrong)?;
                check_year(instant.date())?;
                Ok(Self(quote(&format!(
                    "{}Z",
                    instant.format("%Y-%m-%dT%H:%M:%S%.f")
                ))))
            }
            // As of a posted row (rules 4.3): a date without a time is midnight UTC.
            (EdmType::DateTimeOffset, None) if parse_date(text).is_some() => {
                Self::from_plain(edm, &format!("{text}T00:00:00Z"))
            }
            (
                EdmType::Int16
                | EdmType::Int32
                | EdmType::Int64
                | EdmType::Decimal
                | EdmType::Double,
                _,
            ) => {
                let bare = text.strip_prefix('+').unwrap_or(text);
                if edm == EdmType::Double && matches!(bare, "INF" | "-INF" | "NaN") {
                    return Ok(Self(quote(bare)));
                }
                Self::from_plain(edm, bare)
            }
            _ => Self::from_plain(edm, text),
        }
    }

    /// Reads the value for comparing. A literal that was read as another type gives `None`.
    pub fn scalar(&self, edm: EdmType) -> Option<Scalar<'_>> {
        scalar_of(edm, &self.0)
    }

    fn from_plain(edm: EdmType, text: &str) -> Result<Self, LiteralError> {
        let wrong = || LiteralError::Type {
            expected: edm,
            got: shorten(text),
        };
        match edm {
            EdmType::String => {
                if text.contains('\0') {
                    return Err(LiteralError::Nul);
                }
                Ok(Self(quote(text)))
            }
            EdmType::Boolean => Err(wrong()),
            EdmType::Int16 | EdmType::Int32 | EdmType::Int64 => {
                let value = Number::parse(text)
                    .and_then(|n| n.to_i64())
                    .ok_or_else(wrong)?;
                let fits = match edm {
                    EdmType::Int16 => i16::try_from(value).is_ok(),
                    EdmType::Int32 => i32::try_from(value).is_ok(),
                    _ => true,
                };
                if !fits {
                    return Err(wrong());
                }
                Ok(Self(without_leading_zeros(text)))
            }
            EdmType::Decimal | EdmType::Double => {
                Number::parse(text).ok_or_else(wrong)?;
                let infinite = || text.parse::<f64>().is_ok_and(f64::is_infinite);
                if edm == EdmType::Double && infinite() {
                    return Err(wrong());
                }
                Ok(Self(without_leading_zeros(text)))
            }
            EdmType::Date => {
                let date = parse_date(text).ok_or_else(wrong)?;
                check_year(date)?;
                Ok(Self(quote(text)))
            }
            EdmType::DateTimeOffset => {
                let (instant, zoned) = parse_instant(text).ok_or_else(wrong)?;
                check_year(instant.date_naive())?;
                Ok(Self(if zoned {
                    quote(text)
                } else {
                    quote(&format!("{text}Z"))
                }))
            }
            EdmType::TimeOfDay => {
                parse_time(text).ok_or_else(wrong)?;
                Ok(Self(quote(text)))
            }
            EdmType::Guid => {
                // The uuid crate takes braces and texts without hyphens too.
                if !has_shape(text, "________-____-____-____-____________") {
                    return Err(wrong());
                }
                uuid::Uuid::try_parse(text).map_err(|_| wrong())?;
                Ok(Self(quote(text)))
            }
        }
    }
}

/// Reads a stored JSON text of type `edm` for comparing.
pub fn scalar_of(edm: EdmType, json: &str) -> Option<Scalar<'_>> {
    if json == "null" {
        return Some(Scalar::Null);
    }
    let text = || unquote(json);
    Some(match edm {
        EdmType::String => Scalar::Text(text()?),
        EdmType::Boolean => Scalar::Boolean(json.parse().ok()?),
        EdmType::Int16 | EdmType::Int32 | EdmType::Int64 | EdmType::Decimal => {
            Scalar::Number(Number::parse(json)?)
        }
        EdmType::Double => Scalar::Double(match json {
            "\"INF\"" => f64::INFINITY,
            "\"-INF\"" => f64::NEG_INFINITY,
            "\"NaN\"" => f64::NAN,
            _ => json.parse().ok()?,
        }),
        EdmType::Date => Scalar::Date(parse_date(&text()?)?),
        EdmType::DateTimeOffset => {
            let (instant, _) = parse_instant(&text()?)?;
            let nanos = i128::from(instant.timestamp()) * 1_000_000_000
                + i128::from(instant.timestamp_subsec_nanos());
            Scalar::Instant(nanos)
        }
        EdmType::TimeOfDay => Scalar::Time(parse_time(&text()?)?),
        EdmType::Guid => Scalar::Guid(uuid::Uuid::try_parse(&text()?).ok()?),
    })
}

fn check_year(date: NaiveDate) -> Result<(), LiteralError> {
    if (1000..=9999).contains(&date.year()) {
        Ok(())
    } else {
        Err(LiteralError::Year)
    }
}

fn quote(text: &str) -> Box<str> {
    let is_plain = |byte| byte >= b' ' && byte != b'"' && byte != b'\\';
    if !text.bytes().all(is_plain) {
        return serde_json::Value::from(text).to_string().into();
    }
    // By far most texts: one allocation of the right size.
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(text);
    quoted.push('"');
    quoted.into_boxed_str()
}

fn unquote(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str::<String>(json).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

fn without_leading_zeros(text: &str) -> Box<str> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    let bare = digits.trim_start_matches('0');
    let zero = if bare.starts_with(|first: char| first.is_ascii_digit()) {
        ""
    } else {
        "0"
    };
    format!("{sign}{zero}{bare}").into()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn hint(edm: EdmType) -> &'static str {
    match edm {
        EdmType::String => "a JSON string",
        EdmType::Boolean => "true or false",
        EdmType::Int16 => "a whole number from -32768 to 32767",
        EdmType::Int32 => "a whole number of 32 bits",
        EdmType::Int64 => "a whole number of 64 bits",
        EdmType::Decimal | EdmType::Double => "a number",
        EdmType::Date => "\"YYYY-MM-DD\"",
        EdmType::DateTimeOffset => "an RFC 3339 time like \"2026-11-23T12:00:00Z\"",
        EdmType::TimeOfDay => "a time like \"13:45:00\"",
        EdmType::Guid => "a UUID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(edm: EdmType, text: &str) -> Result<String, LiteralError> {
        Literal::from_json(edm, text).map(|literal| literal.as_json().to_owned())
    }

    #[test]
    fn literals_are_kept_as_written() {
        for (edm, text, kept) in [
            (EdmType::Decimal, "12.500", "12.500"),
            (
                EdmType::Decimal,
                "\"12345678901234567890.120\"",
                "12345678901234567890.120",
            ),
            (
                EdmType::Int64,
                "\"9223372036854775807\"",
                "9223372036854775807",
            ),
            (
                EdmType::DateTimeOffset,
                "\"2026-01-01T10:00:00.1200+01:00\"",
                "\"2026-01-01T10:00:00.1200+01:00\"",
            ),
            (
                EdmType::DateTimeOffset,
                "\"2026-01-01T10:00:00\"",
                "\"2026-01-01T10:00:00Z\"",
            ),
            (EdmType::String, "\"\\u00e5\\/\"", "\"å/\""),
            (EdmType::Boolean, "true", "true"),
            (EdmType::Date, "null", "null"),
            (EdmType::Double, "\"INF\"", "\"INF\""),
        ] {
            assert_eq!(json(edm, text).as_deref(), Ok(kept), "{edm:?} {text}");
        }
    }

    #[test]
    fn other_types_are_refused() {
        for (edm, text) in [
            (EdmType::String, "1"),
            (EdmType::Boolean, "\"true\""),
            (EdmType::Boolean, "1"),
            (EdmType::Int32, "\"1\""),
            (EdmType::Int32, "2147483648"),
            (EdmType::Int16, "1.5"),
            (EdmType::Int64, "9223372036854775808"),
            (EdmType::Double, "\"1.5\""),
            (EdmType::Decimal, "\"abc\""),
            (EdmType::Date, "\"2026-1-1\""),
            (EdmType::Date, "\"2026-02-30\""),
            (EdmType::Date, "\"0999-01-01\""),
            (EdmType::DateTimeOffset, "\"yesterday\""),
            (EdmType::TimeOfDay, "\"25:00:00\""),
            (EdmType::Guid, "\"x\""),
            (EdmType::String, "{}"),
            (EdmType::String, "\"a\\u0000\""),
            (EdmType::Double, "[1]"),
            (EdmType::Double, "1e400"),
            (EdmType::String, "\"\\ud800\""),
            (EdmType::String, "\"\\ud800\\u0041\""),
            (EdmType::String, "\"a\nb\""),
            (EdmType::String, "\"a\" \"b\""),
            (EdmType::Int64, "\" 1\""),
            (EdmType::Int64, "\"+1\""),
            (EdmType::Int64, "\"\""),
            (EdmType::Int32, "01"),
            (EdmType::Decimal, "NaN"),
            (EdmType::Decimal, ".5"),
            (EdmType::Boolean, "True"),
            (EdmType::Date, "\"+2026-1-01\""),
            (EdmType::Date, "\"2026- 1-01\""),
            (EdmType::Date, "\"2026-1-001\""),
            (EdmType::Date, "\"2026-01-01T\""),
            (EdmType::DateTimeOffset, "\"2026-1-1T1:2:3\""),
            (EdmType::DateTimeOffset, "\" 2026-01-01T01:02:03\""),
            (EdmType::DateTimeOffset, "\"+2026-01-01T01:02:03\""),
            (EdmType::DateTimeOffset, "\"2026-01-01T01:02:03Z \""),
            (EdmType::DateTimeOffset, "\"2026-01-01T01:02:03.Z\""),
            (EdmType::DateTimeOffset, "\"2026-01-01T01:02:03.\""),
            (EdmType::DateTimeOffset, "\"2026-01-01T01:02:03+0100\""),
            (EdmType::DateTimeOffset, "\"2026-01-01\""),
            (EdmType::DateTimeOffset, "1767225600"),
            (EdmType::TimeOfDay, "\"1:2:3\""),
            (EdmType::TimeOfDay, "\" 10:00\""),
            (EdmType::TimeOfDay, "\"10:00:00.\""),
            (EdmType::TimeOfDay, "\"10:00:60\""),
            (EdmType::Guid, "\"{00000000-0000-0000-0000-000000000001}\""),
            (EdmType::Guid, "\"00000000000000000000000000000001\""),
        ] {
            assert!(json(edm, text).is_err(), "{edm:?} {text}");
        }
    }

    #[test]
    fn file_texts_follow_the_declared_format() {
        let text = |edm, format, text| {
            Literal::from_text(edm, format, text).map(|literal| literal.as_json().to_owned())
        };
        assert_eq!(
            text(EdmType::Date, Some("%m/%d/%Y"), "1/20/2019").as_deref(),
            Ok("\"2019-01-20\"")
        );
        assert_eq!(text(EdmType::String, None, " a ").as_deref(), Ok("\" a \""));
        assert_eq!(text(EdmType::Boolean, None, "1").as_deref(), Ok("true"));
        assert_eq!(
            text(EdmType::Double, None, " +007.50").as_deref(),
            Ok("7.50")
        );
        assert_eq!(text(EdmType::Int64, None, "00").as_deref(), Ok("0"));
        assert_eq!(
            text(
                EdmType::DateTimeOffset,
                Some("%d.%m.%Y %H:%M"),
                "02.01.2026 10:30"
            )
            .as_deref(),
            Ok("\"2026-01-02T10:30:00Z\"")
        );
        assert_eq!(
            text(EdmType::DateTimeOffset, None, "2026-01-02").as_deref(),
            Ok("\"2026-01-02T00:00:00Z\"")
        );
        assert!(text(EdmType::Boolean, None, "yes").is_err());
    }

    #[test]
    fn equal_values_compare_equal_whatever_their_spelling() {
        for (edm, left, right) in [
            (EdmType::Decimal, "1.50", "1.5"),
            (
                EdmType::DateTimeOffset,
                "\"2026-01-01T10:00:00+01:00\"",
                "\"2026-01-01T09:00:00.000Z\"",
            ),
            (EdmType::TimeOfDay, "\"10:00\"", "\"10:00:00\""),
        ] {
            let left = Literal::from_json(edm, left).expect("left");
            let right = Literal::from_json(edm, right).expect("right");
            assert_eq!(left.scalar(edm), right.scalar(edm), "{edm:?}");
        }
    }
}
