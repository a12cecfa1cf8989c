//! Owns the tests of uploads: parts in every encoding, what makes one whole, and its end.

use std::{fs, io::Write, path::PathBuf};

use sanntid_engine::{PartFormat, PartPacking, SnapshotState, Tenants};
use sanntid_types::{EntityName, ErrorCode, InstanceId, JobStatus, ManifestEntity, SnapshotId};

use super::{
    samples::{
        CSV, HEADER, ORDERS, ORDERS_HEADER, code, customers, manifest, noon, orders, refused,
        seconds,
    },
    world::{World, begun, config, memory, run},
};
use crate::Config;

pub(super) const A: &str = "CustomerId,City,Score,ContactId,PreviousCustomerId\na,Oslo,1,ka,\n";

fn gzip(content: &str) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(content.as_bytes()).unwrap();
    packed.finish().unwrap()
}

fn zstd(content: &str) -> Vec<u8> {
    zstd::encode_all(content.as_bytes(), 3).unwrap()
}

pub(super) fn files(world: &World) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![world.folder.path().join("uploads")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

pub(super) async fn opened(
    world: &World,
    id: InstanceId,
    entities: Vec<ManifestEntity>,
) -> SnapshotId {
    world.open(id, manifest(noon(), entities)).await
}

#[test]
fn parts_of_every_encoding_are_loaded_in_their_order() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let opened = world
            .node
            .open_snapshot(a, manifest(noon(), vec![customers()]), super::me());
        let opened = opened.await.expect("opened");
        assert_eq!(opened.state, SnapshotState::Open);
        assert_eq!(opened.expires_at, noon().plus(seconds(24 * 3600)));
        let row = |id: &str| format!("{{\"CustomerId\": \"{id}\", \"City\": \"{id} by\"}}\n");
        let csv = |id: &str| format!("{HEADER}{id},{id} by,1,,\n");
        let parts = [
            (4, PartFormat::Ndjson(PartPacking::Gzip), gzip(&row("d"))),
            (1, CSV, csv("a").into_bytes()),
            (
                3,
                PartFormat::Ndjson(PartPacking::None),
                row("c").into_bytes(),
            ),
            (2, PartFormat::Csv(PartPacking::Gzip), gzip(&csv("b"))),
            (5, PartFormat::Csv(PartPacking::Zstd), zstd(&csv("e"))),
            (6, PartFormat::Ndjson(PartPacking::Zstd), zstd(&row("f"))),
        ];
        for (number, format, content) in parts {
            let part = (number, format);
            let sent = world.part(a, opened.id, "customer", part, &content);
            sent.await.expect("taken");
        }
        let job = world
            .node
            .commit_snapshot(a, opened.id, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        assert_eq!((job.status, job.error), (JobStatus::Successful, None));
        let report = job.report.expect("a report");
        assert_eq!((report.rows_read, report.profiles), (6, 6));
        for id in ["a", "b", "c", "d", "e", "f"] {
            assert_eq!(world.city(a, id).await, Some(format!("{id} by")));
        }
        assert_eq!(files(&world), [""; 0].map(PathBuf::from), "nothing is left");
    });
}

#[test]
fn a_repeated_part_takes_the_place_of_the_first_one() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        for content in [A, &A.replace("Oslo", "Moss")] {
            let sent = world.part(a, upload, "Customer", (1, CSV), content.as_bytes());
            sent.await.expect("taken");
        }
        assert_eq!(files(&world).len(), 1);
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        assert_eq!(job.report.expect("a report").rows_read, 1);
        assert_eq!(world.city(a, "a").await.as_deref(), Some("Moss"));
    });
}

#[test]
fn a_part_that_is_not_finished_was_never_sent() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let name = EntityName::parse("Customer").expect("name");
        let part = world
            .node
            .open_part(a, upload, name, 1, CSV, super::me())
            .await;
        let mut part = part.expect("opened");
        part.write(A.as_bytes()).expect("written");
        assert_eq!(files(&world).len(), 1);
        drop(part);
        assert_eq!(files(&world).len(), 0);
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    });
}

