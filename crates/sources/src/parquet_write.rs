//! Rows as a Parquet file, written piece by piece in bounded memory.
//!
//! Owns which column holds which type, and when a row group ends. A type whose values no column
//! holds exactly is written as text: decimals have any precision and scale, instants any digits and
//! an offset.

use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    StringBuilder, TimestampMillisecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use chrono::NaiveDate;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use sanntid_types::{
    EdmType, EntitySchema, EntityType, Error, ErrorCode, Instant, Number, Row, RowFile,
};

/// Rows that are gathered before they are encoded.
const BATCH_ROWS: usize = 1_000;
/// Bytes of texts that are gathered before they are encoded.
const BATCH_BYTES: usize = 4 << 20;
/// An encoded row group ends at about this size, and is handed on.
const GROUP_BYTES: usize = 16 << 20;
/// A row group also ends where about this much memory is held for it.
const HELD_BYTES: usize = 32 << 20;
/// A row group has no more rows than this.
const GROUP_ROWS: usize = 1 << 20;
/// Bytes of an encoded page, about.
const PAGE_BYTES: usize = 1 << 20;

/// Writes one file.
struct ParquetFile {
    schema: Arc<EntitySchema>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
    arrow: SchemaRef,
    writer: ArrowWriter<Ready>,
}

/// Opens a Parquet file for the rows of an entity; a [`sanntid_types::OpenRowFile`].
///
/// # Errors
/// `Internal` for a schema that makes no file.
pub fn write_parquet(schema: &Arc<EntitySchema>) -> Result<Box<dyn RowFile>, Error> {
    let is_unified = schema.entity_type == EntityType::UnifiedActivity;
    let columns = schema.attributes.iter();
    let columns: Vec<Column> = columns
        .map(|attribute| Column::of(attribute.data_type, is_unified))
        .collect();
    let fields = schema.attributes.iter().zip(&columns);
    let fields: Vec<Field> = fields
        .map(|(attribute, column)| Field::new(&attribute.name, column.data_type(), true))
        .collect();
    let arrow = Arc::new(Schema::new(fields));
    let level = ZstdLevel::try_new(1).map_err(broken)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_dictionary_page_size_limit(PAGE_BYTES)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let writer = ArrowWriter::try_new(Ready::default(), Arc::clone(&arrow), Some(properties));
    Ok(Box::new(ParquetFile {
        schema: Arc::clone(schema),
        columns,
        rows: 0,
        bytes: 0,
        arrow,
        writer: writer.map_err(broken)?,
    }))
}

impl RowFile for ParquetFile {
    fn push(&mut self, row: &Row) -> Result<(), Error> {
        let mut values = row.iter();
        for (at, column) in self.columns.iter_mut().enumerate() {
            let json = values.next().unwrap_or("null");
            if column.push(json).is_none() {
                let name = self.schema.attributes.get(at).map(|known| &*known.name);
                let text = format!("a stored value of {} can't be read", name.unwrap_or("?"));
                return Err(Error::new(ErrorCode::Internal, text));
            }
            self.bytes += json.len();
        }
        self.rows += 1;
        if self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.encode()?;
        }
        Ok(())
    }

    fn take(&mut self) -> Vec<u8> {
        mem::take(&mut self.writer.inner_mut().0)
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<u8>, Error> {
        self.encode()?;
        let Self { writer, .. } = *self;
        Ok(writer.into_inner().map_err(broken)?.0)
    }
}

impl ParquetFile {
    /// Encodes what is gathered, and ends the row group where it is large enough.
    fn encode(&mut self) -> Result<(), Error> {
        if self.rows == 0 {
            return Ok(());
        }
        let arrays = self.columns.iter_mut().map(Column::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.arrow), arrays);
        let batch = batch.map_err(|error: ArrowError| broken(error.into()))?;
        self.writer.write(&batch).map_err(broken)?;
        (self.rows, self.bytes) = (0, 0);
        if self.writer.in_progress_size() >= GROUP_BYTES || self.writer.memory_size() >= HELD_BYTES
        {
            self.writer.flush().map_err(broken)?;
        }
        Ok(())
    }
}

