//! Owns the tests of how long uploads live, and of the files that they leave.

use std::fs;

use sanntid_engine::Tenants;
use sanntid_types::{ErrorCode, Instant, JobStatus};

use super::{
    samples::{CSV, HEADER, code, customers, noon, seconds},
    uploading::{A, files, opened},
    world::{World, run},
};
use crate::uploads::remove_expired;

async fn expire(world: &World, now: Instant) {
    let shared = std::sync::Arc::clone(&world.node.shared);
    let removed = tokio::task::spawn_blocking(move || remove_expired(&shared, now));
    removed.await.unwrap().expect("removed");
}

#[test]
fn uploads_expire_with_their_files_and_loading_ones_do_not() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let first = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, first, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        world.kv.loads.close();
        let job = world.upload(a, noon(), "a,Oslo,1,ka,\n").await;
        world.kv.loads.somebody_waits().await;
        assert_eq!(files(&world).len(), 2);
        let end = noon().plus(seconds(24 * 3600));
        world.clock.set(end.minus(seconds(1)));
        let sent = world.part(a, first, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("not yet");
        world.clock.set(end);
        let gone = Some(ErrorCode::SnapshotNotFound);
        let sent = world.part(a, first, "Customer", (1, CSV), A.as_bytes());
        assert_eq!(code(sent.await), gone);
        assert_eq!(
            code(world.node.commit_snapshot(a, first, super::me()).await),
            gone
        );
        expire(&world, end.plus(seconds(3599))).await;
        assert_eq!(files(&world).len(), 2, "kept for an hour");
        expire(&world, end.plus(seconds(3600))).await;
        assert_eq!(files(&world).len(), 1, "the other is loaded");
        world.clock.set(noon());
        world.kv.loads.reopen();
        assert_eq!(world.ended(a, job.id).await.status, JobStatus::Successful);
        expire(&world, end.plus(seconds(3600))).await;
        assert_eq!(files(&world).len(), 0);
    });
}

#[test]
fn files_that_no_record_names_are_removed() {
    run(async {
        let world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        let nobodys = uuid::Uuid::from_u128(7).to_string();
        for folder in ["0000000000000001", "00000000000000ff"] {
            let folder = world
                .folder
                .path()
                .join("uploads")
                .join(folder)
                .join(&nobodys);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("Customer.1.x"), "rubbish").unwrap();
        }
        assert_eq!(files(&world).len(), 3);
        expire(&world, noon()).await;
        assert_eq!(files(&world).len(), 1);
        world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("whole");
    });
}

#[test]
fn parts_survive_a_crash() {
    run(async {
        let mut world = World::new();
        let a = world.empty_instance(1).await;
        let upload = opened(&world, a, vec![customers()]).await;
        let sent = world.part(a, upload, "Customer", (1, CSV), A.as_bytes());
        sent.await.expect("taken");
        world.crash().await;
        let more = format!("{HEADER}b,Bergen,1,kb,\n");
        let sent = world.part(a, upload, "Customer", (2, CSV), more.as_bytes());
        sent.await.expect("taken");
        let job = world
            .node
            .commit_snapshot(a, upload, super::me())
            .await
            .expect("committed");
        let job = world.ended(a, job.id).await;
        assert_eq!(job.report.expect("a report").profiles, 2);
    });
}
