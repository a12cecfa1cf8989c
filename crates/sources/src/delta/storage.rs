//! The files of one table for the library. Owns that nothing outside of the table's folder is read,
//! and how much of a log is read at all.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use delta_kernel::{
    FileMeta, FileSlice, KernelError, KernelResult, KernelResultIteratorStatic, StorageHandler,
};
use percent_encoding::percent_decode_str;
use url::Url;

use super::batch::unsupported;
use crate::content::Content;
use crate::place::{Found, Place, check_inside};
use crate::{Error, LOG_BYTES_MAX, Patience};

/// The address that a table has towards the library, whatever its real one is.
const ROOT: &str = "table:///";
/// How many files a log may have.
const LOG_FILES_MAX: usize = 100_000;
/// Largest file that is read as a whole: a hint, a checksum, a file of deletion vectors.
const WHOLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Reads the files of one table.
#[derive(Debug)]
pub(super) struct Storage {
    place: Place,
    /// The table's folder in the place, with `/` at its end.
    folder: String,
    /// As they were found first: a table is read in one version.
    found: Mutex<HashMap<String, Found>>,
    log_bytes: AtomicU64,
}

impl Storage {
    pub(super) fn new(place: Place, folder: &str) -> Self {
        Self {
            place,
            folder: format!("{}/", folder.trim_end_matches('/')),
            found: Mutex::default(),
            log_bytes: AtomicU64::new(0),
        }
    }

    /// The table's address.
    pub(super) fn root() -> Url {
        Url::parse(ROOT).expect("it is a valid address")
    }

    /// The name in the place of a path as a log has it: relative to the table and percent-encoded.
    pub(super) fn name_of_path(&self, path: &str) -> Result<String, Error> {
        // An address, or the root of a disk; a table's own files need neither.
        if path.starts_with('/') || Url::parse(path).is_ok() {
            return Err(Error::Outside {
                reason: "of a file in the log must be relative to the table".to_owned(),
            });
        }
        let path = percent_decode_str(path).decode_utf8();
        let path = path.map_err(|_| Error::Outside {
            reason: "of a file in the log is not UTF-8".to_owned(),
        })?;
        check_inside(&path)?;
        Ok(format!("{}{path}", self.folder))
    }

    fn name_of(&self, address: &Url) -> Result<String, Error> {
        let is_own = address.scheme() == "table" && address.host_str().unwrap_or_default() == "";
        let path = address.path().strip_prefix('/').filter(|_| is_own);
        let path = path.ok_or_else(|| Error::Outside {
            reason: "of a file in the log leads out of the table".to_owned(),
        })?;
        self.name_of_path(path)
    }

    /// Looks for a file once.
    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let known = self.found.lock().ok();
        if let Some(found) = known.and_then(|known| known.get(name).cloned()) {
            return Ok(Some(found));
        }
        self.place.find(name)
    }

    /// Opens a data file, which must have the size that the log says.
    pub(super) fn open_data(
        &self,
        name: &str,
        bytes: u64,
        patience: &Patience,
    ) -> Result<Content, Error> {
        let found = self.find(name)?.ok_or_else(|| Error::DeltaUnreadable {
            reason: "its log names this file, but there is none".to_owned(),
        })?;
        if found.bytes != bytes {
            let found = found.bytes;
            let reason = format!("this file has {found} bytes, its log says {bytes}");
            return Err(Error::DeltaUnreadable { reason });
        }
        self.place.open(&found, patience)
    }

    /// Opens a file of the log, which counts towards the limit.
    pub(super) fn open_log(&self, address: &Url) -> Result<(String, Content), Error> {
        let name = self.name_of(address)?;
        let found = self.find(&name)?.ok_or_else(|| Error::DeltaUnreadable {
            reason: format!("{name} does not exist"),
        })?;
        self.count(found.bytes)?;
        let content = self.place.open(&found, &Patience::none())?;
        Ok((name, content))
    }

    fn count(&self, bytes: u64) -> Result<(), Error> {
        let before = self.log_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > LOG_BYTES_MAX {
            return Err(Error::DeltaUnreadable {
                reason: format!(
                    "more than {LOG_BYTES_MAX} bytes of its log would have to be read; \
                     write a checkpoint"
                ),
            });
        }
        Ok(())
    }

    fn read_whole(&self, address: &Url) -> Result<Bytes, KernelError> {
        let name = self.name_of(address).map_err(failure)?;
        let found = self.find(&name).map_err(failure)?;
        let found = found.ok_or(KernelError::FileNotFound(name))?;
        self.count(found.bytes).map_err(failure)?;
        let bytes = self.place.read(&found, WHOLE_BYTES_MAX).map_err(failure)?;
        Ok(bytes.into())
    }

    fn meta_of(&self, found: &Found) -> Option<FileMeta> {
        let path = found.name.strip_prefix(&self.folder)?;
        let mut location = Self::root();
        location.path_segments_mut().ok()?.extend(path.split('/'));
        Some(FileMeta {
            location,
            last_modified: 0,
            size: found.bytes,
        })
    }
}

