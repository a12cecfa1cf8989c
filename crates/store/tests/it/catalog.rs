//! Owns the tests of the records in `meta`.
//!
//! Must not test what callers do with them.

use std::time::Duration;

use sanntid_engine::Record;
use sanntid_store::{
    FjallKv, Kv, Snapshot, WriteBatch,
    catalog::{self, TableState},
};
use sanntid_types::{
    Assignment, Incarnation, InstanceAccess, Job, JobStatus, Position, PrincipalId, PrincipalType,
    RefreshClears, Role, Settings, TableId,
};

use crate::{
    life,
    samples::{at, commit, instance_id, job_id, on_every_store, open, snapshot_id, tenant},
};

const LIFE: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(2);

fn read<T>(kv: &dyn Kv, read: impl FnOnce(&dyn Snapshot) -> T) -> T {
    read(&*kv.snapshot().expect("readable"))
}

fn take_number(kv: &dyn Kv) -> u64 {
    let snapshot = kv.snapshot().expect("readable");
    let mut batch = WriteBatch::new();
    let number = catalog::next_incarnation(&*snapshot, &mut batch).expect("a number");
    drop(snapshot);
    kv.commit(batch).expect("accepted");
    number.0
}

#[test]
fn instances_read_back_in_the_order_of_their_ids() {
    on_every_store(|kv| {
        let [a, b, c] = [1, 2, 3].map(|number| life::instance(Incarnation(number)));
        commit(kv, |batch| {
            for record in [&c, &a, &b] {
                catalog::put_instance(batch, record);
            }
        });
        let renamed = catalog::InstanceRecord {
            incarnation: Incarnation(9),
            ..b
        };
        commit(kv, |batch| {
            catalog::put_instance(batch, &renamed);
            catalog::remove_instance(batch, a.info.id);
        });
        read(kv, |snapshot| {
            let all: Vec<_> = catalog::instances(snapshot).map(|i| i.unwrap()).collect();
            assert_eq!(all, [renamed.clone(), c.clone()]);
            let find = |number| catalog::instance(snapshot, instance_id(number)).unwrap();
            assert_eq!(find(1), None);
            assert_eq!(find(2), Some(renamed.clone()));
            assert_eq!(find(3), Some(c.clone()));
        });
    });
}

#[test]
fn numbers_go_on_after_each_commit_and_within_a_batch() {
    on_every_store(|kv| {
        assert_eq!(
            [take_number(kv), take_number(kv), take_number(kv)],
            [1, 2, 3]
        );
        let snapshot = kv.snapshot().unwrap();
        let mut batch = WriteBatch::new();
        let lives = [(); 2].map(|()| catalog::next_incarnation(&*snapshot, &mut batch).unwrap());
        assert_eq!(lives.map(|life| life.0), [4, 5]);
        let mut table = |life| catalog::next_table(&*snapshot, &mut batch, life).unwrap().0;
        assert_eq!(
            [table(LIFE), table(LIFE), table(OTHER), table(LIFE)],
            [1, 2, 1, 3]
        );
        drop(snapshot);
        kv.commit(batch).unwrap();
        assert_eq!(take_number(kv), 6);
        let snapshot = kv.snapshot().unwrap();
        let next = catalog::next_table(&*snapshot, &mut WriteBatch::new(), LIFE).unwrap();
        assert_eq!(next, TableId(4));
    });
}

