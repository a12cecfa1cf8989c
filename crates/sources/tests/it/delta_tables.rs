//! Delta tables that are whole: which files a version has, and what their rows are.

use std::fs;

use sanntid_types::EdmType;
use serde_json::json;

use crate::delta_deletions::Bitmap;
use crate::delta_writing::{
    Written, added, data, protocol, protocol_with, removed, sidecar, texts, with,
};

#[test]
fn the_newest_version_has_the_files_that_were_added_and_not_removed() {
    let table = Written::new();
    assert_eq!(table.rows().expect("no files yet"), [""; 0]);
    let b = table.add("b.parquet", &data(&["b1", "b2"], &[1, 2]));
    table.commit(1, std::slice::from_ref(&b));
    let a = table.add("part/a b.parquet", &data(&["a1"], &[3]));
    // Paths of a log are percent-encoded.
    table.commit(2, &[with(&a, "path", json!("part/a%20b.parquet"))]);
    assert_eq!(
        table.rows().expect("rows"),
        ["1: \"b1\" 1", "2: \"b2\" 2", "1: \"a1\" 3"]
    );
    table.commit(3, &[removed("b.parquet")]);
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 3"]);
    table.commit(4, &[b]);
    assert_eq!(table.rows().expect("rows").len(), 3);
}

#[test]
fn files_that_no_version_has_are_not_read() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    table.add("left-over.parquet", &data(&["x"], &[9]));
    fs::write(table.path("b.csv"), "Id,Amount\ny,9\n").expect("file");
    table.commit(1, &[a]);
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 1"]);
}

#[test]
fn the_attributes_are_those_of_the_log() {
    let columns = [
        ("Id", "string", EdmType::String),
        ("Byte", "byte", EdmType::Int16),
        ("Short", "short", EdmType::Int16),
        ("Int", "integer", EdmType::Int32),
        ("Long", "long", EdmType::Int64),
        ("Float", "float", EdmType::Double),
        ("Double", "double", EdmType::Double),
        ("Flag", "boolean", EdmType::Boolean),
        ("Day", "date", EdmType::Date),
        ("At", "timestamp", EdmType::DateTimeOffset),
        ("Price", "decimal(10,2)", EdmType::Decimal),
        ("Raw", "binary", EdmType::String),
    ];
    let plain: Vec<(&str, &str)> = columns
        .iter()
        .map(|(name, kind, _)| (*name, *kind))
        .collect();
    let table = Written::with_schema(&plain, &["Day"]);
    let folder = table.open().expect("a table");
    let found: Vec<(&str, EdmType)> = folder.schemas()[0]
        .attributes
        .iter()
        .map(|attribute| (attribute.name.as_str(), attribute.data_type))
        .collect();
    let expected: Vec<(&str, EdmType)> =
        columns.iter().map(|(name, _, edm)| (*name, *edm)).collect();
    assert_eq!(found, expected);
}

#[test]
fn declared_attributes_are_read_as_declared() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[7]));
    table.commit(1, &[a]);
    table.declare(json!([{"name": "Amount", "dataType": "Edm.String"},
                         {"name": "Id", "dataType": "Edm.String"}]));
    assert_eq!(table.rows().expect("rows"), ["1: \"7\" \"a1\""]);
    table.declare(json!([{"name": "Id", "dataType": "Edm.String"},
                         {"name": "Colour", "dataType": "Edm.String"}]));
    let refused = table.refusal();
    assert!(refused.contains("Colour"), "{refused}");
}

#[test]
fn partition_columns_have_the_log_s_values_in_their_types() {
    let columns = [
        ("Id", "string"),
        ("Region", "string"),
        ("Day", "date"),
        ("At", "timestamp"),
        ("Count", "integer"),
        ("Price", "decimal(10,2)"),
        ("Flag", "boolean"),
    ];
    let partition = ["Region", "Day", "At", "Count", "Price", "Flag"];
    let table = Written::with_schema(&columns, &partition);
    let a = table.add("a.parquet", &texts("Id", &["a1", "a2"]));
    let full = json!({"Region": "north west", "Day": "2026-02-28", "At": "2026-02-28 10:11:12.5",
                      "Count": "42", "Price": "12.30", "Flag": "true"});
    let b = table.add("b.parquet", &texts("Id", &["b1"]));
    let empty = json!({"Region": "", "Day": null, "At": null, "Count": null, "Price": null,
                       "Flag": null});
    table.commit(
        1,
        &[
            with(&a, "partitionValues", full),
            with(&b, "partitionValues", empty),
        ],
    );
    let rest = "\"north west\" \"2026-02-28\" \"2026-02-28T10:11:12.500Z\" 42 12.30 true";
    assert_eq!(
        table.rows().expect("rows"),
        [
            format!("1: \"a1\" {rest}"),
            format!("2: \"a2\" {rest}"),
            "1: \"b1\" null null null null null null".to_owned(),
        ]
    );
}

#[test]
fn a_partition_value_that_is_none_of_its_type_is_refused() {
    let table = Written::with_schema(&[("Id", "string"), ("Count", "integer")], &["Count"]);
    let a = table.add("a.parquet", &texts("Id", &["a1"]));
    table.commit(1, &[with(&a, "partitionValues", json!({"Count": "many"}))]);
    let refused = table.refusal();
    assert!(
        refused.contains("many") && refused.contains("Count"),
        "{refused}"
    );
}

#[test]
fn a_column_that_is_younger_than_a_file_is_null_in_it() {
    let table = Written::new();
    let old = table.add("a.parquet", &texts("Id", &["a1"]));
    let new = table.add("b.parquet", &data(&["b1"], &[5]));
    table.commit(1, &[old, new]);
    assert_eq!(
        table.rows().expect("rows"),
        ["1: \"a1\" null", "1: \"b1\" 5"]
    );
}

