//! Until when a write holds (rules 3.4, 4.6). Owns the default, the limit and its tolerance.

use std::time::Duration;

use sanntid_types::{Error, ErrorCode, Instant, Settings};

/// Gives the instant at which a write accepted now expires.
pub(crate) fn resolve(
    requested: Option<Instant>,
    default: Duration,
    now: Instant,
) -> Result<Instant, Error> {
    let Some(requested) = requested else {
        return Ok(now.plus(default));
    };
    let limit = now.plus(Settings::TTL_MAX);
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
    fn limits_are_exact() {
        let now = Instant::from_millis(1_000_000);
        let default = Duration::from_secs(60);
        let limit = now.plus(Settings::TTL_MAX);
        let ms = Duration::from_millis(1);
        let at = |requested| resolve(Some(requested), default, now);
        assert_eq!(resolve(None, default, now), Ok(now.plus(default)));
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
