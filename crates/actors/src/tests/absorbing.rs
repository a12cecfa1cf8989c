//! Owns the tests of what a simulation absorbs (rules 6.9), and of how long that stays.

use bytes::Bytes;
use sanntid_engine::{AppendCall, NewInstance, OnUnknownCustomer, PatchCall, Tenants, profile};
use sanntid_store::catalog::TableState;
use sanntid_types::{ErrorCode, InstanceId, InstanceName, InstanceType, Instant, JobStatus};

use super::{
    samples::{
        ORDERS, city, code, customers, id, manifest, noon, orders_shown, profile_id, refused,
        seconds, visit,
    },
    simulating::{BEFORE, absorbing, both, entry, order_entry, stretched},
    world::{World, run},
};

pub(super) fn order(number: u32, contact: &str) -> AppendCall {
    let body = format!(
        "{{\"OrderId\": {number}, \"OrderedOn\": \"2026-11-22T10:00:00Z\", \
         \"ContactId\": \"{contact}\"}}"
    );
    AppendCall {
        entity: ORDERS.to_owned(),
        body: Bytes::from(body),
        valid_until: None,
        caller: None,
        on_unknown: OnUnknownCustomer::Reject,
    }
}

impl World {
    /// The code with which an upload of customers is refused.
    async fn open_refused(&self, id: InstanceId, as_of: Instant) -> ErrorCode {
        let manifest = manifest(as_of, vec![customers()]);
        refused(self.node.open_snapshot(id, manifest, super::me()).await).code
    }
}

#[test]
fn what_is_absorbed_is_shown_as_before_and_is_the_source_s() {
    run(async {
        let mut world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "Hamar")).await;
        let both_fields = PatchCall {
            body: Bytes::from(r#"{"City": null, "Score": 9007199254740993}"#),
            ..city("b", "")
        };
        world.patch(a, both_fields).await;
        world.append(a, visit("v", "a", "one")).await;
        world.append(a, order(7, "ka")).await;
        let unknown = AppendCall {
            on_unknown: OnUnknownCustomer::Hold,
            ..order(8, "kx")
        };
        world.append(a, unknown).await;
        world.wait(seconds(10));
        world.patch(a, city("a", "Voss")).await;
        world.append(a, visit("late", "a", "two")).await;
        world.wait(seconds(10));
        let report = world.simulated(a, absorbing(5)).await;
        // Under the later value the earlier one had no future, so only b's were there to be absorbed.
        assert_eq!(
            (report.overlay_fields_cleared, report.overlay_fields_kept),
            (2, 1)
        );
        assert_eq!((report.activities, report.activities_superseded), (4, 2));
        assert_eq!(
            (report.activities_unmatched, report.activities_attached),
            (0, 0)
        );
        for _ in 0..2 {
            assert_eq!(world.cities(a, "b").await, both("null", "null"));
            let timeline = [
                entry("late", false),
                entry("v", true),
                order_entry(7, true),
                order_entry(1, true),
            ];
            assert_eq!(world.timeline(a, "a").await, timeline, "each once");
            world.crash().await;
        }
        let reading = world.read(a).await;
        let b = profile(
            &*reading.view,
            &reading.tenant,
            reading.now,
            &profile_id("b"),
        );
        let b = b.expect("readable").expect("a profile");
        assert_eq!(
            (b.json(2), b.overridden()),
            ("9007199254740993", 0),
            "to the digit"
        );
        assert_eq!(world.cities(a, "a").await.0, "Voss");
        assert_eq!(world.tables_of(a), [TableState::Live; 3]);
        drop(reading);

        // The keys lead on: an order that comes now finds its customer.
        world.append(a, order(9, "kb")).await;
        let timeline = [order_entry(9, false), order_entry(2, true)];
        assert_eq!(world.timeline(a, "b").await, timeline);
        // A repeat is one, whether its first is unexpired or only absorbed.
        for wait in [0, 31 * 24 * 3600] {
            world.wait(seconds(wait));
            for call in [visit("v", "a", "one"), order(7, "ka")] {
                assert!(world.append(a, call).await.replayed);
            }
            let other = world.node.append(a, visit("v", "a", "other")).await;
            assert_eq!(code(other), Some(ErrorCode::ActivityConflict));
        }
        let timeline = [entry("v", true), order_entry(7, true), order_entry(1, true)];
        assert_eq!(
            world.timeline(a, "a").await,
            timeline,
            "those outlive their originals"
        );
    });
}

