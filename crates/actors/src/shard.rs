//! Owns the writes of one shard: staged by its tenants, committed as one batch with one sync.
//!
//! Lives on the shard's thread. While the thread syncs, the next calls wait in their tenants'
//! mailboxes: that is the batching. Must not decide anything.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use sanntid_engine::CallError;
use sanntid_store::{Kv, Snapshot, Staged, StagedSnapshot, TenantView, WriteBatch};
use sanntid_types::{Incarnation, Instant};

use crate::{
    outcome::{Reply, ReplyTo, call_error},
    published::Published,
};

/// What a tenant shares with its shard.
pub(crate) struct Member {
    pub(crate) published: Arc<Published>,
    marks: RefCell<Marks>,
}

#[derive(Default)]
struct Marks {
    /// The instant of the last staged write.
    staged: Option<Instant>,
    /// Whether a batch with its writes was lost: its state must be read anew.
    stale: bool,
}

impl Member {
    pub(crate) fn new(published: Arc<Published>) -> Rc<Self> {
        Rc::new(Self {
            published,
            marks: RefCell::default(),
        })
    }

    /// Whether the tenant's own state can't be relied on.
    pub(crate) fn is_stale(&self) -> bool {
        self.marks.borrow().stale
    }

    /// Notes that it is not known what of the tenant's is stored.
    pub(crate) fn lost(&self) {
        self.marks.borrow_mut().stale = true;
    }

    /// Notes that the tenant's state is as stored.
    pub(crate) fn refreshed(&self) {
        self.marks.borrow_mut().stale = false;
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

    pub(crate) fn kv(&self) -> &dyn Kv {
        &*self.kv
    }

    /// The state with everything staged, as the next decision must see it.
    pub(crate) fn view(
        &mut self,
        incarnation: Incarnation,
    ) -> sanntid_store::Result<TenantView<StagedSnapshot<'_>>> {
        if self.snapshot.is_none() {
            self.snapshot = Some(self.kv.snapshot()?);
        }
        let snapshot = self.snapshot.as_deref().expect("taken above");
        Ok(TenantView::new(
            StagedSnapshot::new(snapshot, &self.staged),
            incarnation,
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
        self.staged.stage(batch);
        if member
            .marks
            .borrow_mut()
            .staged
            .replace(accepted_at)
            .is_none()
        {
            self.members.push(Rc::clone(member));
        }
        reply.mark_staged();
        self.waiting.push(Waiting {
            reply,
            answer: Ok(answer),
        });
    }

    /// Gives an answer that stores nothing. It waits where it may rest on what is staged.
    pub(crate) fn answer(
        &mut self,
        member: &Member,
        reply: ReplyTo,
        answer: Result<Reply, CallError>,
    ) {
        if member.marks.borrow().staged.is_some() {
            self.waiting.push(Waiting { reply, answer });
        } else {
            reply.send(answer);
        }
    }

    /// Whether a commit must be arranged; says so once for each batch.
    pub(crate) fn arm(&mut self) -> bool {
        let is_first = !self.armed && !self.waiting.is_empty();
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
        match self.kv.commit(batch) {
            Ok(()) => {
                for member in members {
                    let accepted_at = member.marks.borrow_mut().staged.take();
                    accepted_at
                        .into_iter()
                        .for_each(|at| member.published.accepted(at));
                }
                waiting
                    .into_iter()
                    .for_each(|waiting| waiting.reply.send(waiting.answer));
            }
            Err(error) => {
                tracing::warn!(%error, writes = waiting.len(), "a batch of writes was refused");
                metrics::counter!("sanntid_commits_failed_total").increment(1);
                for member in members {
                    *member.marks.borrow_mut() = Marks {
                        staged: None,
                        stale: true,
                    };
                }
                let answer = call_error(&error);
                waiting
                    .into_iter()
                    .for_each(|waiting| waiting.reply.send(Err(answer.clone())));
            }
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
