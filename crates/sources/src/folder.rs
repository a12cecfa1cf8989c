//! A folder with a `snapshot.json`: its manifest and the files that it means.
//! Owns how names and patterns become files. Must not let one lead out of the folder.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use sanntid_types::{EntitySchema, Manifest, ManifestEntity};

use crate::{Error, FileFormat, FileKind, Rows};

/// Largest manifest in bytes.
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How many files one manifest may lead to.
pub const FILES_MAX: usize = 10_000;

/// Holds a manifest that is valid, and the files of its entities that are there.
#[derive(Clone, Debug)]
pub struct Folder {
    pub manifest: Manifest,
    schemas: Vec<EntitySchema>,
    files: Vec<EntityFile>,
}

/// Names one file of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFile {
    /// The entity's name as the manifest spells it.
    pub entity: String,
    /// The file's name relative to the folder, for people.
    pub name: String,
    /// Where it really is: without symbolic links.
    pub path: PathBuf,
    pub format: FileFormat,
    pub bytes: u64,
}

impl Folder {
    /// Reads a manifest whose `files` stand in its own folder.
    ///
    /// # Errors
    /// As [`Self::open_with_files`].
    pub fn open(manifest_path: &Path) -> Result<Self, Error> {
        let folder = match manifest_path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        Self::open_with_files(manifest_path, folder)
    }

    /// Reads a manifest whose `files` stand in another folder.
    ///
    /// A name may be a pattern (`orders/*.csv`, `**` for folders of any depth); hidden files match
    /// only where it says so. What a pattern finds is sorted by name, and a file that an entity
    /// names twice is taken once. An entity that declares no attributes has those of the first of its
    /// Parquet files.
    ///
    /// # Errors
    /// The manifest can't be read or is not valid; an entity has no files; a name is absolute, has
    /// `..`, leads out of the folder by a symbolic link, finds nothing, or has an ending that can't
    /// be read.
    pub fn open_with_files(manifest_path: &Path, files_folder: &Path) -> Result<Self, Error> {
        let shown = manifest_path
            .file_name()
            .map_or_else(|| "manifest".into(), |name| name.to_string_lossy());
        let mut manifest = read_manifest(manifest_path).map_err(|error| error.in_file(&shown))?;
        let root = fs::canonicalize(files_folder).map_err(Error::Io)?;
        infer_attributes(&mut manifest, &root)?;
        let schemas = manifest
            .schemas()
            .map_err(|error| Error::ManifestInvalid(error).in_file(&shown))?;
        let mut files = Vec::new();
        for entity in &manifest.entities {
            Finder {
                root: &root,
                entity,
                files: &mut files,
                seen: HashSet::new(),
            }
            .find_all()?;
        }
        Ok(Self {
            manifest,
            schemas,
            files,
        })
    }

    /// The entities' schemas, in the order of the manifest.
    pub fn schemas(&self) -> &[EntitySchema] {
        &self.schemas
    }

    /// All files, in the order of the manifest.
    pub fn files(&self) -> &[EntityFile] {
        &self.files
    }
}

impl EntityFile {
    /// Opens the file; errors carry its name.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub fn rows(&self, schema: &EntitySchema) -> Result<Rows, Error> {
        File::open(&self.path)
            .map_err(Error::Io)
            .and_then(|file| crate::open_file(file, self.format, schema))
            .map(|rows| rows.named(&self.name))
            .map_err(|error| error.in_file(&self.name))
    }
}

/// Takes the attributes of an entity that declares none from the first of its Parquet files.
fn infer_attributes(manifest: &mut Manifest, root: &Path) -> Result<(), Error> {
    // Without files it has other problems, which the manifest's own check finds.
    let undeclared =
        |entity: &&mut ManifestEntity| entity.attributes.is_empty() && !entity.files.is_empty();
    for entity in manifest.entities.iter_mut().filter(undeclared) {
        let mut files = Vec::new();
        Finder {
            root,
            entity,
            files: &mut files,
            seen: HashSet::new(),
        }
        .find_all()?;
        let is_parquet = |file: &&EntityFile| file.format.kind == FileKind::Parquet;
        if let Some(file) = files.iter().find(is_parquet) {
            entity.attributes = File::open(&file.path)
                .map_err(Error::Io)
                .and_then(|opened| crate::infer_schema(&opened))
                .map_err(|error| error.in_file(&file.name))?;
        }
    }
    Ok(())
}

