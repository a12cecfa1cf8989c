//! Commits, and checkpoints that are JSON. Owns how a line becomes a row of values.
//! Must not hold more of a file than a batch of its lines.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use delta_kernel::engine_data::EngineData;
use delta_kernel::schema::{DataType, PrimitiveType, SchemaRef, StructType};
use delta_kernel::{
    FileDataReadResultIterator, FileMeta, FilteredEngineData, JsonHandler, KernelResult,
    KernelResultIterator, PredicateRef,
};
use serde_json::Value as Json;
use url::Url;

use super::batch::{Batch, Texts, Value, file_column, unsupported};
use super::storage::{Storage, failure};
use crate::Error;

/// Longest line of a commit in bytes.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How many actions are given to the library together, at most.
const BATCH_ROWS: usize = 1_000;
/// After how many bytes of lines a batch is full all the same.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Reads the log's JSON.
pub(super) struct Commits(pub(super) Arc<Storage>);

impl JsonHandler for Commits {
    fn parse_json(
        &self,
        _texts: Box<dyn EngineData>,
        _schema: SchemaRef,
    ) -> KernelResult<Box<dyn EngineData>> {
        Err(unsupported("parsing JSON in a column"))
    }

    fn read_json_files(
        &self,
        files: &[FileMeta],
        schema: SchemaRef,
        _predicate: Option<PredicateRef>,
    ) -> KernelResult<FileDataReadResultIterator> {
        let storage = Arc::clone(&self.0);
        let files: Vec<Url> = files.iter().map(|file| file.location.clone()).collect();
        let batches = files.into_iter().flat_map(move |file| {
            let opened = Lines::open(&storage, &file, Arc::clone(&schema));
            let (lines, refused) = match opened {
                Ok(lines) => (Some(lines), None),
                Err(error) => (None, Some(Err(failure(error)))),
            };
            refused.into_iter().chain(lines.into_iter().flatten())
        });
        Ok(Box::new(batches))
    }

    fn write_json_file(
        &self,
        _path: &Url,
        _data: KernelResultIterator<'_, FilteredEngineData>,
        _overwrite: bool,
    ) -> KernelResult<u64> {
        Err(unsupported("writing"))
    }
}

/// The batches of one file.
struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    schema: SchemaRef,
    name: String,
    address: String,
    number: u64,
    ended: bool,
}

impl Lines {
    fn open(storage: &Storage, file: &Url, schema: SchemaRef) -> Result<Self, Error> {
        let (name, content) = storage.open_log(file)?;
        Ok(Self {
            reader: BufReader::new(content.stream(0)),
            schema,
            name,
            address: file.to_string(),
            number: 0,
            ended: false,
        })
    }

    fn next_batch(&mut self) -> Result<Option<Batch>, Error> {
        let mut batch = Batch {
            schema: Arc::clone(&self.schema),
            rows: Vec::new(),
        };
        let mut line = Vec::new();
        let mut bytes = 0;
        while batch.rows.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            line.clear();
            let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
            let mut limited = (&mut self.reader).take(limit.saturating_add(1));
            let read = limited
                .read_until(b'\n', &mut line)
                .map_err(Error::of_read)?;
            if read == 0 {
                self.ended = true;
                break;
            }
            self.number += 1;
            bytes += read;
            if line.len() > LINE_BYTES_MAX {
                return Err(self.refuse(&format!("it has more than {LINE_BYTES_MAX} bytes")));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let json = serde_json::from_slice::<Json>(&line);
            let Json::Object(mut json) = json.map_err(|error| self.refuse(&error.to_string()))?
            else {
                return Err(self.refuse("it is no object"));
            };
            if let Some((_, field)) = file_column(&self.schema) {
                json.insert(field.name().clone(), Json::String(self.address.clone()));
            }
            let row = of_fields(&self.schema, |name| json.get(name));
            batch.rows.push(row.map_err(|reason| self.refuse(&reason))?);
        }
        Ok((!batch.rows.is_empty()).then_some(batch))
    }

    fn refuse(&self, reason: &str) -> Error {
        Error::DeltaUnreadable {
            reason: format!("line {} of {}: {reason}", self.number, self.name),
        }
    }
}

impl Iterator for Lines {
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
                Some(Err(failure(error)))
            }
        }
    }
}

/// Reads a value of the wanted type; what is not wanted is passed over.
fn of_json(json: &Json, wanted: &DataType) -> Result<Value, String> {
    Ok(match (json, wanted) {
        (Json::Null, _) => Value::Null,
        (Json::Bool(value), DataType::Primitive(PrimitiveType::Boolean)) => Value::Boolean(*value),
        (Json::Number(number), DataType::Primitive(kind)) => match kind {
            PrimitiveType::Byte
            | PrimitiveType::Short
            | PrimitiveType::Integer
            | PrimitiveType::Long => {
                let number = number.as_i64();
                Value::Integer(number.ok_or("a number is no integer of 64 bits")?)
            }
            PrimitiveType::Float | PrimitiveType::Double => {
                Value::Float(number.as_f64().ok_or("a number is out of range")?)
            }
            _ => return Err(format!("expected {wanted}, got a number")),
        },
        (Json::String(text), DataType::Primitive(PrimitiveType::String)) => {
            Value::Text(text.clone())
        }
        (Json::Array(items), DataType::Array(_)) => Value::List(texts(items.iter())?),
        (Json::Object(entries), DataType::Map(_)) => Value::Map {
            keys: Texts(entries.keys().cloned().map(Some).collect()),
            values: texts(entries.values())?,
        },
        (Json::Object(entries), DataType::Struct(fields)) => {
            Value::Struct(of_fields(fields, |name| entries.get(name))?)
        }
        (_, wanted) => return Err(format!("expected {wanted}, got {}", kind_of(json))),
    })
}

fn of_fields<'a>(
    fields: &StructType,
    get: impl Fn(&str) -> Option<&'a Json>,
) -> Result<Vec<Value>, String> {
    let mut values = Vec::with_capacity(fields.num_fields());
    for field in fields.fields() {
        let value = get(field.name()).unwrap_or(&Json::Null);
        let value = of_json(value, &field.data_type)
            .map_err(|reason| format!("{}: {reason}", field.name()))?;
        check_present(field, &value)?;
        values.push(value);
    }
    Ok(values)
}

/// Refuses an action without a field that every action of its kind has.
pub(super) fn check_present(
    field: &delta_kernel::schema::StructField,
    value: &Value,
) -> Result<(), String> {
    if *value == Value::Null && !field.is_nullable() {
        return Err(format!("{} is missing", field.name()));
    }
    Ok(())
}

fn texts<'a>(items: impl Iterator<Item = &'a Json>) -> Result<Texts, String> {
    items
        .map(|item| match item {
            Json::Null => Ok(None),
            Json::String(text) => Ok(Some(text.clone())),
            other => Err(format!("expected a text, got {}", kind_of(other))),
        })
        .collect::<Result<_, _>>()
        .map(Texts)
}

fn kind_of(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}
