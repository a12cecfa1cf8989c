//! SIGTERM: what was accepted is answered, then the process ends by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use sanntid_testkit::{ChildServer, Sample, serve_if_marked};
use serde_json::json;

const AS_OF: &str = "2026-01-01T00:00:00Z";

#[test]
fn the_child_serves() {
    serve_if_marked();
}

#[test]
fn a_stopped_server_answers_what_it_took_and_keeps_what_it_answered() {
    let folder = tempfile::tempdir().unwrap();
    let server = ChildServer::spawn(folder.path(), "shutdown::the_child_serves", 0);
    let sample = Sample::create(&server.http);
    sample.load(AS_OF, &Sample::customers(4), &Sample::orders(1));
    let stored = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for writer in 1..=4 {
        let (http, stored) = (server.http.clone(), Arc::clone(&stored));
        let path = sample.path("/data/UnifiedActivity");
        writers.push(thread::spawn(move || {
            let headers = [("Content-Type", "application/json")];
            for number in 0.. {
                let body = json!({"CustomerId": format!("C{writer}"), "ActivityType": "Visit",
                    "ActivityTime": "2026-01-01T00:00:00Z", "ActivityId": format!("{writer}-{number}")});
                let answer = http.try_send("POST", &path, &headers, body.to_string().as_bytes());
                match answer.map(|answer| answer.status) {
                    Some(201) => stored.fetch_add(1, Ordering::SeqCst),
                    Some(status) => return assert_eq!(status, 503),
                    None => return,
                };
            }
        }));
    }
    while stored.load(Ordering::SeqCst) < 50 {
        thread::yield_now();
    }
    let pid = Pid::from_raw(i32::try_from(server.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(server.wait(), "it ends with success");
    writers
        .into_iter()
        .for_each(|writer| writer.join().unwrap());

    let server = ChildServer::spawn(folder.path(), "shutdown::the_child_serves", 0);
    let counted: usize = (1..=4)
        .map(|writer| {
            let path = sample.path(&format!(
                "/profile/activityresponsemetadata?customerId=C{writer}"
            ));
            let counts = server.http.get(&path).expect(200).json();
            let types = counts["activityTypes"].as_array().unwrap().clone();
            let visits = types
                .iter()
                .find(|of| of["activityType"] == "Visit")
                .unwrap()
                .clone();
            usize::try_from(visits["count"].as_u64().unwrap()).unwrap()
        })
        .sum();
    let stored = stored.load(Ordering::SeqCst);
    assert!(
        (stored..=stored + 4).contains(&counted),
        "{stored} answered, {counted} stored"
    );
}
