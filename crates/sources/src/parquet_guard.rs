//! Calls of the library that reads Parquet. Owns whose fault a failed call is, and that no panic of
//! the library gets further.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

use crate::Error;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is where a panic says that a file is corrupt, and nothing else.
///
/// For the hook of the process: such a panic is no fault of the server that anybody has to hear of.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Calls the library so that neither an error nor a panic of it gets further than this.
///
/// It asserts what a file says (that no column has a negative length, for one), so that bytes which
/// no writer wrote make it panic. What it was working on is dropped, and nothing is read after that.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, Error> {
    match caught(call) {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(refusal(error)),
        None => Err(Error::ParquetCorrupt {
            reason: "its content contradicts itself".to_owned(),
        }),
    }
}

/// Calls a library; `None` where it panicked over what a file says.
pub(crate) fn caught<T>(call: impl FnOnce() -> T) -> Option<T> {
    let before = GUARDED.replace(true);
    let called = catch_unwind(AssertUnwindSafe(call));
    GUARDED.set(before);
    called.ok()
}

/// A failed read is the machine's fault; that the file ends too early, or anything else, its own.
fn refusal(error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => match Error::carried_by(&error) {
                Some(error) => error,
                None if is_of_machine(&error) => Error::Io(*error),
                None => corrupt(&*error),
            },
            Err(cause) => corrupt(&*cause),
        },
        error => corrupt(&error),
    }
}

fn is_of_machine(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|_| {
        !matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData
        )
    })
}

fn corrupt(error: &(dyn std::error::Error + 'static)) -> Error {
    Error::ParquetCorrupt {
        reason: error.to_string(),
    }
}
