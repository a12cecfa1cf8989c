//! Owns the tests of jobs that something comes upon: a crash, a panic, a full disk, a busy tenant, the
//! end of their instance.

use sanntid_engine::{JobRequest, Tenants};
use sanntid_store::{
    WriteBatch,
    catalog::{self, TableState},
};
use sanntid_types::{ErrorCode, Generation, Job, JobId, JobStatus};

use super::{
    jobs::{ROWS, held, status, tables},
    samples::{city, code, noon},
    world::{World, begun, config, memory, run, until},
};
use crate::Config;

#[test]
fn a_crash_fails_the_running_job_and_the_waiting_ones_go_on() {
    run(async {
        let mut world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let first = held(&world, a).await;
        let second = world.upload(a, noon(), ROWS).await;
        let other = world.upload(b, noon(), ROWS).await;
        assert!(tables(&world, a).contains(&TableState::Loading(first.id)));
        world.crash().await;
        let first = world.ended(a, first.id).await;
        assert_eq!((first.status, first.report), (JobStatus::Failed, None));
        assert_eq!(first.error.expect("a reason").code, ErrorCode::Interrupted);
        for (id, job) in [(a, second), (b, other)] {
            let job = world.ended(id, job.id).await;
            assert_eq!(job.status, JobStatus::Successful);
            assert_eq!(job.report.expect("a report").generation, Generation(2));
            assert_eq!(tables(&world, id), [TableState::Live; 2], "given up");
        }
    });
}

#[test]
fn a_job_that_nobody_runs_is_interrupted_by_the_next_one() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let done = world.node.jobs(a, 1).await.expect("listed").remove(0);
        let snapshot = world.kv.inner.snapshot().unwrap();
        let incarnation = catalog::instance(&*snapshot, a)
            .unwrap()
            .unwrap()
            .incarnation;
        drop(snapshot);
        // What is left where the store fails when a job begins, or when it ends.
        let mut batch = WriteBatch::new();
        let orphan = |number, report| Job {
            id: JobId(uuid::Uuid::from_u128(number)),
            status: JobStatus::Running,
            report,
            ..done.clone()
        };
        let (begun, switched) = (orphan(1, None), orphan(2, done.report.clone()));
        catalog::put_job(&mut batch, incarnation, &begun);
        catalog::put_job(&mut batch, incarnation, &switched);
        world.kv.inner.commit(batch).unwrap();
        let job = world
            .node
            .submit_job(a, JobRequest::Reproject, super::me())
            .await
            .expect("taken");
        assert_eq!(world.ended(a, job.id).await.status, JobStatus::Successful);
        let begun = world.ended(a, begun.id).await;
        assert_eq!(begun.status, JobStatus::Failed);
        let switched = world.ended(a, switched.id).await;
        assert_eq!(switched.status, JobStatus::Successful);
        assert_eq!(switched.error.expect("a note").code, ErrorCode::Interrupted);
    });
}

#[test]
fn a_refresh_that_panics_fails_alone() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let job = held(&world, a).await;
        world.kv.panic_once();
        world.kv.loads.reopen();
        let job = world.ended(a, job.id).await;
        assert_eq!(job.status, JobStatus::Failed);
        assert_eq!(job.error.expect("a reason").code, ErrorCode::Internal);
        assert_eq!(tables(&world, a), [TableState::Live; 2]);
        let job = world.refresh(a, noon(), ROWS).await;
        assert_eq!(job.status, JobStatus::Successful);
    });
}

#[test]
fn jobs_wait_for_a_store_that_can_t_take_their_records() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let first = held(&world, a).await;
        let second = world.upload(b, noon(), ROWS).await;
        world.kv.fill(true);
        let loads = world.kv.loads.count();
        world.kv.loads.reopen();
        until(|| world.kv.loads.count() > loads).await;
        for (id, job) in [(a, &first), (b, &second)] {
            assert!(!status(&world, id, job).await.is_ended());
        }
        let cancel = world.node.cancel_job(b, second.id, super::me()).await;
        assert_eq!(code(cancel), Some(ErrorCode::DiskFull));
        world.kv.fill(false);
        while !status(&world, b, &second).await.is_ended() {
            world.node.shared.look_after(false).await;
        }
        let first = world.ended(a, first.id).await;
        assert_eq!(first.status, JobStatus::Failed);
        assert_eq!(first.error.expect("a reason").code, ErrorCode::DiskFull);
        assert_eq!(status(&world, b, &second).await, JobStatus::Successful);
    });
}

#[test]
fn a_tenant_that_can_t_take_the_switch_gets_it_later() {
    run(async {
        let busy = Config {
            tenant_calls_max: 2,
            ..config()
        };
        let world = World::with(busy, memory());
        let a = world.instance(1).await;
        let job = held(&world, a).await;
        world.quiet().await;
        let blocked = world.block(a).await;
        let waiting = begun(world.node.patch(a, city("b", "Moss"))).await;
        world.kv.loads.reopen();
        let progress = world.node.shared.refreshes.progress(a, job.id);
        let progress = progress.expect("it runs");
        let switching = || progress.stages()[5].status == JobStatus::Running;
        until(switching).await;
        let patch = world.node.patch(a, city("a", "Moss")).await;
        assert_eq!(code(patch), Some(ErrorCode::Overloaded));
        drop(blocked);
        waiting.await.expect("accepted");
        while !status(&world, a, &job).await.is_ended() {
            world.node.shared.look_after(false).await;
        }
        assert_eq!(status(&world, a, &job).await, JobStatus::Successful);
    });
}

#[test]
fn deleting_or_resetting_an_instance_ends_its_running_refresh() {
    for again in [false, true] {
        run(async {
            let world = World::new();
            let (a, b) = (world.instance(1).await, world.instance(2).await);
            let job = held(&world, a).await;
            let waiting = world.upload(a, noon(), ROWS).await;
            let other = world.upload(b, noon(), ROWS).await;
            let ended = if again {
                world.node.reset_instance(a, super::me())
            } else {
                world.node.delete_instance(a, super::me())
            };
            ended.await.expect("ended");
            let gone = if again {
                ErrorCode::JobNotFound
            } else {
                ErrorCode::InstanceNotFound
            };
            for job in [&job, &waiting] {
                assert_eq!(code(world.node.job(a, job.id).await), Some(gone));
            }
            world.kv.loads.reopen();
            let other = world.ended(b, other.id).await;
            assert_eq!(other.status, JobStatus::Successful);
            if again {
                let read = world.read(a).await;
                assert_eq!(read.tenant.generation, Generation(0));
                assert_eq!(tables(&world, a), []);
                let job = world.refresh(a, noon(), "a,Voss,1,ka,\n").await;
                assert_eq!(job.report.expect("a report").generation, Generation(1));
                assert_eq!(world.city(a, "a").await.as_deref(), Some("Voss"));
            }
        });
    }
}
