//! Rows of a Parquet file. Owns how a file is opened without trusting what it says, which of its
//! columns are read, and what attributes it would have.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::LogicalType;
use parquet::errors::ParquetError;
use sanntid_types::{EntitySchema, Literal, ManifestAttribute, RowBuilder};

use crate::Error;
use crate::columns::{self, Columns};
use crate::csv_record::COLUMNS_MAX;
use crate::parquet_value;
use crate::rows::{Item, ROW_BYTES_MAX, Rejection};

/// Largest footer of a Parquet file in bytes.
pub const FOOTER_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// How many rows are unpacked at a time.
const BATCH_ROWS: usize = 1_024;
const MAGIC: [u8; 4] = *b"PAR1";
/// The footer's length and the magic bytes at the end.
const TAIL_BYTES: u64 = 8;

/// Reads the rows of all row groups.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    columns: Columns,
    /// For each attribute the column of a batch that holds it.
    places: Vec<usize>,
    batch: Option<RecordBatch>,
    /// The row of the batch that is next.
    next: usize,
    /// Of the row read last.
    number: u64,
}

impl ParquetRows {
    /// Reads the footer and finds a column for each attribute.
    pub(crate) fn open(file: File, schema: &EntitySchema) -> Result<Self, Error> {
        let metadata = metadata(&file)?;
        let mut columns = Columns::of(schema);
        let fields = metadata.schema().fields();
        let roots = columns.place(fields.iter().map(|field| field.name().as_str()))?;
        for field in roots.iter().filter_map(|root| fields.get(*root)) {
            edm_type(field, false)?;
        }
        // A batch has its columns in the order of the file.
        let mut in_order = roots.clone();
        in_order.sort_unstable();
        let places = roots
            .iter()
            .filter_map(|root| in_order.binary_search(root).ok())
            .collect();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), in_order);
        let reader = guarded(|| {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        })?;
        Ok(Self {
            reader,
            columns,
            places,
            batch: None,
            next: 0,
            number: 0,
        })
    }

    /// Reads the next row; `None` at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item>, Error> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.next >= batch.num_rows())
        {
            self.batch = None;
            self.next = 0;
            let reader = &mut self.reader;
            let read = guarded(|| reader.next().transpose().map_err(ParquetError::from))?;
            let Some(batch) = read else {
                return Ok(None);
            };
            self.batch = Some(batch);
        }
        let at = self.next;
        self.next += 1;
        self.number += 1;
        let number = self.number;
        Ok(Some(match self.row(at) {
            Ok(row) => Item::Row { number, row },
            Err((ordinal, reason)) => Item::Rejected(Rejection {
                row: number,
                column: ordinal.and_then(|ordinal| self.columns.name(ordinal)),
                reason,
            }),
        }))
    }

    fn row(&self, at: usize) -> Result<sanntid_types::Row, (Option<usize>, String)> {
        let mut row = RowBuilder::default();
        let mut bytes = 0;
        let missing = Literal::null();
        for (ordinal, attribute) in self.columns.attributes().iter().enumerate() {
            let place = self.places.get(ordinal);
            let array = self
                .batch
                .as_ref()
                .and_then(|batch| place.and_then(|place| batch.columns().get(*place)));
            let value = array
                .map_or_else(
                    || Ok(missing.clone()),
                    |array| parquet_value::read(attribute, array, at),
                )
                .and_then(|value| self.columns.check_key(ordinal, &value).map(|()| value))
                .map_err(|reason| (Some(ordinal), reason))?;
            bytes += value.as_json().len();
            if bytes > ROW_BYTES_MAX {
                let reason = format!("expected at most {ROW_BYTES_MAX} bytes, got a longer row");
                return Err((None, reason));
            }
            row.push(&value);
        }
        Ok(row.finish())
    }
}

