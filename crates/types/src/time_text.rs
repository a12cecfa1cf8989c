//! Texts of dates and times, read strictly.
//! Owns their syntax; which years are allowed is the literal's part.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// Reads RFC 3339; without a zone it is UTC. Says whether it had a zone.
pub(crate) fn parse_instant(text: &str) -> Option<(DateTime<chrono::FixedOffset>, bool)> {
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some((instant, true));
    }
    if !has_shape(text.get(..19)?, "0000-00-00T00:00:00") {
        return None;
    }
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
        .ok()
        .map(|naive| (naive.and_utc().fixed_offset(), false))
}

/// Reads `YYYY-MM-DD`.
pub(crate) fn parse_date(text: &str) -> Option<NaiveDate> {
    has_shape(text, "0000-00-00")
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

/// Reads `HH:MM`, or `HH:MM:SS` with or without a fraction.
pub(crate) fn parse_time(text: &str) -> Option<NaiveTime> {
    if !has_shape(text.get(..5)?, "00:00")
        || !(text.len() == 5 || has_shape(text.get(5..8)?, ":00"))
    {
        return None;
    }
    ["%H:%M:%S%.f", "%H:%M"]
        .iter()
        .find_map(|form| NaiveTime::parse_from_str(text, form).ok())
        .filter(|time| time.nanosecond() < 1_000_000_000)
}

/// Whether a text is as long as `shape`, with a digit for each `0` and no hyphen for each `_`.
///
/// chrono also takes signs, blanks and single digits, which no Edm literal has.
pub(crate) fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(byte, expected): (u8, u8)| match expected {
        b'0' => byte.is_ascii_digit(),
        b'_' => byte != b'-',
        _ => byte == expected,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

/// Reads a time by a chrono pattern, in UTC; a date alone is midnight.
pub(crate) fn parse_with_format(text: &str, format: &str) -> Option<NaiveDateTime> {
    DateTime::parse_from_str(text, format)
        .map(|zoned| zoned.naive_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, format))
        .or_else(|_| {
            NaiveDate::parse_from_str(text, format).map(|date| date.and_time(NaiveTime::MIN))
        })
        .ok()
}
