//! Owns the tests of simulated refreshes and dry runs (rules 6.9): what they clear, keep and absorb,
//! and what a generation stays that is a simulation's.

use sanntid_engine::{NewInstance, Tenants, profile};
use sanntid_store::catalog::TableState;
use sanntid_types::{
    ClearedField, DryRun, ErrorCode, Generation, InstanceId, InstanceName, InstanceType, Instant,
    Job, JobReport, JobStatus, SimulationRequest,
};

use super::{
    jobs::{ROWS, held, status, tables},
    samples::{ORDERS, city, id, noon, profile_id, refused, seconds, visit},
    world::{World, run, until},
};

/// The source as it was an hour before noon: `a` lives in Oslo, `b` in Bergen.
pub(super) const BEFORE: &str = "a,Oslo,1,ka,\nb,Bergen,2,kb,\n";
const ORDER_ROWS: &str = "1,2026-11-20T10:00:00Z,ka\n2,2026-11-21T10:00:00Z,kb\n";

pub(super) fn at(secs: u64) -> SimulationRequest {
    SimulationRequest {
        as_of: Some(noon().plus(seconds(secs))),
        ..SimulationRequest::default()
    }
}

pub(super) fn absorbing(secs: u64) -> SimulationRequest {
    SimulationRequest {
        absorb: true,
        ..at(secs)
    }
}

pub(super) fn entry(id: &str, by_source: bool) -> (String, bool) {
    (id.to_owned(), by_source)
}

pub(super) fn order_entry(number: u32, by_source: bool) -> (String, bool) {
    (format!("{ORDERS}:{number}"), by_source)
}

impl World {
    pub(super) async fn dry(&self, id: InstanceId, request: SimulationRequest) -> DryRun {
        self.node.dry_run(id, request).await.expect("a report")
    }

    /// Simulates, and compares with what a dry run has said right before.
    pub(super) async fn simulated(&self, id: InstanceId, request: SimulationRequest) -> JobReport {
        let dry = self.dry(id, request.clone()).await;
        let job = self
            .node
            .simulate(id, request, super::me())
            .await
            .expect("a job");
        let job = self.ended(id, job.id).await;
        assert_eq!((job.status, &job.error), (JobStatus::Successful, &None));
        let report = job.report.expect("a report");
        assert_eq!(report, dry.report, "as the dry run said");
        assert!(self.is_simulated(id).await);
        report
    }

    pub(super) async fn is_simulated(&self, id: InstanceId) -> bool {
        self.read(id).await.tenant.simulated
    }

    /// `City` as shown, and as the source of truth has it.
    pub(super) async fn cities(&self, instance: InstanceId, asked: &str) -> (String, String) {
        let reading = self.read(instance).await;
        let found = profile(
            &*reading.view,
            &reading.tenant,
            reading.now,
            &profile_id(asked),
        );
        let found = found.expect("readable").expect("a profile");
        let (city, _) = found.schema.find("City").expect("declared");
        let shown = found.json(city).trim_matches('"').to_owned();
        let source = found.without_overrides();
        (shown, source.json(city).trim_matches('"').to_owned())
    }

    pub(super) fn tables_of(&self, id: InstanceId) -> Vec<TableState> {
        tables(self, id)
    }

    pub(super) async fn with_orders(&self) -> InstanceId {
        let a = self.empty_instance(1).await;
        self.configure_orders(a).await;
        let as_of = noon().minus(seconds(3600));
        let job = self.refresh_with(a, as_of, Some(BEFORE), Some(ORDER_ROWS));
        assert_eq!(job.await.error, None);
        a
    }
}

pub(super) fn both(shown: &str, source: &str) -> (String, String) {
    (shown.to_owned(), source.to_owned())
}

#[test]
fn what_the_source_would_have_seen_is_cleared_and_the_rest_stays_on_top() {
    run(async {
        let mut world = World::new();
        let a = world.with_orders().await;
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        world.wait(seconds(10));
        world.patch(a, city("b", "Voss")).await;
        world.wait(seconds(10));
        let kept = world.tables_of(a);
        let report = world.simulated(a, at(5)).await;
        assert_eq!(
            (report.overlay_fields_cleared, report.overlay_fields_kept),
            (1, 1)
        );
        assert_eq!((report.profiles, report.activities), (2, 2));
        assert_eq!(
            (report.activities_superseded, report.activities_attached),
            (0, 0)
        );
        assert_eq!(
            (report.as_of, report.generation),
            (noon().plus(seconds(5)), Generation(2))
        );
        assert_eq!(
            world.cities(a, "a").await,
            both("Oslo", "Oslo"),
            "the old value is back"
        );
        assert_eq!(world.cities(a, "b").await, both("Voss", "Bergen"));
        let timeline = [entry("v", false), order_entry(1, true)];
        assert_eq!(world.timeline(a, "a").await, timeline);
        assert_eq!(
            world.tables_of(a),
            kept,
            "the tables are the same, and live"
        );
        world.crash().await;
        assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
        assert!(world.is_simulated(a).await);
    });
}

