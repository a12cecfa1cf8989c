//! `sanntid bulk` against a real server.

use std::fs;
use std::io::Write as _;

use serde_json::{Value, json};

use crate::child::{Server, text};

fn visit(number: usize) -> String {
    let body = json!({"ActivityId": format!("v{number}"), "CustomerId": "nobody",
        "ActivityType": "Visit", "ActivityTime": "2026-01-01T00:00:00Z"});
    json!({"onUnknownCustomer": "hold", "body": body}).to_string()
}

#[test]
fn a_file_is_sent_line_by_line_and_what_was_refused_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"));
    let id = server.call(&["instance", "create", "Contoso"]);
    let id = id.trim();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let send = |arguments: &[&str]| {
        let mut all = vec!["bulk", "--instance", id, "--entity", "UnifiedActivity"];
        all.extend(arguments);
        let output = server.try_call(&all);
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };

    // More than one request, with bad lines in both.
    let mut lines: Vec<String> = (1..=1_200).map(visit).collect();
    lines[1] = "{\"body\": {\"CustomerId\": \"c\"}}".to_owned();
    lines[1_100] = "nothing".to_owned();
    let whole = lines.join("\n");
    fs::write(path("visits.ndjson"), &whole).unwrap();
    let (code, out, errors) = send(&[&path("visits.ndjson")]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(out.starts_with("line 2: "), "{out}");
    assert!(
        out.contains("  ActivityTime: "),
        "the details are there: {out}"
    );
    assert!(out.contains("line 1101: the line can't be read"), "{out}");
    assert!(
        errors.contains("1200 lines: 0 stored, 1198 held (0 of these before), 2 refused"),
        "{errors}"
    );

    // The same again, packed: everything is there already.
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(whole.as_bytes()).unwrap();
    fs::write(path("visits.ndjson.gz"), gzip.finish().unwrap()).unwrap();
    let zstd = zstd::encode_all(whole.as_bytes(), 1).unwrap();
    fs::write(path("visits.ndjson.zst"), zstd).unwrap();
    for name in ["visits.ndjson.gz", "visits.ndjson.zst"] {
        let (code, out, errors) = send(&["--json", &path(name)]);
        assert_eq!(code, Some(1), "{errors}");
        let lines: Vec<Value> = out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(
            (&lines[0]["line"], &lines[1]["line"]),
            (&json!(2), &json!(1101))
        );
        assert_eq!(lines[1]["error"]["errorCode"], "invalidBody");
        let sum = json!({"lines": 1200, "stored": 0, "replayed": 1198, "held": 1198, "failed": 2});
        assert_eq!(lines[2], sum);
    }

    fs::write(path("good.ndjson"), format!("{}\n", visit(9_000))).unwrap();
    let (code, out, _) = send(&[&path("good.ndjson")]);
    assert_eq!((code, out.as_str()), (Some(0), ""));
    fs::write(
        path("cut.ndjson.gz"),
        &fs::read(path("visits.ndjson.gz")).unwrap()[..500],
    )
    .unwrap();
    let (code, _, errors) = send(&[&path("cut.ndjson.gz")]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("can't read"), "{errors}");
    let (code, _, errors) = send(&[&path("nowhere.ndjson")]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("nowhere.ndjson"), "{errors}");
}
