//! Where a snapshot lies: a folder of this machine, or the objects of a bucket below a prefix.
//!
//! Owns how names become files, and that what is read is the version that was found. Must not know
//! manifests or formats; no name may lead out of the place.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::bucket::Bucket;
use crate::content::Content;
use crate::{Error, Patience};

/// Holds where names are looked for.
#[derive(Clone, Debug)]
pub enum Place {
    Folder(Tree),
    Bucket(Bucket),
}

/// A folder of this machine: without symbolic links in its own path.
#[derive(Clone, Debug)]
pub struct Tree(PathBuf);

/// Names a file of a place as it was when it was looked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Relative to the place, with `/` between its parts.
    pub name: String,
    pub bytes: u64,
    /// Another after each change: an entity tag, or the time of change.
    pub version: String,
}

impl Place {
    /// Takes a folder of this machine.
    ///
    /// # Errors
    /// It can't be read.
    pub fn folder(path: &Path) -> Result<Self, Error> {
        let real = fs::canonicalize(path).map_err(Error::Io)?;
        Ok(Self::Folder(Tree(real)))
    }

    /// Looks for one file; `None` where there is none of this name.
    ///
    /// # Errors
    /// The place can't be read, or the name leads out of it.
    pub fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        match self {
            Self::Folder(folder) => folder.find(name),
            Self::Bucket(bucket) => bucket.find(name),
        }
    }

    /// Lists all files below a folder of the place (`""`: below all of it), however deep, sorted by
    /// name. A folder that is not there has no files.
    ///
    /// # Errors
    /// The place can't be read, the name leads out of it, or there are more than `files_max`
    /// ([`Error::TooManyFiles`]).
    pub fn list(&self, under: &str, files_max: usize) -> Result<Vec<Found>, Error> {
        let mut found = match self {
            Self::Folder(folder) => folder.list(under, files_max),
            Self::Bucket(bucket) => bucket.list(under, files_max),
        }?;
        found.sort();
        Ok(found)
    }

    /// Opens a file that was found. What fails for a moment in a folder is waited for, also later
    /// while it is read; a bucket has patience of its own.
    ///
    /// # Errors
    /// It can't be read, or is no longer as it was found ([`Error::Changed`]). A file or an object
    /// that changes later, while it is read, ends its reading with an [`io::Error`] that says so.
    pub fn open(&self, found: &Found, patience: &Patience) -> Result<Content, Error> {
        match self {
            Self::Folder(folder) => folder.open(found, patience),
            Self::Bucket(bucket) => Ok(bucket.open(found)),
        }
    }

    /// Reads a file that was found as a whole.
    ///
    /// # Errors
    /// As [`Self::open`]; [`Error::FileTooLarge`] where it has more than `bytes_max`.
    pub fn read(&self, found: &Found, bytes_max: u64) -> Result<Vec<u8>, Error> {
        if found.bytes > bytes_max {
            return Err(Error::FileTooLarge { bytes_max });
        }
        let content = self.open(found, &Patience::none())?;
        let length = usize::try_from(content.bytes()).unwrap_or(usize::MAX);
        let bytes = content.read_range(0, length).map_err(Error::of_read)?;
        Ok(bytes.to_vec())
    }
}

impl Tree {
    fn real(&self, name: &str) -> Result<Option<PathBuf>, Error> {
        check_inside(name)?;
        match fs::canonicalize(self.0.join(name)) {
            Ok(path) if path.starts_with(&self.0) => Ok(Some(path)),
            Ok(_) => Err(outside("leads out of the folder by a symbolic link")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(Error::Io(error)),
        }
    }

    fn find(&self, name: &str) -> Result<Option<Found>, Error> {
        let Some(path) = self.real(name)? else {
            return Ok(None);
        };
        let about = fs::metadata(&path).map_err(Error::Io)?;
        Ok(about.is_file().then(|| Found {
            name: name.to_owned(),
            bytes: about.len(),
            version: version(&about),
        }))
    }

    fn list(&self, under: &str, files_max: usize) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let mut folders = vec![under.trim_end_matches('/').to_owned()];
        while let Some(folder) = folders.pop() {
            let path = match folder.as_str() {
                "" => Some(self.0.clone()),
                name => self.real(name)?,
            };
            let Some(path) = path.filter(|path| path.is_dir()) else {
                continue;
            };
            for entry in fs::read_dir(&path).map_err(Error::Io)? {
                let entry = entry.map_err(Error::Io)?;
                // A name that is no text can't stand in a manifest either.
                let Ok(own) = entry.file_name().into_string() else {
                    continue;
                };
                let name = match folder.as_str() {
                    "" => own,
                    folder => format!("{folder}/{own}"),
                };
                // A link to a folder could lead around in circles.
                if entry.file_type().map_err(Error::Io)?.is_dir() {
                    folders.push(name);
                } else if let Some(file) = self.find(&name)? {
                    found.push(file);
                }
                if found.len() + folders.len() > files_max {
                    return Err(Error::TooManyFiles);
                }
            }
        }
        Ok(found)
    }

    fn open(&self, found: &Found, patience: &Patience) -> Result<Content, Error> {
        let path = self.real(&found.name)?.ok_or(Error::Changed)?;
        let content = Content::open(&path, patience).map_err(Error::of_read)?;
        let about = fs::metadata(&path).map_err(Error::Io)?;
        if content.bytes() != found.bytes || version(&about) != found.version {
            return Err(Error::Changed);
        }
        Ok(content)
    }
}

/// Refuses names that are absolute, empty, or have `..` in them.
pub(crate) fn check_inside(name: &str) -> Result<(), Error> {
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(inside) {
        return Err(outside(
            "must be inside of the folder: no / before it, no .. in it",
        ));
    }
    Ok(())
}

fn outside(reason: &str) -> Error {
    Error::Outside {
        reason: reason.to_owned(),
    }
}

fn version(about: &fs::Metadata) -> String {
    let changed = about.modified().ok();
    let since = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
    since.map_or_else(String::new, |since| since.as_nanos().to_string())
}
