//! What is measured: by operation and status, never by instance.

use std::sync::{Arc, LazyLock, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};

use crate::client::{Call, INSTANCE};
use crate::server::{Running, at};

/// Notes each measurement as `name{label=value,…}`.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

struct Noted(String);

static NOTES: LazyLock<Notes> = LazyLock::new(Notes::default);

fn note(key: &Key) -> Arc<Noted> {
    let labels: Vec<String> = key
        .labels()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    Arc::new(Noted(format!("{}{{{}}}", key.name(), labels.join(","))))
}

impl Noted {
    fn push(&self) {
        NOTES.0.lock().unwrap().push(self.0.clone());
    }
}

impl CounterFn for Noted {
    fn increment(&self, _: u64) {
        self.push();
    }
    fn absolute(&self, _: u64) {}
}

impl GaugeFn for Noted {
    fn increment(&self, _: f64) {
        self.push();
    }
    fn decrement(&self, _: f64) {
        self.push();
    }
    fn set(&self, _: f64) {}
}

impl HistogramFn for Noted {
    fn record(&self, value: f64) {
        assert!((0.0..60.0).contains(&value), "seconds: {value}");
        self.push();
    }
}

struct Notebook;

impl Recorder for Notebook {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(note(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(note(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(note(key))
    }
}

#[test]
fn requests_are_counted_by_operation_and_status_alone() {
    metrics::set_global_recorder(Notebook).expect("no other recorder in this binary");
    let mut server = Running::start();
    server.send(&Call::new("PATCH", &at("/data/Customer/c1")).body("{}"));
    server.get("/manage/tables");
    server.get("/nowhere");
    server.send(&Call::new("DELETE", &at("/manage/tables")));
    server.stop();
    let notes = NOTES.0.lock().unwrap().clone();
    for expected in [
        "sanntid_http_requests_total{operation=update_an_entity,status=204}",
        "sanntid_http_requests_total{operation=get_all_entity_metadata,status=200}",
        "sanntid_http_requests_total{operation=unmatched,status=404}",
        "sanntid_http_requests_total{operation=unmatched,status=405}",
        "sanntid_http_request_duration_seconds{operation=update_an_entity}",
        "sanntid_http_requests_in_flight{}",
    ] {
        assert!(
            notes.iter().any(|note| note == expected),
            "{expected}: {notes:#?}"
        );
    }
    assert!(!notes.iter().any(|note| note.contains(INSTANCE)));
}
