//! Owns the tests of group commit: one sync for everybody who waits, reads beside it, and answers
//! that rest on nothing that could still be lost.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use sanntid_engine::{PatchCall, Reading, Tenants, profile};
use sanntid_store::{Fault, FaultyKv, MemoryKv};
use sanntid_types::{ErrorCode, InstanceId};

use super::{
    samples::{city, code, profile_id, visit},
    world::{World, begun, config, memory, run},
};

#[test]
fn writes_that_come_during_a_sync_are_committed_together() {
    run(async {
        let world = World::new();
        let ids = [
            world.instance(1).await,
            world.instance(2).await,
            world.instance(3).await,
        ];
        world.kv.commits.close();
        let before = world.kv.commits.count();
        let first = begun(world.node.patch(ids[0], city("a", "0"))).await;
        world.kv.commits.somebody_waits().await;
        let mut writes = Vec::new();
        for id in ids {
            for name in ["1", "2", "3"] {
                writes.push(world.node.patch(id, city("a", name)));
            }
        }
        let writes = begun(join_all(writes)).await;
        let appends = ids.map(|id| world.node.append(id, visit("v", "b", "one")));
        let appends = begun(join_all(appends)).await;
        world.kv.commits.reopen();
        first.await.expect("accepted");
        assert!(writes.await.iter().all(Result::is_ok));
        assert!(appends.await.iter().all(Result::is_ok));
        assert_eq!(world.kv.commits.count() - before, 2);
        for id in ids {
            assert_eq!(world.city(id, "a").await.as_deref(), Some("3"));
        }
        let positions = ids.map(|id| world.position(id));
        assert_eq!(positions, [5, 4, 4]);
    });
}

#[test]
fn a_batch_over_its_size_is_committed_at_once() {
    run(async {
        let small = crate::Config {
            batch_bytes_max: 1 << 10,
            ..config()
        };
        let world = World::with(small, memory());
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let before = world.kv.commits.count();
        let long = "x".repeat(600);
        let writes = (0..6).map(|_| world.node.patch(a, city("a", &long)));
        let writes = begun(join_all(writes)).await;
        drop(blocked);
        assert!(writes.await.iter().all(Result::is_ok));
        let commits = world.kv.commits.count() - before;
        assert!((3..=6).contains(&commits), "{commits}");
        assert_eq!(world.position(a), 6);
    });
}

#[test]
fn reads_don_t_visit_the_tenant() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        let blocked = world.block(a).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        drop(blocked);

        world.quiet().await;
        world.kv.commits.close();
        let patch = begun(world.node.patch(a, city("a", "Moss"))).await;
        world.kv.commits.somebody_waits().await;
        // What is not committed is not shown.
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        world.kv.commits.reopen();
        patch.await.expect("accepted");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
    });
}

#[test]
fn every_answered_write_is_in_the_next_read() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        for round in 0..50 {
            let name = round.to_string();
            world.patch(a, city("a", &name)).await;
            assert_eq!(world.city(a, "a").await, Some(name.clone()));
            world.append(a, visit(&name, "a", "t")).await;
            assert_eq!(world.timeline(a, "a").await.len(), round + 1);
        }
    });
}

async fn etag(world: &World, id: InstanceId, asked: &str) -> String {
    let Reading { tenant, view, now } = world.read(id).await;
    let found = profile(&*view, &tenant, now, &profile_id(asked)).expect("readable");
    found.expect("a profile").etag()
}

fn if_match(etag: &str, name: &str) -> PatchCall {
    PatchCall {
        if_match: Some(etag.to_owned()),
        body: Bytes::from(format!("{{\"City\": \"{name}\"}}")),
        ..city("a", name)
    }
}

#[test]
fn decisions_see_what_was_staged_before_them() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let etag = etag(&world, a, "a").await;
        let blocked = world.block(b).await;
        let patches = ["Moss", "Voss"].map(|name| world.node.patch(a, if_match(&etag, name)));
        let patches = begun(join_all(patches)).await;
        let appends = ["one", "one", "two"].map(|title| {
            let call = visit("v", "a", title);
            world.node.append(a, call)
        });
        let appends = begun(join_all(appends)).await;
        drop(blocked);
        let mut patches = patches.await.into_iter();
        assert!(patches.next().unwrap().is_ok());
        let second = code(patches.next().unwrap());
        assert_eq!(second, Some(ErrorCode::ETagMismatch));
        let mut appends = appends.await.into_iter();
        assert!(!appends.next().unwrap().unwrap().replayed);
        assert!(appends.next().unwrap().unwrap().replayed);
        let third = code(appends.next().unwrap());
        assert_eq!(third, Some(ErrorCode::ActivityConflict));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
        assert_eq!(world.position(a), 2);
    });
}

/// One activity, its repeat and its conflict in one batch, which is then lost.
async fn lost(world: &World, lose: impl FnOnce()) -> Vec<Option<ErrorCode>> {
    let (a, b) = (world.instance(1).await, world.instance(2).await);
    let blocked = world.block(b).await;
    let appends = ["one", "one", "two"].map(|title| world.node.append(a, visit("v", "a", title)));
    let appends = begun(join_all(appends)).await;
    lose();
    drop(blocked);
    appends.await.into_iter().map(code).collect()
}

#[test]
fn an_answer_that_rests_on_a_lost_batch_is_lost_with_it() {
    run(async {
        let world = World::new();
        let codes = lost(&world, || world.kv.fill(true)).await;
        assert_eq!(codes, [Some(ErrorCode::DiskFull); 3]);
    });
    run(async {
        let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
        let world = World::with(config(), kv.clone());
        let codes = lost(&world, || kv.fail_after(0, Fault::Lost)).await;
        assert_eq!(codes, [None; 3]);
    });
}

#[test]
fn a_change_in_between_is_committed_after_what_was_staged_and_by_itself() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let first = begun(world.node.patch(a, city("a", "Moss"))).await;
        let beside = begun(world.node.patch(b, city("a", "Moss"))).await;
        let settings = sanntid_types::Settings {
            rows_rejected_max_percent: 50.0,
            ..sanntid_types::Settings::default()
        };
        let set = begun(world.node.set_settings(a, settings, super::me())).await;
        let second = begun(world.node.patch(a, city("b", "Moss"))).await;
        let before = world.kv.commits.count();
        drop(blocked);
        first.await.expect("accepted");
        beside.await.expect("accepted");
        set.await.expect("accepted");
        second.await.expect("accepted");
        let commits = world.kv.commits.count() - before;
        assert!((3..=4).contains(&commits), "{commits}");
        assert_eq!((world.position(a), world.position(b)), (2, 1));
    });
}
