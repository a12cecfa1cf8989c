//! Parquet files that are whole: every type, the columns that are read, and what is inferred.

use std::fs::{self, File};
use std::sync::Arc;

use arrow_array::types::{Int32Type, UInt64Type};
use arrow_array::*;
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use sanntid_sources::{Error, FileFormat, FileKind, Folder, Packing, infer_schema, open_file};
use sanntid_types::{Attribute, EdmType, EntitySchema};

use crate::reading::{attribute, id_and, schema, show};

pub(crate) const PARQUET: FileFormat = FileFormat {
    kind: FileKind::Parquet,
    packing: Packing::None,
};

pub(crate) fn written(columns: Vec<(&str, ArrayRef)>, compression: Compression) -> Vec<u8> {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("batch");
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(1_500))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).expect("writer");
    writer.write(&batch).expect("memory");
    writer.into_inner().expect("memory")
}

pub(crate) fn on_disk(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("file");
    std::io::Write::write_all(&mut file, bytes).expect("disk");
    file
}

pub(crate) fn read(schema: &EntitySchema, bytes: &[u8]) -> Result<Vec<String>, Error> {
    open_file(on_disk(bytes), PARQUET, schema)?
        .map(|item| item.map(|item| show(&item)))
        .collect()
}

fn ids(count: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(
        (0..count).map(|n| format!("id{n}")),
    ))
}

/// Reads a column of one value (and a second that is null) as an attribute of a type.
fn one(data_type: EdmType, array: ArrayRef) -> String {
    let file = written(
        vec![("Id", ids(array.len())), ("Value", array)],
        Compression::SNAPPY,
    );
    let rows = read(&id_and(attribute("Value", data_type)), &file).expect("rows");
    rows.first().expect("a row").clone()
}

