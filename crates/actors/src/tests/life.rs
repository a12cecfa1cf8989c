//! Owns the tests of how tenants come into memory and leave it: one owner at a time, no call lost.

use std::sync::Arc;

use sanntid_engine::Tenants;
use sanntid_store::{Space, WriteBatch, catalog};
use sanntid_types::{ErrorCode, InstanceId};

use super::{
    probe::SetClock,
    samples::{city, code, id, noon, refused, seconds, visit},
    world::{World, begun, config, memory, run},
};
use crate::{
    outcome::{Delivery, ReplyTo},
    registry::{Look, Registry, Task},
    tenant::{Call, Command},
};

#[test]
fn an_unknown_instance_is_not_found_and_costs_no_slot() {
    run(async {
        let world = World::new();
        let nobody = id(9);
        let answers = [
            code(world.node.patch(nobody, city("a", "Moss")).await),
            code(world.node.append(nobody, visit("v", "a", "t")).await),
            code(world.node.read(nobody).await),
            code(world.node.instance(nobody).await),
            code(world.node.delete_instance(nobody, super::me()).await),
            code(world.node.reset_instance(nobody, super::me()).await),
            code(world.node.jobs(nobody, 10).await),
            code(
                world
                    .node
                    .set_activities(nobody, Vec::new(), super::me())
                    .await,
            ),
        ];
        assert_eq!(answers, [Some(ErrorCode::InstanceNotFound); 8]);
        assert_eq!(world.node.shared.registry.len(), 0);
    });
}

fn break_state(world: &World, id: InstanceId) {
    let snapshot = world.kv.inner.snapshot().unwrap();
    let record = catalog::instance(&*snapshot, id).unwrap().unwrap();
    let mut key = vec![b't'];
    key.extend_from_slice(&record.incarnation.0.to_be_bytes());
    assert!(snapshot.get(Space::Meta, &key).unwrap().is_some());
    let mut batch = WriteBatch::new();
    batch.put(Space::Meta, key, vec![1, b'{']);
    world.kv.inner.commit(batch).unwrap();
}

#[test]
fn a_tenant_whose_state_is_corrupt_is_out_of_service_and_its_neighbour_is_not() {
    run(async {
        let world = World::new();
        let (a, b) = (world.empty_instance(1).await, world.instance(2).await);
        break_state(&world, a);
        for _ in 0..2 {
            let error = refused(world.node.read(a).await);
            assert_eq!(error.code, ErrorCode::TenantUnavailable);
            assert!(error.message.contains("can't be read"), "{error}");
            assert!(!error.message.contains("EOF"), "no detail: {error}");
            let error = refused(world.node.patch(a, city("a", "Moss")).await);
            assert_eq!(error.code, ErrorCode::TenantUnavailable);
        }
        world.patch(b, city("a", "Moss")).await;
        // It can be deleted, and the id is free again.
        world
            .node
            .delete_instance(a, super::me())
            .await
            .expect("deleted");
        assert_eq!(
            code(world.node.read(a).await),
            Some(ErrorCode::InstanceNotFound)
        );
        world.instance(1).await;
    });
}

#[test]
fn a_corrupt_tenant_with_a_job_does_not_keep_the_node_from_starting() {
    run(async {
        let mut world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.kv.loads.close();
        world.upload(a, noon(), "a,Oslo,1,ka,\n").await;
        world.kv.loads.somebody_waits().await;
        break_state(&world, a);
        world.crash().await;
        assert_eq!(world.city(b, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(
            code(world.node.read(a).await),
            Some(ErrorCode::TenantUnavailable)
        );
    });
}

/// Has the instance's tenant leave memory, and waits until it has.
async fn evict(world: &World, id: InstanceId) {
    let mut changing = world
        .node
        .shared
        .registry
        .changing(id)
        .expect("it is there");
    world.wait(world.config.tenant_idle);
    world.node.shared.let_idle_go();
    changing.changed().await.expect_err("its slot is emptied");
}

#[test]
fn idle_tenants_leave_memory_and_the_next_call_brings_them_back() {
    run(async {
        let world = World::new();
        let registry = &world.node.shared.registry;
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.patch(a, city("a", "Hamar")).await;
        assert_eq!(registry.len(), 2);
        world.wait(world.config.tenant_idle - seconds(1));
        world.read(b).await;
        world.wait(seconds(1));
        let mut changing = registry.changing(a).expect("it is there");
        world.node.shared.let_idle_go();
        changing.changed().await.expect_err("its slot is emptied");
        assert_eq!(registry.len(), 1, "the other one was read");
        assert!(registry.running(b).is_some());
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        world.patch(a, city("b", "Moss")).await;
        assert_eq!((registry.len(), world.position(a)), (2, 2));
    });
}

#[test]
fn a_tenant_with_a_call_in_flight_does_not_leave() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let patch = begun(world.node.patch(a, city("a", "Moss"))).await;
        world.wait(world.config.tenant_idle * 2);
        assert!(
            world
                .node
                .shared
                .registry
                .evict_idle(noon().plus(seconds(9999)))
                .is_empty()
        );
        drop(blocked);
        patch.await.expect("accepted");
    });
}

