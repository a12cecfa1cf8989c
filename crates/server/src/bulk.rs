//! Owns the sending of many writes: lines cut into requests, their answers put back in order.
//! Must not print anything: it tells each answer to whoever asked.

use std::io::{self, BufRead, Read as _};
use std::time::Duration;

use serde_json::Value;

use crate::api::Instance;
use crate::client::Error;

/// Lines of one request. Its answers are read when all of it is sent, so it must be small.
const LINES_MAX: usize = 500;
/// Bytes of one request, but for one line that is longer.
const BYTES_MAX: usize = 256 << 10;
/// Longest line that is read; the server's own limit is lower.
const LINE_BYTES_MAX: u64 = 16 << 20;
/// How often a request is sent whose answer did not come; that is safe, see the API.
const TRIES_MAX: u32 = 4;
const TRY_WAIT: Duration = Duration::from_secs(1);

/// Counts what became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub lines: u64,
    /// Stored, or stored before by the same line.
    pub stored: u64,
    /// Of these, how many had been stored before.
    pub replayed: u64,
    /// Waiting for a customer.
    pub held: u64,
    pub failed: u64,
}

/// Sends the lines of `input` to an entity, `Customer` being patched and all others posted to; tells
/// the answer of each that failed, with the number of its line.
///
/// # Errors
/// Every [`Error`]. Lines that were counted before it are stored.
pub fn send(
    instance: &Instance,
    entity: &str,
    input: &mut dyn BufRead,
    totals: &mut Totals,
    failed: &mut dyn FnMut(&Value) -> io::Result<()>,
) -> Result<(), Error> {
    loop {
        let (lines, count) = next_lines(input).map_err(Error::File)?;
        if count == 0 {
            return Ok(());
        }
        let answers = ask(instance, entity, &lines, count)?;
        for mut answer in answers {
            totals.lines += 1;
            match answer.get("status").and_then(Value::as_u64) {
                Some(201 | 204) => totals.stored += 1,
                Some(202) => totals.held += 1,
                _ => {
                    totals.failed += 1;
                    if let Some(number) = answer.get_mut("line") {
                        *number = totals.lines.into();
                    }
                    failed(&answer).map_err(Error::Output)?;
                }
            }
            if answer.get("replayed") == Some(&Value::Bool(true)) {
                totals.replayed += 1;
            }
        }
    }
}

/// Sends one request, again where its answer does not come; gives an answer for each line.
fn ask(instance: &Instance, entity: &str, lines: &[u8], count: usize) -> Result<Vec<Value>, Error> {
    let mut tries = 1;
    loop {
        let error = match instance.send_lines(entity, lines) {
            Ok(answers) if answers.len() == count => return Ok(answers),
            Ok(answers) => Error::Unreadable {
                url: "the server".to_owned(),
                shown: format!("{} answers to {count} lines", answers.len()),
            },
            Err(error @ Error::NoAnswer { .. }) => error,
            Err(error) => return Err(error),
        };
        if tries == TRIES_MAX {
            return Err(error);
        }
        tries += 1;
        if instance.client().interrupt().wait(TRY_WAIT) {
            return Err(Error::Interrupted);
        }
    }
}

/// The lines of the next request, each with its end, and how many they are.
fn next_lines(input: &mut dyn BufRead) -> io::Result<(Vec<u8>, usize)> {
    let (mut lines, mut count) = (Vec::new(), 0);
    while count < LINES_MAX && lines.len() < BYTES_MAX {
        let begin = lines.len();
        let read = input.take(LINE_BYTES_MAX).read_until(b'\n', &mut lines)?;
        if read == 0 {
            break;
        }
        count += 1;
        if lines.last() != Some(&b'\n') {
            if u64::try_from(lines.len() - begin).unwrap_or(u64::MAX) >= LINE_BYTES_MAX {
                let text = format!("a line is longer than {LINE_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            lines.push(b'\n');
        }
    }
    Ok((lines, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_comes_once_and_requests_stay_small() {
        let long = "y".repeat(BYTES_MAX);
        let mut text = "x\n".repeat(LINES_MAX + 1);
        text.push_str(&format!("{long}\n\nlast"));
        let mut input = text.as_bytes();
        let mut counts = Vec::new();
        let mut all = Vec::new();
        loop {
            let (lines, count) = next_lines(&mut input).unwrap();
            if count == 0 {
                break;
            }
            counts.push(count);
            all.extend(lines);
        }
        assert_eq!(counts, [LINES_MAX, 2, 2]);
        assert_eq!(all, format!("{text}\n").into_bytes());
    }

    #[test]
    fn a_line_without_an_end_is_not_read_for_ever() {
        let mut input = io::BufReader::new(io::repeat(b'x'));
        let error = next_lines(&mut input).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}
