//! Owns the tests of rows and parts that a refresh can't use: listed, counted, limited.

use sanntid_engine::{PartFormat, PartPacking, Tenants};
use sanntid_types::{
    ErrorCode, Generation, InstanceId, Job, JobStatus, RejectionKind, RowRejection, Settings,
};

use super::{
    refreshing::report,
    samples::{ORDERS, city, customers, manifest, noon, seconds},
    world::{World, run},
};

async fn rejections(world: &World, id: InstanceId, job: &Job) -> Vec<RowRejection> {
    let listed = world.node.job_rejections(id, job.id, 100).await;
    listed.expect("listed")
}

#[test]
fn rows_that_can_t_be_used_are_listed_with_their_reason() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        world.configure_orders(a).await;
        let lenient = Settings {
            rows_rejected_max_percent: 60.0,
            ..Settings::default()
        };
        world
            .node
            .set_settings(a, lenient, super::me())
            .await
            .expect("set");
        let rows = "a,Oslo,1,ka;k2,\n\
                    b,Bergen,many,kb,\n\
                    a,Moss,1,,\n\
                    c,Voss,1,k9; k2,\n\
                    d,Voss,1,kd,\n";
        let order_rows = "1,2026-11-20T10:00:00Z,ka\n\
                          1,2026-11-20T10:00:00Z,ka\n\
                          2,,ka\n\
                          3,2026-11-20T10:00:00Z,nobody\n\
                          4,2026-11-20T10:00:00Z,k9\n";
        let job = world
            .refresh_with(a, noon(), Some(rows), Some(order_rows))
            .await;
        let found = report(&job);
        assert_eq!(
            (found.rows_read, found.rows_rejected, found.profiles),
            (10, 5, 2)
        );
        assert_eq!((found.activities, found.activities_unmatched), (1, 2));
        let listed = rejections(&world, a, &job).await;
        let shown: Vec<_> = listed
            .iter()
            .map(|row| {
                let column = row.column.as_deref();
                (
                    row.entity.as_str(),
                    row.part,
                    row.row,
                    row.key.as_deref(),
                    column,
                )
            })
            .collect();
        let customer = |row, key, column| ("Customer", Some(1), Some(row), key, Some(column));
        let order = |row, key, column| (ORDERS, Some(1), Some(row), Some(key), Some(column));
        let unmatched = |key| (ORDERS, None, None, Some(key), Some("ContactId"));
        assert_eq!(
            shown,
            [
                customer(2, None, "Score"),
                customer(3, Some("a"), "CustomerId"),
                customer(4, Some("c"), "ContactId"),
                order(2, "1", "OrderId"),
                order(3, "2", "OrderedOn"),
                unmatched("3"),
                unmatched("4"),
            ]
        );
        assert!(
            listed[2]
                .reason
                .contains("another profile, a, has the key \"k2\"")
        );
        let kinds = listed
            .iter()
            .filter(|row| row.kind == RejectionKind::Unmatched);
        assert_eq!(kinds.count(), 2);
        assert_eq!(world.shown(a, "c").await, None);
        // The rejected row holds none of its keys.
        assert_eq!(world.timeline(a, "a").await.len(), 1);
    });
}

#[test]
fn too_many_rejected_rows_fail_a_refresh_which_then_changes_nothing() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.wait(seconds(1));
        let set = |rows_rejected_max_percent| {
            let settings = Settings {
                rows_rejected_max_percent,
                ..Settings::default()
            };
            world.node.set_settings(a, settings, super::me())
        };
        set(33.3).await.expect("set");
        let rows = "a,Trondheim,1,ka,\nb,Trondheim,2,kb,\nc,Trondheim,much,kc,\n";
        let job = world.refresh(a, noon(), rows).await;
        assert_eq!(job.status, JobStatus::Failed);
        let error = job.error.clone().expect("a reason");
        assert_eq!(error.code, ErrorCode::TooManyRowsRejected);
        assert!(error.message.contains("1 of 3 rows of Customer"), "{error}");
        assert_eq!(
            (job.report.clone(), world.read(a).await.tenant.generation),
            (None, Generation(1))
        );
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        assert_eq!(world.city(a, "b").await.as_deref(), Some("Bergen"));
        let listed = rejections(&world, a, &job).await;
        assert_eq!(listed.len(), 1, "also then");
        assert_eq!(
            (listed[0].row, listed[0].column.as_deref()),
            (Some(3), Some("Score"))
        );
        let stages: Vec<_> = job.stages.iter().map(|stage| stage.status).collect();
        assert_eq!(stages[0], JobStatus::Failed);
        assert_eq!(stages[1..], [JobStatus::Skipped; 5]);
        set(33.4).await.expect("set");
        report(&world.refresh(a, noon(), rows).await);
    });
}

#[test]
fn an_unreadable_part_fails_a_refresh_and_is_named() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let upload = world.open(a, manifest(noon(), vec![customers()])).await;
        let format = PartFormat::Csv(PartPacking::Gzip);
        let sent = world.part(a, upload, "Customer", (1, format), b"no gzip at all");
        sent.await.expect("taken");
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        let error = job.error.expect("a reason");
        assert_eq!(
            (job.status, error.code),
            (JobStatus::Failed, ErrorCode::InvalidBody)
        );
        assert!(error.message.starts_with("Customer part 1: "), "{error}");
        assert!(!error.message.contains("uploads"), "no path: {error}");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
    });
}
