//! The naive model: the whole history of what was accepted, from which every read is recomputed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use sanntid_types::{ActivityState, ErrorCode, Instant};

use crate::steps::{Document, Field, Load, Order, Orders, Score, Value, day, seconds};

const REDIRECT_KEPT: u64 = 31 * 24 * 3600;

/// What has happened, oldest first. Profiles and keys are numbers.
pub(crate) enum Event {
    Opened {
        as_of: Instant,
    },
    Loaded {
        as_of: Instant,
        at: Instant,
        load: Load,
    },
    Set {
        always: bool,
        margin: u64,
    },
    Configured(Orders),
    Patched(Patched),
    Posted(Posted),
}

/// When a write was accepted and until when it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Accepted {
    pub(crate) position: u64,
    pub(crate) accepted_at: Instant,
    pub(crate) expires_at: Instant,
    pub(crate) named_caller: bool,
}

pub(crate) struct Patched {
    pub(crate) kept_under: usize,
    pub(crate) fields: Vec<(Field, Value)>,
    pub(crate) write: Accepted,
}

pub(crate) struct Posted {
    pub(crate) document: Document,
    /// The id as the instance gave it, and the customer at acceptance.
    pub(crate) id: String,
    pub(crate) customer: Option<usize>,
    pub(crate) state: ActivityState,
    pub(crate) write: Accepted,
}

/// What a post answers: the write where it is new, else the state is that of the first answer.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) state: ActivityState,
    /// The profile whose timeline holds it now.
    pub(crate) customer: Option<usize>,
    pub(crate) write: Option<Accepted>,
}

/// A field as a read shows it: its JSON, and the write and the source's value where overridden.
pub(crate) type Shown = (String, Option<(Accepted, String)>);
/// A timeline's entry: time, id, type, and the write where it came through the real-time API.
pub(crate) type Entry = (Instant, String, String, Option<Accepted>);

#[derive(Default)]
pub(crate) struct Model {
    pub(crate) events: Vec<Event>,
}

impl Model {
    pub(crate) fn now(&self, clock: Instant) -> Instant {
        self.writes()
            .map(|write| write.accepted_at)
            .fold(clock, Instant::max)
    }

    pub(crate) fn load(&self) -> Option<&Load> {
        self.loads().last().map(|(_, _, load)| load)
    }

    pub(crate) fn orders(&self) -> Orders {
        let mut events = self.events.iter().rev();
        let configured = events.find_map(|event| match event {
            Event::Configured(orders) => Some(*orders),
            _ => None,
        });
        configured.unwrap_or(Orders::Shown)
    }

    /// `as_of` cut to now, or why a refresh may not have it.
    pub(crate) fn as_of(&self, as_of: Instant, now: Instant) -> Result<Instant, ErrorCode> {
        let real = self.loads().filter(|(_, _, load)| !load.simulated);
        match real.map(|(as_of, _, _)| as_of).max() {
            _ if as_of > now.plus(seconds(300)) => Err(ErrorCode::AsOfInFuture),
            Some(last) if as_of.min(now) < last => Err(ErrorCode::AsOfOutdated),
            _ => Ok(as_of.min(now)),
        }
    }

    /// The profile that an id leads to.
    pub(crate) fn end(&self, asked: usize) -> Option<usize> {
        let load = self.load()?;
        let end = match self.redirects().get(&asked) {
            Some((new, _)) if !load.present[asked] => *new,
            _ => asked,
        };
        load.present[end].then_some(end)
    }

    pub(crate) fn holder(&self, key: usize) -> Option<usize> {
        let load = self.load()?;
        Some(load.holders[key]).filter(|holder| load.present[*holder])
    }

    /// City and score as a read of the existing profile `end` shows them, the score where it is.
    pub(crate) fn fields(&self, end: usize, clock: Instant) -> (Shown, Option<Shown>) {
        let score = self.load().expect("loaded").score;
        let source = self.loads().count();
        let formers = self
            .redirects()
            .into_iter()
            .filter(|(_, (new, _))| *new == end);
        let homes: BTreeSet<_> = formers.map(|(old, _)| old).chain([end]).collect();
        let shown = |field, source: String| {
            let mut found = self.patches().filter(|(index, patch)| {
                homes.contains(&patch.kept_under) && self.is_live(*index, patch, self.now(clock))
            });
            let newest = found.rfind(|(_, patch)| patch.value(field, score).is_some());
            match newest.and_then(|(_, patch)| Some((patch.value(field, score)?, patch.write))) {
                Some((value, write)) => (value.json(), Some((write, source))),
                None => (source, None),
            }
        };
        let city = shown(Field::City, format!("\"city {source}\""));
        let score = match score {
            Score::Gone => None,
            Score::Computed => Some((source.to_string(), None)),
            Score::Number => Some(shown(Field::Score, source.to_string())),
            Score::Text => Some(shown(Field::Score, format!("\"{source}\""))),
        };
        (city, score)
    }

    /// The fields that are live now, hidden ones included, by the id that they are kept under.
    pub(crate) fn live_fields(&self, now: Instant) -> BTreeSet<(usize, Field)> {
        self.patches()
            .filter(|(index, patch)| self.is_live(*index, patch, now))
            .flat_map(|(_, patch)| {
                patch
                    .fields
                    .iter()
                    .map(|(field, _)| (patch.kept_under, *field))
            })
            .collect()
    }

