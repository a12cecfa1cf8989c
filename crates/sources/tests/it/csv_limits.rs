//! CSV files that can't be read on, the limits, and the edges of the buffers.

use std::io::{Cursor, Read};

use sanntid_sources::{COLUMNS_MAX, Error, ROW_BYTES_MAX, open};

use crate::reading::{CSV, Failing, InPieces, endless, id_and_text, read, read_from};

#[test]
fn quoting_that_may_have_swallowed_rows_fails_the_file() {
    for (file, message) in [
        // The quote before b is never closed; the one that should open d closes it.
        (
            "Id,Text\nx,y\na,\"b\nc,\"d\"\ne,f\n",
            "row 2 spans lines and has text behind a closing quote: a quote was never closed",
        ),
        (
            "Id,Text\nx,y\na,\"b\nc,d\ne,f\n",
            "the file ends inside of a quoted value of row 2: a quote was never closed",
        ),
        (
            "Id,Text\na,\"",
            "the file ends inside of a quoted value of row 1: a quote was never closed",
        ),
    ] {
        let error = read(CSV, &id_and_text(), file.as_bytes()).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(!error.is_io());
    }
}

#[test]
fn text_behind_a_closing_quote_costs_the_row_alone_where_its_value_is_on_one_line() {
    for line in ["a,\"b\"c", "\"a\nb\",\"c\"d", "\"a\" ,\"b\nc\""] {
        let file = format!("Id,Text\nx,y\n{line}\ne,f\n");
        let rows = read(CSV, &id_and_text(), file.as_bytes()).expect(line);
        assert_eq!(rows.len(), 3, "{line:?}");
        assert!(rows[1].contains("expected a comma behind the closing quote"));
    }
    // A second value of the row counts too, and line ends of any kind.
    for line in ["\"a\" ,\"b\nc\"d", "a,\"b\rc\"d"] {
        let error = read(CSV, &id_and_text(), format!("Id,Text\n{line}\n").as_bytes());
        assert!(
            matches!(error, Err(Error::QuotingBroken { row: 1 })),
            "{line:?}"
        );
    }
}

#[test]
fn after_an_error_there_are_no_more_rows() {
    let file = b"Id,Text\nx,y\na,\"b\nc,\"d\"\ne,f\n".to_vec();
    let mut rows = open(Box::new(Cursor::new(file)), CSV, &id_and_text()).expect("header");
    assert!(matches!(rows.next(), Some(Ok(_))));
    assert!(matches!(rows.next(), Some(Err(_))));
    assert!(rows.next().is_none());
    assert!(rows.next().is_none());
}

#[test]
fn a_row_over_the_limit_fails_the_file_without_being_held() {
    // The reader fails soon behind the limit: what is read that far is no row too large but an error.
    let soon = ROW_BYTES_MAX + (256 << 10);
    let broken = || Failing(Cursor::new(Vec::new()));
    for (start, byte, wrong) in [
        ("Id,Text\na,\"", b'x', 1),
        ("Id,Text\na,", b'x', 1),
        ("Id,Text\n\"\n", b'\n', 1),
        ("Id", b',', 0),
    ] {
        let reader = endless(start, byte, soon).chain(broken());
        let error = read_from(reader, CSV, &id_and_text()).expect_err(start);
        let too_large = matches!(error, Error::RowTooLarge { row } if row == wrong);
        assert!(too_large, "{start:?}: {error:?}");
    }
    // Many empty lines are not one long row.
    let rows = read_from(
        endless("Id,Text\na,b\n", b'\n', 5 << 20),
        CSV,
        &id_and_text(),
    );
    assert_eq!(rows.expect("file"), ["1: \"a\" \"b\""]);
}

#[test]
fn the_largest_row_is_read_and_one_byte_more_is_not() {
    let row = |bytes: usize| format!("Id,Text\na,{}\n", "x".repeat(bytes - 3));
    let rows = read(CSV, &id_and_text(), row(ROW_BYTES_MAX).as_bytes()).expect("the limit");
    assert_eq!(rows.len(), 1);
    let error = read(CSV, &id_and_text(), row(ROW_BYTES_MAX + 1).as_bytes());
    assert!(matches!(error, Err(Error::RowTooLarge { row: 1 })));
}

#[test]
fn the_number_of_columns_has_a_limit_and_excess_values_are_only_counted() {
    let header = |count: usize| format!("Id,Text{}\n", ",x".repeat(count - 2));
    assert!(read(CSV, &id_and_text(), header(COLUMNS_MAX).as_bytes()).is_ok());
    let error = read(CSV, &id_and_text(), header(COLUMNS_MAX + 1).as_bytes());
    assert!(matches!(error, Err(Error::Header { .. })), "{error:?}");
    let file = format!("Id,Text\na{}\nb,c\n", ",".repeat(1_000_000));
    let rows = read(CSV, &id_and_text(), file.as_bytes()).expect("file");
    let reason = "1! -: expected 2 values, as the header has, got 1000001";
    assert_eq!(rows, [reason, "2: \"b\" \"c\""]);
}

#[test]
fn rows_are_the_same_wherever_the_buffers_end() {
    let file = "\u{feff}Id,Text\r\n\"a\"\"b\",\"c\r\nd\"\r\n\r\nå,\"\"\r\nbad\r\n\"e\",f\"g\r\n";
    let whole = read(CSV, &id_and_text(), file.as_bytes()).expect("file");
    assert_eq!(whole.len(), 4);
    for size in 1..40 {
        let pieces = InPieces::new(file.as_bytes(), size);
        assert_eq!(
            read_from(pieces, CSV, &id_and_text()).expect("file"),
            whole,
            "{size}"
        );
    }
    // A row longer than the buffer, and rows around each of its ends.
    let long = "ö".repeat(100_000);
    let line = format!("\"{long}\",\"x\"\"y\"\n");
    let file = format!("Id,Text\n{}", line.repeat(5));
    let rows = read(CSV, &id_and_text(), file.as_bytes()).expect("file");
    assert_eq!(rows.len(), 5);
    assert!(
        rows.iter()
            .all(|row| row.ends_with(&format!("{long}\" \"x\\\"y\"")))
    );
}

#[test]
fn a_failing_reader_is_the_machines_fault() {
    let reader = Failing(Cursor::new(b"Id,Text\na,b\nc".to_vec()));
    let mut rows = open(Box::new(reader), CSV, &id_and_text())
        .expect("header")
        .named("part 3");
    assert!(matches!(rows.next(), Some(Ok(_))));
    let error = rows.next().expect("an error").expect_err("an error");
    assert_eq!(
        error.to_string(),
        "part 3: reading failed: the disk is gone"
    );
    assert!(error.is_io());
    let reader = Failing(Cursor::new(Vec::new())).chain(std::io::empty());
    let error = open(Box::new(reader), CSV, &id_and_text()).expect_err("no header");
    assert!(error.is_io());
}