#[test]
fn what_is_missing_at_the_commit_is_named() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers(), orders()]).await;
        let orders_content = format!("{ORDERS_HEADER}1,2026-11-20T10:00:00Z,ka\n");
        for number in [1, 2, 4] {
            let part = (number, CSV);
            let sent = world.part(a, upload, ORDERS, part, orders_content.as_bytes());
            sent.await.expect("taken");
        }
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        let told: Vec<_> = error
            .details
            .iter()
            .map(|detail| (detail.target.as_str(), detail.message.as_str()))
            .collect();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
        assert_eq!(
            told,
            [
                ("Customer", "the entity has no part"),
                (ORDERS, "part 3 is missing")
            ]
        );
        // It is still open, and can be made whole.
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let sent = world.part(a, upload, ORDERS, (3, CSV), ORDERS_HEADER.as_bytes());
        sent.await.expect("taken");
        world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("whole");

        let b = world.empty_instance(2).await;
        let upload = opened(&world, b, vec![orders()]).await;
        let sent = world.part(b, upload, ORDERS, (1, CSV), orders_content.as_bytes());
        sent.await.expect("taken");
        let error = refused(world.node.commit_snapshot(b, upload, super::me()).await);
        assert_eq!(error.details[0].target, "Customer");
    });
}

#[test]
fn a_repeated_commit_answers_the_same_job_and_closes_the_upload() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        for _ in 0..2 {
            let again = world.node.commit_snapshot(a, upload, super::me()).await;
            assert_eq!(again.expect("the same").id, job.id);
            world.ended(a, job.id).await;
        }
        let closed = Some(ErrorCode::SnapshotClosed);
        let late = world.part(a, upload, "Customer", (2, CSV), A.as_bytes());
        assert_eq!(code(late.await), closed);
        assert_eq!(
            code(world.node.abort_snapshot(a, upload, super::me()).await),
            closed
        );
        assert_eq!(world.node.jobs(a, 10).await.expect("listed").len(), 1);
    });
}

#[test]
fn a_commit_while_a_part_is_finished_takes_it_or_refuses_it() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let name = EntityName::parse("Customer").expect("name");
        let part = world
            .node
            .open_part(a, upload, name, 2, CSV, super::me())
            .await;
        let mut part = part.expect("opened");
        let more = format!("{HEADER}b,Bergen,1,kb,\n");
        part.write(more.as_bytes()).expect("written");
        // The commit is on its way, and the part comes behind it.
        world.kv.commits.close();
        let commit = begun(world.node.commit_snapshot(a, upload, super::me())).await;
        world.kv.commits.somebody_waits().await;
        let finish = tokio::task::spawn_blocking(move || part.finish());
        world.kv.commits.reopen();
        let job = commit.await.expect("committed");
        let late = code(finish.await.expect("no panic"));
        assert_eq!(late, Some(ErrorCode::SnapshotClosed));
        let job = world.ended(a, job.id).await;
        assert_eq!(job.report.expect("a report").rows_read, 1);
        let again = world.node.commit_snapshot(a, upload, super::me()).await;
        assert_eq!(again.expect("the same").id, job.id);
        assert_eq!(files(&world).len(), 0);
    });
}

#[test]
fn an_aborted_upload_is_gone() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let name = EntityName::parse("Customer").expect("name");
        let part = world
            .node
            .open_part(a, upload, name, 2, CSV, super::me())
            .await;
        let part = part.expect("opened");
        world
            .node
            .abort_snapshot(a, upload, super::me())
            .await
            .expect("aborted");
        assert_eq!(files(&world).len(), 0);
        let gone = ErrorCode::SnapshotNotFound;
        let late = tokio::task::spawn_blocking(move || part.finish());
        assert_eq!(code(late.await.unwrap()), Some(gone));
        let late = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        assert_eq!(code(late.await), Some(gone));
        assert_eq!(
            code(world.node.commit_snapshot(a, upload, super::me()).await),
            Some(gone)
        );
        assert_eq!(
            code(world.node.abort_snapshot(a, upload, super::me()).await),
            Some(gone)
        );
        let other = SnapshotId(uuid::Uuid::from_u128(7));
        assert_eq!(
            code(world.node.commit_snapshot(a, other, super::me()).await),
            Some(gone)
        );
    });
}

