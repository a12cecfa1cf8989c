//! Owns the tests of writes that come many at a time: answers in order, one commit, nothing told
//! that may be untrue.

use std::sync::Arc;

use bytes::Bytes;
use sanntid_engine::{CallError, PatchCall, Tenants, WriteCall, Written};
use sanntid_store::{Fault, FaultyKv, MemoryKv};
use sanntid_types::{ActivityState, ErrorCode, InstanceId};

use super::{
    samples::{city, code, profile_id, visit},
    world::{World, begun, config, memory, run},
};
use crate::tenant::Command;

fn patch(profile: &str, name: &str) -> WriteCall {
    WriteCall::Patch(city(profile, name))
}

fn append(id: &str, profile: &str, title: &str) -> WriteCall {
    WriteCall::Append(visit(id, profile, title))
}

async fn write(
    world: &World,
    id: InstanceId,
    calls: Vec<WriteCall>,
) -> Vec<Result<Written, CallError>> {
    let count = calls.len();
    let answers = world.node.write_many(id, calls).await.expect("answers");
    assert_eq!(answers.len(), count);
    answers
}

/// The codes of refusals; `None` where it was accepted.
fn codes(answers: Vec<Result<Written, CallError>>) -> Vec<Option<ErrorCode>> {
    let of = |answer: Result<Written, CallError>| match answer {
        Ok(_) => None,
        refused => code(refused),
    };
    answers.into_iter().map(of).collect()
}

#[test]
fn each_is_answered_in_order_and_sees_those_before_it() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let before = world.kv.commits.count();
        let calls = vec![
            patch("a", "Moss"),
            append("v", "a", "one"),
            append("v", "a", "one"),
            append("v", "a", "two"),
            patch("nobody", "Moss"),
            WriteCall::Patch(PatchCall {
                body: Bytes::from_static(b"{\"Nothing\": 1}"),
                ..city("a", "")
            }),
            patch("a", "Voss"),
            append("w", "nobody", "t"),
        ];
        let answers = write(&world, a, calls).await;
        assert_eq!(world.kv.commits.count() - before, 1, "one sync for all");
        let stored = |replayed| {
            Ok(Written::Appended {
                id: sanntid_types::ActivityId::parse("v").expect("id"),
                state: ActivityState::Stored,
                replayed,
            })
        };
        assert_eq!(answers[1], stored(false));
        assert_eq!(answers[2], stored(true));
        let Ok(Written::Patched(first)) = &answers[0] else {
            panic!("{:?}", answers[0]);
        };
        assert_eq!(first.profile, profile_id("a"));
        assert_eq!(
            codes(answers),
            [
                None,
                None,
                None,
                Some(ErrorCode::ActivityConflict),
                Some(ErrorCode::ProfileNotFound),
                Some(ErrorCode::UnknownField),
                None,
                Some(ErrorCode::CustomerNotFound),
            ]
        );
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Voss"));
        assert_eq!(
            world.position(a),
            3,
            "the position counts what was accepted"
        );
        assert_eq!(world.timeline(a, "a").await.len(), 1);
    });
}

#[test]
fn a_restart_goes_on_behind_the_last_of_many() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        let calls = (0..10).map(|number| patch("a", &number.to_string()));
        write(&world, a, calls.collect()).await;
        world.crash().await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("9"));
        world.patch(a, city("a", "after")).await;
        assert_eq!(world.position(a), 11);
    });
}

#[test]
fn many_that_fill_a_batch_are_committed_in_several() {
    run(async {
        let small = crate::Config {
            batch_bytes_max: 1 << 10,
            ..config()
        };
        let world = World::with(small, memory());
        let a = world.instance(1).await;
        let before = world.kv.commits.count();
        let long = "x".repeat(600);
        let calls = (0..6).map(|number| patch("a", &format!("{number}{long}")));
        let answers = write(&world, a, calls.collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        let commits = world.kv.commits.count() - before;
        assert!((3..=6).contains(&commits), "{commits}");
        assert_eq!(world.city(a, "a").await, Some(format!("5{long}")));
        assert_eq!(world.position(a), 6);
    });
}

#[test]
fn none_is_shown_or_answered_before_it_is_committed() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.kv.commits.close();
        let calls = vec![
            patch("nobody", "x"),
            patch("a", "Moss"),
            patch("nobody", "x"),
        ];
        let many = begun(world.node.write_many(a, calls)).await;
        world.kv.commits.somebody_waits().await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        world.kv.commits.reopen();
        assert_eq!(many.await.expect("answers").len(), 3);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
    });
}

#[test]
fn a_lost_commit_is_told_of_each_of_them() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.kv.fill(true);
        let answers = write(&world, a, vec![patch("a", "Moss"), patch("a", "Voss")]).await;
        assert_eq!(codes(answers), [Some(ErrorCode::DiskFull); 2]);
        world.kv.fill(false);
        world.patch(a, city("a", "Voss")).await;
        assert_eq!(world.position(a), 1, "nothing was counted");
    });
    run(async {
        let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
        let world = World::with(config(), kv.clone());
        let a = world.instance(1).await;
        kv.fail_after(0, Fault::Stored);
        let answers = write(&world, a, vec![patch("a", "Moss"), append("v", "a", "t")]).await;
        assert!(
            answers
                .iter()
                .all(|answer| *answer == Err(CallError::Unknown))
        );
    });
}

#[test]
fn of_a_failed_actor_nothing_is_told_that_may_be_untrue() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let blocked = world.block(a).await;
        let many = begun(world.node.write_many(a, vec![patch("a", "Moss")])).await;
        let failing = begun(Box::pin(world.node.shared.call(a, || Command::Fail))).await;
        drop(blocked);
        // It was staged when the actor failed: stored or not, it is never called refused.
        let answers = many.await.expect("answers");
        assert!(matches!(answers[..], [Ok(_) | Err(CallError::Unknown)]));
        assert!(failing.await.is_err());
    });
}

#[test]
fn an_instance_that_there_is_not_refuses_each() {
    run(async {
        let world = World::new();
        let calls = vec![patch("a", "Moss"), patch("a", "Voss")];
        let answers = write(&world, super::samples::id(9), calls).await;
        assert_eq!(codes(answers), [Some(ErrorCode::InstanceNotFound); 2]);
        assert!(
            write(&world, super::samples::id(9), Vec::new())
                .await
                .is_empty()
        );
    });
}
