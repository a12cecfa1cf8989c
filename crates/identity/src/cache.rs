//! Remembers tokens that were found good, so that their signatures are checked once.
//! Owns how many; must not keep a token's text, nor one that was refused.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use sanntid_types::{Instant, Principals};

/// Most tokens that are remembered.
pub(crate) const TOKENS_MAX: usize = 4096;

/// Holds what a good token says.
#[derive(Clone)]
pub(crate) struct Known {
    pub(crate) principals: Arc<Principals>,
    /// It is good from here on.
    pub(crate) from: Option<Instant>,
    /// It is good until just before.
    pub(crate) until: Instant,
    /// The set of keys with which it was checked.
    pub(crate) keys: blake3::Hash,
}

/// Holds the tokens of late. Those that nobody has shown for a while go first.
///
/// Invariant: each half holds at most half of [`TOKENS_MAX`].
#[derive(Default)]
pub(crate) struct Cache {
    young: HashMap<blake3::Hash, Known>,
    old: HashMap<blake3::Hash, Known>,
}

impl Cache {
    /// What a token says that has this hash.
    pub(crate) fn get(&mut self, hash: &blake3::Hash) -> Option<Known> {
        if let Some(known) = self.young.get(hash) {
            return Some(known.clone());
        }
        let known = self.old.remove(hash)?;
        self.insert(*hash, known.clone());
        Some(known)
    }

    pub(crate) fn insert(&mut self, hash: blake3::Hash, known: Known) {
        if self.young.len() >= TOKENS_MAX / 2 {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use sanntid_types::{PrincipalId, PrincipalType};

    use super::*;

    fn hash(number: usize) -> blake3::Hash {
        blake3::hash(&number.to_le_bytes())
    }

    fn known() -> Known {
        let id = PrincipalId::parse("u").unwrap();
        Known {
            principals: Arc::new(Principals::new(id, PrincipalType::User, Vec::new())),
            from: None,
            until: Instant::MAX,
            keys: hash(0),
        }
    }

    #[test]
    fn it_holds_so_many_at_most_and_keeps_what_is_in_use() {
        let mut cache = Cache::default();
        cache.insert(hash(0), known());
        for number in 1..3 * TOKENS_MAX {
            cache.insert(hash(number), known());
            if number % 100 == 0 {
                assert!(cache.get(&hash(0)).is_some(), "in use: {number}");
            }
            assert!(cache.young.len() + cache.old.len() <= TOKENS_MAX);
        }
        assert!(cache.get(&hash(1)).is_none(), "out of use for long");
    }
}
