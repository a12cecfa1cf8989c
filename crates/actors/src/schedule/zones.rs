//! Owns the names of time zones: those of IANA, and those of Windows as CLDR maps them.

use std::collections::BTreeSet;

use chrono_tz::{TZ_VARIANTS, Tz};
use sanntid_types::Timezone;
use windows_timezones::WindowsTimezone;

/// Finds a zone by either name.
pub(crate) fn find(name: &str) -> Option<Tz> {
    let windows = || name.parse::<WindowsTimezone>().ok().map(Tz::from);
    name.parse().ok().or_else(windows)
}

/// Every name that `find` knows, with what people read.
pub(crate) fn all() -> Vec<Timezone> {
    let windows = TZ_VARIANTS.iter().filter_map(|zone| {
        let zone = WindowsTimezone::try_from(*zone).ok()?;
        Some(Timezone {
            id: zone.name().to_owned(),
            name: zone.description().to_owned(),
        })
    });
    let windows: BTreeSet<Timezone> = windows.collect();
    let iana = TZ_VARIANTS.iter().map(|zone| zone.name().to_owned());
    let iana = iana
        .filter(|name| !windows.iter().any(|known| known.id == *name))
        .map(|name| Timezone {
            id: name.clone(),
            name,
        });
    let iana: Vec<Timezone> = iana.collect();
    windows.into_iter().chain(iana).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_names_are_known_and_listed_once() {
        assert_eq!(find("W. Europe Standard Time"), Some(Tz::Europe__Berlin));
        assert_eq!(find("Europe/Oslo"), Some(Tz::Europe__Oslo));
        for bad in ["", "Europe/Trondheim", "GMT+25", "CEST"] {
            assert_eq!(find(bad), None, "{bad}");
        }
        let all = all();
        let ids: BTreeSet<&str> = all.iter().map(|zone| zone.id.as_str()).collect();
        assert_eq!(ids.len(), all.len());
        assert!(ids.iter().all(|id| find(id).is_some()));
        for id in [
            "Europe/Oslo",
            "UTC",
            "W. Europe Standard Time",
            "Lord Howe Standard Time",
        ] {
            assert!(ids.contains(id), "{id}");
        }
        let windows = all.iter().filter(|zone| zone.id != zone.name).count();
        assert!((130..160).contains(&windows), "{windows}");
    }
}
