//! Files that are written here are read back as what they were made of.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Int64Type, TimestampMillisecondType};
use arrow_schema::{DataType, TimeUnit};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use sanntid_sources::{Item, open_file, write_parquet};
use sanntid_types::{
    Attribute, EdmType, EntitySchema, EntityType, Literal, Row, RowBuilder, scalar_of,
};

use crate::parquet_files::{PARQUET, on_disk};
use crate::reading::{attribute, schema};

/// One attribute of every type, behind a key.
fn every_type() -> EntitySchema {
    let values = EdmType::ALL.map(|edm| attribute(edm.name().trim_start_matches("Edm."), edm));
    let key = attribute("Id", EdmType::String);
    schema([key].into_iter().chain(values).collect())
}

fn written(schema: &EntitySchema, rows: &[Row]) -> (Vec<u8>, usize) {
    let mut file = write_parquet(&Arc::new(schema.clone())).expect("opened");
    let (mut bytes, mut pieces) = (Vec::new(), 0);
    for row in rows {
        file.push(row).expect("written");
        let ready = file.take();
        pieces += usize::from(!ready.is_empty());
        bytes.extend(ready);
    }
    bytes.extend(file.finish().expect("ended"));
    (bytes, pieces)
}

fn read(schema: &EntitySchema, bytes: &[u8]) -> Vec<Row> {
    let items = open_file(on_disk(bytes), PARQUET, schema).expect("opened");
    let rows: Result<Vec<Row>, _> = items
        .map(|item| match item.expect("readable") {
            Item::Row { row, .. } => Ok(row),
            Item::Rejected(rejection) => Err(rejection),
        })
        .collect();
    rows.expect("no row is rejected")
}

fn row(key: &str, values: &[Literal]) -> Row {
    let mut row = RowBuilder::default();
    row.push(&Literal::text(key));
    values.iter().for_each(|value| row.push(value));
    row.finish()
}

fn literals(texts: [&str; 11]) -> Vec<Literal> {
    let texts = EdmType::ALL.into_iter().zip(texts);
    let read = |(edm, json): (EdmType, &str)| Literal::from_json(edm, json).expect(json);
    texts.map(read).collect()
}

fn samples() -> Vec<Row> {
    let texts = [
        [
            r#""Kari \"Å\"\n, ;""#,
            "true",
            "-32768",
            "2147483647",
            "9223372036854775807",
            "12345678901234567890123456789012345678.123456789",
            "0.1",
            r#""1000-01-01""#,
            r#""2026-11-23T12:00:00.1234567+05:30""#,
            r#""23:59:59.999""#,
            r#""0d9f7a3c-5f1e-4f57-8a39-6a4a1c3e5b02""#,
        ],
        ["null"; 11],
        [
            r#""""#,
            "false",
            "32767",
            "-2147483648",
            "-9223372036854775808",
            "-1e30",
            "-1.7976931348623157e308",
            r#""9999-12-31""#,
            r#""1000-01-01T00:00:00Z""#,
            r#""00:00:00""#,
            r#""00000000-0000-0000-0000-000000000000""#,
        ],
    ];
    let rows = texts.into_iter().enumerate();
    rows.map(|(number, texts)| row(&format!("id{number}"), &literals(texts)))
        .collect()
}

/// That two rows hold equal values; a text is kept verbatim where its column is one.
fn assert_same(schema: &EntitySchema, read: &Row, made: &Row) {
    for (at, known) in schema.attributes.iter().enumerate() {
        let (read, made) = (read.get(at), made.get(at));
        let same = scalar_of(known.data_type, read) == scalar_of(known.data_type, made);
        assert!(same, "{}: {read} was {made}", known.name);
        let is_text = [EdmType::String, EdmType::Decimal, EdmType::DateTimeOffset];
        if is_text.contains(&known.data_type) && made != r#""""# {
            assert_eq!(read, made, "{}", known.name);
        }
    }
}

#[test]
fn every_type_reads_back_as_it_was() {
    let mut schema = every_type();
    for known in &mut schema.attributes {
        known.empty_is_value = true;
    }
    let rows = samples();
    let (bytes, _) = written(&schema, &rows);
    let back = read(&schema, &bytes);
    assert_eq!(back.len(), rows.len());
    for (read, made) in back.iter().zip(&rows) {
        assert_same(&schema, read, made);
    }
}

