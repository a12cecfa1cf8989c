//! CSV files: headers, quoting, values, and which bad input costs a row.

use sanntid_sources::Error;
use sanntid_types::{Attribute, EdmType};

use crate::reading::{CSV, attribute, id_and, id_and_text, read, schema};

#[track_caller]
fn rows_are(file: &str, expected: &[&str]) {
    let rows = read(CSV, &id_and_text(), file.as_bytes()).expect(file);
    assert_eq!(rows, expected, "{file:?}");
}

#[test]
fn quoting_and_line_ends_follow_rfc_4180() {
    for (file, expected) in [
        ("Id,Text\na,b\n", &["1: \"a\" \"b\""][..]),
        (
            "Id,Text\r\na,b\r\nc,d",
            &["1: \"a\" \"b\"", "2: \"c\" \"d\""],
        ),
        ("Id,Text\ra,b\rc,d\r", &["1: \"a\" \"b\"", "2: \"c\" \"d\""]),
        ("\u{feff}Id,Text\na,b", &["1: \"a\" \"b\""]),
        ("\u{feff}\"Id\",Text\na,b", &["1: \"a\" \"b\""]),
        ("\"Id\",\"Text\"\n\"a\",\"b\"\n", &["1: \"a\" \"b\""]),
        ("Id,Text\na,\"b,c\"", &["1: \"a\" \"b,c\""]),
        ("Id,Text\na,\"b\"\"c\"", &["1: \"a\" \"b\\\"c\""]),
        ("Id,Text\na,\"\"\"\"\n", &["1: \"a\" \"\\\"\""]),
        (
            "Id,Text\na,\"b\r\nc\"\nd,e",
            &["1: \"a\" \"b\\r\\nc\"", "2: \"d\" \"e\""],
        ),
        // A quote inside of an unquoted value is a character.
        ("Id,Text\na,5\" pipe\n", &["1: \"a\" \"5\\\" pipe\""]),
        // Empty lines are no rows and have no numbers.
        (
            "\n\nId,Text\n\na,b\n\r\n\nc,d\n\n",
            &["1: \"a\" \"b\"", "2: \"c\" \"d\""],
        ),
        ("Id,Text\n", &[]),
        ("Id,Text", &[]),
        // Text is verbatim, blanks and all.
        ("Id,Text\n a , b \n", &["1: \" a \" \" b \""]),
        ("Id,Text\na,", &["1: \"a\" null"]),
        ("Id,Text\na,\"\"", &["1: \"a\" null"]),
        ("Id,Text\na, ", &["1: \"a\" \" \""]),
    ] {
        rows_are(file, expected);
    }
}

#[test]
fn columns_are_matched_by_name_and_others_passed_over() {
    let tier = Attribute {
        friendly_name: Some("Loyalty Tier".to_owned()),
        ..attribute("Loyalty_Tier", EdmType::String)
    };
    for header in ["Loyalty Tier,x,ID", "LOYALTY_TIER,x,id", "loyalty-tier,,Id"] {
        let file = format!("{header}\nhigh,1,a\n");
        let rows = read(CSV, &id_and(tier.clone()), file.as_bytes()).expect(header);
        assert_eq!(rows, ["1: \"a\" \"high\""], "{header}");
    }
    // What no attribute needs may stand twice, and may hold anything.
    let rows = read(CSV, &id_and_text(), b"Id,x,x,Text\na,\xff,,b\n").expect("file");
    assert_eq!(rows, ["1: \"a\" \"b\""]);
}

#[test]
fn a_header_that_does_not_fit_refuses_the_file() {
    for (file, message) in [
        (&b""[..], "the header can't be read: the file is empty"),
        (b"\n\r\n", "the header can't be read: the file is empty"),
        (
            b"\xef\xbb\xbf",
            "the header can't be read: the file is empty",
        ),
        (
            b"Id\na\n",
            "the declared columns Text are missing; the file has Id",
        ),
        (
            b"a,b\n",
            "the declared columns Id, Text are missing; the file has a, b",
        ),
        (
            b"Id,Texts\n",
            "the declared columns Text are missing; the file has Id, Texts",
        ),
        (
            b"Id;Text\n",
            "the declared columns Id, Text are missing; the file has Id;Text",
        ),
        (b"Id,Text,TEXT\n", "the column TEXT stands here twice"),
        (
            b"Id,Text,\xff\n",
            "the header can't be read: the name of column 3 is not UTF-8",
        ),
        (
            b"Id,\"Te\"xt\n",
            "the header can't be read: a name goes on behind its closing quote",
        ),
        (
            b"Id,\"Text\na,b\n",
            "the file ends inside of a quoted value of row 0: a quote was never closed",
        ),
        (
            b"\x1f\x8b\x08",
            "the file is compressed with gzip, but was not given as such (its name needs .gz)",
        ),
    ] {
        let error = read(CSV, &id_and_text(), file).expect_err(message);
        assert_eq!(error.to_string(), message);
        assert!(!error.is_io(), "{message}");
    }
    let spaced = Attribute {
        friendly_name: Some("Loyalty Tier".to_owned()),
        ..attribute("Loyalty_Tier", EdmType::String)
    };
    let twice = read(CSV, &id_and(spaced), b"Id,Loyalty Tier,Loyalty_Tier\n");
    assert!(matches!(twice, Err(Error::ColumnTwice { .. })), "{twice:?}");
}

