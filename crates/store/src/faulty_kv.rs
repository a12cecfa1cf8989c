//! Owns a wrapper that fails chosen commits, so that callers can test what they do then.
//!
//! Must not change anything else about the store it wraps.

use parking_lot::Mutex;

use crate::{
    error::{Error, Result},
    kv::{Epoch, Health, Kv, Progress, Snapshot, Space, WriteBatch},
};

/// What happens to the batch whose commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The commit fails and the batch is not stored.
    Lost,
    /// The commit fails although the batch is stored, and visible after the re-opening.
    Stored,
}

#[derive(Default)]
struct Plan {
    fault: Option<(u64, Fault)>,
    hidden: Option<WriteBatch>,
    poisoned: bool,
}

/// A store whose n-th commit from now on fails and poisons it until it is maintained.
pub struct FaultyKv<K> {
    inner: K,
    plan: Mutex<Plan>,
}

impl<K: Kv> FaultyKv<K> {
    /// Wraps a store; no fault is planned yet.
    pub fn new(inner: K) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
        }
    }

    /// Plans a fault after `successes` more commits or loads.
    pub fn fail_after(&self, successes: u64, fault: Fault) {
        self.plan.lock().fault = Some((successes, fault));
    }

    fn pass(&self, batch: WriteBatch) -> Result<WriteBatch> {
        let mut plan = self.plan.lock();
        if plan.poisoned {
            return Err(Error::Poisoned);
        }
        match plan.fault {
            Some((0, fault)) => {
                plan.fault = None;
                plan.poisoned = true;
                plan.hidden = (fault == Fault::Stored).then_some(batch);
                Err(Error::WriteFailed {
                    detail: "planned fault".to_owned(),
                })
            }
            Some((successes, fault)) => {
                plan.fault = Some((successes - 1, fault));
                Ok(batch)
            }
            None => Ok(batch),
        }
    }
}

impl<K: Kv> Kv for FaultyKv<K> {
    fn commit(&self, batch: WriteBatch) -> Result<()> {
        self.inner.commit(self.pass(batch)?)
    }

    fn load(&self, batch: WriteBatch) -> Result<Epoch> {
        self.inner.load(self.pass(batch)?)
    }

    fn sync(&self, since: Epoch) -> Result<()> {
        if self.plan.lock().poisoned {
            return Err(Error::Poisoned);
        }
        self.inner.sync(since)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }

    fn delete_range_step(
        &self,
        space: Space,
        lower: &[u8],
        upper: &[u8],
        budget_records: usize,
    ) -> Result<Progress> {
        self.pass(WriteBatch::new())?;
        self.inner
            .delete_range_step(space, lower, upper, budget_records)
    }

    fn health(&self) -> Health {
        if self.plan.lock().poisoned {
            Health::Poisoned
        } else {
            self.inner.health()
        }
    }

    fn maintain(&self) -> Health {
        let mut plan = self.plan.lock();
        if let Some(batch) = plan.hidden.take()
            && self.inner.commit(batch.clone()).is_err()
        {
            plan.hidden = Some(batch);
            return Health::Poisoned;
        }
        plan.poisoned = false;
        self.inner.maintain()
    }
}