#[test]
fn a_dry_run_names_what_it_would_clear_and_changes_nothing() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world
            .refresh(
                a,
                noon().minus(seconds(60)),
                "b,Bergen,2,kb,\nc,Oslo,1,ka,a\n",
            )
            .await;
        world.wait(seconds(1));
        world.patch(a, city("b", "Voss")).await;
        world.wait(seconds(1));
        let before = (world.read(a).await.tenant, world.node.jobs(a, 9).await);
        let dry = world.dry(a, at(0)).await;
        let clears = |profile: &str| ClearedField {
            profile_id: profile_id(profile),
            field: "City".to_owned(),
        };
        assert_eq!(dry.clears, [clears("c")], "under the id of now");
        assert_eq!(dry.report.overlay_fields_kept, 1);
        let all = world.dry(a, SimulationRequest::default()).await;
        assert_eq!(all.clears, [clears("c"), clears("b")]);
        assert_eq!(
            all.report.as_of,
            noon().plus(seconds(2)),
            "by default it is now"
        );
        let after = (world.read(a).await.tenant, world.node.jobs(a, 9).await);
        assert_eq!(after, before);
        // No as_of was opened: a write of this very moment is accepted at it.
        world.patch(a, city("b", "Lom")).await;
        let overlay = world.read(a).await.view.overlay(&profile_id("b"));
        let overlay = overlay.expect("readable").expect("an overlay");
        let latest = overlay.iter().map(|(_, change)| change.accepted_at).max();
        assert_eq!(latest, Some(noon().plus(seconds(2))));
    });
}

#[test]
fn a_dry_run_names_no_more_than_a_hundred_fields_and_counts_all() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let names: Vec<_> = (0..120).map(|number| format!("c{number:03}")).collect();
        let rows: String = names
            .iter()
            .map(|name| format!("{name},Oslo,1,,\n"))
            .collect();
        world.refresh(a, noon().minus(seconds(60)), &rows).await;
        for name in &names {
            world.patch(a, city(name, "Hamar")).await;
        }
        let dry = world.dry(a, SimulationRequest::default()).await;
        assert_eq!(
            (dry.clears.len(), dry.report.overlay_fields_cleared),
            (100, 120)
        );
        assert_eq!(dry.clears[99].profile_id, profile_id("c099"));
    });
}

#[test]
fn what_can_t_be_simulated_is_refused_and_changes_nothing() {
    run(async {
        let world = World::new();
        let empty = world.empty_instance(2).await;
        let a = world.instance(1).await;
        let productive = NewInstance {
            id: Some(id(3)),
            name: InstanceName::parse("Contoso").expect("name"),
            instance_type: InstanceType::Production,
            copy_of: None,
            by: super::me(),
        };
        let productive = world
            .node
            .create_instance(productive)
            .await
            .expect("created")
            .id;
        world
            .refresh(productive, noon().minus(seconds(3600)), BEFORE)
            .await;
        let of = |as_of: Instant| SimulationRequest {
            as_of: Some(as_of),
            ..SimulationRequest::default()
        };
        let too_long = SimulationRequest {
            duration_secs: 3601,
            ..at(0)
        };
        let cases = [
            (empty, at(0), ErrorCode::InvalidArgument, None),
            (id(9), at(0), ErrorCode::InstanceNotFound, None),
            (a, at(301), ErrorCode::AsOfInFuture, Some("asOf")),
            (
                a,
                of(noon().minus(seconds(3601))),
                ErrorCode::AsOfOutdated,
                Some("asOf"),
            ),
            (
                a,
                too_long,
                ErrorCode::InvalidArgument,
                Some("durationSeconds"),
            ),
        ];
        for (instance, request, code, target) in cases {
            let dry = refused(world.node.dry_run(instance, request.clone()).await);
            assert_eq!(
                (dry.code, dry.target.as_deref().filter(|_| target.is_some())),
                (code, target)
            );
            let real = refused(world.node.simulate(instance, request, super::me()).await);
            assert_eq!(real, dry, "a dry run is refused for the same reason");
        }
        let real = refused(world.node.simulate(productive, at(0), super::me()).await);
        assert_eq!(real.code, ErrorCode::InvalidArgument);
        assert_eq!(world.dry(productive, at(0)).await.report.profiles, 2);
        for instance in [a, productive] {
            assert_eq!(world.node.jobs(instance, 9).await.expect("listed").len(), 1);
            assert!(!world.is_simulated(instance).await);
        }
        // Slightly in the future is cut to now; the very instant of the real generation is allowed.
        assert_eq!(world.simulated(a, at(299)).await.as_of, noon());
        let equal = of(noon().minus(seconds(3600)));
        assert_eq!(
            world.simulated(a, equal).await.as_of,
            noon().minus(seconds(3600))
        );
    });
}

