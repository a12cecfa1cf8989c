//! One file of an entity, wherever it is. Owns how it is opened.

use std::path::PathBuf;

use sanntid_types::{EntitySchema, ManifestEntity};

use crate::content::Content;
use crate::delta::TableFile;
use crate::place::{Found, Place};
use crate::{Error, FileFormat, FileKind, Packing, Patience, Rows};

/// Names one file of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityFile {
    /// The entity's name as the manifest spells it.
    pub entity: String,
    /// The file's name relative to the folder, for people.
    pub name: String,
    /// Where it really is: without symbolic links. Empty for a bucket's object.
    pub path: PathBuf,
    pub format: FileFormat,
    pub bytes: u64,
    /// What a table's log says of it, where it is a data file of a table.
    pub(crate) of_table: Option<TableFile>,
    /// The object that it is, where it is none of this machine's files.
    pub(crate) of_place: Option<PlacedFile>,
}

impl EntityFile {
    /// Opens the file; errors carry its name.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub fn rows(&self, schema: &EntitySchema) -> Result<Rows, Error> {
        self.open(schema)
            .map(|rows| rows.named(&self.name))
            .map_err(|error| error.in_file(&self.name))
    }

    /// Opens the file; errors don't carry its name.
    ///
    /// # Errors
    /// As [`crate::open`].
    pub fn open(&self, schema: &EntitySchema) -> Result<Rows, Error> {
        self.open_patiently(schema, &Patience::none())
    }

    /// As [`Self::open`]; what fails for a moment, now and while rows are read, is waited for, and
    /// reading goes on where it broke off. A bucket has patience of its own.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_patiently(
        &self,
        schema: &EntitySchema,
        patience: &Patience,
    ) -> Result<Rows, Error> {
        patience.opened(|| match &self.of_table {
            Some(file) => file.rows(schema, patience).map(Rows::of_parquet),
            None => self
                .content(patience)
                .and_then(|content| crate::open_content(content, self.format, schema)),
        })
    }

    /// The bytes, wherever they are.
    pub(crate) fn content(&self, patience: &Patience) -> Result<Content, Error> {
        match &self.of_place {
            Some(file) => file.place.open(&file.found, patience),
            None => Content::open(&self.path, patience).map_err(Error::of_read),
        }
    }

    pub(crate) fn of_place(
        entity: &ManifestEntity,
        place: &Place,
        found: Found,
        format: FileFormat,
    ) -> Self {
        Self {
            entity: entity.name.clone(),
            name: found.name.clone(),
            path: PathBuf::new(),
            format,
            bytes: found.bytes,
            of_table: None,
            of_place: Some(PlacedFile {
                place: place.clone(),
                found,
            }),
        }
    }

    pub(crate) fn of_table(entity: &ManifestEntity, file: TableFile) -> Self {
        Self {
            entity: entity.name.clone(),
            name: file.name.clone(),
            path: PathBuf::new(),
            format: FileFormat {
                kind: FileKind::Parquet,
                packing: Packing::None,
            },
            bytes: file.bytes,
            of_table: Some(file),
            of_place: None,
        }
    }

    /// What an object of a bucket is recognized by; of other files their time of change tells.
    pub fn object_version(&self) -> Option<&str> {
        self.of_place
            .as_ref()
            .map(|file| file.found.version.as_str())
    }

    /// What only the log of its table tells: the table's version, and which rows are deleted.
    pub fn table_version(&self) -> Option<String> {
        self.of_table.as_ref().map(TableFile::version)
    }
}

/// A file of a place, in the version that was found.
#[derive(Clone, Debug)]
pub(crate) struct PlacedFile {
    place: Place,
    found: Found,
}

impl PartialEq for PlacedFile {
    fn eq(&self, other: &Self) -> bool {
        self.found == other.found
    }
}

impl Eq for PlacedFile {}
