//! Profiles against a deliberately naive model that recomputes every read from the full history.

use std::time::Duration;

use proptest::prelude::*;
use sanntid_engine::Claim;
use sanntid_types::{EdmType, Instant, RefreshClears, Settings};

use crate::instance::{Instance, id};

const IDS: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Clone, Debug)]
enum Step {
    Patch {
        profile: usize,
        score: bool,
        ttl: u64,
    },
    Wait(u64),
    Refresh {
        back: u64,
        text_score: bool,
        present: [bool; 4],
        moved: Vec<(usize, usize)>,
    },
    Clears {
        always: bool,
        margin: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..4_usize, any::<bool>(), 1..60_u64)
            .prop_map(|(profile, score, ttl)| Step::Patch { profile, score, ttl }),
        3 => (0..30_u64).prop_map(Step::Wait),
        2 => (0..40_u64, any::<bool>(), any::<[bool; 4]>(),
              prop::collection::vec((0..4_usize, 0..4_usize), 0..3))
            .prop_map(|(back, text_score, present, moved)| Step::Refresh {
                back, text_score, present, moved,
            }),
        1 => (any::<bool>(), 0..10_u64)
            .prop_map(|(always, margin)| Step::Clears { always, margin }),
    ]
}

/// One accepted change, as the history has it.
struct Accepted {
    kept_under: String,
    attribute: usize,
    data_type: EdmType,
    json: String,
    accepted_at: Instant,
    expires_at: Instant,
    cleared: bool,
}

#[derive(Default)]
struct History {
    accepted: Vec<Accepted>,
    as_of: Option<Instant>,
    always: bool,
    margin: u64,
}

impl History {
    /// A switch or a change of settings clears, for good, what the source has had its chance at.
    fn clear(&mut self) {
        let Some(as_of) = self.as_of.filter(|_| self.always) else {
            return;
        };
        let through = as_of.minus(Duration::from_secs(self.margin));
        for change in &mut self.accepted {
            change.cleared |= change.accepted_at <= through;
        }
    }

    fn shown(
        &self,
        homes: &[String],
        attribute: usize,
        data_type: EdmType,
        now: Instant,
    ) -> Option<&str> {
        let live = |change: &&Accepted| {
            homes.contains(&change.kept_under)
                && change.attribute == attribute
                && change.data_type == data_type
                && change.expires_at > now
                && !change.cleared
        };
        self.accepted
            .iter()
            .rev()
            .find(live)
            .map(|change| change.json.as_str())
    }
}

fn check(instance: &Instance, history: &History) -> Result<(), TestCaseError> {
    let now = instance.tenant.now(instance.clock);
    for asked in IDS {
        let stored = &instance.stored;
        let end = match stored.redirects.get(&id(asked)) {
            Some((new, _)) if !stored.rows.contains_key(&id(asked)) => new.to_string(),
            _ => asked.to_owned(),
        };
        let Some(row) = stored.rows.get(&id(&end)) else {
            prop_assert_eq!(instance.read(asked), None);
            continue;
        };
        let formers = stored
            .redirects
            .iter()
            .filter(|(_, (new, _))| new.as_str() == end);
        let mut homes: Vec<_> = formers.map(|(old, _)| old.to_string()).collect();
        homes.push(end);
        let customer = instance.tenant.customer().expect("loaded");
        let read = instance.read(asked).expect("exists");
        for (ordinal, attribute) in customer
            .schema
            .attributes
            .iter()
            .enumerate()
            .skip(1)
            .take(2)
        {
            let expected = history.shown(&homes, ordinal, attribute.data_type, now);
            prop_assert_eq!(read[ordinal].as_str(), expected.unwrap_or(row.get(ordinal)));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_reads_as_its_history(steps in prop::collection::vec(step(), 1..60)) {
        let mut instance = Instance::with_profiles(&IDS);
        let as_of = instance.tenant.as_of_real;
        let mut history = History { as_of, always: true, ..History::default() };
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Wait(seconds) => instance.wait(seconds),
                Step::Patch { profile, score, ttl } => {
                    let Some(customer) = instance.tenant.customer() else { continue };
                    let data_type = customer.schema.attributes[2].data_type;
                    let (attribute, name, data_type, json) = match (score, data_type) {
                        (false, _) => (1, "City", EdmType::String, format!("\"c{number}\"")),
                        (true, EdmType::String) => {
                            (2, "Score", EdmType::String, format!("\"s{number}\""))
                        }
                        (true, other) => (2, "Score", other, number.to_string()),
                    };
                    let body = format!("{{\"{name}\": {json}}}");
                    let asked = IDS[profile];
                    let requested = instance.tenant.now(instance.clock);
                    let existed = instance.read(asked).is_some();
                    let outcome = instance.patch(asked, &body, Some(ttl));
                    prop_assert_eq!(outcome.is_ok(), existed);
                    let Ok(acted) = outcome else { continue };
                    history.accepted.push(Accepted {
                        kept_under: acted.to_string(),
                        attribute,
                        data_type,
                        json,
                        accepted_at: instance.tenant.accepted_at.expect("accepted"),
                        expires_at: requested.plus(Duration::from_secs(ttl)),
                        cleared: false,
                    });
                }
                Step::Refresh { back, text_score, present, moved } => {
                    let ids: Vec<_> =
                        IDS.into_iter().zip(present).filter(|(_, here)| *here).map(|(id, _)| id)
                            .collect();
                    let claims: Vec<_> = moved
                        .into_iter()
                        .filter(|(_, new)| present[*new])
                        .map(|(old, new)| Claim { old: id(IDS[old]), new: id(IDS[new]), keys_held: 0 })
                        .collect();
                    let score = if text_score { EdmType::String } else { EdmType::Int32 };
                    let as_of = instance.clock.minus(Duration::from_secs(back));
                    let refused = history.as_of.is_some_and(|current| as_of < current);
                    let outcome = instance.refresh(as_of, score, &ids, &claims);
                    prop_assert_eq!(outcome.is_err(), refused);
                    if !refused {
                        history.as_of = Some(as_of);
                        history.clear();
                    }
                }
                Step::Clears { always, margin } => {
                    let refresh_clears =
                        if always { RefreshClears::Always } else { RefreshClears::Never };
                    instance.tenant.set_settings(Settings {
                        refresh_clears,
                        as_of_margin: Duration::from_secs(margin),
                        ..Settings::default()
                    });
                    (history.always, history.margin) = (always, margin);
                    history.clear();
                }
            }
            check(&instance, &history)?;
        }
    }
}