    pub(crate) fn timeline(&self, profile: usize, clock: Instant) -> Vec<Entry> {
        let now = self.now(clock);
        let source = self.source();
        let brought = source.iter().filter(|order| {
            self.orders() == Orders::Shown && self.holder(order.key) == Some(profile)
        });
        let mut entries: Vec<Entry> = brought
            .map(|order| (day(order.day), order.id(), "SalesOrder".to_owned(), None))
            .collect();
        for post in self.posts().filter(|post| post.write.expires_at > now) {
            let hidden = match (&post.document, self.orders()) {
                (Document::Visit { .. }, _) | (_, Orders::Shown) => false,
                (_, Orders::Hidden) | (Document::Row(_), Orders::Unconfigured) => true,
                (Document::Named { .. }, Orders::Unconfigured) => false,
            };
            let gone = matches!(post.document, Document::Row(_))
                && self.load().is_none_or(|load| load.orders.is_none());
            let superseded = source.iter().any(|order| order.id() == post.id);
            if self.owner(post) == Some(profile) && !hidden && !gone && !superseded {
                let kind = post.document.kind().to_owned();
                let (time, id) = (post.document.time(), post.id.clone());
                entries.push((time, id, kind, Some(post.write)));
            }
        }
        entries.sort_by_key(|(time, id, ..)| (Reverse(*time), id.clone()));
        entries
    }

    /// The profile whose activity it is now.
    pub(crate) fn owner(&self, post: &Posted) -> Option<usize> {
        match (&post.document, post.customer) {
            (Document::Row(order), _) => self.holder(order.key),
            (_, customer) => self.end(customer?),
        }
    }

    /// The orders of the generation that became activities.
    pub(crate) fn source(&self) -> Vec<&Order> {
        let orders = self.load().and_then(|load| load.orders.as_ref());
        let configured = self.orders() != Orders::Unconfigured;
        orders
            .into_iter()
            .flatten()
            .filter(|_| configured)
            .collect()
    }

    fn is_live(&self, index: usize, patch: &Patched, now: Instant) -> bool {
        patch.write.expires_at > now && !self.is_cleared(index, patch.write.accepted_at)
    }

    /// Whether a switch or a setting after the event has cleared what was accepted then, for good.
    fn is_cleared(&self, index: usize, accepted_at: Instant) -> bool {
        let (mut clears, mut behind, mut seen) = (true, 0, None);
        self.events.iter().enumerate().any(|(at, event)| {
            match event {
                Event::Set { always, margin } => (clears, behind) = (*always, *margin),
                Event::Loaded { as_of, .. } => seen = Some(*as_of),
                _ => return false,
            }
            let through = seen.map(|as_of| as_of.minus(seconds(behind)));
            at > index && clears && through.is_some_and(|through| accepted_at <= through)
        })
    }

    fn redirects(&self) -> BTreeMap<usize, (usize, Instant)> {
        let mut moved: BTreeMap<usize, (usize, Instant)> = BTreeMap::new();
        for (_, at, load) in self.loads() {
            moved.retain(|_, (_, since)| since.plus(seconds(REDIRECT_KEPT)) > at);
            for old in 0..4 {
                let claims = load.claims.iter().filter(|(of, ..)| *of == old);
                let best = claims.max_by_key(|(_, new, held)| (*held, Reverse(*new)));
                moved.extend(best.map(|(_, new, _)| (old, (*new, at))));
            }
            moved.retain(|old, _| !load.present[*old]);
            let steps = moved.clone();
            for (end, _) in moved.values_mut() {
                while let Some((next, _)) = steps.get(end) {
                    *end = *next;
                }
            }
        }
        moved
    }

    fn loads(&self) -> impl Iterator<Item = (Instant, Instant, &Load)> {
        self.events.iter().filter_map(|event| match event {
            Event::Loaded { as_of, at, load } => Some((*as_of, *at, load)),
            _ => None,
        })
    }

    fn patches(&self) -> impl DoubleEndedIterator<Item = (usize, &Patched)> {
        let events = self.events.iter().enumerate();
        events.filter_map(|(index, event)| match event {
            Event::Patched(patch) => Some((index, patch)),
            _ => None,
        })
    }

    pub(crate) fn posts(&self) -> impl Iterator<Item = &Posted> {
        self.events.iter().filter_map(|event| match event {
            Event::Posted(post) => Some(post),
            _ => None,
        })
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = Accepted> {
        self.events.iter().filter_map(|event| match event {
            Event::Patched(patch) => Some(patch.write),
            Event::Posted(post) => Some(post.write),
            _ => None,
        })
    }
}

impl Patched {
    /// The value of a field, where it was one of the type that the field has now.
    fn value(&self, field: Field, score: Score) -> Option<&Value> {
        let (_, value) = self.fields.iter().find(|(of, _)| *of == field)?;
        let fits = match (field, value) {
            (Field::City, _) => true,
            (Field::Score, Value::Number(_) | Value::Null) => score == Score::Number,
            (Field::Score, Value::Text(_) | Value::NullText) => score == Score::Text,
        };
        fits.then_some(value)
    }
}
