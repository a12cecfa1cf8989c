//! Owns the tests of erasing what callers wrote about a person (rules 2.3): that it is gone everywhere,
//! at once and for good, and nothing else is.

use std::sync::Arc;

use actix_rt::task::JoinHandle;
use bytes::Bytes;
use sanntid_engine::{AppendCall, CallError, Erased, OnUnknownCustomer, PatchCall, Tenants};
use sanntid_store::{Order, Space};
use sanntid_types::{ErrorCode, InstanceId, JobStatus, Settings};

use super::{
    absorbing::order,
    samples::{city, code, noon, orders_shown, profile_id, seconds, visit},
    simulating::{absorbing, both, entry, order_entry, stretched},
    world::{World, begun, config, memory, run, until},
};
use crate::Config;

impl World {
    async fn erase(&self, id: InstanceId, profile: &str) -> Result<Erased, CallError> {
        let by = super::me();
        self.node.erase(id, profile_id(profile), by).await
    }

    /// Begins to erase; goes on by itself.
    fn erasing(&self, id: InstanceId, profile: &str) -> JoinHandle<Result<Erased, CallError>> {
        let (node, profile) = (Arc::clone(&self.node), profile_id(profile));
        actix_rt::spawn(async move { node.erase(id, profile, super::me()).await })
    }

    /// Erases, and gives how many fields, activities and rejected rows that were.
    async fn erased(&self, id: InstanceId, profile: &str) -> (u64, u64, u64) {
        let erased = self.erase(id, profile).await.expect("erased");
        (erased.overlay_fields, erased.activities, erased.rejections)
    }

    /// Whether any record of real-time data, or of customers and timelines, holds a text.
    fn holds(&self, text: &str) -> bool {
        let snapshot = self.kv.inner.snapshot().expect("readable");
        let spaces = [Space::Overlay, Space::Activities, Space::Base, Space::Meta];
        spaces.into_iter().any(|space| {
            let mut entries = snapshot.prefix(space, &[], Order::Ascending);
            entries.any(|entry| {
                let (key, value) = entry.expect("readable");
                let has = |bytes: &[u8]| bytes.windows(text.len()).any(|w| w == text.as_bytes());
                has(&key) || has(&value)
            })
        })
    }

    /// Activities of one customer, each with a title that tells of it.
    async fn visits(&self, id: InstanceId, customer: &str, count: u32) {
        for number in 0..count {
            let activity = format!("secret-{customer}-{number}");
            self.append(id, visit(&activity, customer, "secret")).await;
        }
    }

    /// Waits until the rounds of upkeep have removed everything.
    async fn removed(&self) {
        let removed = tokio::time::timeout(seconds(20), async {
            while !self.node.shared.erasures.is_done() {
                self.node.shared.look_after(false).await;
            }
        });
        removed.await.expect("in time");
    }

    async fn is_erasing(&self, id: InstanceId) -> bool {
        !self.read(id).await.tenant.erasing.is_empty()
    }
}

fn held(call: AppendCall) -> AppendCall {
    AppendCall {
        on_unknown: OnUnknownCustomer::Hold,
        ..call
    }
}

/// Removes two records at a time.
fn slow() -> Config {
    Config {
        sweep_records_max: 2,
        ..config()
    }
}

#[test]
fn what_callers_wrote_is_gone_for_good_and_the_source_and_others_stay() {
    run(async {
        let mut world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "secret-city")).await;
        world.patch(a, city("b", "Voss")).await;
        world.append(a, visit("secret-visit", "a", "one")).await;
        world.append(a, visit("v-b", "b", "one")).await;
        world.append(a, order(7, "ka")).await;
        // Of a source row that the source brings, too: hidden behind its own copy.
        world.append(a, order(8, "kb")).await;
        world.append(a, held(order(9, "kx"))).await;
        assert!(world.holds("secret"));
        assert_eq!(world.erased(a, "a").await, (1, 2, 0));
        for _ in 0..2 {
            assert!(!world.holds("secret"));
            assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
            assert_eq!(world.timeline(a, "a").await, [order_entry(1, true)]);
            assert_eq!(world.city(a, "b").await.as_deref(), Some("Voss"));
            let of_b = [
                entry("v-b", false),
                order_entry(8, false),
                order_entry(2, true),
            ];
            assert_eq!(world.timeline(a, "b").await, of_b);
            assert!(!world.is_erasing(a).await);
            world.crash().await;
        }
        // The ids are free: another content is no conflict, and the same is no repeat.
        let other = world.append(a, visit("secret-visit", "b", "two")).await;
        assert!(!other.replayed);
        assert!(!world.append(a, order(7, "ka")).await.replayed);
        world.patch(a, city("a", "Moss")).await;
        assert_eq!(world.cities(a, "a").await.0, "Moss");
        assert_eq!(
            world.erased(a, "a").await,
            (1, 1, 0),
            "again, of what came since"
        );
        assert_eq!(world.erased(a, "a").await, (0, 0, 0));
        let held = world.refresh(a, noon(), "a,Oslo,1,kx,\nb,Bergen,2,kb,\n");
        assert_eq!(held.await.error, None);
        let nine = world.timeline(a, "a").await;
        assert_eq!(nine, [order_entry(9, false)], "nobody had that key");
    });
}