#[test]
fn columns_have_the_types_that_hold_their_values_exactly() {
    let (bytes, _) = written(&every_type(), &samples());
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(&bytes)).expect("a file");
    let types = reader.schema().fields().iter();
    let types: Vec<DataType> = types.map(|field| field.data_type().clone()).collect();
    let text = DataType::Utf8;
    let expected = [
        text.clone(),
        text.clone(),
        DataType::Boolean,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        text.clone(),
        DataType::Float64,
        DataType::Date32,
        text.clone(),
        text.clone(),
        text,
    ];
    assert_eq!(types, expected);
    let batch = reader
        .build()
        .expect("a reader")
        .next()
        .expect("a batch")
        .expect("rows");
    assert_eq!(
        batch.column(5).as_primitive::<Int64Type>().value(0),
        i64::MAX
    );
    assert_eq!(
        batch.column(8).as_primitive::<Date32Type>().value(2),
        2_932_896
    );
    assert_eq!(batch.column(5).null_count(), 1);
}

#[test]
fn the_times_of_activities_are_instants() {
    let activities = EntitySchema {
        entity_type: EntityType::UnifiedActivity,
        ..schema(vec![
            attribute("ActivityId", EdmType::String),
            Attribute::plain("ActivityTime", EdmType::DateTimeOffset),
        ])
    };
    let time = Literal::text("2026-11-23T12:00:00.001Z");
    let (bytes, _) = written(&activities, &[row("a", &[time])]);
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(&bytes)).expect("a file");
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    assert_eq!(reader.schema().field(1).data_type(), &utc);
    let batch = reader
        .build()
        .expect("a reader")
        .next()
        .expect("a batch")
        .expect("rows");
    let times = batch.column(1).as_primitive::<TimestampMillisecondType>();
    assert_eq!(times.value(0), 1_795_435_200_001);
}

#[test]
fn a_long_file_comes_in_pieces_and_an_empty_one_has_its_columns() {
    let schema = schema(vec![
        attribute("Id", EdmType::String),
        attribute("Note", EdmType::String),
    ]);
    // Texts that do not compress.
    let mut state = 1_u64;
    let mut noise = move || {
        let mut text = String::new();
        for _ in 0..16_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            text.push_str(&format!("{:x}", state >> 60));
        }
        text
    };
    let rows: Vec<Row> = (0..3_000)
        .map(|number| row(&format!("id{number}"), &[Literal::text(&noise())]))
        .collect();
    let (bytes, pieces) = written(&schema, &rows);
    assert_ne!(pieces, 0, "all {} bytes came at the end", bytes.len());
    assert_eq!(read(&schema, &bytes), rows);
    let (empty, _) = written(&schema, &[]);
    assert_eq!(read(&schema, &empty), []);
    let reader = ParquetRecordBatchReaderBuilder::try_new(on_disk(&empty)).expect("a file");
    assert_eq!(reader.schema().fields().len(), 2);
}

#[test]
fn a_row_that_ends_early_has_nulls_and_a_wrong_value_is_an_error() {
    let schema = schema(vec![
        attribute("Id", EdmType::String),
        attribute("Age", EdmType::Int32),
    ]);
    let (bytes, _) = written(&schema, &[row("a", &[])]);
    assert_eq!(read(&schema, &bytes), [row("a", &[Literal::null()])]);
    let mut file = write_parquet(&Arc::new(schema)).expect("opened");
    let error = file
        .push(&row("a", &[Literal::text("old")]))
        .expect_err("no age");
    assert!(error.message.contains("Age"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn texts_and_numbers_read_back(
        rows in prop::collection::vec((any::<Option<i64>>(), "[^\u{0}]{0,40}", any::<Option<bool>>()), 0..60)
    ) {
        let mut schema = schema(vec![
            attribute("Id", EdmType::String),
            attribute("Number", EdmType::Int64),
            attribute("Text", EdmType::String),
            attribute("Truth", EdmType::Boolean),
        ]);
        schema.attributes[2].empty_is_value = true;
        let json = |value: Option<String>| value.unwrap_or_else(|| "null".to_owned());
        let rows: Vec<Row> = rows
            .into_iter()
            .enumerate()
            .map(|(at, (number, text, truth))| {
                let number = json(number.map(|number| number.to_string()));
                let truth = json(truth.map(|truth| truth.to_string()));
                let values = [
                    Literal::from_json(EdmType::Int64, &number).expect("a number"),
                    Literal::text(&text),
                    Literal::from_json(EdmType::Boolean, &truth).expect("a truth"),
                ];
                row(&format!("id{at}"), &values)
            })
            .collect();
        let (bytes, _) = written(&schema, &rows);
        prop_assert_eq!(read(&schema, &bytes), rows);
    }
}
