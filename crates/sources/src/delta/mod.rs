//! Delta tables: one version of a table as files with rows, and what its log says about them.
//!
//! Owns the opening of a table, by way of the Delta project's own library, which replays the log;
//! this module lends it the files and nothing else. Must not write, nor read outside of the
//! table's folder.

mod batch;
mod checkpoint;
mod data;
mod evaluate;
mod json;
mod storage;

use std::sync::Arc;

use delta_kernel::actions::deletion_vector::{DeletionVectorDescriptor, DeletionVectorStorageType};
use delta_kernel::expressions::ColumnName;
use delta_kernel::scan::{Scan, StatsOptions};
use delta_kernel::schema::{ColumnMetadataKey, DataType, MetadataValue, StructField};
use delta_kernel::table_features::ColumnMappingMode;
use delta_kernel::{
    Engine, EvaluationHandler, JsonHandler, KernelResult, ParquetHandler, Snapshot, StorageHandler,
};
use sanntid_types::{EntitySchema, ManifestAttribute};

use self::batch::{Batch, Value};
use self::checkpoint::Checkpoints;
use self::evaluate::Evaluators;
use self::json::Commits;
use self::storage::{Storage, refusal};
use crate::parquet_guard::caught;
use crate::parquet_rows::ParquetRows;
use crate::place::Place;
use crate::{Error, FILES_MAX, Patience};

/// How many bytes of a table's log are read at most.
pub const LOG_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// One version of a table.
pub(crate) struct Table {
    /// As the manifest spells it.
    name: String,
    /// Those that the version has, sorted by name.
    pub(crate) files: Vec<TableFile>,
    fields: Arc<Fields>,
}

/// Names a data file of a table, with what only the log knows of its rows. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TableFile {
    storage: Arc<Storage>,
    fields: Arc<Fields>,
    /// Of the table.
    version: u64,
    /// Relative to the place.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// By the columns' physical names.
    partition: Vec<(String, Option<String>)>,
    deletion: Option<DeletionVectorDescriptor>,
}

/// The columns of a table, in its order.
type Fields = Vec<TableField>;

#[derive(Debug)]
struct TableField {
    name: String,
    data_type: DataType,
    /// What the files call it.
    physical: String,
    /// What the files number it, where they find columns by that.
    id: Option<i64>,
    /// Whether the files have it; otherwise the log tells its value.
    is_in_files: bool,
}

impl Table {
    /// Reads the log of the newest version of the table in a folder of the place.
    ///
    /// # Errors
    /// There is no table; its log can't be read, contradicts itself or is too long; it has more
    /// than [`FILES_MAX`] files, needs a reader feature that there is not, or names files outside of
    /// its folder.
    pub(crate) fn open(place: Place, folder: &str) -> Result<Self, Error> {
        let storage = Arc::new(Storage::new(place, folder));
        guarded(|| {
            let library = Library(Arc::clone(&storage));
            let snapshot = Snapshot::builder_for(Storage::root()).build(&library)?;
            let version = snapshot.version();
            let mode = snapshot.table_properties().column_mapping_mode;
            let logical = snapshot.schema();
            // Whole rows without a filter: neither statistics nor expressions are needed.
            let scan = snapshot.scan_builder().with_stats(StatsOptions::none());
            let scan = scan.without_row_transforms().build()?;
            let fields = Arc::new(fields_of(logical.fields(), &scan, mode));
            let mut files = Vec::new();
            for found in scan.scan_metadata(&library)? {
                let (batch, selection) = found?.scan_files.into_parts();
                let batch = batch.any_ref().downcast_ref::<Batch>();
                let Some(batch) = batch else { continue };
                let origin = Origin {
                    storage: &storage,
                    fields: &fields,
                    version,
                };
                let found = files_of(batch, &selection, &origin, &mut files);
                found.map_err(storage::failure)?;
            }
            files.sort_by(|one: &TableFile, other| one.name.cmp(&other.name));
            Ok(Self {
                name: folder.to_owned(),
                files,
                fields,
            })
        })
    }

