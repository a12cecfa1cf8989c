//! Owns the tests of audit logs: a record is stored with what it says was done, or neither is; what
//! the server does by itself is in them; and old records go.

use std::{collections::BTreeSet, sync::Arc};

use sanntid_engine::{Access, Audit, AuditLog, AuditPage, AuditQuery, CallError, Tenants};
use sanntid_store::{Fault, FaultyKv, MemoryKv};
use sanntid_types::{
    Actor, AuditOutcome, AuditRecord, ErrorCode, InstanceId, InstanceName, KeySlot, Schedule,
    ScheduleId, Settings,
};

use super::{
    samples::{code, id, seconds},
    world::{World, config, memory, run},
};
use crate::Config;

/// Who does something that is found by its name.
fn by(operation: &str) -> Actor {
    Actor {
        name: "kari".to_owned(),
        ..Actor::server(operation)
    }
}

fn settings(margin: u64) -> Settings {
    Settings {
        as_of_margin: seconds(margin),
        ..Settings::default()
    }
}

impl World {
    async fn page(&self, log: AuditLog, query: AuditQuery) -> AuditPage {
        self.node.records(log, query).await.expect("readable")
    }

    /// All records of a log, newest first.
    async fn records(&self, log: AuditLog) -> Vec<AuditRecord> {
        let all = AuditQuery {
            top: 100_000,
            ..AuditQuery::default()
        };
        self.page(log, all).await.records
    }

    /// What was done in an instance by `by`, newest first.
    async fn done(&self, instance: InstanceId) -> Vec<String> {
        let records = self.records(AuditLog::Instance(instance)).await;
        let its = |record: &AuditRecord| {
            assert_eq!(record.outcome, AuditOutcome::Done);
            record.by.name == "kari"
        };
        let its = records.into_iter().filter(its);
        its.map(|record| record.by.operation).collect()
    }
}

#[test]
fn a_failed_commit_leaves_neither_change_nor_record_and_a_good_one_both() {
    for (fault, is_stored) in [(Fault::Lost, false), (Fault::Stored, true)] {
        run(async {
            let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
            let world = World::with(config(), kv.clone());
            let one = world.empty_instance(1).await;
            let node = &world.node;
            let name = || InstanceName::parse("Other").expect("a name");
            let unknown = |failed: bool| assert!(failed, "{fault:?}");
            let recover = async || world.node.shared.look_after(false).await;
            kv.fail_after(0, fault);
            let set = node.set_settings(one, settings(7), by("set")).await;
            unknown(matches!(set, Err(CallError::Unknown)));
            recover().await;
            kv.fail_after(0, fault);
            let renamed = node.rename_instance(one, name(), by("rename")).await;
            unknown(matches!(renamed, Err(CallError::Unknown)));
            recover().await;
            kv.fail_after(0, fault);
            let renewed = node.renew_key(one, KeySlot::Primary, by("renew")).await;
            unknown(matches!(renewed, Err(CallError::Unknown)));
            recover().await;
            let expected: &[&str] = match is_stored {
                true => &["renew", "rename", "set"],
                false => &[],
            };
            assert_eq!(world.done(one).await, expected, "{fault:?}");
            let margin = world.read(one).await.tenant.settings.as_of_margin;
            assert_eq!(margin == seconds(7), is_stored, "{fault:?}");
            let info = node.instance(one).await.expect("there");
            assert_eq!(info.name == name(), is_stored, "{fault:?}");
            let access = node.access(one).expect("readable").expect("there");
            assert_eq!(access.keys.primary.is_some(), is_stored, "{fault:?}");
        });
    }
}

#[test]
fn what_is_refused_leaves_no_record_of_having_been_done() {
    run(async {
        let world = World::new();
        let one = world.empty_instance(1).await;
        let nobody = sanntid_types::JobId(uuid::Uuid::from_u128(9));
        let node = &world.node;
        let cancelled = node.cancel_job(one, nobody, by("cancel")).await;
        assert_eq!(code(cancelled), Some(ErrorCode::JobNotFound));
        let deleted = node.delete_schedule(one, schedule().id, by("delete")).await;
        assert_eq!(code(deleted), Some(ErrorCode::ScheduleNotFound));
        world.clock.trust(false);
        let set = node.set_settings(one, settings(7), by("set")).await;
        assert_eq!(code(set), Some(ErrorCode::ClockJumped));
        assert_eq!(world.done(one).await, [""; 0]);
    });
}

fn schedule() -> Schedule {
    Schedule {
        id: ScheduleId(uuid::Uuid::from_u128(5)),
        is_active: true,
        timezone_id: "UTC".to_owned(),
        cron_schedules: vec!["0 * * * *".to_owned()],
        request: sanntid_types::RefreshRequest::default(),
    }
}

