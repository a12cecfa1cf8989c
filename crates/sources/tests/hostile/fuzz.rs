//! Files that were whole until some of their bits were changed: at random, and where numbers stand.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray,
};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding};
use parquet::file::properties::{WriterProperties, WriterVersion};

use crate::read;

const NAMES: [&str; 5] = ["A", "N", "F", "B", "X"];

/// Gives numbers that look random and are always the same.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn written(
    compression: Compression,
    version: WriterVersion,
    encoding: Option<Encoding>,
) -> Vec<u8> {
    let texts = (0..90).map(|n| (n % 7 > 0).then(|| format!("text {}", n / 3)));
    let columns: [ArrayRef; 5] = [
        Arc::new(texts.collect::<StringArray>()),
        Arc::new(Int64Array::from_iter_values((0..90).map(|n| n * n))),
        Arc::new(Float64Array::from_iter_values((0..90).map(f64::from))),
        Arc::new(
            (0..90)
                .map(|n| (n % 5 > 0).then_some(n % 2 == 0))
                .collect::<BooleanArray>(),
        ),
        Arc::new(FixedSizeBinaryArray::try_from_iter((1..91_u8).map(|n| [n; 16])).unwrap()),
    ];
    let fields: Vec<Field> = NAMES
        .iter()
        .zip(&columns)
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).unwrap();
    let mut properties = WriterProperties::builder()
        .set_compression(compression)
        .set_writer_version(version)
        .set_data_page_row_count_limit(20)
        .set_write_batch_size(10)
        .set_max_row_group_row_count(Some(40));
    if let Some(encoding) = encoding {
        properties = properties
            .set_dictionary_enabled(false)
            .set_column_encoding("A".into(), encoding);
    }
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn files() -> Vec<Vec<u8>> {
    use WriterVersion::{PARQUET_1_0 as V1, PARQUET_2_0 as V2};
    vec![
        written(Compression::UNCOMPRESSED, V1, None),
        written(Compression::SNAPPY, V2, None),
        written(Compression::GZIP(Default::default()), V1, None),
        written(Compression::ZSTD(Default::default()), V2, None),
        written(Compression::LZ4_RAW, V1, Some(Encoding::PLAIN)),
        written(Compression::LZ4, V1, None),
        written(
            Compression::UNCOMPRESSED,
            V2,
            Some(Encoding::DELTA_BYTE_ARRAY),
        ),
        written(
            Compression::UNCOMPRESSED,
            V1,
            Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        ),
    ]
}

/// Reads so many changed files; gives how many.
pub(crate) fn flipped(seed: u64, count: usize) -> usize {
    let files = files();
    for file in &files {
        assert_eq!(read(file, &NAMES).unwrap(), (90, 0));
    }
    let mut numbers = Numbers(seed);
    for case in 0..count {
        let mut bytes = files[case % files.len()].clone();
        let footer = {
            let end = bytes.len() - 8;
            let length = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
            end - length as usize
        };
        for _ in 0..=numbers.below(3) {
            match numbers.below(4) {
                // Anywhere.
                0 => {
                    let at = numbers.below(bytes.len());
                    bytes[at] ^= 1 << numbers.below(8);
                }
                // In the footer.
                1 => {
                    let at = footer + numbers.below(bytes.len() - 8 - footer);
                    bytes[at] = numbers.next() as u8;
                }
                // A number becomes a large one: the byte behind what looks like a field's head.
                2 => {
                    let heads = (4..bytes.len() - 14).filter(|at| bytes[*at] == 0x15);
                    let heads: Vec<usize> = heads.collect();
                    let at = heads[numbers.below(heads.len())] + 1;
                    let length = 1 + numbers.below(5);
                    bytes[at..at + length].fill(0xff);
                    bytes[at + length] &= 0x7f;
                }
                // A longer number pushes all behind it away.
                _ => {
                    let at = 4 + numbers.below(bytes.len() - 12);
                    let large = [0xfe, 0xff, 0xff, 0xff, 0x0f];
                    let to = (at + 1).min(footer.max(at));
                    bytes.splice(at..to, large);
                    if numbers.below(2) == 0 {
                        bytes.drain(at + 5..at + 9);
                    }
                }
            }
        }
        if let Err(error) = read(&bytes, &NAMES) {
            assert!(!error.is_io(), "case {case}: {error}");
        }
    }
    count
}
