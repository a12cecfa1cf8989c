//! Owns when a schedule is due: cron lines evaluated in a named time zone (rules 6.10).
//!
//! Lines are evaluated in local time that knows no daylight saving; what comes out is then placed in
//! the zone. Must not read a clock.

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use sanntid_types::Instant;

/// More candidates than a repeated stretch of local time can hold, at one a minute.
const CANDIDATES_MAX: usize = 2 * 24 * 60;
/// More than any zone has ever skipped, in minutes.
const SKIPPED_MINUTES_MAX: i64 = 2 * 24 * 60;

/// Reads a cron line: five fields, and neither days of a month nor months.
///
/// # Errors
/// Says what is wrong.
pub(crate) fn parse(line: &str) -> Result<Cron, String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [_, _, day, month, weekday] = fields.as_slice() else {
        let count = fields.len();
        return Err(format!(
            "it has {count} fields; expected five: minute, hour, *, *, day of the week"
        ));
    };
    if (*day, *month) != ("*", "*") {
        return Err(
            "a schedule is daily or weekly: expected * as day of the month and as month".to_owned(),
        );
    }
    if weekday.contains(['#', 'L', 'l']) {
        return Err("a schedule is daily or weekly: it can't name a week of the month".to_owned());
    }
    let parser = CronParser::builder();
    let parser = parser.seconds(Seconds::Disallowed).year(Year::Disallowed);
    let cron = parser.build().parse(line);
    cron.map_err(|error| format!("it can't be read as cron: {error}"))
}

/// The first instant after `after` at which a cron line is due in a zone.
///
/// A local time that is skipped gives the next valid instant, one that is repeated the first of both.
pub(crate) fn next_run(cron: &Cron, zone: Tz, after: Instant) -> Option<Instant> {
    let after = DateTime::<Utc>::from_timestamp_millis(after.as_millis())?;
    let mut local = after.with_timezone(&zone).naive_local().and_utc();
    // What comes out never goes back: only the second pass of a repeated stretch is passed over.
    for _ in 0..CANDIDATES_MAX {
        local = cron.find_next_occurrence(&local, false).ok()?;
        let due = place(zone, local.naive_utc())?;
        if due > after {
            return Some(Instant::from_millis(due.timestamp_millis()));
        }
    }
    None
}

