//! Owns the writes of one shard: staged by its tenants, committed as one batch with one sync.
//!
//! Lives on the shard's thread. While the thread syncs, the next calls wait in their tenants'
//! mailboxes: that is the batching. Must not decide anything.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

use sanntid_engine::{CallError, TenantState};
use sanntid_store::{Kv, Snapshot, Staged, StagedSnapshot, TenantView, WriteBatch};
use sanntid_types::Instant;

use crate::{
    outcome::{Reply, ReplyTo, call_error},
    published::Published,
};

/// What a tenant shares with its shard.
pub(crate) struct Member {
    pub(crate) published: Arc<Published>,
    /// The instant of its last write that is staged.
    staged: Cell<Option<Instant>>,
}

impl Member {
    pub(crate) fn new(published: Arc<Published>) -> Rc<Self> {
        Rc::new(Self {
            published,
            staged: Cell::new(None),
        })
    }
}

struct Waiting {
    reply: ReplyTo,
    answer: Result<Reply, CallError>,
}

/// The writes of one shard.
pub(crate) struct Shard {
    kv: Arc<dyn Kv>,
    batch_bytes_max: u64,
    snapshot: Option<Box<dyn Snapshot>>,
    staged: Staged,
    members: Vec<Rc<Member>>,
    waiting: Vec<Waiting>,
    armed: bool,
}

impl Shard {
    pub(crate) fn new(kv: Arc<dyn Kv>, batch_bytes_max: u64) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self {
            kv,
            batch_bytes_max,
            snapshot: None,
            staged: Staged::default(),
            members: Vec::new(),
            waiting: Vec::new(),
            armed: false,
        }))
    }

    /// The state with everything staged, as the next decision must see it.
    pub(crate) fn view(
        &mut self,
        tenant: &TenantState,
    ) -> sanntid_store::Result<TenantView<StagedSnapshot<'_>>> {
        if self.snapshot.is_none() {
            self.snapshot = Some(self.kv.snapshot()?);
        }
        let snapshot = self.snapshot.as_deref().expect("taken above");
        Ok(TenantView::of(
            StagedSnapshot::new(snapshot, &self.staged),
            tenant,
        ))
    }

    /// Takes an accepted write; the answer is sent when it is durable.
    pub(crate) fn stage(
        &mut self,
        member: &Rc<Member>,
        accepted_at: Instant,
        batch: WriteBatch,
        mut reply: ReplyTo,
        answer: Reply,
    ) {
        reply.mark_staged();
        self.stage_one(member, accepted_at, batch);
        self.answer(member, reply, Ok(answer));
    }

    /// Takes one of several accepted writes that are answered together, with `answer`, at the end.
    pub(crate) fn stage_one(
        &mut self,
        member: &Rc<Member>,
        accepted_at: Instant,
        batch: WriteBatch,
    ) {
        self.staged.stage(batch);
        if member.staged.replace(Some(accepted_at)).is_none() {
            self.members.push(Rc::clone(member));
        }
    }

    /// Gives an answer that stores nothing. It waits where it may rest on what is staged.
    pub(crate) fn answer(
        &mut self,
        member: &Member,
        reply: ReplyTo,
        answer: Result<Reply, CallError>,
    ) {
        if member.staged.get().is_some() {
            self.waiting.push(Waiting { reply, answer });
        } else {
            reply.send(answer);
        }
    }

    /// Whether a commit must be arranged; says so once for each batch.
    ///
    /// Also where nobody waits: the snapshot that a refusal was decided on must not be kept, for
    /// that would hold up a re-opening of the store.
    pub(crate) fn arm(&mut self) -> bool {
        let is_in_use = self.snapshot.is_some() || !self.waiting.is_empty();
        let is_first = !self.armed && is_in_use;
        self.armed |= is_first;
        is_first
    }

    /// Whether the batch is as large as a batch may be.
    pub(crate) fn is_full(&self) -> bool {
        self.staged.bytes() >= self.batch_bytes_max
    }

    /// Commits what is staged and answers everybody who waits; blocks this thread for the sync.
    pub(crate) fn flush(&mut self) {
        self.armed = false;
        self.snapshot = None;
        let waiting = std::mem::take(&mut self.waiting);
        let members = std::mem::take(&mut self.members);
        let batch = self.staged.take();
        if batch.is_empty() {
            waiting
                .into_iter()
                .for_each(|waiting| waiting.reply.send(waiting.answer));
            return;
        }
        metrics::histogram!("sanntid_commit_writes").record(small(waiting.len()));
        // Until it is known that they are stored, also if the store panics.
        let staged: Vec<_> = members
            .iter()
            .map(|member| {
                member.published.set_in_doubt(true);
                (&member.published, member.staged.take())
            })
            .collect();
        let committed = self.kv.commit(batch);
        if let Err(error) = &committed {
            tracing::warn!(%error, writes = waiting.len(), "a batch of writes was refused");
            metrics::counter!("sanntid_commits_failed_total").increment(1);
        } else {
            for (published, accepted_at) in staged {
                accepted_at
                    .into_iter()
                    .for_each(|at| published.accepted(at));
                published.set_in_doubt(false);
            }
        }
        let lost = committed.err().map(|error| call_error(&error));
        for waiting in waiting {
            let answer = lost.clone().map_or(waiting.answer, Err);
            waiting.reply.send(answer);
        }
    }

    /// Commits one change by itself, so that no reader meets it half published.
    pub(crate) fn commit_alone(&mut self, batch: WriteBatch) -> Result<(), CallError> {
        debug_assert!(self.staged.is_empty(), "flush first");
        self.snapshot = None;
        self.kv.commit(batch).map_err(|error| call_error(&error))
    }
}

/// Commits once everybody who is ready has staged.
pub(crate) async fn commit_soon(shard: Rc<RefCell<Shard>>) {
    tokio::task::yield_now().await;
    shard.borrow_mut().flush();
}

fn small(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}
