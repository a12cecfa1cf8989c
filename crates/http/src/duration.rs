//! Durations as people write them: `4h`, `30d`, `1h30m`. Whole seconds.

use std::time::Duration;

use sanntid_types::{Error, ErrorCode};

use crate::query::shown;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

/// Reads one or more numbers with units of falling size.
pub(crate) fn parse(text: &str) -> Result<Duration, Error> {
    read(text).ok_or_else(|| {
        let message = format!(
            "{} is no duration; expected numbers with d, h, m or s, such as 4h or 1d12h",
            shown(text)
        );
        Error::new(ErrorCode::InvalidArgument, message)
    })
}

fn read(text: &str) -> Option<Duration> {
    let mut total = 0_u64;
    let mut rest = text.trim();
    let mut smallest = u64::MAX;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let (digits, after) = rest.split_at_checked(end)?;
        let unit = after.chars().next()?;
        let (_, secs) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        if secs >= smallest {
            return None;
        }
        smallest = secs;
        let count: u64 = digits.parse().ok()?;
        total = total.checked_add(count.checked_mul(secs)?)?;
        rest = after.strip_prefix(unit)?.trim_start();
    }
    (smallest != u64::MAX).then(|| Duration::from_secs(total))
}

/// Writes a duration in whole seconds; `parse` reads it back.
pub(crate) fn print(span: Duration) -> String {
    let mut rest = span.as_secs();
    let mut text = String::new();
    for (unit, secs) in UNITS {
        let count = rest / secs;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
            rest %= secs;
        }
    }
    if text.is_empty() {
        "0s".to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_strictly() {
        for (text, secs, printed) in [
            ("4h", 14_400, "4h"),
            ("30d", 2_592_000, "30d"),
            ("1d 12h", 129_600, "1d12h"),
            ("90m", 5400, "1h30m"),
            ("0s", 0, "0s"),
        ] {
            let span = parse(text).expect(text);
            assert_eq!((span.as_secs(), print(span).as_str()), (secs, printed));
        }
        for bad in [
            "",
            " ",
            "4",
            "h",
            "4x",
            "-4h",
            "1.5h",
            "1h1h",
            "1s1h",
            "4 h x",
            "99999999999999999999d",
            "999999999999999999d",
            "4h30",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(secs in any::<u32>()) {
            let span = Duration::from_secs(secs.into());
            prop_assert_eq!(parse(&print(span)), Ok(span));
        }

        #[test]
        fn no_text_panics(text in ".{0,30}") {
            prop_assert!(parse(&text).is_ok() || parse(&text).is_err());
        }
    }
}