#[test]
fn what_was_accepted_before_is_erased_and_what_is_accepted_after_stays() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let release = world.block(a).await;
        let node = &world.node;
        let first = begun(node.patch(a, city("a", "Hamar"))).await;
        let second = begun(node.append(a, visit("before", "a", "one"))).await;
        let erasing = begun(node.erase(a, profile_id("a"), super::me())).await;
        let score = PatchCall {
            body: Bytes::from(r#"{"Score": 9}"#),
            ..city("a", "")
        };
        let third = begun(node.patch(a, score)).await;
        let fourth = begun(node.append(a, visit("after", "a", "one"))).await;
        drop(release);
        first.await.expect("accepted");
        second.await.expect("accepted");
        third.await.expect("accepted");
        fourth.await.expect("accepted");
        let erased = erasing.await.expect("erased");
        assert_eq!((erased.overlay_fields, erased.activities), (1, 1));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(world.timeline(a, "a").await, [entry("after", false)]);
        let reading = world.read(a).await;
        let overlay = reading.view.overlay(&profile_id("a")).expect("readable");
        assert_eq!(overlay.expect("the later one").iter().count(), 1);
    });
}

#[test]
fn nobody_sees_what_is_erased_while_its_records_are_removed_step_by_step() {
    run(async {
        let mut world = World::with(slow(), memory());
        let a = world.instance(1).await;
        world.patch(a, city("a", "secret-city")).await;
        world.visits(a, "a", 20).await;
        // The decision is committed, and the first step is held up.
        world.kv.commits.close_after(1);
        let erasing = world.erasing(a, "a");
        world.kv.commits.somebody_waits().await;
        assert!(world.holds("secret-a-3"), "the records are there yet");
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(world.timeline(a, "a").await, []);
        assert!(world.is_erasing(a).await);
        erasing.abort();
        world.crash().await;
        assert!(world.holds("secret-a-3"));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(world.timeline(a, "a").await, []);

        // One of the same id, instant and owner comes before its record is removed.
        let again = world.append(a, visit("secret-a-3", "a", "new")).await;
        assert!(!again.replayed);
        // And one for somebody else: the id is its own from now on.
        world.append(a, visit("secret-a-5", "b", "new")).await;
        world.patch(a, city("a", "Moss")).await;
        world.removed().await;
        assert!(!world.is_erasing(a).await);
        assert_eq!(world.timeline(a, "a").await, [entry("secret-a-3", false)]);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
        assert!(!world.holds("secret-a-4") && !world.holds("secret-city"));
        assert!(
            world
                .append(a, visit("secret-a-3", "a", "new"))
                .await
                .replayed
        );
        let elsewhere = world.append(a, visit("secret-a-5", "b", "new")).await;
        assert!(elsewhere.replayed);
        assert_eq!(world.timeline(a, "b").await, [entry("secret-a-5", false)]);
    });
}

#[test]
fn other_calls_come_in_between_the_steps() {
    run(async {
        let world = World::with(slow(), memory());
        let a = world.instance(1).await;
        world.visits(a, "a", 30).await;
        world.kv.commits.close_after(2);
        let erasing = world.erasing(a, "a");
        world.kv.commits.somebody_waits().await;
        let patch = begun(world.node.patch(a, city("b", "Voss"))).await;
        // The patch is the next but one to be committed.
        world.kv.commits.close_after(3);
        world.kv.commits.pass_on();
        patch.await.expect("accepted");
        world.kv.commits.somebody_waits().await;
        assert!(world.holds("secret-a-9"), "the removal is under way");
        assert!(!erasing.is_finished());
        world.kv.commits.reopen();
        assert_eq!(
            erasing.await.expect("it ends").expect("erased").activities,
            30
        );
        assert!(!world.holds("secret"));
    });
}

