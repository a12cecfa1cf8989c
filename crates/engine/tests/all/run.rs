//! Random interleavings of everything that can happen to an instance, and the check of each step.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use sanntid_engine::{ActivityTypeCount, TimelineQuery, key_ring};
use sanntid_types::{ActivityId, Instant};

use crate::instance::{IDS, Instance, KEYS, ORDERS};
use crate::model::{Answer, Event, Model};

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
    Visit { id: Option<u8>, customer: usize, second: u64 },
    /// In the unified format, by the name of an order.
    Named { number: u64, customer: usize, day: u64, sale: bool },
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

    pub(crate) fn same_content(&self, other: &Self) -> bool {
        self == other
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
enum Step {
    Wait(u64),
    /// The clock goes back by a few seconds.
    Back(u64),
    Days(u64),
    Restart,
    Reclaim,
    Open { back: u64 },
    Load { ahead: i64, load: Load },
    Set { always: bool, margin: u64 },
    Configure(Orders),
    Patch { profile: usize, fields: Vec<(Field, Value)>, ttl: Option<u64> },
    Post { document: Document, ttl: Option<u64>, hold: bool },
}

fn ttl() -> impl Strategy<Value = Option<u64>> {
    let days = 24 * 3600;
    prop_oneof![
        8 => (1..60_u64).prop_map(Some),
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
        let fields: Vec<_> = city.into_iter().chain(score.map(|v| (Field::Score, v))).collect();
        (!fields.is_empty()).then_some(fields)
    })
}

fn load() -> impl Strategy<Value = Load> {
    let four = || 0..4_usize;
    let score = vec![Score::Number, Score::Number, Score::Text, Score::Computed, Score::Gone];
    (
        prop::bool::weighted(0.2),
        prop::array::uniform4(prop::bool::weighted(0.7)),
        prop::array::uniform4(four()),
        prop::collection::vec((four(), four(), 0..3_u64), 0..4),
        prop::sample::select(score),
        prop::option::weighted(0.8, prop::collection::vec(order(), 0..4)),
    )
        .prop_map(|(simulated, present, holders, mut claims, score, mut orders)| {
            claims.retain(|(old, new, _)| present[*new] && old != new);
            claims.sort_unstable();
            claims.dedup_by_key(|(old, new, _)| (*old, *new));
            if let Some(orders) = &mut orders {
                orders.sort_by_key(|order| order.number);
                orders.dedup_by_key(|order| order.number);
            }
            Load { simulated, present, holders, claims, score, orders }
        })
}

fn step() -> impl Strategy<Value = Step> {
    let configured = vec![Orders::Shown, Orders::Shown, Orders::Hidden, Orders::Unconfigured];
    prop_oneof![
        8 => (0..4_usize, fields(), ttl())
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
        1 => (any::<bool>(), 0..10_u64).prop_map(|(always, margin)| Step::Set { always, margin }),
        2 => prop::sample::select(configured).prop_map(Step::Configure),
    ]
}

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn day(day: u64) -> Instant {
    Instant::parse(&format!("2026-11-0{day}T00:00:00Z")).expect("a day")
}

