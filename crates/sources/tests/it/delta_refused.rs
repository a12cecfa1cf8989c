//! Delta tables that can't be read: what is said then, and that nothing panics or leads outside.

use std::fs;
use std::os::unix::fs::symlink;

use sanntid_sources::Error;
use serde_json::json;

use crate::delta_deletions::Bitmap;
use crate::delta_writing::{Written, added, data, protocol, protocol_with, sidecar, with};

fn unreadable(error: &Error) -> bool {
    match error {
        Error::InFile { error, .. } => unreadable(error),
        error => !error.is_io(),
    }
}

#[test]
fn features_that_a_reader_must_know_are_named() {
    for (features, named) in [
        (&["deletionVectors", "quantumRows"][..], "quantumRows"),
        (&["catalogManaged", "inCommitTimestamp"], "atalog"),
    ] {
        let table = Written::new();
        table.commit(1, &[protocol_with(features), table.metadata(json!({}))]);
        let refused = table.refusal();
        assert!(refused.contains(named), "{refused}");
        assert!(refused.starts_with("orders/: "), "{refused}");
    }
    let table = Written::new();
    table.commit(1, &[protocol(9, 9)]);
    let refused = table.refusal();
    assert!(refused.contains('9'), "{refused}");
}

#[test]
fn columns_that_no_attribute_can_hold_are_named() {
    let nested = json!({"name": "Tags", "nullable": true, "metadata": {},
                        "type": {"type": "array", "elementType": "string", "containsNull": true}});
    let id = json!({"name": "Id", "type": "string", "nullable": true, "metadata": {}});
    let table = Written::with_fields(vec![id, nested], &[]);
    table.commit(0, &[protocol(1, 2), table.metadata(json!({}))]);
    let refused = table.refusal();
    assert!(
        refused.contains("Tags") && refused.contains("nested"),
        "{refused}"
    );
    // Not where they are not asked for.
    table.declare(json!([{"name": "Id", "dataType": "Edm.String"}]));
    assert_eq!(table.rows().expect("no files"), [""; 0]);
}

#[test]
fn a_folder_without_a_log_is_no_table() {
    let table = Written::new();
    fs::remove_dir_all(table.path("_delta_log")).expect("a log");
    let refused = table.refusal();
    assert!(refused.contains("_delta_log"), "{refused}");
    fs::remove_dir_all(table.path("")).expect("a folder");
    let refused = table.refusal();
    assert!(refused.contains("_delta_log"), "{refused}");
}

#[test]
fn no_path_of_a_log_leads_out_of_the_table() {
    let outside = Written::new();
    let secret = outside.path("../../outside.parquet");
    let bytes = fs::read(&secret).expect("file").len();
    let absolute = fs::canonicalize(&secret)
        .expect("file")
        .display()
        .to_string();
    for path in [
        "../../outside.parquet",
        "..%2F..%2Foutside.parquet",
        "%2e%2e/%2e%2e/outside.parquet",
        "a/../../../outside.parquet",
        &absolute,
        &absolute.replace('/', "%2F"),
        &format!("file://{absolute}"),
        &format!("table://other{absolute}"),
        "s3://bucket/outside.parquet",
        "https://example.com/outside.parquet",
        "link.parquet",
        "",
        "%00",
        "%ff",
    ] {
        let table = &outside;
        let link = table.path("link.parquet");
        if !link.exists() {
            symlink(&secret, link).expect("link");
        }
        table.commit(1, &[added(path, bytes)]);
        let refused = table.refusal();
        assert!(!refused.contains("secret"), "{path}: {refused}");
        assert!(
            refused.contains("the name") || refused.contains("no size"),
            "{path}: {refused}"
        );
    }
}

