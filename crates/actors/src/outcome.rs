//! Owns what a caller learns when the store refuses, and the way an answer takes back to it.
//!
//! Must not answer a write with an error that may be untrue: a 5xx says that nothing is stored.

use sanntid_engine::{AppendAnswer, CallError, PatchAnswer, ViewError, Written};
use sanntid_types::{Error, ErrorCode, InstanceId};
use tokio::sync::oneshot;

/// What a tenant answers.
#[derive(Debug)]
pub(crate) enum Reply {
    Patched(PatchAnswer),
    Appended(Box<AppendAnswer>),
    /// As many as were looked at, in their order.
    Written(Vec<Result<Written, CallError>>),
    /// The answer of a change is where the change put it.
    Changed,
}

/// What reaches the caller.
#[derive(Debug)]
pub(crate) enum Delivery {
    Done(Result<Reply, CallError>),
    /// Nobody has looked at the call.
    NotHandled,
    /// Whoever handled the call failed on the way; nothing was stored.
    Failed,
}

/// How far a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waiting,
    Begun,
    /// From now on it may be stored.
    Staged,
}

/// Where an answer goes. Dropped without one, it tells the caller what can be known.
#[derive(Debug)]
pub(crate) struct ReplyTo {
    sender: Option<oneshot::Sender<Delivery>>,
    stage: Stage,
}

impl ReplyTo {
    /// Makes the two ends.
    pub(crate) fn new() -> (Self, oneshot::Receiver<Delivery>) {
        let (sender, receiver) = oneshot::channel();
        (
            Self {
                sender: Some(sender),
                stage: Stage::Waiting,
            },
            receiver,
        )
    }

    /// Notes that somebody handles the call: it is not given to another one.
    pub(crate) fn mark_begun(&mut self) {
        self.stage = Stage::Begun;
    }

    /// Notes that from now on the call may be stored.
    pub(crate) fn mark_staged(&mut self) {
        self.stage = Stage::Staged;
    }

    /// Gives the call back as if nobody had looked at it.
    pub(crate) fn hand_back(mut self) {
        self.deliver(Delivery::NotHandled);
    }

    /// Answers.
    pub(crate) fn send(mut self, answer: Result<Reply, CallError>) {
        self.deliver(Delivery::Done(answer));
    }

    fn deliver(&mut self, delivery: Delivery) {
        // A caller that is gone needs no answer.
        self.sender.take().map(|sender| sender.send(delivery).ok());
    }
}

impl Drop for ReplyTo {
    fn drop(&mut self) {
        let delivery = match self.stage {
            Stage::Waiting => Delivery::NotHandled,
            Stage::Begun => Delivery::Failed,
            Stage::Staged => Delivery::Done(Err(CallError::Unknown)),
        };
        self.deliver(delivery);
    }
}

/// Says why the store refused; an outcome that can't be known stays so.
pub(crate) fn call_error(error: &sanntid_store::Error) -> CallError {
    if error.outcome_is_unknown() {
        CallError::Unknown
    } else {
        CallError::Refused(refusal(error))
    }
}

/// Says to a reader why the store can't answer.
pub(crate) fn refusal(error: &sanntid_store::Error) -> Error {
    use sanntid_store::Error as Store;
    let (code, text, limit) = match error {
        Store::DiskFull { .. } => (
            ErrorCode::DiskFull,
            "the disk is too full to take writes; nothing was stored",
            "freeSpace",
        ),
        Store::Poisoned | Store::Reopening | Store::WriteFailed { .. } | Store::LoadInterrupted => {
            (
                ErrorCode::StorePoisoned,
                "the store is recovering from a failed write; nothing was stored",
                "store",
            )
        }
        Store::Closed => (
            ErrorCode::TenantUnavailable,
            "the server is shutting down; nothing was stored",
            "shutdown",
        ),
        Store::Busy => (
            ErrorCode::Overloaded,
            "the store is busy; nothing was stored",
            "storeWrites",
        ),
        Store::BatchTooLarge { .. } => (
            ErrorCode::BodyTooLarge,
            "the write is larger than the store takes",
            "batchBytes",
        ),
        Store::Io(_)
        | Store::Corrupt { .. }
        | Store::Locked
        | Store::InvalidKey { .. }
        | Store::InvalidConfig { .. } => {
            tracing::error!(%error, "the store can't answer");
            return Error::new(ErrorCode::Internal, "stored data can't be read");
        }
    };
    Error::new(code, text).with_target(limit)
}

/// Says to a reader why a view can't be read.
pub(crate) fn view_refusal(error: ViewError) -> Error {
    match error {
        ViewError::Unavailable(text) => Error::new(ErrorCode::TenantUnavailable, text),
        ViewError::Corrupt(detail) => {
            tracing::error!(detail, "stored data is corrupt");
            Error::new(ErrorCode::Internal, "stored data can't be read")
        }
    }
}

/// Says that a limit of this node is reached; `limit` names it.
pub(crate) fn overloaded(limit: &'static str) -> Error {
    let text = format!("too many calls wait at present (limit {limit}); nothing was stored");
    Error::new(ErrorCode::Overloaded, text).with_target(limit)
}

/// Says that an instance can't be served at present; never that it does not exist.
pub(crate) fn unavailable(id: InstanceId, why: &str) -> Error {
    Error::new(
        ErrorCode::TenantUnavailable,
        format!("the instance {id} {why}"),
    )
    .with_target("tenant")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_dropped_says_what_can_be_known() {
        let dropped = |mark: fn(&mut ReplyTo)| {
            let (mut reply, mut answer) = ReplyTo::new();
            mark(&mut reply);
            drop(reply);
            answer.try_recv().expect("it is sent")
        };
        assert!(matches!(dropped(|_| {}), Delivery::NotHandled));
        assert!(matches!(dropped(ReplyTo::mark_begun), Delivery::Failed));
        assert!(matches!(
            dropped(ReplyTo::mark_staged),
            Delivery::Done(Err(CallError::Unknown))
        ));
        let (reply, mut answer) = ReplyTo::new();
        reply.send(Ok(Reply::Changed));
        assert!(matches!(answer.try_recv(), Ok(Delivery::Done(Ok(_)))));
        let (mut reply, mut answer) = ReplyTo::new();
        reply.mark_begun();
        reply.hand_back();
        assert!(matches!(answer.try_recv(), Ok(Delivery::NotHandled)));
    }
}
