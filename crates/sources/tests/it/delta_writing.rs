//! Delta tables as the tests write them: log lines by hand, data and checkpoints with the Parquet
//! writer.

#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a fixture that is not as its test means it fails that test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, MapBuilder, StringBuilder};
use arrow_array::*;
use arrow_schema::{Field, Fields};
use parquet::basic::Compression;
use sanntid_sources::{Error, Folder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::parquet_files::written;
use crate::reading::show;

/// A folder with a manifest whose one entity is the table `orders/`.
pub(crate) struct Written {
    dir: TempDir,
    partition: Vec<String>,
    schema: Value,
}

impl Written {
    /// An empty table of version 0 with the columns `Id` and `Amount`.
    pub(crate) fn new() -> Self {
        Self::with_schema(&[("Id", "string"), ("Amount", "long")], &[])
    }

    pub(crate) fn with_schema(columns: &[(&str, &str)], partition: &[&str]) -> Self {
        let fields: Vec<Value> = columns
            .iter()
            .map(|(name, kind)| {
                json!({"name": name, "type": kind, "nullable": true, "metadata": {}})
            })
            .collect();
        let table = Self::with_fields(fields, partition);
        table.commit(0, &[protocol(1, 2), table.metadata(json!({}))]);
        table
    }

    /// A table without a commit.
    pub(crate) fn with_fields(fields: Vec<Value>, partition: &[&str]) -> Self {
        let dir = tempfile::tempdir().expect("folder");
        fs::create_dir_all(dir.path().join("snapshot/orders/_delta_log")).expect("folder");
        fs::write(dir.path().join("outside.parquet"), data(&["secret"], &[1])).expect("file");
        let table = Self {
            dir,
            partition: partition.iter().map(|&name| name.to_owned()).collect(),
            schema: json!({"type": "struct", "fields": fields}),
        };
        table.declare(json!([]));
        table
    }

    /// Writes the manifest.
    pub(crate) fn declare(&self, attributes: Value) {
        let entity = json!({"name": "Orders", "entityType": "activity", "key": "Id",
                            "files": ["orders/"], "attributes": attributes});
        let manifest = json!({"asOf": "2026-11-23T02:00:00Z", "entities": [entity]});
        fs::write(self.manifest(), manifest.to_string()).expect("file");
    }

    fn manifest(&self) -> PathBuf {
        self.dir.path().join("snapshot/snapshot.json")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("snapshot/orders").join(name)
    }

    pub(crate) fn metadata(&self, configuration: Value) -> Value {
        json!({"metaData": {"id": "5fba94ed-9794-4965-ba6e-6ee3c0d22af9",
            "format": {"provider": "parquet", "options": {}},
            "schemaString": self.schema.to_string(), "partitionColumns": self.partition,
            "configuration": configuration, "createdTime": 1}})
    }

    pub(crate) fn commit(&self, version: u64, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        let name = format!("_delta_log/{version:020}.json");
        fs::write(self.path(&name), lines.join("\n") + "\n").expect("file");
    }

    /// Writes a data file; gives the action that adds it.
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Value {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, bytes).expect("file");
        added(name, bytes.len())
    }

    /// Writes a checkpoint of all that is given, and forgets the commits up to it.
    pub(crate) fn checkpoint(&self, version: u64, adds: &[Value]) {
        let name = format!("_delta_log/{version:020}.checkpoint.parquet");
        let bytes = checkpoint(&self.metadata(json!({})), adds);
        fs::write(self.path(&name), bytes).expect("file");
        for version in 0..=version {
            let name = format!("_delta_log/{version:020}.json");
            fs::remove_file(self.path(&name)).expect("a commit");
        }
    }

    pub(crate) fn open(&self) -> Result<Folder, Error> {
        Folder::open(&self.manifest())
    }

    /// The rows of all files in their order.
    pub(crate) fn rows(&self) -> Result<Vec<String>, Error> {
        let folder = self.open()?;
        let schema = folder.schemas().first().expect("one entity");
        let mut rows = Vec::new();
        for file in folder.files() {
            for item in file.rows(schema)? {
                rows.push(show(&item?));
            }
        }
        Ok(rows)
    }

    /// Why it can't be opened, or not be read to its end.
    pub(crate) fn refusal(&self) -> String {
        match self.rows() {
            Ok(rows) => panic!("it was read: {rows:?}"),
            Err(error) => error.to_string(),
        }
    }
}

pub(crate) fn protocol(reader: u32, writer: u32) -> Value {
    json!({"protocol": {"minReaderVersion": reader, "minWriterVersion": writer}})
}

pub(crate) fn protocol_with(features: &[&str]) -> Value {
    json!({"protocol": {"minReaderVersion": 3, "minWriterVersion": 7,
                        "readerFeatures": features, "writerFeatures": features}})
}