/// Tells the attributes that a Parquet file has, in its order and under its columns' names.
///
/// # Errors
/// The file is no Parquet file, is corrupt, or has a column that can't be read (a nested one).
pub fn infer_schema(file: &File) -> Result<Vec<ManifestAttribute>, Error> {
    let metadata = metadata(file)?;
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let mut attributes = Vec::new();
    for (field, root) in metadata.schema().fields().iter().zip(roots) {
        let logical = root.get_basic_info().logical_type_ref();
        attributes.push(ManifestAttribute {
            name: field.name().clone(),
            data_type: edm_type(field, logical == Some(&LogicalType::Uuid))?,
            format: None,
            computed: false,
            empty_is_value: false,
            alternate_key: None,
        });
    }
    Ok(attributes)
}

fn edm_type(field: &Field, is_uuid: bool) -> Result<sanntid_types::EdmType, Error> {
    parquet_value::edm_type(field.data_type(), is_uuid).ok_or_else(|| {
        let kind = if field.data_type().is_nested() {
            "nested".to_owned()
        } else {
            columns::shorten(&field.data_type().to_string())
        };
        Error::ParquetColumn {
            column: columns::shorten(field.name()),
            kind,
        }
    })
}

/// Reads the footer; all columns have plain types.
fn metadata(file: &File) -> Result<ArrowReaderMetadata, Error> {
    check_ends(file)?;
    let found = guarded(|| ArrowReaderMetadata::load(file, ArrowReaderOptions::new()))?;
    let count = found.schema().fields().len();
    if count > COLUMNS_MAX {
        let reason = format!("{count} columns are more than {COLUMNS_MAX}");
        return Err(Error::ParquetCorrupt { reason });
    }
    let plain = |field: &Arc<Field>| {
        let data_type = parquet_value::plain_type(field.data_type());
        Field::clone(field).with_data_type(data_type)
    };
    let schema = Arc::new(Schema::new(
        found
            .schema()
            .fields()
            .iter()
            .map(plain)
            .collect::<Vec<_>>(),
    ));
    let options = ArrowReaderOptions::new().with_schema(schema);
    guarded(|| ArrowReaderMetadata::try_new(Arc::clone(found.metadata()), options))
}

/// Checks what stands at both ends, before anything is allocated because the file says so.
fn check_ends(file: &File) -> Result<(), Error> {
    let corrupt = |reason: String| Err(Error::ParquetCorrupt { reason });
    let mut file = file;
    let length = file.seek(SeekFrom::End(0)).map_err(Error::Io)?;
    let mut head = [0; 4];
    let mut tail = [0; 8];
    if length < TAIL_BYTES + 4 {
        return corrupt(format!("{length} bytes are too few"));
    }
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.read_exact(&mut head))
        .and_then(|()| file.seek(SeekFrom::Start(length - TAIL_BYTES)))
        .and_then(|_| file.read_exact(&mut tail))
        .map_err(Error::Io)?;
    let [a, b, c, d, magic @ ..] = tail;
    if head != MAGIC {
        return corrupt("it does not begin with PAR1".to_owned());
    }
    if magic != MAGIC {
        return corrupt("it does not end with PAR1; was it cut off?".to_owned());
    }
    let footer = u64::from(u32::from_le_bytes([a, b, c, d]));
    if footer > length - TAIL_BYTES - 4 {
        return corrupt(format!(
            "its footer would have {footer} bytes, the file has {length}"
        ));
    }
    if footer > FOOTER_BYTES_MAX {
        return corrupt(format!(
            "its footer has {footer} bytes, which is more than {FOOTER_BYTES_MAX}"
        ));
    }
    Ok(())
}

/// Calls the library so that neither an error nor a panic of it gets further than this.
///
/// It asserts what a file says (that no column has a negative length, for one), so that bytes which
/// no writer wrote make it panic. What it was working on is dropped, and nothing is read after that.
fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Error> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(error)),
        Err(_) => Err(Error::ParquetCorrupt {
            reason: "its content contradicts itself".to_owned(),
        }),
    }
}

/// A failed read is the machine's fault; that the file ends too early, or anything else, its own.
fn refusal(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) if is_of_machine(&error) => Error::Io(*error),
            Ok(error) => corrupt(&*error),
            Err(cause) => corrupt(&*cause),
        },
        error => corrupt(&error),
    }
}

fn is_of_machine(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|_| {
        !matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    })
}

fn corrupt(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::ParquetCorrupt {
        reason: error.to_string(),
    }
}
