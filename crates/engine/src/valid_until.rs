//! Until when a write holds (rules 3.4, 4.6): its text, the default, the limit and its tolerance.
//! Must not know what the write is.

use std::time::Duration;

use sanntid_types::{Error, ErrorCode, Instant, Settings};

/// How much of a text that is no time is said back, in characters.
const SHOWN_LENGTH_MAX: usize = 40;

/// Reads the text of `validUntil`: RFC 3339, without a zone UTC.
///
/// A space where the offset's `+` belongs is read as `+`: that is what an unescaped `+` becomes in
/// a query.
pub fn parse_valid_until(text: &str) -> Result<Instant, Error> {
    let with_plus = || {
        let (local, offset) = text.rsplit_once(' ')?;
        Instant::parse(&format!("{local}+{offset}"))
    };
    Instant::parse(text).or_else(with_plus).ok_or_else(|| {
        let shown: String = text.chars().take(SHOWN_LENGTH_MAX).collect();
        let text = format!(
            "validUntil {shown:?} is no time; expected RFC 3339 such as 2026-11-23T12:00:00Z"
        );
        Error::new(ErrorCode::InvalidArgument, text).with_target("validUntil")
    })
}

/// Gives the instant at which a write expires; `now` is the instant at which it is accepted.
pub(crate) fn resolve(
    requested: Option<Instant>,
    default: Duration,
    now: Instant,
) -> Result<Instant, Error> {
    let limit = now.plus(Settings::TTL_MAX);
    let Some(requested) = requested else {
        return Ok(now.plus(default).min(limit));
    };
    let problem = if requested <= now {
        format!("validUntil {requested} is not after now, {now}")
    } else if requested > limit.plus(Settings::TTL_TOLERANCE) {
        format!("validUntil {requested} is more than 30 days after now, {now}")
    } else {
        return Ok(requested.min(limit));
    };
    Err(Error::new(ErrorCode::ValidUntilOutOfRange, problem).with_target("validUntil"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_a_space_for_the_plus() {
        for (text, read) in [
            ("2026-11-23T12:00:00Z", "2026-11-23T12:00:00.000Z"),
            ("2026-11-23T12:00:00", "2026-11-23T12:00:00.000Z"),
            ("2026-11-23T12:00:00.5+02:00", "2026-11-23T10:00:00.500Z"),
            ("2026-11-23T12:00:00.5 02:00", "2026-11-23T10:00:00.500Z"),
            ("2026-11-23T12:00:00 00:00", "2026-11-23T12:00:00.000Z"),
            ("2026-11-23T12:00:00-02:00", "2026-11-23T14:00:00.000Z"),
            ("2026-11-23 12:00:00Z", "2026-11-23T12:00:00.000Z"),
            ("2026-11-23 12:00:00 02:00", "2026-11-23T10:00:00.000Z"),
        ] {
            let instant = parse_valid_until(text).expect(text);
            assert_eq!(instant.to_string(), read, "{text}");
        }
        for bad in [
            "",
            " ",
            "tomorrow",
            "2026-11-23",
            "2026-11-23 12:00",
            "2026-11-23T12:00:00  02:00",
            "2026-11-23T12:00:00 02:00Z",
            "2026-11-23T12:00:00Z ",
            "1795435200",
            "2026-02-30T12:00:00Z",
        ] {
            let error = parse_valid_until(bad).expect_err(bad);
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert_eq!(error.target.as_deref(), Some("validUntil"));
        }
    }

    #[test]
    fn limits_are_exact() {
        let now = Instant::from_millis(1_000_000);
        let default = Duration::from_secs(60);
        let limit = now.plus(Settings::TTL_MAX);
        let ms = Duration::from_millis(1);
        let at = |requested| resolve(Some(requested), default, now);
        assert_eq!(resolve(None, default, now), Ok(now.plus(default)));
        assert_eq!(resolve(None, Duration::MAX, now), Ok(limit));
        assert_eq!(at(now.plus(ms)), Ok(now.plus(ms)));
        assert_eq!(at(limit), Ok(limit));
        assert_eq!(at(limit.plus(ms)), Ok(limit), "within 5 minutes it is cut");
        assert_eq!(at(limit.plus(Duration::from_secs(300))), Ok(limit));
        for bad in [
            now,
            now.minus(ms),
            limit.plus(Duration::from_millis(300_001)),
        ] {
            let error = at(bad).expect_err("out of range");
            assert_eq!(error.code, ErrorCode::ValidUntilOutOfRange);
        }
    }
}
