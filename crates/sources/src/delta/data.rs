//! Data files of a table. Owns which of their columns are which attributes, the columns that all
//! rows of a file have in common, and which rows are deleted.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use delta_kernel::StorageHandler;
use delta_kernel::expressions::Scalar;
use delta_kernel::schema::{DataType, PrimitiveType};
use sanntid_types::{EdmType, EntitySchema, Literal};

use super::storage::Storage;
use super::{TableField, TableFile, guarded};
use crate::Error;
use crate::columns::{Columns, shorten};
use crate::content::Content;
use crate::parquet_rows::{Cell, Deleted, ParquetRows, metadata};
use crate::parquet_value;

/// Opens the rows of a file.
pub(super) fn open(
    file: &TableFile,
    content: Content,
    schema: &EntitySchema,
) -> Result<ParquetRows, Error> {
    let found = metadata(&content)?;
    let roots = found.parquet_schema().root_schema().get_fields();
    let mut columns = Columns::of(schema);
    let places = columns.place(file.fields.iter().map(|field| field.name.as_str()))?;
    let mut cells = Vec::with_capacity(places.len());
    for (attribute, place) in schema.attributes.iter().zip(places) {
        let field = file.fields.get(place);
        let root = field.filter(|field| field.is_in_files).and_then(|field| {
            let has_id = |id: &i64| {
                let is_own = |info: &parquet::schema::types::BasicTypeInfo| {
                    info.has_id() && i64::from(info.id()) == *id
                };
                roots.iter().position(|root| is_own(root.get_basic_info()))
            };
            let by_name = || roots.iter().position(|root| root.name() == field.physical);
            field.id.as_ref().and_then(has_id).or_else(by_name)
        });
        let constant = field.map(|field| constant(field, file)).transpose()?;
        cells.push(match (root, constant.flatten()) {
            (Some(root), _) => Cell::Column(root),
            (None, Some(array)) => Cell::Constant(parquet_value::read(attribute, &array, 0)),
            // A file that is older than the column.
            (None, None) => Cell::Constant(Ok(Literal::null())),
        });
    }
    let deleted = deleted(file)?;
    ParquetRows::begin(content, found, columns, cells, deleted)
}

/// The type of the attribute that a column becomes where nothing is declared.
pub(super) fn edm_type(field: &TableField) -> Result<EdmType, Error> {
    let refuse = |kind: &str| Error::ParquetColumn {
        column: shorten(&field.name),
        kind: kind.to_owned(),
    };
    let DataType::Primitive(kind) = &field.data_type else {
        return Err(refuse("nested"));
    };
    Ok(match kind {
        PrimitiveType::String | PrimitiveType::Binary | PrimitiveType::Void => EdmType::String,
        PrimitiveType::Byte | PrimitiveType::Short => EdmType::Int16,
        PrimitiveType::Integer => EdmType::Int32,
        PrimitiveType::Long => EdmType::Int64,
        PrimitiveType::Float | PrimitiveType::Double => EdmType::Double,
        PrimitiveType::Boolean => EdmType::Boolean,
        PrimitiveType::Date => EdmType::Date,
        PrimitiveType::Timestamp | PrimitiveType::TimestampNtz => EdmType::DateTimeOffset,
        PrimitiveType::Decimal(_) => EdmType::Decimal,
        PrimitiveType::IntervalYearMonth | PrimitiveType::IntervalDayTime => {
            return Err(refuse("an interval"));
        }
    })
}

/// The value that a column has in all rows of a file, as a column of one row; `None` where the log
/// has none.
fn constant(field: &TableField, file: &TableFile) -> Result<Option<ArrayRef>, Error> {
    let of_field = |(name, _): &&(String, Option<String>)| *name == field.physical;
    let Some((_, Some(text))) = file.partition.iter().find(of_field) else {
        return Ok(None);
    };
    let DataType::Primitive(kind) = &field.data_type else {
        return Ok(None);
    };
    // Empty text is a value here, and what it means is decided as for any file.
    if *kind == PrimitiveType::String {
        return Ok(Some(Arc::new(StringArray::from(vec![text.as_str()]))));
    }
    let name = shorten(&field.name);
    let unreadable = || Error::DeltaUnreadable {
        reason: format!(
            "the value {} of its partition column {name} is no {kind}",
            shorten(text)
        ),
    };
    let value = guarded(|| kind.parse_scalar(text)).map_err(|_| unreadable())?;
    Ok(Some(match value {
        Scalar::Null(_) => return Ok(None),
        Scalar::Binary(value) => Arc::new(BinaryArray::from(vec![value.as_slice()])),
        Scalar::Byte(value) => Arc::new(Int8Array::from(vec![value])),
        Scalar::Short(value) => Arc::new(Int16Array::from(vec![value])),
        Scalar::Integer(value) => Arc::new(Int32Array::from(vec![value])),
        Scalar::Long(value) => Arc::new(Int64Array::from(vec![value])),
        Scalar::Float(value) => Arc::new(Float32Array::from(vec![value])),
        Scalar::Double(value) => Arc::new(Float64Array::from(vec![value])),
        Scalar::Boolean(value) => Arc::new(BooleanArray::from(vec![value])),
        Scalar::Date(value) => Arc::new(Date32Array::from(vec![value])),
        Scalar::Timestamp(value) => {
            Arc::new(TimestampMicrosecondArray::from(vec![value]).with_timezone("UTC"))
        }
        Scalar::TimestampNtz(value) => Arc::new(TimestampMicrosecondArray::from(vec![value])),
        Scalar::Decimal(value) => {
            let scale = i8::try_from(value.scale()).map_err(|_| unreadable())?;
            let array = Decimal128Array::from(vec![value.bits()]);
            let array = array.with_precision_and_scale(value.precision(), scale);
            Arc::new(array.map_err(|_| unreadable())?)
        }
        _ => return Err(unreadable()),
    }))
}

/// Reads which rows of a file are deleted.
fn deleted(file: &TableFile) -> Result<Option<Deleted>, Error> {
    let Some(about) = &file.deletion else {
        return Ok(None);
    };
    let storage = Arc::clone(&file.storage) as Arc<dyn StorageHandler>;
    let rows = guarded(|| about.read(storage, &Storage::root()))?;
    if u64::try_from(about.cardinality).ok() != Some(rows.len()) {
        return Err(Error::DeltaUnreadable {
            reason: format!(
                "its log says that {} rows of the file are deleted, but {} are",
                about.cardinality,
                rows.len()
            ),
        });
    }
    Ok(Some(Box::new(move |row| rows.contains(row))))
}
