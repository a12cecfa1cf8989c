//! Owns what is done to the store's directory besides the engine: lock, free space, probe, and
//! making durable what a failed sync left in the page cache.
//!
//! Must not be called on the engine's files while the engine has them open.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    journal::{self, Ending},
};

const PROBE_BYTES: usize = 1 << 20;
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];
/// A failed rotation can leave an empty journal above the one that was written last.
const JOURNALS_REWRITTEN: usize = 2;

/// One that ends may still have the directory for a moment after its successor was started.
const LOCK_WAIT: Duration = Duration::from_millis(20);
const LOCK_ATTEMPTS: u32 = 100;

/// Locks the directory against other processes for as long as the file lives.
pub(crate) fn lock(directory: &Path) -> Result<File> {
    fs::create_dir_all(directory)?;
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(directory.join("store.lock"))?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::park_timeout(LOCK_WAIT),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Err(Error::Locked)
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
///
/// Batches at the end that were never synced and are not whole are cut off: only the journal that
/// was written last can have them, for each one is synced before the next is begun.
///
/// # Errors
/// [`Error::Corrupt`] when a journal is damaged otherwise.
pub(crate) fn rewrite_journals_if_any(journals: &Path) -> Result<()> {
    if !journals.try_exists()? {
        return Ok(());
    }
    let mut is_last_written = true;
    for journal in newest_journals(journals)? {
        let ending = journal::ending(&journal)?;
        let end = match ending {
            Ending::Empty | Ending::Sound => u64::MAX,
            Ending::Torn(end) if is_last_written => {
                tracing::warn!(
                    ?journal,
                    end,
                    "unsynced end of a journal was torn, it is cut off"
                );
                end
            }
            Ending::Torn(end) => {
                return Err(Error::Corrupt {
                    detail: format!("a journal before the last is cut off at byte {end}"),
                });
            }
        };
        is_last_written &= ending == Ending::Empty;
        let copy = journal.with_extension("copy");
        copy_data(&journal, &copy, end)?;
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

/// Copies a file up to `end`, with its length and without its zero blocks, and syncs the copy.
fn copy_data(from: &Path, to: &Path, end: u64) -> Result<()> {
    let mut copy = File::create(to)?;
    for_each_data_block(from, |offset, block| {
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or(block.len());
        let (kept, _) = block.split_at(length.min(block.len()));
        copy.seek(SeekFrom::Start(offset))?;
        copy.write_all(kept)
    })?;
    copy.set_len(fs::metadata(from)?.len())?;
    Ok(copy.sync_all()?)
}

/// Visits the blocks of a file that are not all zeros, with their offsets.
pub(crate) fn for_each_data_block(
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
        let (zeros, _) = ZEROS.split_at(block.len());
        if block != zeros {
            visit(offset, &block)?;
        }
        offset += block.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A journal as a store writes it, with a hole between its data and its end.
    fn sample_journal(directory: &Path) -> PathBuf {
        let config = crate::Config {
            free_space_min_bytes: 0,
            ..crate::Config::default()
        };
        let kv = crate::FjallKv::open(directory, config, None).unwrap();
        for number in 0..9_u8 {
            let mut batch = crate::WriteBatch::new();
            batch.put(
                crate::Space::Base,
                vec![number; 9],
                vec![number; BLOCK_BYTES],
            );
            batch.delete(crate::Space::Meta, vec![number + 1]);
            crate::Kv::commit(&kv, batch).unwrap();
        }
        kv.close().unwrap();
        newest_journals(&directory.join("engine"))
            .unwrap()
            .remove(0)
    }

    #[test]
    fn rewriting_gives_a_new_file_with_the_same_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let path = sample_journal(directory.path());
        assert_eq!(journal::ending(&path).unwrap(), Ending::Sound);
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.ends_with(&[0; 4096]), "allocated ahead");
        let mut old = File::options().append(true).open(&path).unwrap();
        rewrite_journals_if_any(path.parent().unwrap()).unwrap();
        assert!(fs::read(&path).unwrap() == bytes);
        old.write_all(b"late flush of the old handle").unwrap();
        assert!(
            fs::read(&path).unwrap() == bytes,
            "the old handle reached the new file"
        );
    }

    #[test]
    fn only_the_journal_written_last_is_cut() {
        let directory = tempfile::tempdir().unwrap();
        let last = sample_journal(directory.path());
        let whole = fs::read(&last).unwrap();
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        let torn = &whole[..end - 9];
        let journals = tempfile::tempdir().unwrap();
        let [first, second, third] = [1, 2, 10].map(|id| journals.path().join(format!("{id}.jnl")));
        fs::write(&first, torn).unwrap();
        fs::write(&second, torn).unwrap();
        fs::write(&third, [0; 10]).unwrap();
        rewrite_journals_if_any(journals.path()).unwrap();
        assert_eq!(journal::ending(&second).unwrap(), Ending::Sound);
        assert_eq!(fs::read(&second).unwrap().len(), torn.len());
        assert_eq!(fs::read(&third).unwrap(), [0; 10]);
        fs::remove_file(&third).unwrap();
        let refused = rewrite_journals_if_any(journals.path());
        assert!(matches!(refused, Err(Error::Corrupt { .. })), "{refused:?}");
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