#[test]
fn what_a_schedule_starts_is_done_by_the_server() {
    run(async {
        let world = World::new();
        let one = world.empty_instance(1).await;
        let put = world
            .node
            .put_schedules(one, vec![schedule()], by("put"))
            .await;
        put.expect("taken");
        world.wait(seconds(3600));
        for _ in 0..2 {
            world.node.shared.look_after(false).await;
        }
        let records = world.records(AuditLog::Instance(one)).await;
        let run = |record: &&AuditRecord| record.by.operation == "run_schedule";
        let runs: Vec<_> = records.iter().filter(run).collect();
        let [run] = *runs else {
            panic!("{records:?}");
        };
        assert_eq!(run.by, Actor::server("run_schedule"));
        assert_eq!(run.note.target, Some(schedule().id.to_string()));
        let jobs = world.node.jobs(one, 1).await.expect("listed");
        assert_eq!(run.note.details.get("job"), Some(&jobs[0].id.to_string()));
    });
}

#[test]
fn records_go_when_they_are_too_many_or_too_old() {
    run(async {
        let few = Config {
            audit_records_max: 100,
            audit_kept: seconds(86_400),
            sweep_records_max: 30,
            ..config()
        };
        let world = World::with(few, memory());
        let (one, two) = (world.empty_instance(1).await, world.empty_instance(2).await);
        let set = |id, margin| world.node.set_settings(id, settings(margin), by("set"));
        for margin in 0..130 {
            set(one, margin).await.expect("set");
        }
        set(two, 1).await.expect("set");
        let rounds = async || {
            world.node.shared.look_after(true).await;
            for _ in 0..30 {
                world.node.shared.look_after(false).await;
            }
        };
        rounds().await;
        let margin = |record: &AuditRecord| record.note.details.get("asOfMarginSecs").cloned();
        let kept = world.records(AuditLog::Instance(one)).await;
        let newest = world
            .page(
                AuditLog::Instance(one),
                AuditQuery {
                    top: 1,
                    ..AuditQuery::default()
                },
            )
            .await;
        assert_eq!(kept.len(), 100);
        assert_eq!(kept.first(), newest.records.first());
        assert!(kept.first().and_then(margin).expect("set").eq("129"));
        assert_eq!(world.records(AuditLog::Instance(two)).await.len(), 2);
        world.wait(seconds(86_399));
        set(two, 2).await.expect("set");
        world.wait(seconds(2));
        rounds().await;
        assert_eq!(world.records(AuditLog::Instance(one)).await, []);
        assert_eq!(world.records(AuditLog::Instance(two)).await.len(), 1);
        assert_eq!(world.records(AuditLog::Server).await, []);
    });
}

#[test]
fn a_deleted_instances_log_is_reclaimed_and_never_anothers() {
    run(async {
        let world = World::new();
        let (one, two) = (world.empty_instance(1).await, world.empty_instance(2).await);
        for id in [one, two] {
            world
                .node
                .set_settings(id, settings(7), by("set"))
                .await
                .expect("set");
        }
        world
            .node
            .reset_instance(one, by("reset"))
            .await
            .expect("reset");
        let in_store = || {
            let snapshot = world.kv.inner.snapshot().expect("readable");
            let space = sanntid_store::Space::Meta;
            let entries = snapshot.prefix(space, b"l", sanntid_store::Order::Ascending);
            entries.count()
                + snapshot
                    .prefix(space, b"o", sanntid_store::Order::Ascending)
                    .count()
        };
        // Two of the server's, three of the one, two of the other.
        assert_eq!(in_store(), 7);
        world
            .node
            .delete_instance(one, by("delete"))
            .await
            .expect("deleted");
        let again = world.empty_instance(1).await;
        for _ in 0..5 {
            world.node.shared.look_after(true).await;
        }
        assert_eq!(in_store(), 4 + 1 + 2);
        assert_eq!(world.done(again).await, [""; 0], "of its own life alone");
        assert_eq!(world.done(two).await, ["set"]);
    });
}

#[test]
fn a_node_that_stops_has_noted_what_was_refused() {
    run(async {
        let mut world = World::new();
        let one = world.empty_instance(1).await;
        let attempt = |instance: u128, operation: &str| sanntid_engine::RefusedAttempt {
            log: AuditLog::Instance(id(instance)),
            by: by(operation),
            code: ErrorCode::Forbidden,
        };
        world.node.refused(attempt(99, "nowhere"));
        world.node.refused(attempt(1, "last"));
        world.restart().await;
        let records = world.records(AuditLog::Instance(one)).await;
        let refused =
            |record: &&AuditRecord| record.outcome == AuditOutcome::Refused(ErrorCode::Forbidden);
        let operations: BTreeSet<_> = records
            .iter()
            .filter(refused)
            .map(|record| &*record.by.operation)
            .collect();
        assert_eq!(operations, BTreeSet::from(["last"]));
        assert_eq!(
            world.records(AuditLog::Server).await.len(),
            1,
            "its creation"
        );
    });
}