    /// The attributes that the table has, in its order and under its columns' names.
    ///
    /// # Errors
    /// A column has a type that no attribute can have (a nested one).
    pub(crate) fn attributes(&self) -> Result<Vec<ManifestAttribute>, Error> {
        let attribute = |field: &TableField| {
            Ok(ManifestAttribute {
                name: field.name.clone(),
                data_type: data::edm_type(field)?,
                format: None,
                computed: false,
                empty_is_value: false,
                alternate_key: None,
            })
        };
        let attributes: Result<_, Error> = self.fields.iter().map(attribute).collect();
        attributes.map_err(|error| error.in_file(&self.name))
    }
}

impl TableFile {
    /// Another one after each change of the table's rows in this file: the table's version, and
    /// which of the rows are deleted.
    pub(crate) fn version(&self) -> String {
        let deletion = self.deletion.as_ref().map_or_else(String::new, |about| {
            let offset = about.offset.unwrap_or_default();
            format!(" {} {offset}", about.path_or_inline_dv)
        });
        format!("{}{deletion}", self.version)
    }

    /// Opens it, without the rows that are deleted and with the columns that only the log has.
    ///
    /// # Errors
    /// As [`ParquetRows::open`]; the file is not there, or not as the log says.
    pub(crate) fn rows(
        &self,
        schema: &EntitySchema,
        patience: &Patience,
    ) -> Result<ParquetRows, Error> {
        let content = self.storage.open_data(&self.name, self.bytes, patience)?;
        data::open(self, content, schema)
    }
}

/// By what they read: name and version in one table.
impl PartialEq for TableFile {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.version() == other.version()
    }
}

impl Eq for TableFile {}

/// Lends the library what it reads with.
struct Library(Arc<Storage>);

impl Engine for Library {
    fn evaluation_handler(&self) -> Arc<dyn EvaluationHandler> {
        Arc::new(Evaluators)
    }

    fn storage_handler(&self) -> Arc<dyn StorageHandler> {
        Arc::clone(&self.0) as _
    }

    fn json_handler(&self) -> Arc<dyn JsonHandler> {
        Arc::new(Commits(Arc::clone(&self.0)))
    }

    fn parquet_handler(&self) -> Arc<dyn ParquetHandler> {
        Arc::new(Checkpoints(Arc::clone(&self.0)))
    }
}

/// Calls the library so that neither an error nor a panic of it gets further than this.
fn guarded<T>(call: impl FnOnce() -> KernelResult<T>) -> Result<T, Error> {
    match caught(call) {
        Some(outcome) => outcome.map_err(refusal),
        None => Err(Error::DeltaUnreadable {
            reason: "its log contradicts itself".to_owned(),
        }),
    }
}

fn fields_of<'a>(
    logical: impl Iterator<Item = &'a StructField>,
    scan: &Scan,
    mode: Option<ColumnMappingMode>,
) -> Fields {
    let physical = scan.physical_schema();
    let named = |field: &StructField| {
        let key = &ColumnMetadataKey::ColumnMappingPhysicalName;
        match field.get_config_value(key) {
            Some(MetadataValue::String(name)) => Some(name.clone()),
            _ => None,
        }
    };
    let logical: Vec<&StructField> = logical.collect();
    // The property alone does not say it: the table's protocol may be too old for it.
    let is_mapped = matches!(mode, Some(ColumnMappingMode::Name | ColumnMappingMode::Id))
        && physical.fields().all(|field| {
            let is_name = |name: String| name == *field.name();
            logical.iter().any(|one| named(one).is_some_and(is_name))
        });
    let field = |field: &StructField| {
        let mapped = named(field).filter(|_| is_mapped);
        let name = mapped.unwrap_or_else(|| field.name().clone());
        let in_files = physical.field(&name);
        let id = in_files.and_then(|field| {
            match field.get_config_value(&ColumnMetadataKey::ParquetFieldId) {
                Some(MetadataValue::Number(id)) => Some(*id),
                _ => None,
            }
        });
        TableField {
            name: field.name().clone(),
            data_type: field.data_type.clone(),
            physical: name,
            id: id.filter(|_| mode == Some(ColumnMappingMode::Id)),
            is_in_files: in_files.is_some(),
        }
    };
    logical.into_iter().map(field).collect()
}

