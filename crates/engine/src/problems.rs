//! Problems of one request told together, so that one answer lists them all (rules 3.2).
//! Owns how errors of independent checks are joined. Must not decide what a problem is.

use sanntid_types::{Detail, Error};

/// Longest name that an error says back, in characters.
const NAME_SHOWN_MAX: usize = 100;

/// Gives both results, or the problems of both.
pub(crate) fn both<A, B>(a: Result<A, Error>, b: Result<B, Error>) -> Result<(A, B), Error> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(error), other) => Err(joined(error, other.err())),
        (Ok(_), Err(error)) => Err(error),
    }
}

/// Adds the problems of `other` to the details of `error`, which stays what it is.
pub(crate) fn joined(mut error: Error, other: Option<Error>) -> Error {
    if let Some(other) = other {
        error.details = details(&error);
        error.details.extend(details(&other));
    }
    error
}

/// A name as an error says it back: a client's own, so it may be very long.
pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(NAME_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn details(error: &Error) -> Vec<Detail> {
    if error.details.is_empty() {
        let target = error.target.as_deref().unwrap_or("body");
        vec![Detail::new(error.code, target, error.message.as_str())]
    } else {
        error.details.clone()
    }
}
