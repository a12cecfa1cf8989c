//! Files compressed with zstd: several frames, cut and corrupt data, and windows that are too large.

use std::io::Write;

use sanntid_sources::{Error, FileFormat, Packing, ZSTD_WINDOW_LOG_MAX};

use crate::reading::{CSV, InPieces, NDJSON, id_and_text, read, read_from};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("memory");
    encoder.include_checksum(true).expect("option");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd_of(format: FileFormat) -> FileFormat {
    FileFormat {
        packing: Packing::Zstd,
        ..format
    }
}

fn many_rows(count: usize) -> String {
    let lines = (0..count).map(|n| format!("id{n},text number {n}\n"));
    std::iter::once("Id,Text\n".to_owned())
        .chain(lines)
        .collect()
}

#[test]
fn packed_files_read_like_the_plain_ones() {
    let csv = many_rows(20_000);
    let plain = read(CSV, &id_and_text(), csv.as_bytes()).expect("plain");
    let whole = read(zstd_of(CSV), &id_and_text(), &packed(csv.as_bytes())).expect("packed");
    assert_eq!(whole, plain);
}

#[test]
fn all_frames_are_read_wherever_they_are_cut() {
    let csv = many_rows(50);
    let plain = read(CSV, &id_and_text(), csv.as_bytes()).expect("plain");
    for cut in [0, 1, 9, 100, csv.len()] {
        let (first, second) = csv.as_bytes().split_at(cut);
        let frames = [packed(first), packed(b""), packed(second)].concat();
        let rows = read_from(InPieces::new(&frames, 7), zstd_of(CSV), &id_and_text());
        assert_eq!(rows.expect("frames"), plain, "{cut}");
    }
}

#[test]
fn a_file_that_is_cut_off_fails_wherever_it_is_cut() {
    let whole = packed(many_rows(60).as_bytes());
    for cut in 0..whole.len() {
        let error = read(zstd_of(CSV), &id_and_text(), &whole[..cut]).expect_err("cut");
        assert!(matches!(error, Error::ZstdCutOff), "{cut}: {error}");
        assert!(!error.is_io());
    }
}

#[test]
fn corrupt_data_fails_the_file() {
    let whole = packed(many_rows(200).as_bytes());
    let mut checksum = whole.clone();
    let place = checksum.len() - 1;
    checksum[place] ^= 1;
    for (what, bytes) in [
        ("plain text", b"Id,Text\na,b\n".to_vec()),
        ("wrong checksum", checksum),
        ("rubbish behind", [whole, b"rubbish".to_vec()].concat()),
    ] {
        let error = read(zstd_of(CSV), &id_and_text(), &bytes).expect_err(what);
        assert!(
            matches!(error, Error::ZstdCorrupt { .. }),
            "{what}: {error}"
        );
        assert!(!error.is_io(), "{what}");
    }
}

#[test]
fn a_window_over_the_limit_is_refused_and_the_largest_is_not() {
    let of_window = |log: u32| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).expect("memory");
        encoder.window_log(log).expect("option");
        encoder.write_all(b"Id,Text\na,b\n").expect("memory");
        encoder.finish().expect("memory")
    };
    let largest = of_window(ZSTD_WINDOW_LOG_MAX);
    let rows = read(zstd_of(CSV), &id_and_text(), &largest).expect("largest");
    assert_eq!(rows, ["1: \"a\" \"b\""]);
    let over = of_window(ZSTD_WINDOW_LOG_MAX + 1);
    let error = read(zstd_of(CSV), &id_and_text(), &over).expect_err("over");
    assert!(matches!(error, Error::ZstdCorrupt { .. }), "{error}");
}

#[test]
fn packed_data_that_was_not_declared_is_told_apart() {
    let whole = packed(b"Id,Text\na,b\n");
    let error = read(CSV, &id_and_text(), &whole).expect_err("packed");
    assert!(matches!(error, Error::ZstdNotDeclared), "{error}");
}

#[test]
fn what_unpacks_to_far_more_is_read_like_any_file() {
    let mut text = b"{\"Id\":\"a\"}\n".to_vec();
    text.resize(16 << 20, b'x');
    let bomb = packed(&text);
    assert!(bomb.len() < 1 << 17, "{}", bomb.len());
    let rows = read(zstd_of(NDJSON), &id_and_text(), &bomb).expect("lines");
    assert_eq!(rows.len(), 2);
    assert!(rows[1].contains("a longer line"));
}
