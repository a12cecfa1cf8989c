//! What can happen to an instance: the words of its model, and how steps are made up.

use std::time::Duration;

use proptest::prelude::*;
use sanntid_types::Instant;

use crate::entities::ORDERS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    City,
    Score,
}

/// A field's new value. A null is of the type that the field has.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    NullText,
    Number(u8),
    Text(u8),
}

impl Value {
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Null | Self::NullText => "null".to_owned(),
            Self::Number(number) => number.to_string(),
            Self::Text(number) => format!("\"t{number}\""),
        }
    }
}

/// What the attribute `Score` is in a generation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Score {
    Number,
    Text,
    Computed,
    Gone,
}

/// How the source entity of the orders is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Orders {
    Shown,
    Hidden,
    Unconfigured,
}

/// A row of the orders.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Order {
    pub(crate) number: u64,
    pub(crate) day: u64,
    pub(crate) key: usize,
}

impl Order {
    pub(crate) fn id(&self) -> String {
        format!("{ORDERS}:{}", self.number)
    }
}

/// A document that is posted as an activity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Document {
    /// In the unified format, with its own id or none.
    Visit {
        id: Option<u8>,
        customer: usize,
        second: u64,
    },
    /// In the unified format, by the name of an order.
    Named {
        number: u64,
        customer: usize,
        day: u64,
        sale: bool,
    },
    /// In the format of the orders.
    Row(Order),
}

impl Document {
    pub(crate) fn time(&self) -> Instant {
        match self {
            Self::Visit { second, .. } => day(1).plus(seconds(*second)),
            Self::Named { day: of, .. } => day(*of),
            Self::Row(order) => day(order.day),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Visit { .. } | Self::Named { sale: false, .. } => "Visit",
            Self::Named { sale: true, .. } | Self::Row(_) => "SalesOrder",
        }
    }

    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Visit { .. } => None,
            Self::Named { number, .. } => Some(*number),
            Self::Row(order) => Some(order.number),
        }
    }

    pub(crate) fn same_id(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Visit { id: None, .. }, Self::Visit { id: None, .. }) => self == other,
            (Self::Visit { id: a, .. }, Self::Visit { id: b, .. }) => a == b,
            _ => self.number().is_some() && self.number() == other.number(),
        }
    }
}

/// A snapshot: who is there, who holds which key, who was whom, and the orders.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) simulated: bool,
    pub(crate) present: [bool; 4],
    pub(crate) holders: [usize; 4],
    /// Old profile, new profile, how many of its keys that one holds.
    pub(crate) claims: Vec<(usize, usize, u64)>,
    pub(crate) score: Score,
    pub(crate) orders: Option<Vec<Order>>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Wait(u64),
    /// The clock goes back to some seconds before the latest instant that it has shown.
    Back(u64),
    Days(u64),
    Restart,
    Reclaim,
    Open {
        back: u64,
    },
    Load {
        ahead: i64,
        load: Load,
    },
    Set {
        always: bool,
        margin: u64,
    },
    Configure(Orders),
    Patch {
        profile: usize,
        fields: Vec<(Field, Value)>,
        ttl: Option<u64>,
    },
    Post {
        document: Document,
        ttl: Option<u64>,
        hold: bool,
    },
}

fn ttl() -> impl Strategy<Value = Option<u64>> {
    let days = 24 * 3600;
    prop_oneof![
        8 => (1..150_u64).prop_map(Some),
        1 => Just(None),
        1 => prop::sample::select(vec![0, 30 * days, 30 * days + 300, 30 * days + 301])
            .prop_map(Some),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    (0..4_u64, 1..3_u64, 0..4_usize).prop_map(|(number, day, key)| Order { number, day, key })
}

fn document() -> impl Strategy<Value = Document> {
    prop_oneof![
        3 => (prop::option::weighted(0.7, 0..3_u8), 0..4_usize, 0..3_u64)
            .prop_map(|(id, customer, second)| Document::Visit { id, customer, second }),
        2 => (0..4_u64, 0..4_usize, 1..3_u64, any::<bool>()).prop_map(
            |(number, customer, day, sale)| Document::Named { number, customer, day, sale }
        ),
        4 => order().prop_map(Document::Row),
    ]
}

fn fields() -> impl Strategy<Value = Vec<(Field, Value)>> {
    let text = prop_oneof![1 => Just(Value::Null), 6 => any::<u8>().prop_map(Value::Text)];
    let any = prop_oneof![
        1 => Just(Value::Null),
        4 => any::<u8>().prop_map(Value::Number),
        2 => any::<u8>().prop_map(Value::Text),
    ];
    (prop::option::of(text), prop::option::of(any)).prop_filter_map("no field", |(city, score)| {
        let city = city.map(|value| (Field::City, value));
        let fields: Vec<_> = city
            .into_iter()
            .chain(score.map(|v| (Field::Score, v)))
            .collect();
        (!fields.is_empty()).then_some(fields)
    })
}

fn load() -> impl Strategy<Value = Load> {
    let four = || 0..4_usize;
    let score = vec![
        Score::Number,
        Score::Number,
        Score::Text,
        Score::Text,
        Score::Computed,
        Score::Gone,
    ];
    (
        prop::bool::weighted(0.2),
        prop::array::uniform4(prop::bool::weighted(0.7)),
        prop::array::uniform4(four()),
        prop::collection::vec((four(), four(), 0..3_u64), 0..4),
        prop::sample::select(score),
        prop::option::weighted(0.8, prop::collection::vec(order(), 0..4)),
    )
        .prop_map(
            |(simulated, present, holders, mut claims, score, mut orders)| {
                claims.retain(|(old, new, _)| present[*new] && old != new);
                claims.sort_unstable();
                claims.dedup_by_key(|(old, new, _)| (*old, *new));
                if let Some(orders) = &mut orders {
                    orders.sort_by_key(|order| order.number);
                    orders.dedup_by_key(|order| order.number);
                }
                Load {
                    simulated,
                    present,
                    holders,
                    claims,
                    score,
                    orders,
                }
            },
        )
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let configured = vec![
        Orders::Shown,
        Orders::Shown,
        Orders::Hidden,
        Orders::Unconfigured,
    ];
    prop_oneof![
        10 => (0..4_usize, fields(), ttl())
            .prop_map(|(profile, fields, ttl)| Step::Patch { profile, fields, ttl }),
        8 => (document(), ttl(), any::<bool>())
            .prop_map(|(document, ttl, hold)| Step::Post { document, ttl, hold }),
        5 => (1..30_u64).prop_map(Step::Wait),
        1 => (1..30_u64).prop_map(Step::Back),
        1 => (1..20_u64).prop_map(Step::Days),
        1 => Just(Step::Restart),
        1 => Just(Step::Reclaim),
        1 => (0..30_u64).prop_map(|back| Step::Open { back }),
        5 => (-40..6_i64, load()).prop_map(|(ahead, load)| Step::Load { ahead, load }),
        2 => (any::<bool>(), 0..40_u64).prop_map(|(always, margin)| Step::Set { always, margin }),
        2 => prop::sample::select(configured).prop_map(Step::Configure),
    ]
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn day(day: u64) -> Instant {
    Instant::parse(&format!("2026-11-0{day}T00:00:00Z")).expect("a day")
}
