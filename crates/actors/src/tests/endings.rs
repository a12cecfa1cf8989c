//! Owns the tests of ends: of an instance's life, and of a node.

use futures_util::future::{join, join_all};
use sanntid_engine::{NewInstance, Tenants};
use sanntid_store::{Space, catalog};
use sanntid_types::{
    EntityName, ErrorCode, Generation, InstanceName, InstanceType, JobStatus, Settings,
};

use super::{
    samples::{CSV, city, code, customers, id, manifest, noon, orders_shown, seconds, visit},
    world::{World, begun, config, run, start, until},
};

const GONE: Option<ErrorCode> = Some(ErrorCode::InstanceNotFound);
const ROWS: &str = "a,Trondheim,1,ka,\n";

fn named(number: u128, name: &str) -> NewInstance {
    NewInstance {
        id: Some(id(number)),
        name: InstanceName::parse(name).expect("name"),
        instance_type: InstanceType::Trial,
        copy_of: None,
        by: super::me(),
    }
}

#[test]
fn instances_are_created_renamed_and_listed() {
    run(async {
        let mut world = World::new();
        let node = &world.node;
        let created = node
            .create_instance(named(2, "Two"))
            .await
            .expect("created");
        assert_eq!((created.version, created.created_at), (1, noon()));
        node.create_instance(named(1, "One"))
            .await
            .expect("created");
        let again = node.create_instance(named(2, "Other")).await;
        assert_eq!(code(again), Some(ErrorCode::InstanceExists));
        let any = NewInstance {
            id: None,
            ..named(0, "Any")
        };
        let any = node.create_instance(any).await.expect("created");
        node.delete_instance(any.id, super::me())
            .await
            .expect("deleted");
        world.wait(seconds(5));
        let name = InstanceName::parse("Zwei").expect("name");
        let renamed = world.node.rename_instance(id(2), name, super::me()).await;
        let renamed = renamed.expect("renamed");
        assert_eq!(
            (renamed.version, renamed.updated_by.as_str()),
            (2, "server")
        );
        assert_eq!(renamed.updated_at, noon().plus(seconds(5)));
        assert_eq!(renamed.created_by, "server");
        world.crash().await;
        let listed = world.node.instances().await.expect("listed");
        let names: Vec<_> = listed.iter().map(|info| info.name.as_str()).collect();
        assert_eq!(names, ["One", "Zwei"]);
        assert_eq!(world.node.instance(id(2)).await, Ok(renamed));
    });
}

#[test]
fn a_deleted_instance_is_gone_at_once_and_its_id_begins_a_new_life() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        for id in [a, b] {
            world.patch(id, city("a", "Hamar")).await;
            world.append(id, visit("v", "a", "one")).await;
        }
        let upload = world.open(a, manifest(noon(), vec![customers()])).await;
        let name = EntityName::parse("Customer").expect("name");
        let part = world
            .node
            .open_part(a, upload, name, 1, CSV, super::me())
            .await;
        let mut part = part.expect("opened");
        part.write(b"CustomerId\n").expect("written");
        world
            .node
            .delete_instance(a, super::me())
            .await
            .expect("deleted");
        assert_eq!(code(world.node.read(a).await), GONE);
        assert_eq!(code(world.node.patch(a, city("a", "Moss")).await), GONE);
        assert_eq!(
            code(world.node.append(a, visit("v", "a", "one")).await),
            GONE
        );
        assert_eq!(
            code(world.node.commit_snapshot(a, upload, super::me()).await),
            GONE
        );
        assert_eq!(code(world.node.jobs(a, 1).await), GONE);
        let late = tokio::task::spawn_blocking(move || part.finish());
        assert_eq!(code(late.await.unwrap()), GONE);
        assert_eq!(code(world.node.delete_instance(a, super::me()).await), GONE);

        world.instance(1).await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Oslo"));
        assert_eq!(world.timeline(a, "a").await, []);
        assert_eq!(world.position(a), 0);
        assert!(!world.append(a, visit("v", "a", "two")).await.replayed);
        assert_eq!(world.node.jobs(a, 10).await.expect("listed").len(), 1);
        assert_eq!(world.city(b, "a").await.as_deref(), Some("Hamar"));
    });
}

