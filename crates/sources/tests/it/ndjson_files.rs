//! NDJSON files: lines, members, values, and what costs a row.

use sanntid_sources::ROW_BYTES_MAX;
use sanntid_types::{Attribute, EdmType};

use crate::reading::{InPieces, NDJSON, attribute, endless, id_and, id_and_text, read, read_from};

#[test]
fn lines_are_rows_and_members_are_columns() {
    for (file, expected) in [
        ("{\"Id\":\"a\",\"Text\":\"b\"}\n", &["1: \"a\" \"b\""][..]),
        ("{\"Id\":\"a\",\"Text\":\"b\"}", &["1: \"a\" \"b\""]),
        (
            "\u{feff}{\"TEXT\": \"b\", \"id\": \"a\"}\r\n",
            &["1: \"a\" \"b\""],
        ),
        (
            "\n  \n{\"Id\":\"a\"}\n\r\n{\"Id\":\"b\",\"Text\":null}\n\n",
            &["1: \"a\" null", "2: \"b\" null"],
        ),
        // Undeclared members may hold anything, and stand twice.
        (
            "{\"x\":{\"y\":[1,{}]},\"Id\":\"a\",\"x\":null}",
            &["1: \"a\" null"],
        ),
        // Names and values with escapes.
        (
            "{\"\\u0049d\":\"\\u00e5\\n\",\"Text\":\"\\/\"}",
            &["1: \"å\\n\" \"/\""],
        ),
        ("{\"Id\":\"a\",\"Text\":\" \"}", &["1: \"a\" \" \""]),
        ("", &[]),
        ("\u{feff}\n", &[]),
    ] {
        let rows = read(NDJSON, &id_and_text(), file.as_bytes()).expect(file);
        assert_eq!(rows, expected, "{file:?}");
    }
}

#[test]
fn members_are_matched_like_columns() {
    let tier = Attribute {
        friendly_name: Some("Loyalty Tier".to_owned()),
        ..attribute("Loyalty_Tier", EdmType::String)
    };
    for name in ["Loyalty Tier", "loyalty_tier", "LOYALTY TIER"] {
        let file = format!("{{\"Id\":\"a\",\"{name}\":\"high\"}}");
        let rows = read(NDJSON, &id_and(tier.clone()), file.as_bytes()).expect(name);
        assert_eq!(rows, ["1: \"a\" \"high\""], "{name}");
    }
}

