//! Owns the handle to the open files and who uses it, so that it can be swapped under its users.
//!
//! Must not know what the handle is.

use std::{sync::Arc, time::Duration};

use parking_lot::{Condvar, Mutex};

use crate::error::{Error, Result};

pub(crate) enum Handle<T> {
    Open(Arc<T>),
    Reopening,
    Closed,
}

struct State<T> {
    handle: Handle<T>,
    leases: usize,
    draining: bool,
}

/// Hands out leases of a handle and can wait until all are back.
pub(crate) struct Gate<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

/// The right to use the handle; the handle is not closed while one exists.
pub(crate) struct Lease<T> {
    gate: Arc<Gate<T>>,
    // Empty only while the lease is being dropped.
    handle: Option<Arc<T>>,
}

impl<T> Gate<T> {
    pub(crate) fn new(handle: T) -> Arc<Self> {
        let handle = Handle::Open(Arc::new(handle));
        Arc::new(Self {
            state: Mutex::new(State {
                handle,
                leases: 0,
                draining: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Takes a lease; while the handle is being drained, waits for the outcome.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Lease<T>> {
        let mut state = self.state.lock();
        self.changed.wait_while(&mut state, |state| state.draining);
        let handle = match &state.handle {
            Handle::Open(handle) => Arc::clone(handle),
            Handle::Reopening => return Err(Error::Reopening),
            Handle::Closed => return Err(Error::Closed),
        };
        state.leases += 1;
        Ok(Lease {
            gate: Arc::clone(self),
            handle: Some(handle),
        })
    }

    /// Tells what the gate would answer, without taking part.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.state.lock().handle {
            Handle::Open(_) => Ok(()),
            Handle::Reopening => Err(Error::Reopening),
            Handle::Closed => Err(Error::Closed),
        }
    }

    /// Takes the handle out and puts `instead` in its place once no lease exists; gives up after
    /// `patience`, because a reader may be slow or the caller itself may hold a lease.
    pub(crate) fn take(&self, instead: Handle<T>, patience: Duration) -> Option<Arc<T>> {
        let mut state = self.state.lock();
        state.draining = true;
        let waited = self
            .changed
            .wait_while_for(&mut state, |state| state.leases > 0, patience);
        let taken = if waited.timed_out() && state.leases > 0 {
            None
        } else {
            match std::mem::replace(&mut state.handle, instead) {
                Handle::Open(handle) => Some(handle),
                Handle::Reopening | Handle::Closed => None,
            }
        };
        state.draining = false;
        drop(state);
        self.changed.notify_all();
        taken
    }

    /// Puts a new handle in, unless the gate was closed meanwhile.
    pub(crate) fn put(&self, handle: T) {
        let mut state = self.state.lock();
        if matches!(state.handle, Handle::Reopening) {
            state.handle = Handle::Open(Arc::new(handle));
        }
    }
}

impl<T> Lease<T> {
    pub(crate) fn get(&self) -> &T {
        self.handle
            .as_deref()
            .expect("a lease keeps its handle until it is dropped")
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        // The reference goes first: who waits for the last lease relies on holding the last one.
        self.handle = None;
        self.gate.state.lock().leases -= 1;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_keeps_the_handle_and_its_return_lets_it_go() {
        let gate = Gate::new(7_u8);
        let lease = gate.enter().unwrap();
        assert!(
            gate.take(Handle::Reopening, Duration::from_millis(1))
                .is_none()
        );
        assert_eq!(
            *gate.enter().unwrap().get(),
            7,
            "a failed drain leaves the handle in place"
        );
        drop(lease);
        let handle = gate
            .take(Handle::Reopening, Duration::from_millis(1))
            .unwrap();
        assert_eq!(Arc::strong_count(&handle), 1);
        assert!(matches!(gate.enter(), Err(Error::Reopening)));
        gate.put(8);
        assert_eq!(*gate.enter().unwrap().get(), 8);
    }
}