#[test]
fn overlays_that_meet_in_a_moved_customer_are_absorbed_by_position() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("b", "Lom")).await;
        world.patch(a, city("a", "Hamar")).await;
        let moved = "c,Oslo,1,ka;kb,a;b\nd,Moss,1,kd,\n";
        world.refresh(a, noon().minus(seconds(60)), moved).await;
        assert_eq!(world.cities(a, "c").await, both("Hamar", "Oslo"));
        world.wait(seconds(1));
        let report = world.simulated(a, absorbing(0)).await;
        assert_eq!(report.overlay_fields_cleared, 2);
        for asked in ["a", "b", "c"] {
            assert_eq!(world.cities(a, asked).await, both("Hamar", "Hamar"));
        }
        let size = world.read(a).await.tenant.customer().expect("loaded").size;
        let job = world
            .refresh(a, noon(), "c,Hamar,1,ka;kb,a;b\nd,Moss,1,kd,\n")
            .await;
        assert_eq!(job.status, JobStatus::Successful);
        let real = world.read(a).await.tenant.customer().expect("loaded").size;
        assert_eq!(size, real);
    });
}

#[test]
fn a_refresh_with_customers_makes_a_generation_real_again_and_one_without_does_not() {
    run(async {
        let world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        world.append(a, order(7, "ka")).await;
        world.wait(seconds(20));
        world.simulated(a, absorbing(10)).await;

        let orders = Some("3,2026-11-23T09:00:00Z,ka\n");
        let job = world
            .refresh_with(a, noon().plus(seconds(1)), None, orders)
            .await;
        assert_eq!(job.error, None);
        assert_eq!(job.report.expect("a report").activities, 2);
        assert!(
            world.is_simulated(a).await,
            "its customers are a simulation's"
        );
        assert_eq!(world.cities(a, "a").await, both("Hamar", "Hamar"));
        // The orders are the source's own again; one that it did not bring is real-time as before.
        let timeline = [
            entry("v", true),
            order_entry(3, true),
            order_entry(7, false),
        ];
        assert_eq!(world.timeline(a, "a").await, timeline);

        // Later than the last real generation, and earlier than the simulated one.
        let early = noon().minus(seconds(7200));
        let refused = world.open_refused(a, early).await;
        assert_eq!(refused, ErrorCode::AsOfOutdated);
        let job = world.refresh(a, noon().minus(seconds(1800)), BEFORE).await;
        assert_eq!(job.error, None);
        assert!(!world.is_simulated(a).await);
        assert_eq!(
            world.cities(a, "a").await,
            both("Oslo", "Oslo"),
            "cleared is cleared"
        );
        let timeline = [
            entry("v", false),
            order_entry(3, true),
            order_entry(7, false),
        ];
        assert_eq!(world.timeline(a, "a").await, timeline);
        world.wait(seconds(31 * 24 * 3600));
        assert_eq!(world.timeline(a, "a").await, [order_entry(3, true)]);
    });
}

#[test]
fn a_configuration_that_changes_meanwhile_or_later_keeps_what_was_absorbed() {
    run(async {
        let world = World::new();
        let a = world.with_orders().await;
        world.append(a, visit("v", "a", "one")).await;
        let job = stretched(&world, a).await;
        let mut renamed = orders_shown();
        renamed[0].activity_type = "Purchase".to_owned();
        let answer = world
            .node
            .set_activities(a, renamed.clone(), super::me())
            .await;
        let reproject = answer.expect("valid").job.expect("rows are loaded");
        world.wait(seconds(60));
        world.node.shared.look_after(false).await;
        let job = world.ended(a, job.id).await;
        assert_eq!(job.error, None);
        let report = job.report.expect("a report");
        assert_eq!((report.activities, report.activities_superseded), (3, 1));
        let timeline = [entry("v", true), order_entry(1, true)];
        assert_eq!(world.timeline(a, "a").await, timeline);
        let reproject = world.ended(a, reproject.id).await;
        assert_eq!(reproject.status, JobStatus::Successful);
        assert_eq!(reproject.report.expect("a report").activities, 3);
        assert_eq!(world.timeline(a, "a").await, timeline);
        assert!(world.is_simulated(a).await, "another look at the same");
    });
}

#[test]
fn a_copy_of_a_simulated_instance_is_simulated() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        world.simulated(a, absorbing(0)).await;
        let copy = NewInstance {
            id: Some(id(2)),
            name: InstanceName::parse("Copy").expect("name"),
            instance_type: InstanceType::Sandbox,
            copy_of: Some(a),
            by: super::me(),
        };
        let copy = world.node.create_instance(copy).await.expect("created").id;
        let job = world.node.jobs(copy, 1).await.expect("listed").remove(0);
        assert_eq!(
            world.ended(copy, job.id).await.status,
            JobStatus::Successful
        );
        assert!(world.is_simulated(copy).await);
        assert_eq!(world.cities(copy, "a").await, both("Hamar", "Hamar"));
        assert_eq!(world.timeline(copy, "a").await, [entry("v", true)]);
        let job = world.refresh(copy, noon(), BEFORE).await;
        assert_eq!(job.error, None);
        assert!(!world.is_simulated(copy).await);
        assert_eq!(world.timeline(copy, "a").await, []);
    });
}
