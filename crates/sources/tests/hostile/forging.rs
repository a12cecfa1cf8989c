//! Files whose headers and footers say what is not so: written by hand, in Thrift's compact protocol.

use std::io::Write as _;

use sanntid_sources::Error;

use crate::read;
use crate::wire::Thrift;

const INT64: i64 = 2;
const BYTE_ARRAY: i64 = 6;
const FIXED: i64 = 7;

const UNCOMPRESSED: i64 = 0;
const SNAPPY: i64 = 1;
const GZIP: i64 = 2;
const LZ4: i64 = 5;
const ZSTD: i64 = 6;

const PLAIN: i64 = 0;
const DELTA_LENGTH: i64 = 6;
const DELTA_BYTES: i64 = 7;
const DICTIONARY: i64 = 8;

const MANY: i64 = i32::MAX as i64;

/// What is to become of a file.
pub(crate) enum Expected {
    Corrupt(&'static str),
    TooLarge,
    /// Rows that are read and rejected.
    Rows(usize, usize),
}

pub(crate) struct Forged {
    pub(crate) what: &'static str,
    pub(crate) bytes: Vec<u8>,
    expected: Expected,
}

impl Forged {
    pub(crate) fn check(&self, outcome: Result<(usize, usize), Error>) {
        let what = self.what;
        match (&self.expected, outcome) {
            (Expected::Corrupt(why), Err(Error::ParquetCorrupt { reason })) => {
                assert!(reason.contains(why), "{what}: {reason}");
            }
            (Expected::TooLarge, Err(Error::ParquetTooLarge)) => {}
            (Expected::Rows(read, rejected), Ok(found)) => {
                assert_eq!(found, (*read, *rejected), "{what}");
            }
            (_, outcome) => panic!("{what}: {outcome:?}"),
        }
    }
}

/// The element of a column.
fn column(physical: i64, length: i64, is_nullable: bool) -> Thrift {
    Thrift::default()
        .int32(1, physical)
        .int32(2, length)
        .int32(3, i64::from(is_nullable))
        .binary(4, b"A")
}

fn root(members: i64) -> Thrift {
    Thrift::default().binary(4, b"root").int32(5, members)
}

/// The header of a page of values, or of a dictionary.
fn page(kind: i64, (packed, unpacked): (i64, i64), values: i64, encoding: i64) -> Vec<u8> {
    let said = Thrift::default().int32(1, values).int32(2, encoding);
    let said = if kind == 0 {
        said.int32(3, 3).int32(4, 3)
    } else {
        said
    };
    let header = Thrift::default()
        .int32(1, kind)
        .int32(2, unpacked)
        .int32(3, packed);
    let id = if kind == 0 { 5 } else { 7 };
    header.nested(id, &said).end()
}

/// A file of one column in one row group.
struct File {
    element: Thrift,
    physical: i64,
    packing: i64,
    pages: Vec<u8>,
    /// Where the column's pages end, as the footer says.
    length: Option<i64>,
    rows: i64,
}

impl File {
    fn of(physical: i64, packing: i64, rows: i64, pages: Vec<u8>) -> Self {
        Self {
            element: column(physical, 0, false),
            physical,
            packing,
            pages,
            length: None,
            rows,
        }
    }

    fn footer(&self) -> Thrift {
        let length = self.length.unwrap_or(self.pages.len() as i64);
        let about = Thrift::default()
            .int32(1, self.physical)
            .list(2, 5, 1, &[0])
            .list(3, 8, 1, &[1, b'A'])
            .int32(4, self.packing)
            .int(5, self.rows)
            .int(6, length)
            .int(7, length)
            .int(9, 4);
        let chunk = Thrift::default().int(2, 4).nested(3, &about);
        let group = Thrift::default()
            .structs(1, &[chunk])
            .int(2, length)
            .int(3, self.rows);
        Thrift::default()
            .int32(1, 1)
            .structs(2, &[root(1), self.element.clone()])
            .int(3, self.rows)
            .structs(4, &[group])
    }

    fn bytes(&self) -> Vec<u8> {
        with_footer(&self.pages, &self.footer().end())
    }
}

fn with_footer(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, footer, &length, b"PAR1"].concat()
}

