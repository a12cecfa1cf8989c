//! Owns the hook through which compaction drops dead records for free.
//!
//! Must not decide what is dead: the store's user does.

use std::{panic::AssertUnwindSafe, sync::Arc};

use fjall::compaction::filter::{
    CompactionFilter, CompactionFilterResult, Context, Factory, ItemAccessor, Verdict,
};

use crate::kv::Space;

/// What compaction does with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The record stays.
    Keep,
    /// The record is deleted, as if by a delete at the time of its write.
    Drop,
}

/// Decides about each record that a compaction rewrites.
///
/// Runs on the engine's threads: it must be quick, must not panic (that poisons the store) and must
/// not call the store. Readers must take a record that is to be dropped as absent already, and it
/// must be so for good: compaction may ask about it late or never, a snapshot taken before may see
/// it vanish, and after a re-opening the journal may bring it back until the next compaction.
pub trait Reclaim: Send + Sync + 'static {
    /// Decides about one record.
    fn fate(&self, space: Space, key: &[u8], value: &[u8]) -> Fate;
}

impl<F> Reclaim for F
where
    F: Fn(Space, &[u8], &[u8]) -> Fate + Send + Sync + 'static,
{
    fn fate(&self, space: Space, key: &[u8], value: &[u8]) -> Fate {
        self(space, key, value)
    }
}

pub(crate) struct FilterFactory {
    pub(crate) space: Space,
    // A panic in the hook poisons the store, so broken state in it is never relied upon.
    pub(crate) reclaim: AssertUnwindSafe<Arc<dyn Reclaim>>,
}

impl Factory for FilterFactory {
    fn name(&self) -> &str {
        self.space.name()
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter {
            space: self.space,
            reclaim: Arc::clone(&self.reclaim),
        })
    }
}

struct Filter {
    space: Space,
    reclaim: Arc<dyn Reclaim>,
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> CompactionFilterResult {
        let value = item.value()?;
        Ok(match self.reclaim.fate(self.space, item.key(), &value) {
            Fate::Keep => Verdict::Keep,
            // Leaves a tombstone: without one, an older version in a deeper level would come back.
            Fate::Drop => Verdict::Remove,
        })
    }
}
