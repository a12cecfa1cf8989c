//! Checkpoints that are Parquet, and their sidecars. Owns how their nested rows become values.
//! Must not read a column that was not asked for, nor hold more rows than a batch.

use std::sync::Arc;

use delta_kernel::engine_data::EngineData;
use delta_kernel::schema::{DataType, PrimitiveType, SchemaRef, StructField, StructType};
use delta_kernel::{
    FileDataReadResultIterator, FileMeta, KernelResult, KernelResultIteratorStatic, ParquetFooter,
    ParquetHandler, PredicateRef,
};
use parquet::file::reader::SerializedFileReader;
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::Type;
use url::Url;

use super::batch::{Batch, Texts, Value, file_column, unsupported};
use super::json::check_present;
use super::storage::{Storage, failure};
use crate::Error;
use crate::parquet_guard::guarded;
use crate::parquet_rows::metadata;

/// How many actions are given to the library together.
const BATCH_ROWS: usize = 1_000;

/// Reads the log's Parquet.
pub(super) struct Checkpoints(pub(super) Arc<Storage>);

impl ParquetHandler for Checkpoints {
    fn read_parquet_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let storage = Arc::clone(&self.0);
        let files: Vec<Url> = files.iter().map(|file| file.location.clone()).collect();
        let batches = files.into_iter().flat_map(move |file| {
            let opened = Rows::open(&storage, &file, Arc::clone(&schema));
            let (rows, refused) = match opened {
                Ok(rows) => (rows, None),
                Err(error) => (None, Some(Err(failure(error)))),
            };
            refused.into_iter().chain(rows.into_iter().flatten())
        });
        Ok(Box::new(batches))
    }

    fn write_parquet_file(
        &self,
        _location: Url,
        _data: KernelResultIteratorStatic<Box<dyn EngineData>>,
    ) -> KernelResult<u64> {
        Err(unsupported("writing"))
    }

    /// Tells which kinds of actions a checkpoint has; their fields are told by no schema that is
    /// asked for here, because no statistics are.
    fn read_parquet_footer(&self, file: &FileMeta) -> KernelResult<ParquetFooter> {
        let (name, content) = self.0.open_log(&file.location).map_err(failure)?;
        let found = metadata(&content).map_err(|error| failure(error.in_file(&name)))?;
        let kinds = found.parquet_schema().root_schema().get_fields().iter();
        let kinds = kinds.map(|kind| StructField::nullable(kind.name(), DataType::STRING));
        Ok(ParquetFooter {
            schema: Arc::new(StructType::try_new(kinds)?),
        })
    }
}

/// The batches of one file.
struct Rows {
    iter: RowIter<'static>,
    schema: SchemaRef,
    name: String,
    address: String,
    ended: bool,
}

impl Rows {
    /// `None` where the file has nothing of what is wanted.
    fn open(storage: &Storage, file: &Url, schema: SchemaRef) -> Result<Option<Self>, Error> {
        let (name, content) = storage.open_log(file)?;
        let begun = metadata(&content).and_then(|found| {
            let root = found.parquet_schema().root_schema();
            let Some(wanted) = guarded(|| project(root, &schema))? else {
                return Ok(None);
            };
            let iter = guarded(|| {
                let reader = SerializedFileReader::new(content)?;
                RowIter::from_file_into(Box::new(reader)).project(Some(wanted))
            })?;
            Ok(Some(iter))
        });
        let begun = begun.map_err(|error| error.in_file(&name))?;
        Ok(begun.map(|iter| Self {
            iter,
            schema,
            name,
            address: file.to_string(),
            ended: false,
        }))
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        let mut rows = Vec::new();
        while rows.len() < BATCH_ROWS {
            let iter = &mut self.iter;
            let Some(row) = guarded(|| iter.next().transpose())? else {
                self.ended = true;
                break;
            };
            let mut values = of_row(&row, &self.schema);
            if let Some((place, _)) = file_column(&self.schema)
                && let Some(slot) = values.as_mut().ok().and_then(|row| row.get_mut(place))
            {
                *slot = Value::Text(self.address.clone());
            }
            let checked = values.and_then(|row| check_all(&self.schema, row));
            rows.push(checked.map_err(|reason| Error::DeltaUnreadable { reason })?);
        }
        Ok((!rows.is_empty()).then(|| Batch {
            schema: Arc::clone(&self.schema),
            rows,
        }))
    }
}