#[test]
fn every_type_becomes_what_is_declared() {
    use EdmType as Edm;
    let dictionary: DictionaryArray<Int32Type> = ["gold"].into_iter().collect();
    let guid = [0xab; 16];
    let fixed = FixedSizeBinaryArray::try_from_iter([guid].into_iter()).expect("array");
    let decimal = Decimal128Array::from(vec![-123_400])
        .with_precision_and_scale(38, 4)
        .expect("decimal");
    let micros = 1_700_000_000_123_456;
    let cases: Vec<(EdmType, ArrayRef, &str)> = vec![
        (
            Edm::String,
            Arc::new(StringArray::from(vec![" a"])),
            "\" a\"",
        ),
        (
            Edm::String,
            Arc::new(LargeStringArray::from(vec!["b"])),
            "\"b\"",
        ),
        (
            Edm::String,
            Arc::new(StringViewArray::from(vec!["c"])),
            "\"c\"",
        ),
        (
            Edm::String,
            Arc::new(BinaryArray::from(vec![&b"d"[..]])),
            "\"d\"",
        ),
        (Edm::String, Arc::new(dictionary), "\"gold\""),
        (Edm::String, Arc::new(StringArray::from(vec![""])), "null"),
        (Edm::Int32, Arc::new(StringArray::from(vec![" 7 "])), "7"),
        (Edm::Int16, Arc::new(Int8Array::from(vec![-5])), "-5"),
        (
            Edm::Int64,
            Arc::new(Int64Array::from(vec![i64::MIN])),
            "-9223372036854775808",
        ),
        (Edm::Int16, Arc::new(UInt8Array::from(vec![255])), "255"),
        (
            Edm::Decimal,
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "18446744073709551615",
        ),
        (Edm::Int32, Arc::new(Float64Array::from(vec![3.0])), "3"),
        (Edm::Double, Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (
            Edm::Double,
            Arc::new(Float64Array::from(vec![1e300])),
            "1e300",
        ),
        (Edm::Decimal, Arc::new(decimal), "-12.3400"),
        (
            Edm::Boolean,
            Arc::new(BooleanArray::from(vec![true])),
            "true",
        ),
        (
            Edm::String,
            Arc::new(BooleanArray::from(vec![false])),
            "\"false\"",
        ),
        (
            Edm::Date,
            Arc::new(Date32Array::from(vec![-1])),
            "\"1969-12-31\"",
        ),
        (
            Edm::Date,
            Arc::new(Date64Array::from(vec![86_400_000])),
            "\"1970-01-02\"",
        ),
        (
            Edm::Date,
            Arc::new(TimestampMillisecondArray::from(vec![86_400_000])),
            "\"1970-01-02\"",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(Date32Array::from(vec![1])),
            "\"1970-01-02T00:00:00Z\"",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(TimestampSecondArray::from(vec![-1])),
            "\"1969-12-31T23:59:59Z\"",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(TimestampMillisecondArray::from(vec![1_001]).with_timezone("+02:00")),
            "\"1970-01-01T00:00:01.001Z\"",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(TimestampMicrosecondArray::from(vec![micros])),
            "\"2023-11-14T22:13:20.123456Z\"",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(TimestampNanosecondArray::from(vec![1])),
            "\"1970-01-01T00:00:00.000000001Z\"",
        ),
        (
            Edm::TimeOfDay,
            Arc::new(Time32SecondArray::from(vec![61])),
            "\"00:01:01\"",
        ),
        (
            Edm::TimeOfDay,
            Arc::new(Time32MillisecondArray::from(vec![1])),
            "\"00:00:00.001\"",
        ),
        (
            Edm::TimeOfDay,
            Arc::new(Time64MicrosecondArray::from(vec![86_399_999_999])),
            "\"23:59:59.999999\"",
        ),
        (
            Edm::Guid,
            Arc::new(fixed),
            "\"abababab-abab-abab-abab-abababababab\"",
        ),
        (
            Edm::Double,
            Arc::new(Float64Array::from(vec![None::<f64>])),
            "null",
        ),
        (Edm::Int32, Arc::new(NullArray::new(1)), "null"),
    ];
    for (edm, array, expected) in cases {
        let shown = format!("{edm:?} of {}", array.data_type());
        assert_eq!(one(edm, array), format!("1: \"id0\" {expected}"), "{shown}");
    }
}

#[test]
fn what_has_no_place_in_the_declared_type_rejects_its_row() {
    use EdmType as Edm;
    let cases: Vec<(EdmType, ArrayRef, &str)> = vec![
        (
            Edm::Double,
            Arc::new(Float64Array::from(vec![f64::NAN])),
            "finite",
        ),
        (
            Edm::Double,
            Arc::new(Float32Array::from(vec![f32::INFINITY])),
            "finite",
        ),
        (
            Edm::Decimal,
            Arc::new(Float64Array::from(vec![f64::NEG_INFINITY])),
            "finite",
        ),
        (
            Edm::Int16,
            Arc::new(Int32Array::from(vec![40_000])),
            "Edm.Int16",
        ),
        (
            Edm::Int32,
            Arc::new(Float64Array::from(vec![0.5])),
            "Edm.Int32",
        ),
        (
            Edm::Int64,
            Arc::new(UInt64Array::from(vec![u64::MAX])),
            "Edm.Int64",
        ),
        (
            Edm::Date,
            Arc::new(TimestampSecondArray::from(vec![1])),
            "Edm.Date",
        ),
        (
            Edm::Date,
            Arc::new(Date32Array::from(vec![i32::MAX])),
            "range",
        ),
        (
            Edm::DateTimeOffset,
            Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
            "range",
        ),
        (
            Edm::TimeOfDay,
            Arc::new(Time64MicrosecondArray::from(vec![-1])),
            "range",
        ),
        (
            Edm::String,
            Arc::new(BinaryArray::from(vec![&b"\xff"[..]])),
            "UTF-8",
        ),
        (
            Edm::Guid,
            Arc::new(StringArray::from(vec!["x"])),
            "Edm.Guid",
        ),
    ];
    for (edm, array, expected) in cases {
        let row = one(edm, array);
        assert!(row.starts_with("1! Value: "), "{row}");
        assert!(row.contains(expected), "{row}, not {expected}");
    }
    let file = written(
        vec![("Id", Arc::new(StringArray::from(vec![None, Some("b")])))],
        Compression::UNCOMPRESSED,
    );
    let rows = read(&schema(vec![attribute("Id", Edm::String)]), &file).expect("rows");
    assert!(
        rows[0].starts_with("1! Id: ") && rows[0].contains("key"),
        "{rows:?}"
    );
    assert_eq!(rows[1], "2: \"b\"");
}

#[test]
fn all_row_groups_are_read_whatever_the_compression() {
    let count = 4_000;
    let numbers = Arc::new(PrimitiveArray::<UInt64Type>::from_iter_values(0..4_000));
    for compression in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::LZ4_RAW,
        Compression::GZIP(Default::default()),
        Compression::ZSTD(Default::default()),
    ] {
        let columns = vec![("Id", ids(count)), ("Value", numbers.clone() as ArrayRef)];
        let file = written(columns, compression);
        let rows = read(&id_and(attribute("Value", EdmType::Int32)), &file).expect("rows");
        assert_eq!(rows.len(), count);
        for (at, row) in rows.iter().enumerate() {
            assert_eq!(*row, format!("{}: \"id{at}\" {at}", at + 1));
        }
    }
}

