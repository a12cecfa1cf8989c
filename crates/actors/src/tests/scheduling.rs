//! Schedules: what is due starts one job, whatever happens around it.

use sanntid_engine::Tenants;
use sanntid_types::{InstanceId, JobStatus, JobSubmission, RefreshRequest, Schedule, ScheduleId};

use super::{
    samples::seconds,
    world::{World, run},
};

fn hourly() -> Schedule {
    Schedule {
        id: ScheduleId(uuid::Uuid::from_u128(1)),
        is_active: true,
        timezone_id: "UTC".to_owned(),
        cron_schedules: vec!["0 * * * *".to_owned()],
        request: RefreshRequest::default(),
    }
}

/// How many jobs a schedule has started.
async fn started(world: &World, id: InstanceId) -> usize {
    world.node.shared.follow_schedules().await;
    let jobs = world.node.jobs(id, 100).await.expect("listed");
    assert!(jobs.iter().all(|job| job.status == JobStatus::Skipped));
    let scheduled = |job: &&sanntid_types::Job| job.submission == JobSubmission::Scheduled;
    jobs.iter().filter(scheduled).count()
}

#[test]
fn a_crash_neither_loses_nor_doubles_what_is_due() {
    run(async {
        let mut world = World::new();
        let id = world.empty_instance(1).await;
        let put = world
            .node
            .put_schedules(id, vec![hourly()], super::me())
            .await;
        put.expect("taken");
        assert_eq!(started(&world, id).await, 0);
        world.wait(seconds(3 * 3600));
        world.crash().await;
        world.clock.trust(false);
        assert_eq!(started(&world, id).await, 0);
        world.clock.trust(true);
        assert_eq!(started(&world, id).await, 1);
        world.crash().await;
        assert_eq!(started(&world, id).await, 1);
        world.wait(seconds(3600));
        assert_eq!(started(&world, id).await, 2);
        assert_eq!(started(&world, id).await, 2);
    });
}

#[test]
fn what_was_not_to_be_followed_is_not_made_up_for() {
    run(async {
        let world = World::new();
        let id = world.empty_instance(1).await;
        let with = |is_active| Schedule {
            is_active,
            ..hourly()
        };
        let put = |is_active| {
            world
                .node
                .put_schedules(id, vec![with(is_active)], super::me())
        };
        put(false).await.expect("taken");
        world.wait(seconds(7200));
        assert_eq!(started(&world, id).await, 0);
        put(true).await.expect("taken");
        assert_eq!(started(&world, id).await, 0);
        world.wait(seconds(3600));
        // The same again changes nothing of what is due.
        put(true).await.expect("taken");
        assert_eq!(started(&world, id).await, 1);
        let deleted = world
            .node
            .delete_schedule(id, hourly().id, super::me())
            .await;
        deleted.expect("there");
        world.wait(seconds(3600));
        assert_eq!(started(&world, id).await, 1);
    });
}

#[test]
fn schedules_live_on_with_a_reset_and_end_with_their_instance() {
    run(async {
        let world = World::new();
        let id = world.empty_instance(1).await;
        let put = world
            .node
            .put_schedules(id, vec![hourly()], super::me())
            .await;
        put.expect("taken");
        world
            .node
            .reset_instance(id, super::me())
            .await
            .expect("emptied");
        world.wait(seconds(3600));
        assert_eq!(started(&world, id).await, 1);
        world
            .node
            .delete_instance(id, super::me())
            .await
            .expect("deleted");
        world.wait(seconds(3600));
        world.node.shared.follow_schedules().await;
        assert!(world.node.schedules(id).await.is_err());
    });
}
