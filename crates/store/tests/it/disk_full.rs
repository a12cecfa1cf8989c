//! Owns the tests on a disk that is really full.
//!
//! Must not fill any disk but the small one it mounts.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use sanntid_store::{Config, Error, FjallKv, Health, Kv, Space, WriteBatch};

use crate::conformance::{get, put, small_config};

const MIB: usize = 1 << 20;

/// A mounted small disk; unmounted when dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().expect("created");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"])
            .arg(directory.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if !mounted {
            let told = writeln!(
                std::io::stderr(),
                "SKIPPED: mounting a small disk is not permitted"
            );
            told.expect("written");
            return None;
        }
        Some(Self(directory))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn fill(&self, leave_bytes: usize) {
        let figures = rustix::fs::statvfs(self.path()).expect("measured");
        let free = usize::try_from(figures.f_bavail * figures.f_frsize).expect("small");
        let filler = vec![1; free.saturating_sub(leave_bytes)];
        fs::write(self.path().join("filler"), filler).expect("filled");
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).expect("removed");
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

fn large(number: u32) -> WriteBatch {
    let mut batch = WriteBatch::new();
    let value: Vec<u8> = (0..100_000_u32)
        .map(|i| (i * 31 + number).to_le_bytes()[0])
        .collect();
    // Values under the engine's compression threshold, so that the disk fills at a known speed.
    for (part, chunk) in (0_u32..).zip(value.chunks(4000)) {
        let key = [number.to_be_bytes(), part.to_be_bytes()].concat();
        batch.put(Space::Activities, key, chunk.to_vec());
    }
    batch
}

fn is_stored(kv: &dyn Kv, number: u32) -> bool {
    let batch = large(number);
    let stored = |op: &sanntid_store::Op| get(kv, op.space, &op.key) == op.value;
    let count = batch.ops().iter().filter(|op| stored(op)).count();
    assert!(
        count == 0 || count == batch.len(),
        "batch {number} is half there"
    );
    count > 0
}

#[test]
fn below_the_mark_writes_are_refused_and_go_on_when_space_is_back() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let mark = u64::try_from(16 * MIB).unwrap();
    let config = Config {
        free_space_min_bytes: mark,
        ..small_config()
    };
    let kv = FjallKv::open(disk.path().join("store"), config, None).unwrap();
    put(&kv, Space::Meta, b"k", b"v");
    put(&kv, Space::Base, b"dead", b"v");
    disk.fill(8 * MIB);
    assert!(matches!(kv.maintain(), Health::DiskFull { .. }));
    assert!(
        matches!(kv.commit(large(0)), Err(Error::DiskFull { needed_bytes, .. }) if needed_bytes == mark)
    );
    assert!(
        kv.delete_range_step(Space::Base, b"d", b"e", 5)
            .unwrap()
            .done,
        "sweeping goes on"
    );
    assert!(get(&kv, Space::Meta, b"k").is_some());
    assert!(!is_stored(&kv, 0));
    disk.free();
    assert_eq!(kv.maintain(), Health::Ok);
    kv.commit(large(0)).unwrap();
    assert!(is_stored(&kv, 0));
    kv.close().unwrap();
}

#[test]
fn a_write_that_the_disk_refuses_poisons_until_the_store_has_reopened_itself() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let kv = FjallKv::open(disk.path().join("store"), small_config(), None).unwrap();
    put(&kv, Space::Meta, b"k", b"v");
    disk.fill(2 * MIB);
    let failed = (0..1000).find_map(|number| kv.commit(large(number)).err().map(|e| (number, e)));
    let (failed_at, error) = failed.unwrap();
    assert!(error.outcome_is_unknown(), "{error}");
    assert!(matches!(kv.commit(large(5000)), Err(Error::Poisoned)));
    assert_eq!(kv.maintain(), Health::Poisoned, "there is still no space");
    assert!(
        (0..failed_at).all(|number| is_stored(&kv, number)),
        "reads go on"
    );
    assert!(!is_stored(&kv, failed_at), "an unsynced batch is visible");
    disk.free();
    assert_eq!(kv.maintain(), Health::Ok);
    assert!(
        (0..failed_at).all(|number| is_stored(&kv, number)),
        "an acknowledged batch is lost"
    );
    is_stored(&kv, failed_at);
    assert!(
        !is_stored(&kv, 5000),
        "a batch refused as poisoned is stored"
    );
    kv.commit(large(6000)).unwrap();
    kv.close().unwrap();
    drop(kv);
    let kv = FjallKv::open(disk.path().join("store"), small_config(), None).unwrap();
    assert!(
        (0..failed_at)
            .chain([6000])
            .all(|number| is_stored(&kv, number))
    );
    kv.close().unwrap();
}
