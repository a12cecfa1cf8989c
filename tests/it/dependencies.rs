//! What is linked in comes from the one registry, and TLS is there once.
//! Licences and advisories are for `cargo deny`, with `.ci/deny.toml`.

use std::fs;
use std::path::Path;

/// What must not come in, and what does its work here.
const UNWANTED: [(&str, &str); 5] = [
    ("openssl", "rustls"),
    ("openssl-sys", "rustls"),
    ("native-tls", "rustls"),
    ("aws-lc-rs", "ring"),
    ("aws-lc-sys", "ring"),
];
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What is wrong with a lock file.
fn problems(lock: &str) -> Vec<String> {
    let lock: toml::Table = lock.parse().expect("a lock file");
    let packages = lock["package"].as_array().expect("packages");
    let mut problems = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        if let Some((_, instead)) = UNWANTED.iter().find(|(unwanted, _)| *unwanted == name) {
            problems.push(format!("{name}: {instead} does its work"));
        }
        match package.get("source").map(|source| source.as_str()) {
            None if name == "sanntid" || name.starts_with("sanntid-") => {}
            Some(Some(REGISTRY)) if package.get("checksum").is_some() => {}
            other => problems.push(format!("{name}: comes from {other:?}")),
        }
    }
    problems
}

#[test]
fn everything_comes_from_the_registry_and_tls_is_there_once() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock");
    let lock = fs::read_to_string(path).expect("a lock file");
    assert_eq!(problems(&lock), [""; 0]);
}

#[test]
fn each_check_finds_what_it_looks_for() {
    let package = |name: &str, rest: &str| format!("[[package]]\nname = \"{name}\"\n{rest}\n");
    let good = format!("source = \"{REGISTRY}\"\nchecksum = \"00\"");
    assert_eq!(problems(&package("bytes", &good)), [""; 0]);
    assert_eq!(problems(&package("sanntid-http", "")), [""; 0]);
    for (name, rest) in [
        ("openssl", good.as_str()),
        ("bytes", ""),
        ("bytes", &format!("source = \"{REGISTRY}\"")),
        (
            "bytes",
            "source = \"git+https://example.com/bytes\"\nchecksum = \"00\"",
        ),
    ] {
        assert_eq!(problems(&package(name, rest)).len(), 1, "{name} {rest}");
    }
}
