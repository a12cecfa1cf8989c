//! What a switch clears and keeps, field by field.

use sanntid_engine::{OverlayEffect, TenantState, overlay_effect};
use sanntid_types::EdmType;

use crate::instance::{Instance, id};

/// The effect on the profile `a` of a switch at `as_of`, without switching.
fn effect(instance: &Instance, as_of: sanntid_types::Instant) -> OverlayEffect {
    let mut after: TenantState = instance.tenant.clone();
    let mut customer = after.entities.pop().expect("customers");
    customer.as_of = as_of;
    after.switch(sanntid_engine::Switch {
        entities: vec![customer],
        timeline: None,
        projected_with: Vec::new(),
        simulated: false,
    });
    let overlay = instance.stored.overlays.get(&id("a")).expect("patched");
    let now = instance.tenant.now(instance.clock);
    let effect = overlay_effect(&instance.tenant, &after, overlay, now);
    let live = |tenant| overlay.live_fields(tenant, now) as u64;
    assert_eq!(live(&instance.tenant), effect.cleared + effect.kept);
    assert_eq!(live(&after), effect.kept);
    effect
}

fn counts(cleared: u64, kept: u64) -> OverlayEffect {
    OverlayEffect { cleared, kept }
}

#[test]
fn fields_are_counted_once_whatever_lies_under_them() {
    let mut instance = Instance::with_profiles(&["a"]);
    let start = instance.clock;
    let patch = |instance: &mut Instance, body: &str, ttl| {
        instance.patch("a", body, Some(ttl)).expect("accepted");
        instance.wait(1);
    };
    patch(&mut instance, r#"{"City": "old", "Score": 1}"#, 100);
    patch(&mut instance, r#"{"City": "new"}"#, 10);
    assert_eq!(
        effect(&instance, start.minus(std::time::Duration::from_secs(1))),
        counts(0, 2)
    );
    assert_eq!(
        effect(&instance, start),
        counts(1, 1),
        "the newer city stays, though the one under it is cleared"
    );
    assert_eq!(effect(&instance, instance.clock), counts(2, 0));
    instance.wait(10);
    assert_eq!(
        effect(&instance, start),
        counts(2, 0),
        "the newer city has expired, the one that shows again is cleared"
    );
    instance.wait(100);
    assert_eq!(effect(&instance, start), counts(0, 0), "expired before");
}

#[test]
fn what_was_cleared_before_does_not_count_and_hidden_fields_do() {
    let mut instance = Instance::with_profiles(&["a"]);
    instance
        .patch("a", r#"{"Score": 1}"#, Some(1000))
        .expect("accepted");
    instance.wait(1);
    let text = EdmType::String;
    let before = instance.clock.minus(std::time::Duration::from_secs(2));
    instance.refresh(before, text, &["a"], &[]).expect("loads");
    assert_eq!(
        effect(&instance, before),
        counts(0, 1),
        "hidden is not cleared"
    );
    let now = instance.clock;
    assert_eq!(effect(&instance, now), counts(1, 0));
    instance.refresh(now, text, &["a"], &[]).expect("loads");
    assert_eq!(effect(&instance, now), counts(0, 0), "already cleared");
}

#[test]
fn effects_add_up() {
    let mut sum = counts(1, 2);
    sum += counts(10, 20);
    assert_eq!(sum, counts(11, 22));
}
