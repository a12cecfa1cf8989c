//! Owns the folder that a measurement works in. Must not remove what it did not make.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::error::{Doing, Error};

/// Where data set and server lie.
pub(crate) struct Site {
    root: PathBuf,
    /// Removed at the end, where no folder was given.
    _temporary: Option<TempDir>,
}

impl Site {
    /// Takes a folder that stays, or makes one that goes with the measurement.
    pub(crate) fn open(given: Option<&Path>) -> Result<Self, Error> {
        let doing = || "making the benchmark's folder".to_owned();
        let (root, temporary) = match given {
            Some(path) => {
                fs::create_dir_all(path).doing(doing)?;
                (path.to_owned(), None)
            }
            None => {
                let folder = tempfile::Builder::new().prefix("sanntid-bench-").tempdir();
                let folder = folder.doing(doing)?;
                (folder.path().to_owned(), Some(folder))
            }
        };
        let root = fs::canonicalize(&root).doing(doing)?;
        Ok(Self {
            root,
            _temporary: temporary,
        })
    }

    /// Where data sets lie.
    pub(crate) fn sources(&self) -> PathBuf {
        self.root.join("sources")
    }

    /// Where a server keeps its data.
    pub(crate) fn server(&self, name: &str) -> PathBuf {
        self.root.join(format!("server-{name}"))
    }

    /// Where a server keeps its data, with nothing in it.
    pub(crate) fn fresh_server(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.server(name);
        remove(&path)?;
        remove(&path.with_extension("log"))?;
        fs::create_dir_all(&path).doing(|| "making a server's folder".to_owned())?;
        Ok(path)
    }
}

/// Removes a file or folder, where it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    removed.doing(|| format!("removing {}", path.display()))
}

/// Bytes of all files below a folder.
pub(crate) fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
