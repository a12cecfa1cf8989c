//! Owns the tests of what an instance may keep: exact sums, across crashes, and counted anew.

use sanntid_engine::{Access as _, AppendCall, PatchCall, Tenants as _, WriteCall};
use sanntid_store::{Counter, WriteBatch, catalog};
use sanntid_types::{ErrorCode, InstanceId, InstanceLimits, Usage};

use super::{
    samples::{city, noon, refused, seconds, visit},
    world::{World, run},
};

async fn set(world: &World, id: InstanceId, limits: InstanceLimits) {
    let set = world.node.set_limits(id, limits, super::me());
    set.await.expect("set");
}

async fn usage(world: &World, id: InstanceId) -> Usage {
    world.node.usage(id).await.expect("readable")
}

/// What there is, found record by record.
fn counted(world: &World, id: InstanceId, together: usize) -> Usage {
    use sanntid_types::Clock as _;
    let snapshot = world.kv.inner.snapshot().expect("readable");
    let record = catalog::instance(&*snapshot, id).expect("readable");
    let incarnation = record.expect("an instance").incarnation;
    let state = catalog::tenant(&*snapshot, incarnation).expect("readable");
    let state = state.expect("a tenant");
    let mut counter = Counter::new(&state);
    loop {
        let mut budget = together;
        let step = counter.step(&*snapshot, &state, world.clock.now(), &mut budget);
        if let Some(usage) = step.expect("readable") {
            return usage;
        }
        assert_eq!(budget, 0);
    }
}

fn until(mut call: PatchCall, secs: u64) -> PatchCall {
    call.valid_until = Some(noon().plus(seconds(secs)));
    call
}

fn shown_until(mut call: AppendCall, secs: u64) -> AppendCall {
    call.valid_until = Some(noon().plus(seconds(secs)));
    call
}

/// Has upkeep count, and waits until the tenant has taken it.
async fn count(world: &World, id: InstanceId) {
    world.node.shared.look_after(false).await;
    world
        .node
        .shared
        .change(id, |_| Ok(()))
        .await
        .expect("answered");
}

#[test]
fn the_sum_is_what_there_is_also_after_a_crash() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        assert_eq!(usage(&world, a).await, Usage::default());
        for (profile, town) in [("a", "Bodø"), ("b", "Molde"), ("a", "Kristiansund")] {
            world.patch(a, city(profile, town)).await;
            assert_eq!(usage(&world, a).await, counted(&world, a, 1));
        }
        // Longer ones lie under it.
        world.patch(a, until(city("a", "Voss"), 60)).await;
        assert_eq!(usage(&world, a).await, counted(&world, a, 1000));
        assert_eq!(usage(&world, a).await.overlay_fields, 2);
        world.append(a, visit("v1", "a", "Came by")).await;
        world.append(a, visit("v1", "a", "Came by")).await;
        let calls = vec![
            WriteCall::Append(visit("v2", "b", "Called")),
            WriteCall::Patch(city("b", "Hamar")),
            WriteCall::Append(visit("v3", "nobody", "Called")),
            WriteCall::Append(visit("v2", "b", "Called")),
        ];
        let answers = world.node.write_many(a, calls).await.expect("answered");
        assert!(answers[2].is_err());
        let sum = usage(&world, a).await;
        assert_eq!((sum.overlay_fields, sum.activities), (2, 2));
        assert_eq!(sum, counted(&world, a, 1));
        world.crash().await;
        assert_eq!(usage(&world, a).await, sum);
        world.append(a, visit("v4", "b", "Called")).await;
        assert_eq!(usage(&world, a).await, counted(&world, a, 2));
    });
}