#[test]
fn no_deletion_vector_or_sidecar_leads_out_of_the_table() {
    let table = Written::new();
    let metadata = table.metadata(json!({"delta.enableDeletionVectors": "true"}));
    table.commit(0, &[protocol_with(&["deletionVectors"]), metadata]);
    let a = table.add("a.parquet", &data(&["a1", "a2"], &[1, 2]));
    let (_, bytes, mut about) = Bitmap::of(&[0]).in_file();
    let secret = table.path("../../outside.bin");
    fs::write(&secret, &bytes).expect("file");
    about["storageType"] = json!("p");
    for path in [
        format!(
            "file://{}",
            fs::canonicalize(&secret).expect("file").display()
        ),
        "table:///../../outside.bin".to_owned(),
        "table:///%2e%2e/%2e%2e/outside.bin".to_owned(),
        "table:///..%2f..%2foutside.bin".to_owned(),
        "s3://bucket/outside.bin".to_owned(),
    ] {
        about["pathOrInlineDv"] = json!(path);
        table.commit(1, &[with(&a, "deletionVector", about.clone())]);
        let refused = table.refusal();
        assert!(
            refused.contains("the name") || refused.contains("not found"),
            "{path}: {refused}"
        );
    }

    // The same file in the table, but under another address.
    let inside = "inside.bin";
    fs::write(table.path(inside), &bytes).expect("file");
    about["pathOrInlineDv"] = json!(format!("s3:///{inside}"));
    table.commit(1, &[with(&a, "deletionVector", about.clone())]);
    let refused = table.refusal();
    assert!(refused.contains("leads out of the table"), "{refused}");
    about["pathOrInlineDv"] = json!(format!("table:///{inside}"));
    table.commit(1, &[with(&a, "deletionVector", about)]);
    assert_eq!(table.rows().expect("rows"), ["2: \"a2\" 2"]);

    let side = sidecar(&[a]);
    fs::write(table.path("../../side.parquet"), &side).expect("file");
    let path = "../../../../side.parquet";
    let lines = [
        json!({"checkpointMetadata": {"version": 1}}),
        protocol_with(&["v2Checkpoint"]),
        table.metadata(json!({})),
        json!({"sidecar": {"path": path, "sizeInBytes": side.len(), "modificationTime": 1}}),
    ];
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let name = "_delta_log/00000000000000000001.checkpoint.\
                80a083e8-7026-4e79-81be-64bd76c43a11.json";
    fs::write(table.path(name), lines.join("\n")).expect("file");
    let refused = table.refusal();
    assert!(
        refused.contains("the name") || refused.contains("does not exist"),
        "{refused}"
    );
}

#[test]
fn deletion_vectors_that_lie_are_refused() {
    let table = Written::new();
    let metadata = table.metadata(json!({"delta.enableDeletionVectors": "true"}));
    table.commit(0, &[protocol_with(&["deletionVectors"]), metadata]);
    let a = table.add("a.parquet", &data(&["a1", "a2"], &[1, 2]));
    let mut about = Bitmap::of(&[0]).inline();
    about["cardinality"] = json!(2);
    table.commit(1, &[with(&a, "deletionVector", about.clone())]);
    let refused = table.refusal();
    assert!(refused.contains("2 rows"), "{refused}");
    about["cardinality"] = json!(-1);
    table.commit(1, &[with(&a, "deletionVector", about.clone())]);
    table.refusal();
    about["storageType"] = json!("x");
    table.commit(1, &[with(&a, "deletionVector", about)]);
    table.refusal();

    let (name, bytes, about) = Bitmap::of(&[1]).in_file();
    table.commit(1, &[with(&a, "deletionVector", about)]);
    table.refusal();
    for length in 0..bytes.len() {
        fs::write(table.path(&name), &bytes[..length]).expect("file");
        table.refusal();
    }
    for at in 1..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x40;
        fs::write(table.path(&name), &broken).expect("file");
        table.refusal();
    }
    fs::write(table.path(&name), &bytes).expect("file");
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 1"]);
}

