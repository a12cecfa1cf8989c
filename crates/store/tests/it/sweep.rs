//! Owns the tests of background reclamation of ended lives and of tables that were given up.
//!
//! Must not depend on how many steps it takes, only on what is there after each.

use sanntid_store::{
    Epoch, Fault, FaultyKv, FjallKv, Health, Kv, MemoryKv, Progress, Result, Snapshot, Space,
    Sweeper, WriteBatch, catalog, sweep,
};
use sanntid_types::{Incarnation, Instant, TableId};

use crate::{
    life::write_life,
    samples::{HOUR, at, commit, crash_image, dump, load_table, on_every_store, open},
};

const BUDGET: usize = 3;

fn ended_at() -> Instant {
    at(100)
}

fn due() -> Instant {
    ended_at().plus(HOUR)
}

fn before_due() -> Instant {
    Instant::from_millis(due().as_millis() - 1)
}

/// Sweeps until nothing is due; each step keeps to its budget.
fn sweep_all(kv: &dyn Kv, now: Instant) {
    let mut sweeper = Sweeper::default();
    loop {
        let before = dump(kv).len();
        let more = sweeper.sweep(kv, now, BUDGET).expect("swept");
        // Notes of what has ended go beside the budget: one for each life or table.
        let removed = before - dump(kv).len();
        assert!(removed <= BUDGET + 4, "{removed} removed in one step");
        if !more {
            return;
        }
        assert!(
            removed > 0,
            "a step that leaves more to do has done nothing"
        );
    }
}

/// Two lives of which the first has ended, and what shall be left of them.
fn end_a_life(kv: &dyn Kv) -> impl Fn(&dyn Kv) + use<> {
    write_life(kv, Incarnation(2));
    load_table(kv, Incarnation(256), TableId(1), "neighbour");
    // Its own table 3 was given up long ago and is due with the rest.
    let mut left = dump(kv);
    left.retain(|(space, key), _| *space != Space::Meta || key.first() != Some(&b'g'));
    write_life(kv, Incarnation(1));
    commit(kv, |batch| {
        catalog::remove_instance(batch, crate::samples::instance_id(1));
        catalog::drop_incarnation(batch, Incarnation(1), ended_at());
        // By a job that did not know yet; it goes with the life, not an hour after this.
        catalog::give_up_table(batch, Incarnation(1), TableId(2), at(101));
    });
    move |kv| assert_eq!(dump(kv), left)
}

#[test]
fn an_ended_life_goes_wholly_after_an_hour_and_nothing_else_goes() {
    on_every_store(|kv| {
        let is_as_left = end_a_life(kv);
        let before = dump(kv);
        while sweep(kv, at(4).plus(HOUR), BUDGET).unwrap() {}
        let table_notes = before.len() - dump(kv).len();
        assert_eq!(
            table_notes, 2,
            "both lives have an empty table that was given up at 4"
        );
        let before = dump(kv);
        assert!(!sweep(kv, before_due(), BUDGET).unwrap());
        assert_eq!(dump(kv), before);
        assert_eq!(
            catalog::dropped(&*kv.snapshot().unwrap()).unwrap(),
            [(Incarnation(1), ended_at())]
        );
        sweep_all(kv, due());
        is_as_left(kv);
        assert!(
            catalog::dropped(&*kv.snapshot().unwrap())
                .unwrap()
                .is_empty()
        );
        assert!(!sweep(kv, Instant::MAX, BUDGET).unwrap());
        is_as_left(kv);
    });
}

#[test]
fn tables_that_were_given_up_go_after_an_hour_and_others_stay() {
    on_every_store(|kv| {
        for table in [1, 2, 3, 256] {
            load_table(kv, Incarnation(1), TableId(table), "rows");
        }
        load_table(kv, Incarnation(2), TableId(2), "rows");
        let is_of = |key: &[u8], table: u64| {
            let of = [1_u64.to_be_bytes(), table.to_be_bytes()].concat();
            key.starts_with(&of)
        };
        let mut left = dump(kv);
        left.retain(|(_, key), _| !is_of(key, 2) && !is_of(key, 256));
        commit(kv, |batch| {
            catalog::give_up_table(batch, Incarnation(1), TableId(2), ended_at());
            catalog::give_up_table(batch, Incarnation(1), TableId(256), ended_at());
        });
        let before = dump(kv);
        assert!(!sweep(kv, before_due(), BUDGET).unwrap());
        assert_eq!(dump(kv), before);
        assert!(
            sweep(kv, due(), 0).unwrap(),
            "without a budget there is more to do"
        );
        assert_eq!(dump(kv), before);
        sweep_all(kv, due());
        assert_eq!(dump(kv), left);
    });
}

#[test]
fn a_sweep_that_is_killed_at_any_step_is_finished_by_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let is_as_left = end_a_life(&kv);
    let mut images = 0;
    while sweep(&kv, due(), 5).unwrap() {
        let image = crash_image(directory.path());
        let again = open(image.path());
        sweep_all(&again, due());
        is_as_left(&again);
        images += 1;
    }
    assert!(images > 5, "only {images} steps");
    is_as_left(&kv);
}