fn text(value: &[u8]) -> Vec<u8> {
    [&(value.len() as u32).to_le_bytes()[..], value].concat()
}

fn plain(values: i64, bytes: &[u8]) -> Vec<u8> {
    let size = bytes.len() as i64;
    [&page(0, (size, size), values, PLAIN)[..], bytes].concat()
}

/// What is forged here is read where it is not.
pub(crate) fn whole_files_are_read() {
    let pages = plain(2, &[text(b"a"), text(b"b")].concat());
    let file = File::of(BYTE_ARRAY, UNCOMPRESSED, 2, pages);
    assert_eq!(read(&file.bytes(), &["A"]).unwrap(), (2, 0));
    for (packing, packed) in [
        (
            SNAPPY,
            snap::raw::Encoder::new().compress_vec(&text(b"a")).unwrap(),
        ),
        (GZIP, gzip(&text(b"a"))),
        (ZSTD, zstd::encode_all(&text(b"a")[..], 1).unwrap()),
        (LZ4, lz4_frame(&text(b"a"))),
    ] {
        let head = page(0, (packed.len() as i64, 5), 1, PLAIN);
        let file = File::of(BYTE_ARRAY, packing, 1, [head, packed].concat());
        assert_eq!(read(&file.bytes(), &["A"]).unwrap(), (1, 0), "{packing}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn lz4_frame(bytes: &[u8]) -> Vec<u8> {
    let mut packed = lz4_flex::frame::FrameEncoder::new(Vec::new());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// Half a gigabyte of zeros, packed piece by piece: each format lets its data follow each other.
fn zeros(packing: i64) -> Vec<u8> {
    let piece = vec![0; 16 << 20];
    let packed = match packing {
        GZIP => gzip(&piece),
        ZSTD => zstd::encode_all(&piece[..], 1).unwrap(),
        _ => lz4_frame(&piece),
    };
    packed.repeat(32)
}

/// Delta encoded numbers that are all the same, in one block that takes five bytes for any number.
fn same_numbers(count: u64, value: i64, block: u64) -> Vec<u8> {
    let mut numbers = Thrift::default();
    numbers.varint(block);
    numbers.varint(4);
    numbers.varint(count);
    numbers.zigzag(value);
    for _ in 0..count.saturating_sub(1).div_ceil(block).min(100_000) {
        numbers.zigzag(0);
        numbers.0.extend([0; 4]);
    }
    numbers.0
}

/// Some at a time, so that they themselves need little memory.
pub(crate) const ALL: [fn() -> Vec<Forged>; 4] = [pages, bombs, lengths, footers];

fn forged(what: &'static str, file: &File, expected: Expected) -> Forged {
    Forged {
        what,
        bytes: file.bytes(),
        expected,
    }
}

fn pages() -> Vec<Forged> {
    use Expected::{Corrupt, Rows};
    let one = |packing, head: Vec<u8>| {
        let bytes = [head, text(b"a")].concat();
        File::of(BYTE_ARRAY, packing, 1, bytes)
    };
    let dictionary = |physical, values| {
        let head = page(2, (5, 5), values, PLAIN);
        File::of(physical, UNCOMPRESSED, 1, [head, text(b"a")].concat())
    };
    let mut far = one(UNCOMPRESSED, plain(1, b""));
    far.length = Some(1 << 40);
    let mut negative = one(UNCOMPRESSED, plain(1, b""));
    negative.length = Some(-1);
    let mut nulls = File::of(BYTE_ARRAY, UNCOMPRESSED, MANY, {
        // One run of 2³⁰ nulls.
        let run = [6, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x08, 0];
        plain(1 << 30, &run)
    });
    nulls.element = column(BYTE_ARRAY, 0, true);
    let mut fixed = File::of(FIXED, UNCOMPRESSED, 1, plain(1, b"abcd"));
    fixed.element = column(FIXED, MANY, false);
    let mut none = File::of(FIXED, UNCOMPRESSED, MANY, plain(MANY, b""));
    none.element = column(FIXED, 0, false);
    let lots = File::of(INT64, UNCOMPRESSED, 1, plain(MANY, &[0; 8]));
    let few = File::of(INT64, UNCOMPRESSED, 1000, plain(1, &[0; 8]));
    vec![
        forged(
            "unpacked",
            &one(SNAPPY, page(0, (5, MANY), 1, PLAIN)),
            Corrupt("unpacked"),
        ),
        forged(
            "not packed",
            &one(UNCOMPRESSED, page(0, (5, 64 << 20), 1, PLAIN)),
            Corrupt("said"),
        ),
        forged(
            "packed",
            &one(UNCOMPRESSED, page(0, (MANY, 5), 1, PLAIN)),
            Corrupt("packed"),
        ),
        forged(
            "less packed",
            &one(ZSTD, page(0, (60 << 20, 5), 1, PLAIN)),
            Corrupt("left"),
        ),
        forged(
            "negative",
            &one(UNCOMPRESSED, page(0, (-5, 5), 1, PLAIN)),
            Corrupt("packed"),
        ),
        forged(
            "dictionary",
            &dictionary(INT64, MANY),
            Corrupt("can't have"),
        ),
        forged(
            "texts",
            &dictionary(BYTE_ARRAY, MANY),
            Corrupt("can't have"),
        ),
        forged("values", &lots, Corrupt("lacks 1")),
        forged("rows", &few, Corrupt("lacks 999")),
        forged("far", &far, Corrupt("behind the file's end")),
        forged("negative length", &negative, Corrupt("negative")),
        forged("nulls", &nulls, Rows(crate::ROWS_MAX, 0)),
        forged("fixed", &fixed, Expected::TooLarge),
        forged("no bytes", &none, Corrupt("have none")),
    ]
}

fn bombs() -> Vec<Forged> {
    use Expected::{Corrupt, Rows, TooLarge};
    let bomb = |packing, said: i64| {
        let packed = zeros(packing);
        let head = page(0, (packed.len() as i64, said), 1, PLAIN);
        File::of(BYTE_ARRAY, packing, 1, [head, packed].concat())
    };
    // A value of 60 MiB that stands in each of many rows.
    let packed = {
        let mut value = (60_u32 << 20).to_le_bytes().to_vec();
        value.resize(4 + (60 << 20), b'a');
        zstd::encode_all(&value[..], 1).unwrap()
    };
    let size = (packed.len() as i64, 4 + (60 << 20));
    let index = [1, 0x80, 0x80, 0x08, 0];
    let packed_index = zstd::encode_all(&index[..], 1).unwrap();
    let head = page(0, (packed_index.len() as i64, 5), 1 << 16, DICTIONARY);
    let dictionary = page(2, size, 1, PLAIN);
    let again = [&dictionary[..], &packed, &head, &packed_index].concat();
    let again = File::of(BYTE_ARRAY, ZSTD, 1 << 16, again);
    // Many such values, each in a page of its own.
    let each = [&page(0, size, 1, PLAIN)[..], &packed].concat();
    let many = File::of(BYTE_ARRAY, ZSTD, 100, each.repeat(100));
    vec![
        forged("gzip", &bomb(GZIP, 1_000), Corrupt("its header said 1000")),
        forged("zstd", &bomb(ZSTD, 1_000), Corrupt("can't be unpacked")),
        forged("lz4", &bomb(LZ4, 1_000), Corrupt("its header said 1000")),
        forged("a large value again", &again, Rows(0, crate::ROWS_MAX)),
        forged("many large values", &many, TooLarge),
    ]
}

fn lengths() -> Vec<Forged> {
    use Expected::Corrupt;
    let delta = |encoding, rows: i64, bytes: Vec<u8>| {
        let size = bytes.len() as i64;
        let head = page(0, (size, size), rows, encoding);
        File::of(BYTE_ARRAY, UNCOMPRESSED, rows, [head, bytes].concat())
    };
    let count = MANY as u64;
    let block = (1 << 31) - 128;
    let whole = [same_numbers(3, 1, 128), b"abc".to_vec()].concat();
    // Each repeats all of the one before and adds a hundred bytes.
    let many = 20_000;
    let mut prefixes = Thrift::default();
    for number in [128, 4, many] {
        prefixes.varint(number);
    }
    prefixes.zigzag(0);
    for _ in 0..many.div_ceil(128) {
        prefixes.zigzag(100);
        prefixes.0.extend([0; 4]);
    }
    let own = same_numbers(many, 100, 128);
    let repeated = [&prefixes.0[..], &own, &vec![b'a'; 2_000_000]].concat();
    vec![
        forged(
            "delta",
            &delta(DELTA_LENGTH, 3, whole),
            Expected::Rows(3, 0),
        ),
        forged(
            "lengths",
            &delta(DELTA_LENGTH, MANY, same_numbers(count, 0, block)),
            Corrupt("lengths"),
        ),
        forged(
            "prefixes",
            &delta(DELTA_BYTES, MANY, same_numbers(count, 0, block)),
            Corrupt("lengths"),
        ),
        forged(
            "repeated",
            &delta(DELTA_BYTES, many as i64, repeated),
            Corrupt("lengths"),
        ),
    ]
}

fn footers() -> Vec<Forged> {
    use Expected::{Corrupt, TooLarge};
    let whole = File::of(BYTE_ARRAY, UNCOMPRESSED, 1, plain(1, &text(b"a")));
    let forge = |what, footer: Thrift, expected| Forged {
        what,
        bytes: with_footer(&whole.pages, &footer.end()),
        expected,
    };
    let footer = || Thrift::default().int32(1, 1).int(3, 1);
    let with = |elements: Vec<Thrift>| footer().structs(2, &elements).structs(4, &[]);
    let deep = |depth| {
        let group = || Thrift::default().binary(4, b"g").int32(5, 1);
        let mut elements: Vec<_> = (0..depth).map(|_| group()).collect();
        elements.push(column(BYTE_ARRAY, 0, false));
        elements
    };
    let mut long = vec![root(1)];
    let name = vec![b'n'; 1 << 20];
    long.push(Thrift::default().binary(4, &name).int32(5, 2_000));
    long.extend((0..2_000).map(|_| column(BYTE_ARRAY, 0, false)));
    let mut wide = vec![root(1)];
    wide.push(Thrift::default().binary(4, b"g").int32(5, 150_000));
    wide.extend((0..150_000).map(|_| column(BYTE_ARRAY, 0, false)));
    let bare = vec![0; 8 << 20];
    let count = bare.len() as u64;
    let empty = Thrift::default().structs(1, &[]).int(2, 0).int(3, 0);
    let chunkless = |count| whole.footer().structs(4, &vec![empty.clone(); count]);
    let notes = vec![Thrift::default().binary(1, b"k"); 2_000];
    let arrow = Thrift::default()
        .binary(1, b"ARROW:schema")
        .binary(2, b"AAAA");
    vec![
        forge("deep", with(deep(100_000)), Corrupt("no tree")),
        forge(
            "a forged number",
            with(vec![root(MANY)]),
            Corrupt("too many columns"),
        ),
        forge(
            "members",
            with(vec![root(1), root(MANY)]),
            Corrupt("no tree"),
        ),
        forge("negative", with(vec![root(-1)]), Corrupt("no tree")),
        forge(
            "two roots",
            with(vec![root(0), root(0)]),
            Corrupt("no tree"),
        ),
        forge("long names", with(long), TooLarge),
        forge("wide", with(wide), TooLarge),
        forge(
            "bare elements",
            footer().list(2, 12, count, &bare),
            Corrupt(""),
        ),
        forge(
            "bare groups",
            whole.footer().list(4, 12, count, &bare),
            TooLarge,
        ),
        forge(
            "bare notes",
            whole.footer().list(5, 12, count, &bare),
            TooLarge,
        ),
        forge(
            "cut list",
            whole.footer().list(4, 12, 1 << 31, &[]),
            Corrupt("too early"),
        ),
        forge("groups", chunkless(300_000), TooLarge),
        forge("notes", whole.footer().structs(5, &notes), TooLarge),
        forge(
            "arrow",
            whole.footer().structs(5, &[arrow]),
            Corrupt("Arrow schema"),
        ),
    ]
}
