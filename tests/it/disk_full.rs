//! A disk that is really full: writes are refused truthfully, reads go on, space brings them back.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use sanntid_testkit::{Sample, TestServer};
use serde_json::json;

/// A mounted small disk; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if mounted.is_ok_and(|status| status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: mounting a small disk is not permitted");
        None
    }

    /// Fills it but for `leave_bytes`.
    fn fill(&self, leave_bytes: u64) -> std::path::PathBuf {
        let figures = rustix::fs::statvfs(self.path()).unwrap();
        let free = (figures.f_bavail * figures.f_frsize).saturating_sub(leave_bytes);
        let filler = self.path().join("filler");
        fs::write(&filler, vec![1; usize::try_from(free).unwrap()]).unwrap();
        filler
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()),
            "the small disk stays mounted"
        );
    }
}

#[test]
fn a_full_disk_refuses_writes_and_space_brings_them_back() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = TestServer::start_on(&disk.path().join("data"), |config| {
        config.store.free_space_min_bytes = 32 << 20;
        config.store.journal_bytes_max = 64 << 20;
    });
    let http = &server.http;
    let sample = Sample::create(http);
    sample.load(
        "2026-11-23T10:00:00Z",
        &Sample::customers(3),
        &Sample::orders(1),
    );
    let path = sample.path("/data/Customer/C1");
    http.json("PATCH", &path, &json!({"City": "kept"}))
        .expect(204);

    let filler = disk.fill(16 << 20);
    // The mark is looked at again after so many bytes: larger writes come to it sooner.
    let refused = (0..)
        .map(|_| http.json("PATCH", &path, &json!({"FullName": "x".repeat(500_000)})))
        .find(|answer| answer.status != 204)
        .unwrap();
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "diskFull"),
        "{}",
        refused.text()
    );
    assert!(refused.header("Retry-After").is_some());
    assert_eq!(http.get(&path).expect(200).json()["City"], "kept");
    let events = sample.path("/data/UnifiedActivity");
    let visit = json!({"CustomerId": "C1", "ActivityId": "v", "ActivityType": "Visit",
                       "ActivityTime": "2026-11-23T11:00:00Z"});
    http.json("POST", &events, &visit).expect(503);
    http.get(&sample.path("/data/UnifiedActivity('v')"))
        .expect(404);

    fs::remove_file(filler).unwrap();
    http.json("PATCH", &path, &json!({"City": "again"}))
        .expect(204);
    http.json("POST", &events, &visit).expect(201);
}