#[test]
fn a_sweep_goes_on_after_each_failed_write() {
    for fault in [Fault::Lost, Fault::Stored] {
        let kv = FaultyKv::new(MemoryKv::new());
        let is_as_left = end_a_life(&kv);
        let mut failures = 0;
        // Each round fails one write later, so that every write of a sweep fails once.
        for successes in 0.. {
            kv.fail_after(successes, fault);
            match sweep(&kv, due(), usize::MAX) {
                Ok(more) => assert!(!more, "nothing is left with an unlimited budget"),
                Err(error) => failures += u64::from(error.outcome_is_unknown()),
            }
            if failures == successes {
                break;
            }
            kv.maintain();
        }
        assert!(failures > 5, "only {failures} writes");
        is_as_left(&kv);
    }
}

#[test]
fn a_large_budget_does_not_make_a_batch_too_large() {
    let directory = tempfile::tempdir().unwrap();
    let config = sanntid_store::Config {
        batch_bytes_max: 400_000,
        ..crate::conformance::small_config()
    };
    let kv = FjallKv::open(directory.path(), config, None).unwrap();
    for start in 0..10_u32 {
        commit(&kv, |batch| {
            for number in 0..1000 {
                let number = start * 1000 + number;
                let mut key = [1_u64.to_be_bytes(), 1_u64.to_be_bytes()].concat();
                key.extend_from_slice(&[7; 60]);
                key.extend_from_slice(&number.to_be_bytes());
                batch.put(Space::Base, key, "");
            }
        });
    }
    commit(&kv, |batch| {
        catalog::drop_incarnation(batch, Incarnation(1), at(0))
    });
    assert!(!sweep(&kv, Instant::MAX, usize::MAX).unwrap());
    assert!(dump(&kv).is_empty());
}

/// A store that notes from which key on each step deletes.
#[derive(Default)]
struct Noting {
    inner: MemoryKv,
    steps: parking_lot::Mutex<Vec<(Space, Vec<u8>)>>,
}

impl Kv for Noting {
    fn commit(&self, batch: WriteBatch) -> Result<()> {
        self.inner.commit(batch)
    }

    fn load(&self, batch: WriteBatch) -> Result<Epoch> {
        self.inner.load(batch)
    }

    fn sync(&self, since: Epoch) -> Result<()> {
        self.inner.sync(since)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>> {
        self.inner.snapshot()
    }

    fn delete_range_step(
        &self,
        space: Space,
        lower: &[u8],
        upper: &[u8],
        budget_records: usize,
    ) -> Result<Progress> {
        self.steps.lock().push((space, lower.to_vec()));
        let inner = &self.inner;
        inner.delete_range_step(space, lower, upper, budget_records)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }

    fn maintain(&self) -> Health {
        self.inner.maintain()
    }
}

#[test]
fn a_sweeper_never_goes_over_deleted_records_again() {
    let kv = Noting::default();
    let is_as_left = end_a_life(&kv);
    sweep_all(&kv, due());
    is_as_left(&kv);
    let steps = kv.steps.into_inner();
    let distinct: std::collections::BTreeSet<_> = steps.iter().collect();
    assert_eq!(distinct.len(), steps.len(), "{steps:?}");
    assert!(steps.len() > 12, "only {} steps", steps.len());
}

#[test]
fn a_table_at_work_does_not_hide_records_of_a_life_that_ends_meanwhile() {
    on_every_store(|kv| {
        for table in [1, 5] {
            load_table(kv, Incarnation(1), TableId(table), "rows");
        }
        commit(kv, |batch| {
            catalog::give_up_table(batch, Incarnation(1), TableId(5), at(0));
        });
        let mut sweeper = Sweeper::default();
        assert!(sweeper.sweep(kv, Instant::MAX, 2).unwrap());
        commit(kv, |batch| {
            catalog::drop_incarnation(batch, Incarnation(1), at(0));
        });
        while sweeper.sweep(kv, Instant::MAX, 2).unwrap() {}
        assert!(dump(kv).is_empty());
    });
}

#[test]
fn deletes_that_a_reopening_lost_are_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    let is_as_left = end_a_life(&kv);
    let mut sweeper = Sweeper::default();
    let before = dump(&kv);
    assert!(sweeper.sweep(&kv, due(), BUDGET).unwrap());
    let mut lost = before;
    dump(&kv).keys().for_each(|place| drop(lost.remove(place)));
    assert_eq!(lost.len(), BUDGET);
    kv.reopen().unwrap();
    commit(&kv, |batch| {
        for ((space, key), value) in lost {
            batch.put(space, key, value);
        }
    });
    while sweeper.sweep(&kv, due(), BUDGET).unwrap() {}
    is_as_left(&kv);
}

#[test]
fn a_table_is_kept_for_an_hour_after_its_end_or_its_lifes() {
    on_every_store(|kv| {
        commit(kv, |batch| {
            for life in [1, 2] {
                for table in [1, 2] {
                    let (life, table) = (Incarnation(life), TableId(table));
                    catalog::put_table(batch, life, table, catalog::TableState::Live);
                }
            }
            catalog::give_up_table(batch, Incarnation(1), TableId(2), ended_at());
            catalog::drop_incarnation(batch, Incarnation(2), ended_at());
        });
        let is_kept = |life, table, now| {
            let snapshot = kv.snapshot().unwrap();
            catalog::is_kept(&*snapshot, Incarnation(life), TableId(table), now).unwrap()
        };
        assert!(is_kept(1, 1, Instant::MAX));
        assert!(!is_kept(1, 3, ended_at()), "there is none");
        for (life, table) in [(1, 2), (2, 1)] {
            assert!(is_kept(life, table, before_due()));
            assert!(!is_kept(life, table, due()));
        }
        sweep_all(kv, due());
        assert!(!is_kept(1, 2, ended_at()), "it was swept");
    });
}
