//! Every measurement once, with little data: that it works and that its report is whole.
//! Nothing here depends on how fast the machine is.

use serde_json::Value;

use crate::child::{output, sanntid, text};

fn report(folder: &std::path::Path, words: &[&str]) -> Value {
    let mut command = sanntid();
    command.args(["bench", "--json"]).args(words);
    let ended = output(command.arg("--dir").arg(folder));
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    serde_json::from_slice(&ended.stdout).expect("a report")
}

/// The rows of the n-th table.
fn rows(report: &Value, table: usize) -> &Vec<Value> {
    report["tables"][table]["rows"].as_array().expect("rows")
}

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|figure| figure > 0.0)
}

#[test]
fn a_refresh_is_measured_and_its_server_can_be_restarted() {
    let folder = tempfile::tempdir().expect("a folder");
    let size = ["--profiles", "300", "--activities", "500"];
    let refresh = report(folder.path(), &[&["refresh"][..], &size].concat());
    assert_eq!(refresh["settings"]["profiles"], 300);
    let stages = rows(&refresh, 0);
    let names: Vec<&str> = stages
        .iter()
        .filter_map(|row| row["stage"].as_str())
        .collect();
    assert_eq!(names.first(), Some(&"ingestion"), "{stages:?}");
    assert_eq!(names.last(), Some(&"profileStore"), "{stages:?}");
    let server = &rows(&refresh, 1)[0];
    assert_eq!(server["rows"], 800);
    assert!(is_positive(&server["rowsPerSecond"]) && is_positive(&server["rssPeakMiB"]));
    let alone = rows(&refresh, 2);
    assert_eq!(alone.len(), 3);
    assert!(
        alone
            .iter()
            .all(|row| is_positive(&row["refreshRecordsToIt"])),
        "{alone:?}"
    );

    let restart = ["restart", "--rounds", "1", "--patches", "50"];
    let restart = report(folder.path(), &[&restart[..], &size].concat());
    let ends: Vec<&Value> = rows(&restart, 0).iter().map(|row| &row["end"]).collect();
    assert_eq!(ends, ["stopped", "killed"]);
    assert!(
        rows(&restart, 0)
            .iter()
            .all(|row| is_positive(&row["readSeconds"]))
    );
}

#[test]
fn waits_around_a_switch_are_measured() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = [
        "switch", "--sizes", "200,400", "--rounds", "1", "--rate", "100",
    ];
    let report = report(
        folder.path(),
        &[&words[..], &["--connections", "1,2"]].concat(),
    );
    let rows = rows(&report, 0);
    assert_eq!(rows.len(), 4);
    for row in rows {
        // A patch sets two fields of a twentieth of the profiles, and more come meanwhile.
        let profiles = row["profiles"].as_u64().expect("a count");
        assert!(row["cleared"].as_u64() >= Some(profiles / 10), "{row}");
        assert!(
            is_positive(&row["patches"]) && is_positive(&row["atSwitchMs"]),
            "{row}"
        );
    }
}

#[test]
fn latencies_with_and_without_a_refresh_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = [
        "during",
        "--profiles",
        "300",
        "--activities",
        "300",
        "--rounds",
        "2",
    ];
    let more = ["--seconds", "1", "--rate", "50", "--connections", "2"];
    let report = report(folder.path(), &[&words[..], &more].concat());
    // Two rounds, with and without, patches and reads.
    let each = rows(&report, 0);
    assert_eq!(each.len(), 8);
    // Fifty a second for a second, whatever the machine does.
    assert!(each.iter().all(|row| row["answers"] == 50), "{each:?}");
    assert!(
        rows(&report, 1)
            .iter()
            .all(|row| is_positive(&row["ratio"]))
    );
}

#[test]
fn latencies_alone_and_beside_a_loud_neighbour_are_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = ["fairness", "--profiles", "200", "--rounds", "2"];
    let more = ["--seconds", "1", "--rate", "40", "--connections", "4"];
    let report = report(folder.path(), &[&words[..], &more].concat());
    // Two rounds, alone and beside, patches and reads.
    let each = rows(&report, 0);
    assert_eq!(each.len(), 8);
    assert!(each.iter().all(|row| row["answers"] == 40), "{each:?}");
    let ratios = rows(&report, 1);
    assert!(ratios.iter().all(|row| is_positive(&row["ratio"])));
    let beside = rows(&report, 2);
    assert_eq!(beside.len(), 2);
    assert!(beside.iter().all(|row| is_positive(&row["perSecond"])));
}

#[test]
fn every_workload_is_compared_with_the_bare_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let words = [
        "api",
        "--profiles",
        "200",
        "--tenants",
        "3",
        "--connections",
        "2",
    ];
    let report = report(
        folder.path(),
        &[&words[..], &["--rounds", "1", "--seconds", "1"]].concat(),
    );
    let summary = rows(&report, 1);
    assert_eq!(
        summary.len(),
        14,
        "seven workloads, two servers: {summary:?}"
    );
    assert!(
        summary.iter().all(|row| is_positive(&row["perSecond"])),
        "{summary:?}"
    );
    let peer = report["settings"]["redis"]
        .as_str()
        .expect("a word about the peer");
    assert!(peer.contains("not there"), "{peer}");
}

#[test]
fn a_folder_of_others_is_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let others = folder.path().join("keep.txt");
    std::fs::write(&others, "x").expect("written");
    report(
        folder.path(),
        &["refresh", "--profiles", "1", "--activities", "0"],
    );
    assert_eq!(std::fs::read(&others).expect("still there"), b"x");
}
