//! Owns the tests of jobs: their order, their end by cancel, time, crash and fault, and what
//! changes while one runs.

use futures_util::future::join;
use sanntid_engine::{JobRequest, Tenants};
use sanntid_store::catalog::{self, TableState};
use sanntid_types::{
    ErrorCode, Generation, InstanceId, Job, JobId, JobKind, JobStatus, RefreshRequest, StageName,
};

use super::{
    samples::{
        CSV, HEADER, ORDERS, city, code, customers, manifest, noon, orders_shown, refused, seconds,
    },
    world::{World, begun, config, memory, run, until},
};
use crate::Config;

pub(super) const ROWS: &str = "a,Trondheim,1,ka,\nb,Trondheim,2,kb,\n";

/// An upload that is being loaded and gets no further before the gate is opened.
pub(super) async fn held(world: &World, id: InstanceId) -> Job {
    world.kv.loads.close();
    let job = world.upload(id, noon(), ROWS).await;
    world.kv.loads.somebody_waits().await;
    job
}

pub(super) async fn status(world: &World, id: InstanceId, job: &Job) -> JobStatus {
    world.node.job(id, job.id).await.expect("a job").status
}

pub(super) fn tables(world: &World, id: InstanceId) -> Vec<TableState> {
    let snapshot = world.kv.inner.snapshot().unwrap();
    let record = catalog::instance(&*snapshot, id).unwrap().unwrap();
    let tables = catalog::tables(&*snapshot, record.incarnation).unwrap();
    tables.into_iter().map(|(_, state)| state).collect()
}

#[test]
fn jobs_of_an_instance_run_one_by_one_in_their_order() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let first = held(&world, a).await;
        let second = world.upload(a, noon(), ROWS).await;
        let third = world.upload(a, noon(), ROWS).await;
        assert_eq!(status(&world, a, &first).await, JobStatus::Running);
        let shown = world.node.job(a, first.id).await.expect("a job");
        assert_eq!(shown.stages.len(), StageName::ALL.len(), "live");
        assert_eq!(shown.stages[0].status, JobStatus::Running);
        assert_eq!(shown.started_at, Some(noon()));
        for waiting in [&second, &third] {
            assert_eq!(status(&world, a, waiting).await, JobStatus::Queued);
        }
        let listed = world.node.jobs(a, 3).await.expect("listed");
        let listed: Vec<_> = listed.iter().map(|job| job.id).collect();
        assert_eq!(listed, [third.id, second.id, first.id]);
        world.kv.loads.reopen();
        for (job, generation) in [(first, 2), (second, 3), (third, 4)] {
            let job = world.ended(a, job.id).await;
            let report = job.report.expect("a report");
            assert_eq!(report.generation, Generation(generation));
        }
        assert_eq!(tables(&world, a), [TableState::Live; 2]);
    });
}

#[test]
fn instances_take_turns() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let first = held(&world, a).await;
        let again = world.upload(a, noon(), ROWS).await;
        let other = world.upload(b, noon(), ROWS).await;
        assert_eq!(status(&world, b, &other).await, JobStatus::Queued);
        world.kv.loads.reopen();
        world.ended(a, first.id).await;
        world.kv.loads.close();
        let ended = begun(Box::pin(world.ended(a, again.id))).await;
        world.kv.loads.reopen();
        let (again, other) = join(ended, world.ended(b, other.id)).await;
        assert_eq!(again.status, JobStatus::Successful);
        assert_eq!(other.status, JobStatus::Successful);
    });
}

#[test]
fn a_waiting_job_is_cancelled_at_once_and_a_running_one_as_soon_as_it_notices() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.wait(seconds(1));
        let first = held(&world, a).await;
        let second = world.upload(a, noon(), ROWS).await;
        let third = world.upload(a, noon(), ROWS).await;
        let cancelled = world
            .node
            .cancel_job(a, second.id, super::me())
            .await
            .expect("a job");
        assert_eq!(cancelled.status, JobStatus::Aborted);
        assert_eq!(
            cancelled.error.expect("a reason").code,
            ErrorCode::Cancelled
        );
        let cancel = world.node.cancel_job(a, first.id, super::me());
        let cancel = begun(cancel).await;
        let progress = world.node.shared.refreshes.progress(a, first.id);
        let progress = progress.expect("it runs");
        until(|| progress.check().is_err()).await;
        world.kv.loads.reopen();
        let cancelled = cancel.await.expect("a job");
        assert_eq!(cancelled.status, JobStatus::Aborted);
        assert_eq!(cancelled.report, None);
        let third = world.ended(a, third.id).await;
        assert_eq!(third.status, JobStatus::Successful);
        assert_eq!(world.read(a).await.tenant.generation, Generation(2));
        assert_eq!(tables(&world, a), [TableState::Live; 2], "given up");

        let again = world
            .node
            .cancel_job(a, third.id, super::me())
            .await
            .expect("a job");
        assert_eq!(again, third, "of an ended job it changes nothing");
        let nobody = JobId(uuid::Uuid::from_u128(7));
        let missing = Some(ErrorCode::JobNotFound);
        assert_eq!(
            code(world.node.cancel_job(a, nobody, super::me()).await),
            missing
        );
        assert_eq!(code(world.node.job(a, nobody).await), missing);
        assert_eq!(code(world.node.job_rejections(a, nobody, 1).await), missing);
    });
}