pub(crate) fn added(path: &str, bytes: usize) -> Value {
    json!({"add": {"path": path, "partitionValues": {}, "size": bytes, "modificationTime": 1,
                   "dataChange": true}})
}

/// The same file, with what is written under `key` of the action.
pub(crate) fn with(action: &Value, key: &str, value: Value) -> Value {
    let mut action = action.clone();
    action["add"][key] = value;
    action
}

pub(crate) fn removed(path: &str) -> Value {
    json!({"remove": {"path": path, "deletionTimestamp": 1, "dataChange": true}})
}

/// A data file with the columns `Id` and `Amount`.
pub(crate) fn data(ids: &[&str], amounts: &[i64]) -> Vec<u8> {
    let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
    let amounts: ArrayRef = Arc::new(Int64Array::from(amounts.to_vec()));
    written(vec![("Id", ids), ("Amount", amounts)], Compression::SNAPPY)
}

/// A data file with only a column of texts.
pub(crate) fn texts(column: &str, values: &[&str]) -> Vec<u8> {
    let values: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    written(vec![(column, values)], Compression::SNAPPY)
}

/// One row for the protocol, one for the metadata, one for each file.
fn checkpoint(metadata: &Value, adds: &[Value]) -> Vec<u8> {
    let rows = adds.len() + 2;
    let only = |at: usize| (0..rows).map(|row| row == at).collect::<Vec<bool>>();
    let int = |value: i32| Arc::new(Int32Array::from(vec![value; rows])) as ArrayRef;
    let protocol = group(
        vec![("minReaderVersion", int(1)), ("minWriterVersion", int(2))],
        only(0),
    );
    let about = &metadata["metaData"];
    let text = |name: &str| {
        let value = about[name].as_str().expect("a text");
        Arc::new(StringArray::from(vec![value; rows])) as ArrayRef
    };
    let mut partition = ListBuilder::new(StringBuilder::new());
    for _ in 0..rows {
        partition.append(true);
    }
    let format = group(
        vec![
            (
                "provider",
                Arc::new(StringArray::from(vec!["parquet"; rows])),
            ),
            ("options", maps(vec![BTreeMap::new(); rows])),
        ],
        vec![true; rows],
    );
    let metadata = group(
        vec![
            ("id", text("id")),
            ("format", format),
            ("schemaString", text("schemaString")),
            ("partitionColumns", Arc::new(partition.finish())),
            ("configuration", maps(vec![BTreeMap::new(); rows])),
        ],
        only(1),
    );
    let add = sidecar_column(2, adds);
    let columns = vec![("protocol", protocol), ("metaData", metadata), ("add", add)];
    written(columns, Compression::SNAPPY)
}

/// A file that a checkpoint names for the actions of files.
pub(crate) fn sidecar(adds: &[Value]) -> Vec<u8> {
    written(vec![("add", sidecar_column(0, adds))], Compression::SNAPPY)
}

/// The actions below some rows of other kinds.
fn sidecar_column(others: usize, adds: &[Value]) -> ArrayRef {
    let rows = others + adds.len();
    let add = |row: usize, key: &str| match row.checked_sub(others) {
        Some(at) => adds[at]["add"][key].clone(),
        None => Value::Null,
    };
    let long = |key: &str| {
        let values = (0..rows).map(|row| add(row, key).as_i64().unwrap_or_default());
        Arc::new(Int64Array::from_iter_values(values)) as ArrayRef
    };
    let paths = (0..rows).map(|row| add(row, "path").as_str().unwrap_or_default().to_owned());
    let partitions = (0..rows).map(|row| {
        let values = add(row, "partitionValues");
        let entries = values.as_object().into_iter().flatten();
        entries
            .map(|(name, value)| (name.clone(), value.as_str().map(str::to_owned)))
            .collect()
    });
    let columns = vec![
        (
            "path",
            Arc::new(StringArray::from_iter_values(paths)) as ArrayRef,
        ),
        ("partitionValues", maps(partitions.collect())),
        ("size", long("size")),
        ("modificationTime", long("modificationTime")),
        (
            "dataChange",
            Arc::new(BooleanArray::from(vec![true; rows])) as ArrayRef,
        ),
        // What nobody asks for is of any type.
        (
            "stats",
            Arc::new(Float64Array::from(vec![0.5; rows])) as ArrayRef,
        ),
    ];
    group(columns, (0..rows).map(|row| row >= others).collect())
}

fn group(columns: Vec<(&str, ArrayRef)>, valid: Vec<bool>) -> ArrayRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Arc::new(StructArray::new(
        Fields::from(fields),
        arrays,
        Some(valid.into()),
    ))
}

fn maps(rows: Vec<BTreeMap<String, Option<String>>>) -> ArrayRef {
    let mut maps = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row {
            maps.keys().append_value(key);
            maps.values().append_option(value);
        }
        maps.append(true).expect("keys and values");
    }
    Arc::new(maps.finish())
}
