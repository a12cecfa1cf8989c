//! Owns the tests of what a refresh does to what is shown (rules 6), end to end.

use std::sync::Arc;

use bytes::Bytes;
use sanntid_engine::{OnUnknownCustomer, PatchCall, Tenants};
use sanntid_store::{Fault, FaultyKv, MemoryKv};
use sanntid_types::{
    ActivityState, ErrorCode, Generation, Job, JobReport, JobStatus, RefreshClears, Settings,
    StageName,
};

use super::{
    samples::{
        CSV, HEADER, ORDERS, ORDERS_HEADER, city, code, customers, manifest, noon, orders, refused,
        seconds, visit,
    },
    world::{World, begun, config, run, until},
};

const ROWS: &str = "a,Oslo,1,ka,\nb,Bergen,2,kb,\n";

pub(super) fn report(job: &Job) -> &JobReport {
    assert_eq!((job.status, &job.error), (JobStatus::Successful, &None));
    job.report.as_ref().expect("a report")
}

#[test]
fn a_refresh_clears_what_its_source_has_seen_and_keeps_what_came_later() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.wait(seconds(1));
        let as_of = noon();
        world.patch(a, city("b", "Voss")).await;
        let score = PatchCall {
            body: Bytes::from("{\"Score\": 7}"),
            ..city("b", "")
        };
        world.patch(a, score).await;
        let rows = "a,Trondheim,1,ka,\nb,Trondheim,2,kb,\nc,Trondheim,3,kc,\n";
        let job = world.refresh(a, as_of, rows).await;
        let found = report(&job);
        assert_eq!(
            (found.overlay_fields_cleared, found.overlay_fields_kept),
            (1, 2)
        );
        assert_eq!(
            (found.rows_read, found.rows_rejected, found.profiles),
            (3, 0, 3)
        );
        assert_eq!((found.generation, found.as_of), (Generation(2), as_of));
        assert_eq!((found.profiles_moved, found.profiles_vanished), (0, 0));
        for (asked, shown) in [("a", "Trondheim"), ("b", "Voss"), ("c", "Trondheim")] {
            assert_eq!(world.city(a, asked).await.as_deref(), Some(shown));
        }
        let stages: Vec<_> = job
            .stages
            .iter()
            .map(|stage| (stage.name, stage.status))
            .collect();
        let all = StageName::ALL.map(|name| (name, JobStatus::Successful));
        assert_eq!(stages, all);
    });
}

#[test]
fn no_write_falls_between_what_a_refresh_saw_and_what_it_clears() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.kv.loads.close();
        // Its `as_of` is the very instant at which the next write comes.
        let job = world.upload(a, noon(), ROWS).await;
        world.kv.loads.somebody_waits().await;
        world.patch(a, city("a", "Hamar")).await;
        world.kv.loads.reopen();
        let job = world.ended(a, job.id).await;
        assert_eq!(report(&job).overlay_fields_kept, 1);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
    });
}

#[test]
fn an_instance_can_have_its_updates_outlive_refreshes() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let set = |refresh_clears| Settings {
            refresh_clears,
            ..Settings::default()
        };
        let answer = world
            .node
            .set_settings(a, set(RefreshClears::Never), super::me())
            .await;
        answer.expect("set");
        world.patch(a, city("a", "Hamar")).await;
        world.wait(seconds(1));
        let job = world.refresh(a, noon(), ROWS).await;
        assert_eq!(report(&job).overlay_fields_kept, 1);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        let answer = world
            .node
            .set_settings(a, set(RefreshClears::Always), super::me())
            .await;
        answer.expect("set");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
    });
}