#[test]
fn a_refresh_that_takes_too_long_is_stopped() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let job = held(&world, a).await;
        world.wait(world.config.refresh_time_max + seconds(1));
        world.kv.loads.reopen();
        let job = world.ended(a, job.id).await;
        assert_eq!(job.status, JobStatus::TimedOut);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(tables(&world, a), [TableState::Live; 2]);
    });
}

#[test]
fn jobs_that_wait_are_limited() {
    run(async {
        let few = Config {
            jobs_queued_max: 2,
            ..config()
        };
        let world = World::with(few, memory());
        let a = world.instance(1).await;
        held(&world, a).await;
        let job = world
            .node
            .submit_job(a, JobRequest::Reproject, super::me())
            .await;
        let job = job.expect("there is room");
        let again = world
            .node
            .submit_job(a, JobRequest::Reproject, super::me())
            .await;
        assert_eq!(again.expect("joined").id, job.id);
        let upload = manifest(noon(), vec![customers()]);
        let upload = world.open(a, upload).await;
        let content = format!("{HEADER}{ROWS}");
        let part = (1, CSV);
        let sent = world.part(a, upload, "Customer", part, content.as_bytes());
        sent.await.expect("taken");
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(error.target.as_deref(), Some("jobsQueued"));
        world.kv.loads.reopen();
        world.ended(a, job.id).await;
        world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("there is room");
    });
}

#[test]
fn without_a_configured_source_a_refresh_has_nothing_to_do() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let job = world
            .node
            .submit_job(
                a,
                JobRequest::Refresh(RefreshRequest::default()),
                super::me(),
            )
            .await;
        let job = job.expect("taken");
        assert_eq!(
            (&job.kind, job.status),
            (
                &JobKind::Refresh(RefreshRequest::default()),
                JobStatus::Skipped
            )
        );
        assert_eq!((job.stages.len(), job.ended_at), (0, Some(noon())));
        assert_eq!(world.ended(a, job.id).await, job);
    });
}

#[test]
fn a_configuration_that_changes_during_a_refresh_is_the_one_that_shows() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let lenient = sanntid_types::Settings {
            rows_rejected_max_percent: 50.0,
            ..sanntid_types::Settings::default()
        };
        world
            .node
            .set_settings(a, lenient, super::me())
            .await
            .expect("set");
        world.kv.loads.close();
        let rows = "a,Oslo,1,ka,\nb,Oslo,much,kb,\n";
        let order_rows = "1,2026-11-20T10:00:00Z,ka\n2,2026-11-20T10:00:00Z,kb\n";
        let job = world
            .upload_with(a, noon(), Some(rows), Some(order_rows))
            .await;
        world.kv.loads.somebody_waits().await;
        let answer = world
            .node
            .set_activities(a, orders_shown(), super::me())
            .await;
        assert_eq!(answer.expect("valid").job, None, "nothing is loaded yet");
        world.kv.loads.reopen();
        let job = world.ended(a, job.id).await;
        let report = job.report.expect("a report");
        assert_eq!((report.activities, report.activities_unmatched), (1, 1));
        assert_eq!(
            (report.rows_rejected, report.generation),
            (1, Generation(1))
        );
        assert_eq!(
            world.timeline(a, "a").await,
            [(format!("{ORDERS}:1"), true)]
        );
        let listed = world
            .node
            .job_rejections(a, job.id, 10)
            .await
            .expect("listed");
        let entities: Vec<_> = listed.iter().map(|row| row.entity.as_str()).collect();
        assert_eq!(entities, ["Customer", ORDERS], "each once");
        assert_eq!(
            tables(&world, a),
            [TableState::Live; 3],
            "the first timeline is given up"
        );
    });
}