fn broken(error: ParquetError) -> Error {
    Error::new(
        ErrorCode::Internal,
        format!("the Parquet file can't be written: {error}"),
    )
}

/// The bytes that are written and not taken yet.
#[derive(Default)]
struct Ready(Vec<u8>);

impl Write for Ready {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gathers the values of one attribute.
enum Column {
    Boolean(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    Instant(TimestampMillisecondBuilder),
    Text(StringBuilder),
}

impl Column {
    /// The instants of `UnifiedActivity` are our own, of whole milliseconds and in UTC.
    fn of(data_type: EdmType, is_unified: bool) -> Self {
        match data_type {
            EdmType::Boolean => Self::Boolean(BooleanBuilder::new()),
            EdmType::Int16 => Self::Int16(Int16Builder::new()),
            EdmType::Int32 => Self::Int32(Int32Builder::new()),
            EdmType::Int64 => Self::Int64(Int64Builder::new()),
            EdmType::Double => Self::Double(Float64Builder::new()),
            EdmType::Date => Self::Date(Date32Builder::new()),
            EdmType::DateTimeOffset if is_unified => {
                Self::Instant(TimestampMillisecondBuilder::new().with_timezone("UTC"))
            }
            EdmType::DateTimeOffset
            | EdmType::String
            | EdmType::Decimal
            | EdmType::TimeOfDay
            | EdmType::Guid => Self::Text(StringBuilder::new()),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Self::Boolean(_) => DataType::Boolean,
            Self::Int16(_) => DataType::Int16,
            Self::Int32(_) => DataType::Int32,
            Self::Int64(_) => DataType::Int64,
            Self::Double(_) => DataType::Float64,
            Self::Date(_) => DataType::Date32,
            Self::Instant(_) => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Self::Text(_) => DataType::Utf8,
        }
    }

    /// Adds a stored value; `None` where it is none of the column's type.
    fn push(&mut self, json: &str) -> Option<()> {
        let value = (json != "null").then_some(json);
        match self {
            Self::Boolean(values) => values.append_option(parsed(value, text_as)?),
            Self::Int16(values) => values.append_option(parsed(value, whole)?),
            Self::Int32(values) => values.append_option(parsed(value, whole)?),
            Self::Int64(values) => values.append_option(parsed(value, whole)?),
            Self::Double(values) => values.append_option(parsed(value, text_as)?),
            Self::Date(values) => values.append_option(parsed(value, days)?),
            Self::Instant(values) => values.append_option(parsed(value, millis)?),
            Self::Text(values) => values.append_option(parsed(value, text)?),
        }
        Some(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(values) => Arc::new(values.finish()),
            Self::Int16(values) => Arc::new(values.finish()),
            Self::Int32(values) => Arc::new(values.finish()),
            Self::Int64(values) => Arc::new(values.finish()),
            Self::Double(values) => Arc::new(values.finish()),
            Self::Date(values) => Arc::new(values.finish()),
            Self::Instant(values) => Arc::new(values.finish()),
            Self::Text(values) => Arc::new(values.finish()),
        }
    }
}

/// A null stays one; `None` where a value can't be read.
fn parsed<T>(value: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(json) => read(json).map(Some),
    }
}

/// A stored value without the quotes that it may have.
fn text(json: &str) -> Option<String> {
    match json.starts_with('"') {
        true => serde_json::from_str(json).ok(),
        false => Some(json.to_owned()),
    }
}

fn text_as<T: std::str::FromStr>(json: &str) -> Option<T> {
    match json.starts_with('"') {
        true => text(json)?.parse().ok(),
        false => json.parse().ok(),
    }
}

/// A whole number, which may be written as `1e3`.
fn whole<T: TryFrom<i64>>(json: &str) -> Option<T> {
    let text = text(json)?;
    T::try_from(Number::parse(&text)?.to_i64()?).ok()
}

fn days(json: &str) -> Option<i32> {
    let date: NaiveDate = text_as(json)?;
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    i32::try_from(days).ok()
}

fn millis(json: &str) -> Option<i64> {
    Some(Instant::parse(&text(json)?)?.as_millis())
}