#[test]
fn files_must_be_as_the_log_says() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    table.commit(1, &[with(&a, "size", json!(7))]);
    let refused = table.refusal();
    assert!(refused.contains("its log says 7"), "{refused}");
    table.commit(1, &[with(&a, "size", json!(-7))]);
    table.refusal();
    table.commit(1, &[with(&a, "size", json!(null))]);
    table.refusal();
    let mut nameless = a;
    let add = nameless["add"].as_object_mut().expect("an action");
    add.remove("path");
    table.commit(1, &[nameless]);
    let refused = table.refusal();
    assert!(refused.contains("path is missing"), "{refused}");
    table.commit(1, &[added("gone.parquet", 7)]);
    let refused = table.refusal();
    assert!(refused.contains("gone.parquet"), "{refused}");
}

#[test]
fn a_log_that_is_cut_anywhere_is_read_before_the_cut_or_refused() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    let b = table.add("b.parquet", &data(&["b1"], &[2]));
    table.commit(1, &[a, b]);
    let path = table.path("_delta_log/00000000000000000001.json");
    let whole = fs::read(&path).expect("a commit");
    let mut read = 0;
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("file");
        match table.rows() {
            Ok(rows) => {
                // Where a line ends.
                assert!(rows.len() <= 2, "{rows:?}");
                read += 1;
            }
            Err(error) => assert!(unreadable(&error), "{length}: {error}"),
        }
    }
    assert!(read <= 4, "{read} cuts were not noticed");
}

#[test]
fn a_log_with_anything_in_it_never_panics() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    let metadata = table.metadata(json!({}));
    table.commit(0, &[protocol(1, 2), metadata, a]);
    let path = table.path("_delta_log/00000000000000000000.json");
    let whole = fs::read(&path).expect("a commit");
    for at in (0..whole.len()).step_by(3) {
        for byte in [b'"', b'0'] {
            let mut broken = whole.clone();
            broken[at] = byte;
            fs::write(&path, &broken).expect("file");
            if let Err(error) = table.rows() {
                assert!(unreadable(&error), "{at}: {error}");
            }
        }
    }
    for odd in [
        "null",
        "[]",
        "7",
        "{\"add\":7}",
        "{\"add\":{}}",
        "{\"add\":{\"path\":{}}}",
        "{\"protocol\":{\"minReaderVersion\":99999999999999999999}}",
        "{\"metaData\":{\"id\":\"x\",\"schemaString\":\"\"}}",
    ] {
        fs::write(&path, odd).expect("file");
        let refused = table.refusal();
        assert!(refused.starts_with("orders/: "), "{odd}: {refused}");
    }
}

#[test]
fn a_checkpoint_that_is_cut_or_broken_is_refused_or_read() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    table.commit(1, std::slice::from_ref(&a));
    table.checkpoint(1, &[a]);
    let path = table.path("_delta_log/00000000000000000001.checkpoint.parquet");
    let whole = fs::read(&path).expect("a checkpoint");
    for length in (0..whole.len()).step_by(31) {
        fs::write(&path, &whole[..length]).expect("file");
        table.refusal();
    }
    for at in (0..whole.len()).step_by(11) {
        let mut broken = whole.clone();
        broken[at] ^= 0x11;
        fs::write(&path, &broken).expect("file");
        if let Err(error) = table.rows() {
            assert!(unreadable(&error), "{at}: {error}");
        }
    }
    fs::write(&path, &whole).expect("file");
    assert_eq!(table.rows().expect("rows"), ["1: \"a1\" 1"]);
}

#[test]
fn a_missing_commit_is_noticed() {
    let table = Written::new();
    let a = table.add("a.parquet", &data(&["a1"], &[1]));
    let b = table.add("b.parquet", &data(&["b1"], &[1]));
    table.commit(1, &[a]);
    table.commit(2, &[b]);
    fs::remove_file(table.path("_delta_log/00000000000000000001.json")).expect("a commit");
    table.refusal();
}
