//! Starting and stopping the server: what it needs, what it refuses, how it ends.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::Signal;

use crate::child::{KEY, STEP_MAX, Server, output, sanntid, text};

/// What the server promises for its end, and a little for the machine.
const STOP_MAX: Duration = Duration::from_secs(12);

#[test]
fn it_ends_well_at_either_signal_and_starts_again_with_the_same_key() {
    let folder = tempfile::tempdir().unwrap();
    for signal in [Signal::TERM, Signal::INT] {
        let server = Server::start_with(&mut sanntid(), folder.path());
        let key = std::fs::read_to_string(folder.path().join("admin.key")).unwrap();
        let listed = output(
            sanntid()
                .args(["--url", &server.url, "--key", key.trim()])
                .args(["instance", "list", "--json"]),
        );
        assert_eq!(text(&listed.stdout).trim(), "[]");
        server.signal(signal);
        let (status, errors) = server.wait(STOP_MAX);
        assert_eq!(status.code(), Some(0), "{errors}");
        assert_eq!(errors, "", "nothing is wrong with ending");
    }
}

#[test]
fn what_was_written_is_there_after_a_restart_or_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let id = server.call(&["instance", "create", "Contoso"]);
    server.signal(Signal::KILL);
    let (status, _) = server.wait(STOP_MAX);
    assert_eq!(status.signal(), Some(9));
    let server = Server::start(folder.path());
    assert!(
        server
            .call(&["instance", "get", id.trim()])
            .contains("Contoso")
    );
}

#[test]
fn a_client_that_stalls_does_not_keep_the_server_from_ending() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let mut stalled = stall(&server);
    server.signal(Signal::TERM);
    let (status, errors) = server.wait(STOP_MAX);
    assert_eq!(status.code(), Some(0), "{errors}");
    assert_eq!(errors, "", "every part has ended in its time");
    let mut rest = Vec::new();
    // Either an end or a reset; a success would be wrong.
    if stalled.read_to_end(&mut rest).is_ok() {
        assert!(!text(&rest).starts_with("HTTP/1.1 200"), "{}", text(&rest));
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let _stalled = stall(&server);
    server.signal(Signal::TERM);
    // The first signal is taken when new connections are refused.
    while TcpStream::connect(server.address()).is_ok() {}
    server.signal(Signal::INT);
    let (status, _) = server.wait(STEP_MAX);
    assert_eq!(
        status.code(),
        Some(130),
        "what a shell expects of an interrupted process"
    );
}

#[test]
fn what_keeps_it_from_starting_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let other = tempfile::tempdir().unwrap();
    let (used, other) = (
        folder.path().to_str().unwrap(),
        other.path().to_str().unwrap(),
    );
    let table: [(&[&str], &[&str]); 7] = [
        (
            &["--data-dir", used, "--listen", "127.0.0.1:0"],
            &["in use by another sanntid", used],
        ),
        (
            &["--data-dir", other, "--listen", &taken],
            &[&taken, "in use by another program"],
        ),
        (
            &["--data-dir", other, "--listen", "0.0.0.0:0"],
            &["--insecure-listen"],
        ),
        (
            &["--data-dir", "/proc/none"],
            &["/proc/none", "can't be used"],
        ),
        (&["--config", "/none.toml"], &["/none.toml"]),
        (
            &["--set", "store.cache_byts=1"],
            &["store.cache_byts", "unknown key", "--set"],
        ),
        (&["--set", "http.workers=0"], &["[http]", "workers"]),
    ];
    for (arguments, parts) in table {
        let ended = output(
            sanntid()
                .arg("serve")
                .args(["--set", "log.level=error"])
                .args(arguments),
        );
        let errors = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}");
        assert_eq!(text(&ended.stdout), "", "{arguments:?}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.starts_with("error: "), "{errors}");
        for part in parts {
            assert!(errors.contains(part), "{errors:?} lacks {part:?}");
        }
    }
    drop(server);
}

#[test]
fn the_key_is_never_printed_or_logged() {
    let folder = tempfile::tempdir().unwrap();
    let shown = output(
        sanntid()
            .args(["serve", "--print-config"])
            .env("SANNTID_ADMIN_KEY", KEY),
    );
    assert!(text(&shown.stdout).contains("[redacted]") && !text(&shown.stdout).contains(KEY));

    let mut command = sanntid();
    command
        .env("SANNTID_ADMIN_KEY", KEY)
        .env("SANNTID_LOG_FORMAT", "json");
    command
        .args(["serve", "--listen", "127.0.0.1:0"])
        .arg("--data-dir")
        .arg(folder.path());
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut head = [0; 13];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut head)
        .unwrap();
    assert_eq!(&head, b"listening on ");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = child.wait_with_output().unwrap();
    let log = text(&ended.stderr);
    assert!(
        log.contains("effective configuration") && log.contains("[redacted]"),
        "{log}"
    );
    assert!(!log.contains(KEY));
    for line in log.lines() {
        assert!(line.starts_with("{\"timestamp\":"), "{line}");
    }
}

/// Begins a request that the server takes, and never ends it.
fn stall(server: &Server) -> TcpStream {
    let mut stalled = TcpStream::connect(server.address()).unwrap();
    write!(
        stalled,
        "POST /api/instances/V2 HTTP/1.1\r\nHost: x\r\nOcp-Apim-Subscription-Key: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
    )
    .unwrap();
    // The server asks for the body once it has begun to serve the request.
    let mut asked = [0; 12];
    stalled.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    stalled
}