#[test]
fn a_moved_customer_is_erased_under_all_its_ids() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "secret-city")).await;
        world.append(a, visit("secret-visit", "a", "one")).await;
        let job = world.refresh(
            a,
            noon().minus(seconds(60)),
            "b,Bergen,2,kb,\nc,Oslo,1,ka,a\n",
        );
        assert_eq!(job.await.error, None);
        world.patch(a, city("c", "secret-other")).await;
        let erased = world.erase(a, "a").await.expect("erased");
        assert_eq!(erased.profile.as_str(), "c");
        assert_eq!((erased.overlay_fields, erased.activities), (2, 1));
        assert!(!world.holds("secret"));
        assert_eq!(world.city(a, "c").await.as_deref(), Some("Oslo"));
    });
}

#[test]
fn a_vanished_customer_is_erased_as_long_as_anything_is_kept_of_it() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "secret-city")).await;
        world.append(a, visit("secret-visit", "a", "one")).await;
        world
            .append(a, held(visit("secret-held", "nobody", "x")))
            .await;
        let job = world.refresh(a, noon().minus(seconds(60)), "b,Bergen,2,kb,\n");
        assert_eq!(job.await.error, None);
        assert_eq!(world.erased(a, "a").await, (1, 1, 0));
        assert_eq!(world.erased(a, "nobody").await, (0, 1, 0));
        assert!(!world.holds("secret"));
        for unknown in ["a", "nobody", "z"] {
            let answer = world.erase(a, unknown).await;
            assert_eq!(code(answer), Some(ErrorCode::ProfileNotFound), "{unknown}");
        }
        let back = world.refresh(a, noon(), "a,Oslo,1,ka,\nb,Bergen,2,kb,\n");
        assert_eq!(back.await.error, None);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(world.timeline(a, "a").await, []);
    });
}

#[test]
fn a_refresh_that_runs_brings_nothing_erased_back() {
    run(async {
        let world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "secret-city")).await;
        world.patch(a, city("b", "Voss")).await;
        world.append(a, visit("secret-visit", "a", "one")).await;
        world.append(a, visit("v-b", "b", "one")).await;
        world.append(a, held(order(9, "kx"))).await;
        // It has taken in everything, and waits for its time.
        let job = stretched(&world, a).await;
        until(|| world.holds_absorbed()).await;
        assert_eq!(world.erased(a, "a").await, (1, 1, 0));
        world.wait(seconds(60));
        world.node.shared.look_after(false).await;
        let job = world.ended(a, job.id).await;
        assert_eq!((job.status, job.error), (JobStatus::Successful, None));
        assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
        assert_eq!(world.timeline(a, "a").await, [order_entry(1, true)]);
        assert_eq!(world.cities(a, "b").await, both("Voss", "Voss"));
        assert_eq!(
            world.timeline(a, "b").await,
            [entry("v-b", true), order_entry(2, true)]
        );
    });
}

impl World {
    /// Whether a simulation has taken something in: two more tables than are current.
    fn holds_absorbed(&self) -> bool {
        let snapshot = self.kv.inner.snapshot().expect("readable");
        let mut entries = snapshot.prefix(Space::Base, &[], Order::Ascending);
        entries.any(|entry| entry.expect("readable").1.first() == Some(&5))
    }
}

