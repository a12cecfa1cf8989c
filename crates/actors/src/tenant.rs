//! Owns one instance while it is in memory: `TenantActor` decides its writes in order.
//!
//! Holds wiring only: `engine` decides, the shard commits. Must not block but for its shard's sync
//! and must not keep overlays.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use actix::{Actor, ActorContext, Context, Handler, Message};
use sanntid_engine::{
    AppendActivity, AppendAnswer, AppendCall, Appended, CallError, PatchAnswer, PatchCall,
    PatchProfile, Record, TenantState, append_activity, owner_profile, patch_profile,
};
use sanntid_store::{Snapshot, WriteBatch, catalog};
use sanntid_types::{ActivityState, Clock, Error, ErrorCode, Instant};

use crate::{
    outcome::{Reply, ReplyTo, call_error},
    registry::Alive,
    shard::{Member, Shard, commit_soon},
};

/// What a change works on: the state it alters and the batch it is committed with.
pub(crate) struct Change<'a> {
    pub(crate) state: TenantState,
    pub(crate) batch: WriteBatch,
    pub(crate) snapshot: &'a dyn Snapshot,
    pub(crate) now: Instant,
}

/// Decides about a change; an error changes nothing.
pub(crate) type Decide = Box<dyn FnOnce(&mut Change<'_>) -> Result<(), Error> + Send>;

pub(crate) enum Command {
    Patch(PatchCall),
    Append(AppendCall),
    /// A change of configuration or generation, committed by itself.
    Change(Decide),
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
    state: TenantState,
    member: Rc<Member>,
    shard: Rc<RefCell<Shard>>,
    clock: Arc<dyn Clock>,
    mailbox_capacity: usize,
    /// Tells the registry when this actor is gone, however it went.
    _alive: Alive,
}

impl TenantActor {
    pub(crate) fn new(
        state: TenantState,
        member: Rc<Member>,
        shard: Rc<RefCell<Shard>>,
        clock: Arc<dyn Clock>,
        mailbox_capacity: usize,
        alive: Alive,
    ) -> Self {
        Self {
            state,
            member,
            shard,
            clock,
            mailbox_capacity,
            _alive: alive,
        }
    }

    /// Reads the state anew after a batch with this tenant's writes was lost.
    fn refresh_if_stale(&mut self) -> Result<(), CallError> {
        if !self.member.is_stale() {
            return Ok(());
        }
        let shard = self.shard.borrow();
        let snapshot = match shard.kv().health() {
            sanntid_store::Health::Poisoned | sanntid_store::Health::Reopening => {
                Err(sanntid_store::Error::Poisoned)
            }
            _ => shard.kv().snapshot(),
        };
        let read =
            snapshot.and_then(|snapshot| catalog::tenant(&*snapshot, self.state.incarnation));
        let state = read.map_err(|error| call_error(&error))?;
        self.state = state.ok_or_else(|| gone(&self.state))?;
        self.member.published.replace(self.state.clone());
        self.member.refreshed();
        Ok(())
    }

    fn check_clock(&self) -> Result<Instant, Error> {
        if self.clock.is_trusted() {
            return Ok(self.clock.now());
        }
        let text = "the clock has jumped; writes wait until it is right again; nothing was stored";
        Err(Error::new(ErrorCode::ClockJumped, text).with_target("clock"))
    }

    fn write(&mut self, command: &Write<'_>, reply: ReplyTo) {
        let ready = self
            .refresh_if_stale()
            .and_then(|()| Ok(self.check_clock()?));
        let shard = Rc::clone(&self.shard);
        let mut shard = shard.borrow_mut();
        match ready.and_then(|now| self.decide(&mut shard, now, command)) {
            Ok((answer, Some(records))) => self.stage(&mut shard, reply, answer, &records),
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
    ) -> Result<(Reply, Option<Vec<Record>>), CallError> {
        let view = shard
            .view(self.state.incarnation)
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
                let answer = PatchAnswer {
                    profile: patched.profile,
                };
                Ok((Reply::Patched(answer), Some(patched.records)))
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
                        let customer = owner_profile(&view, &self.state, &activity.owner)?;
                        let answer = AppendAnswer {
                            activity: activity.activity,
                            customer: customer.filter(|_| activity.state == ActivityState::Stored),
                            state: activity.state,
                            replayed: false,
                        };
                        Ok((Reply::Appended(Box::new(answer)), Some(records)))
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

    fn stage(&mut self, shard: &mut Shard, reply: ReplyTo, answer: Reply, records: &[Record]) {
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
        let accepted_at = self.state.accepted_at.unwrap_or(Instant::MIN);
        shard.stage(&self.member, accepted_at, batch, reply, answer);
    }

    fn change(&mut self, decide: Decide) -> Result<Reply, CallError> {
        self.shard.borrow_mut().flush();
        self.refresh_if_stale()?;
        let now = self.check_clock()?;
        let mut shard = self.shard.borrow_mut();
        let snapshot = shard.kv().snapshot().map_err(|error| call_error(&error))?;
        let mut change = Change {
            state: self.state.clone(),
            batch: WriteBatch::new(),
            snapshot: &*snapshot,
            now: self.state.now(now),
        };
        decide(&mut change)?;
        let Change {
            state, mut batch, ..
        } = change;
        let is_new = state != self.state;
        if is_new {
            catalog::put_tenant(&mut batch, &state);
        }
        drop(snapshot);
        if let Err(error) = shard.commit_alone(batch) {
            self.member.lost();
            return Err(error);
        }
        if is_new {
            self.member.published.replace(state.clone());
            self.state = state;
        }
        Ok(Reply::Changed)
    }
}

enum Write<'a> {
    Patch(&'a PatchCall),
    Append(&'a AppendCall),
}

impl Actor for TenantActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.mailbox_capacity);
    }
}

impl Handler<Call> for TenantActor {
    type Result = ();

    fn handle(&mut self, call: Call, _: &mut Self::Context) {
        match call.command {
            Command::Patch(patch) => self.write(&Write::Patch(&patch), call.reply),
            Command::Append(append) => self.write(&Write::Append(&append), call.reply),
            Command::Change(decide) => {
                let answer = self.change(decide);
                call.reply.send(answer);
            }
        }
    }
}

impl Handler<Leave> for TenantActor {
    type Result = ();

    fn handle(&mut self, _: Leave, context: &mut Self::Context) {
        self.shard.borrow_mut().flush();
        context.stop();
    }
}

fn gone(state: &TenantState) -> Error {
    Error::new(
        ErrorCode::InstanceNotFound,
        format!("there is no instance {}", state.instance),
    )
}
