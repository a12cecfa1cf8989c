//! How a file that can't be read at present is waited for. Owns which errors may pass and how often
//! a read is tried again. Must not decide how long a wait is, nor what ends it: whoever reads does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;

use crate::Error;
use crate::file_error::FileError;

/// Waits so long before another attempt, and says whether there is to be one.
type Wait = Arc<dyn Fn(Duration, &dyn fmt::Display) -> bool + Send + Sync>;

/// Says how a file is waited for that can't be read at present. Cheap to clone.
#[derive(Clone)]
pub struct Patience {
    delays: &'static [Duration],
    wait: Wait,
}

impl Patience {
    /// Tries again after each of `delays`, counted anew with each read that succeeds. `wait` is told
    /// the delay and the error, and says whether it is to be tried again.
    pub fn new(
        delays: &'static [Duration],
        wait: impl Fn(Duration, &dyn fmt::Display) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            delays,
            wait: Arc::new(wait),
        }
    }

    /// Tries once.
    pub fn none() -> Self {
        Self::new(&[], |_, _| false)
    }

    /// Opens until it succeeds or there is no hope for it.
    ///
    /// # Errors
    /// Those of the last attempt. What was waited for further below is not waited for again.
    pub fn opened<T>(&self, mut open: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut failures = 0;
        loop {
            match open() {
                Err(error) if error.may_pass() && self.waits(failures, &error) => failures += 1,
                Err(error) => return Err(error.after(failures)),
                opened => return opened,
            }
        }
    }

    /// Reads until it succeeds or there is no hope for it; an attempt is told how many failed.
    pub(crate) fn read<T>(&self, mut read: impl FnMut(usize) -> io::Result<T>) -> io::Result<T> {
        let mut failures = 0;
        loop {
            match read(failures) {
                Err(error) if may_pass(&error) && self.waits(failures, &error) => failures += 1,
                Err(error) if failures > 0 && may_pass(&error) => {
                    return Err(FileError::failing(&error, failures + 1).into());
                }
                outcome => return outcome,
            }
        }
    }

    fn waits(&self, failures: usize, error: &dyn fmt::Display) -> bool {
        let delay = self.delays.get(failures);
        delay.is_some_and(|delay| (self.wait)(*delay, error))
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Patience").field(&self.delays).finish()
    }
}

/// Whether an error of the system may be gone at the next attempt.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    let kind = matches!(
        error.kind(),
        io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::WouldBlock
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    );
    // What a network's folder says of a server that does not answer has no kind of its own.
    let number = error.raw_os_error();
    let of_device = [Errno::IO, Errno::REMOTEIO].map(|errno| Some(errno.raw_os_error()));
    kind || of_device.contains(&number)
}
