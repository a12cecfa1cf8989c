//! Owns which of many is meant next: each as likely as any other, or a few much more often.

use crate::data::mixed;

/// How much more often the first are picked; as in YCSB.
const SKEW: f64 = 0.99;

/// Says how the next one is picked.
#[derive(Clone, Debug)]
pub(crate) enum Pick {
    Even(u64),
    Skewed(Zipf),
    /// One after the other.
    Each(u64),
    /// Always the first.
    One,
}

impl Pick {
    /// The pick for the n-th request; the same for the same n.
    pub(crate) fn at(&self, number: u64) -> u64 {
        match self {
            Self::Even(count) => below(mixed(number), *count),
            Self::Skewed(zipf) => zipf.at(number),
            Self::Each(count) => number % (*count).max(1),
            Self::One => 0,
        }
    }
}

/// Picks by Zipf's law (Gray et al., "Quickly generating billion-record synthetic databases").
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    count: u64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    /// Prepares to pick among so many; takes a moment for millions.
    pub(crate) fn of(count: u64) -> Self {
        let count = count.max(1);
        let zeta = |upto: u64| {
            (1..=upto)
                .map(|rank| (rank as f64).powf(-SKEW))
                .sum::<f64>()
        };
        let (all, two) = (zeta(count), zeta(2.min(count)));
        let eta = (1.0 - (2.0 / count as f64).powf(1.0 - SKEW)) / (1.0 - two / all);
        Self {
            count,
            zeta: all,
            eta,
        }
    }

    fn at(&self, number: u64) -> u64 {
        let chance = (mixed(number) >> 11) as f64 / (1_u64 << 53) as f64;
        let scaled = chance * self.zeta;
        let rank = if scaled < 1.0 || self.count == 1 {
            0
        } else if scaled < 1.0 + 0.5_f64.powf(SKEW) || self.count == 2 {
            1
        } else {
            let place = (self.eta * chance - self.eta + 1.0).powf(1.0 / (1.0 - SKEW));
            floor(self.count as f64 * place)
        };
        // The frequent ones lie anywhere, not side by side.
        below(mixed(rank ^ (1 << 61)), self.count)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the caller's figure is not negative and far below 2^53"
)]
fn floor(figure: f64) -> u64 {
    figure as u64
}

fn below(number: u64, limit: u64) -> u64 {
    let wide = u128::from(number) * u128::from(limit);
    u64::try_from(wide >> 64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn counts(pick: &Pick, picks: u64) -> Vec<usize> {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for number in 0..picks {
            *counts.entry(pick.at(number)).or_default() += 1;
        }
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    #[test]
    fn even_picks_are_even_and_skewed_ones_follow_the_law() {
        let even = counts(&Pick::Even(100), 100_000);
        assert_eq!(even.len(), 100);
        assert!(even[0] < 1_200 && even[99] > 800, "{even:?}");

        let count = 10_000;
        let skewed = counts(&Pick::Skewed(Zipf::of(count)), 200_000);
        let zeta: f64 = (1..=count).map(|rank| (rank as f64).powf(-SKEW)).sum();
        let first = 200_000.0 / zeta;
        assert!(
            (skewed[0] as f64 / first - 1.0).abs() < 0.05,
            "{} {first}",
            skewed[0]
        );
        assert!(skewed[0] > 2 * skewed[2], "{:?}", &skewed[..5]);
    }

    #[test]
    fn picks_stay_within_and_are_the_same_again() {
        for count in [1, 2, 3, 1_000] {
            for pick in [
                Pick::Even(count),
                Pick::Skewed(Zipf::of(count)),
                Pick::Each(count),
                Pick::One,
            ] {
                for number in 0..2_000 {
                    let found = pick.at(number);
                    assert!(found < count, "{pick:?}");
                    assert_eq!(found, pick.at(number));
                }
            }
        }
    }
}