#[test]
fn an_incarnation_is_never_used_again_after_any_ending() {
    let directory = tempfile::tempdir().unwrap();
    let mut used = Vec::new();
    let mut kv: FjallKv = open(directory.path());
    for round in 0..6 {
        used.push(take_number(&kv));
        let last = Incarnation(*used.last().unwrap());
        commit(&kv, |batch| catalog::drop_incarnation(batch, last, at(0)));
        match round % 3 {
            0 => kv.reopen().unwrap(),
            1 => while sanntid_store::sweep(&kv, at(9000), 100).unwrap() {},
            _ => {
                kv.close().unwrap();
                drop(kv);
                kv = open(directory.path());
            }
        }
    }
    assert_eq!(used, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_tenants_state_reads_back_with_the_head_of_its_last_write() {
    on_every_store(|kv| {
        assert_eq!(read(kv, |s| catalog::tenant(s, LIFE)).unwrap(), None);
        let mut state = tenant(LIFE, TableId(4));
        commit(kv, |batch| catalog::put_tenant(batch, &state));
        assert_eq!(
            read(kv, |s| catalog::tenant(s, LIFE)).unwrap(),
            Some(state.clone())
        );
        for number in [3, 4] {
            let (position, accepted_at) = (Position(number), at(number.cast_signed()));
            let head = Record::Head {
                position,
                accepted_at,
            };
            commit(kv, |batch| catalog::put_records(batch, LIFE, &[head]));
        }
        // Written by someone who knows an older head only.
        state.settings = Settings {
            refresh_clears: RefreshClears::Never,
            as_of_margin: Duration::from_nanos(1_000_000_007),
            rows_rejected_max_percent: 0.1 + 0.2,
            ..Settings::default()
        };
        commit(kv, |batch| catalog::put_tenant(batch, &state));
        state.position = Position(4);
        state.accepted_at = Some(at(4));
        assert_eq!(read(kv, |s| catalog::tenant(s, LIFE)).unwrap(), Some(state));
        assert_eq!(read(kv, |s| catalog::tenant(s, OTHER)).unwrap(), None);
    });
}

fn job(seconds: u64, status: JobStatus) -> Job {
    Job {
        id: job_id(seconds),
        status,
        ..life::queued_job()
    }
}

#[test]
fn jobs_read_back_newest_first_and_unended_ones_are_listed() {
    on_every_store(|kv| {
        commit(kv, |batch| {
            for (seconds, status) in [
                (3, JobStatus::Queued),
                (1, JobStatus::Running),
                (2, JobStatus::Successful),
                (4, JobStatus::Skipped),
            ] {
                catalog::put_job(batch, LIFE, &job(seconds, status));
            }
            catalog::put_job(batch, OTHER, &job(0, JobStatus::Queued));
        });
        let ids = |kv: &dyn Kv| -> Vec<_> {
            read(kv, |s| {
                catalog::jobs(s, LIFE).map(|job| job.unwrap().id).collect()
            })
        };
        assert_eq!(ids(kv), [4, 3, 2, 1].map(job_id));
        let active = read(kv, catalog::active_jobs).unwrap();
        let expected = [(LIFE, job_id(1)), (LIFE, job_id(3)), (OTHER, job_id(0))];
        assert_eq!(active, expected);
        let own = |kv: &dyn Kv| read(kv, |s| catalog::active_jobs_of(s, LIFE)).unwrap();
        assert_eq!(own(kv), [1, 3].map(job_id));
        for status in [JobStatus::Failed, JobStatus::TimedOut, JobStatus::Aborted] {
            commit(kv, |b| {
                catalog::put_job(b, LIFE, &job(1, JobStatus::Running))
            });
            commit(kv, |b| catalog::put_job(b, LIFE, &job(1, status)));
            assert_eq!(own(kv), [job_id(3)]);
        }
        let found = read(kv, |s| catalog::job(s, LIFE, job_id(1))).unwrap();
        assert_eq!(found, Some(job(1, JobStatus::Aborted)));
        assert_eq!(
            read(kv, |s| catalog::job(s, OTHER, job_id(1))).unwrap(),
            None
        );
        assert_eq!(ids(kv).len(), 4);
    });
}

#[test]
fn jobs_of_an_ended_life_are_not_active() {
    on_every_store(|kv| {
        commit(kv, |batch| {
            catalog::put_job(batch, LIFE, &job(1, JobStatus::Running));
            catalog::put_job(batch, OTHER, &job(2, JobStatus::Running));
            catalog::drop_incarnation(batch, LIFE, at(0));
        });
        let active = read(kv, catalog::active_jobs).unwrap();
        assert_eq!(active, [(OTHER, job_id(2))]);
        assert!(
            read(kv, |s| catalog::active_jobs_of(s, LIFE))
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn tables_are_listed_until_they_are_given_up() {
    on_every_store(|kv| {
        let loading = TableState::Loading(job_id(1));
        commit(kv, |batch| {
            catalog::put_table(batch, LIFE, TableId(256), TableState::Live);
            catalog::put_table(batch, LIFE, TableId(1), loading);
            catalog::put_table(batch, LIFE, TableId(2), loading);
            catalog::put_table(batch, OTHER, TableId(3), TableState::Live);
        });
        let tables = |kv: &dyn Kv| read(kv, |s| catalog::tables(s, LIFE)).unwrap();
        let (first, last) = ((TableId(1), loading), (TableId(256), TableState::Live));
        assert_eq!(tables(kv), [first, (TableId(2), loading), last]);
        commit(kv, |batch| {
            catalog::give_up_table(batch, LIFE, TableId(1), at(0));
            catalog::put_table(batch, LIFE, TableId(2), TableState::Live);
        });
        assert_eq!(tables(kv), [(TableId(2), TableState::Live), last]);
    });
}

#[test]
fn rejections_read_back_in_the_order_in_which_they_were_met() {
    on_every_store(|kv| {
        commit(kv, |batch| {
            for number in [256, 2, 1] {
                let met = life::rejection(number);
                catalog::put_rejection(batch, LIFE, job_id(1), number, &met);
                catalog::put_rejection(batch, LIFE, job_id(2), number, &met);
                catalog::put_rejection(batch, OTHER, job_id(1), number, &met);
            }
        });
        let found: Vec<_> = read(kv, |snapshot| {
            let found = catalog::rejections(snapshot, LIFE, job_id(1));
            found.map(|rejection| rejection.unwrap()).collect()
        });
        assert_eq!(found, [1, 2, 256].map(life::rejection));
    });
}

#[test]
fn uploads_read_back_until_they_are_removed() {
    on_every_store(|kv| {
        let first = life::upload();
        let second = catalog::UploadRecord {
            id: snapshot_id(9),
            job: None,
            parts: Vec::new(),
            ..first.clone()
        };
        commit(kv, |batch| {
            catalog::put_upload(batch, LIFE, &second);
            catalog::put_upload(batch, LIFE, &first);
            catalog::put_upload(batch, OTHER, &first);
        });
        let all = |kv: &dyn Kv, life| -> Vec<_> {
            read(kv, |s| {
                catalog::uploads(s, life).map(|u| u.unwrap()).collect()
            })
        };
        assert_eq!(all(kv, LIFE), [first.clone(), second.clone()]);
        let found = read(kv, |s| catalog::upload(s, LIFE, second.id)).unwrap();
        assert_eq!(found, Some(second.clone()));
        commit(kv, |batch| catalog::remove_upload(batch, LIFE, first.id));
        assert_eq!(
            read(kv, |s| catalog::upload(s, LIFE, first.id)).unwrap(),
            None
        );
        assert_eq!(all(kv, LIFE), [second]);
        assert_eq!(all(kv, OTHER), [first]);
    });
}

#[test]
fn the_instances_of_a_principal_are_those_whose_record_names_it() {
    let named = |names: &[&str]| {
        let given = |name: &&str| Assignment {
            principal: PrincipalId::parse(name).expect("a principal"),
            kind: PrincipalType::User,
            roles: vec![Role::Viewer],
        };
        InstanceAccess {
            assignments: names.iter().map(given).collect(),
            ..InstanceAccess::default()
        }
    };
    on_every_store(|kv| {
        let none = InstanceAccess::default();
        let (first, second) = (named(&["kari", "ola"]), named(&["kari", "kari2"]));
        let [one, two] = [1, 2].map(instance_id);
        commit(kv, |batch| {
            catalog::put_access(batch, two, &none, &second);
            catalog::put_access(batch, one, &none, &first);
        });
        let of = |name: &str| {
            let name = PrincipalId::parse(name).expect("a principal");
            read(kv, |snapshot| {
                catalog::instances_of(snapshot, &name).unwrap()
            })
        };
        assert_eq!(
            (of("kari"), of("ola"), of("kari2")),
            (vec![one, two], vec![one], vec![two])
        );
        assert_eq!((of("kar"), of("Kari")), (vec![], vec![]));
        read(kv, |snapshot| {
            assert_eq!(catalog::access(snapshot, one).unwrap(), Some(first.clone()));
        });
        let changed = named(&["kari", "per"]);
        commit(kv, |batch| {
            catalog::put_access(batch, one, &first, &changed);
            catalog::remove_access(batch, two, &second);
        });
        assert_eq!(
            (of("kari"), of("ola"), of("per")),
            (vec![one], vec![], vec![one])
        );
        assert_eq!(of("kari2"), vec![]);
        read(kv, |snapshot| {
            assert_eq!(catalog::access(snapshot, two).unwrap(), None)
        });
    });
}
