//! Owns the tests of settings and activity configuration, and of a clock that can't be relied on.

use futures_util::FutureExt;
use sanntid_engine::{Readiness, Tenants};
use sanntid_types::{EntityName, ErrorCode, JobKind, JobStatus, RefreshClears, Settings};

use super::{
    samples::{
        ORDERS, city, code, customers, manifest, noon, orders_shown, refused, seconds, visit,
    },
    world::{World, run},
};

const ORDER_ROWS: &str = "1,2026-11-20T10:00:00Z,ka\n2,2026-11-21T10:00:00Z,kb\n";

fn settings() -> Settings {
    Settings {
        refresh_clears: RefreshClears::Never,
        as_of_margin: seconds(9),
        profile_ttl_default: seconds(60),
        activity_ttl_default: seconds(120),
        rows_rejected_max_percent: 12.5,
    }
}

#[test]
fn settings_are_published_at_once_and_survive_a_crash() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        let set = world.node.set_settings(a, settings(), super::me()).await;
        assert_eq!(set, Ok(settings()));
        assert_eq!(world.read(a).await.tenant.settings, settings());
        world.patch(a, city("a", "Moss")).await;
        world.crash().await;
        assert_eq!(world.read(a).await.tenant.settings, settings());
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
        world.wait(seconds(60));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
    });
}

#[test]
fn configuring_loaded_rows_makes_the_timeline_anew() {
    run(async {
        let mut world = World::new();
        let a = world.empty_instance(1).await;
        let as_of = noon().minus(seconds(60));
        let (customers, orders) = (Some("a,Oslo,1,ka,\n"), Some(ORDER_ROWS));
        world.refresh_with(a, as_of, customers, orders).await;
        assert_eq!(world.timeline(a, "a").await, []);
        let generation = world.read(a).await.tenant.generation;

        let answer = world
            .node
            .set_activities(a, orders_shown(), super::me())
            .await;
        let answer = answer.expect("valid");
        assert_eq!(answer.activities, orders_shown());
        let job = answer.job.expect("rows are loaded");
        assert_eq!(
            (&job.kind, job.status),
            (&JobKind::Reproject, JobStatus::Queued)
        );
        let job = world.ended(a, job.id).await;
        assert_eq!((job.status, job.error), (JobStatus::Successful, None));
        let report = job.report.expect("it has switched");
        assert_eq!(report.generation, generation.next());
        assert_eq!((report.rows_read, report.profiles), (0, 1));
        assert_eq!((report.activities, report.activities_unmatched), (1, 1));
        assert_eq!(report.as_of, as_of);
        let order = (format!("{ORDERS}:1"), true);
        let shown = world.timeline(a, "a").await;
        assert_eq!(shown, std::slice::from_ref(&order));
        let rows = world
            .node
            .job_rejections(a, job.id, 10)
            .await
            .expect("listed");
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].key.as_deref(), Some("2"));

        // The same again, and what readers alone look at, need no job.
        let mut hidden = orders_shown();
        hidden[0].show_in_timeline = false;
        for (activities, shown) in [(orders_shown(), true), (hidden, false)] {
            let answer = world.node.set_activities(a, activities, super::me()).await;
            assert_eq!(answer.expect("valid").job, None);
            assert_eq!(world.timeline(a, "a").await.len(), usize::from(shown));
        }
        world.crash().await;
        assert_eq!(world.timeline(a, "a").await, []);
        let answer = world
            .node
            .set_activities(a, orders_shown(), super::me())
            .await;
        assert_eq!(answer.expect("valid").job, None);
        assert_eq!(world.timeline(a, "a").await, [order]);
    });
}

#[test]
fn an_entity_that_was_configured_ahead_is_found_whatever_the_case_of_its_name() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let mut ahead = orders_shown();
        ahead[0].entity_name = EntityName::parse(&ORDERS.to_lowercase()).expect("name");
        ahead[0].relationship.to_entity = "shop_CONTACTS".to_owned();
        world
            .node
            .set_activities(a, ahead, super::me())
            .await
            .expect("valid");
        let rows = (Some("a,Oslo,1,ka,\n"), Some(ORDER_ROWS));
        let job = world.refresh_with(a, noon(), rows.0, rows.1).await;
        assert_eq!(job.report.expect("a report").activities, 1);
        let shown = world.timeline(a, "a").await;
        assert_eq!(shown, [(format!("{ORDERS}:1"), true)]);
    });
}

#[test]
fn an_invalid_configuration_changes_nothing() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let mut wrong = orders_shown();
        wrong[0].relationship.to_entity = "Shop_Nobody".to_owned();
        let error = refused(world.node.set_activities(a, wrong, super::me()).await);
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert_eq!(error.details[0].target, "[0].relationship.toEntity");
        assert_eq!(world.read(a).await.tenant.activities, []);
        assert!(world.node.jobs(a, 10).await.expect("listed").len() == 1);
    });
}

#[test]
fn a_job_runs_though_its_caller_has_gone_away() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let rows = (Some("a,Oslo,1,ka,\n"), Some(ORDER_ROWS));
        world.refresh_with(a, noon(), rows.0, rows.1).await;
        let blocked = world.block(a).await;
        let call = world.node.set_activities(a, orders_shown(), super::me());
        assert!(call.now_or_never().is_none());
        drop(blocked);
        // Behind it in the same mailbox.
        let set = world.node.set_settings(a, settings(), super::me()).await;
        set.expect("set");
        let job = world.node.jobs(a, 1).await.expect("listed").remove(0);
        assert_eq!(job.kind, JobKind::Reproject);
        world.ended(a, job.id).await;
        assert_eq!(world.timeline(a, "a").await.len(), 1);
    });
}

#[test]
fn a_clock_that_has_jumped_stops_writes_and_not_reads() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Moss")).await;
        world.clock.trust(false);
        let jumped = Some(ErrorCode::ClockJumped);
        assert_eq!(code(world.node.patch(a, city("a", "Voss")).await), jumped);
        assert_eq!(
            code(world.node.append(a, visit("v", "a", "t")).await),
            jumped
        );
        assert_eq!(
            code(world.node.set_settings(a, settings(), super::me()).await),
            jumped
        );
        let upload = manifest(noon(), vec![customers()]);
        assert_eq!(
            code(world.node.open_snapshot(a, upload, super::me()).await),
            jumped
        );
        assert!(matches!(world.node.readiness(), Readiness::NotReady(_)));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
        world.clock.trust(true);
        assert_eq!(world.node.readiness(), Readiness::Ready);
        world.patch(a, city("a", "Voss")).await;
        assert_eq!(world.position(a), 2);
    });
}

#[test]
fn readiness_tells_what_the_store_can_do() {
    run(async {
        let world = World::new();
        let not_ready = || matches!(world.node.readiness(), Readiness::NotReady(_));
        assert!(!not_ready());
        world.kv.fill(true);
        assert!(not_ready());
        world.kv.fill(false);
        assert!(!not_ready());
        world.kv.cut();
        assert!(not_ready());
    });
}
