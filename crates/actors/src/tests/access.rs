//! Owns the tests of who may do what: a change holds from its answer on, and what is kept in memory
//! is never older than what is stored.

use std::collections::{BTreeMap, btree_map::Entry};
use std::sync::Arc;

use sanntid_engine::{Access, CallError, Tenants, key_hash};
use sanntid_store::{Fault, FaultyKv, MemoryKv};
use sanntid_types::{
    Actor, Assignment, ErrorCode, InstanceAccess, InstanceId, KeySlot, PrincipalId, PrincipalType,
    Role,
};

use super::{
    samples::{code, id},
    world::{World, config, run},
};

fn by() -> Actor {
    Actor {
        name: "key:primary".to_owned(),
        ..super::me()
    }
}

fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).expect("a principal")
}

fn assignment(name: &str, role: Role) -> Assignment {
    Assignment {
        principal: principal(name),
        kind: PrincipalType::User,
        roles: vec![role],
    }
}

fn access(world: &World, of: InstanceId) -> Arc<InstanceAccess> {
    let access = world.node.access(of).expect("readable");
    access.expect("there is such an instance")
}

async fn instances_of(world: &World, names: &[&str]) -> Vec<InstanceId> {
    let names = names.iter().map(|name| principal(name)).collect();
    let found = world.node.instances_of(names).await.expect("readable");
    found.into_iter().map(|info| info.id).collect()
}

#[test]
fn a_key_is_made_once_kept_as_a_hash_and_survives_a_crash() {
    run(async {
        let mut world = World::new();
        let one = world.empty_instance(1).await;
        assert_eq!(*access(&world, one), InstanceAccess::default());
        let mut texts = Vec::new();
        for slot in [KeySlot::Primary, KeySlot::Secondary, KeySlot::Primary] {
            let made = world.node.renew_key(one, slot, by()).await.expect("made");
            assert_eq!(
                (made.slot, made.key.made_by.as_str()),
                (slot, "key:primary")
            );
            assert_eq!(made.key.hash, *key_hash(&made.text).as_bytes());
            assert!(made.text.starts_with(&format!("snt_{}_", one.0.simple())));
            assert!(made.text.ends_with(&made.key.hint) && made.key.hint.len() == 4);
            assert_eq!(access(&world, one).keys.get(slot), Some(&made.key));
            texts.push(made.text);
        }
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), 3, "no two keys are the same");
        let before = access(&world, one);
        assert!(before.keys.secondary.is_some(), "the other one stays");
        world.crash().await;
        assert_eq!(access(&world, one), before);
    });
}

#[test]
fn what_is_not_named_about_the_keys_stays() {
    run(async {
        let world = World::new();
        let one = world.empty_instance(1).await;
        let set = |enabled, role| world.node.set_keys(one, enabled, role, by());
        set(None, Some(Role::Viewer)).await.expect("set");
        set(Some(false), None).await.expect("set");
        let keys = set(None, None).await.expect("set");
        assert_eq!((keys.enabled, keys.role), (false, Role::Viewer));
        assert_eq!(access(&world, one).keys, keys);
    });
}

#[test]
fn an_instance_that_does_not_exist_has_no_access_to_change() {
    run(async {
        let world = World::new();
        let (node, gone) = (&world.node, id(9));
        assert!(node.access(gone).expect("readable").is_none());
        let not_found = Some(ErrorCode::InstanceNotFound);
        let renewed = node.renew_key(gone, KeySlot::Primary, by()).await;
        assert_eq!(code(renewed), not_found);
        let given = node.assign(gone, assignment("kari", Role::Viewer), by());
        assert_eq!(code(given.await), not_found);
        let taken = node.unassign(gone, principal("kari"), by()).await;
        assert_eq!(code(taken), not_found);
        assert_eq!(instances_of(&world, &["kari"]).await, []);
    });
}

