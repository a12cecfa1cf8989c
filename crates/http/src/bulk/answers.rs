//! Turns what became of lines into answer lines, in pieces of bounded size.
//! Owns their JSON. Must not answer a line whose outcome is unknown.

use std::collections::BTreeMap;
use std::vec::IntoIter;

use actix_web::http::StatusCode;
use bytes::Bytes;
use sanntid_engine::{CallError, Written};
use sanntid_types::{ActivityState, Error};
use serde::Serialize;

use crate::error::{ErrorBody, status};

/// What became of a line that was tried.
pub(crate) type Outcome = Result<Written, CallError>;

/// How many bytes of answers are made before they are handed on.
const PIECE_BYTES: usize = 32 * 1024;

/// What a line came to.
#[derive(Debug)]
pub(crate) enum Slot {
    /// It was tried; what became of it comes apart.
    Called,
    Written(Written),
    Refused(Error),
    Unknown,
}

/// Says that the next line can't be answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unknown;

/// Answers that are still to be made.
pub(crate) struct Answers {
    request_id: String,
    slots: IntoIter<(u64, Slot)>,
    is_cut: bool,
}

/// One answer.
#[derive(Serialize)]
struct AnswerLine<'a> {
    line: u64,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

impl Answers {
    pub(crate) fn new(request_id: &str) -> Self {
        Self {
            request_id: request_id.to_owned(),
            slots: Vec::new().into_iter(),
            is_cut: false,
        }
    }

    /// Takes the lines of a batch and, for those that were tried, what became of them.
    pub(crate) fn take(&mut self, mut slots: Vec<(u64, Slot)>, outcomes: Vec<Outcome>) {
        let mut outcomes = outcomes.into_iter();
        let tried = slots
            .iter_mut()
            .filter(|(_, slot)| matches!(slot, Slot::Called));
        for (_, slot) in tried {
            // One too few could only be a mistake of ours; then nothing is known.
            *slot = match outcomes.next() {
                Some(Ok(written)) => Slot::Written(written),
                Some(Err(error)) => error.into(),
                None => Slot::Unknown,
            };
        }
        self.slots = slots.into_iter();
    }

    /// The next answers; none where all are made.
    pub(crate) fn next_piece(&mut self) -> Result<Option<Bytes>, Unknown> {
        if self.is_cut {
            return Err(Unknown);
        }
        let mut piece = Vec::new();
        let mut counts = BTreeMap::new();
        while piece.len() < PIECE_BYTES {
            let Some((line, slot)) = self.slots.next() else {
                break;
            };
            let Some(status) = self.push(&mut piece, line, slot) else {
                self.is_cut = true;
                break;
            };
            *counts.entry(status.as_u16()).or_insert(0_u64) += 1;
        }
        for (status, count) in counts {
            let status = status.to_string();
            metrics::counter!("sanntid_http_bulk_lines_total", "status" => status).increment(count);
        }
        match piece.is_empty() {
            true if self.is_cut => Err(Unknown),
            true => Ok(None),
            false => Ok(Some(piece.into())),
        }
    }

    /// Makes the answer of one line; none where its outcome is unknown.
    fn push(&self, piece: &mut Vec<u8>, line: u64, slot: Slot) -> Option<StatusCode> {
        let (mut id, mut replayed, mut refusal) = (None, None, None);
        let status = match &slot {
            Slot::Written(Written::Patched(answer)) => {
                id = Some(answer.profile.as_str());
                StatusCode::NO_CONTENT
            }
            Slot::Written(Written::Appended {
                id: activity,
                state,
                replayed: again,
            }) => {
                id = Some(activity.as_str());
                replayed = again.then_some(true);
                match state {
                    ActivityState::Stored => StatusCode::CREATED,
                    ActivityState::Held => StatusCode::ACCEPTED,
                }
            }
            Slot::Refused(error) => {
                refusal = Some(ErrorBody::new(error.clone(), &self.request_id));
                status(error.code)
            }
            Slot::Called | Slot::Unknown => return None,
        };
        let answer = AnswerLine {
            line,
            status: status.as_u16(),
            id,
            replayed,
            error: refusal,
        };
        serde_json::to_writer(&mut *piece, &answer).expect("an answer has only texts and numbers");
        piece.push(b'\n');
        Some(status)
    }
}
