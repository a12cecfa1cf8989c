//! Timelines against a naive model that recomputes every read from the full history.

use std::cmp::Reverse;

use proptest::prelude::*;
use sanntid_engine::{Appended, OnUnknownCustomer, TimelineQuery};
use sanntid_types::{ErrorCode, Instant};

use crate::instance::{Instance, ORDERS, at, order, seconds, unified};

const IDS: [&str; 4] = ["a", "b", "c", "d"];
const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

#[derive(Clone, Debug)]
enum Step {
    Post {
        id: u8,
        customer: usize,
        second: u64,
        ttl: u64,
        hold: bool,
    },
    PostOrder {
        number: u64,
        day: u64,
        key: usize,
        ttl: u64,
        hold: bool,
    },
    Wait(u64),
    Show(bool),
    Refresh {
        present: [bool; 4],
        holders: [usize; 4],
        rows: Vec<(u64, u64, usize)>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let four = || 0..4_usize;
    prop_oneof![
        4 => (0..5_u8, four(), 0..3_u64, 1..40_u64, any::<bool>()).prop_map(
            |(id, customer, second, ttl, hold)| Step::Post { id, customer, second, ttl, hold }
        ),
        4 => (0..5_u64, 1..3_u64, four(), 1..40_u64, any::<bool>()).prop_map(
            |(number, day, key, ttl, hold)| Step::PostOrder { number, day, key, ttl, hold }
        ),
        3 => (0..20_u64).prop_map(Step::Wait),
        1 => any::<bool>().prop_map(Step::Show),
        2 => (
            any::<[bool; 4]>(),
            [four(), four(), four(), four()],
            prop::collection::vec((0..5_u64, 1..3_u64, four()), 0..4),
        )
            .prop_map(|(present, holders, rows)| Step::Refresh { present, holders, rows }),
    ]
}

/// Whose activity it is, as the document said: a place in `IDS` or in `KEYS`.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Named {
    Customer(usize),
    Key(usize),
}

/// One accepted activity, as the history has it.
#[derive(Debug)]
struct Accepted {
    id: String,
    time: Instant,
    /// The customer at acceptance; keys stay keys.
    named: Named,
    content: (Named, Instant),
    expires_at: Instant,
}

/// A generation: every profile's position, those that are there, and who holds each key.
struct History {
    accepted: Vec<Accepted>,
    present: [bool; 4],
    holders: [usize; 4],
    source: Vec<(String, Instant, usize)>,
    show: bool,
}

impl History {
    /// An id that is gone leads to the next one in `IDS` that is there.
    fn customer(&self, customer: usize) -> Option<usize> {
        (0..4)
            .map(|step| (customer + step) % 4)
            .find(|at| self.present[*at])
    }

    fn holder(&self, key: usize) -> Option<usize> {
        Some(self.holders[key]).filter(|holder| self.present[*holder])
    }

    fn owner(&self, named: Named) -> Option<usize> {
        match named {
            Named::Customer(customer) => self.customer(customer),
            Named::Key(key) => self.holder(key),
        }
    }

    /// What a post must answer: the code of its refusal, else whether it is a repeat.
    fn expected(
        &self,
        id: &str,
        content: (Named, Instant),
        hold: bool,
        now: Instant,
    ) -> Result<bool, ErrorCode> {
        let live = self
            .accepted
            .iter()
            .find(|known| known.id == id && known.expires_at > now);
        let same = match live {
            Some(known) => Some(known.content == content),
            None => {
                let brought = self.source.iter().find(|(source, ..)| source == id);
                brought.map(|(_, time, key)| (Named::Key(*key), *time) == content)
            }
        };
        match same {
            Some(true) => Ok(true),
            Some(false) => Err(ErrorCode::ActivityConflict),
            None if hold || self.owner(content.0).is_some() => Ok(false),
            None => Err(match content.0 {
                Named::Customer(_) => ErrorCode::CustomerNotFound,
                Named::Key(_) => ErrorCode::KeyNotResolved,
            }),
        }
    }

    fn timeline(&self, profile: usize, now: Instant) -> Vec<(Instant, String)> {
        let source = self
            .source
            .iter()
            .filter(|(_, _, key)| self.show && self.holder(*key) == Some(profile));
        let mut shown: Vec<_> = source.map(|(id, time, _)| (*time, id.clone())).collect();
        for known in &self.accepted {
            let superseded = self.source.iter().any(|(id, ..)| *id == known.id);
            let hidden = matches!(known.named, Named::Key(_)) && !self.show;
            let live = known.expires_at > now && self.owner(known.named) == Some(profile);
            if live && !superseded && !hidden {
                shown.push((known.time, known.id.clone()));
            }
        }
        shown.sort_by_key(|(time, id)| (Reverse(*time), id.clone()));
        shown
    }

