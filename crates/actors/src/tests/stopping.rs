//! Owns the tests of refreshes that are stopped, wherever they are: by cancel, by their time limit,
//! while a data source does not answer, and of clocks that jump meanwhile.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc},
};

use sanntid_engine::Tenants;
use sanntid_store::catalog::TableState;
use sanntid_types::{ErrorCode, Generation, InstanceId, Job, JobStatus, StageName};

use super::{
    jobs::{ROWS, held, tables},
    probe::{Gate, ProbeKv},
    samples::{city, code, noon, seconds},
    world::{World, begun, run, until},
};
use crate::refresh::{Failure, Progress, Run, Stop, read_apart, within};

const ORDER_ROWS: &str = "1,2026-11-20T10:00:00Z,ka\n2,2026-11-20T10:00:00Z,kb\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Cancel,
    Time,
}

fn running_stage(world: &World, id: InstanceId, job: &Job) -> Option<StageName> {
    let progress = world.node.shared.refreshes.progress(id, job.id)?;
    let stages = progress.stages();
    let running = stages
        .iter()
        .find(|stage| stage.status == JobStatus::Running);
    running.map(|stage| stage.name)
}

/// Stops a refresh that is held up before its `number`th passage of a gate; says in which stage that
/// was, if in any; `None` once it passes the gate less often.
async fn stop_at(by: By, gate: fn(&ProbeKv) -> &Gate, number: u64) -> Option<Option<StageName>> {
    let world = World::new();
    let id = world.instance(1).await;
    world.configure_orders(id).await;
    world.patch(id, city("b", "Moss")).await;
    // Held before its first row, so that nothing but the refresh passes the gate from then on.
    world.kv.loads.close();
    let job = world
        .upload_with(id, noon(), Some(ROWS), Some(ORDER_ROWS))
        .await;
    world.kv.loads.somebody_waits().await;
    let gate = gate(&world.kv);
    // Whoever stands before it is the first to pass.
    let passes = number + u64::from(gate.holds_somebody());
    let last = gate.count() + passes;
    gate.close_after(passes);
    world.kv.loads.pass_on();
    let runs = || world.node.shared.refreshes.progress(id, job.id);
    let is_held = || gate.holds_somebody() && gate.count() == last;
    until(|| is_held() || runs().is_none()).await;
    if !is_held() {
        gate.reopen();
        assert_eq!(world.ended(id, job.id).await.status, JobStatus::Successful);
        return None;
    }
    // None runs between two stages, nor when the end is written.
    let stage = running_stage(&world, id, &job);
    let stopped = match by {
        By::Cancel => {
            let cancel = begun(world.node.cancel_job(id, job.id, super::me())).await;
            until(|| runs().is_none_or(|progress| progress.check().is_err())).await;
            gate.reopen();
            cancel.await.expect("a job")
        }
        By::Time => {
            world.wait(world.config.refresh_time_max + seconds(1));
            gate.reopen();
            world.ended(id, job.id).await
        }
    };
    let case = format!("{by:?} {number} {stage:?}");
    let read = world.read(id).await.tenant.generation;
    if stopped.status == JobStatus::Successful {
        assert!(
            matches!(stage, Some(StageName::ProfileStore) | None),
            "{case}"
        );
        assert_eq!(read, Generation(2), "{case}");
    } else {
        let status = match by {
            By::Cancel => JobStatus::Aborted,
            By::Time => JobStatus::TimedOut,
        };
        assert_eq!((stopped.status, stopped.report), (status, None), "{case}");
        let error = stopped.error.expect("a reason");
        assert!(
            error.message.contains("nothing was changed"),
            "{case}: {error}"
        );
        assert_eq!(read, Generation(1), "{case}");
        assert_eq!(world.city(id, "a").await.as_deref(), Some("Oslo"), "{case}");
        assert_eq!(tables(&world, id), [TableState::Live; 2], "{case}");
    }
    let next = world
        .refresh_with(id, noon(), Some(ROWS), Some(ORDER_ROWS))
        .await;
    assert_eq!(next.status, JobStatus::Successful, "{case}");
    assert_eq!(tables(&world, id), [TableState::Live; 3], "{case}");
    Some(stage)
}

#[test]
fn wherever_a_refresh_is_stopped_it_leaves_everything_as_it_was_and_the_next_one_works() {
    for by in [By::Cancel, By::Time] {
        let mut met = BTreeSet::new();
        let gates: [fn(&ProbeKv) -> &Gate; 2] = [|kv| &kv.loads, |kv| &kv.commits];
        for gate in gates {
            for number in 0.. {
                let stage = Arc::new(parking_lot::Mutex::new(None));
                let of_test = Arc::clone(&stage);
                run(async move {
                    *of_test.lock() = stop_at(by, gate, number).await;
                });
                let Some(stage) = *stage.lock() else { break };
                met.extend(stage.map(|stage| format!("{stage:?}")));
            }
        }
        // The other stages do nothing that could take long.
        let all = ["Activity", "Ingestion", "ProfileStore"];
        assert_eq!(
            met.iter().map(String::as_str).collect::<Vec<_>>(),
            all,
            "{by:?}"
        );
    }
}