#[test]
fn values_are_edm_literals_or_texts_in_the_declared_format() {
    use EdmType as T;
    let us = Some("%m/%d/%Y");
    for (data_type, format, json, value) in [
        (
            T::Int64,
            None,
            "9223372036854775807",
            Ok("9223372036854775807"),
        ),
        (T::Int64, None, "\"12\"", Ok("12")),
        (T::Decimal, None, "1.500", Ok("1.500")),
        (T::Boolean, None, "true", Ok("true")),
        (T::Date, None, "\"2026-11-23\"", Ok("\"2026-11-23\"")),
        (T::Date, us, "\"2026-11-23\"", Ok("\"2026-11-23\"")),
        (T::Date, us, "\"1/20/2019\"", Ok("\"2019-01-20\"")),
        (
            T::DateTimeOffset,
            us,
            "\"1/20/2019\"",
            Ok("\"2019-01-20T00:00:00Z\""),
        ),
        (
            T::DateTimeOffset,
            None,
            "\"2026-01-01T10:00:00+01:00\"",
            Ok("\"2026-01-01T10:00:00+01:00\""),
        ),
        // Empty text is null in every kind of file.
        (T::String, None, "\"\"", Ok("null")),
        (T::Date, us, "\"\"", Ok("null")),
        (T::Int32, None, "\"\"", Ok("null")),
        (
            T::Boolean,
            None,
            "1",
            Err("expected Edm.Boolean as true or false, got 1"),
        ),
        (
            T::Boolean,
            None,
            "\"true\"",
            Err("expected Edm.Boolean as true or false, got \"true\""),
        ),
        (
            T::Int32,
            None,
            "\"1\"",
            Err("expected Edm.Int32 as a whole number of 32 bits, got \"1\""),
        ),
        (
            T::String,
            None,
            "1",
            Err("expected Edm.String as a JSON string, got 1"),
        ),
        (
            T::String,
            None,
            "{\"a\": 1}",
            Err("expected Edm.String as a JSON string, got {\"a\": 1}"),
        ),
        (
            T::String,
            None,
            "\"a\\u0000\"",
            Err("control character U+0000 is not allowed"),
        ),
        (
            T::String,
            None,
            "\"\\ud800\"",
            Err("expected Edm.String as a JSON string, got \"\\ud800\""),
        ),
        (
            T::Date,
            None,
            "\"1/20/2019\"",
            Err("expected Edm.Date as \"YYYY-MM-DD\", got 1/20/2019"),
        ),
        (
            T::Date,
            us,
            "\"20/1/2019\"",
            Err("expected Edm.Date in the format %m/%d/%Y, got 20/1/2019"),
        ),
        (
            T::Date,
            us,
            "5",
            Err("expected Edm.Date as \"YYYY-MM-DD\", got 5, or a text in the format %m/%d/%Y"),
        ),
        (
            T::Date,
            None,
            "\"0999-01-01\"",
            Err("the year must be between 1000 and 9999, got \"0999-01-01\""),
        ),
    ] {
        let other = Attribute {
            format: format.map(str::to_owned),
            ..attribute("V", data_type)
        };
        let file = format!("{{\"Id\":\"a\",\"V\": {json} }}\n{{\"Id\":\"z\"}}\n");
        let rows = read(NDJSON, &id_and(other), file.as_bytes()).expect(json);
        let first = match value {
            Ok(value) => format!("1: \"a\" {value}"),
            Err(reason) => format!("1! V: {reason}"),
        };
        assert_eq!(rows, [first, "2: \"z\" null".to_owned()], "{json}");
    }
}

#[test]
fn empty_text_can_be_declared_a_value() {
    let other = Attribute {
        empty_is_value: true,
        ..attribute("V", EdmType::String)
    };
    let rows = read(NDJSON, &id_and(other), b"{\"Id\":\"a\",\"V\":\"\"}").expect("file");
    assert_eq!(rows, ["1: \"a\" \"\""]);
}

#[test]
fn a_line_that_is_no_row_is_rejected_and_reading_goes_on() {
    for (line, reason) in [
        (
            &b"[1]"[..],
            "-: expected one JSON object, got [1] (invalid type: sequence, expected an object, at byte ",
        ),
        (
            b"{\"Id\":\"a\"",
            "-: expected one JSON object, got {\"Id\":\"a\" (EOF while parsing an object, at byte 9)",
        ),
        (
            b"{\"Id\":\"a\"} {}",
            "-: expected one JSON object, got {\"Id\":\"a\"} {} (trailing characters, at byte 12)",
        ),
        (b"{\"Id\":1,\"x\":nope}", "-: expected one JSON object, got"),
        (
            b"{'Id': 'a'}",
            "-: expected one JSON object, got {'Id': 'a'} (key must be a string, at byte 2)",
        ),
        (b"Id,Text", "-: expected one JSON object, got Id,Text ("),
        (b"null", "-: expected one JSON object, got null ("),
        (
            b"{\"Id\":\"\xff\"}",
            "-: expected UTF-8, got another byte at 7 of {\"Id\":\"",
        ),
        (
            b"{}",
            "Id: expected a value, because this is the key; there is none",
        ),
        (
            b"{\"Id\":null}",
            "Id: expected a value, because this is the key; there is none",
        ),
        (
            b"{\"Id\":\"\"}",
            "Id: expected a value, because this is the key; there is none",
        ),
        (
            b"{\"Id\":\"a\",\"Text\":\"b\",\"TEXT\":\"b\"}",
            "Text: the member stands here twice (names ignore case)",
        ),
        (
            b"{\"Id\":\"a\",\"Text\":null,\"Text\":null}",
            "Text: the member stands here twice (names ignore case)",
        ),
    ] {
        let file = [
            b"{\"Id\":\"x\",\"Text\":\"left\"}\n",
            line,
            b"\n{\"Id\":\"y\"}\n",
        ]
        .concat();
        let rows = read(NDJSON, &id_and_text(), &file).expect(reason);
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(
            rows[1].starts_with(&format!("2! {reason}")),
            "{}\nnot\n{reason}",
            rows[1]
        );
        // Nothing of another line is left in this one.
        assert_eq!(rows[2], "3: \"y\" null");
    }
}