#[test]
fn calls_that_meet_a_leaving_tenant_are_handled_by_the_next() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let before = world.node.shared.registry.running(a).expect("runs");
        world.wait(world.config.tenant_idle);
        let blocked = world.block(b).await;
        world.node.shared.let_idle_go();
        assert!(
            world.node.shared.registry.running(a).is_none(),
            "it is leaving"
        );
        // One that found the tenant before it was to leave, and comes behind that.
        let (reply, answer) = ReplyTo::new();
        let command = Command::Patch(city("a", "Hamar"));
        assert!(before.addr.try_send(Call { command, reply }).is_ok());
        let patch = begun(world.node.patch(a, city("a", "Moss"))).await;
        let read = begun(Box::pin(world.city(a, "a"))).await;
        drop(blocked);
        assert!(matches!(answer.await, Ok(Delivery::NotHandled)));
        patch.await.expect("accepted");
        assert!(read.await.is_some());
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
        assert_eq!(world.position(a), 1);
    });
}

#[test]
fn a_refusal_for_want_of_an_instance_is_the_same_in_and_out_of_memory() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        evict(&world, a).await;
        assert_eq!(world.node.shared.registry.len(), 0);
        world
            .node
            .delete_instance(a, super::me())
            .await
            .expect("deleted");
        assert_eq!(
            code(world.node.read(a).await),
            Some(ErrorCode::InstanceNotFound)
        );
        assert_eq!(world.node.shared.registry.len(), 0);
    });
}

#[test]
fn a_change_that_gives_up_waiting_leaves_no_second_owner() {
    run(async {
        let hasty = crate::Config {
            start_wait_max: std::time::Duration::from_millis(5),
            ..config()
        };
        let world = World::with(hasty, memory());
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let old = world.node.shared.registry.running(a).expect("runs");
        let serial = world.node.shared.registry.serial(a);
        let blocked = world.block(b).await;
        assert_eq!(
            code(world.node.delete_instance(a, super::me()).await),
            Some(ErrorCode::TenantUnavailable)
        );
        // The old owner is still there: nobody else may come before it is gone.
        assert!(old.addr.connected());
        assert_eq!(world.node.shared.registry.serial(a), serial);
        assert_eq!(
            code(world.node.patch(a, city("a", "Moss")).await),
            Some(ErrorCode::TenantUnavailable)
        );
        let mut changing = world.node.shared.registry.changing(a).expect("still held");
        drop(blocked);
        changing.changed().await.ok();
        world.running(a).await;
        world.patch(a, city("a", "Hamar")).await;
        assert!(!old.addr.connected());
        assert_eq!(world.position(a), 1);
    });
}

#[test]
fn a_caller_that_goes_away_from_a_change_leaves_the_instance_in_service() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let delete = begun(world.node.delete_instance(a, super::me())).await;
        drop(delete);
        drop(blocked);
        world.patch(a, city("a", "Hamar")).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
    });
}

#[test]
fn a_start_is_given_to_one_and_asked_for_again_when_it_comes_to_nothing() {
    run(async {
        let (registry, mut tasks) = Registry::new(config(), SetClock::at(noon()));
        let a = id(1);
        assert!(matches!(registry.look(a), Ok(Look::Wait(_))));
        assert!(matches!(registry.look(a), Ok(Look::Wait(_))));
        let Ok(Task::Start(_, serial)) = tasks.try_recv() else {
            panic!("a start is asked for")
        };
        assert!(tasks.try_recv().is_err(), "once");
        assert!(registry.begin_start(a, serial + 1).is_none());
        let alive = registry.begin_start(a, serial);
        assert!(alive.is_some());
        assert!(registry.begin_start(a, serial).is_none());
        drop(alive);
        assert!(matches!(tasks.try_recv(), Ok(Task::StartLater(_, again, _)) if again == serial));
        let alive = registry.begin_start(a, serial);
        registry.not_found(a, serial);
        drop(alive);
        assert_eq!(registry.len(), 0);
        assert!(tasks.try_recv().is_err());
        // Another occupancy is told from the earlier one, whoever comes late.
        assert!(registry.look(a).is_ok());
        assert!(registry.begin_start(a, serial).is_none());
        assert_eq!(Arc::strong_count(&registry), 1);
    });
}
