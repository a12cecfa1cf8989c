//! A folder with a `snapshot.json`: its manifest and the files that it means.
//! Owns how names and patterns become files. Must not let one lead out of the folder.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use sanntid_types::{EntitySchema, Manifest, ManifestEntity};

use crate::delta::Table;
use crate::entity_file::EntityFile;
use crate::place::Place;
use crate::{Error, FileFormat, FileKind, Packing};

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

impl Folder {
    /// Takes what was found elsewhere.
    pub(crate) fn of_parts(
        manifest: Manifest,
        schemas: Vec<EntitySchema>,
        files: Vec<EntityFile>,
    ) -> Self {
        Self {
            manifest,
            schemas,
            files,
        }
    }

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
    /// names twice is taken once. A name that ends in `/` is a Delta table, which means the data
    /// files of its newest version. An entity that declares no attributes has those of its table, or
    /// of the first of its Parquet files.
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
        let mut tables = Tables::default();
        infer_attributes(&mut manifest, &root, &mut tables)?;
        let schemas = manifest
            .schemas()
            .map_err(|error| Error::ManifestInvalid(error).in_file(&shown))?;
        let mut files = Vec::new();
        for entity in &manifest.entities {
            Finder {
                root: &root,
                entity,
                tables: &mut tables,
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

/// The tables of a folder by name, each in the version in which it was opened first.
type Tables = BTreeMap<String, Table>;

/// Takes the attributes of an entity that declares none from its table, or from the first of its
/// Parquet files.
fn infer_attributes(
    manifest: &mut Manifest,
    root: &Path,
    tables: &mut Tables,
) -> Result<(), Error> {
    // Without files it has other problems, which the manifest's own check finds.
    let undeclared =
        |entity: &&mut ManifestEntity| entity.attributes.is_empty() && !entity.files.is_empty();
    for entity in manifest.entities.iter_mut().filter(undeclared) {
        let mut files = Vec::new();
        Finder {
            root,
            entity,
            tables,
            files: &mut files,
            seen: HashSet::new(),
        }
        .find_all()?;
        let table = entity.files.iter().find_map(|name| tables.get(name));
        let is_parquet = |file: &&EntityFile| file.format.kind == FileKind::Parquet;
        if let Some(table) = table {
            entity.attributes = table.attributes()?;
        } else if let Some(file) = files.iter().find(is_parquet) {
            entity.attributes = crate::open_regular(&file.path)
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
    crate::open_regular(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut text))
        .map_err(Error::Io)?;
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(Error::ManifestTooLarge);
    }
    parse_manifest(&text)
}

pub(crate) fn parse_manifest(text: &[u8]) -> Result<Manifest, Error> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    serde_json::from_slice(text).map_err(|error| Error::ManifestUnreadable {
        reason: error.to_string(),
    })
}

/// How a pattern matches, wherever the files are.
pub(crate) fn match_options() -> glob::MatchOptions {
    glob::MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    }
}

/// Finds the files of one entity.
struct Finder<'a> {
    /// Canonical.
    root: &'a Path,
    entity: &'a ManifestEntity,
    tables: &'a mut Tables,
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
            if name.ends_with('/') {
                self.add_table(name)?;
            } else if literal.exists() {
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
        let options = match_options();
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
            of_table: None,
            of_place: None,
        });
        Ok(())
    }

    fn add_table(&mut self, name: &str) -> Result<(), Error> {
        if !self.tables.contains_key(name) {
            let table = Place::folder(self.root).and_then(|place| Table::open(place, name));
            let table = table.map_err(|error| error.in_file(name))?;
            self.tables.insert(name.to_owned(), table);
        }
        let Some(table) = self.tables.get(name) else {
            return Ok(());
        };
        for file in &table.files {
            let path = self.root.join(&file.name);
            if !self.seen.insert(path.clone()) {
                continue;
            }
            if self.files.len() >= FILES_MAX {
                return Err(Error::TooManyFiles);
            }
            self.files.push(EntityFile {
                entity: self.entity.name.clone(),
                name: file.name.clone(),
                path,
                format: FileFormat {
                    kind: FileKind::Parquet,
                    packing: Packing::None,
                },
                bytes: file.bytes,
                of_table: Some(file.clone()),
                of_place: None,
            });
        }
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