#[test]
fn a_reset_instance_keeps_its_name_and_configuration_and_nothing_else() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        world.configure_orders(a).await;
        let settings = Settings {
            as_of_margin: seconds(3),
            ..Settings::default()
        };
        world
            .node
            .set_settings(a, settings.clone(), super::me())
            .await
            .expect("set");
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        let before = world.node.instance(a).await.expect("described");
        world
            .node
            .reset_instance(a, super::me())
            .await
            .expect("reset");
        for _ in 0..2 {
            let info = world.node.instance(a).await.expect("described");
            assert_eq!(
                (&info.name, info.version),
                (&before.name, before.version + 1)
            );
            let tenant = world.read(a).await.tenant;
            assert_eq!(tenant.settings, settings);
            assert_eq!(tenant.activities, orders_shown());
            assert_eq!(
                (tenant.generation, tenant.entities.len()),
                (Generation(0), 0)
            );
            assert_eq!(world.city(a, "a").await, None);
            let patch = world.node.patch(a, city("a", "Moss")).await;
            assert_eq!(code(patch), Some(ErrorCode::ProfileNotFound));
            assert_eq!(world.node.jobs(a, 10).await, Ok(Vec::new()));
            world.crash().await;
        }
        // An older snapshot than the one before is no older than nothing.
        let job = world.refresh(a, noon().minus(seconds(9999)), ROWS).await;
        assert_eq!(job.status, JobStatus::Successful);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Trondheim"));
        assert_eq!(world.timeline(a, "a").await, []);
    });
}

#[test]
fn writes_before_an_end_are_answered_and_those_behind_it_find_nothing() {
    run(async {
        let world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let before = begun(world.node.patch(a, city("a", "Hamar"))).await;
        let delete = begun(world.node.delete_instance(a, super::me())).await;
        let behind = begun(world.node.patch(a, city("a", "Moss"))).await;
        let read = begun(world.node.read(a)).await;
        let again = begun(world.node.delete_instance(a, super::me())).await;
        drop(blocked);
        let (delete, again) = join(delete, again).await;
        delete.expect("deleted");
        assert_eq!(code(again), GONE);
        before.await.expect("accepted");
        assert_eq!(code(behind.await), GONE);
        assert_eq!(code(read.await), GONE);
        assert_eq!(world.node.shared.registry.len(), 1);
    });
}

#[test]
fn what_an_ended_life_left_is_removed_after_an_hour() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        world
            .node
            .delete_instance(a, super::me())
            .await
            .expect("deleted");
        let left = || {
            let snapshot = world.kv.inner.snapshot().unwrap();
            let spaces = [Space::Base, Space::Overlay, Space::Activities];
            let count = |space| {
                snapshot
                    .prefix(space, b"", sanntid_store::Order::Ascending)
                    .count()
            };
            spaces.into_iter().map(count).sum::<usize>()
        };
        world.node.shared.look_after(true).await;
        assert!(left() > 0);
        world.wait(seconds(3601));
        world.node.shared.look_after(true).await;
        assert_eq!(left(), 0);
        let snapshot = world.kv.inner.snapshot().unwrap();
        assert_eq!(catalog::dropped(&*snapshot).unwrap(), []);
    });
}

#[test]
fn a_node_that_stops_answers_what_it_has_accepted() {
    run(async {
        let mut world = World::new();
        let (a, b) = (world.instance(1).await, world.instance(2).await);
        let blocked = world.block(b).await;
        let writes = ["1", "2", "3"].map(|name| world.node.patch(a, city("a", name)));
        let writes = begun(join_all(writes)).await;
        let stop = begun(Box::pin(world.node.stop())).await;
        drop(blocked);
        let (writes, ()) = join(writes, stop).await;
        assert!(writes.iter().all(Result::is_ok));
        let registry = &world.node.shared.registry;
        until(|| registry.len() == 0).await;
        let unavailable = Some(ErrorCode::TenantUnavailable);
        assert_eq!(code(world.node.patch(a, city("a", "4")).await), unavailable);
        assert_eq!(code(world.node.read(a).await), unavailable);
        assert_eq!(
            code(world.node.delete_instance(a, super::me()).await),
            unavailable
        );
        world.restart().await;
        assert_eq!(world.city(a, "a").await.as_deref(), Some("3"));
        assert_eq!(world.position(a), 3);
    });
}

#[test]
fn a_node_that_stops_interrupts_its_refresh_and_the_next_goes_on_with_the_others() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        world.kv.loads.close();
        let first = world.upload(a, noon(), ROWS).await;
        world.kv.loads.somebody_waits().await;
        let second = world.upload(a, noon(), ROWS).await;
        let progress = world.node.shared.refreshes.progress(a, first.id);
        let progress = progress.expect("it runs");
        let stop = begun(Box::pin(world.node.stop())).await;
        until(|| progress.check().is_err()).await;
        world.kv.loads.reopen();
        stop.await;
        world.restart().await;
        let first = world.ended(a, first.id).await;
        assert_eq!(first.status, JobStatus::Failed);
        assert_eq!(first.error.expect("a reason").code, ErrorCode::Interrupted);
        let second = world.ended(a, second.id).await;
        assert_eq!(second.status, JobStatus::Successful);
        assert_eq!(second.report.expect("a report").generation, Generation(2));
    });
}

#[test]
fn a_node_with_a_wrong_configuration_does_not_start() {
    run(async {
        let world = World::new();
        let wrong = crate::Config {
            shards: 0,
            ..config()
        };
        let started = start(&wrong, &world.kv, world.folder.path(), &world.clock);
        let error = started.err().expect("refused");
        assert_eq!(error.target.as_deref(), Some("shards"));
    });
}
