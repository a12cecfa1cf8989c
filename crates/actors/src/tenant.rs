//! Owns one instance while it is in memory: `TenantActor` decides its writes in order.
//!
//! Holds wiring only: `engine` decides, the shard commits. Must not block but for its shard's sync
//! and must not keep overlays.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, ActorContext, Addr, Context, Handler, Message};
use sanntid_engine::{
    AppendActivity, AppendAnswer, AppendCall, Appended, CallError, PatchAnswer, PatchCall,
    PatchProfile, Record, TenantState, WriteCall, append_activity, owner_profile, patch_profile,
};
use sanntid_store::{Snapshot, WriteBatch, catalog};
use sanntid_types::{ActivityState, Error, ErrorCode, Instant, Usage};

use crate::{
    node::{Shared, settled_snapshot},
    outcome::{Reply, ReplyTo, call_error},
    published::Published,
    registry::Alive,
    shard::{Member, Shard, commit_soon},
    usage::{self, check_fields},
};

/// What a change works on: the state it alters and the batch it is committed with.
pub(crate) struct Change<'a> {
    pub(crate) state: TenantState,
    pub(crate) batch: WriteBatch,
    pub(crate) snapshot: &'a dyn Snapshot,
    pub(crate) now: Instant,
    /// What the tenant keeps of what came by calls.
    pub(crate) usage: Usage,
    /// Whether a job was queued, which is to be started after the commit.
    pub(crate) has_new_job: bool,
    /// Whether schedules were changed.
    pub(crate) has_new_schedule: bool,
}

/// Decides about a change; an error changes nothing.
pub(crate) type Decide = Box<dyn FnOnce(&mut Change<'_>) -> Result<(), Error> + Send>;

pub(crate) enum Command {
    Patch(PatchCall),
    Append(AppendCall),
    /// Those of the writes from this one on.
    Many(Arc<[WriteCall]>, usize),
    /// A change of configuration or generation, committed by itself.
    Change(Decide),
    /// Panics with whatever is staged.
    #[cfg(test)]
    Fail,
}

/// Asks a tenant for something; the answer goes its own way.
pub(crate) struct Call {
    pub(crate) command: Command,
    pub(crate) reply: ReplyTo,
}

impl Message for Call {
    type Result = ();
}

/// Asks a tenant to leave memory.
pub(crate) struct Leave;

impl Message for Leave {
    type Result = ();
}

/// Owns one instance's writes.
pub(crate) struct TenantActor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) state: TenantState,
    /// What it keeps of what came by calls, with what is staged.
    pub(crate) usage: Usage,
    pub(crate) member: Rc<Member>,
    pub(crate) shard: Rc<RefCell<Shard>>,
    /// Tells the registry when this actor is gone, however it went.
    alive: Alive,
}

impl TenantActor {
    /// Starts the owner of the instance of `state` on this thread.
    pub(crate) fn start_here(
        shared: Arc<Shared>,
        shard: Rc<RefCell<Shard>>,
        (state, usage): (TenantState, Usage),
        published: Arc<Published>,
        alive: Alive,
    ) -> Addr<Self> {
        Self::create(|context| {
            // Set before anybody has the address; the calls in flight are limited already.
            context.set_mailbox_capacity(shared.config.tenant_calls_max + 1);
            Self {
                shared,
                state,
                usage,
                member: Member::new(published),
                shard,
                alive,
            }
        })
    }

