//! A request's body that arrives no faster than its instance may send.
//! Owns the wait. Must not look into the bytes, nor hold more than the piece that came last.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::Data;
use bytes::Bytes;
use futures_util::Stream;
use sanntid_types::InstanceId;
use tokio::time::Sleep;

use super::buckets::PIECE;
use crate::server::Shared;

/// Lets a body through piece by piece, each when there is room for it.
pub(super) struct Paced {
    pub(super) inner: Payload,
    pub(super) shared: Data<Shared>,
    pub(super) instance: InstanceId,
    /// Bytes that were taken when the request came.
    pub(super) prepaid: u64,
    /// What has come and is not let through, with how much of it is not taken yet.
    pub(super) held: Option<(Bytes, u64)>,
    pub(super) wait: Option<Pin<Box<Sleep>>>,
}

impl Paced {
    /// Takes what is held, as far as there is room; says whether that is all of it.
    fn take(&mut self, owed: u64) -> Result<(), u64> {
        let mut owed = owed;
        // As they are now: a change holds for what is under way too.
        let Some(buckets) = self.shared.limits.buckets(&self.shared, self.instance) else {
            return Ok(());
        };
        while owed > 0 {
            let piece = owed.min(PIECE);
            if let Err(wait) = buckets.take_bytes(piece) {
                self.wait = Some(Box::pin(tokio::time::sleep(wait)));
                return Err(owed);
            }
            owed -= piece;
        }
        Ok(())
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(wait) = &mut this.wait {
                ready!(wait.as_mut().poll(context));
                this.wait = None;
            }
            if let Some((bytes, owed)) = this.held.take() {
                match this.take(owed) {
                    Ok(()) => return Poll::Ready(Some(Ok(bytes))),
                    Err(owed) => {
                        this.held = Some((bytes, owed));
                        continue;
                    }
                }
            }
            match ready!(Pin::new(&mut this.inner).poll_next(context)) {
                Some(Ok(bytes)) => {
                    let length = bytes.len() as u64;
                    let paid = length.min(this.prepaid);
                    this.prepaid -= paid;
                    this.held = Some((bytes, length - paid));
                }
                other => return Poll::Ready(other),
            }
        }
    }
}