#[test]
fn values_are_read_by_their_declared_type() {
    use EdmType as T;
    for (data_type, format, text, value) in [
        (T::Int64, None, " 0012 ", "12"),
        (T::Int64, None, "9223372036854775807", "9223372036854775807"),
        (
            T::Decimal,
            None,
            "12345678901234567890.120",
            "12345678901234567890.120",
        ),
        (T::Double, None, "150934.87229372188", "150934.87229372188"),
        (T::Boolean, None, "TRUE", "true"),
        (T::Boolean, None, "0", "false"),
        (T::Date, None, "2026-11-23", "\"2026-11-23\""),
        (T::Date, Some("%m/%d/%Y"), "1/20/2019", "\"2019-01-20\""),
        (
            T::DateTimeOffset,
            None,
            "2026-11-23T10:00:00",
            "\"2026-11-23T10:00:00Z\"",
        ),
        (
            T::DateTimeOffset,
            Some("%d.%m.%Y"),
            "23.11.2026",
            "\"2026-11-23T00:00:00Z\"",
        ),
        (T::TimeOfDay, None, "13:45", "\"13:45\""),
        (
            T::Guid,
            None,
            "21e967c5-704f-e911-a985-000d3a272370",
            "\"21e967c5-704f-e911-a985-000d3a272370\"",
        ),
        (T::Int64, None, "", "null"),
        (T::Date, Some("%m/%d/%Y"), "  ", "null"),
        (T::Boolean, None, "", "null"),
    ] {
        let other = Attribute {
            format: format.map(str::to_owned),
            ..attribute("V", data_type)
        };
        let rows = read(
            CSV,
            &id_and(other),
            format!("Id,V\na,\"{text}\"\n").as_bytes(),
        );
        assert_eq!(
            rows.expect("file"),
            [format!("1: \"a\" {value}")],
            "{text:?}"
        );
    }
}

#[test]
fn empty_text_is_null_unless_it_is_declared_a_value() {
    for (data_type, expected) in [(EdmType::String, "\"\""), (EdmType::Int32, "null")] {
        let other = Attribute {
            empty_is_value: true,
            ..attribute("V", data_type)
        };
        let rows = read(CSV, &id_and(other), b"Id,V\na,\n").expect("file");
        assert_eq!(rows, [format!("1: \"a\" {expected}")]);
    }
}

#[test]
fn a_bad_row_is_rejected_with_its_reason_and_reading_goes_on() {
    use EdmType as T;
    let us = Some("%m/%d/%Y");
    for (data_type, format, line, reason) in [
        (
            T::String,
            None,
            &b"a"[..],
            "-: expected 2 values, as the header has, got 1",
        ),
        (
            T::String,
            None,
            b"a,b,c",
            "-: expected 2 values, as the header has, got 3",
        ),
        (
            T::String,
            None,
            b"a,\xc3(",
            "V: expected UTF-8, got \u{fffd}(",
        ),
        (
            T::String,
            None,
            b"a,x\0y",
            "V: control character U+0000 is not allowed",
        ),
        (
            T::String,
            None,
            b",x",
            "Id: expected a value, because this is the key; there is none",
        ),
        (
            T::String,
            None,
            b"\"\",x",
            "Id: expected a value, because this is the key; there is none",
        ),
        (
            T::String,
            None,
            b"a,\"b\"c",
            "V: expected a comma behind the closing quote, got bc",
        ),
        (
            T::Int16,
            None,
            b"a,40000",
            "V: expected Edm.Int16 as a whole number from -32768 to 32767, got 40000",
        ),
        (
            T::Double,
            None,
            b"a,\"1,5\"",
            "V: expected Edm.Double as a number, got 1,5",
        ),
        (
            T::Boolean,
            None,
            b"a,yes",
            "V: expected Edm.Boolean as true, false, 1 or 0, got yes",
        ),
        (
            T::Date,
            None,
            b"a,1/20/2019",
            "V: expected Edm.Date as \"YYYY-MM-DD\", got 1/20/2019",
        ),
        (
            T::Date,
            us,
            b"a,2019-01-20",
            "V: expected Edm.Date in the format %m/%d/%Y, got 2019-01-20",
        ),
        (
            T::Date,
            us,
            b"a,2/30/2019",
            "V: expected Edm.Date in the format %m/%d/%Y, got 2/30/2019",
        ),
        (
            T::Date,
            None,
            b"a,0999-12-31",
            "V: the year must be between 1000 and 9999, got 0999-12-31",
        ),
        (
            T::Date,
            us,
            b"a,1/1/19",
            "V: the year must be between 1000 and 9999, got 1/1/19",
        ),
        (
            T::DateTimeOffset,
            us,
            b"a,12/31/0999",
            "V: the year must be between 1000 and 9999, got 12/31/0999",
        ),
    ] {
        let other = Attribute {
            format: format.map(str::to_owned),
            ..attribute("V", data_type)
        };
        let file = [b"Id,V\nx,\n", line, b"\ny,\n"].concat();
        let rows = read(CSV, &id_and(other), &file).expect(reason);
        let expected = [
            "1: \"x\" null".to_owned(),
            format!("2! {reason}"),
            "3: \"y\" null".to_owned(),
        ];
        assert_eq!(rows, expected);
    }
}

#[test]
fn a_reason_shows_only_the_start_of_a_long_value() {
    let file = format!("Id,V\na,{}\n", "å".repeat(5_000));
    for data_type in [EdmType::Int64, EdmType::Guid] {
        let rows = read(CSV, &id_and(attribute("V", data_type)), file.as_bytes()).expect("file");
        assert!(
            rows[0].ends_with('…') && rows[0].chars().count() < 200,
            "{}",
            rows[0]
        );
    }
}

#[test]
fn a_key_that_may_be_empty_text_is_missing_all_the_same() {
    let key = Attribute {
        empty_is_value: true,
        ..attribute("Id", EdmType::String)
    };
    let rows = read(CSV, &schema(vec![key]), b"Id,x\n,1\n").expect("file");
    assert!(rows[0].starts_with("1! Id: expected a value"), "{rows:?}");
}
