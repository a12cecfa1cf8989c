//! TLS with files: the client trusts what it is told to, and certificates change while it runs.

use std::path::Path;

use rustix::process::Signal;
use sanntid_server::{Client, Interrupt, Secret};

use crate::child::{KEY, STEP_MAX, Server, output, sanntid, text};

/// Writes a new certificate for this machine, which vouches for itself; gives it as PEM.
fn write_pair(folder: &Path) -> String {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    made.cert.pem()
}

fn start(folder: &Path, further: &[(&str, &str)]) -> Server {
    let mut command = sanntid();
    command
        .env("SANNTID_ADMIN_KEY", KEY)
        .env("SANNTID_TLS_CERTIFICATE", folder.join("cert.pem"))
        .env("SANNTID_TLS_KEY", folder.join("key.pem"))
        .envs(further.iter().copied());
    Server::start_with(&mut command, &folder.join("data"))
}

/// Whether a client that trusts this certificate alone gets an answer.
fn trusts(server: &Server, certificate: &str) -> bool {
    let key = Some(Secret::new(KEY));
    let client = Client::new(&server.url, key, Interrupt::new()).unwrap();
    let client = client.trusting(certificate.as_bytes()).unwrap();
    client.get("/instances").is_ok()
}

#[test]
fn the_client_trusts_the_authority_that_it_is_told_of_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path());
    let server = start(folder.path(), &[]);
    assert!(
        server.url.starts_with("https://127.0.0.1:"),
        "{}",
        server.url
    );
    let ca = folder.path().join("cert.pem");
    let ca = ca.to_str().unwrap();
    let created = server.call(&["--ca", ca, "instance", "create", "Contoso"]);
    assert!(
        server
            .call(&["--ca", ca, "instance", "list"])
            .contains(created.trim())
    );
    let unknown = server.try_call(&["instance", "list"]);
    assert!(!unknown.status.success());
    assert!(
        text(&unknown.stderr).contains("can't reach"),
        "{}",
        text(&unknown.stderr)
    );
    let key = folder.path().join("key.pem");
    for (file, part) in [("/none.pem", "/none.pem"), (key.to_str().unwrap(), "--ca")] {
        let bad = server.try_call(&["--ca", file, "instance", "list"]);
        assert!(
            !bad.status.success() && text(&bad.stderr).contains(part),
            "{}",
            text(&bad.stderr)
        );
    }
    server.signal(Signal::TERM);
    let (status, errors) = server.wait(STEP_MAX);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
}

#[test]
fn a_new_certificate_is_taken_at_a_hangup_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let server = start(folder.path(), &[("SANNTID_TLS_RELOAD_EVERY", "24h")]);
    assert!(trusts(&server, &first));
    let second = write_pair(folder.path());
    std::fs::write(folder.path().join("key.pem"), "rubbish").unwrap();
    server.signal(Signal::HUP);
    // There is no other sign of it than that all goes on as it was.
    for _ in 0..20 {
        assert!(trusts(&server, &first) && !trusts(&server, &second));
    }
    let third = write_pair(folder.path());
    server.signal(Signal::HUP);
    while !trusts(&server, &third) {}
    assert!(!trusts(&server, &first));
    server.signal(Signal::TERM);
    let (status, errors) = server.wait(STEP_MAX);
    assert_eq!(status.code(), Some(0));
    assert!(errors.contains("the old one goes on"), "{errors}");
    assert!(
        !errors.contains("PRIVATE") && !errors.contains("rubbish"),
        "{errors}"
    );
}

#[test]
fn a_new_certificate_is_found_by_looking() {
    let folder = tempfile::tempdir().unwrap();
    let first = write_pair(folder.path());
    let server = start(folder.path(), &[("SANNTID_TLS_RELOAD_EVERY", "1s")]);
    assert!(trusts(&server, &first));
    let second = write_pair(folder.path());
    while !trusts(&server, &second) {}
}

#[test]
fn files_that_do_not_fit_keep_it_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    write_pair(folder.path());
    std::fs::write(path("old-key.pem"), std::fs::read(path("key.pem")).unwrap()).unwrap();
    write_pair(folder.path());
    let (cert, key) = (
        format!("tls.certificate={}", path("cert.pem")),
        format!("tls.key={}", path("key.pem")),
    );
    let table: [(&[&str], &str); 5] = [
        (&[&cert], "both or neither"),
        (&[&key], "both or neither"),
        (&[&cert, "tls.key=/none.pem"], "/none.pem can't be read"),
        (
            &[&cert, &format!("tls.key={}", path("old-key.pem"))],
            "not that of the first certificate",
        ),
        (&[&cert, &key, "tls.reload_every=10ms"], "1 s to 24 h"),
    ];
    for (settings, part) in table {
        let mut command = sanntid();
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--set",
            "log.level=error",
            "--data-dir",
            &path("data"),
        ]);
        for setting in settings {
            command.args(["--set", setting]);
        }
        let ended = output(&mut command);
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{settings:?}");
        assert!(errors.contains(part), "{settings:?}: {errors}");
    }
}
