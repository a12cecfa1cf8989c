//! Folders with a manifest: which files they mean, and what may not be meant.

use std::fs;
use std::path::Path;

use sanntid_sources::{Error, FILES_MAX, FileKind, Folder, MANIFEST_BYTES_MAX, Packing};
use tempfile::TempDir;

fn manifest(files: &str) -> String {
    format!(
        r#"{{"asOf": "2026-11-23T02:00:00Z", "entities": [
             {{"name": "Customer", "entityType": "profile", "key": "CustomerId", "files": {files},
               "attributes": [{{"name": "CustomerId", "dataType": "Edm.String"}}]}}]}}"#
    )
}

/// A folder `snapshot` with a manifest and these files, beside a file that is not in it.
fn folder(files: &str, present: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().expect("folder");
    let root = dir.path().join("snapshot");
    fs::create_dir(&root).expect("folder");
    fs::write(dir.path().join("outside.csv"), "CustomerId\nsecret\n").expect("file");
    fs::write(root.join("snapshot.json"), manifest(files)).expect("file");
    for name in present {
        let path = root.join(name);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(path, "CustomerId\na\n").expect("file");
    }
    dir
}

fn open(dir: &TempDir) -> Result<Folder, Error> {
    Folder::open(&dir.path().join("snapshot/snapshot.json"))
}

fn names(folder: &Folder) -> Vec<&str> {
    folder
        .files()
        .iter()
        .map(|file| file.name.as_str())
        .collect()
}

