//! How a value of a Parquet column becomes a literal. Owns which columns can be read, as which
//! type they are taken where nothing is declared, and what makes a value unreadable.

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::NANOSECONDS;
use arrow_array::types::{
    ArrowTimestampType, Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrowPrimitiveType};
use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, NaiveTime, TimeDelta};
use sanntid_types::{Attribute, EdmType, Literal, LiteralError};

use crate::columns;
use crate::rows::ROW_BYTES_MAX;

const SECOND_NANOS: i64 = NANOSECONDS;
const DAY_SECONDS: i64 = 24 * 60 * 60;
/// A GUID's bytes.
const GUID_BYTES: i32 = 16;

/// The type in which a column is read: dictionaries and the sizes of offsets make no difference.
///
/// Texts are views into the pages: copied, a large value that stands in many rows would have to be
/// held as often.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        other => other.clone(),
    }
}

/// The type of the attribute that a column of this (plain) type holds; `None` where it can't be read.
pub(crate) fn edm_type(data_type: &DataType, is_uuid: bool) -> Option<EdmType> {
    Some(match data_type {
        DataType::Null
        | DataType::Utf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::BinaryView => EdmType::String,
        DataType::FixedSizeBinary(GUID_BYTES) if is_uuid => EdmType::Guid,
        DataType::FixedSizeBinary(_) => EdmType::String,
        DataType::Boolean => EdmType::Boolean,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => EdmType::Int16,
        DataType::Int32 | DataType::UInt16 => EdmType::Int32,
        DataType::Int64 | DataType::UInt32 => EdmType::Int64,
        DataType::UInt64
        | DataType::Decimal32(..)
        | DataType::Decimal64(..)
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => EdmType::Decimal,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => EdmType::Double,
        DataType::Date32 | DataType::Date64 => EdmType::Date,
        DataType::Timestamp(..) => EdmType::DateTimeOffset,
        DataType::Time32(_) | DataType::Time64(_) => EdmType::TimeOfDay,
        _ => return None,
    })
}

/// Reads one value for an attribute.
///
/// Texts are read as those of any file, in the attribute's format; all others are values already,
/// and a format says nothing about them. Timestamps without a zone are UTC.
pub(crate) fn read(attribute: &Attribute, array: &dyn Array, at: usize) -> Result<Literal, String> {
    if array.is_null(at) {
        return Ok(Literal::null());
    }
    match array.data_type() {
        DataType::Null => Ok(Literal::null()),
        DataType::Utf8 => columns::read_text(attribute, array.as_string::<i32>().value(at)),
        DataType::Utf8View => {
            let text = array.as_string_view().value(at);
            check_length(text.as_bytes())?;
            columns::read_text(attribute, text)
        }
        DataType::Binary => read_bytes(attribute, array.as_binary::<i32>().value(at)),
        DataType::BinaryView => {
            let bytes = array.as_binary_view().value(at);
            check_length(bytes)?;
            read_bytes(attribute, bytes)
        }
        DataType::FixedSizeBinary(_) => {
            let bytes = array.as_fixed_size_binary().value(at);
            match <[u8; 16]>::try_from(bytes) {
                Ok(bytes) if attribute.data_type == EdmType::Guid => typed(attribute, &guid(bytes)),
                _ => read_bytes(attribute, bytes),
            }
        }
        DataType::Float16 => read_float(attribute, f64::from(primitive::<Float16Type>(array, at))),
        // By way of its shortest text: 0.1 stays 0.1.
        DataType::Float32 => {
            let value = primitive::<Float32Type>(array, at);
            read_float(attribute, format!("{value:?}").parse().unwrap_or(f64::NAN))
        }
        DataType::Float64 => read_float(attribute, primitive::<Float64Type>(array, at)),
        DataType::Date32 => read_date(
            attribute,
            i64::from(primitive::<Date32Type>(array, at)).checked_mul(DAY_SECONDS),
        ),
        DataType::Date64 => {
            let seconds = primitive::<Date64Type>(array, at).div_euclid(1_000);
            read_date(attribute, Some(seconds))
        }
        DataType::Timestamp(unit, zone) => {
            read_timestamp(attribute, timestamp(array, *unit, at), zone.is_some())
        }
        DataType::Time32(unit) | DataType::Time64(unit) => {
            read_time(attribute, since_midnight(array, *unit, at))
        }
        DataType::Boolean => typed(attribute, &array.as_boolean().value(at).to_string()),
        _ => match exact_number(array, at) {
            Some(text) => typed(attribute, &text),
            None => Err("the column's type can't be read".to_owned()),
        },
    }
}

fn primitive<T: ArrowPrimitiveType>(array: &dyn Array, at: usize) -> T::Native {
    array.as_primitive::<T>().value(at)
}

/// An integer or decimal as text, digit by digit.
fn exact_number(array: &dyn Array, at: usize) -> Option<String> {
    Some(match array.data_type() {
        DataType::Int8 => primitive::<Int8Type>(array, at).to_string(),
        DataType::Int16 => primitive::<Int16Type>(array, at).to_string(),
        DataType::Int32 => primitive::<Int32Type>(array, at).to_string(),
        DataType::Int64 => primitive::<Int64Type>(array, at).to_string(),
        DataType::UInt8 => primitive::<UInt8Type>(array, at).to_string(),
        DataType::UInt16 => primitive::<UInt16Type>(array, at).to_string(),
        DataType::UInt32 => primitive::<UInt32Type>(array, at).to_string(),
        DataType::UInt64 => primitive::<UInt64Type>(array, at).to_string(),
        DataType::Decimal32(..) => array.as_primitive::<Decimal32Type>().value_as_string(at),
        DataType::Decimal64(..) => array.as_primitive::<Decimal64Type>().value_as_string(at),
        DataType::Decimal128(..) => array.as_primitive::<Decimal128Type>().value_as_string(at),
        DataType::Decimal256(..) => array.as_primitive::<Decimal256Type>().value_as_string(at),
        _ => return None,
    })
}

