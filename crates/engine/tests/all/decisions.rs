//! What the naive model expects a write to answer, and how it takes an accepted one in.

use sanntid_types::{ActivityState, ErrorCode, Instant};

use crate::model::{Accepted, Answer, Event, Model, Patched, Posted};
use crate::steps::{Document, Field, Orders, Score, Value, seconds};

const TTL_MAX: u64 = 30 * 24 * 3600;

impl Model {
    /// What a patch must answer: the profile that it acts on and the write, or the code of its error.
    pub(crate) fn patch(
        &self,
        (asked, fields): (usize, &[(Field, Value)]),
        ttl: Option<u64>,
        clock: Instant,
    ) -> Result<(usize, Accepted), ErrorCode> {
        let end = self.end(asked).ok_or(ErrorCode::ProfileNotFound)?;
        let score = self.load().expect("loaded").score;
        for (field, value) in fields {
            match (field, score, value) {
                (Field::City, ..) | (_, Score::Number | Score::Text, Value::Null) => {}
                (_, Score::Number, Value::Number(_)) | (_, Score::Text, Value::Text(_)) => {}
                (_, Score::Number | Score::Text, _) => return Err(ErrorCode::InvalidField),
                (_, Score::Computed, _) => return Err(ErrorCode::ReadOnlyField),
                (_, Score::Gone, _) => return Err(ErrorCode::UnknownField),
            }
        }
        Ok((end, self.write(ttl, 4 * 3600, clock)?))
    }

    pub(crate) fn patched(
        &mut self,
        kept_under: usize,
        fields: &[(Field, Value)],
        write: Accepted,
    ) {
        let score = self.load().expect("loaded").score;
        let typed = fields.iter().map(|(field, value)| match (value, score) {
            // A null is of the type that the field had when it was accepted.
            (Value::Null, Score::Text) if *field == Field::Score => (*field, Value::NullText),
            _ => (*field, value.clone()),
        });
        self.events.push(Event::Patched(Patched {
            kept_under,
            fields: typed.collect(),
            write,
        }));
    }

    /// What a post must answer.
    pub(crate) fn post(
        &self,
        document: &Document,
        (ttl, hold): (Option<u64>, bool),
        clock: Instant,
    ) -> Result<Answer, ErrorCode> {
        let orders = self.load().and_then(|load| load.orders.as_ref());
        let configured = self.orders() != Orders::Unconfigured;
        if matches!(document, Document::Row(_)) && !(configured && orders.is_some()) {
            return Err(ErrorCode::UnknownActivityEntity);
        }
        let now = self.now(clock);
        let mut posts = self.posts().filter(|post| post.write.expires_at > now);
        if let Some(known) = posts.find(|post| post.document.same_id(document)) {
            return repeat(known.document == *document, known.state, self.owner(known));
        }
        let source = self.source();
        if let Some(order) = source
            .iter()
            .find(|order| document.number() == Some(order.number))
        {
            let same = match document {
                Document::Row(given) => given == *order,
                Document::Named {
                    customer,
                    day,
                    sale,
                    ..
                } => {
                    let (holder, end) = (self.holder(order.key), self.end(*customer));
                    holder.is_some() && holder == end && *day == order.day && *sale
                }
                Document::Visit { .. } => false,
            };
            return repeat(same, ActivityState::Stored, self.holder(order.key));
        }
        let (customer, unknown) = match document {
            Document::Row(order) => (self.holder(order.key), ErrorCode::KeyNotResolved),
            Document::Visit { customer, .. } | Document::Named { customer, .. } => {
                (self.end(*customer), ErrorCode::CustomerNotFound)
            }
        };
        let state = match (customer, hold) {
            (Some(_), _) => ActivityState::Stored,
            (None, true) => ActivityState::Held,
            (None, false) => return Err(unknown),
        };
        let write = Some(self.write(ttl, TTL_MAX, clock)?);
        Ok(Answer {
            state,
            customer,
            write,
        })
    }

    pub(crate) fn posted(
        &mut self,
        document: Document,
        id: String,
        (state, write): (ActivityState, Accepted),
    ) {
        let customer = match &document {
            Document::Row(_) => None,
            Document::Visit { customer, .. } | Document::Named { customer, .. } => {
                Some(self.end(*customer).unwrap_or(*customer))
            }
        };
        self.events.push(Event::Posted(Posted {
            document,
            id,
            customer,
            state,
            write,
        }));
    }

    fn write(&self, ttl: Option<u64>, default: u64, clock: Instant) -> Result<Accepted, ErrorCode> {
        let opened = self.events.iter().filter_map(|event| match event {
            Event::Opened { as_of } | Event::Loaded { as_of, .. } => Some(*as_of),
            _ => None,
        });
        let after_open = opened.max().map(|as_of| as_of.plus(seconds(1) / 1000));
        let accepted_at = self.now(clock).max(after_open.unwrap_or(clock));
        let requested = match ttl {
            Some(ttl) => self.now(clock).plus(seconds(ttl)),
            None => accepted_at.plus(seconds(default)),
        };
        let limit = accepted_at.plus(seconds(TTL_MAX));
        if requested <= accepted_at || requested > limit.plus(seconds(300)) {
            return Err(ErrorCode::ValidUntilOutOfRange);
        }
        let position = self.writes().count() as u64 + 1;
        Ok(Accepted {
            position,
            accepted_at,
            expires_at: requested.min(limit),
            named_caller: position.is_multiple_of(2),
        })
    }
}

fn repeat(same: bool, state: ActivityState, customer: Option<usize>) -> Result<Answer, ErrorCode> {
    let answer = Answer {
        state,
        customer,
        write: None,
    };
    same.then_some(answer).ok_or(ErrorCode::ActivityConflict)
}