#[test]
fn the_as_of_of_a_refresh_is_neither_outdated_nor_far_ahead() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let open = |as_of| {
            let new = manifest(as_of, vec![customers()]);
            world.node.open_snapshot(a, new, super::me())
        };
        assert_eq!(
            code(open(noon().plus(seconds(301))).await),
            Some(ErrorCode::AsOfInFuture)
        );
        let ahead = world.refresh(a, noon().plus(seconds(300)), ROWS).await;
        assert_eq!(report(&ahead).as_of, noon(), "cut to now");
        let older = noon().minus(std::time::Duration::from_millis(1));
        assert_eq!(code(open(older).await), Some(ErrorCode::AsOfOutdated));
        let equal = world.refresh(a, noon(), ROWS).await;
        assert_eq!(report(&equal).generation, Generation(2));

        // Outdated only by what was loaded since it was opened.
        world.wait(seconds(10));
        let late = noon().plus(seconds(5));
        let upload = world.open(a, manifest(late, vec![customers()])).await;
        let content = format!("{HEADER}{ROWS}");
        let part = (1, CSV);
        let sent = world.part(a, upload, "Customer", part, content.as_bytes());
        sent.await.expect("taken");
        world.refresh(a, noon().plus(seconds(6)), ROWS).await;
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        assert_eq!(error.code, ErrorCode::AsOfOutdated);
        assert_eq!(world.read(a).await.tenant.generation, Generation(3));
    });
}

#[test]
fn a_queued_refresh_that_is_overtaken_fails_and_changes_nothing() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.wait(seconds(10));
        world.kv.loads.close();
        let first = world.upload(a, noon().plus(seconds(6)), ROWS).await;
        world.kv.loads.somebody_waits().await;
        let second = world
            .upload(a, noon().plus(seconds(5)), "a,Moss,1,ka,\n")
            .await;
        world.kv.loads.reopen();
        report(&world.ended(a, first.id).await);
        let second = world.ended(a, second.id).await;
        assert_eq!(second.status, JobStatus::Failed);
        assert_eq!(
            second.error.expect("a reason").code,
            ErrorCode::AsOfOutdated
        );
        assert_eq!(second.report, None);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
    });
}

#[test]
fn an_activity_of_the_source_takes_the_place_of_the_real_time_one() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        world.configure_orders(a).await;
        world.refresh_with(a, noon(), Some(ROWS), Some("")).await;
        let posted = |number: u32, key: &str| sanntid_engine::AppendCall {
            entity: ORDERS.to_owned(),
            body: Bytes::from(format!(
                "{{\"OrderId\": {number}, \"OrderedOn\": \"2026-11-20T10:00:00Z\", \
                 \"ContactId\": \"{key}\"}}"
            )),
            ..visit("", "", "")
        };
        world.append(a, posted(1, "ka")).await;
        world.append(a, posted(2, "ka")).await;
        assert_eq!(
            code(world.node.append(a, posted(3, "kc")).await),
            Some(ErrorCode::KeyNotResolved)
        );
        let held = sanntid_engine::AppendCall {
            on_unknown: OnUnknownCustomer::Hold,
            ..posted(3, "kc")
        };
        let held = world.append(a, held).await;
        assert_eq!((held.state, held.customer), (ActivityState::Held, None));
        let named = |number| format!("{ORDERS}:{number}");
        let shown = [(named(1), false), (named(2), false)];
        assert_eq!(world.timeline(a, "a").await, shown);

        world.wait(seconds(1));
        let rows = format!("{ROWS}c,Voss,3,kc,\n");
        let order_rows = "1,2026-11-20T10:00:00Z,ka\n7,2026-11-19T10:00:00Z,ka\n";
        let as_of = noon().plus(seconds(1));
        let job = world
            .refresh_with(a, as_of, Some(&rows), Some(order_rows))
            .await;
        let found = report(&job);
        assert_eq!((found.activities, found.activities_unmatched), (2, 0));
        assert_eq!(
            (found.activities_superseded, found.activities_attached),
            (1, 1)
        );
        let shown = [(named(1), true), (named(2), false), (named(7), true)];
        assert_eq!(world.timeline(a, "a").await, shown);
        assert_eq!(world.timeline(a, "c").await, [(named(3), false)]);
        let again = world.append(a, posted(1, "ka")).await;
        assert!(again.replayed);
        // Nothing is superseded or attached twice.
        let job = world
            .refresh_with(a, as_of, Some(&rows), Some(order_rows))
            .await;
        let found = report(&job);
        assert_eq!(
            (found.activities_superseded, found.activities_attached),
            (0, 0)
        );
    });
}

