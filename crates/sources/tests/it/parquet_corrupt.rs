//! Parquet files that are not whole: a clean error, never a panic.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, StringArray};
use parquet::basic::Compression;
use proptest::prelude::*;
use sanntid_sources::{Error, infer_schema, open};
use sanntid_types::{EdmType, EntitySchema};

use crate::parquet_files::{PARQUET, on_disk, read, written};
use crate::reading::{attribute, id_and};

fn shape() -> EntitySchema {
    id_and(attribute("Value", EdmType::Double))
}

fn small(compression: Compression) -> Vec<u8> {
    let ids = StringArray::from_iter_values((0..50).map(|n| format!("id{n}")));
    let values = Float64Array::from_iter_values((0..50).map(f64::from));
    let columns = vec![
        ("Id", Arc::new(ids) as ArrayRef),
        ("Value", Arc::new(values) as ArrayRef),
    ];
    written(columns, compression)
}

#[test]
fn a_file_that_is_cut_off_fails_wherever_it_is_cut() {
    let whole = small(Compression::SNAPPY);
    for cut in 0..whole.len() {
        let error = read(&shape(), &whole[..cut]).expect_err("cut");
        assert!(
            matches!(error, Error::ParquetCorrupt { .. }),
            "{cut}: {error}"
        );
        assert!(infer_schema(&on_disk(&whole[..cut])).is_err(), "{cut}");
    }
}

#[test]
fn what_is_no_parquet_file_is_refused() {
    let whole = small(Compression::SNAPPY);
    let with_footer_of = |length: u32| {
        let mut bytes = whole.clone();
        let place = bytes.len() - 8;
        bytes[place..place + 4].copy_from_slice(&length.to_le_bytes());
        bytes
    };
    for (what, bytes) in [
        ("text", b"Id,Value\na,1\nb,2\nc,3\n".to_vec()),
        ("wrong head", [b"NOPE", &whole[4..]].concat()),
        ("huge footer", with_footer_of(u32::MAX)),
        (
            "footer of the whole file",
            with_footer_of(u32::try_from(whole.len()).expect("small")),
        ),
        ("no footer", with_footer_of(0)),
    ] {
        let error = read(&shape(), &bytes).expect_err(what);
        assert!(
            matches!(error, Error::ParquetCorrupt { .. }),
            "{what}: {error}"
        );
        assert!(!error.is_io());
    }
}

#[test]
fn a_stream_is_refused() {
    let error = open(Box::new(&b"PAR1"[..]), PARQUET, &shape()).expect_err("stream");
    assert!(matches!(error, Error::ParquetNeedsFile), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_give_rows_or_an_error(
        compression in prop::sample::select(vec![
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::LZ4_RAW,
            Compression::ZSTD(Default::default()),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = small(compression);
        let length = bytes.len();
        for (place, value) in changes {
            bytes[place.index(length)] ^= value;
        }
        if let Err(error) = read(&shape(), &bytes) {
            prop_assert!(!error.is_io(), "{}", error);
        }
    }
}