fn read_manifest(path: &Path) -> Result<Manifest, Error> {
    let mut text = Vec::new();
    let limit = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut text))
        .map_err(Error::Io)?;
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(Error::ManifestTooLarge);
    }
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|error| Error::ManifestUnreadable {
        reason: error.to_string(),
    })
}

/// Finds the files of one entity.
struct Finder<'a> {
    /// Canonical.
    root: &'a Path,
    entity: &'a ManifestEntity,
    files: &'a mut Vec<EntityFile>,
    /// The entity's own.
    seen: HashSet<PathBuf>,
}

impl Finder<'_> {
    fn find_all(&mut self) -> Result<(), Error> {
        let entity = self.entity;
        if entity.files.is_empty() {
            return Err(Error::NoFiles {
                entity: entity.name.clone(),
            });
        }
        for name in &entity.files {
            self.check_inside(name)?;
            // A file whose own name has `[` or `*` in it needs no escaping.
            let literal = self.root.join(name);
            if name.ends_with('/') || literal.exists() {
                self.add(name, &literal)?;
            } else {
                self.find_matching(name)?;
            }
        }
        Ok(())
    }

    fn check_inside(&self, name: &str) -> Result<(), Error> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        if name.is_empty() || !Path::new(name).components().all(inside) {
            return Err(self.refuse(
                name,
                "must be inside of the folder: no / before it, no .. in it",
            ));
        }
        Ok(())
    }

    fn find_matching(&mut self, pattern: &str) -> Result<(), Error> {
        let Some(root) = self.root.to_str() else {
            return Err(self.refuse(
                pattern,
                "can't be looked for: the folder's name is not UTF-8",
            ));
        };
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let whole = format!("{}/{pattern}", glob::Pattern::escape(root));
        let found = glob::glob_with(&whole, options)
            .map_err(|error| self.refuse(pattern, format!("is no pattern: {}", error.msg)))?;
        let mut any = false;
        for path in found {
            // The pattern's own error would show a path.
            let path = path.map_err(|error| Error::Io(error.error().kind().into()))?;
            if path.is_dir() {
                continue;
            }
            any = true;
            let name = path.strip_prefix(self.root).unwrap_or(&path);
            let name = name.to_string_lossy().into_owned();
            self.add(&name, &path)?;
        }
        if any {
            Ok(())
        } else {
            Err(self.refuse(pattern, "does not exist"))
        }
    }

    fn add(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        let format = FileFormat::of_name(name)
            .map_err(|error| self.refuse(name, format!("is refused: {error}")))?;
        let path = fs::canonicalize(path).map_err(|error| Error::Io(error).in_file(name))?;
        if !path.starts_with(self.root) {
            return Err(self.refuse(name, "leads out of the folder by a symbolic link"));
        }
        let about = fs::metadata(&path).map_err(|error| Error::Io(error).in_file(name))?;
        if !about.is_file() {
            return Err(self.refuse(name, "is not a file"));
        }
        if !self.seen.insert(path.clone()) {
            return Ok(());
        }
        if self.files.len() >= FILES_MAX {
            return Err(Error::TooManyFiles);
        }
        self.files.push(EntityFile {
            entity: self.entity.name.clone(),
            name: name.to_owned(),
            path,
            format,
            bytes: about.len(),
        });
        Ok(())
    }

    fn refuse(&self, file: &str, reason: impl Into<String>) -> Error {
        Error::File {
            entity: self.entity.name.clone(),
            file: file.to_owned(),
            reason: reason.into(),
        }
    }
}
