//! Owns the tests of how old jobs go in the background, with the rows that they could not use.

use sanntid_engine::{JobRequest, Tenants};
use sanntid_types::{ErrorCode, JobId, JobStatus};

use super::{
    samples::{code, noon},
    world::{World, config, memory, run},
};
use crate::Config;

fn few() -> Config {
    Config {
        jobs_kept: 2,
        sweep_records_max: 2,
        ..config()
    }
}

/// The jobs that are listed, newest first.
async fn listed(world: &World, id: sanntid_types::InstanceId) -> Vec<JobId> {
    let jobs = world.node.jobs(id, 100).await.expect("listed");
    jobs.into_iter().map(|job| job.id).collect()
}

#[test]
fn old_jobs_go_with_their_rows_but_the_last_good_refresh_stays() {
    run(async {
        let world = World::with(few(), memory());
        // Its first refresh is the only one that brings data.
        let a = world.instance(1).await;
        let first = listed(&world, a).await;
        let mut bad = Vec::new();
        for _ in 0..3 {
            let job = world
                .refresh(a, noon(), "a,Oslo,x,ka,\nb,Bergen,y,kb,\n")
                .await;
            assert_eq!(job.status, JobStatus::Failed, "{:?}", job.error);
            bad.push(job.id);
        }
        let job = world
            .node
            .submit_job(a, JobRequest::Reproject, super::me())
            .await;
        let last = world.ended(a, job.expect("taken").id).await;
        assert_eq!(last.status, JobStatus::Successful);
        let rows = world.node.job_rejections(a, bad[0], 10).await;
        assert_eq!(rows.expect("kept so far").len(), 2);
        assert_eq!(listed(&world, a).await.len(), 5);
        // A round between those that begin one does nothing by itself, and goes on with one.
        world.node.shared.look_after(false).await;
        assert_eq!(listed(&world, a).await.len(), 5);
        world.node.shared.look_after(true).await;
        for _ in 0..10 {
            world.node.shared.look_after(false).await;
        }
        assert_eq!(listed(&world, a).await, [last.id, bad[2], first[0]]);
        let gone = world.node.job_rejections(a, bad[0], 10).await;
        assert_eq!(code(gone), Some(ErrorCode::JobNotFound));
        let kept = world.node.job_rejections(a, bad[2], 10).await;
        assert_eq!(kept.expect("kept").len(), 2);
    });
}
