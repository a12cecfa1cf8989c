//! A manifest and its files in any place, found by what the place lists. Owns how a name or a
//! pattern means objects of a bucket. Folders of this machine have links besides: those are
//! `folder`'s.

use std::collections::{BTreeMap, HashSet};

use sanntid_types::{Manifest, ManifestEntity};

use crate::bucket::OBJECTS_LISTED_MAX;
use crate::delta::Table;
use crate::entity_file::EntityFile;
use crate::folder::{self, FILES_MAX, Folder, MANIFEST_BYTES_MAX};
use crate::place::{Found, Place, check_inside};
use crate::{Error, FileFormat, FileKind, Patience, parquet_rows};

impl Folder {
    /// Reads a manifest of a place, and looks for the files that it means there.
    ///
    /// # Errors
    /// As [`Self::open_with_files`], and whatever the place fails with.
    pub fn open_in(place: &Place, manifest_name: &str) -> Result<Self, Error> {
        let mut manifest =
            read_manifest(place, manifest_name).map_err(|error| error.in_file(manifest_name))?;
        let mut finder = Finder {
            place,
            listed: BTreeMap::new(),
            tables: BTreeMap::new(),
            files: Vec::new(),
        };
        for entity in &mut manifest.entities {
            let files_before = finder.files.len();
            finder.find_all(entity)?;
            if entity.attributes.is_empty() {
                finder.infer_attributes(entity, files_before)?;
            }
        }
        let files = finder.files;
        let schemas = manifest
            .schemas()
            .map_err(|error| Error::ManifestInvalid(error).in_file(manifest_name))?;
        Ok(Self::of_parts(manifest, schemas, files))
    }
}

fn read_manifest(place: &Place, name: &str) -> Result<Manifest, Error> {
    let found = place.find(name)?.ok_or(Error::ManifestMissing)?;
    let bytes_max = u64::try_from(MANIFEST_BYTES_MAX).unwrap_or(u64::MAX);
    let text = place.read(&found, bytes_max).map_err(|error| match error {
        Error::FileTooLarge { .. } => Error::ManifestTooLarge,
        error => error,
    })?;
    folder::parse_manifest(&text)
}

/// Finds the files of one entity after another.
struct Finder<'a> {
    place: &'a Place,
    /// What was found below a folder.
    listed: BTreeMap<String, Vec<Found>>,
    tables: BTreeMap<String, Table>,
    files: Vec<EntityFile>,
}

impl Finder<'_> {
    fn find_all(&mut self, entity: &ManifestEntity) -> Result<(), Error> {
        if entity.files.is_empty() {
            return Err(Error::NoFiles {
                entity: entity.name.clone(),
            });
        }
        let mut seen = HashSet::new();
        for name in &entity.files {
            check_inside(name).map_err(|error| match error {
                Error::Outside { reason } => refuse(entity, name, &reason),
                error => error,
            })?;
            if name.ends_with('/') {
                self.add_table(entity, name, &mut seen)?;
                continue;
            }
            let plain: Vec<&str> = name
                .split('/')
                .filter(|part| !matches!(*part, "" | "."))
                .collect();
            for found in self.find(entity, &plain)? {
                self.add(entity, found, &mut seen)?;
            }
        }
        Ok(())
    }

    /// The files that a name means: itself, or what it matches as a pattern.
    fn find(&mut self, entity: &ManifestEntity, parts: &[&str]) -> Result<Vec<Found>, Error> {
        let name = parts.join("/");
        let is_pattern = |part: &&str| part.contains(['*', '?', '[']);
        let missing = || refuse(entity, &name, "does not exist");
        let Some(first) = parts.iter().position(is_pattern) else {
            let found = self.place.find(&name)?;
            return found.map(|found| vec![found]).ok_or_else(missing);
        };
        let pattern = glob::Pattern::new(&name);
        let below = parts.get(..first).unwrap_or_default().join("/");
        let listed = self.list(entity, &name, below)?;
        // A file whose own name has `[` or `*` in it needs no escaping.
        if let Some(literal) = listed.iter().find(|found| found.name == name) {
            return Ok(vec![literal.clone()]);
        }
        let pattern =
            pattern.map_err(|error| refuse(entity, &name, &format!("is no pattern: {error}")))?;
        let options = folder::match_options();
        let matching: Vec<Found> = listed
            .iter()
            .filter(|found| pattern.matches_with(&found.name, options))
            .cloned()
            .collect();
        if matching.is_empty() {
            return Err(missing());
        }
        Ok(matching)
    }

    fn list(
        &mut self,
        entity: &ManifestEntity,
        pattern: &str,
        below: String,
    ) -> Result<&[Found], Error> {
        if !self.listed.contains_key(&below) {
            let listed = self.place.list(&below, OBJECTS_LISTED_MAX);
            let listed = listed.map_err(|error| match error {
                Error::TooManyFiles => {
                    let reason = format!(
                        "is a pattern for a folder with more than {OBJECTS_LISTED_MAX} files"
                    );
                    refuse(entity, pattern, &reason)
                }
                error => error,
            })?;
            self.listed.insert(below.clone(), listed);
        }
        Ok(self.listed.get(&below).map_or(&[], Vec::as_slice))
    }

    fn add(
        &mut self,
        entity: &ManifestEntity,
        found: Found,
        seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        let format = FileFormat::of_name(&found.name)
            .map_err(|error| refuse(entity, &found.name, &format!("is refused: {error}")))?;
        if seen.insert(found.name.clone()) {
            self.push(EntityFile::of_place(entity, self.place, found, format))?;
        }
        Ok(())
    }

    fn add_table(
        &mut self,
        entity: &ManifestEntity,
        name: &str,
        seen: &mut HashSet<String>,
    ) -> Result<(), Error> {
        if !self.tables.contains_key(name) {
            let table = Table::open(self.place.clone(), name);
            let table = table.map_err(|error| error.in_file(name))?;
            self.tables.insert(name.to_owned(), table);
        }
        let files = self.tables.get(name).map(|table| table.files.clone());
        for file in files.unwrap_or_default() {
            if seen.insert(file.name.clone()) {
                self.push(EntityFile::of_table(entity, file))?;
            }
        }
        Ok(())
    }

    fn push(&mut self, file: EntityFile) -> Result<(), Error> {
        if self.files.len() >= FILES_MAX {
            return Err(Error::TooManyFiles);
        }
        self.files.push(file);
        Ok(())
    }

    /// Takes an entity's attributes from its table, or from the first of its Parquet files.
    fn infer_attributes(&self, entity: &mut ManifestEntity, from: usize) -> Result<(), Error> {
        if let Some(table) = entity.files.iter().find_map(|name| self.tables.get(name)) {
            entity.attributes = table.attributes()?;
            return Ok(());
        }
        let files = self.files.iter().skip(from);
        let is_parquet = |file: &&EntityFile| file.format.kind == FileKind::Parquet;
        if let Some(file) = files.into_iter().find(is_parquet) {
            entity.attributes = file
                .content(&Patience::none())
                .and_then(|content| parquet_rows::infer_attributes(&content))
                .map_err(|error| error.in_file(&file.name))?;
        }
        Ok(())
    }
}

fn refuse(entity: &ManifestEntity, file: &str, reason: &str) -> Error {
    Error::File {
        entity: entity.name.clone(),
        file: file.to_owned(),
        reason: reason.to_owned(),
    }
}
