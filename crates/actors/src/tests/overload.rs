//! Owns the tests of limits on calls: over one the answer says so, and everything accepted is
//! answered.

use futures_util::future::join_all;
use sanntid_engine::Tenants;
use sanntid_types::ErrorCode;

use super::{
    samples::{city, refused},
    world::{World, begun, config, memory, run, until},
};
use crate::Config;

fn limited(tenant_calls_max: usize, node_calls_max: usize) -> World {
    let config = Config {
        tenant_calls_max,
        node_calls_max,
        ..config()
    };
    World::with(config, memory())
}

#[test]
fn over_a_tenants_limit_calls_are_refused_and_the_accepted_ones_answered() {
    run(async {
        let world = limited(3, 100);
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let accepted = ["1", "2", "3"].map(|name| world.node.patch(a, city("a", name)));
        let accepted = begun(join_all(accepted)).await;
        let error = refused(world.node.patch(a, city("a", "4")).await);
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(error.target.as_deref(), Some("tenantCalls"));
        world.read(a).await;
        drop(blocked);
        for answer in accepted.await {
            answer.expect("accepted");
        }
        assert_eq!(world.city(a, "a").await.as_deref(), Some("3"));
        assert_eq!(world.position(a), 3);
        world.patch(a, city("a", "5")).await;
        world.quiet().await;
    });
}

#[test]
fn over_the_nodes_limit_calls_of_all_tenants_are_refused() {
    run(async {
        let world = limited(3, 4);
        let (a, b, c) = (
            world.instance(1).await,
            world.instance(2).await,
            world.instance(3).await,
        );
        let blocked = world.block(c).await;
        let accepted = [(a, "1"), (a, "2"), (b, "3")];
        let accepted = accepted.map(|(id, name)| world.node.patch(id, city("a", name)));
        let accepted = begun(join_all(accepted)).await;
        for id in [a, b] {
            let error = refused(world.node.patch(id, city("a", "4")).await);
            assert_eq!(error.code, ErrorCode::Overloaded);
            assert_eq!(error.target.as_deref(), Some("nodeCalls"));
        }
        drop(blocked);
        for answer in accepted.await {
            answer.expect("accepted");
        }
        world.quiet().await;
        world.patch(b, city("a", "5")).await;
    });
}

#[test]
fn calls_that_wait_for_a_start_are_limited_too() {
    run(async {
        let world = limited(3, 100);
        let (a, b) = (world.empty_instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let waiting = (0..3).map(|_| world.node.read(a));
        let waiting = begun(join_all(waiting)).await;
        assert_eq!(world.node.shared.registry.calls.count(), 4);
        let error = refused(world.node.read(a).await);
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(error.target.as_deref(), Some("tenantCalls"));
        drop(blocked);
        for answer in waiting.await {
            answer.expect("it has started");
        }
        world.quiet().await;
    });
}

#[test]
fn a_burst_on_a_tenant_that_is_just_started_is_taken() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.wait(world.config.tenant_idle);
        for round in 1..=5 {
            let mut changing = world.node.shared.registry.changing(a).expect("there");
            world.wait(world.config.tenant_idle);
            world.node.shared.let_idle_go();
            changing.changed().await.expect_err("it has left");
            let burst = (0..200).map(|_| world.node.patch(a, city("a", "Moss")));
            for answer in join_all(burst).await {
                answer.expect("far below every limit");
            }
            assert_eq!(world.position(a), round * 200);
        }
    });
}

#[test]
fn a_caller_that_goes_away_gives_its_place_back() {
    run(async {
        let world = limited(2, 100);
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        for _ in 0..3 {
            drop(begun(world.node.patch(a, city("a", "Moss"))).await);
        }
        assert_eq!(world.node.shared.registry.calls.count(), 1);
        // The mailbox still holds what they asked for: it is the second limit.
        let error = refused(world.node.patch(a, city("a", "Moss")).await);
        assert_eq!(error.code, ErrorCode::Overloaded);
        drop(blocked);
        world.read(a).await;
        until(|| world.position(a) == 3).await;
        world.patch(a, city("a", "Voss")).await;
        world.quiet().await;
    });
}
