//! Keeps the house in order: which crate may use which, file sizes, and what stands at the top.
//! Each check is a function that lists what is wrong, with a test that shows it can.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const LINES_MAX: usize = 500;

/// Own crates that each crate may use; the architecture's table.
const MAY_USE: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("engine", &["types"]),
    ("odata", &["types"]),
    ("query", &["engine", "odata", "types"]),
    ("store", &["engine", "types"]),
    ("search", &["engine", "odata", "types"]),
    ("sources", &["types"]),
    ("actors", &["engine", "odata", "sources", "store", "types"]),
    ("http", &["engine", "odata", "query", "types"]),
    ("identity", &["engine", "types"]),
    ("console", &["engine", "types"]),
    ("cluster", &["engine", "types"]),
    ("bench", &["sources", "store", "types"]),
    (
        "server",
        &[
            "actors", "bench", "cluster", "console", "engine", "http", "identity", "sources",
            "store", "types",
        ],
    ),
    (
        "testkit",
        &[
            "actors", "engine", "http", "server", "sources", "store", "types",
        ],
    ),
];

/// Outside crates that only the named crates may use.
const ONLY_USERS: &[(&str, &[&str])] = &[
    ("fjall", &["store"]),
    ("tantivy", &["search"]),
    ("arrow", &["sources"]),
    ("arrow-array", &["sources"]),
    ("arrow-schema", &["sources"]),
    ("parquet", &["sources"]),
    ("object_store", &["sources"]),
    ("delta_kernel", &["sources"]),
    ("reqwest", &["sources"]),
    ("rustls", &["http", "sources"]),
    ("jsonwebtoken", &["identity"]),
    ("ring", &["identity", "testkit"]),
    ("actix", &["actors"]),
    ("actix-web", &["bench", "http", "console"]),
    ("async-nats", &["cluster"]),
    ("clap", &["server"]),
    ("anyhow", &["server"]),
];

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "crates",
    "examples",
    "tests",
    "docs",
    "README.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "target",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What is wrong with the manifest of the crate in `crates/<dir>`.
fn manifest_problems(dir: &str, manifest: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let Some((_, may_use)) = MAY_USE.iter().find(|(name, _)| *name == dir) else {
        return vec![format!("{dir}: no row in the dependency table")];
    };
    let manifest: toml::Table = manifest.parse().expect("manifest");
    let text = |table: &str, key: &str| manifest.get(table)?.get(key).cloned();
    if text("package", "name") != Some(format!("sanntid-{dir}").into()) {
        problems.push(format!("{dir}: the package is not called sanntid-{dir}"));
    }
    if text("lints", "workspace") != Some(true.into()) {
        problems.push(format!("{dir}: does not take the workspace's lints"));
    }
    let Some(dependencies) = manifest.get("dependencies").and_then(toml::Value::as_table) else {
        return problems;
    };
    for name in dependencies.keys() {
        if let Some(own) = name.strip_prefix("sanntid-")
            && !may_use.contains(&own)
        {
            problems.push(format!("{dir}: may not use {name}"));
        }
        if let Some((_, users)) = ONLY_USERS.iter().find(|(outside, _)| outside == name)
            && !users.contains(&dir)
        {
            problems.push(format!("{dir}: only {users:?} may use {name}"));
        }
    }
    problems
}

/// What is wrong with a source file.
fn source_problems(name: &str, source: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !source.starts_with("//!") {
        problems.push(format!("{name}: does not begin by saying what it owns"));
    }
    let lines = source.lines().count();
    if lines > LINES_MAX {
        problems.push(format!("{name}: {lines} lines, at most {LINES_MAX}"));
    }
    // Put together from halves, so that this file does not hold what it looks for.
    for (start, end) in [
        ("#[ign", "ore"),
        ("#[all", "ow("),
        ("to", "do!("),
        ("unimple", "mented!("),
    ] {
        if source.contains(&format!("{start}{end}")) {
            problems.push(format!("{name}: contains {start}{end}"));
        }
    }
    problems
}

fn top_level_problems<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let agreed: BTreeSet<&str> = TOP_LEVEL.iter().copied().collect();
    names
        .into_iter()
        .filter(|name| !name.starts_with('.') && !agreed.contains(name))
        .map(|name| format!("{name}: not agreed at the top level"))
        .collect()
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for name in names_in(dir) {
        let path = dir.join(&name);
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn crates_use_only_what_the_table_allows() {
    let crates = root().join("crates");
    let problems: Vec<String> = names_in(&crates)
        .iter()
        .flat_map(|dir| {
            let manifest = fs::read_to_string(crates.join(dir).join("Cargo.toml"));
            manifest_problems(dir, &manifest.expect("manifest"))
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn files_say_what_they_own_and_stay_small() {
    let mut files = Vec::new();
    for dir in ["crates", "tests", "examples"] {
        let dir = root().join(dir);
        if dir.exists() {
            rust_files(&dir, &mut files);
        }
    }
    assert!(!files.is_empty());
    let problems: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let source = fs::read_to_string(path).expect("source");
            source_problems(&path.display().to_string(), &source)
        })
        .collect();
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn the_top_level_holds_only_what_is_agreed() {
    let names = names_in(&root());
    assert_eq!(
        top_level_problems(names.iter().map(String::as_str)),
        [""; 0]
    );
}

#[test]
fn each_check_finds_what_it_looks_for() {
    let good = "[package]\nname = \"sanntid-engine\"\n[lints]\nworkspace = true\n[dependencies]\n";
    assert_eq!(manifest_problems("engine", good), [""; 0]);
    assert_eq!(
        manifest_problems("engine", &format!("{good}sanntid-types = \"1\"")),
        [""; 0]
    );
    for bad in ["sanntid-store = \"1\"", "fjall = \"3\"", "actix = \"0.13\""] {
        assert_eq!(
            manifest_problems("engine", &format!("{good}{bad}")).len(),
            1,
            "{bad}"
        );
    }
    assert_eq!(manifest_problems("helpers", good).len(), 1);
    assert_eq!(
        manifest_problems("engine", "[package]\nname = \"engine\"").len(),
        2
    );

    assert_eq!(source_problems("a.rs", "//! Owns a.\n"), [""; 0]);
    assert_eq!(source_problems("a.rs", "use b;\n").len(), 1);
    assert_eq!(
        source_problems("a.rs", &format!("//!{}", "\n".repeat(LINES_MAX + 1))).len(),
        1
    );
    assert_eq!(
        source_problems("a.rs", &format!("//! a\n#[ign{}]", "ore")).len(),
        1
    );

    assert_eq!(top_level_problems([".ci", "docs"]), [""; 0]);
    assert_eq!(top_level_problems(["src"]).len(), 1);
}
