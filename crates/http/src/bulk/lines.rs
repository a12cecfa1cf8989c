//! Splits a body into lines while it arrives. Owns the longest line and what becomes of a body
//! that stalls or breaks off. Must not read what a line says, nor hold more than one of them.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::web;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use sanntid_types::{Error, ErrorCode};
use tokio::time::Sleep;

use crate::body::Limit;
use crate::bulk::unpack::Unpack;

/// How many bytes are passed over before others get their turn.
const PASSED_OVER_MAX: usize = 1 << 20;

/// One line, numbered from 1.
pub(crate) struct Line {
    pub(crate) number: u64,
    /// Its text without its end, or why it has none.
    pub(crate) text: Result<Bytes, Error>,
}

/// The lines of a body.
pub(crate) struct Lines {
    payload: web::Payload,
    unpack: Unpack,
    line_max: Limit,
    stall_timeout: Duration,
    /// Runs while bytes are waited for.
    stall: Option<Pin<Box<Sleep>>>,
    /// What is unpacked and not yet split.
    piece: Bytes,
    /// The begin of a line whose end has not come.
    begun: BytesMut,
    /// Whether the line that has begun is longer than it may be.
    too_long: bool,
    number: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Arriving,
    /// Everything has arrived.
    Arrived,
    Over,
}

impl Lines {
    pub(crate) fn new(
        payload: web::Payload,
        unpack: Unpack,
        line_max: Limit,
        stall_timeout: Duration,
    ) -> Self {
        Self {
            payload,
            unpack,
            line_max,
            stall_timeout,
            stall: None,
            piece: Bytes::new(),
            begun: BytesMut::new(),
            too_long: false,
            number: 0,
            state: State::Arriving,
        }
    }

    /// The next line; `None` behind the last.
    pub(crate) fn poll_line(&mut self, context: &mut Context<'_>) -> Poll<Option<Line>> {
        let mut passed_over = 0;
        loop {
            if let Some(line) = self.split() {
                return Poll::Ready(Some(line));
            }
            if self.state == State::Over {
                return Poll::Ready(None);
            }
            if passed_over > PASSED_OVER_MAX {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.unpack.next() {
                Err(error) => return Poll::Ready(Some(self.break_off(error))),
                Ok(piece) if !piece.is_empty() => {
                    passed_over += piece.len();
                    self.piece = piece;
                }
                Ok(_) if self.state == State::Arrived => {
                    self.state = State::Over;
                    return Poll::Ready(self.last());
                }
                Ok(_) => match self.poll_arrival(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(self.break_off(error))),
                    Poll::Ready(Ok(())) => {}
                },
            }
        }
    }

    /// Takes the next line out of what is there; else keeps it as the begin of one.
    fn split(&mut self) -> Option<Line> {
        let end = memchr::memchr(b'\n', &self.piece);
        let part = match end {
            Some(end) => self.piece.split_to(end),
            None => std::mem::take(&mut self.piece),
        };
        let length = self.begun.len() + part.len();
        self.too_long |= self
            .line_max
            .check(u64::try_from(length).unwrap_or(u64::MAX))
            .is_err();
        if end.is_none() {
            if self.too_long {
                self.begun = BytesMut::new();
            } else {
                self.begun.extend_from_slice(&part);
            }
            return None;
        }
        // Behind the line feed.
        drop(self.piece.split_to(1));
        let text = if self.begun.is_empty() {
            part
        } else {
            self.begun.extend_from_slice(&part);
            self.begun.split().freeze()
        };
        Some(self.line(text))
    }

    fn line(&mut self, mut text: Bytes) -> Line {
        self.number += 1;
        if text.ends_with(b"\r") {
            text.truncate(text.len() - 1);
        }
        let text = if std::mem::take(&mut self.too_long) {
            self.begun = BytesMut::new();
            let Limit { name, bytes } = self.line_max;
            let text = format!("the line is longer than {bytes} bytes, the limit {name}");
            Err(Error::new(ErrorCode::BodyTooLarge, text).with_target(name))
        } else {
            Ok(text)
        };
        Line {
            number: self.number,
            text,
        }
    }

    /// The last line, where it has no end of its own.
    fn last(&mut self) -> Option<Line> {
        if self.begun.is_empty() && !self.too_long {
            return None;
        }
        let text = self.begun.split().freeze();
        Some(self.line(text))
    }

    /// What stands for the line in which the body ended badly: whatever came of it is not whole.
    fn break_off(&mut self, error: Error) -> Line {
        self.state = State::Over;
        self.begun = BytesMut::new();
        self.number += 1;
        Line {
            number: self.number,
            text: Err(error),
        }
    }

    fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self.payload.poll_next_unpin(context) {
            Poll::Ready(arrived) => {
                self.stall = None;
                match arrived {
                    Some(Ok(bytes)) => self.unpack.feed(bytes),
                    Some(Err(error)) => {
                        let text = format!("the body broke off: {error}");
                        return Poll::Ready(Err(Error::new(ErrorCode::InvalidBody, text)));
                    }
                    None => {
                        self.state = State::Arrived;
                        self.unpack.end();
                    }
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                let timeout = self.stall_timeout;
                let stall = self
                    .stall
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                if stall.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let secs = timeout.as_secs_f32();
                let text = format!("the body stalled for {secs} seconds");
                Poll::Ready(Err(Error::new(ErrorCode::InvalidBody, text)))
            }
        }
    }
}
