//! Owns the tests of customers that move, merge, split or vanish at a refresh (rules 6.6, 6.7).

use sanntid_engine::Tenants;
use sanntid_types::{JobReport, ManifestAttribute};

use super::{
    samples::{CSV, HEADER, city, customers, manifest, noon, seconds, visit},
    world::{World, run},
};

async fn refreshed(world: &World, id: sanntid_types::InstanceId, rows: &str) -> JobReport {
    use sanntid_types::Clock;
    world.wait(seconds(1));
    let job = world
        .refresh(id, world.clock.now().minus(seconds(3600)), rows)
        .await;
    assert_eq!(job.error, None);
    job.report.expect("a report")
}

fn moved_to(id: &str, city: &str) -> Option<(String, String)> {
    Some((id.to_owned(), city.to_owned()))
}

#[test]
fn what_a_moved_customer_had_is_found_under_both_ids() {
    run(async {
        let mut world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        world.append(a, visit("v", "a", "one")).await;
        let found = refreshed(&world, a, "b,Bergen,2,kb,\nc,Oslo,1,ka,a\n").await;
        assert_eq!((found.profiles_moved, found.profiles_vanished), (1, 0));
        assert_eq!(found.overlay_fields_kept, 1);
        for asked in ["a", "c"] {
            assert_eq!(world.shown(a, asked).await, moved_to("c", "Hamar"));
        }
        assert_eq!(world.timeline(a, "c").await, [("v".to_owned(), false)]);
        assert_eq!(
            world.patch(a, city("a", "Moss")).await.profile.as_str(),
            "c"
        );

        // Again, without being named again: A → C, later C → D.
        let found = refreshed(&world, a, "b,Bergen,2,kb,\nd,Oslo,1,ka,c\n").await;
        assert_eq!((found.profiles_moved, found.profiles_vanished), (1, 0));
        world.crash().await;
        for asked in ["a", "c", "d"] {
            assert_eq!(world.shown(a, asked).await, moved_to("d", "Moss"));
        }
        // One that exists again is itself.
        let found = refreshed(&world, a, "a,Oslo,1,,\nd,Oslo,1,ka,\n").await;
        assert_eq!((found.profiles_moved, found.profiles_vanished), (0, 1));
        assert_eq!(world.shown(a, "a").await, moved_to("a", "Hamar"));
        assert_eq!(world.shown(a, "c").await, moved_to("d", "Moss"));
        assert_eq!(world.shown(a, "b").await, None);
    });
}

#[test]
fn of_several_that_claim_an_id_the_one_with_most_of_its_keys_gets_it() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        refreshed(&world, a, "a,Oslo,1,k1;k2;k3,\n").await;
        let rows = "b,Bergen,1,k1,a\nc,Voss,1,k2; k3,x;a\nd,Moss,1,k4,a\n";
        let found = refreshed(&world, a, rows).await;
        assert_eq!((found.profiles_moved, found.profiles_vanished), (1, 0));
        assert_eq!(world.shown(a, "a").await, moved_to("c", "Voss"));
        assert_eq!(world.shown(a, "x").await, moved_to("c", "Voss"));
    });
}

#[test]
fn a_vanished_customer_is_hidden_and_comes_back_with_what_it_had() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        world.patch(a, city("a", "Hamar")).await;
        let found = refreshed(&world, a, "b,Bergen,2,kb,\n").await;
        assert_eq!((found.profiles_moved, found.profiles_vanished), (0, 1));
        assert_eq!(world.shown(a, "a").await, None);
        let refused = world.node.patch(a, city("a", "Moss")).await;
        assert!(refused.is_err());
        refreshed(&world, a, "a,Oslo,1,ka,\n").await;
        assert_eq!(world.shown(a, "a").await, moved_to("a", "Hamar"));
    });
}

#[test]
fn a_key_is_held_by_one_profile_whichever_column_it_stands_in() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let mut entity = customers();
        let contact = entity
            .attributes
            .iter()
            .find(|column| column.name == "ContactId");
        let other = ManifestAttribute {
            name: "OtherContactId".to_owned(),
            ..contact.expect("declared").clone()
        };
        entity.attributes.push(other);
        let upload = world.open(a, manifest(noon(), vec![entity])).await;
        let content = "CustomerId,City,Score,ContactId,PreviousCustomerId,OtherContactId\n\
                       a,Oslo,1,k1,,k2\n\
                       b,Oslo,1,k2,,\n";
        let lenient = sanntid_types::Settings {
            rows_rejected_max_percent: 50.0,
            ..sanntid_types::Settings::default()
        };
        world
            .node
            .set_settings(a, lenient, super::me())
            .await
            .expect("set");
        let sent = world.part(a, upload, "Customer", (1, CSV), content.as_bytes());
        sent.await.expect("taken");
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        let found = job.report.expect("a report");
        assert_eq!((found.profiles, found.rows_rejected), (1, 1));
    });
}

#[test]
fn duplicates_are_found_across_parts_and_steps() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = world.open(a, manifest(noon(), vec![customers()])).await;
        // More rows than are checked together, with the first one's id and key again at the end.
        let many: String = (0..2_500).map(|n| format!("p{n},Oslo,1,k{n},\n")).collect();
        let parts = [many, "p0,Moss,1,,\nq,Moss,1,k1,\nr,Moss,1,kr,\n".to_owned()];
        for (number, rows) in (1..).zip(parts) {
            let content = format!("{HEADER}{rows}");
            let sent = world.part(a, upload, "Customer", (number, CSV), content.as_bytes());
            sent.await.expect("taken");
        }
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        let found = job.report.expect("a report");
        assert_eq!(
            (found.rows_read, found.rows_rejected, found.profiles),
            (2_503, 2, 2_501)
        );
        let listed = world
            .node
            .job_rejections(a, job.id, 10)
            .await
            .expect("listed");
        let places: Vec<_> = listed.iter().map(|row| (row.part, row.row)).collect();
        assert_eq!(places, [(Some(2), Some(1)), (Some(2), Some(2))]);
    });
}
