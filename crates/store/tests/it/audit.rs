//! Owns the tests of audit logs: their order, their ranges, and how old records and ended logs go.

use proptest::prelude::*;
use sanntid_store::{
    AuditLimits, AuditPruner, Kv,
    catalog::{self, AuditLogNumber, AuditRange},
};
use sanntid_types::{
    Actor, AuditId, AuditNote, AuditOutcome, AuditRecord, ErrorCode, Incarnation, Instant,
};

use crate::{
    life,
    samples::{commit, dump, on_every_store},
};

fn log(number: u64) -> AuditLogNumber {
    AuditLogNumber::of(&life::instance(Incarnation(number)))
}

fn record(at: i64, id: u128, is_done: bool) -> AuditRecord {
    let outcome = match is_done {
        true => AuditOutcome::Done,
        false => AuditOutcome::Refused(ErrorCode::Forbidden),
    };
    AuditRecord {
        id: AuditId(uuid::Uuid::from_u128(id)),
        at: Instant::from_millis(at),
        by: Actor::server("test"),
        outcome,
        note: AuditNote::default(),
    }
}

fn put(kv: &dyn Kv, log: AuditLogNumber, records: &[AuditRecord]) {
    commit(kv, |batch| {
        for record in records {
            catalog::put_audit(batch, log, record);
        }
    });
}

fn read(kv: &dyn Kv, log: AuditLogNumber, range: AuditRange) -> Vec<(i64, u128)> {
    let snapshot = kv.snapshot().expect("readable");
    let found = catalog::audit(&*snapshot, log, &range);
    let place = |record: AuditRecord| (record.at.as_millis(), record.id.0.as_u128());
    found
        .map(|record| place(record.expect("readable")))
        .collect()
}

fn prune(kv: &dyn Kv, oldest: i64, records_max: usize, budget: usize) {
    let limits = AuditLimits {
        oldest: Instant::from_millis(oldest),
        records_max,
    };
    let mut pruner = AuditPruner::default();
    let mut steps = 0;
    while pruner.prune(kv, limits, budget).expect("readable") {
        steps += 1;
        assert!(steps < 1_000, "it comes to an end");
    }
}

proptest! {
    #[test]
    fn a_range_is_what_a_filter_of_all_would_be(
        places in prop::collection::btree_set((-3_i64..3, 0_u128..4), 0..12),
        done in prop::collection::vec(any::<bool>(), 12),
        (from, to) in (prop::option::of(-4_i64..4), prop::option::of(-4_i64..4)),
        after in prop::option::of((-4_i64..4, 0_u128..4)),
        is_done in prop::option::of(any::<bool>()),
    ) {
        let kv = sanntid_store::MemoryKv::new();
        let records: Vec<AuditRecord> = places.iter().zip(done)
            .map(|((at, id), is_done)| record(*at, *id, is_done)).collect();
        put(&kv, log(7), &records);
        put(&kv, log(8), &[record(0, 1, true)]);
        let range = AuditRange {
            from: from.map(Instant::from_millis),
            to: to.map(Instant::from_millis),
            after: after.map(|(at, id)| (Instant::from_millis(at), AuditId(uuid::Uuid::from_u128(id)))),
            is_done,
        };
        let mut expected: Vec<(i64, u128)> = records.iter()
            .filter(|record| is_done.is_none_or(|done| done == (record.outcome == AuditOutcome::Done)))
            .map(|record| (record.at.as_millis(), record.id.0.as_u128()))
            .filter(|(at, _)| from.is_none_or(|from| *at >= from) && to.is_none_or(|to| *at < to))
            .filter(|place| after.is_none_or(|after| *place < after))
            .collect();
        expected.sort_unstable_by(|a, b| b.cmp(a));
        prop_assert_eq!(read(&kv, log(7), range), expected);
    }
}

#[test]
fn what_is_old_or_too_much_goes_and_each_kind_is_counted_apart() {
    on_every_store(|kv| {
        for number in [0, 7, 8] {
            let log = match number {
                0 => AuditLogNumber::SERVER,
                number => log(number),
            };
            let done = (0..10).map(|at| record(at, 1, true));
            let refused = (0..10).map(|at| record(at, 2, false));
            put(kv, log, &done.chain(refused).collect::<Vec<_>>());
        }
        prune(kv, 2, 5, 3);
        for log in [AuditLogNumber::SERVER, log(7), log(8)] {
            for (is_done, id) in [(true, 1), (false, 2)] {
                let range = AuditRange {
                    is_done: Some(is_done),
                    ..AuditRange::default()
                };
                let expected: Vec<_> = (5..10).rev().map(|at| (at, id)).collect();
                assert_eq!(read(kv, log, range), expected);
            }
        }
        prune(kv, 8, 5, 1_000);
        assert_eq!(
            read(kv, log(8), AuditRange::default()),
            [(9, 2), (9, 1), (8, 2), (8, 1)]
        );
    });
}

#[test]
fn an_ended_log_goes_wholly_and_no_other_does() {
    on_every_store(|kv| {
        let records: Vec<_> = (0..10).map(|at| record(at, 1, at % 2 == 0)).collect();
        put(kv, log(8), &records);
        let before = dump(kv);
        put(kv, log(7), &records);
        commit(kv, |batch| catalog::end_audit(batch, log(7)));
        prune(kv, i64::MIN, 1_000, 3);
        assert_eq!(dump(kv), before);
    });
}
