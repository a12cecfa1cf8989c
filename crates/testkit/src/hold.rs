//! Owns holding a refresh still at a moment that its log names, so that a test can look, or kill.
//!
//! Must not change what a refresh does before that moment.

use std::{
    fmt::Debug,
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
};

/// What the process says on its standard error when a refresh stands still.
pub(crate) const HELD: &str = "held";

/// Whose words name the moments.
const REFRESH: &str = "sanntid_actors::refresh";

/// Has the first refresh of this process that comes to `moment`, a stage and a message of the log,
/// stand still for good.
pub(crate) fn hold_at(moment: &str) {
    let hold = Hold {
        moment: moment.to_owned(),
        is_over: AtomicBool::new(false),
    };
    tracing::subscriber::set_global_default(registry().with(hold)).unwrap();
}

struct Hold {
    moment: String,
    is_over: AtomicBool,
}

impl<S: Subscriber> Layer<S> for Hold {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with(REFRESH)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if format!("{} {}", said.stage, said.message) != self.moment
            || self.is_over.swap(true, Ordering::SeqCst)
        {
            return;
        }
        writeln!(std::io::stderr().lock(), "\n{HELD}").unwrap();
        loop {
            std::thread::park();
        }
    }
}

#[derive(Default)]
struct Said {
    stage: String,
    message: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "stage" => self.stage = format!("{value:?}"),
            "message" => self.message = format!("{value:?}"),
            _ => {}
        }
    }
}