#[test]
fn there_are_only_so_many_assignments() {
    run(async {
        let config = crate::Config {
            assignments_max: 2,
            ..config()
        };
        let world = World::with(config, Arc::new(MemoryKv::new()));
        let one = world.empty_instance(1).await;
        let give = |name| world.node.assign(one, assignment(name, Role::Viewer), by());
        for name in ["kari", "ola", "kari"] {
            give(name).await.expect("given");
        }
        assert_eq!(code(give("per").await), Some(ErrorCode::InvalidArgument));
        world
            .node
            .unassign(one, principal("ola"), by())
            .await
            .expect("taken");
        assert_eq!(give("per").await.expect("given").len(), 2);
    });
}

/// Steps through the same operations as a model, by a fixed sequence.
#[test]
fn the_list_of_a_principals_instances_follows_every_change() {
    const NAMES: [&str; 4] = ["kari", "ola", "Kari", "kar"];
    run(async {
        let mut world = World::new();
        let mut model: BTreeMap<InstanceId, BTreeMap<&str, Role>> = BTreeMap::new();
        let mut state = 7_u64;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from((state >> 33) % below).expect("small")
        };
        for step in 0..400 {
            let one = id(1 + next(4) as u128);
            let (name, role) = (NAMES[next(4)], Role::ALL[next(3)]);
            if let Entry::Vacant(missing) = model.entry(one) {
                world.empty_instance(one.0.as_u128()).await;
                missing.insert(BTreeMap::new());
            }
            match next(10) {
                0..5 => {
                    let given = world.node.assign(one, assignment(name, role), by());
                    given.await.expect("given");
                    model.entry(one).or_default().insert(name, role);
                }
                5..8 => {
                    let taken = world.node.unassign(one, principal(name), by());
                    taken.await.expect("taken");
                    model.entry(one).or_default().remove(name);
                }
                8 if next(3) == 0 => {
                    world
                        .node
                        .delete_instance(one, super::me())
                        .await
                        .expect("deleted");
                    model.remove(&one);
                    assert!(world.node.access(one).expect("readable").is_none());
                }
                8 => world
                    .node
                    .reset_instance(one, super::me())
                    .await
                    .expect("reset"),
                _ if step % 7 == 0 => world.crash().await,
                _ => {}
            }
            for name in NAMES {
                let has =
                    |(_, roles): &(&InstanceId, &BTreeMap<&str, Role>)| roles.contains_key(name);
                let expected: Vec<InstanceId> =
                    model.iter().filter(has).map(|(one, _)| *one).collect();
                assert_eq!(
                    instances_of(&world, &[name]).await,
                    expected,
                    "{step} {name}"
                );
            }
            for (one, roles) in &model {
                let known = access(&world, *one);
                let known = known.assignments.iter();
                let known: Vec<_> = known.map(|a| (a.principal.as_str(), a.roles[0])).collect();
                let roles: Vec<_> = roles.iter().map(|(name, role)| (*name, *role)).collect();
                assert_eq!(known, roles, "{step}");
            }
        }
    });
}

#[test]
fn a_change_whose_commit_failed_is_shown_as_it_is_once_that_is_known() {
    for (fault, is_stored) in [(Fault::Lost, false), (Fault::Stored, true)] {
        run(async {
            let kv = Arc::new(FaultyKv::new(MemoryKv::new()));
            let world = World::with(config(), kv.clone());
            let one = world.empty_instance(1).await;
            let made = world.node.renew_key(one, KeySlot::Primary, by()).await;
            let before = made.expect("made").key;
            kv.fail_after(0, fault);
            let made = world.node.renew_key(one, KeySlot::Primary, by()).await;
            assert!(matches!(made, Err(CallError::Unknown)), "{fault:?}");
            let primary = || access(&world, one).keys.primary.clone();
            assert_eq!(
                primary().as_ref(),
                Some(&before),
                "{fault:?}: not yet known"
            );
            let again = world.node.renew_key(one, KeySlot::Secondary, by()).await;
            assert_eq!(code(again), Some(ErrorCode::StorePoisoned));
            world.node.shared.look_after(false).await;
            let is_new = primary().as_ref() != Some(&before);
            assert_eq!(is_new, is_stored, "{fault:?}");
            assert!(access(&world, one).keys.secondary.is_none());
        });
    }
}
