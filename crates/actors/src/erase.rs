//! Owns erasing what callers wrote about a person: one durable decision, then the removal of the
//! records in steps between other calls.
//!
//! From the decision's commit on nobody sees the records; their removal brings back the space and
//! ends the erasure. It goes on by itself where whoever asked is gone, and after a restart.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use parking_lot::Mutex;
use sanntid_engine::{CallError, Erased, Erasure, View as _, view_error};
use sanntid_store::{EraseBudget, Eraser, Kv, TenantView, WriteBatch, catalog};
use sanntid_types::{Actor, AuditNote, ErrorCode, InstanceId, ProfileId};

use crate::{node::Shared, outcome::refusal, tenant::Change};

/// How many records are looked at between two other calls to the tenant, at most.
const RECORDS_TOGETHER: usize = 1_000;
/// How many bytes of values, up to one value more.
const BYTES_TOGETHER: usize = 4 << 20;

/// The erasures of a node whose records are not all removed yet.
#[derive(Default)]
pub(crate) struct Erasures {
    /// Instances in which there may be one, and how often that was said.
    waiting: Mutex<BTreeMap<InstanceId, u64>>,
    /// Those that somebody works on.
    taken: Mutex<BTreeSet<(InstanceId, u64)>>,
}

/// Keeps others from working on the same erasure.
struct Taken {
    shared: Arc<Shared>,
    which: (InstanceId, u64),
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.shared.erasures.taken.lock().remove(&self.which);
    }
}

impl Erasures {
    /// Finds what is left from before.
    pub(crate) fn recover(kv: &dyn Kv) -> sanntid_store::Result<Self> {
        let erasures = Self::default();
        for instance in catalog::erasing(&*kv.snapshot()?)? {
            erasures.note(instance);
        }
        Ok(erasures)
    }

    /// Notes that an instance may have one.
    pub(crate) fn note(&self, instance: InstanceId) {
        *self.waiting.lock().entry(instance).or_default() += 1;
    }

    /// Forgets an instance in which there is none, unless one was noted since.
    fn forget(&self, instance: InstanceId, noted: u64) {
        let mut waiting = self.waiting.lock();
        if waiting.get(&instance) == Some(&noted) {
            waiting.remove(&instance);
        }
    }

    /// Whether none is left.
    #[cfg(test)]
    pub(crate) fn is_done(&self) -> bool {
        self.waiting.lock().is_empty()
    }

    fn noted(&self) -> Vec<(InstanceId, u64)> {
        let waiting = self.waiting.lock();
        waiting.iter().map(|(id, noted)| (*id, *noted)).collect()
    }

    fn take(shared: &Arc<Shared>, instance: InstanceId, number: u64) -> Option<Taken> {
        let which = (instance, number);
        let is_free = shared.erasures.taken.lock().insert(which);
        is_free.then(|| Taken {
            shared: Arc::clone(shared),
            which,
        })
    }
}