/// A run beside those of the node, with a progress of its own.
async fn own_run(world: &World, id: InstanceId) -> Arc<Run> {
    let job = world.node.jobs(id, 1).await.expect("listed").remove(0);
    let tenant = world.read(id).await.tenant;
    let limit = world.config.refresh_time_max;
    let progress = Progress::new(job.id, world.clock.clone(), limit);
    Arc::new(Run::new(
        Arc::clone(&world.node.shared),
        &job,
        tenant,
        progress,
    ))
}

#[test]
fn a_thread_that_hangs_at_its_source_is_left_behind_and_does_nothing_when_it_comes_back() {
    for by in [By::Cancel, By::Time] {
        run(async move {
            let world = World::new();
            let id = world.instance(1).await;
            let run = own_run(&world, id).await;
            let (release, released) = mpsc::channel::<()>();
            let (does_more, did_more) = mpsc::channel::<()>();
            let reading = read_apart(&run, move |run| {
                run.progress.at_source(|| released.recv().ok())?;
                does_more.send(()).expect("the test listens");
                Ok(())
            });
            let reading = begun(Box::pin(reading)).await;
            match by {
                By::Cancel => run.progress.cancel(),
                By::Time => world.wait(world.config.refresh_time_max + seconds(1)),
            }
            let stopped = reading.await;
            match (by, stopped) {
                (By::Cancel, Err(Failure::Stopped(Stop::Cancelled)))
                | (By::Time, Err(Failure::Stopped(Stop::TimedOut))) => {}
                (_, other) => panic!("{by:?}: {other:?}"),
            }
            let left_behind = || world.node.shared.refreshes.left_behind.count();
            assert_eq!(left_behind(), 1);
            drop(release);
            until(|| left_behind() == 0).await;
            assert!(did_more.recv().is_err(), "its thread went on");
        });
    }
}

#[test]
fn a_look_that_does_not_come_back_is_given_up_and_with_too_many_there_is_none() {
    run(async {
        let world = World::new();
        let left_behind = &world.node.shared.refreshes.left_behind;
        let soon = || (seconds(1) / 1000, "a test".to_owned());
        let mut releases = Vec::new();
        for count in 1..=16 {
            let (release, released) = mpsc::channel::<()>();
            let looked = within(left_behind, soon(), move || released.recv().is_ok()).await;
            assert_eq!(looked.expect("there is room"), None);
            assert_eq!(left_behind.count(), count);
            releases.push(release);
        }
        let refused = within(left_behind, soon(), || ()).await;
        assert_eq!(refused.expect_err("too many").code, ErrorCode::Overloaded);
        drop(releases);
        until(|| left_behind.count() == 0).await;
        let late = (seconds(60), "a test".to_owned());
        let answer = within(left_behind, late, || 7).await;
        assert_eq!(answer.expect("there is room"), Some(7));
    });
}

#[test]
fn a_slow_thread_that_works_is_waited_for() {
    run(async {
        let world = World::new();
        let id = world.instance(1).await;
        let run = own_run(&world, id).await;
        run.progress.cancel();
        let (release, released) = mpsc::channel::<()>();
        let reading = read_apart(&run, move |_| {
            released.recv().ok();
            Ok(7)
        });
        let mut reading = begun(Box::pin(reading)).await;
        let waited = tokio::time::timeout(seconds(2), &mut reading).await;
        assert!(waited.is_err(), "it may hold something of the store");
        drop(release);
        assert_eq!(reading.await.expect("its own answer"), 7);
    });
}

#[test]
fn a_clock_that_jumps_takes_no_time_from_a_refresh_and_it_goes_on_when_confirmed() {
    for comes_back in [true, false] {
        run(async move {
            let world = World::new();
            let id = world.instance(1).await;
            let job = held(&world, id).await;
            let before = world.node.clock();
            assert!(before.is_trusted);
            let jumped = noon().plus(world.config.refresh_time_max * 10);
            world.clock.set(jumped);
            world.clock.trust(false);
            assert!(!world.node.clock().is_trusted);
            world.kv.loads.reopen();
            let switching = || running_stage(&world, id, &job) == Some(StageName::ProfileStore);
            until(switching).await;
            let refused = world.node.patch(id, city("a", "Moss")).await;
            assert_eq!(code(refused), Some(ErrorCode::ClockJumped));
            world.node.shared.look_after(false).await;
            assert!(switching(), "it waits for the clock");
            if comes_back {
                world.clock.set(noon());
                world.clock.trust(true);
                while world.node.shared.refreshes.progress(id, job.id).is_some() {
                    world.node.shared.look_after(false).await;
                }
            } else {
                let confirmed = world.node.confirm_clock(super::me()).await.expect("noted");
                assert_eq!((confirmed.now, confirmed.is_trusted), (jumped, true));
            }
            let job = world.ended(id, job.id).await;
            assert_eq!(job.status, JobStatus::Successful, "{:?}", job.error);
            assert_eq!(world.city(id, "a").await.as_deref(), Some("Trondheim"));
        });
    }
}