/// The instant of a local time.
fn place(zone: Tz, local: NaiveDateTime) -> Option<DateTime<Utc>> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => {
            Some(time.with_timezone(&Utc))
        }
        LocalResult::None => {
            let later = (1..=SKIPPED_MINUTES_MAX).find_map(|minutes| {
                let later = local.checked_add_signed(TimeDelta::minutes(minutes))?;
                zone.from_local_datetime(&later).earliest()
            });
            later.map(|time| time.with_timezone(&Utc))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Instant {
        Instant::parse(text).expect(text)
    }

    /// The runs of a line after one instant and up to another.
    fn runs(line: &str, zone: &str, after: &str, until: &str) -> Vec<String> {
        let (cron, zone) = (parse(line).expect(line), zone.parse().expect(zone));
        let next = |after: &Instant| next_run(&cron, zone, *after);
        std::iter::successors(next(&at(after)), next)
            .take_while(|run| *run <= at(until))
            .map(|run| run.to_string().replace(":00.000Z", "Z"))
            .collect()
    }

    #[test]
    fn a_skipped_local_time_runs_at_the_next_valid_instant() {
        for (line, zone, after, until, expected) in [
            // 02:00 to 03:00 is skipped on 2026-03-29 and on 2027-03-28.
            (
                "30 2 * * *",
                "Europe/Oslo",
                "2026-03-28T00:00:00Z",
                "2026-03-30T12:00:00Z",
                &[
                    "2026-03-28T01:30Z",
                    "2026-03-29T01:00Z",
                    "2026-03-30T00:30Z",
                ][..],
            ),
            (
                "30 2 * * *",
                "Europe/Oslo",
                "2027-03-28T00:00:00Z",
                "2027-03-28T23:00:00Z",
                &["2027-03-28T01:00Z"],
            ),
            // Several skipped times are one instant, and one run.
            (
                "0,15,30 2 * * *",
                "Europe/Oslo",
                "2026-03-29T00:00:00Z",
                "2026-03-29T12:00:00Z",
                &["2026-03-29T01:00Z"],
            ),
            (
                "0 2,3 * * *",
                "Europe/Oslo",
                "2026-03-29T00:00:00Z",
                "2026-03-29T12:00:00Z",
                &["2026-03-29T01:00Z"],
            ),
            (
                "0 * * * *",
                "Europe/Oslo",
                "2026-03-28T23:30:00Z",
                "2026-03-29T02:00:00Z",
                &[
                    "2026-03-29T00:00Z",
                    "2026-03-29T01:00Z",
                    "2026-03-29T02:00Z",
                ],
            ),
            (
                "30 2 * * *",
                "America/New_York",
                "2026-03-08T00:00:00Z",
                "2026-03-09T12:00:00Z",
                &["2026-03-08T07:00Z", "2026-03-09T06:30Z"],
            ),
            (
                "30 2 * * *",
                "America/New_York",
                "2027-03-14T00:00:00Z",
                "2027-03-14T23:00:00Z",
                &["2027-03-14T07:00Z"],
            ),
            // 02:00 to 02:30 alone is skipped.
            (
                "15,45 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T12:00:00Z",
                "2026-10-04T12:00:00Z",
                &["2026-10-03T15:30Z", "2026-10-03T15:45Z"],
            ),
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2027-10-02T12:00:00Z",
                "2027-10-03T12:00:00Z",
                &["2027-10-02T15:30Z"],
            ),
        ] {
            assert_eq!(runs(line, zone, after, until), expected, "{line} {zone}");
        }
    }

    #[test]
    fn a_repeated_local_time_runs_once() {
        for (line, zone, after, until, expected) in [
            (
                "30 2 * * *",
                "Europe/Oslo",
                "2026-10-24T12:00:00Z",
                "2026-10-26T12:00:00Z",
                &["2026-10-25T00:30Z", "2026-10-26T01:30Z"][..],
            ),
            (
                "30 2 * * *",
                "Europe/Oslo",
                "2027-10-30T12:00:00Z",
                "2027-10-31T12:00:00Z",
                &["2027-10-31T00:30Z"],
            ),
            // Asked within the second pass.
            (
                "30 2 * * *",
                "Europe/Oslo",
                "2026-10-25T01:10:00Z",
                "2026-10-26T12:00:00Z",
                &["2026-10-26T01:30Z"],
            ),
            (
                "*/30 2 * * *",
                "Europe/Oslo",
                "2026-10-24T12:00:00Z",
                "2026-10-25T12:00:00Z",
                &["2026-10-25T00:00Z", "2026-10-25T00:30Z"],
            ),
            (
                "30 1 * * *",
                "America/New_York",
                "2026-11-01T00:00:00Z",
                "2026-11-02T12:00:00Z",
                &["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
            ),
            (
                "30 1 * * *",
                "America/New_York",
                "2027-11-07T00:00:00Z",
                "2027-11-07T23:00:00Z",
                &["2027-11-07T05:30Z"],
            ),
            // 01:30 to 02:00 alone is repeated.
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T00:00:00Z",
                "2026-04-05T12:00:00Z",
                &["2026-04-04T14:45Z"],
            ),
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2027-04-03T00:00:00Z",
                "2027-04-04T12:00:00Z",
                &["2027-04-03T14:45Z"],
            ),
        ] {
            assert_eq!(runs(line, zone, after, until), expected, "{line} {zone}");
        }
    }

    #[test]
    fn weekdays_have_names_and_sunday_is_0_and_7() {
        // 2026-11-22 is a Sunday.
        for line in ["0 6 * * 0", "0 6 * * 7", "0 6 * * SUN", "0 6 * * sun"] {
            assert_eq!(
                runs(line, "UTC", "2026-11-16T00:00:00Z", "2026-11-29T00:00:00Z"),
                ["2026-11-22T06:00Z"],
                "{line}"
            );
        }
        assert_eq!(
            runs(
                "0 6 * * MON-WED,5",
                "UTC",
                "2026-11-22T00:00:00Z",
                "2026-11-29T00:00:00Z"
            ),
            [
                "2026-11-23T06:00Z",
                "2026-11-24T06:00Z",
                "2026-11-25T06:00Z",
                "2026-11-27T06:00Z"
            ]
        );
    }

    #[test]
    fn what_is_due_at_an_instant_is_not_due_after_it() {
        let (cron, zone) = (parse("0 12 * * *").unwrap(), Tz::UTC);
        for (after, next) in [
            ("2026-11-23T11:59:59.999Z", "2026-11-23T12:00:00Z"),
            ("2026-11-23T12:00:00Z", "2026-11-24T12:00:00Z"),
            ("2026-11-23T12:00:00.001Z", "2026-11-24T12:00:00Z"),
        ] {
            assert_eq!(next_run(&cron, zone, at(after)), Some(at(next)), "{after}");
        }
    }

    #[test]
    fn only_daily_and_weekly_lines_of_five_fields_are_read() {
        for bad in [
            "",
            "@daily",
            "0 2 * *",
            "0 0 2 * * *",
            "0 2 * * * 2027",
            "0 2 1 * *",
            "0 2 ? * *",
            "0 2 * 6 *",
            "0 2 * JAN *",
            "0 2 * * 5#2",
            "0 2 * * FRIL",
            "0 2 L * *",
            "60 2 * * *",
            "0 24 * * *",
            "0 2 * * 8",
            "0 2 * * NOON",
            "a b * * *",
            "0 -1 * * *",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        for good in [
            "0 2 * * *",
            "0,30 6-18/2 * * 1-5",
            "*/15 * * * MON,FRI",
            " 0  2 * * * ",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }
}
