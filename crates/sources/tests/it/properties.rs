//! Properties: both kinds give the same rows, CSV reads as an independent reader reads it, and no
//! bytes are too odd.

use std::io::Cursor;

use proptest::prelude::*;
use sanntid_sources::{Error, FileFormat, FileKind, Packing};
use sanntid_types::{EdmType, EntitySchema, Literal, RowBuilder};

use crate::reading::{CSV, InPieces, NDJSON, attribute, id_and_text, read, read_from, schema};

fn wide_schema() -> EntitySchema {
    schema(vec![
        attribute("Id", EdmType::String),
        attribute("Text", EdmType::String),
        attribute("Whole", EdmType::Int64),
        attribute("Real", EdmType::Double),
        attribute("Day", EdmType::Date),
        attribute("Yes", EdmType::Boolean),
    ])
}

/// One row as plain texts; empty is null.
fn texts() -> impl Strategy<Value = [String; 6]> {
    let text = prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,6}",
        "[\"\r\n,a\\\\]{0,8}",
        Just(String::new())
    ];
    let key = text.clone().prop_map(|text| format!("k{text}"));
    let number = prop::option::of(any::<i64>());
    let real = prop::option::of((-1e9..1e9_f64).prop_map(|real| real.to_string()));
    let day = prop::option::of((1000..9999_u32, 1..13_u32, 1..29_u32));
    (
        key,
        text,
        number,
        real,
        day,
        prop::option::of(any::<bool>()),
    )
        .prop_map(|(key, text, number, real, day, yes)| {
            let number = number.map_or_else(String::new, |number| number.to_string());
            let day = day.map_or_else(String::new, |(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
            let yes = yes.map_or_else(String::new, |yes| yes.to_string());
            [key, text, number, real.unwrap_or_default(), day, yes]
        })
}

fn as_csv(rows: &[[String; 6]]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = ["Id", "Text", "Whole", "Real", "Day", "Yes"];
    writer.write_record(header).expect("memory");
    for row in rows {
        writer.write_record(row).expect("memory");
    }
    writer.into_inner().expect("memory")
}

fn as_ndjson(rows: &[[String; 6]]) -> Vec<u8> {
    let mut file = String::new();
    for [key, text, whole, real, day, yes] in rows {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let bare = |text: &str| {
            if text.is_empty() {
                "null".to_owned()
            } else {
                text.to_owned()
            }
        };
        let day = if day.is_empty() {
            "null".to_owned()
        } else {
            quoted(day)
        };
        file.push_str(&format!(
            "{{\"yes\":{},\"Day\":{day},\"Id\":{},\"Text\":{},\"Real\":{},\"Whole\":{}}}\n",
            bare(yes),
            quoted(key),
            quoted(text),
            bare(real),
            bare(whole),
        ));
    }
    file.into_bytes()
}

fn expected(rows: &[[String; 6]]) -> Vec<String> {
    let types = wide_schema()
        .attributes
        .into_iter()
        .map(|attribute| attribute.data_type);
    let types: Vec<EdmType> = types.collect();
    rows.iter()
        .enumerate()
        .map(|(index, row)| {
            let mut builder = RowBuilder::default();
            for (text, data_type) in row.iter().zip(&types) {
                let value = if text.is_empty() {
                    Literal::null()
                } else {
                    Literal::from_text(*data_type, None, text).expect("own text")
                };
                builder.push(&value);
            }
            let row = builder.finish();
            let values: Vec<&str> = row.iter().collect();
            format!("{}: {}", index + 1, values.join(" "))
        })
        .collect()
}

/// What the csv crate makes of a file whose values are all text.
fn by_the_csv_crate(file: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(Cursor::new(file.to_vec()));
    let records = reader.byte_records().map(|record| record.expect("memory"));
    records
        .map(|record| {
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            record.iter().map(text).collect()
        })
        .collect()
}

/// How files begin, so that odd bytes get past the first check.
const STARTS: &[&[u8]] = &[
    b"",
    b"Id,Text\n",
    b"{\"Id\":",
    b"\xef\xbb\xbf",
    b"\x1f\x8b\x08\0\0\0\0\0\0\0",
];

proptest! {
    #[test]
    fn rows_come_back_from_both_kinds_as_they_were_written(
        rows in prop::collection::vec(texts(), 0..12),
        size in 1..64_usize,
    ) {
        let schema = wide_schema();
        let wanted = expected(&rows);
        let csv = read_from(InPieces::new(&as_csv(&rows), size), CSV, &schema);
        prop_assert_eq!(csv.expect("CSV"), &wanted[..]);
        let ndjson = read_from(InPieces::new(&as_ndjson(&rows), size), NDJSON, &schema);
        prop_assert_eq!(ndjson.expect("NDJSON"), &wanted[..]);
    }

    #[test]
    fn csv_is_read_as_the_csv_crate_reads_it_unless_its_quoting_is_broken(
        body in "([ab\",\r\n]|\"[ab,\n]{0,3}\"[,\n]){0,30}",
    ) {
        let file = format!("Id,Text\n{body}");
        let rows = match read(CSV, &id_and_text(), file.as_bytes()) {
            Ok(rows) => rows,
            Err(error) => {
                let broken =
                    matches!(error, Error::QuoteNotClosed { .. } | Error::QuotingBroken { .. });
                prop_assert!(broken, "{}", error);
                return Ok(());
            }
        };
        let theirs = by_the_csv_crate(file.as_bytes());
        prop_assert_eq!(rows.len(), theirs.len() - 1);
        for (ours, theirs) in rows.iter().zip(&theirs[1..]) {
            let shown = |text: &String| {
                if text.is_empty() {
                    "null".to_owned()
                } else {
                    Literal::text(text).as_json().to_owned()
                }
            };
            let values: Vec<String> = theirs.iter().map(shown).collect();
            match ours.split_once("! ") {
                None => {
                    let wanted = format!(": {}", values.join(" "));
                    prop_assert!(ours.ends_with(&wanted), "{} {}", ours, wanted);
                }
                Some((_, reason)) if reason.starts_with("-: expected 2 values") => {
                    prop_assert_ne!(values.len(), 2);
                }
                Some((_, reason)) if reason.starts_with("Id: expected a value") => {
                    prop_assert_eq!(&values[0], "null");
                }
                Some((_, reason)) => prop_assert!(reason.contains("closing quote"), "{}", reason),
            }
        }
    }

    #[test]
    fn any_bytes_give_rows_or_an_error(
        start in prop::sample::select(STARTS),
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(&b"\",\r\n{}:[]\\Id\x00\xff"[..])], 0..200,
        ),
        gzip in any::<bool>(),
        csv in any::<bool>(),
    ) {
        let kind = if csv { FileKind::Csv } else { FileKind::Ndjson };
        let file = [start, &bytes].concat();
        let packing = if gzip { Packing::Gzip } else { Packing::None };
        let whole = read(FileFormat { kind, packing }, &id_and_text(), &file);
        let pieces = InPieces::new(&file, 3);
        let in_pieces = read_from(pieces, FileFormat { kind, packing }, &id_and_text());
        match (whole, in_pieces) {
            (Ok(whole), Ok(in_pieces)) => prop_assert_eq!(whole, in_pieces),
            (Err(whole), Err(in_pieces)) => {
                // How much a decoder gives before it finds bad data depends on the pieces.
                if !gzip {
                    prop_assert_eq!(whole.to_string(), in_pieces.to_string());
                }
                prop_assert!(!whole.is_io());
            }
            (whole, in_pieces) => prop_assert!(false, "{:?} but {:?}", whole, in_pieces),
        }
    }
}