#[test]
fn each_limit_is_met_stores_nothing_and_leaves_others_alone() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let limits = InstanceLimits {
            overlay_fields: Some(1),
            activities: Some(1),
            ..InstanceLimits::default()
        };
        set(&world, a, limits.clone()).await;
        world.patch(a, city("a", "Bodø")).await;
        world.append(a, visit("v1", "a", "Came by")).await;
        let before = usage(&world, a).await;
        let error = refused(world.node.patch(a, city("b", "Molde")).await);
        assert_eq!(
            (error.code, error.target.as_deref()),
            (ErrorCode::LimitExceeded, Some("overlayFields"))
        );
        let error = refused(world.node.append(a, visit("v2", "a", "Came by")).await);
        assert_eq!(error.target.as_deref(), Some("activities"));
        // The same activity once more, and the same field, bring nothing new.
        assert!(world.append(a, visit("v1", "a", "Came by")).await.replayed);
        world.patch(a, city("a", "Oslo")).await;
        assert_eq!(world.city(a, "b").await.as_deref(), Some("Bergen"));
        let after = usage(&world, a).await;
        assert_eq!((after.overlay_fields, after.activities), (1, 1));
        assert_eq!(after, counted(&world, a, 1000));
        let calls = vec![
            WriteCall::Patch(city("b", "Molde")),
            WriteCall::Patch(city("a", "Molde")),
        ];
        let answers = world.node.write_many(a, calls).await.expect("answered");
        assert!(answers[0].is_err() && answers[1].is_ok());
        world.patch(b, city("b", "Molde")).await;
        world.append(b, visit("v1", "a", "Came by")).await;
        // A change holds at once.
        let more = InstanceLimits {
            overlay_fields: Some(2),
            stored_bytes: Some(before.stored_bytes + 10),
            ..limits
        };
        set(&world, a, more.clone()).await;
        let error = refused(world.node.patch(a, city("b", "Molde")).await);
        assert_eq!(error.target.as_deref(), Some("storedBytes"));
        let more = InstanceLimits {
            stored_bytes: Some(0),
            fields_per_update: Some(1),
            ..more
        };
        set(&world, a, more).await;
        world.patch(a, city("b", "Molde")).await;
        let body = r#"{"City": "Oslo", "Score": 5}"#;
        let two = PatchCall {
            body: body.into(),
            ..city("b", "x")
        };
        let error = refused(world.node.patch(a, two).await);
        assert_eq!(
            (error.code, error.target.as_deref()),
            (ErrorCode::BodyTooLarge, Some("fieldsPerUpdate"))
        );
    });
}

#[test]
fn what_has_ended_makes_room_once_it_is_counted_anew() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        let limits = InstanceLimits {
            overlay_fields: Some(1),
            activities: Some(2),
            ..InstanceLimits::default()
        };
        set(&world, a, limits).await;
        world.patch(a, until(city("a", "Bodø"), 60)).await;
        world
            .append(a, shown_until(visit("v1", "a", "Came by"), 60))
            .await;
        world.append(a, visit("v2", "a", "Came by")).await;
        world.wait(seconds(61));
        let full = usage(&world, a).await;
        assert_eq!(
            (full.overlay_fields, full.activities),
            (1, 2),
            "it counts on"
        );
        let error = refused(world.node.patch(a, city("b", "Molde")).await);
        assert_eq!(error.code, ErrorCode::LimitExceeded);
        // The refusal is what has it counted.
        count(&world, a).await;
        let left = usage(&world, a).await;
        assert_eq!((left.overlay_fields, left.activities), (0, 1));
        assert_eq!(left, counted(&world, a, 1000));
        world.patch(a, city("b", "Molde")).await;
        world.append(a, visit("v3", "a", "Came by")).await;
        // Not counted again and again by whoever is refused.
        let error = refused(world.node.patch(a, city("a", "Molde")).await);
        assert_eq!(error.code, ErrorCode::LimitExceeded);
        world.restart().await;
        let error = refused(world.node.patch(a, city("a", "Molde")).await);
        assert_eq!(error.code, ErrorCode::LimitExceeded, "it is durable");
    });
}

#[test]
fn a_count_under_way_does_not_lose_what_is_written_meanwhile() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, until(city("a", "Bodø"), 60)).await;
        world.append(a, visit("v1", "a", "Came by")).await;
        world.wait(seconds(7200));
        let running = world.node.shared.registry.running(a).expect("it runs");
        running.published.want_count();
        let release = world.block(a).await;
        // It counts now; the tenant takes it behind what waits for it.
        world.node.shared.count_on().await;
        drop(release);
        world.append(a, visit("v2", "b", "Came by")).await;
        world.patch(a, city("b", "Molde")).await;
        world.quiet().await;
        assert_eq!(usage(&world, a).await, counted(&world, a, 1000));
    });
}

#[test]
fn a_store_from_before_is_counted_when_its_tenant_is_called() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Bodø")).await;
        world.append(a, visit("v1", "a", "Came by")).await;
        let sum = usage(&world, a).await;
        world.node.stop().await;
        let snapshot = world.kv.inner.snapshot().expect("readable");
        let record = catalog::instance(&*snapshot, a).expect("readable");
        let incarnation = record.expect("an instance").incarnation;
        let mut batch = WriteBatch::new();
        catalog::remove_usage(&mut batch, incarnation);
        world.kv.inner.commit(batch).expect("written");
        drop(snapshot);
        world.restart().await;
        world.append(a, visit("v2", "a", "Came by")).await;
        count(&world, a).await;
        let all = usage(&world, a).await;
        assert_eq!((all.overlay_fields, all.activities), (1, 2));
        assert!(all.stored_bytes > sum.stored_bytes);
        assert_eq!(all, counted(&world, a, 3));
    });
}

#[test]
fn a_reset_begins_with_nothing() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Bodø")).await;
        world
            .node
            .reset_instance(a, super::me())
            .await
            .expect("reset");
        assert_eq!(usage(&world, a).await, Usage::default());
    });
}
