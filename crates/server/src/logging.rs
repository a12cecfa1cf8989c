//! Owns the log's shape: lines to standard error, text for people, else JSON.

use std::io::{self, IsTerminal};
use std::panic::Location;

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogConfig, LogFormat};

/// Starts logging for the whole process.
///
/// # Errors
/// A bad level, or a log that was started before.
pub(crate) fn start(config: &LogConfig) -> anyhow::Result<()> {
    let terminal = io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = fmt()
        .with_env_filter(filter(config)?)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let started = if json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
    started.map_err(|error| anyhow!("the log can't be started: {error}"))?;
    pass_over_expected_panics();
    Ok(())
}

/// Keeps panics off standard error that only say that what somebody sent is corrupt.
fn pass_over_expected_panics() {
    let shown = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if crate::wiring::is_expected_panic() {
            tracing::debug!(%panic, "a file contradicts itself");
        } else if panic.location().is_some_and(is_decoder) {
            tracing::debug!(%panic, "a request's head can't be read");
        } else {
            shown(panic);
        }
    }));
}

/// Whether a panic is one of the framework's decoder of HTTP/1, which meets a header name of more
/// than 64 KiB so. It ends that connection and nothing else.
fn is_decoder(location: &Location<'_>) -> bool {
    let file = location.file();
    file.contains("/actix-http-") && file.ends_with("/h1/decoder.rs")
}

/// Checks the level.
pub(crate) fn check(config: &LogConfig) -> anyhow::Result<()> {
    filter(config).map(drop)
}

fn filter(config: &LogConfig) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(&config.level).map_err(|error| {
        anyhow!(
            "expected a level such as info, or directives such as info,sanntid_http=debug, got \
             {:?}: {error}",
            config.level
        )
    })
}