#[test]
fn what_a_simulation_took_in_is_erased_and_a_new_timeline_does_not_have_it() {
    run(async {
        let mut world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "secret-city")).await;
        world.append(a, visit("secret-visit", "a", "one")).await;
        world.append(a, visit("v-b", "b", "one")).await;
        world.wait(seconds(20));
        for secs in [10, 15] {
            world.simulated(a, absorbing(secs)).await;
        }
        assert_eq!(
            world.cities(a, "a").await.1,
            "secret-city",
            "as if of the source"
        );
        // A timeline that is made anew takes it along, while it is erased.
        world.kv.loads.close();
        let mut renamed = orders_shown();
        renamed[0].activity_type = "Purchase".to_owned();
        let answer = world.node.set_activities(a, renamed, super::me()).await;
        let reproject = answer.expect("valid").job.expect("rows are loaded");
        world.kv.loads.somebody_waits().await;
        assert_eq!(world.erased(a, "a").await, (1, 1, 0));
        for _ in 0..2 {
            assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
            assert_eq!(world.timeline(a, "a").await, [order_entry(1, true)]);
            world.kv.loads.reopen();
            let reproject = world.ended(a, reproject.id).await;
            assert_eq!(
                reproject.status,
                JobStatus::Successful,
                "{:?}",
                reproject.error
            );
        }
        let of_b = [entry("v-b", true), order_entry(2, true)];
        assert_eq!(world.timeline(a, "b").await, of_b);
        world.crash().await;
        assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
        assert!(
            !world
                .append(a, visit("secret-visit", "b", "new"))
                .await
                .replayed
        );
    });
}

#[test]
fn rows_that_jobs_rejected_of_the_person_go_and_others_stay() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        world.configure_orders(a).await;
        let lenient = Settings {
            rows_rejected_max_percent: 90.0,
            ..Settings::default()
        };
        world
            .node
            .set_settings(a, lenient, super::me())
            .await
            .expect("set");
        let rows = "a,Oslo,1,ka,\na,Moss,1,,\nb,Bergen,2,kb,\nb,Voss,2,,\n";
        let order_rows = "1,2026-11-20T10:00:00Z,kc\n2,2026-11-20T10:00:00Z,kd\n";
        let as_of = noon().minus(seconds(60));
        let job = world
            .refresh_with(a, as_of, Some(rows), Some(order_rows))
            .await;
        let listed = |job| world.node.job_rejections(a, job, 100);
        assert_eq!(listed(job.id).await.expect("listed").len(), 4);
        // By now one of the keys that nobody had is a's.
        let next = world
            .refresh(a, noon(), "a,Oslo,1,ka;kc,\nb,Bergen,2,kb,\n")
            .await;
        assert_eq!(next.error, None);
        assert_eq!(world.erased(a, "a").await, (0, 0, 2));
        let left = listed(job.id).await.expect("listed");
        let left: Vec<_> = left.iter().map(|row| row.key.as_deref()).collect();
        assert_eq!(left, [Some("b"), Some("2")]);
    });
}

#[test]
fn an_erasure_is_refused_wholly_or_holds_whatever_the_disk_does() {
    run(async {
        let world = World::with(slow(), memory());
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.visits(a, "a", 5).await;
        world.kv.fill(true);
        let refused = world.erase(a, "a").await;
        assert_eq!(code(refused), Some(ErrorCode::DiskFull));
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));
        world.kv.fill(false);
        world.node.shared.look_after(false).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Hamar"));

        // The disk is full once it is decided.
        world.kv.commits.close_after(1);
        let erasing = world.erasing(a, "a");
        world.kv.commits.somebody_waits().await;
        world.kv.fill(true);
        world.kv.commits.reopen();
        let erased = erasing.await.expect("it ends").expect("it is erased");
        assert_eq!((erased.overlay_fields, erased.activities), (1, 5));
        assert_eq!(world.timeline(a, "a").await, []);
        assert!(world.holds("secret"));
        world.kv.fill(false);
        world.removed().await;
        assert!(!world.holds("secret"));
        assert!(!world.is_erasing(a).await);
    });
}

#[test]
fn an_instance_has_so_many_erasures_under_way_and_another_s_are_not_counted() {
    run(async {
        let world = World::with(slow(), memory());
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        world.kv.fill(false);
        world.visits(a, "a", 3).await;
        world.patch(b, city("a", "Hamar")).await;
        // None of them can be ended: each finds the disk full after its decision.
        for _ in 0..sanntid_engine::ERASURES_MAX {
            world.kv.commits.close_after(1);
            let erasing = world.erasing(a, "a");
            world.kv.commits.somebody_waits().await;
            world.kv.fill(true);
            world.kv.commits.reopen();
            erasing.await.expect("it ends").expect("erased");
            world.kv.fill(false);
        }
        let refused = world.erase(a, "a").await;
        assert_eq!(code(refused), Some(ErrorCode::Overloaded));
        assert_eq!(world.erased(b, "a").await, (1, 0, 0));
        world.removed().await;
        assert_eq!(world.erased(a, "a").await, (0, 0, 0));
    });
}
