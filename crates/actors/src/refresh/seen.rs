//! Owns what a load remembers of the keys it has met: enough to spare most looks into the store.
//!
//! Must not be the last word: a key that was perhaps met is looked up.

use xxhash_rust::xxh3::Xxh3Default;

/// Words of 64 bits that hold what is known of one key: a line of the processor's cache.
const LINE: usize = 8;
/// Lines, a power of two: 32 MiB, of which a small load touches little. With 20 million keys
/// fewer than one of 100 is looked up in vain, with 100 million about one of three.
const LINES: usize = 1 << 19;

/// A Bloom filter of fixed size in which each key stands in one line.
pub(crate) struct SeenKeys(Vec<u64>);

impl SeenKeys {
    pub(crate) fn new() -> Self {
        Self(vec![0; LINES * LINE])
    }

    /// Notes a key, given in parts; `false` where it was certainly not noted before.
    pub(crate) fn note(&mut self, parts: &[&str]) -> bool {
        let mut hash = Xxh3Default::new();
        for part in parts {
            hash.update(part.as_bytes());
            // No key holds it, so that no two keys are the same parts put together.
            hash.update(&[0xff]);
        }
        let hash = hash.digest();
        let line = usize::try_from(hash).unwrap_or(usize::MAX) & (LINES - 1);
        let mut was_noted = true;
        let mut places = hash >> LINES.trailing_zeros();
        for _ in 0..4 {
            // Nine bits choose one of the 512 of a line.
            let place = usize::try_from(places & 511).unwrap_or_default();
            places >>= 9;
            if let Some(word) = self.0.get_mut(line * LINE + place / 64) {
                let bit = 1 << (place % 64);
                was_noted &= *word & bit != 0;
                *word |= bit;
            }
        }
        was_noted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_never_denied_and_what_was_not_seldom_affirmed() {
        let mut seen = SeenKeys::new();
        let wrong = (0..100_000).filter(|number| seen.note(&["C", &number.to_string()]));
        assert!(wrong.count() < 100);
        assert!((0..100_000).all(|number| seen.note(&["C", &number.to_string()])));
    }

    #[test]
    fn parts_are_kept_apart() {
        let mut seen = SeenKeys::new();
        assert!(!seen.note(&["a", "bc"]));
        assert!(!seen.note(&["ab", "c"]));
        assert!(!seen.note(&["abc"]));
        assert!(seen.note(&["ab", "c"]));
    }
}