#[test]
fn parts_have_known_entities_and_numbers() {
    run(async {
        let few = Config {
            upload_parts_max: 3,
            ..config()
        };
        let world = World::with(few, memory());
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers(), orders()]).await;
        let sent = world.part(a, upload, "Leads", (1, CSV), b"");
        assert_eq!(code(sent.await), Some(ErrorCode::EntityNotFound));
        for number in [0, 4, u32::MAX] {
            let sent = world.part(a, upload, ORDERS, (number, CSV), b"");
            assert_eq!(code(sent.await), Some(ErrorCode::InvalidArgument));
        }
        for number in [1, 2, 3, 2] {
            let sent = world.part(a, upload, ORDERS, (number, CSV), b"");
            sent.await.expect("taken");
        }
        let sent = world.part(a, upload, "Customer", (1, CSV), b"");
        assert_eq!(
            code(sent.await),
            Some(ErrorCode::InvalidArgument),
            "one too many"
        );
        assert_eq!(files(&world).len(), 3);
        world.kv.fill(true);
        let sent = world.part(a, upload, ORDERS, (1, CSV), b"1");
        assert_eq!(code(sent.await), Some(ErrorCode::DiskFull));
        assert_eq!(files(&world).len(), 3);
    });
}

#[test]
fn open_uploads_are_limited() {
    run(async {
        let few = Config {
            uploads_open_max: 2,
            ..config()
        };
        let world = World::with(few, memory());
        let (a, b) = (world.empty_instance(1).await, world.empty_instance(2).await);
        let first = opened(&world, a, vec![customers()]).await;
        opened(&world, a, vec![customers()]).await;
        let open = || {
            world
                .node
                .open_snapshot(a, manifest(noon(), vec![customers()]), super::me())
        };
        let error = refused(open().await);
        assert_eq!(error.code, ErrorCode::Overloaded);
        assert_eq!(error.target.as_deref(), Some("uploadsOpen"));
        opened(&world, b, vec![customers()]).await;
        world
            .node
            .abort_snapshot(a, first, super::me())
            .await
            .expect("aborted");
        open().await.expect("there is room");
        assert_eq!(code(open().await), Some(ErrorCode::Overloaded));
        world.wait(seconds(24 * 3600));
        open().await.expect("the others have expired");
    });
}

#[test]
fn an_entity_without_attributes_takes_those_that_it_had() {
    run(async {
        let world = World::new();
        let a = world.instance(1).await;
        let schema = world
            .read(a)
            .await
            .tenant
            .customer()
            .expect("loaded")
            .schema
            .clone();
        let mut bare = customers();
        bare.attributes.clear();
        bare.key = None;
        let upload = opened(&world, a, vec![bare.clone()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        assert_eq!(world.ended(a, job.id).await.error, None);
        let now = world.read(a).await;
        assert_eq!(now.tenant.customer().expect("loaded").schema, schema);

        let mut unknown = orders();
        unknown.attributes.clear();
        let upload = opened(&world, a, vec![bare, unknown]).await;
        for (entity, content) in [("Customer", A), (ORDERS, ORDERS_HEADER)] {
            let sent = world.part(a, upload, entity, (1, CSV), content.as_bytes());
            sent.await.expect("taken");
        }
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        let told: Vec<_> = error.details.iter().map(|told| &told.target).collect();
        assert_eq!(told, ["entities[1].attributes"]);
        // Its part is no Parquet file, whatever it is called.
        let sent = world.part(
            a,
            upload,
            ORDERS,
            (1, PartFormat::Parquet),
            b"PAR1, or not?",
        );
        sent.await.expect("taken");
        let error = refused(world.node.commit_snapshot(a, upload, super::me()).await);
        assert_eq!(error.details[0].target, "entities[1].attributes");
        let why = &error.details[0].message;
        assert!(why.contains("part 1: the Parquet file is corrupt"), "{why}");
    });
}