#[test]
fn what_a_refresh_does_not_bring_is_carried_over() {
    run(async {
        let mut world = World::new();
        let a = world.empty_instance(1).await;
        world.configure_orders(a).await;
        let order_rows = "1,2026-11-20T10:00:00Z,ka\n2,2026-11-20T10:00:00Z,kc\n";
        world
            .refresh_with(a, noon(), Some(ROWS), Some(order_rows))
            .await;
        world.patch(a, city("a", "Hamar")).await;
        world.wait(seconds(1));
        let as_of = noon().plus(seconds(1));
        let as_ofs = |world: &World| {
            let tenant = world
                .node
                .shared
                .registry
                .running(a)
                .expect("runs")
                .published
                .state();
            ["Customer", ORDERS].map(|name| tenant.entity(name).expect("loaded").as_of)
        };

        // The orders alone: no customer is seen, and nothing of theirs is cleared.
        let job = world.refresh_with(a, as_of, None, Some(order_rows)).await;
        assert_eq!(report(&job).overlay_fields_kept, 1);
        assert_eq!(report(&job).profiles, 2);
        assert_eq!(as_ofs(&world), [noon(), as_of]);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));

        // The customers alone: the orders find their new owner.
        let rows = "a,Oslo,1,,\nc,Oslo,1,kc,\n";
        let job = world.refresh_with(a, as_of, Some(rows), None).await;
        let found = report(&job);
        assert_eq!((found.activities, found.activities_unmatched), (1, 1));
        assert_eq!(found.rows_read, 2);
        assert_eq!(as_ofs(&world), [as_of, as_of]);
        world.crash().await;
        assert_eq!(world.timeline(a, "a").await, []);
        assert_eq!(
            world.timeline(a, "c").await,
            [(format!("{ORDERS}:2"), true)]
        );
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
    });
}

#[test]
fn a_switch_whose_commit_fails_shows_after_the_store_has_recovered_if_it_was_stored() {
    for (fault, generation) in [(Fault::Lost, 1), (Fault::Stored, 2)] {
        run(async {
            let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
            let world = World::with(config(), kv.clone());
            let a = world.instance(1).await;
            world.kv.loads.close();
            let job = world.upload(a, noon(), "a,Moss,1,ka,\n").await;
            world.kv.loads.somebody_waits().await;
            // The load goes on with two more tables' numbers; the switch is the next commit of
            // the tenant's, and it is the one that must fail.
            let blocked = world.block(a).await;
            world.kv.loads.reopen();
            let shared = Arc::clone(&world.node.shared);
            until(|| shared.registry.calls.count() == 2).await;
            kv.fail_after(0, fault);
            drop(blocked);
            until(|| shared.kv.health() == sanntid_store::Health::Poisoned).await;
            assert_eq!(world.read(a).await.tenant.generation, Generation(1));
            let ended = begun(Box::pin(world.ended(a, job.id))).await;
            shared.look_after(false).await;
            let ended = ended.await;
            // Where the end could not be stored at first, each round of upkeep tries it again.
            let switched = ended.report.is_some();
            assert_eq!(switched, generation == 2, "{fault:?}");
            let status = if switched {
                JobStatus::Successful
            } else {
                JobStatus::Failed
            };
            assert_eq!(ended.status, status);
            let running = shared.registry.running(a).expect("runs");
            until(|| !running.published.is_in_doubt()).await;
            assert_eq!(
                world.read(a).await.tenant.generation,
                Generation(generation)
            );
            let shown = if switched { "Moss" } else { "Oslo" };
            assert_eq!(world.city(a, "a").await.as_deref(), Some(shown));
            // What is shown now is there to stay, and what is not is given up.
            world.wait(seconds(2 * 3600));
            shared.look_after(false).await;
            shared.look_after(false).await;
            assert_eq!(world.city(a, "a").await.as_deref(), Some(shown));
            let job = world.refresh(a, noon().plus(seconds(60)), ROWS).await;
            assert_eq!(report(&job).generation, Generation(generation + 1));
        });
    }
}

#[test]
fn a_refresh_of_orders_before_any_customer_is_refused_and_profiles_stay_unknown() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = world.open(a, manifest(noon(), vec![orders()])).await;
        let content = ORDERS_HEADER.as_bytes();
        let sent = world.part(a, upload, ORDERS, (1, CSV), content);
        sent.await.expect("taken");
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert_eq!(
            code(world.node.patch(a, city("a", "Moss")).await),
            Some(ErrorCode::ProfileNotFound)
        );
    });
}
