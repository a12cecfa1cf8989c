//! Rows of a Parquet file. Owns how a file is opened without trusting what it says, which of its
//! columns are read, and what attributes it would have.

use std::fs::File;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
};
use parquet::arrow::{ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::{LogicalType, Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::FileReader;
use sanntid_types::{EntitySchema, Literal, ManifestAttribute, RowBuilder};

use crate::Error;
use crate::columns::{self, Columns};
use crate::content::Content;
use crate::csv_record::COLUMNS_MAX;
use crate::parquet_footer::{self, FOOTER_BYTES_MAX, Refusal};
use crate::parquet_groups::Groups;
pub(crate) use crate::parquet_guard::guarded;
use crate::parquet_held::Held;
use crate::parquet_value;
use crate::rows::{Item, ROW_BYTES_MAX, Rejection};

/// How many rows are unpacked at a time: fewer where there are many columns.
const BATCH_ROWS: usize = 1_024;
const BATCH_ROWS_LEAST: usize = 32;
const BATCH_VALUES: usize = 512 * 1024;
/// How many bytes they have together, about.
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// How many bytes all values of a fixed length may have in a row; these are copied.
const FIXED_BYTES_MAX: usize = 64 * 1024;
const MAGIC: [u8; 4] = *b"PAR1";
/// The footer's length and the magic bytes at the end.
const TAIL_BYTES: u64 = 8;

/// Says where the values of an attribute are.
pub(crate) enum Cell {
    /// In a column of the file, by its place among all.
    Column(usize),
    /// The same for all rows, and not in the file.
    Constant(Result<Literal, String>),
}

/// Tells of a row, counted from 0, whether it is deleted.
pub(crate) type Deleted = Box<dyn Fn(u64) -> bool + Send>;

/// Reads the rows of all row groups.
pub(crate) struct ParquetRows {
    reader: ParquetRecordBatchReader,
    held: Arc<Held>,
    columns: Columns,
    /// For each attribute where its value is; columns by their place in a batch.
    cells: Vec<Cell>,
    deleted: Option<Deleted>,
    batch: Option<RecordBatch>,
    /// The row of the batch that is next.
    next: usize,
    /// Of the row read last.
    number: u64,
}

impl ParquetRows {
    /// Reads the footer and finds a column for each attribute.
    pub(crate) fn open(file: Content, schema: &EntitySchema) -> Result<Self, Error> {
        let metadata = metadata(&file)?;
        let mut columns = Columns::of(schema);
        let fields = metadata.schema().fields();
        let roots = columns.place(fields.iter().map(|field| field.name().as_str()))?;
        let cells = roots.into_iter().map(Cell::Column).collect();
        Self::begin(file, metadata, columns, cells, None)
    }

    /// Begins to read a file of which it is known where each attribute's values are.
    pub(crate) fn begin(
        file: Content,
        metadata: ArrowReaderMetadata,
        columns: Columns,
        mut cells: Vec<Cell>,
        deleted: Option<Deleted>,
    ) -> Result<Self, Error> {
        // A batch has its columns in the order of the file.
        let mut in_order = Vec::new();
        for cell in &cells {
            if let Cell::Column(root) = cell
                && let Some(field) = metadata.schema().fields().get(*root)
            {
                edm_type(field, false)?;
                in_order.push(*root);
            }
        }
        in_order.sort_unstable();
        in_order.dedup();
        for cell in &mut cells {
            if let Cell::Column(root) = cell
                && let Ok(place) = in_order.binary_search(root)
            {
                *root = place;
            }
        }
        let count = in_order.len().max(1);
        let rows = (BATCH_VALUES / count).clamp(BATCH_ROWS_LEAST, BATCH_ROWS);
        let mask = ProjectionMask::roots(metadata.parquet_schema(), in_order);
        check_fixed(&metadata, &mask)?;
        let groups = Groups::new(file, Arc::clone(metadata.metadata()), count);
        let held = groups.held();
        let rows = rows.min(rows_of(BATCH_BYTES, &metadata, &mask));
        let reader = guarded(|| {
            let fields = Some(metadata.schema().fields());
            let levels = parquet_to_arrow_field_levels(metadata.parquet_schema(), mask, fields)?;
            let groups: Arc<dyn FileReader> = Arc::new(groups);
            ParquetRecordBatchReader::try_new_with_row_groups(&levels, &groups, rows, None)
        })?;
        Ok(Self {
            reader,
            held,
            columns,
            cells,
            deleted,
            batch: None,
            next: 0,
            number: 0,
        })
    }

    /// Reads the next row; `None` at the end.
    pub(crate) fn next_item(&mut self) -> Result<Option<Item>, Error> {
        loop {
            if !self.fill()? {
                return Ok(None);
            }
            let at = self.next;
            let is_deleted = self.deleted.as_ref().is_some_and(|is| is(self.number));
            self.next += 1;
            self.number += 1;
            if is_deleted {
                continue;
            }
            let number = self.number;
            return Ok(Some(match self.row(at) {
                Ok(row) => Item::Row { number, row },
                Err((ordinal, reason)) => Item::Rejected(Rejection {
                    row: number,
                    column: ordinal.and_then(|ordinal| self.columns.name(ordinal)),
                    reason,
                }),
            }));
        }
    }

    /// Goes on to the next batch where the present one has no more rows; whether there is a row.
    fn fill(&mut self) -> Result<bool, Error> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| self.next >= batch.num_rows())
        {
            self.batch = None;
            self.next = 0;
            let reader = &mut self.reader;
            self.held.begin_batch();
            let read = guarded(|| reader.next().transpose().map_err(ParquetError::from))
                .map_err(|error| self.held.take_failure().unwrap_or(error))?;
            let Some(batch) = read else {
                return Ok(false);
            };
            self.batch = Some(batch);
        }
        Ok(true)
    }

    fn row(&self, at: usize) -> Result<sanntid_types::Row, (Option<usize>, String)> {
        let mut row = RowBuilder::default();
        let mut bytes = 0;
        let missing = Literal::null();
        for (ordinal, attribute) in self.columns.attributes().iter().enumerate() {
            let value = match self.cells.get(ordinal) {
                Some(Cell::Column(place)) => match self.array(*place) {
                    Some(array) => parquet_value::read(attribute, array, at),
                    None => Ok(missing.clone()),
                },
                Some(Cell::Constant(value)) => value.clone(),
                None => Ok(missing.clone()),
            };
            let value = value
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

    fn array(&self, place: usize) -> Option<&ArrayRef> {
        self.batch.as_ref()?.columns().get(place)
    }
}

/// Tells the attributes that a Parquet file has, in its order and under its columns' names.
///
/// # Errors
/// The file is no Parquet file, is corrupt, or has a column that can't be read (a nested one).
pub fn infer_schema(file: &File) -> Result<Vec<ManifestAttribute>, Error> {
    let file = file.try_clone().and_then(Content::of_file);
    infer_attributes(&file.map_err(Error::Io)?)
}

/// As [`infer_schema`], wherever the bytes are.
pub(crate) fn infer_attributes(file: &Content) -> Result<Vec<ManifestAttribute>, Error> {
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
pub(crate) fn metadata(file: &Content) -> Result<ArrowReaderMetadata, Error> {
    let footer = check_ends(file)?;
    let without = ParquetStatisticsPolicy::SkipAll;
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(without.clone())
        .with_encoding_stats_policy(without.clone())
        .with_size_stats_policy(without);
    let found = guarded(|| {
        let read = ParquetMetaDataReader::decode_metadata_with_options(&footer, Some(&options))?;
        ArrowReaderMetadata::try_new(Arc::new(read), ArrowReaderOptions::new())
    })?;
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

/// How many rows have so many bytes, in the row group that has the largest; at least one.
fn rows_of(bytes: u64, metadata: &ArrowReaderMetadata, mask: &ProjectionMask) -> usize {
    let mut rows = BATCH_ROWS;
    for group in metadata.metadata().row_groups() {
        let columns = group.columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| mask.leaf_included(*leaf));
        let size = |column: &ColumnChunkMetaData| u64::try_from(column.uncompressed_size());
        let size = read.fold(0_u64, |sum, (_, column)| {
            sum.saturating_add(size(column).unwrap_or(0))
        });
        let of_row = size / u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let of_group = usize::try_from(bytes / of_row.max(1)).unwrap_or(BATCH_ROWS);
        rows = rows.min(of_group.max(1));
    }
    rows
}

/// Checks what a file says that has values of a fixed length.
fn check_fixed(metadata: &ArrowReaderMetadata, mask: &ProjectionMask) -> Result<(), Error> {
    let columns = metadata.parquet_schema().columns().iter().enumerate();
    let fixed = columns.filter(|(leaf, column)| {
        mask.leaf_included(*leaf) && column.physical_type() == Type::FIXED_LEN_BYTE_ARRAY
    });
    let mut bytes = 0_usize;
    for (_, column) in fixed {
        // A value without bytes takes no room in a page, so that there could be any number.
        let length = usize::try_from(column.type_length()).unwrap_or(0);
        if length == 0 {
            let reason = "values of a fixed length have none".to_owned();
            return Err(Error::ParquetCorrupt { reason });
        }
        bytes = bytes.saturating_add(length);
    }
    if bytes > FIXED_BYTES_MAX {
        return Err(Error::ParquetTooLarge);
    }
    Ok(())
}

/// Checks what stands at both ends, before anything is allocated because the file says so; gives
/// the footer.
pub(crate) fn check_ends(file: &Content) -> Result<Bytes, Error> {
    let corrupt = |reason: String| Err(Error::ParquetCorrupt { reason });
    let length = file.bytes();
    if length < TAIL_BYTES + 4 {
        return corrupt(format!("{length} bytes are too few"));
    }
    let read = |start| file.read_range(start, 8).map_err(Error::of_read);
    let head = read(0)?;
    let tail = <[u8; 8]>::try_from(&*read(length - TAIL_BYTES)?);
    let [a, b, c, d, magic @ ..] = tail.unwrap_or_default();
    if !head.starts_with(&MAGIC) {
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
    let bytes = usize::try_from(footer).unwrap_or(usize::MAX);
    let footer = file.read_range(length - TAIL_BYTES - footer, bytes);
    let footer = footer.map_err(Error::of_read)?;
    match parquet_footer::check(&footer) {
        Ok(()) => Ok(footer),
        Err(Refusal::Corrupt(reason)) => corrupt(reason.to_owned()),
        Err(Refusal::TooLarge) => Err(Error::ParquetTooLarge),
    }
}