/// Reads a value that is not text in the file: no format applies, and blanks mean something.
fn typed(attribute: &Attribute, text: &str) -> Result<Literal, String> {
    Literal::from_text(attribute.data_type, None, text).map_err(|error| match error {
        LiteralError::Year => format!("{error}, got {}", columns::shorten(text)),
        LiteralError::Type { .. } | LiteralError::Nul => error.to_string(),
    })
}

/// Refuses a value that no row has room for, before it is copied.
fn check_length(value: &[u8]) -> Result<(), String> {
    if value.len() > ROW_BYTES_MAX {
        return Err(format!(
            "expected at most {ROW_BYTES_MAX} bytes, got a longer value"
        ));
    }
    Ok(())
}

fn read_bytes(attribute: &Attribute, bytes: &[u8]) -> Result<Literal, String> {
    match std::str::from_utf8(bytes) {
        Ok(text) => columns::read_text(attribute, text),
        Err(_) => {
            let shown = columns::shorten(&String::from_utf8_lossy(bytes));
            Err(format!("expected UTF-8, got {shown}"))
        }
    }
}

fn read_float(attribute: &Attribute, value: f64) -> Result<Literal, String> {
    if !value.is_finite() {
        return Err(format!("expected a finite number, got {value}"));
    }
    if attribute.data_type == EdmType::Double {
        return typed(attribute, &format!("{value:?}"));
    }
    // Zero has no sign for all others, and whole numbers no fraction.
    typed(attribute, &(value + 0.0).to_string())
}

fn read_date(attribute: &Attribute, seconds: Option<i64>) -> Result<Literal, String> {
    let date = seconds
        .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
        .ok_or("expected a date, got one that is out of range")?;
    typed(attribute, &date.format("%Y-%m-%d").to_string())
}

/// Seconds and nanoseconds since 1970.
type SinceEpoch = (i64, u32);

fn timestamp(array: &dyn Array, unit: TimeUnit, at: usize) -> Option<SinceEpoch> {
    fn split<T: ArrowTimestampType>(
        array: &dyn Array,
        at: usize,
        a_second: i64,
    ) -> Option<SinceEpoch> {
        let value = primitive::<T>(array, at);
        let nanos = value.rem_euclid(a_second) * (SECOND_NANOS / a_second);
        Some((value.div_euclid(a_second), u32::try_from(nanos).ok()?))
    }
    match unit {
        TimeUnit::Second => split::<TimestampSecondType>(array, at, 1),
        TimeUnit::Millisecond => split::<TimestampMillisecondType>(array, at, 1_000),
        TimeUnit::Microsecond => split::<TimestampMicrosecondType>(array, at, 1_000_000),
        TimeUnit::Nanosecond => split::<TimestampNanosecondType>(array, at, SECOND_NANOS),
    }
}

fn read_timestamp(
    attribute: &Attribute,
    since_epoch: Option<SinceEpoch>,
    is_zoned: bool,
) -> Result<Literal, String> {
    let instant = since_epoch
        .and_then(|(seconds, nanos)| DateTime::from_timestamp(seconds, nanos))
        .ok_or("expected an instant, got one that is out of range")?;
    let is_date = attribute.data_type == EdmType::Date && instant.time() == NaiveTime::MIN;
    if is_date {
        return typed(attribute, &instant.format("%Y-%m-%d").to_string());
    }
    let zone = if is_zoned { "Z" } else { "" };
    let text = format!("{}{zone}", instant.format("%Y-%m-%dT%H:%M:%S%.f"));
    typed(attribute, &text)
}

fn since_midnight(array: &dyn Array, unit: TimeUnit, at: usize) -> Option<TimeDelta> {
    Some(match (array.data_type(), unit) {
        (DataType::Time32(_), TimeUnit::Second) => {
            TimeDelta::try_seconds(i64::from(primitive::<Time32SecondType>(array, at)))?
        }
        (DataType::Time32(_), _) => {
            TimeDelta::try_milliseconds(i64::from(primitive::<Time32MillisecondType>(array, at)))?
        }
        (_, TimeUnit::Microsecond) => {
            TimeDelta::microseconds(primitive::<Time64MicrosecondType>(array, at))
        }
        _ => TimeDelta::nanoseconds(primitive::<Time64NanosecondType>(array, at)),
    })
}

fn read_time(attribute: &Attribute, since_midnight: Option<TimeDelta>) -> Result<Literal, String> {
    let time = since_midnight
        .filter(|span| *span >= TimeDelta::zero() && span.num_seconds() < DAY_SECONDS)
        .map(|span| NaiveTime::MIN.overflowing_add_signed(span).0)
        .ok_or("expected a time of day, got one that is out of range")?;
    typed(attribute, &time.format("%H:%M:%S%.f").to_string())
}

fn guid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}