fn nested() -> ArrayRef {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]);
    Arc::new(list)
}

#[test]
fn columns_are_found_by_name_and_the_others_passed_over() {
    let text = |value: &str| Arc::new(StringArray::from(vec![value])) as ArrayRef;
    let tier = Attribute {
        friendly_name: Some("Loyalty Tier".to_owned()),
        ..attribute("Loyalty_Tier", EdmType::String)
    };
    let columns = vec![
        ("loyalty tier", text("gold")),
        ("Tags", nested()),
        ("ID", text("a")),
    ];
    let file = written(columns, Compression::SNAPPY);
    assert_eq!(
        read(&id_and(tier.clone()), &file).expect("rows"),
        ["1: \"a\" \"gold\""]
    );
    for (columns, expected) in [
        (vec![("Id", text("a"))], "Loyalty Tier are missing"),
        (
            vec![
                ("Id", text("a")),
                ("loyalty-tier", text("x")),
                ("Loyalty_Tier", text("y")),
            ],
            "twice",
        ),
        (
            vec![("Id", text("a")), ("Loyalty Tier", nested())],
            "Loyalty Tier can't be read",
        ),
    ] {
        let file = written(columns, Compression::SNAPPY);
        let error = read(&id_and(tier.clone()), &file).expect_err(expected);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(!error.is_io());
    }
}

#[test]
fn a_folder_infers_what_its_manifest_does_not_declare() {
    let dir = tempfile::tempdir().expect("folder");
    let columns = vec![
        ("CustomerId", ids(2)),
        (
            "Loyalty Points",
            Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef,
        ),
    ];
    fs::write(
        dir.path().join("c.parquet"),
        written(columns, Compression::SNAPPY),
    )
    .expect("file");
    let manifest = r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [
        {"name": "Customer", "entityType": "profile", "key": "CustomerId", "files": ["*.parquet"],
         "attributes": []}]}"#;
    let path = dir.path().join("snapshot.json");
    fs::write(&path, manifest).expect("file");
    let folder = Folder::open(&path).expect("folder");
    let declared: Vec<_> = folder.manifest.entities[0]
        .attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.data_type))
        .collect();
    assert_eq!(
        declared,
        [
            ("CustomerId", EdmType::String),
            ("Loyalty Points", EdmType::Int32)
        ]
    );
    let rows = folder.files()[0].rows(&folder.schemas()[0]).expect("rows");
    assert_eq!(rows.filter_map(Result::ok).count(), 2);
}

#[test]
fn nested_columns_can_not_be_inferred() {
    let file = written(
        vec![("Id", ids(1)), ("Tags", nested())],
        Compression::SNAPPY,
    );
    let error = infer_schema(&on_disk(&file)).expect_err("nested");
    assert!(matches!(error, Error::ParquetColumn { .. }), "{error}");
}
