//! Owns the tests of journals whose end a power loss tore, and of journals that are damaged.
//!
//! Must not touch the journal of an open store, only that of its image.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use sanntid_store::{Error, FjallKv, Kv, Loader, Space, WriteBatch};

use crate::{
    conformance::small_config,
    generations::{LIFE, NEW, OLD, begin, check_image, switch},
    samples::{commit, crash_image, data_end, dump, fill_table, open},
};

/// The journal that is written to, and where its data ends: the rest is allocated ahead.
fn journal(directory: &Path) -> (PathBuf, usize) {
    let files = fs::read_dir(directory.join("engine")).expect("readable");
    let files = files.map(|entry| entry.expect("readable").path());
    let journals = files.filter(|path| path.extension().is_some_and(|ext| ext == "jnl"));
    let newest = journals.max().expect("a journal");
    let bytes = fs::read(&newest).expect("readable");
    let end = data_end(&bytes);
    (newest, end)
}

/// Takes the journal's data away from `end` on: what a power loss leaves of unsynced writes.
fn cut_journal(directory: &Path, end: usize) {
    let (path, _) = journal(directory);
    let file = File::options().write(true).open(path).expect("opened");
    let length = file.metadata().expect("readable").len();
    file.set_len(end as u64).expect("cut");
    file.set_len(length).expect("zeros appended");
}

#[test]
fn a_power_loss_in_the_midst_of_a_switch_leaves_the_old_generation() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    begin(&kv);
    let mut loader = Loader::new(&kv, LIFE);
    fill_table(&mut loader, NEW, "new");
    loader.finish().unwrap();
    check_image(crash_image(directory.path()).path(), OLD);
    let (_, loaded) = journal(directory.path());
    switch(&kv);
    let (_, switched) = journal(directory.path());
    for end in (loaded..switched).step_by(97).chain([switched - 1]) {
        let image = crash_image(directory.path());
        cut_journal(image.path(), end);
        check_image(image.path(), OLD);
    }
    check_image(crash_image(directory.path()).path(), NEW);
}

/// A store with a generation, and records that are loaded and not synced: where their data begins
/// and ends in the journal.
fn half_loaded(directory: &Path) -> (FjallKv, usize, usize) {
    let kv = open(directory);
    begin(&kv);
    let (_, synced) = journal(directory);
    for batch in 0..8 {
        let mut records = WriteBatch::new();
        for number in 0..3 {
            let key = format!("~{batch} {number}");
            records.put(Space::Meta, key, "x".repeat(300));
        }
        kv.load(records).expect("accepted");
    }
    let (_, loaded) = journal(directory);
    (kv, synced, loaded)
}

#[test]
fn sectors_that_never_reached_the_disk_take_only_unsynced_batches_with_them() {
    let directory = tempfile::tempdir().unwrap();
    let (_kv, synced, loaded) = half_loaded(directory.path());
    let sectors = (synced..loaded).step_by(512).map(|start| start / 512 * 512);
    let mut images = 0;
    for sector in sectors {
        for length in [512, 4096] {
            let image = crash_image(directory.path());
            let (path, _) = journal(image.path());
            let file = File::options().write(true).open(path).unwrap();
            // The sector in which the synced data ends was written with it.
            let start = sector.max(synced);
            let end = (sector + length).min(loaded);
            file.write_all_at(&vec![0; end - start], start as u64)
                .unwrap();
            check_image(image.path(), OLD);
            images += 1;
        }
    }
    assert!(images > 10, "only {images}");
}

#[test]
fn damage_to_synced_batches_is_said_and_takes_nothing_away() {
    let directory = tempfile::tempdir().unwrap();
    let kv = open(directory.path());
    begin(&kv);
    let (_, synced) = journal(directory.path());
    commit(&kv, |batch| batch.put(Space::Meta, "~last", "acknowledged"));
    let whole = dump(&kv);
    let (mut refused, mut images) = (0, 0);
    for position in (0..synced).step_by(41) {
        let image = crash_image(directory.path());
        let (path, _) = journal(image.path());
        let mut damaged = fs::read(&path).unwrap();
        damaged[position] ^= 0x41;
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&damaged[position..=position], position as u64)
            .unwrap();
        match FjallKv::open(image.path(), small_config(), None) {
            Err(Error::Corrupt { .. }) => {
                refused += 1;
                assert!(fs::read(&path).unwrap() == damaged, "cut at {position}");
            }
            Err(other) => panic!("damaged at {position}: {other}"),
            // Sequence numbers stand under no checksum.
            Ok(opened) => assert_eq!(dump(&opened), whole, "damaged at {position}"),
        }
        images += 1;
    }
    assert!(refused > images * 9 / 10, "{refused} of {images}");
}