    /// Reads the state anew where a lost batch left it in doubt; `false` where this life of the
    /// instance has ended.
    fn settle(&mut self) -> Result<bool, CallError> {
        if !self.member.published.is_in_doubt() {
            return Ok(true);
        }
        let refused = |error| call_error(&error);
        let snapshot = settled_snapshot(&*self.shared.kv).map_err(refused)?;
        let record = catalog::instance(&*snapshot, self.state.instance).map_err(refused)?;
        if record.is_none_or(|record| record.incarnation != self.state.incarnation) {
            return Ok(false);
        }
        let state = catalog::tenant(&*snapshot, self.state.incarnation).map_err(refused)?;
        let Some(state) = state else {
            return Ok(false);
        };
        let published = &self.member.published;
        let usage = usage::known(&*snapshot, &state, published);
        self.usage = usage.map_err(refused)?;
        self.shared.note_cleared(&state);
        if !state.erasing.is_empty() {
            self.shared.erasures.note(state.instance);
        }
        self.state = state;
        self.member.published.replace(self.state.clone());
        self.member.published.set_in_doubt(false);
        Ok(true)
    }

    pub(crate) fn check_clock(&self) -> Result<Instant, Error> {
        if self.shared.clock.is_trusted() {
            return Ok(self.shared.clock.now());
        }
        let text = "the clock has jumped; writes wait until it is back or an operator confirms it \
                    (POST /api/manage/clock/confirm); nothing was stored";
        Err(Error::new(ErrorCode::ClockJumped, text).with_target("clock"))
    }

    fn write(&mut self, command: &Write<'_>, reply: ReplyTo) {
        let shard = Rc::clone(&self.shard);
        let mut shard = shard.borrow_mut();
        let now = self.check_clock().map_err(CallError::from);
        match now.and_then(|now| self.decide(&mut shard, now, command)) {
            Ok((answer, Some(accepted))) => self.stage(&mut shard, reply, answer, &accepted),
            Ok((answer, None)) => shard.answer(&self.member, reply, Ok(answer)),
            Err(error) => shard.answer(&self.member, reply, Err(error)),
        }
        if shard.is_full() {
            shard.flush();
        } else if shard.arm() {
            actix_rt::spawn(commit_soon(Rc::clone(&self.shard)));
        }
    }

    fn decide(
        &self,
        shard: &mut Shard,
        now: Instant,
        command: &Write<'_>,
    ) -> Result<(Reply, Option<Accepted>), CallError> {
        let limits = self.shared.limits_of(self.state.instance)?;
        let view = shard
            .view(&self.state)
            .map_err(|error| call_error(&error))?;
        match command {
            Write::Patch(call) => {
                let command = PatchProfile {
                    profile: &call.profile,
                    body: &call.body,
                    valid_until: call.valid_until,
                    caller: call.caller.clone(),
                    if_match: call.if_match.as_deref(),
                };
                let patched = patch_profile(&view, &self.state, now, &command)?;
                check_fields(&limits, patched.fields)?;
                let accepted = Accepted {
                    usage: self.usage_after(&limits, patched.before, patched.after)?,
                    records: patched.records,
                };
                let answer = PatchAnswer {
                    profile: patched.profile,
                };
                Ok((Reply::Patched(answer), Some(accepted)))
            }
            Write::Append(call) => {
                let command = AppendActivity {
                    entity: &call.entity,
                    body: &call.body,
                    valid_until: call.valid_until,
                    caller: call.caller.clone(),
                    on_unknown: call.on_unknown,
                };
                match append_activity(&view, &self.state, now, &command)? {
                    Appended::New { records, activity } => {
                        let (before, after) = (Usage::default(), activity.usage());
                        let usage = self.usage_after(&limits, before, after)?;
                        let accepted = Accepted { records, usage };
                        let customer = owner_profile(&view, &self.state, &activity.owner)?;
                        let answer = AppendAnswer {
                            activity: activity.activity,
                            customer: customer.filter(|_| activity.state == ActivityState::Stored),
                            state: activity.state,
                            replayed: false,
                        };
                        Ok((Reply::Appended(Box::new(answer)), Some(accepted)))
                    }
                    Appended::Replayed {
                        state,
                        activity,
                        customer,
                    } => {
                        let answer = AppendAnswer {
                            activity: *activity,
                            customer,
                            state,
                            replayed: true,
                        };
                        Ok((Reply::Appended(Box::new(answer)), None))
                    }
                }
            }
        }
    }

