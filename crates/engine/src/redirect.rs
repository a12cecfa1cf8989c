//! Moved customers: composing the redirects of a new generation (rules 6.6).
//! Owns which new profile an old id leads to. Must not read the store: claims come in sorted out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sanntid_types::{Instant, ProfileId};

/// How long a redirect is kept after the source last named it: 31 days.
const REDIRECT_KEPT: Duration = Duration::from_secs(31 * 24 * 3600);

/// Says that a new profile names an old id as one of its previous ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub old: ProfileId,
    pub new: ProfileId,
    /// How many of the old profile's alternate keys the claimant holds now.
    pub keys_held: u64,
}

/// Composes the redirects of a new generation: old id → new id and since when.
///
/// `before` are those of the current generation; `exists` answers for the new generation. An id
/// that exists is never redirected; of several claimants the one that holds most of the old keys
/// wins, then the smallest id; chains are shortened (A→B and B→C give A→C).
pub fn compose_redirects(
    before: &BTreeMap<ProfileId, (ProfileId, Instant)>,
    claims: &[Claim],
    now: Instant,
    exists: impl Fn(&ProfileId) -> bool,
) -> BTreeMap<ProfileId, (ProfileId, Instant)> {
    let mut best: BTreeMap<&ProfileId, &Claim> = BTreeMap::new();
    for claim in claims.iter().filter(|claim| claim.old != claim.new) {
        let better = |held: &&Claim| {
            (std::cmp::Reverse(claim.keys_held), &claim.new)
                < (std::cmp::Reverse(held.keys_held), &held.new)
        };
        if best.get(&claim.old).is_none_or(better) {
            best.insert(&claim.old, claim);
        }
    }
    let mut steps: BTreeMap<ProfileId, (ProfileId, Instant)> = before
        .iter()
        .filter(|(_, (_, since))| since.plus(REDIRECT_KEPT) > now)
        .map(|(old, target)| (old.clone(), target.clone()))
        .collect();
    steps.extend(
        best.into_iter()
            .map(|(old, claim)| (old.clone(), (claim.new.clone(), now))),
    );
    steps.retain(|old, _| !exists(old));

    let shortened = |old: &ProfileId, first: &ProfileId| {
        let mut seen = BTreeSet::from([old]);
        let mut end = first;
        while let Some((next, _)) = steps.get(end) {
            if !seen.insert(end) {
                return None;
            }
            end = next;
        }
        Some(end.clone())
    };
    steps
        .iter()
        .filter_map(|(old, (first, since))| Some((old.clone(), (shortened(old, first)?, *since))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ProfileId {
        ProfileId::parse(text).expect("id")
    }

    fn at(seconds: i64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    fn claim(old: &str, new: &str, keys_held: u64) -> Claim {
        Claim {
            old: id(old),
            new: id(new),
            keys_held,
        }
    }

    fn composed(
        before: &[(&str, &str, i64)],
        claims: &[Claim],
        now: Instant,
        existing: &[&str],
    ) -> Vec<(String, String)> {
        let before = before
            .iter()
            .map(|(old, new, since)| (id(old), (id(new), at(*since))))
            .collect();
        compose_redirects(&before, claims, now, |id| existing.contains(&id.as_str()))
            .into_iter()
            .map(|(old, (new, _))| (old.to_string(), new.to_string()))
            .collect()
    }

    fn pair(old: &str, new: &str) -> (String, String) {
        (old.to_owned(), new.to_owned())
    }

    #[test]
    fn chains_are_composed() {
        let redirects = composed(&[("A", "B", 0)], &[claim("B", "C", 0)], at(10), &["C"]);
        assert_eq!(redirects, [pair("A", "C"), pair("B", "C")]);
        let claims = [claim("B", "C", 0), claim("C", "D", 0)];
        let redirects = composed(&[("A", "B", 0)], &claims, at(10), &["D"]);
        assert_eq!(redirects, ["A", "B", "C"].map(|old| pair(old, "D")));
    }

    #[test]
    fn an_id_that_exists_is_never_redirected() {
        assert!(
            composed(
                &[("A", "B", 0)],
                &[claim("A", "C", 9)],
                at(1),
                &["A", "B", "C"]
            )
            .is_empty()
        );
    }

    #[test]
    fn most_former_keys_win_then_the_smallest_id() {
        let claims = [claim("A", "B", 1), claim("A", "D", 2), claim("A", "C", 2)];
        assert_eq!(
            composed(&[], &claims, at(1), &["B", "C", "D"]),
            [pair("A", "C")]
        );
    }

    #[test]
    fn redirects_are_kept_for_31_days() {
        let day = 24 * 3600;
        let before = [("A", "B", 0)];
        assert_eq!(
            composed(&before, &[], at(31 * day - 1), &["B"]),
            [pair("A", "B")]
        );
        assert!(composed(&before, &[], at(31 * day), &["B"]).is_empty());
    }

    #[test]
    fn circles_lead_nowhere() {
        let claims = [claim("A", "B", 0), claim("B", "A", 0), claim("C", "A", 0)];
        assert!(composed(&[], &claims, at(1), &[]).is_empty());
    }
}
