//! Owns the tests of how old jobs go: which, with what, and no faster than the budget.
//!
//! Must not depend on how many steps it takes, only on what is there after them.

use sanntid_store::{Kv, Pruner, catalog};
use sanntid_types::{
    Incarnation, Job, JobId, JobKind, JobStatus, RejectionKind, RowRejection, SnapshotId,
};

use crate::{
    life,
    samples::{commit, dump, on_every_store},
};

const LIFE: Incarnation = Incarnation(7);
const BUDGET: usize = 4;

fn id(number: u128) -> JobId {
    JobId(uuid::Uuid::from_u128(number))
}

fn put(kv: &dyn Kv, life: Incarnation, number: u128, kind: JobKind, status: JobStatus, rows: u64) {
    let job = Job {
        id: id(number),
        kind,
        status,
        ..life::queued_job()
    };
    let rejection = RowRejection {
        kind: RejectionKind::Rejected,
        entity: "Customer".to_owned(),
        part: Some(1),
        file: None,
        row: None,
        key: None,
        column: None,
        reason: "no key".to_owned(),
    };
    commit(kv, |batch| {
        catalog::put_job(batch, life, &job);
        for row in 0..rows {
            catalog::put_rejection(batch, life, job.id, row, &rejection);
        }
    });
}

fn upload() -> JobKind {
    JobKind::Upload(SnapshotId(uuid::Uuid::from_u128(1)))
}

/// The jobs that are left, oldest first, each with how many of its rows.
fn left(kv: &dyn Kv, life: Incarnation) -> Vec<(u128, usize)> {
    let snapshot = kv.snapshot().expect("readable");
    let jobs = catalog::jobs(&*snapshot, life).map(|job| job.expect("readable").id);
    let jobs = jobs.map(|job| {
        let rows = catalog::rejections(&*snapshot, life, job).count();
        (job.0.as_u128(), rows)
    });
    let mut jobs: Vec<_> = jobs.collect();
    jobs.reverse();
    jobs
}

/// Prunes until nothing is due.
fn prune_all(kv: &dyn Kv, kept: usize) {
    let mut pruner = Pruner::default();
    for step in 0.. {
        assert!(step < 1_000, "it comes to no end");
        let before = dump(kv).len();
        let has_more = pruner.prune(kv, kept, BUDGET).expect("pruned");
        let removed = before - dump(kv).len();
        assert!(removed <= 2 * BUDGET, "{removed} removed in one step");
        if !has_more {
            return;
        }
    }
}

#[test]
fn the_newest_stay_and_so_do_those_that_wait_and_the_last_good_one() {
    on_every_store(|kv| {
        use JobStatus::{Aborted, Failed, Queued, Running, Skipped, Successful};
        put(kv, LIFE, 1, upload(), Successful, 3);
        put(kv, LIFE, 2, upload(), Successful, 2);
        put(kv, LIFE, 3, upload(), Failed, 9);
        put(kv, LIFE, 4, upload(), Queued, 0);
        put(kv, LIFE, 5, upload(), Running, 1);
        put(kv, LIFE, 6, upload(), Aborted, 0);
        put(kv, LIFE, 7, JobKind::Reproject, Successful, 1);
        put(kv, LIFE, 8, upload(), Skipped, 1);
        put(kv, LIFE, 9, upload(), Failed, 1);
        let neighbours = [Incarnation(6), Incarnation(8)];
        for neighbour in neighbours {
            put(kv, neighbour, 1, upload(), Failed, 1);
            put(kv, neighbour, 2, upload(), Failed, 1);
        }
        prune_all(kv, 9);
        assert_eq!(left(kv, LIFE).len(), 9, "no more than are kept");
        prune_all(kv, 2);
        assert_eq!(left(kv, LIFE), [(2, 2), (4, 0), (5, 1), (8, 1), (9, 1)]);
        for neighbour in neighbours {
            assert_eq!(left(kv, neighbour), [(1, 1), (2, 1)]);
        }
        let snapshot = kv.snapshot().unwrap();
        let active = catalog::active_jobs_of(&*snapshot, LIFE).unwrap();
        assert_eq!(active, [id(4), id(5)]);
        drop(snapshot);
        let before = dump(kv);
        prune_all(kv, 2);
        assert_eq!(dump(kv), before, "what has gone is gone");
    });
}

#[test]
fn many_instances_take_their_turns() {
    on_every_store(|kv| {
        for life in 1..=20 {
            for number in 1..=3 {
                put(
                    kv,
                    Incarnation(life),
                    number,
                    upload(),
                    JobStatus::Failed,
                    2,
                );
            }
        }
        prune_all(kv, 1);
        for life in 1..=20 {
            assert_eq!(left(kv, Incarnation(life)), [(3, 2)], "{life}");
        }
    });
}