    fn stage(&mut self, shard: &mut Shard, reply: ReplyTo, answer: Reply, accepted: &Accepted) {
        let Accepted { records, usage } = accepted;
        for record in records {
            if let Record::Head {
                position,
                accepted_at,
            } = record
            {
                self.state.position = *position;
                self.state.accepted_at = Some(*accepted_at);
            }
        }
        let mut batch = WriteBatch::new();
        catalog::put_records(&mut batch, self.state.incarnation, records);
        catalog::put_usage(&mut batch, self.state.incarnation, usage);
        self.usage = *usage;
        let accepted_at = self.state.accepted_at.unwrap_or(Instant::MIN);
        shard.stage(&self.member, accepted_at, batch, reply, answer);
    }

    /// Commits one change by itself; what was staged is committed already.
    fn change(&mut self, decide: Decide, reply: &mut ReplyTo) -> Result<Reply, CallError> {
        let now = self.check_clock()?;
        let snapshot = self.shared.kv.snapshot();
        let snapshot = snapshot.map_err(|error| call_error(&error))?;
        let mut change = Change {
            state: self.state.clone(),
            batch: WriteBatch::new(),
            snapshot: &*snapshot,
            now: self.state.now(now),
            usage: self.usage,
            has_new_job: false,
            has_new_schedule: false,
        };
        decide(&mut change)?;
        let Change {
            state,
            mut batch,
            usage,
            has_new_job,
            has_new_schedule,
            ..
        } = change;
        drop(snapshot);
        let is_new = state != self.state;
        if is_new {
            catalog::put_tenant(&mut batch, &state);
        }
        if usage != self.usage {
            catalog::put_usage(&mut batch, state.incarnation, &usage);
        }
        if batch.is_empty() {
            return Ok(Reply::Changed);
        }
        reply.mark_staged();
        self.member.published.set_in_doubt(true);
        let committed = self.shard.borrow_mut().commit_alone(batch);
        if has_new_job {
            // Also where it may only be stored: whoever starts it looks.
            self.shared.refreshes.queue(self.state.instance);
        }
        if has_new_schedule {
            self.shared.schedules.look_again(self.state.instance);
        }
        committed?;
        self.usage = usage;
        if is_new {
            self.member.published.replace(state.clone());
            self.state = state;
        }
        self.member.published.set_in_doubt(false);
        Ok(Reply::Changed)
    }
}

/// What an accepted write stores.
struct Accepted {
    records: Vec<Record>,
    /// What the tenant keeps with it.
    usage: Usage,
}

enum Write<'a> {
    Patch(&'a PatchCall),
    Append(&'a AppendCall),
}

impl Actor for TenantActor {
    type Context = Context<Self>;
}

impl Handler<Call> for TenantActor {
    type Result = ();

    fn handle(&mut self, call: Call, context: &mut Self::Context) {
        let Call { command, mut reply } = call;
        reply.mark_begun();
        if let Command::Change(_) = &command {
            self.shard.borrow_mut().flush();
        }
        match self.settle() {
            Ok(true) => {}
            Ok(false) => {
                // Whoever asks again finds what there is now.
                self.alive.leave();
                context.stop();
                return reply.hand_back();
            }
            Err(error) => return reply.send(Err(error)),
        }
        match command {
            Command::Patch(patch) => self.write(&Write::Patch(&patch), reply),
            Command::Append(append) => self.write(&Write::Append(&append), reply),
            Command::Many(calls, from) => {
                self.write_many(calls.get(from..).unwrap_or_default(), reply);
            }
            Command::Change(decide) => {
                let answer = self.change(decide, &mut reply);
                reply.send(answer);
            }
            #[cfg(test)]
            Command::Fail => panic!("as planned"),
        }
    }
}

impl Handler<Leave> for TenantActor {
    type Result = ();

    fn handle(&mut self, _: Leave, context: &mut Self::Context) {
        self.shard.borrow_mut().flush();
        self.alive.leave();
        context.stop();
    }
}
