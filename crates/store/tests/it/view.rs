//! Owns the tests of the view: whatever was written reads back, in order, and nothing of others.
//!
//! Must not test what shows: the core decides that.

use sanntid_engine::{Owner, Record, SourceContent, View, ViewError};
use sanntid_store::{Kv, Loader, catalog};
use sanntid_types::{Incarnation, Instant, Position, ProfileId, TableId};

use crate::samples::{
    activity, activity_id, at, commit, entity, odd_ids, on_every_store, overlay, owner_key,
    profile_id, put_overlay, row, view,
};

const LIFE: Incarnation = Incarnation(1);
const TABLE: TableId = TableId(1);
/// Neighbours whose records must never be mixed up with those of `LIFE` and `TABLE`.
const OTHERS: [(Incarnation, TableId); 4] = [
    (LIFE, TableId(2)),
    (LIFE, TableId(256)),
    (Incarnation(2), TABLE),
    (Incarnation(u64::MAX), TableId(u64::MAX)),
];

/// Loads the same into `TABLE` and its neighbours; the tag tells them apart.
fn load_everywhere(kv: &dyn Kv, fill: impl Fn(&mut Loader<'_>, TableId, &str)) {
    for (index, (life, table)) in OTHERS.into_iter().chain([(LIFE, TABLE)]).enumerate() {
        let tag = if index == OTHERS.len() {
            "own"
        } else {
            "other"
        };
        let mut loader = Loader::new(kv, life);
        fill(&mut loader, table, tag);
        loader.finish().expect("loaded");
    }
}

fn collect<T>(read: impl Iterator<Item = Result<T, ViewError>>) -> Vec<T> {
    read.collect::<Result<_, _>>().expect("readable")
}

#[test]
fn profiles_read_back_in_the_order_of_their_ids_after_any_id() {
    on_every_store(|kv| {
        let ids: Vec<ProfileId> = odd_ids().iter().map(|id| profile_id(id)).collect();
        load_everywhere(kv, |loader, table, tag| {
            for id in ids.iter().rev() {
                loader
                    .profile(table, id, &row(&format!("{tag} {id}")))
                    .unwrap();
            }
        });
        let view = view(kv, LIFE);
        for (index, id) in ids.iter().enumerate() {
            let own = row(&format!("own {id}"));
            assert_eq!(view.profile(TABLE, id).unwrap(), Some(own), "{id}");
            let rest = collect(view.profiles(TABLE, Some(id)));
            let rest: Vec<_> = rest.into_iter().map(|(id, _)| id).collect();
            assert_eq!(rest, ids[index + 1..], "after {id}");
        }
        let all = collect(view.profiles(TABLE, None));
        let expected = ids.iter().map(|id| (id.clone(), row(&format!("own {id}"))));
        assert_eq!(all, expected.collect::<Vec<_>>());
        let between = profile_id("a/");
        assert_eq!(view.profile(TABLE, &between).unwrap(), None);
        let next = collect(view.profiles(TABLE, Some(&between)));
        assert_eq!(next.first().map(|(id, _)| id.as_str()), Some("a/b"));
        assert!(collect(view.profiles(TableId(3), None)).is_empty());
    });
}

#[test]
fn keys_of_any_length_and_content_resolve_to_their_profile_alone() {
    let long = "k".repeat(513);
    let longer = format!("{long}k");
    let huge = "é".repeat(100_000);
    let keys = [
        ("S_C", ""),
        ("", "S_C"),
        ("", ""),
        ("S_C", "a"),
        ("S_Ca", ""),
        ("S_", "Ca"),
        ("S_C", "a\0"),
        ("S_C\0a", ""),
        ("S_C", "\0"),
        ("S_C", "\u{1}"),
        ("S_C", "\u{2}"),
        ("S_C", &long[..512]),
        ("S_C", &long),
        ("S_C", &longer),
        ("S_C", &huge),
        (&long, "a"),
    ];
    on_every_store(|kv| {
        load_everywhere(kv, |loader, table, tag| {
            for (index, (entity, key)) in keys.iter().enumerate() {
                let id = profile_id(&format!("{tag} {index}"));
                loader.key_of(table, entity, key, &id).unwrap();
            }
        });
        let view = view(kv, LIFE);
        for (index, (entity, key)) in keys.iter().enumerate() {
            let found = view.resolve_key(TABLE, entity, key).unwrap();
            assert_eq!(found, Some(profile_id(&format!("own {index}"))), "{index}");
        }
        for (entity, key) in [
            ("S_C", "b"),
            ("S_c", "a"),
            ("S_C", "kk"),
            ("S_C", &huge[2..]),
        ] {
            assert_eq!(view.resolve_key(TABLE, entity, key).unwrap(), None);
        }
    });
}

#[test]
fn redirects_read_back_from_both_ends() {
    on_every_store(|kv| {
        let ids = odd_ids();
        load_everywhere(kv, |loader, table, tag| {
            for (index, old) in ids.iter().enumerate() {
                // Two targets of which one is a prefix of the other.
                let new = profile_id(if index.is_multiple_of(2) { tag } else { "own/" });
                loader
                    .redirect(table, &profile_id(old), &new, at(7))
                    .unwrap();
            }
        });
        let view = view(kv, LIFE);
        let (even, odd) = (profile_id("own"), profile_id("own/"));
        let target = |index: usize| if index.is_multiple_of(2) { &even } else { &odd };
        for (index, old) in ids.iter().enumerate() {
            let found = view.redirect(TABLE, &profile_id(old)).unwrap();
            assert_eq!(found.as_ref(), Some(target(index)), "{old}");
        }
        assert_eq!(view.redirect(TABLE, &even).unwrap(), None);
        let all: Vec<_> = view.redirects(TABLE).map(|entry| entry.unwrap()).collect();
        let expected = ids.iter().enumerate();
        let expected = expected.map(|(i, old)| (profile_id(old), (target(i).clone(), at(7))));
        assert_eq!(all, expected.collect::<Vec<_>>());
        for (start, new) in [(0, &even), (1, &odd)] {
            let former = ids.iter().skip(start).step_by(2).map(|id| profile_id(id));
            assert_eq!(
                view.former_ids(TABLE, new).unwrap(),
                former.collect::<Vec<_>>()
            );
        }
        assert!(
            view.former_ids(TABLE, &profile_id("ow"))
                .unwrap()
                .is_empty()
        );
        assert!(
            view.former_ids(TABLE, &profile_id("other"))
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn rows_of_other_entities_read_back_by_key_and_in_its_order() {
    on_every_store(|kv| {
        let keys = ["", "a", "a/b", "aa", "b"];
        load_everywhere(kv, |loader, table, tag| {
            for key in keys.iter().rev() {
                loader
                    .row(table, key, &row(&format!("{tag} {key}")))
                    .unwrap();
            }
        });
        let view = view(kv, LIFE);
        let rows: Vec<_> = view.rows(TABLE).map(|entry| entry.unwrap()).collect();
        assert_eq!(rows, keys.map(|key| row(&format!("own {key}"))));
        assert!(keys.iter().all(|key| view.has_row(TABLE, key).unwrap()));
        assert!(!view.has_row(TABLE, "c").unwrap());
        assert!(!view.has_row(TABLE, "a/").unwrap());
    });
}

#[test]
fn source_timelines_go_newest_first_then_by_id_up_to_an_instant() {
    // In the order of a timeline.
    let entries = [
        (Instant::MAX, "z"),
        (at(9), "b"),
        (at(5), "a"),
        (at(5), "a/"),
        (at(5), "é"),
        (at(4), "c"),
        (Instant::from_millis(0), "e0"),
        (Instant::from_millis(-1), "e1"),
        (Instant::MIN, "d"),
    ];
    let orders = entity("Shop_Orders");
    on_every_store(|kv| {
        load_everywhere(kv, |loader, table, tag| {
            for profile in ["p", "p2", "p/"] {
                let profile_id = profile_id(profile);
                for (time, id) in entries.iter().rev() {
                    let id = activity_id(&format!("{profile}:{id}"));
                    let text = row(&format!("{tag} {id}"));
                    let profile = Some(&profile_id);
                    loader
                        .activity(table, &orders, &id, *time, profile, &text)
                        .unwrap();
                }
            }
            let aside = activity_id("aside");
            loader
                .activity(table, &orders, &aside, at(6), None, &row(tag))
                .unwrap();
        });
        let view = view(kv, LIFE);
        let p = profile_id("p");
        for until in [Instant::MAX, at(9), at(5), at(3), Instant::MIN] {
            let found = collect(view.source_timeline(TABLE, &p, until));
            let places: Vec<_> = found.iter().map(|a| (a.time, a.id.to_string())).collect();
            let expected = entries.iter().filter(|(time, _)| *time <= until);
            let expected = expected.map(|(time, id)| (*time, format!("p:{id}")));
            assert_eq!(places, expected.collect::<Vec<_>>(), "until {until}");
            for activity in &found {
                let content = SourceContent::Row {
                    entity: orders.clone(),
                    row: row(&format!("own {}", activity.id)),
                };
                assert_eq!(activity.content, content);
                assert_eq!(activity.profile, Some(p.clone()));
                let alone = view.source_activity(TABLE, &activity.id).unwrap();
                assert_eq!(alone.as_ref(), Some(activity));
            }
        }
        let aside = view
            .source_activity(TABLE, &activity_id("aside"))
            .unwrap()
            .unwrap();
        let content = SourceContent::Row {
            entity: orders.clone(),
            row: row("own"),
        };
        assert_eq!(
            (aside.profile, aside.time, aside.content),
            (None, at(6), content)
        );
        assert_eq!(
            view.source_activity(TABLE, &activity_id("p:")).unwrap(),
            None
        );
        assert!(collect(view.source_timeline(TABLE, &profile_id("q"), Instant::MAX)).is_empty());
    });
}

#[test]
fn overlays_read_back_alone_and_in_order_and_an_empty_one_is_gone() {
    on_every_store(|kv| {
        let ids = odd_ids();
        let written = |life: u64, index: usize| {
            let accepted = at(i64::try_from(index).unwrap() + i64::from(life == 2));
            overlay(&[(accepted, at(1000)), (accepted, at(2000))])
        };
        for life in [1, 2, u64::MAX] {
            let ids = ids.iter().enumerate().rev();
            let records: Vec<_> = ids
                .map(|(i, id)| put_overlay(id, written(life, i)))
                .collect();
            commit(kv, |b| catalog::put_records(b, Incarnation(life), &records));
        }
        for life in [1, 2, u64::MAX] {
            let view = view(kv, Incarnation(life));
            let all: Vec<_> = view.overlays().map(|entry| entry.unwrap()).collect();
            let expected = ids.iter().enumerate();
            let expected = expected.map(|(i, id)| (profile_id(id), written(life, i)));
            assert_eq!(all, expected.collect::<Vec<_>>());
            for (id, overlay) in all {
                assert_eq!(view.overlay(&id).unwrap(), Some(overlay));
            }
            assert_eq!(view.overlay(&profile_id("a/")).unwrap(), None);
        }
        let empty = put_overlay("a", sanntid_engine::Overlay::default());
        commit(kv, |batch| catalog::put_records(batch, LIFE, &[empty]));
        assert_eq!(view(kv, LIFE).overlay(&profile_id("a")).unwrap(), None);
        assert_eq!(view(kv, LIFE).overlays().count(), ids.len() - 1);
        let other = view(kv, Incarnation(2)).overlay(&profile_id("a")).unwrap();
        assert!(other.is_some());
    });
}

#[test]
fn realtime_activities_stand_in_the_timeline_of_their_owner_alone() {
    let long = "k".repeat(600);
    let owners = [
        Owner::Profile(profile_id("p")),
        Owner::Profile(profile_id("p/")),
        Owner::Profile(profile_id("k")),
        owner_key("p", ""),
        owner_key("", "p"),
        owner_key("S_C", "a\0b"),
        owner_key("S_C", &long),
        owner_key("S_C", &long[1..]),
    ];
    let entries = [
        (Instant::MAX, "z"),
        (at(5), "a"),
        (at(5), "a/"),
        (at(4), "c"),
        (Instant::MIN, "d"),
    ];
    on_every_store(|kv| {
        for (life, expires_at) in [(LIFE, at(10)), (Incarnation(2), at(20))] {
            let mut records = Vec::new();
            for (index, owner) in owners.iter().enumerate() {
                for (time, id) in entries.iter().rev() {
                    records.push(activity(owner, *time, &format!("{index}:{id}"), expires_at));
                }
            }
            commit(kv, |batch| catalog::put_records(batch, life, &records));
        }
        let view = view(kv, LIFE);
        for (index, owner) in owners.iter().enumerate() {
            for until in [Instant::MAX, at(5), at(4), Instant::MIN] {
                let found = collect(view.realtime_timeline(owner, until));
                let expected = entries.iter().filter(|(time, _)| *time <= until);
                let expected = expected
                    .map(|(time, id)| activity(owner, *time, &format!("{index}:{id}"), at(10)));
                let expected: Vec<_> = expected.collect();
                assert_eq!(found.len(), expected.len(), "{owner:?} until {until}");
                for (found, record) in found.into_iter().zip(expected) {
                    let Record::Activity { activity, identity } = record else {
                        unreachable!("made as an activity")
                    };
                    assert_eq!(found, *activity);
                    let (id, time) = (&found.activity.id, found.activity.time);
                    assert_eq!(view.identity(id).unwrap(), Some(identity));
                    let alone = view.realtime_activity(owner, time, id).unwrap();
                    assert_eq!(alone, Some(found.clone()));
                    let elsewhere = view.realtime_activity(owner, at(1), id).unwrap();
                    assert_eq!(elsewhere, None);
                }
            }
        }
        assert_eq!(view.identity(&activity_id("nobody's")).unwrap(), None);
        let all: Vec<_> = view.realtime_activities().map(|a| a.unwrap()).collect();
        assert_eq!(all.len(), owners.len() * entries.len());
        assert!(all.iter().all(|activity| activity.expires_at == at(10)));
    });
}

#[test]
fn a_row_that_its_place_promises_and_nobody_holds_is_corruption() {
    on_every_store(|kv| {
        let orders = entity("Shop_Orders");
        let (p, id) = (profile_id("p"), activity_id("a"));
        let mut loader = Loader::new(kv, LIFE);
        loader
            .activity(TABLE, &orders, &id, at(1), Some(&p), &row("r"))
            .unwrap();
        loader.finish().unwrap();
        let in_timeline = crate::samples::dump(kv).into_keys();
        let in_timeline = in_timeline.filter(|(_, key)| key.get(16) == Some(&b's'));
        commit(kv, |batch| {
            in_timeline.for_each(|(space, key)| batch.delete(space, key))
        });
        let found = view(kv, LIFE).source_activity(TABLE, &id);
        assert!(matches!(found, Err(ViewError::Corrupt(_))), "{found:?}");
    });
}

#[test]
fn a_head_belongs_to_its_life() {
    on_every_store(|kv| {
        for (life, position) in [(LIFE, 3), (Incarnation(2), 9)] {
            let head = Record::Head {
                position: Position(position),
                accepted_at: at(1),
            };
            commit(kv, |batch| {
                catalog::put_tenant(batch, &crate::samples::tenant(life, TABLE));
                catalog::put_records(batch, life, &[head]);
            });
        }
        let snapshot = kv.snapshot().unwrap();
        let own = catalog::tenant(&*snapshot, LIFE).unwrap().unwrap();
        assert_eq!((own.position, own.accepted_at), (Position(3), Some(at(1))));
    });
}