impl Shared {
    /// Erases what callers wrote about a person.
    pub(crate) async fn erase(
        self: &Arc<Self>,
        instance: InstanceId,
        profile: ProfileId,
        by: Actor,
    ) -> Result<Erased, CallError> {
        let shared = Arc::clone(self);
        let begin = move |change: &mut Change<'_>| {
            let (erasure, fields) = begin(change, &profile, by)?;
            // Before it is stored: whoever looks finds out whether it was.
            shared.erasures.note(instance);
            // Nobody else can know of it yet.
            let taken = Erasures::take(&shared, instance, erasure.number);
            Ok((Eraser::new(erasure, fields), taken))
        };
        let (eraser, taken) = self.change(instance, begin).await?;
        let (eraser, done) = self.remove(instance, eraser).await;
        drop(taken);
        if done.is_ok() {
            return Ok(eraser.erased().clone());
        }
        // It is erased, whatever keeps its records from being removed now.
        self.aside(move |shared| shared.count_rest(instance, eraser))
            .await
            .map_err(|_| CallError::Unknown)
    }

    /// Goes on with the erasures that nobody works on.
    pub(crate) fn go_on_erasing(self: &Arc<Self>) {
        for (instance, noted) in self.erasures.noted() {
            let shared = Arc::clone(self);
            actix_rt::spawn(async move { shared.finish_erasures(instance, noted).await });
        }
    }

    async fn finish_erasures(self: &Arc<Self>, instance: InstanceId, noted: u64) {
        let look = |change: &mut Change<'_>| Ok(Arc::clone(&change.state.erasing));
        let erasing = match self.change(instance, look).await {
            Ok(erasing) => erasing,
            Err(CallError::Refused(error)) if error.code == ErrorCode::InstanceNotFound => {
                return self.erasures.forget(instance, noted);
            }
            Err(error) => {
                return tracing::debug!(instance_id = %instance, ?error, "an erasure waits");
            }
        };
        let mut is_done = true;
        for erasure in erasing.iter() {
            let Some(_taken) = Erasures::take(self, instance, erasure.number) else {
                is_done = false;
                continue;
            };
            let (_, done) = self.remove(instance, Eraser::new(erasure.clone(), 0)).await;
            is_done &= done.is_ok();
        }
        if is_done {
            self.erasures.forget(instance, noted);
        }
    }

    /// Removes the records of an erasure, as far as that can be done now, and ends it.
    async fn remove(
        self: &Arc<Self>,
        instance: InstanceId,
        mut eraser: Eraser,
    ) -> (Eraser, Result<(), CallError>) {
        loop {
            let next = eraser.clone();
            let budget = self.erase_budget();
            let step = self.change(instance, move |change| step(change, next, budget));
            match step.await {
                Ok((after, true)) => {
                    self.refreshes.try_again();
                    if let Some(running) = self.registry.running(instance) {
                        // What was removed counts until it is counted anew.
                        running.published.want_count();
                    }
                    return (after, Ok(()));
                }
                Ok((after, false)) => eraser = after,
                Err(error) => {
                    tracing::warn!(instance_id = %instance, ?error, "an erasure goes on later");
                    return (eraser, Err(error));
                }
            }
        }
    }

    fn erase_budget(&self) -> EraseBudget {
        EraseBudget {
            records: self.config.sweep_records_max.clamp(1, RECORDS_TOGETHER),
            bytes: BYTES_TOGETHER,
        }
    }

    /// Counts what is erased and not removed yet.
    fn count_rest(&self, instance: InstanceId, mut eraser: Eraser) -> Result<Erased, CallError> {
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let record = self.record_of(instance)?;
        let state = catalog::tenant(&*snapshot, record.incarnation);
        let state = state.map_err(|error| refusal(&error))?;
        let state = state.ok_or(CallError::Unknown)?;
        let now = state.now(self.clock.now());
        loop {
            let mut nowhere = WriteBatch::new();
            let budget = self.erase_budget();
            let done = eraser.step(&*snapshot, &mut nowhere, (&state, now), budget);
            if done.map_err(|error| refusal(&error))? {
                return Ok(eraser.erased().clone());
            }
        }
    }
}

/// Decides about an erasure; says how many fields it takes.
fn begin(
    change: &mut Change<'_>,
    profile: &ProfileId,
    by: Actor,
) -> Result<(Erasure, u64), sanntid_types::Error> {
    let before = change.state.clone();
    let view = TenantView::of(change.snapshot, &before);
    let erasure = change.state.erase(&view, profile)?;
    let mut fields = 0;
    for id in erasure.person.ids() {
        let overlay = view.overlay(id).map_err(view_error)?;
        fields += overlay.map_or(0, |overlay| overlay.live_fields(&before, change.now) as u64);
    }
    let life = change.state.incarnation;
    catalog::put_erasing(&mut change.batch, life, change.state.instance);
    change.note(by, AuditNote::of(profile))?;
    Ok((erasure, fields))
}

/// Removes the next records of an erasure; of one that is not under way, none.
fn step(
    change: &mut Change<'_>,
    mut eraser: Eraser,
    budget: EraseBudget,
) -> Result<(Eraser, bool), sanntid_types::Error> {
    let number = eraser.erasure().number;
    let mut erasing = change.state.erasing.iter();
    // Compared wholly: after a reset, another one may have the number.
    if !erasing.any(|erasure| erasure == eraser.erasure()) {
        return Ok((eraser, true));
    }
    let around = (&change.state, change.now);
    let done = eraser.step(change.snapshot, &mut change.batch, around, budget);
    let done = done.map_err(|error| refusal(&error))?;
    if done {
        change.state.erasure_is_done(number);
        if change.state.erasing.is_empty() {
            catalog::forget_erasing(&mut change.batch, change.state.incarnation);
        }
    }
    Ok((eraser, done))
}