#[test]
fn names_and_patterns_give_files_in_order() {
    let present = [
        "b.csv",
        "a.csv",
        "c.ndjson",
        ".hidden.csv",
        "orders/2.csv",
        "orders/1.csv.gz",
        "orders/deep/3.csv",
        "odd [1].csv",
        "odd *.csv",
    ];
    for (files, expected) in [
        (r#"["b.csv", "a.csv"]"#, &["b.csv", "a.csv"][..]),
        (r#"["[ab].csv"]"#, &["a.csv", "b.csv"]),
        (r#"["?.csv", "c.ndjson"]"#, &["a.csv", "b.csv", "c.ndjson"]),
        (r#"["b.csv", "?.csv", "./b.csv"]"#, &["b.csv", "a.csv"]),
        (r#"["orders/*"]"#, &["orders/1.csv.gz", "orders/2.csv"]),
        (
            r#"["orders/**/*.csv"]"#,
            &["orders/2.csv", "orders/deep/3.csv"],
        ),
        (r#"["*/*.csv"]"#, &["orders/2.csv"]),
        (
            r#"["*.csv"]"#,
            &["a.csv", "b.csv", "odd *.csv", "odd [1].csv"],
        ),
        (r#"[".hidden.csv"]"#, &[".hidden.csv"]),
        (r#"["odd [1].csv"]"#, &["odd [1].csv"]),
        (r#"["odd *.csv"]"#, &["odd *.csv"]),
    ] {
        let dir = folder(files, &present);
        let folder = open(&dir).expect(files);
        assert_eq!(names(&folder), expected, "{files}");
    }
}

#[test]
fn a_file_says_what_it_is_and_can_be_read() {
    let dir = folder(r#"["a.csv"]"#, &["a.csv"]);
    let folder = open(&dir).expect("folder");
    let file = &folder.files()[0];
    assert_eq!((file.entity.as_str(), file.bytes), ("Customer", 13));
    assert_eq!(
        (file.format.kind, file.format.packing),
        (FileKind::Csv, Packing::None)
    );
    let rows = file.rows(&folder.schemas()[0]).expect("rows");
    assert_eq!(rows.count(), 1);
    fs::write(&file.path, "Id\n").expect("file");
    let error = file.rows(&folder.schemas()[0]).expect_err("no column");
    assert_eq!(
        error.to_string(),
        "a.csv: the declared columns CustomerId are missing; the file has Id"
    );
    fs::write(&file.path, "CustomerId\n\"").expect("file");
    let mut rows = file.rows(&folder.schemas()[0]).expect("rows");
    let error = rows.next().expect("an error").expect_err("an error");
    assert!(
        error.to_string().starts_with("a.csv: the file ends inside"),
        "{error}"
    );
    fs::remove_file(&file.path).expect("file");
    let error = file.rows(&folder.schemas()[0]).expect_err("no file");
    assert!(
        error.is_io() && error.to_string().starts_with("a.csv: "),
        "{error}"
    );
}

#[test]
fn the_files_may_stand_in_another_folder() {
    let dir = folder(r#"["outside.csv"]"#, &[]);
    let path = dir.path().join("snapshot/snapshot.json");
    let folder = Folder::open_with_files(&path, dir.path()).expect("folder");
    assert_eq!(names(&folder), ["outside.csv"]);
}

#[test]
fn the_folders_own_name_is_no_pattern() {
    let dir = folder(r#"["*.csv"]"#, &["a.csv"]);
    let odd = dir.path().join("odd [1]*");
    fs::rename(dir.path().join("snapshot"), &odd).expect("folder");
    let folder = Folder::open(&odd.join("snapshot.json")).expect("folder");
    assert_eq!(names(&folder), ["a.csv"]);
}

#[test]
fn no_name_leads_out_of_the_folder() {
    let dir = folder("[]", &["in/a.csv"]);
    let root = dir.path().join("snapshot");
    let absolute = dir.path().join("outside.csv");
    let absolute = format!("[{:?}]", absolute.to_str().expect("UTF-8"));
    std::os::unix::fs::symlink("../outside.csv", root.join("link.csv")).expect("link");
    std::os::unix::fs::symlink("..", root.join("up")).expect("link");
    std::os::unix::fs::symlink("in/a.csv", root.join("inner.csv")).expect("link");
    for files in [
        &absolute,
        r#"["../outside.csv"]"#,
        r#"["../*.csv"]"#,
        r#"["in/../in/a.csv"]"#,
        r#"["in/../../outside.csv"]"#,
        r#"["link.csv"]"#,
        r#"["l*.csv"]"#,
        r#"["up/outside.csv"]"#,
        r#"["up/*.csv"]"#,
        r#"["u?/out*.csv"]"#,
        r#"["[.][.]/outside.csv"]"#,
        r#"["*/*.csv"]"#,
        r#"[""]"#,
    ] {
        fs::write(root.join("snapshot.json"), manifest(files)).expect("file");
        let error = open(&dir).expect_err(files);
        assert!(matches!(error, Error::File { .. }), "{files}: {error}");
        let parent = dir.path().to_str().expect("UTF-8");
        assert!(
            files == absolute || !error.to_string().contains(parent),
            "{error}"
        );
    }
    // A link that stays inside is as good as a file; both names are one file.
    fs::write(
        root.join("snapshot.json"),
        manifest(r#"["inner.csv", "in/a.csv"]"#),
    )
    .expect("file");
    assert_eq!(names(&open(&dir).expect("inside")), ["inner.csv"]);
}

#[test]
fn patterns_do_not_follow_loops() {
    let dir = folder(r#"["**/*.csv"]"#, &["a/b.csv"]);
    std::os::unix::fs::symlink("..", dir.path().join("snapshot/a/loop")).expect("link");
    assert_eq!(names(&open(&dir).expect("folder")), ["a/b.csv"]);
}

#[test]
fn what_is_not_there_or_can_t_be_read_is_named() {
    for (files, message) in [
        ("[]", "the entity Customer names no files"),
        (
            r#"["no.csv"]"#,
            "the file \"no.csv\" of the entity Customer does not exist",
        ),
        (
            r#"["no*.csv"]"#,
            "the file \"no*.csv\" of the entity Customer does not exist",
        ),
        (
            r#"["a***"]"#,
            "the file \"a***\" of the entity Customer is no pattern: ",
        ),
        (
            r#"["a.parquet.gz"]"#,
            "the file \"a.parquet.gz\" of the entity Customer is refused: Parquet that is compressed as a whole can't be read; files that can be",
        ),
        (
            r#"["*.parquet.gz"]"#,
            "the file \"a.parquet.gz\" of the entity Customer is refused: Parquet that is compressed as a whole can't be read",
        ),
        (
            r#"["delta/"]"#,
            "delta/: the Delta table can't be read: there are no commits in its folder _delta_log",
        ),
        (
            r#"["dir.csv"]"#,
            "the file \"dir.csv\" of the entity Customer is not a file",
        ),
    ] {
        let dir = folder(files, &["a.parquet.gz", "delta/x", "dir.csv/x"]);
        let error = open(&dir).expect_err(files);
        assert!(
            error.to_string().starts_with(message),
            "{error}\nnot\n{message}"
        );
        assert!(!error.is_io(), "{files}");
    }
}

#[test]
fn a_bad_manifest_is_refused_with_every_problem() {
    let dir = folder("[]", &[]);
    let path = dir.path().join("snapshot/snapshot.json");
    for (text, message) in [
        ("", "snapshot.json: the manifest can't be read: EOF"),
        (
            r#"{"asOf": "2026-11-23T02:00:00Z"}"#,
            "snapshot.json: the manifest can't be read: missing field `entities`",
        ),
        (
            r#"{"asOf": "x", "entities": []}"#,
            "snapshot.json: the manifest can't be read: \"x\" is not an RFC 3339 time",
        ),
        (
            r#"{"asOf": "2026-11-23T02:00:00Z", "entities": []}"#,
            "snapshot.json: the manifest is not valid; entities: the manifest names no entity",
        ),
        (
            r#"{"asOf": "2026-11-23T02:00:00Z", "entities": [{"name": "A", "entityType": "profile"}, {"name": "B", "entityType": "activity"}]}"#,
            "snapshot.json: the manifest is not valid; entities[0].entityType: the entity Customer, and no other, has the entity type profile; entities[0].key: an entity of this type needs a key; entities[1].key: an entity of this type needs a key",
        ),
    ] {
        fs::write(&path, text).expect("file");
        let error = open(&dir).expect_err(message);
        assert!(
            error.to_string().starts_with(message),
            "{error}\nnot\n{message}"
        );
        assert!(!error.is_io());
    }
    fs::write(&path, " ".repeat(MANIFEST_BYTES_MAX + 1)).expect("file");
    assert!(
        open(&dir)
            .expect_err("large")
            .to_string()
            .contains("more than 4194304 bytes")
    );
}

#[test]
fn a_manifest_with_a_byte_order_mark_is_read() {
    let dir = folder("[]", &["a.csv"]);
    let text = format!("\u{feff}{}", manifest(r#"["a.csv"]"#));
    fs::write(dir.path().join("snapshot/snapshot.json"), text).expect("file");
    assert_eq!(open(&dir).expect("folder").files().len(), 1);
}

#[test]
fn a_manifest_that_is_not_there_is_the_machines_fault() {
    let error = Folder::open(Path::new("/nowhere/snapshot.json")).expect_err("nowhere");
    assert!(error.is_io());
    assert!(
        error
            .to_string()
            .starts_with("snapshot.json: reading failed"),
        "{error}"
    );
    assert!(!error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn the_number_of_files_has_a_limit() {
    let dir = folder(r#"["*.csv"]"#, &[]);
    let root = dir.path().join("snapshot");
    for n in 0..FILES_MAX {
        fs::write(root.join(format!("{n}.csv")), "").expect("file");
    }
    assert_eq!(open(&dir).expect("the limit").files().len(), FILES_MAX);
    fs::write(root.join("more.csv"), "").expect("file");
    assert!(matches!(open(&dir), Err(Error::TooManyFiles)));
}
