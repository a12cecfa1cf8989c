//! Owns the tests of a store that fails: nobody is told what may be untrue, nothing is counted
//! twice, reads go on, and all is well when the store is.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use sanntid_engine::{CallError, Tenants};
use sanntid_store::{Fault, FaultyKv, Kv, MemoryKv};
use sanntid_types::{ErrorCode, Settings};

use super::{
    samples::{city, code, seconds, visit},
    world::{World, begun, config, memory, run, until},
};

fn faulty() -> (World, Arc<FaultyKv<MemoryKv>>) {
    let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
    (World::with(config(), kv.clone()), kv)
}

const POISONED: Option<ErrorCode> = Some(ErrorCode::StorePoisoned);

#[test]
fn a_write_whose_commit_fails_has_no_answer_and_the_tenant_reads_what_became_of_it() {
    for (fault, stored) in [(Fault::Lost, false), (Fault::Stored, true)] {
        run(async {
            let (world, kv) = faulty();
            let (a, b) = (world.instance(1).await, world.instance(2).await);
            world.patch(a, city("a", "Hamar")).await;
            world.read(b).await;
            let blocked = world.block(b).await;
            let patches = ["Moss", "Voss"].map(|name| world.node.patch(a, city("a", name)));
            let patches = begun(join_all(patches)).await;
            let append = begun(world.node.append(a, visit("v", "a", "one"))).await;
            let beside = begun(world.node.patch(b, city("a", "Moss"))).await;
            kv.fail_after(0, fault);
            drop(blocked);
            for answer in patches.await {
                assert_eq!(answer, Err(CallError::Unknown), "{fault:?}");
            }
            assert_eq!(code(append.await), None);
            assert_eq!(code(beside.await), None);

            for _ in 0..2 {
                assert_eq!(code(world.node.patch(a, city("b", "Moss")).await), POISONED);
                assert_eq!(
                    code(world.node.append(b, visit("w", "a", "t")).await),
                    POISONED
                );
                let set = world.node.set_settings(a, Settings::default(), super::me());
                assert_eq!(code(set.await), POISONED);
            }
            assert_eq!(
                world.city(a, "a").await.as_deref(),
                Some("Hamar"),
                "reads go on"
            );

            world.node.shared.look_after(false).await;
            let shown = if stored { "Voss" } else { "Hamar" };
            assert_eq!(world.city(a, "a").await.as_deref(), Some(shown));
            // The client sends it again, as it does after no answer.
            let again = world.append(a, visit("v", "a", "one")).await;
            assert_eq!(again.replayed, stored);
            assert_eq!(world.timeline(a, "a").await, [("v".to_owned(), false)]);
            assert_eq!(world.position(a), if stored { 4 } else { 2 });
            world.patch(a, city("b", "Moss")).await;
            assert_eq!(world.position(a), if stored { 5 } else { 3 });
            world.patch(b, city("b", "Moss")).await;
            assert_eq!(world.position(b), if stored { 2 } else { 1 });
            world.quiet().await;
        });
    }
}

#[test]
fn a_change_whose_commit_fails_shows_after_the_store_has_recovered_if_it_was_stored() {
    for (fault, stored) in [(Fault::Lost, false), (Fault::Stored, true)] {
        run(async {
            let (world, kv) = faulty();
            let a = world.instance(1).await;
            let margin = || async { world.read(a).await.tenant.settings.as_of_margin };
            let settings = Settings {
                as_of_margin: seconds(7),
                ..Settings::default()
            };
            kv.fail_after(0, fault);
            let set = world.node.set_settings(a, settings, super::me());
            assert_eq!(set.await, Err(CallError::Unknown));
            assert_eq!(margin().await, seconds(0));
            // Upkeep alone brings it about: nobody has to write first.
            world.node.shared.look_after(false).await;
            let running = world.node.shared.registry.running(a).expect("runs");
            until(|| !running.published.is_in_doubt()).await;
            assert_eq!(margin().await, seconds(if stored { 7 } else { 0 }));
        });
    }
}

#[test]
fn a_tenant_started_on_a_poisoned_store_reads_its_state_anew() {
    for (fault, position) in [(Fault::Lost, 1), (Fault::Stored, 2)] {
        run(async {
            let (world, kv) = faulty();
            let a = world.instance(1).await;
            kv.fail_after(0, fault);
            assert_eq!(code(world.node.patch(a, city("a", "Hamar")).await), None);
            let mut changing = world.node.shared.registry.changing(a).expect("there");
            world.wait(world.config.tenant_idle);
            world.node.shared.let_idle_go();
            changing.changed().await.expect_err("it has left");
            assert_eq!(
                world.city(a, "a").await.as_deref(),
                Some("Oslo"),
                "reads go on"
            );
            kv.maintain();
            world.patch(a, city("b", "Moss")).await;
            assert_eq!(world.position(a), position);
        });
    }
}

#[test]
fn an_instance_whose_end_was_stored_takes_no_more_writes() {
    for again in [false, true] {
        run(async {
            let (world, kv) = faulty();
            let a = world.instance(1).await;
            world.patch(a, city("a", "Hamar")).await;
            kv.fail_after(0, Fault::Stored);
            let ended = if again {
                world.node.reset_instance(a, super::me())
            } else {
                world.node.delete_instance(a, super::me())
            };
            assert_eq!(ended.await, Err(CallError::Unknown));
            assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
            kv.maintain();
            let expected = if again {
                ErrorCode::ProfileNotFound
            } else {
                ErrorCode::InstanceNotFound
            };
            for _ in 0..2 {
                let patch = world.node.patch(a, city("a", "Moss")).await;
                assert_eq!(code(patch), Some(expected));
            }
            let read = world.node.read(a).await;
            assert_eq!(read.is_ok(), again);
            let registry = &world.node.shared.registry;
            // It has left in order: a crash would keep its last state readable.
            assert_eq!(registry.readable(a).is_some(), again);
            until(|| registry.len() == usize::from(again)).await;
        });
    }
}

#[test]
fn while_the_disk_is_full_writes_are_refused_and_leave_no_trace() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.patch(a, city("a", "Hamar")).await;
        world.kv.fill(true);
        let full = Some(ErrorCode::DiskFull);
        for _ in 0..2 {
            let writes = join(
                world.node.patch(a, city("a", "Moss")),
                world.node.append(b, visit("v", "a", "one")),
            );
            let (patch, append) = writes.await;
            assert_eq!((code(patch), code(append)), (full, full));
            let set = world.node.set_settings(a, Settings::default(), super::me());
            assert_eq!(code(set.await), full, "it would have no record");
            assert_eq!(
                code(
                    world
                        .node
                        .set_activities(a, Vec::new(), super::me())
                        .await
                        .map(drop)
                        .and(world.node.delete_instance(a, super::me()).await)
                ),
                full
            );
            assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        }
        world.kv.fill(false);
        world.patch(a, city("a", "Moss")).await;
        assert!(!world.append(b, visit("v", "a", "one")).await.replayed);
        assert_eq!((world.position(a), world.position(b)), (2, 1));
    });
}

#[test]
fn a_refusal_does_not_keep_a_snapshot() {
    run(async {
        let world = World::with(config(), memory());
        let a = world.instance(1).await;
        until(|| world.kv.snapshots() == 0).await;
        let nobody = world.node.patch(a, city("nobody", "Moss")).await;
        assert_eq!(code(nobody), Some(ErrorCode::ProfileNotFound));
        until(|| world.kv.snapshots() == 0).await;
    });
}