impl Iterator for Rows {
    type Item = KernelResult<Box<dyn EngineData>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_batch() {
            Ok(Some(batch)) => Some(Ok(Box::new(batch))),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(Err(failure(error.in_file(&self.name))))
            }
        }
    }
}

/// The part of a file's columns that is wanted.
fn project(
    file: &Type,
    wanted: &StructType,
) -> Result<Option<Type>, parquet::errors::ParquetError> {
    let mut kept = Vec::new();
    for field in file.get_fields() {
        let Some(wanted) = wanted.field(field.name()) else {
            continue;
        };
        match &wanted.data_type {
            DataType::Struct(fields) if field.is_group() => {
                if let Some(part) = project(field, fields)? {
                    kept.push(Arc::new(part));
                }
            }
            _ => kept.push(Arc::clone(field)),
        }
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let info = file.get_basic_info();
    let mut part = Type::group_type_builder(file.name()).with_fields(kept);
    if info.has_repetition() {
        part = part.with_repetition(info.repetition());
    }
    part.build().map(Some)
}

fn check_all(wanted: &StructType, values: Vec<Value>) -> Result<Vec<Value>, String> {
    for (field, value) in wanted.fields().zip(&values) {
        check_present(field, value)?;
    }
    Ok(values)
}

fn of_row(row: &Row, wanted: &StructType) -> Result<Vec<Value>, String> {
    let mut values = vec![Value::Null; wanted.num_fields()];
    for (name, field) in row.get_column_iter() {
        if let Some((place, wanted)) = wanted.field_with_index(name) {
            let value = of_field(field, &wanted.data_type);
            let value = value.map_err(|reason| format!("{name}: {reason}"))?;
            if let Some(slot) = values.get_mut(place) {
                *slot = value;
            }
        }
    }
    Ok(values)
}

fn of_field(field: &Field, wanted: &DataType) -> Result<Value, String> {
    Ok(match (field, wanted) {
        (Field::Null, _) => Value::Null,
        (Field::Bool(value), DataType::Primitive(PrimitiveType::Boolean)) => Value::Boolean(*value),
        (Field::Byte(value), DataType::Primitive(_)) => Value::Integer(i64::from(*value)),
        (Field::Short(value), DataType::Primitive(_)) => Value::Integer(i64::from(*value)),
        (Field::Int(value), DataType::Primitive(_)) => Value::Integer(i64::from(*value)),
        (Field::Long(value), DataType::Primitive(_)) => Value::Integer(*value),
        (Field::Float(value), DataType::Primitive(_)) => Value::Float(f64::from(*value)),
        (Field::Double(value), DataType::Primitive(_)) => Value::Float(*value),
        (Field::Str(_) | Field::Bytes(_), DataType::Primitive(PrimitiveType::String)) => {
            text(field)?.map_or(Value::Null, Value::Text)
        }
        (Field::Group(row), DataType::Struct(fields)) => {
            Value::Struct(of_row(row, fields).and_then(|row| check_all(fields, row))?)
        }
        (Field::ListInternal(list), DataType::Array(_)) => {
            Value::List(texts(list.elements().iter())?)
        }
        (Field::MapInternal(map), DataType::Map(_)) => Value::Map {
            keys: texts(map.entries().iter().map(|(key, _)| key))?,
            values: texts(map.entries().iter().map(|(_, value)| value))?,
        },
        (_, wanted) => return Err(format!("expected {wanted}, got another type")),
    })
}

fn texts<'a>(fields: impl Iterator<Item = &'a Field>) -> Result<Texts, String> {
    fields.map(text).collect::<Result<_, _>>().map(Texts)
}

fn text(field: &Field) -> Result<Option<String>, String> {
    match field {
        Field::Null => Ok(None),
        Field::Str(text) => Ok(Some(text.clone())),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err("expected a text, got bytes that are no UTF-8".to_owned()),
        },
        _ => Err("expected a text, got another type".to_owned()),
    }
}
