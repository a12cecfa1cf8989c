//! Owns a log of everything, so that a test can look for what must not be in it.

use tracing_subscriber::fmt;

/// What the server's own process logs; the test's client is no part of it.
const EVERYTHING: &str = "trace,ureq=off,ureq_proto=off";

/// Logs everything that this process does to its standard error, at the finest level.
///
/// To be called once, in a process of its own.
pub fn log_everything() {
    fmt()
        .with_env_filter(EVERYTHING)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
}