/// What all files of a version have in common.
struct Origin<'a> {
    storage: &'a Arc<Storage>,
    fields: &'a Arc<Fields>,
    version: u64,
}

fn files_of(
    batch: &Batch,
    selection: &[bool],
    origin: &Origin<'_>,
    files: &mut Vec<TableFile>,
) -> Result<(), Error> {
    let column = |path: &[&str]| {
        let column = batch.column(&ColumnName::new(path.iter().copied()));
        column.ok_or_else(|| incomplete(path.last().copied().unwrap_or_default()))
    };
    let paths = column(&["path"])?;
    let sizes = column(&["size"])?;
    let partitions = column(&["fileConstantValues", "partitionValues"])?;
    let deletions = column(&["deletionVector"])?;
    let places = [
        "storageType",
        "pathOrInlineDv",
        "offset",
        "sizeInBytes",
        "cardinality",
    ]
    .map(|name| Batch::path(&batch.schema, &ColumnName::new(["deletionVector", name])));
    for (row, path) in paths.into_iter().enumerate() {
        let is_selected = selection.get(row).copied().unwrap_or(true);
        let Some(path) = path.and_then(Value::as_text).filter(|_| is_selected) else {
            continue;
        };
        if files.len() >= FILES_MAX {
            return Err(Error::TooManyFiles);
        }
        let size = sizes
            .get(row)
            .copied()
            .flatten()
            .and_then(Value::as_integer);
        let bytes = size.and_then(|size| u64::try_from(size).ok());
        let partition = match partitions.get(row).copied().flatten() {
            Some(Value::Map { keys, values }) => {
                let keys = keys.0.iter().flatten().cloned();
                keys.zip(values.0.iter().cloned()).collect()
            }
            _ => Vec::new(),
        };
        let deletion = match deletions.get(row).copied().flatten() {
            Some(_) => {
                let row = batch.rows.get(row).map(Vec::as_slice).unwrap_or_default();
                let [kind, path, offset, size, count] = places
                    .each_ref()
                    .map(|place| place.as_ref().and_then(|place| Batch::at(row, place)));
                Some(deletion([kind, path], [offset, size, count])?)
            }
            None => None,
        };
        files.push(TableFile {
            storage: Arc::clone(origin.storage),
            fields: Arc::clone(origin.fields),
            version: origin.version,
            name: origin.storage.name_of_path(path)?,
            bytes: bytes.ok_or_else(|| incomplete("size"))?,
            partition,
            deletion,
        });
    }
    Ok(())
}

fn deletion(
    [kind, path]: [Option<&Value>; 2],
    [offset, size, count]: [Option<&Value>; 3],
) -> Result<DeletionVectorDescriptor, Error> {
    let kind = match kind.and_then(Value::as_text) {
        Some("u") => DeletionVectorStorageType::PersistedRelative,
        Some("i") => DeletionVectorStorageType::Inline,
        Some("p") => DeletionVectorStorageType::PersistedAbsolute,
        _ => return Err(incomplete("storageType")),
    };
    let narrow = |value: Option<&Value>| {
        let number = value.and_then(Value::as_integer);
        number.and_then(|number| i32::try_from(number).ok())
    };
    let path = path.and_then(Value::as_text);
    let path = path.ok_or_else(|| incomplete("pathOrInlineDv"))?;
    let size = narrow(size).ok_or_else(|| incomplete("sizeInBytes"))?;
    let count = count.and_then(Value::as_integer);
    let count = count.ok_or_else(|| incomplete("cardinality"))?;
    guarded(|| DeletionVectorDescriptor::try_new(kind, path, narrow(offset), size, count))
}

fn incomplete(what: &str) -> Error {
    Error::DeltaUnreadable {
        reason: format!("a file in its log has no {what}, or one that can't be"),
    }
}
