//! The client side of the command line against a real server.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::child::{Server, output, sanntid, text};

const MANIFEST: &str = r#"{"asOf": "2026-01-01T00:00:00Z", "entities": [
  {"name": "Customer", "entityType": "profile", "key": "CustomerId", "files": ["Customer.csv"],
   "attributes": [
     {"name": "CustomerId", "dataType": "Edm.String"},
     {"name": "City", "dataType": "Edm.String"},
     {"name": "Income", "dataType": "Edm.Double"}]}]}"#;

fn snapshot(folder: &Path, rows: &str) -> String {
    fs::write(
        folder.join("Customer.csv"),
        format!("CustomerId,City,Income\n{rows}"),
    )
    .unwrap();
    let manifest = folder.join("snapshot.json");
    fs::write(&manifest, MANIFEST).unwrap();
    manifest.to_str().unwrap().to_owned()
}

#[test]
fn an_instance_is_filled_changed_read_and_deleted_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let id = server.call(&["instance", "create", "Contoso"]);
    let id = id.trim();
    assert!(server.call(&["instance", "list"]).contains(id));
    assert!(
        server
            .call(&["instance", "rename", id, "Fabrikam"])
            .contains("Fabrikam")
    );

    let manifest = snapshot(folder.path(), "c1,Oslo,1\nc2,Hamar,2\n");
    let pushed = server.call(&[
        "snapshot",
        "push",
        "--instance",
        id,
        "--manifest",
        &manifest,
    ]);
    assert!(
        pushed.contains("successful") && pushed.contains("profiles"),
        "{pushed}"
    );
    let job = pushed.split_whitespace().nth(1).expect("a job's id");
    assert!(server.call(&["jobs", "--instance", id]).contains(job));
    assert!(
        server
            .call(&["jobs", "--instance", id, job])
            .contains("successful")
    );

    let patch = [
        "patch",
        "--instance",
        id,
        "c1",
        "City=Bergen",
        "Income:=5.50",
        "--for",
        "2h",
    ];
    server.call(&patch);
    let card: Value =
        serde_json::from_str(&server.call(&["get", "--instance", id, "c1", "--card", "--json"]))
            .unwrap();
    let city = card["fields"]
        .as_array()
        .unwrap()
        .iter()
        .find(|field| field["name"] == "City");
    assert_eq!(city.unwrap()["value"], "Bergen");
    assert_eq!(city.unwrap()["sourceValue"], "Oslo");
    let source = [
        "get",
        "--instance",
        id,
        "Customer('c1')",
        "--view",
        "source",
        "--json",
    ];
    let source: Value = serde_json::from_str(&server.call(&source)).unwrap();
    assert_eq!(source["City"], "Oslo");
    let selected = [
        "get",
        "--instance",
        id,
        "Customer",
        "--select",
        "income,CustomerId",
        "--filter",
        "City eq 'Bergen'",
        "--count",
    ];
    assert_eq!(
        server.call(&selected),
        "income  CustomerId\n5.5     c1\n1 in all\n"
    );

    let call = [
        "activity",
        "--instance",
        id,
        "UnifiedActivity",
        "CustomerId=c1",
        "ActivityType=Call",
        "ActivityTime=2026-01-02T00:00:00Z",
        "Title=Asked",
    ];
    assert!(server.call(&call).starts_with("stored"));
    assert!(server.call(&call).starts_with("was stored before"));
    assert!(
        server
            .call(&["get", "--instance", id, "c1", "--timeline"])
            .contains("Asked")
    );

    server.call(&["settings", "set", "--instance", id, "refreshClears=never"]);
    assert!(
        server
            .call(&["settings", "get", "--instance", id])
            .contains("never")
    );

    let kept = server.try_call(&["instance", "delete", id]);
    assert!(
        text(&kept.stderr).contains("--yes"),
        "{}",
        text(&kept.stderr)
    );
    server.call(&["instance", "delete", id, "--yes"]);
    assert!(!server.try_call(&["instance", "get", id]).status.success());
}

#[test]
fn a_refresh_that_fails_is_an_exit_code_and_names_the_first_bad_rows() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let id = server.call(&["instance", "create", "Contoso"]);
    let manifest = snapshot(folder.path(), "c1,Oslo,much\nc2,Hamar,2\n");
    let push = [
        "snapshot",
        "push",
        "--instance",
        id.trim(),
        "--manifest",
        &manifest,
    ];
    let failed = server.try_call(&push);
    let out = text(&failed.stdout);
    assert_eq!(failed.status.code(), Some(1), "{out}");
    assert!(
        out.contains("failed") && out.contains("Income") && out.contains("much"),
        "{out}"
    );
}

#[test]
fn refusals_print_every_detail_and_network_errors_are_plain() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let id = server.call(&["instance", "create", "Contoso"]);
    let id = id.trim();
    let manifest = snapshot(folder.path(), "c1,Oslo,1\n");
    server.call(&[
        "snapshot",
        "push",
        "--instance",
        id,
        "--manifest",
        &manifest,
    ]);
    let table: [(&[&str], &[&str]); 4] = [
        (
            &["patch", "--instance", id, "c1", "Town=x", "Income=x"],
            &["\n  Town: ", "\n  Income: "],
        ),
        (&["patch", "--instance", id, "c9", "City=x"], &["404"]),
        (&["get", "--instance", "nothing", "Customer"], &["404"]),
        (&["--key", "another", "instance", "list"], &["401"]),
    ];
    for (arguments, parts) in table {
        let refused = server.try_call(arguments);
        let errors = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(errors.starts_with("error: "), "{errors}");
        for part in parts {
            assert!(errors.contains(part), "{errors:?} lacks {part:?}");
        }
    }
    let nobody = output(sanntid().args(["--url", "http://127.0.0.1:1", "instance", "list"]));
    let errors = text(&nobody.stderr);
    assert!(
        errors.starts_with("error: can't reach http://127.0.0.1:1: "),
        "{errors}"
    );
}

#[test]
fn the_clock_is_shown_and_confirmed_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    for command in ["show", "confirm"] {
        let said = server.call(&["clock", command, "--json"]);
        let clock: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(clock["isTrusted"], true, "{said}");
    }
}