pub(super) async fn stretched(world: &World, id: InstanceId) -> Job {
    let request = SimulationRequest {
        duration_secs: 60,
        ..absorbing(0)
    };
    let job = world
        .node
        .simulate(id, request, super::me())
        .await
        .expect("a job");
    until(|| world.node.shared.refreshes.progress(id, job.id).is_some()).await;
    job
}

#[test]
fn writes_go_on_while_a_simulation_is_stretched_and_stay_on_top() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        let job = stretched(&world, a).await;
        // At the very instant of as_of, which is open: it comes after it all the same.
        world.patch(a, city("b", "Voss")).await;
        let queued = world.upload(a, noon(), ROWS).await;
        world.wait(seconds(59));
        world.node.shared.look_after(false).await;
        assert_eq!(status(&world, a, &job).await, JobStatus::Running);
        assert_eq!(status(&world, a, &queued).await, JobStatus::Queued);
        assert_eq!(world.cities(a, "a").await, both("Hamar", "Oslo"));
        world.wait(seconds(1));
        world.node.shared.look_after(false).await;
        let job = world.ended(a, job.id).await;
        let report = job.report.expect("a report");
        assert_eq!(
            (report.overlay_fields_cleared, report.overlay_fields_kept),
            (1, 1)
        );
        let queued = world.ended(a, queued.id).await;
        assert_eq!(queued.status, JobStatus::Successful);
        assert!(!world.is_simulated(a).await);
        assert_eq!(world.cities(a, "b").await.0, "Voss");
    });
}

#[test]
fn a_stretched_simulation_is_cancelled_at_once_and_nothing_has_changed() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        let job = stretched(&world, a).await;
        let job = world
            .node
            .cancel_job(a, job.id, super::me())
            .await
            .expect("a job");
        assert_eq!((job.status, job.report), (JobStatus::Aborted, None));
        assert_eq!(world.cities(a, "a").await, both("Hamar", "Oslo"));
        assert!(!world.is_simulated(a).await);
        assert_eq!(world.read(a).await.tenant.generation, Generation(1));
        let live = world.tables_of(a).into_iter();
        assert_eq!(live.filter(|table| *table == TableState::Live).count(), 2);
    });
}

#[test]
fn a_restart_interrupts_a_stretched_simulation_and_what_waits_behind_it_goes_on() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        let first = stretched(&world, a).await;
        let second = world
            .node
            .simulate(a, at(0), super::me())
            .await
            .expect("a job");
        assert_ne!(first.id, second.id, "each is a job of its own");
        world.restart().await;
        let first = world.ended(a, first.id).await;
        assert_eq!((first.status, first.report), (JobStatus::Failed, None));
        assert_eq!(first.error.expect("a reason").code, ErrorCode::Interrupted);
        let second = world.ended(a, second.id).await;
        assert_eq!(second.status, JobStatus::Successful);
        assert_eq!(world.cities(a, "a").await, both("Oslo", "Oslo"));
    });
}

#[test]
fn a_simulation_waits_for_the_running_job_and_takes_what_that_has_loaded() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let first = held(&world, a).await;
        let second = world
            .node
            .simulate(a, at(0), super::me())
            .await
            .expect("a job");
        assert_eq!(second.status, JobStatus::Queued);
        world.kv.loads.reopen();
        assert_eq!(world.ended(a, first.id).await.status, JobStatus::Successful);
        assert_eq!(
            world.ended(a, second.id).await.status,
            JobStatus::Successful
        );
        assert_eq!(world.cities(a, "a").await.0, "Trondheim");
        // Meanwhile a newer generation came: what was opened before is outdated at the run.
        world.wait(seconds(10));
        world.kv.loads.close();
        let first = world.upload(a, noon().plus(seconds(9)), ROWS).await;
        world.kv.loads.somebody_waits().await;
        let outdated = world
            .node
            .simulate(a, at(5), super::me())
            .await
            .expect("a job");
        world.kv.loads.reopen();
        world.ended(a, first.id).await;
        let outdated = world.ended(a, outdated.id).await;
        assert_eq!(outdated.status, JobStatus::Failed);
        assert_eq!(
            outdated.error.expect("a reason").code,
            ErrorCode::AsOfOutdated
        );
        assert!(!world.is_simulated(a).await);
    });
}
