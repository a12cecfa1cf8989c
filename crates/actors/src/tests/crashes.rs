//! Owns the tests of tenants that panic: nothing acknowledged is lost, nobody else notices.

use std::time::Duration;

use futures_util::future::join_all;
use sanntid_engine::Tenants;
use sanntid_types::ErrorCode;

use super::{
    samples::{city, code, refused, seconds, visit},
    world::{World, begun, config, memory, run, until},
};
use crate::registry::Look;

const UNAVAILABLE: Option<ErrorCode> = Some(ErrorCode::TenantUnavailable);

#[test]
fn a_panic_loses_nothing_acknowledged_and_the_tenant_is_back_by_itself() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        for id in [a, b] {
            world.patch(id, city("a", "Hamar")).await;
            world.append(id, visit("v", "a", "one")).await;
        }
        assert_eq!(world.panic(a).await, UNAVAILABLE);
        // The neighbour on the same thread notices nothing.
        world.patch(b, city("b", "Voss")).await;
        world.running(a).await;
        for id in [a, b] {
            assert_eq!(world.city(id, "a").await.as_deref(), Some("Hamar"));
            assert_eq!(world.timeline(id, "a").await, [("v".to_owned(), false)]);
        }
        assert_eq!(world.position(a), 2);
        world.patch(a, city("a", "Moss")).await;
        assert_eq!(world.position(a), 3);
        let again = world.append(a, visit("v", "a", "one")).await;
        assert!(again.replayed);
    });
}

#[test]
fn until_the_restart_reads_go_on_and_writes_are_refused() {
    run(async {
        let hour = seconds(3600);
        let slow = crate::Config {
            restart_delay_min: hour,
            restart_delay_max: hour,
            ..config()
        };
        let world = World::with(slow, memory());
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.patch(a, city("a", "Hamar")).await;
        world.panic(a).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        let error = refused(world.node.patch(a, city("a", "Moss")).await);
        assert_eq!(error.code, ErrorCode::TenantUnavailable);
        assert!(
            error.message.contains("2026-11-23T13:00:00.000Z"),
            "{error}"
        );
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        world.patch(b, city("a", "Moss")).await;
        world.quiet().await;
    });
}

#[test]
fn reads_go_on_during_the_restart_too() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.kv.questions.close();
        world.panic(a).await;
        // A start asks the store how it is, and gets no answer.
        let registry = &world.node.shared.registry;
        until(|| matches!(registry.look(a), Ok(Look::Wait(_)))).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        let patch = begun(world.node.patch(a, city("a", "Moss"))).await;
        world.kv.questions.reopen();
        patch.await.expect("it waited for the start");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
    });
}

#[test]
fn the_restart_delay_doubles_up_to_its_limit_and_starts_anew_after_a_healthy_time() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let delay = || world.node.shared.registry.delay(a);
        let millis = |count| Some(Duration::from_millis(count));
        assert_eq!(delay(), millis(1));
        for next in [2, 4, 8, 8] {
            world.panic(a).await;
            world.running(a).await;
            assert_eq!(delay(), millis(next));
        }
        world.wait(seconds(60) - Duration::from_millis(1));
        world.panic(a).await;
        world.running(a).await;
        assert_eq!(delay(), millis(8), "not yet long enough");
        world.wait(seconds(60));
        world.panic(a).await;
        assert_eq!(delay(), millis(2));
        world.running(a).await;
    });
}

#[test]
fn what_is_staged_when_a_tenant_panics_is_committed_and_answered() {
    run(async {
        let hour = seconds(3600);
        let slow = crate::Config {
            restart_delay_min: hour,
            restart_delay_max: hour,
            ..config()
        };
        let world = World::with(slow, memory());
        let (a, b, c) = (
            world.instance(1).await,
            world.instance(2).await,
            world.instance(3).await,
        );
        let blocked = world.block(c).await;
        let node = &world.node;
        let staged = [(a, city("a", "Hamar")), (b, city("a", "Voss"))];
        let staged = staged.map(|(id, call)| node.patch(id, call));
        let staged = begun(join_all(staged)).await;
        let panics = begun(Box::pin(world.fail(a))).await;
        let behind = begun(node.patch(a, city("b", "Moss"))).await;
        let beside = begun(node.patch(b, city("b", "Moss"))).await;
        drop(blocked);
        for answer in staged.await {
            answer.expect("it was staged before");
        }
        assert_eq!(panics.await, UNAVAILABLE);
        assert_eq!(code(behind.await), UNAVAILABLE);
        beside.await.expect("another tenant's");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        assert_eq!(world.city(a, "b").await.as_deref(), Some("Bergen"));
        assert_eq!(world.city(b, "a").await.as_deref(), Some("Voss"));
        assert_eq!(world.city(b, "b").await.as_deref(), Some("Moss"));
        assert_eq!((world.position(a), world.position(b)), (1, 2));
    });
}

#[test]
fn after_a_panic_with_staged_writes_the_tenant_goes_on_behind_them() {
    run(async {
        let world = World::new();
        let (a, c) = (world.instance(1).await, world.instance(3).await);
        let blocked = world.block(c).await;
        let staged = begun(world.node.patch(a, city("a", "Hamar"))).await;
        let panics = begun(Box::pin(world.fail(a))).await;
        drop(blocked);
        staged.await.expect("it was staged before");
        panics.await;
        world.running(a).await;
        world.patch(a, city("a", "Moss")).await;
        assert_eq!(world.position(a), 2);
    });
}

#[test]
fn a_store_that_panics_leaves_the_outcome_open_and_nothing_else() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.patch(a, city("a", "Hamar")).await;
        world.kv.panic_once();
        assert_eq!(code(world.node.patch(a, city("a", "Voss")).await), None);
        world.patch(a, city("b", "Moss")).await;
        world.patch(b, city("b", "Moss")).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        assert_eq!((world.position(a), world.position(b)), (2, 1));

        world.kv.panic_once();
        let settings = sanntid_types::Settings::default();
        let settings = sanntid_types::Settings {
            as_of_margin: seconds(5),
            ..settings
        };
        let set = world.node.set_settings(a, settings.clone(), super::me());
        assert_eq!(code(world.crashing(a, set).await), None);
        world.running(a).await;
        assert_eq!(world.read(a).await.tenant.settings.as_of_margin, seconds(0));
        world
            .node
            .set_settings(a, settings, super::me())
            .await
            .expect("set");
        assert_eq!(world.read(a).await.tenant.settings.as_of_margin, seconds(5));
        world.quiet().await;
    });
}

#[test]
fn a_start_that_panics_is_tried_again() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        world.kv.panic_when_asked();
        let reading = world.read(a).await;
        assert_eq!(reading.tenant.instance, a);
    });
}

#[test]
fn a_call_that_makes_its_tenant_panic_is_not_tried_again() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        assert_eq!(world.fail(a).await, UNAVAILABLE);
        world.running(a).await;
        let delay = world.node.shared.registry.delay(a);
        assert_eq!(delay, Some(Duration::from_millis(2)), "one crash, not more");
    });
}
