//! Our own instants: UTC milliseconds (rules 2.1), and the port they come from.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};

use crate::time_text::parse_instant;

/// Gives the time. The one real implementation lives in the server; tests inject a simulated one.
pub trait Clock: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Instant;

    /// Whether the instants can be relied on: false while the wall clock disagrees with a
    /// monotonic one (rules 2.4).
    fn is_trusted(&self) -> bool {
        true
    }

    /// Takes the present instant to be right: an operator has said so.
    fn confirm(&self) {}
}

/// Holds a UTC instant in milliseconds since the Unix epoch; RFC 3339 in text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(i64);

impl Instant {
    /// Years 0001 to 9999, so that every instant prints as RFC 3339.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The last millisecond of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// Takes milliseconds since the epoch, held within `MIN..=MAX`.
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; without a zone it is UTC. Digits below a millisecond are cut.
    pub fn parse(text: &str) -> Option<Self> {
        let (instant, _) = parse_instant(text)?;
        let millis = instant.timestamp_millis();
        (Self::MIN.0..=Self::MAX.0)
            .contains(&millis)
            .then_some(Self(millis))
    }

    /// The instant `span` later, at most `MAX`.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(span))
    }

    /// The instant `span` earlier, at least `MIN`.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        let span = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(span))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&utc.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Instant {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| {
                serde::de::Error::custom(format!("{text:?} is not an RFC 3339 time"))
            })
        } else {
            i64::deserialize(deserializer).map(Self::from_millis)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_read_and_print_as_utc_milliseconds() {
        for (text, printed) in [
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000Z"),
            ("2026-11-23T13:00:00.1239+01:00", "2026-11-23T12:00:00.123Z"),
            ("2026-11-23T12:00:00", "2026-11-23T12:00:00.000Z"),
        ] {
            assert_eq!(Instant::parse(text).expect(text).to_string(), printed);
        }
        for bad in ["", "2026-11-23", "now", "2026-13-01T00:00:00Z"] {
            assert_eq!(Instant::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn arithmetic_stays_printable() {
        assert_eq!(Instant::MAX.plus(Duration::MAX), Instant::MAX);
        assert_eq!(Instant::MIN.minus(Duration::from_secs(1)), Instant::MIN);
        assert_eq!(Instant::MAX.to_string(), "9999-12-31T23:59:59.999Z");
    }
}
