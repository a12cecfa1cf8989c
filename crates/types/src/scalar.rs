//! A value read for comparing: what `eq`, sorting, ETags and identity look at (rules 3.3).
//! Owns the order of values; must not be used to print them, which is the literal's part.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt::{self, Write as _};

use chrono::{NaiveDate, NaiveTime, Timelike};

use crate::Number;

/// Holds one value in the form in which it compares.
#[derive(Clone, Debug)]
pub enum Scalar<'a> {
    Null,
    Boolean(bool),
    /// `Edm.Int16`, `Edm.Int32`, `Edm.Int64` and `Edm.Decimal`.
    Number(Number<'a>),
    Double(f64),
    Text(Cow<'a, str>),
    Date(NaiveDate),
    /// Nanoseconds since the Unix epoch.
    Instant(i128),
    Time(NaiveTime),
    Guid(uuid::Uuid),
}

impl Scalar<'_> {
    /// Compares two values of one declared type; `None` where the types don't compare.
    ///
    /// Null is the lowest; text goes by code point (rules 5.1); a number and a double compare as
    /// doubles; NaN is the highest double.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => a.cmp(b),
            (Self::Double(a), Self::Double(b)) => compare_doubles(*a, *b),
            (Self::Number(a), Self::Double(b)) => compare_doubles(to_double(a), *b),
            (Self::Double(a), Self::Number(b)) => compare_doubles(*a, to_double(b)),
            (Self::Text(a), Self::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Guid(a), Self::Guid(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// Whether this is the null value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Appends a text that is equal for equal values and different for different ones.
    pub fn write_normal(&self, out: &mut String) {
        match self {
            Self::Null => out.push('~'),
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::Number(value) => value.write_normal(out),
            Self::Double(value) => {
                // -0.0 equals 0.0, so both take the text of 0.0.
                let value = if *value == 0.0 { 0.0 } else { *value };
                push(out, value);
            }
            Self::Text(value) => {
                out.push('\'');
                out.push_str(value);
            }
            Self::Date(value) => push(out, value),
            Self::Instant(value) => push(out, value),
            Self::Time(value) => {
                push(out, value.num_seconds_from_midnight());
                out.push('.');
                push(out, value.nanosecond());
            }
            Self::Guid(value) => push(out, value),
        }
    }
}

impl PartialEq for Scalar<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }
}

fn push(out: &mut String, value: impl fmt::Display) {
    write!(out, "{value}").expect("writing to a String can't fail");
}

fn to_double(number: &Number<'_>) -> f64 {
    let mut text = String::new();
    number.write_normal(&mut text);
    // The normal text is `digits e place-of-first-digit`; put the dot behind the first digit.
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let (first, rest) = digits.split_at(digits.len().min(1));
    format!("{sign}{first}.{rest}e{exponent}")
        .parse()
        .unwrap_or(f64::NAN)
}

fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_doubles_meet_by_value() {
        let number = |text| Scalar::Number(Number::parse(text).expect(text));
        assert_eq!(number("150"), Scalar::Double(150.0));
        assert_eq!(number("0"), Scalar::Double(-0.0));
        assert_eq!(number("-1.25e2"), Scalar::Double(-125.0));
        assert!(number("1").compare(&Scalar::Double(f64::NAN)) == Some(Ordering::Less));
    }

    #[test]
    fn null_is_lowest_and_other_types_do_not_compare() {
        let text = Scalar::Text("a".into());
        assert_eq!(Scalar::Null.compare(&text), Some(Ordering::Less));
        assert_eq!(text.compare(&Scalar::Boolean(true)), None);
    }

    #[test]
    fn text_goes_by_code_point() {
        let text = |value: &'static str| Scalar::Text(value.into());
        assert_eq!(text("Z").compare(&text("a")), Some(Ordering::Less));
        assert_eq!(
            text("\u{ffff}").compare(&text("\u{10000}")),
            Some(Ordering::Less)
        );
    }
}
