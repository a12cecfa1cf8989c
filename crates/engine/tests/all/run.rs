//! Random interleavings of everything that can happen to an instance, and the check of each step.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use sanntid_engine::{ActivityTypeCount, TimelineQuery, key_ring};
use sanntid_types::ActivityId;

use crate::entities::{IDS, KEYS};
use crate::instance::Instance;
use crate::model::{Answer, Event, Model};
use crate::steps::{Load, Orders, Step, seconds, step};

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
            model
                .events
                .extend(expected.map(|as_of| Event::Opened { as_of }));
        }
        Step::Load { ahead, load } => take_load(instance, model, ahead, load)?,
        Step::Set { always, margin } => {
            instance.set(always, margin);
            model.events.push(Event::Set { always, margin });
        }
        Step::Configure(orders) => {
            let rows = model.load().and_then(|load| load.orders.as_ref());
            let is_on = |orders| orders != Orders::Unconfigured;
            let anew =
                rows.is_some_and(|rows| !rows.is_empty()) && is_on(orders) != is_on(model.orders());
            prop_assert_eq!(instance.configure(orders), anew, "made anew");
            model.events.push(Event::Configured(orders));
        }
        Step::Patch {
            profile,
            fields,
            ttl,
        } => {
            let expected = model.patch((profile, &fields), ttl, clock);
            prop_assert_eq!(instance.patch(profile, &fields, ttl), expected);
            if let Ok((end, write)) = expected {
                model.patched(end, &fields, write);
            }
        }
        Step::Post {
            document,
            ttl,
            hold,
        } => {
            let expected = model.post(&document, (ttl, hold), clock);
            let answer = instance.post(&document, ttl, hold);
            let told = answer.as_ref().map(|(_, answer)| answer);
            prop_assert_eq!(told, expected.as_ref());
            if let Ok((
                id,
                Answer {
                    state,
                    write: Some(write),
                    ..
                },
            )) = answer
            {
                model.posted(document, id, (state, write));
            }
        }
    }
    Ok(())
}

fn take_load(
    instance: &mut Instance,
    model: &mut Model,
    ahead: i64,
    load: Load,
) -> Result<(), TestCaseError> {
    let now = model.now(instance.clock);
    let as_of = match ahead {
        // About 5 minutes ahead it is no longer cut to now but refused.
        1.. => now.plus(seconds(298 + ahead.unsigned_abs())),
        _ => now.minus(seconds(ahead.unsigned_abs())),
    };
    let expected = model.as_of(as_of, now);
    let before = model.live_fields(now);
    let effect = instance.load(as_of, &load);
    prop_assert_eq!(effect.as_ref().err(), expected.as_ref().err());
    if let (Ok(effect), Ok(as_of)) = (effect, expected) {
        let at = now;
        model.events.push(Event::Loaded { as_of, at, load });
        let after = model.live_fields(now);
        let cleared = before.difference(&after).count() as u64;
        prop_assert_eq!((effect.cleared, effect.kept), (cleared, after.len() as u64));
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
        prop_assert_eq!(
            &instance.timeline(asked, all),
            &expected,
            "timeline of {}",
            asked
        );
        for (index, (time, id, ..)) in expected.iter().enumerate() {
            let after = Some((*time, ActivityId::parse(id).expect("id")));
            let rest = instance.timeline(
                asked,
                TimelineQuery {
                    after,
                    ..Default::default()
                },
            );
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
        cases: 400,
        rng_seed: RngSeed::Fixed(0x5a11_71d0),
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