#[test]
fn the_bytes_of_a_line_have_a_limit() {
    let line = |bytes: usize| {
        let rest = "x".repeat(bytes - 20);
        format!("{{\"Id\":\"a\",\"Text\":\"{rest}\"}}")
    };
    let exact = line(ROW_BYTES_MAX);
    assert_eq!(exact.len(), ROW_BYTES_MAX);
    for (file, good) in [
        (format!("{exact}\n{{\"Id\":\"b\"}}"), [true, true]),
        (format!("{exact} \n{{\"Id\":\"b\"}}"), [false, true]),
        (format!("{{\"Id\":\"b\"}}\n{exact}"), [true, true]),
        (format!("{{\"Id\":\"b\"}}\n{exact} "), [true, false]),
    ] {
        let rows = read(NDJSON, &id_and_text(), file.as_bytes()).expect("file");
        let read: Vec<bool> = rows.iter().map(|row| row.contains(": \"")).collect();
        assert_eq!(read, good);
    }
}

#[test]
fn a_huge_line_is_one_rejected_row_and_is_not_held() {
    let file = endless("{\"Id\":\"a\"}\n{\"Id\":\"", b'x', 200 << 20);
    let rows = read_from(file, NDJSON, &id_and_text()).expect("file");
    let reason = "2! -: expected at most 4194304 bytes, got a longer line";
    assert_eq!(rows, ["1: \"a\" null", reason]);
}

#[test]
fn deep_nesting_costs_a_row_at_most() {
    for (deep, expected) in [
        (
            format!(
                "{{\"Id\":\"a\",\"x\":{}{}}}",
                "[".repeat(1_000_000),
                "]".repeat(1_000_000)
            ),
            "1: \"a\" null",
        ),
        (
            format!(
                "{{\"Id\":\"a\",\"Text\":{}{}}}",
                "[".repeat(1_000_000),
                "]".repeat(1_000_000)
            ),
            "1! Text: expected Edm.String",
        ),
        (
            format!("{{\"Id\":\"a\",\"x\":{}", "{\"x\":".repeat(500_000)),
            "1! -: expected one JSON object",
        ),
        ("[".repeat(3_000_000), "1! -: expected one JSON object"),
    ] {
        let rows = read(NDJSON, &id_and_text(), deep.as_bytes()).expect("file");
        assert!(rows[0].starts_with(expected), "{}", rows[0]);
    }
}

#[test]
fn rows_are_the_same_wherever_the_buffers_end() {
    let file = "\u{feff}{\"Id\":\"å\",\"Text\":\"b\\\"c\"}\r\n\n{\"Id\":1}\n{\"Id\":\"d\"}";
    let whole = read(NDJSON, &id_and_text(), file.as_bytes()).expect("file");
    assert_eq!(whole.len(), 3);
    for size in 1..30 {
        let pieces = InPieces::new(file.as_bytes(), size);
        assert_eq!(
            read_from(pieces, NDJSON, &id_and_text()).expect("file"),
            whole,
            "{size}"
        );
    }
}