    fn load(&self, instance: &mut Instance) {
        let keys: Vec<String> = (0..4)
            .map(|profile| {
                let held = (0..4).filter(|key| self.holders[*key] == profile);
                held.map(|key| KEYS[key]).collect::<Vec<_>>().join(" ;")
            })
            .collect();
        let here = (0..4).filter(|at| self.present[*at]);
        let profiles: Vec<_> = here.map(|at| (IDS[at], keys[at].as_str())).collect();
        let gone = (0..4).filter(|at| !self.present[*at]);
        let redirects: Vec<_> = gone
            .filter_map(|at| Some((IDS[at], IDS[self.customer(at)?])))
            .collect();
        let rows: Vec<_> = self
            .source
            .iter()
            .map(|(id, time, key)| {
                let number = id.rsplit(':').next().and_then(|text| text.parse().ok());
                let day = time.to_string();
                let day = format!("11/{}/2026", &day[8..10]);
                order(number.expect("number"), &day, "s", KEYS[*key])
            })
            .collect();
        instance.refresh(&profiles, &redirects, &rows);
    }

    fn check(&self, instance: &Instance) -> Result<(), TestCaseError> {
        let now = instance.tenant.now(instance.clock);
        for (at, profile) in IDS.iter().enumerate().filter(|(at, _)| self.present[*at]) {
            let expected = self.timeline(at, now);
            let shown = |query| {
                let entries = instance.entries(profile, query).into_iter();
                entries
                    .map(|e| (e.activity.time, e.activity.id.to_string()))
                    .collect::<Vec<_>>()
            };
            prop_assert_eq!(&shown(TimelineQuery::default()), &expected);
            for (index, (time, id)) in expected.iter().enumerate() {
                let after = Some((*time, id.clone().try_into().expect("id")));
                let rest = shown(TimelineQuery {
                    after,
                    ..TimelineQuery::default()
                });
                prop_assert_eq!(&rest[..], &expected[index + 1..], "after {}", id);
            }
        }
        Ok(())
    }

    fn post(
        &mut self,
        instance: &mut Instance,
        (entity, body): (&str, &str),
        (id, content): (String, (Named, Instant)),
        (ttl, hold): (u64, bool),
    ) -> Result<(), TestCaseError> {
        let now = instance.tenant.now(instance.clock);
        let expected = self.expected(&id, content, hold, now);
        let on_unknown = if hold {
            OnUnknownCustomer::Hold
        } else {
            OnUnknownCustomer::Reject
        };
        let outcome = instance.post_with(entity, body, Some(ttl), on_unknown);
        let replayed = outcome.map(|appended| matches!(appended, Appended::Replayed { .. }));
        prop_assert_eq!(replayed.map_err(|error| error.code), expected);
        if expected == Ok(false) {
            let named = match content.0 {
                Named::Customer(at) => Named::Customer(self.customer(at).unwrap_or(at)),
                key @ Named::Key(_) => key,
            };
            let expires_at = now.plus(seconds(ttl));
            self.accepted.push(Accepted {
                id,
                time: content.1,
                named,
                content,
                expires_at,
            });
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_reads_as_its_history(steps in prop::collection::vec(step(), 1..60)) {
        let mut instance = Instance::empty();
        let mut history = History {
            accepted: Vec::new(),
            present: [true; 4],
            holders: [0, 1, 2, 3],
            source: Vec::new(),
            show: true,
        };
        history.load(&mut instance);
        for step in steps {
            match step {
                Step::Wait(count) => instance.wait(count),
                Step::Show(show) => {
                    history.show = show;
                    instance.tenant.activities[0].show_in_timeline = show;
                }
                Step::Refresh { present, holders, rows } => {
                    (history.present, history.holders) = (present, holders);
                    history.source.clear();
                    for (number, day, key) in rows {
                        let id = format!("{ORDERS}:{number}");
                        if history.source.iter().all(|(known, ..)| *known != id) {
                            history.source.push((id, day_of(day), key));
                        }
                    }
                    history.load(&mut instance);
                }
                Step::Post { id, customer, second, ttl, hold } => {
                    let id = format!("v{id}");
                    let body = unified(&id, IDS[customer], second);
                    let time = at("2026-11-01T00:00:00Z").plus(seconds(second));
                    let what = (id, (Named::Customer(customer), time));
                    history.post(&mut instance, ("UnifiedActivity", &body), what, (ttl, hold))?;
                }
                Step::PostOrder { number, day, key, ttl, hold } => {
                    let body = format!(
                        r#"{{"OrderId": {number}, "PurchasedOn": "2026-11-0{day}",
                            "ContactId": "{}"}}"#,
                        KEYS[key]
                    );
                    let what = (format!("{ORDERS}:{number}"), (Named::Key(key), day_of(day)));
                    history.post(&mut instance, (ORDERS, &body), what, (ttl, hold))?;
                }
            }
            history.check(&instance)?;
        }
    }
}

fn day_of(day: u64) -> Instant {
    at(&format!("2026-11-0{day}T00:00:00Z"))
}
