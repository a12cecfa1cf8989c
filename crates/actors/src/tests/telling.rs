//! Owns the tests of attributes that a manifest leaves to the Parquet parts of an upload.

use sanntid_engine::{PartFormat, Tenants};
use sanntid_types::{EntityName, JobStatus};

use super::{
    samples::customers,
    uploading::opened,
    world::{World, begun, run},
};

/// Three customers with names, cities, scores and birthdays.
const CUSTOMERS: &[u8] = include_bytes!("../../../../tests/it/parquet/customers.parquet");
/// Two customers with numbers.
const MEASURES: &[u8] = include_bytes!("../../../../tests/it/parquet/measures.parquet");

#[test]
fn a_commit_takes_the_attributes_of_the_part_that_is_there() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let mut bare = customers();
        bare.attributes.clear();
        let upload = opened(&world, a, vec![bare]).await;
        let part = (1, PartFormat::Parquet);
        let sent = world.part(a, upload, "Customer", part, CUSTOMERS);
        sent.await.expect("taken");
        let name = EntityName::parse("Customer").expect("name");
        let other = world
            .node
            .open_part(a, upload, name, 1, PartFormat::Parquet, super::me())
            .await;
        let mut other = other.expect("opened");
        other.write(MEASURES).expect("written");
        // The other part is on its way when the commit looks at the first one.
        world.kv.commits.close();
        let finish = tokio::task::spawn_blocking(move || other.finish());
        world.kv.commits.somebody_waits().await;
        let commit = begun(world.node.commit_snapshot(a, upload, super::me())).await;
        world.kv.commits.reopen();
        finish.await.expect("no panic").expect("taken");
        let job = commit.await.expect("committed");
        let job = world.ended(a, job.id).await;
        assert_eq!((job.status, job.error), (JobStatus::Successful, None));
        let now = world.read(a).await;
        let schema = &now.tenant.customer().expect("loaded").schema;
        let names = schema.attributes.iter().map(|known| known.name.as_str());
        let names: Vec<_> = names.collect();
        assert_eq!(names, ["CustomerId", "Spent", "Orders"]);
    });
}

#[test]
fn a_repeated_commit_reads_no_part_again() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let mut bare = customers();
        bare.attributes.clear();
        let upload = opened(&world, a, vec![bare]).await;
        let part = (1, PartFormat::Parquet);
        let sent = world.part(a, upload, "Customer", part, CUSTOMERS);
        sent.await.expect("taken");
        let job = world.node.commit_snapshot(a, upload, super::me()).await;
        let job = job.expect("committed");
        world.ended(a, job.id).await;
        // Its files are gone by now.
        let again = world.node.commit_snapshot(a, upload, super::me()).await;
        assert_eq!(again.expect("the same").id, job.id);
    });
}
