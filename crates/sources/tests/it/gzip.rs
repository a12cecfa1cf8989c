//! Compressed files: several members, cut and corrupt data, and what unpacks to far more.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use sanntid_sources::{Error, FileFormat, FileKind, Packing};

use crate::reading::{CSV, InPieces, NDJSON, id_and_text, read, read_from};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn gzip_of(format: FileFormat) -> FileFormat {
    FileFormat {
        packing: Packing::Gzip,
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
    let whole = read(gzip_of(CSV), &id_and_text(), &packed(csv.as_bytes())).expect("packed");
    assert_eq!(whole, plain);
    let ndjson = "\u{feff}{\"Id\":\"a\"}\n{\"Id\":\"b\"}";
    let rows = read(gzip_of(NDJSON), &id_and_text(), &packed(ndjson.as_bytes()));
    assert_eq!(rows.expect("packed"), ["1: \"a\" null", "2: \"b\" null"]);
}

#[test]
fn all_members_are_read_wherever_they_are_cut() {
    let csv = many_rows(50);
    let plain = read(CSV, &id_and_text(), csv.as_bytes()).expect("plain");
    for cut in [0, 1, 9, 100, csv.len()] {
        let (first, second) = csv.as_bytes().split_at(cut);
        let members = [packed(first), packed(b""), packed(second)].concat();
        let rows = read_from(InPieces::new(&members, 7), gzip_of(CSV), &id_and_text());
        assert_eq!(rows.expect("members"), plain, "{cut}");
    }
}

#[test]
fn a_file_that_is_cut_off_fails_wherever_it_is_cut() {
    for kind in [FileKind::Csv, FileKind::Ndjson] {
        let format = FileFormat {
            kind,
            packing: Packing::Gzip,
        };
        let whole = packed(many_rows(60).as_bytes());
        for cut in 0..whole.len() {
            let error = read(format, &id_and_text(), &whole[..cut]).expect_err("cut");
            assert!(matches!(error, Error::GzipCutOff), "{cut}: {error}");
            assert!(!error.is_io());
        }
    }
}

#[test]
fn corrupt_data_fails_the_file() {
    let whole = packed(many_rows(200).as_bytes());
    let mut checksum = whole.clone();
    let place = checksum.len() - 8;
    checksum[place] ^= 1;
    for (what, bytes) in [
        ("plain text", b"Id,Text\na,b\n".to_vec()),
        ("wrong checksum", checksum),
        (
            "rubbish behind",
            [whole, b"rubbish and more".to_vec()].concat(),
        ),
    ] {
        let error = read(gzip_of(CSV), &id_and_text(), &bytes).expect_err(what);
        assert!(
            matches!(error, Error::GzipCorrupt { .. }),
            "{what}: {error}"
        );
        assert!(!error.is_io(), "{what}");
    }
}

#[test]
fn no_changed_byte_is_read_as_if_nothing_were() {
    let whole = packed(many_rows(40).as_bytes());
    let good = read(gzip_of(CSV), &id_and_text(), &whole).expect("good");
    // Behind the header of ten bytes, all bytes take part in the data or its checksum.
    for place in 10..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] = !bytes[place];
        if let Ok(rows) = read(gzip_of(CSV), &id_and_text(), &bytes) {
            assert_ne!(rows, good, "{place} of {}", whole.len());
        }
    }
}

#[test]
fn what_unpacks_to_far_more_is_read_like_any_file() {
    // 16 MiB of one byte in some 16 KiB.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(b"{\"Id\":\"a\"}\n").expect("memory");
    let block = vec![b'x'; 1 << 20];
    for _ in 0..16 {
        encoder.write_all(&block).expect("memory");
    }
    let bomb = encoder.finish().expect("memory");
    assert!(bomb.len() < 1 << 17, "{}", bomb.len());
    let rows = read(gzip_of(NDJSON), &id_and_text(), &bomb).expect("lines");
    assert_eq!(rows.len(), 2);
    assert!(rows[1].contains("a longer line"));
}
