//! Owns writes that come many at a time: one message, one commit, an answer for each.
//!
//! A line of a bulk request then costs little more than its decision and its records. Must not
//! decide anything that a single write does not.

use std::{rc::Rc, sync::Arc};

use sanntid_engine::{
    AppendActivity, Appended, CallError, PatchAnswer, PatchProfile, Record, WriteCall, Written,
    append_activity, patch_profile,
};
use sanntid_store::{WriteBatch, catalog};
use sanntid_types::{InstanceId, Instant, Limits, Position, Usage};

use crate::{
    node::Shared,
    outcome::{Reply, ReplyTo, call_error},
    shard::{Shard, commit_soon},
    tenant::{Command, TenantActor},
    usage::check_fields,
};

/// Where the last accepted write of a message stands.
type Head = (Position, Instant);

impl Shared {
    /// Has a tenant handle many calls in their order; gives an answer for each.
    pub(crate) async fn write_many(
        self: &Arc<Self>,
        id: InstanceId,
        calls: Vec<WriteCall>,
    ) -> Vec<Result<Written, CallError>> {
        let calls: Arc<[WriteCall]> = calls.into();
        let mut answers = Vec::with_capacity(calls.len());
        while answers.len() < calls.len() {
            let from = answers.len();
            let rest = || Command::Many(Arc::clone(&calls), from);
            match self.call(id, rest).await {
                Ok(Reply::Written(more)) if !more.is_empty() => answers.extend(more),
                // What was not looked at is refused like what was: later writes must not overtake.
                Err(error) => answers.resize(calls.len(), Err(error)),
                Ok(Reply::Written(_) | Reply::Patched(_) | Reply::Appended(_) | Reply::Changed) => {
                    answers.resize(calls.len(), Err(CallError::Unknown));
                }
            }
        }
        answers
    }
}

impl TenantActor {
    /// Decides calls in their order until the batch is full; the answer says how many these were.
    pub(crate) fn write_many(&mut self, calls: &[WriteCall], mut reply: ReplyTo) {
        let shard = Rc::clone(&self.shard);
        let mut shard = shard.borrow_mut();
        let now = match self.check_clock() {
            Ok(now) => now,
            Err(error) => return shard.answer(&self.member, reply, Err(error.into())),
        };
        let limits = match self.shared.limits_of(self.state.instance) {
            Ok(limits) => limits,
            Err(error) => return shard.answer(&self.member, reply, Err(error)),
        };
        let mut answers = Vec::with_capacity(calls.len());
        let mut head: Option<Head> = None;
        for call in calls {
            let decided = self.decide_one(&mut shard, now, &limits, call);
            answers.push(decided.map(|(written, usage, records)| {
                self.usage = usage;
                if let Some(accepted) = self.stage_one(&mut shard, &mut reply, records) {
                    head = Some(accepted);
                }
                written
            }));
            if shard.is_full() {
                break;
            }
        }
        if let Some((position, accepted_at)) = head {
            let head = Record::Head {
                position,
                accepted_at,
            };
            let mut batch = WriteBatch::new();
            catalog::put_records(&mut batch, self.state.incarnation, &[head]);
            catalog::put_usage(&mut batch, self.state.incarnation, &self.usage);
            shard.stage_one(&self.member, accepted_at, batch);
        }
        shard.answer(&self.member, reply, Ok(Reply::Written(answers)));
        if shard.is_full() {
            shard.flush();
        } else if shard.arm() {
            actix_rt::spawn(commit_soon(Rc::clone(&self.shard)));
        }
    }

    fn decide_one(
        &self,
        shard: &mut Shard,
        now: Instant,
        limits: &Limits,
        call: &WriteCall,
    ) -> Result<(Written, Usage, Vec<Record>), CallError> {
        let view = shard
            .view(&self.state)
            .map_err(|error| call_error(&error))?;
        match call {
            WriteCall::Patch(call) => {
                let command = PatchProfile {
                    profile: &call.profile,
                    body: &call.body,
                    valid_until: call.valid_until,
                    caller: call.caller.clone(),
                    if_match: call.if_match.as_deref(),
                };
                let patched = patch_profile(&view, &self.state, now, &command)?;
                check_fields(limits, patched.fields)?;
                let usage = self.usage_after(limits, patched.before, patched.after)?;
                let profile = patched.profile;
                let written = Written::Patched(PatchAnswer { profile });
                Ok((written, usage, patched.records))
            }
            WriteCall::Append(call) => {
                let command = AppendActivity {
                    entity: &call.entity,
                    body: &call.body,
                    valid_until: call.valid_until,
                    caller: call.caller.clone(),
                    on_unknown: call.on_unknown,
                };
                let appended = append_activity(&view, &self.state, now, &command)?;
                let (id, state, replayed, usage, records) = match appended {
                    Appended::New { records, activity } => {
                        let (before, after) = (Usage::default(), activity.usage());
                        let usage = self.usage_after(limits, before, after)?;
                        (activity.activity.id, activity.state, false, usage, records)
                    }
                    Appended::Replayed {
                        state, activity, ..
                    } => (activity.id, state, true, self.usage, Vec::new()),
                };
                let written = Written::Appended {
                    id,
                    state,
                    replayed,
                };
                Ok((written, usage, records))
            }
        }
    }

    /// Stages one accepted write but for its head, of which the last alone is stored.
    fn stage_one(
        &mut self,
        shard: &mut Shard,
        reply: &mut ReplyTo,
        mut records: Vec<Record>,
    ) -> Option<Head> {
        let mut head = None;
        records.retain(|record| match record {
            Record::Head {
                position,
                accepted_at,
            } => {
                head = Some((*position, *accepted_at));
                false
            }
            Record::Overlay { .. } | Record::Activity { .. } => true,
        });
        let (position, accepted_at) = head?;
        // From here on a failure of this actor leaves it staged, and its next life commits it.
        reply.mark_staged();
        let mut batch = WriteBatch::new();
        catalog::put_records(&mut batch, self.state.incarnation, &records);
        shard.stage_one(&self.member, accepted_at, batch);
        self.state.position = position;
        self.state.accepted_at = Some(accepted_at);
        Some((position, accepted_at))
    }
}