fn take(instance: &mut Instance, model: &mut Model, step: Step) -> Result<(), TestCaseError> {
    let clock = instance.clock;
    let now = model.now(clock);
    match step {
        Step::Wait(count) => instance.wait(count),
        Step::Days(count) => instance.wait(count * 24 * 3600),
        Step::Back(count) => instance.step_back(count),
        Step::Restart => instance.restart(),
        Step::Reclaim => instance.reclaim(),
        Step::Open { back } => {
            let as_of = now.minus(seconds(back));
            let expected = model.as_of(as_of, now);
            prop_assert_eq!(instance.open(as_of), expected);
            model.events.extend(expected.map(|as_of| Event::Opened { as_of }));
        }
        Step::Load { ahead, load } => {
            // Around 5 minutes ahead, where it ends to be cut.
            let later = if ahead > 0 { 298 + ahead.unsigned_abs() } else { 0 };
            let as_of = now.plus(seconds(later));
            let as_of = if ahead < 0 { as_of.minus(seconds(ahead.unsigned_abs())) } else { as_of };
            let expected = model.as_of(as_of, now);
            let before = model.live_fields(now);
            let effect = instance.load(as_of, &load);
            prop_assert_eq!(effect.as_ref().err(), expected.as_ref().err());
            if let (Ok(effect), Ok(as_of)) = (effect, expected) {
                model.events.push(Event::Loaded { as_of, at: now, load });
                let after = model.live_fields(now);
                let cleared = before.difference(&after).count() as u64;
                prop_assert_eq!((effect.cleared, effect.kept), (cleared, after.len() as u64));
            }
        }
        Step::Set { always, margin } => {
            instance.set(always, margin);
            model.events.push(Event::Set { always, margin });
        }
        Step::Configure(orders) => {
            let rows = model.load().and_then(|load| load.orders.as_ref());
            let is_on = |orders| orders != Orders::Unconfigured;
            let anew = rows.is_some_and(|rows| !rows.is_empty())
                && is_on(orders) != is_on(model.orders());
            prop_assert_eq!(instance.configure(orders), anew, "made anew");
            model.events.push(Event::Configured(orders));
        }
        Step::Patch { profile, fields, ttl } => {
            let expected = model.patch((profile, &fields), ttl, clock);
            prop_assert_eq!(instance.patch(profile, &fields, ttl), expected);
            if let Ok((end, write)) = expected {
                model.patched(end, &fields, write);
            }
        }
        Step::Post { document, ttl, hold } => {
            let expected = model.post(&document, (ttl, hold), clock);
            let answer = instance.post(&document, ttl, hold);
            let told = answer.as_ref().map(|(_, answer)| answer);
            prop_assert_eq!(told, expected.as_ref());
            if let Ok((id, Answer { state, write: Some(write), .. })) = answer {
                model.posted(document, id, (state, write));
            }
        }
    }
    Ok(())
}

fn check(instance: &Instance, model: &Model) -> Result<(), TestCaseError> {
    for (number, asked) in IDS.iter().enumerate() {
        let end = model.end(number);
        let expected = end.map(|end| (IDS[end].to_owned(), model.fields(end, instance.clock)));
        prop_assert_eq!(instance.read(asked), expected, "profile {}", asked);
        if end != Some(number) {
            continue;
        }
        let expected = model.timeline(number, instance.clock);
        let all = TimelineQuery::default();
        prop_assert_eq!(&instance.timeline(asked, all), &expected, "timeline of {}", asked);
        for (index, (time, id, ..)) in expected.iter().enumerate() {
            let after = Some((*time, ActivityId::parse(id).expect("id")));
            let rest = instance.timeline(asked, TimelineQuery { after, ..Default::default() });
            prop_assert_eq!(&rest[..], &expected[index + 1..], "after {}", id);
        }
        let counts = instance.counts(asked);
        let of = |kind: &str| expected.iter().filter(|(_, _, of, _)| of == kind).count() as u64;
        let counted = |counted: &ActivityTypeCount| counted.count == of(&counted.activity_type);
        prop_assert!(counts.iter().all(counted), "{:?}", counts);
        let sum: u64 = counts.iter().map(|counted| counted.count).sum();
        prop_assert_eq!(sum, expected.len() as u64);
    }
    for (number, key) in KEYS.iter().enumerate().filter(|_| model.load().is_some()) {
        let found = key_ring(&instance.stored, &instance.tenant, "shop", "contacts", key);
        let found = found.expect("reads").map(|ring| ring.customer.to_string());
        let holder = model.holder(number).map(|holder| IDS[holder].to_owned());
        prop_assert_eq!(found, holder, "holder of {}", key);
    }
    Ok(())
}

proptest! {
    #![proptest_config(Config {
        cases: 3000,
        rng_seed: RngSeed::Fixed(2),
        failure_persistence: None,
        ..Config::default()
    })]

    #[test]
    fn any_interleaving_reads_as_its_history(steps in prop::collection::vec(step(), 1..60)) {
        let (mut instance, mut model) = (Instance::new(), Model::default());
        for step in steps {
            take(&mut instance, &mut model, step)?;
            check(&instance, &model)?;
        }
    }
}
