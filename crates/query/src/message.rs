//! Errors that a query's answers share. Owns their form, and that a message shows little of a text.

use sanntid_types::{Error, ErrorCode};

/// How much of a caller's text a message shows, in characters.
const SHOWN_LENGTH_MAX: usize = 60;

pub(crate) fn invalid(target: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidArgument, message).with_target(target)
}

pub(crate) fn not_served(target: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorCode::NotServed, message).with_target(target)
}

/// A caller's text as a message shows it.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_LENGTH_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("`{}{more}`", cut.escape_debug())
}