#[test]
fn mapped_columns_are_found_by_their_physical_names() {
    let field = |name: &str, physical: &str, id: u32| {
        json!({"name": name, "type": "string", "nullable": true,
               "metadata": {"delta.columnMapping.id": id,
                            "delta.columnMapping.physicalName": physical}})
    };
    // The logical name of one is the physical name of the other.
    let fields = vec![
        field("Id", "Name", 1),
        field("Name", "col-7f", 2),
        field("Region", "col-8a", 3),
    ];
    let table = Written::with_fields(fields, &["Region"]);
    let mapped = table.metadata(json!({"delta.columnMapping.mode": "name",
                                       "delta.columnMapping.maxColumnId": "3"}));
    table.commit(0, &[protocol(2, 5), mapped]);
    let a = table.add("a.parquet", &texts("Name", &["a1"]));
    let b = table.add("b.parquet", &texts("col-7f", &["b"]));
    let values = json!({"col-8a": "north"});
    table.commit(1, &[with(&a, "partitionValues", values)]);
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" null \"north\""]);
    table.commit(2, &[b, removed("a.parquet")]);
    let rows = table.rows().expect("rows");
    assert!(rows[0].starts_with("1! Id: "), "its key is null: {rows:?}");
}

#[test]
fn deleted_rows_are_not_read() {
    let table = Written::new();
    let enabled = table.metadata(json!({"delta.enableDeletionVectors": "true"}));
    table.commit(0, &[protocol_with(&["deletionVectors"]), enabled]);
    let ids: Vec<String> = (0..3_000).map(|number| format!("a{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let amounts: Vec<i64> = (0..3_000).collect();
    let whole = table.add("a.parquet", &data(&ids, &amounts));
    table.commit(1, std::slice::from_ref(&whole));
    let before = table.open().expect("a table");
    assert_eq!(table.rows().expect("rows").len(), 3_000);

    // Around the ends of the file, of a batch and of a row group.
    let gone = [0, 1, 1_023, 1_024, 1_499, 1_500, 2_999];
    let bitmap = Bitmap::of(&gone);
    let in_log = with(&whole, "deletionVector", bitmap.inline());
    let mut remove = removed("a.parquet");
    table.commit(2, &[remove.clone(), in_log.clone()]);
    let expected: Vec<String> = (0..3_000_u64)
        .filter(|row| !gone.contains(row))
        .map(|row| format!("{}: \"a{row}\" {row}", row + 1))
        .collect();
    assert_eq!(table.rows().expect("rows"), expected);

    // Another deletion of the same file: the former entry is removed with its own vector.
    remove["remove"]["deletionVector"] = in_log["add"]["deletionVector"].clone();
    let (name, bytes, about) = bitmap.in_file();
    fs::write(table.path(&name), bytes).expect("file");
    let in_file = with(&whole, "deletionVector", about);
    table.commit(3, &[remove, in_file]);
    assert_eq!(table.rows().expect("rows"), expected);

    let after = table.open().expect("a table");
    let versions = [&before, &after].map(|folder| folder.files()[0].table_version());
    assert_ne!(versions[0], versions[1]);
}

#[test]
fn checkpoints_stand_for_the_commits_before_them() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    let b = table.add("b.parquet", &data(&["b1"], &[2]));
    table.commit(1, std::slice::from_ref(&a));
    table.commit(2, std::slice::from_ref(&b));
    table.checkpoint(2, &[a, b]);
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 1", "1: \"b1\" 2"]);
    let c = table.add("c.parquet", &data(&["c1"], &[3]));
    table.commit(3, &[c, removed("a.parquet")]);
    let expected = ["1: \"b1\" 2", "1: \"c1\" 3"];
    assert_eq!(table.rows().expect("rows"), expected);
    // The hint is right, outdated, wrong or garbage.
    for hint in [
        r#"{"version":2,"size":4}"#,
        r#"{"version":1,"size":4}"#,
        "",
        "{",
    ] {
        fs::write(table.path("_delta_log/_last_checkpoint"), hint).expect("file");
        let read = table.rows();
        assert_eq!(read.expect(hint), expected, "{hint}");
    }
}

#[test]
fn checkpoints_of_the_second_kind_name_sidecars() {
    let table = Written::new();
    let protocol = protocol_with(&["v2Checkpoint"]);
    let metadata = table.metadata(json!({"delta.checkpointPolicy": "v2"}));
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    let b = table.add("b.parquet", &data(&["b1"], &[2]));
    table.commit(
        1,
        &[protocol.clone(), metadata.clone(), a.clone(), b.clone()],
    );
    let name = "016ae953-37a9-438e-8683-9a9a4a79a395.parquet";
    let bytes = sidecar(&[a, b]);
    fs::create_dir(table.path("_delta_log/_sidecars")).expect("folder");
    fs::write(table.path(&format!("_delta_log/_sidecars/{name}")), &bytes).expect("file");
    let lines = [
        json!({"checkpointMetadata": {"version": 1}}),
        protocol,
        metadata,
        json!({"sidecar": {"path": name, "sizeInBytes": bytes.len(), "modificationTime": 1}}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let checkpoint = "_delta_log/00000000000000000001.checkpoint.\
                      80a083e8-7026-4e79-81be-64bd76c43a11.json";
    fs::write(table.path(checkpoint), lines.join("\n")).expect("file");
    for version in 0..2 {
        fs::remove_file(table.path(&format!("_delta_log/{version:020}.json"))).expect("a commit");
    }
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 1", "1: \"b1\" 2"]);
    let missing = added("missing.parquet", 10);
    table.commit(2, &[missing]);
    assert!(table.refusal().contains("missing.parquet"));
}
