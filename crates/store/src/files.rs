//! Owns what is done to the store's directory besides the engine: lock, free space, probe, and
//! making durable what a failed sync left in the page cache.
//!
//! Must not be called on the engine's files while the engine has them open.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use crate::error::{Error, Result};

const PROBE_BYTES: usize = 1 << 20;
const BLOCK_BYTES: usize = 64 << 10;
/// A failed rotation can leave an empty journal above the one that was written last.
const JOURNALS_REWRITTEN: usize = 2;

/// Locks the directory against other processes for as long as the file lives.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    fs::create_dir_all(directory)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("store.lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::Locked),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Measures the bytes that an ordinary user can still write.
pub(crate) fn free_bytes(directory: &Path) -> Result<u64> {
    let figures = rustix::fs::statvfs(directory).map_err(io::Error::from)?;
    Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
}

/// Writes and syncs a file, to learn whether the disk takes writes; it needs room for the journals
/// that a re-opening rewrites, too.
pub(crate) fn probe(directory: &Path, journals: &Path) -> Result<()> {
    let mut needed_bytes = PROBE_BYTES as u64;
    for journal in newest_journals(journals)? {
        needed_bytes += data_bytes(&journal)?;
    }
    let free_bytes = free_bytes(directory)?;
    if free_bytes < needed_bytes {
        return Err(Error::DiskFull {
            free_bytes,
            needed_bytes,
        });
    }
    let path = directory.join("store.probe");
    let written = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![1; PROBE_BYTES])?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    Ok(written.and(removed)?)
}

/// Rewrites the newest journals into new, synced files.
///
/// After a failed sync the kernel keeps serving the unwritten pages but counts them as clean: the
/// engine would read a batch that a later sync never writes, and a power loss would then cut off
/// everything acknowledged behind it. What is readable after this is durable. It also takes the
/// file away from a writer of the old handle that is still flushing its buffer.
pub(crate) fn rewrite_journals_if_any(journals: &Path) -> Result<()> {
    if !journals.try_exists()? {
        return Ok(());
    }
    for journal in newest_journals(journals)? {
        let copy = journal.with_extension("copy");
        copy_data(&journal, &copy)?;
        fs::rename(&copy, &journal)?;
    }
    File::open(journals)?.sync_all()?;
    Ok(())
}

fn newest_journals(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let id = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .and_then(|s| s.parse().ok());
        if let (true, Some(id)) = (is_journal, id) {
            found.push((id, path));
        }
    }
    found.sort_unstable_by_key(|(id, _): &(u64, PathBuf)| std::cmp::Reverse(*id));
    Ok(found
        .into_iter()
        .take(JOURNALS_REWRITTEN)
        .map(|(_, path)| path)
        .collect())
}

/// Counts the bytes really written: journals are allocated ahead as holes.
fn data_bytes(path: &Path) -> Result<u64> {
    let mut bytes = 0;
    for_each_data_block(path, |_, block| {
        bytes += block.len() as u64;
        Ok(())
    })?;
    Ok(bytes)
}

/// Copies a file with its length and without its zero blocks, and syncs the copy.
fn copy_data(from: &Path, to: &Path) -> Result<()> {
    let mut copy = File::create(to)?;
    for_each_data_block(from, |offset, block| {
        copy.seek(SeekFrom::Start(offset))?;
        copy.write_all(block)
    })?;
    copy.set_len(fs::metadata(from)?.len())?;
    Ok(copy.sync_all()?)
}

fn for_each_data_block(
    path: &Path,
    mut visit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<()> {
    let file = File::open(path)?;
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut offset = 0;
    loop {
        block.clear();
        (&file).take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        if block.is_empty() {
            return Ok(());
        }
        if block.iter().any(|byte| *byte != 0) {
            visit(offset, &block)?;
        }
        offset += block.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewriting_gives_a_new_file_with_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("3.jnl");
        let mut old = File::create(&path).unwrap();
        let mut bytes = vec![0; 5 * BLOCK_BYTES + 17];
        bytes[BLOCK_BYTES + 3] = 9;
        bytes[3 * BLOCK_BYTES] = 4;
        old.write_all(&bytes).unwrap();
        rewrite_journals_if_any(directory.path()).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        old.write_all(b"late flush of the old handle").unwrap();
        assert!(
            fs::read(&path).unwrap() == bytes,
            "the old handle reached the new file"
        );
    }

    #[test]
    fn only_one_holder_of_the_lock() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path()).unwrap();
        assert!(matches!(lock(directory.path()), Err(Error::Locked)));
        drop(held);
        assert!(lock(directory.path()).is_ok());
    }
}
