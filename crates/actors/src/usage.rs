//! Owns how much each tenant keeps of what came by calls: the limits on it, and counting it anew.
//!
//! Each accepted write adds what it brings, and commits the sum with itself; what ends takes nothing
//! away. So the sum is never too small, and a count in the background puts it right.

use std::sync::Arc;

use parking_lot::Mutex;
use sanntid_engine::{CallError, TenantState};
use sanntid_store::{Counter, Snapshot, catalog};
use sanntid_types::{Error, ErrorCode, Incarnation, InstanceId, Instant, LimitName, Limits, Usage};

use crate::{
    node::Shared,
    outcome::{ReplyTo, refusal},
    published::Published,
    running::Running,
    tenant::{Call, Change, Command, TenantActor},
};

/// How often what a tenant keeps is counted anew, in milliseconds.
const COUNT_EVERY: i64 = 3_600_000;
/// The same where a write was refused since, or where it was never counted.
const COUNT_SOON: i64 = 30_000;
/// How many records one round of upkeep looks at.
const RECORDS_TOGETHER: usize = 50_000;

/// The count that is under way.
#[derive(Default)]
pub(crate) struct Counting(Mutex<Option<Begun>>);

struct Begun {
    instance: InstanceId,
    incarnation: Incarnation,
    /// What the sum was when the count began.
    before: Usage,
    counter: Counter,
}

/// A count that is complete.
struct Counted {
    instance: InstanceId,
    incarnation: Incarnation,
    before: Usage,
    usage: Usage,
}

impl Shared {
    /// The limits in effect in an instance.
    pub(crate) fn limits_of(&self, instance: InstanceId) -> Result<Limits, CallError> {
        let access = self.access_of(instance)?;
        let limits = self.config.limits;
        Ok(access.map_or(limits, |access| limits.with(&access.limits)))
    }

    /// What an instance keeps, as it was committed last.
    pub(crate) fn usage_of(&self, instance: InstanceId) -> Result<Usage, CallError> {
        let record = self.record_of(instance)?;
        let snapshot = self.kv.snapshot().map_err(|error| refusal(&error))?;
        let usage = catalog::usage(&*snapshot, record.incarnation);
        Ok(usage.map_err(|error| refusal(&error))?.unwrap_or_default())
    }

    /// Goes on counting, a step at a time, tenant by tenant.
    pub(crate) async fn count_on(self: &Arc<Self>) {
        let shared = Arc::clone(self);
        let counted = tokio::task::spawn_blocking(move || shared.count_step());
        match counted.await {
            Ok(Ok(counted)) => counted.into_iter().for_each(|counted| self.take(counted)),
            Ok(Err(error)) => tracing::debug!(%error, "a count of what is kept waits"),
            Err(error) => tracing::error!(%error, "a count of what is kept has failed"),
        }
    }

    fn count_step(&self) -> sanntid_store::Result<Vec<Counted>> {
        let now = self.clock.now();
        let mut counting = self.counting.0.lock();
        let mut budget = RECORDS_TOGETHER;
        let mut all = Vec::new();
        while budget > 0 {
            let begun = match counting.take() {
                Some(begun) => begun,
                None => match self.begin_count(now)? {
                    Some(begun) => begun,
                    None => break,
                },
            };
            let Some(running) = self.registry.running(begun.instance) else {
                continue;
            };
            let state = running.published.state();
            if state.incarnation != begun.incarnation {
                continue;
            }
            let begun = counting.insert(begun);
            let snapshot = self.kv.snapshot()?;
            // Looking at a tenant costs something even where it has nothing.
            budget -= 1;
            let usage = begun.counter.step(&*snapshot, &state, now, &mut budget);
            let usage = match usage {
                Ok(Some(usage)) => usage,
                Ok(None) => break,
                Err(error) => {
                    *counting = None;
                    return Err(error);
                }
            };
            if let Some(begun) = counting.take() {
                all.push(Counted {
                    instance: begun.instance,
                    incarnation: begun.incarnation,
                    before: begun.before,
                    usage,
                });
            }
        }
        Ok(all)
    }

    fn begin_count(&self, now: Instant) -> sanntid_store::Result<Option<Begun>> {
        let mut all = self.registry.all().into_iter();
        let Some(running) = all.find(|running| running.published.is_count_due(now)) else {
            return Ok(None);
        };
        running.published.count_begins(now);
        let state = running.published.state();
        let snapshot = self.kv.snapshot()?;
        let before = catalog::usage(&*snapshot, state.incarnation)?;
        Ok(Some(Begun {
            instance: state.instance,
            incarnation: state.incarnation,
            before: before.unwrap_or_default(),
            counter: Counter::new(&state),
        }))
    }

    /// Has the tenant take a count; what was written since it began comes on top.
    fn take(&self, counted: Counted) {
        let Some(running) = self.registry.running(counted.instance) else {
            return;
        };
        let decide = move |change: &mut Change<'_>| {
            if change.state.incarnation == counted.incarnation {
                change.usage = change.usage.changed(counted.before, counted.usage);
            }
            Ok(())
        };
        let (reply, _answer) = ReplyTo::new();
        let command = Command::Change(Box::new(decide));
        if send(&running, Call { command, reply }).is_err() {
            running.published.want_count();
        }
    }
}

/// What a tenant keeps when it is read; one that was never counted is counted soon.
pub(crate) fn known(
    snapshot: &dyn Snapshot,
    state: &TenantState,
    published: &Published,
) -> sanntid_store::Result<Usage> {
    let usage = catalog::usage(snapshot, state.incarnation)?;
    if usage.is_none() && state.accepted_at.is_some() {
        published.want_count();
    }
    Ok(usage.unwrap_or_default())
}

fn send(running: &Running, call: Call) -> Result<(), ()> {
    running.addr.try_send(call).map_err(|_| ())
}

impl TenantActor {
    /// What the tenant keeps once a write is stored, or the limit that it would pass.
    pub(crate) fn usage_after(
        &self,
        limits: &Limits,
        before: Usage,
        after: Usage,
    ) -> Result<Usage, Error> {
        let usage = self.usage.changed(before, after);
        let checked = limits.check_usage(self.usage, usage);
        checked.inspect_err(|error| {
            // Some of it may have ended.
            self.member.published.want_count();
            note_limit(error);
        })?;
        Ok(usage)
    }
}

/// Refuses an update of too many fields.
pub(crate) fn check_fields(limits: &Limits, fields: usize) -> Result<(), Error> {
    limits.check_fields(fields).inspect_err(note_limit)
}

/// Counts a refusal.
fn note_limit(error: &Error) {
    if matches!(
        error.code,
        ErrorCode::LimitExceeded | ErrorCode::BodyTooLarge
    ) && let Some(limit) = error.target.as_deref().and_then(LimitName::parse)
    {
        metrics::counter!("sanntid_limits_met_total", "limit" => limit.name()).increment(1);
    }
}

/// Whether a count is due that began last at an instant, in milliseconds.
pub(crate) fn is_due(now: Instant, began: i64, is_wanted: bool) -> bool {
    let since = now.as_millis().saturating_sub(began);
    since >= if is_wanted { COUNT_SOON } else { COUNT_EVERY }
}