impl StorageHandler for Storage {
    fn list_from(&self, path: &Url) -> KernelResult<KernelResultIteratorStatic<FileMeta>> {
        let (parent, _) = path.path().rsplit_once('/').unwrap_or_default();
        let mut folder = path.clone();
        folder.set_path(parent);
        let folder = self.name_of(&folder).map_err(failure)?;
        let files = self.place.list(&folder, LOG_FILES_MAX).map_err(failure)?;
        let mut listed = Vec::new();
        for found in files {
            let Some(meta) = self.meta_of(&found) else {
                continue;
            };
            if meta.location.path() > path.path() {
                if let Ok(mut known) = self.found.lock() {
                    known.entry(found.name.clone()).or_insert(found);
                }
                listed.push(meta);
            }
        }
        listed.sort_by(|one, other| one.location.as_str().cmp(other.location.as_str()));
        Ok(Box::new(listed.into_iter().map(Ok)))
    }

    fn read_files(&self, files: Vec<FileSlice>) -> KernelResult<KernelResultIteratorStatic<Bytes>> {
        let mut read = Vec::new();
        for (address, range) in files {
            read.push(self.read_whole(&address).and_then(|bytes| match range {
                None => Ok(bytes),
                Some(range) => {
                    let start = usize::try_from(range.start).unwrap_or(usize::MAX);
                    let end = usize::try_from(range.end).unwrap_or(usize::MAX);
                    if start > end || end > bytes.len() {
                        let text = "a range of a file is not in it";
                        return Err(KernelError::Generic(text.to_owned()));
                    }
                    Ok(bytes.slice(start..end))
                }
            }));
        }
        Ok(Box::new(read.into_iter()))
    }

    fn copy_atomic(&self, _from: &Url, _to: &Url) -> KernelResult<()> {
        Err(unsupported("writing"))
    }

    fn put(&self, _path: &Url, _data: Bytes, _overwrite: bool) -> KernelResult<()> {
        Err(unsupported("writing"))
    }

    fn head(&self, path: &Url) -> KernelResult<FileMeta> {
        let name = self.name_of(path).map_err(failure)?;
        let found = self.find(&name).map_err(failure)?;
        let meta = found.and_then(|found| self.meta_of(&found));
        meta.ok_or(KernelError::FileNotFound(name))
    }

    fn delete(&self, _path: &Url) -> KernelResult<()> {
        Err(unsupported("writing"))
    }
}

/// Carries an error through the library.
pub(super) fn failure(error: Error) -> KernelError {
    KernelError::GenericError {
        source: Box::new(error),
    }
}

/// What an error of the library means: one of ours that it carried, or one of the table.
pub(super) fn refusal(error: KernelError) -> Error {
    match error {
        KernelError::Backtraced { source, .. } => refusal(*source),
        KernelError::GenericError { source } => match source.downcast::<Error>() {
            Ok(error) => *error,
            Err(source) => Error::DeltaUnreadable {
                reason: source.to_string(),
            },
        },
        KernelError::IOError(error) => Error::Io(error),
        KernelError::EmptyLog => Error::DeltaUnreadable {
            reason: "there are no commits in its folder _delta_log".to_owned(),
        },
        error => Error::DeltaUnreadable {
            reason: error.to_string(),
        },
    }
}
