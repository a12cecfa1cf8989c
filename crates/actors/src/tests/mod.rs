//! Owns the tests that need the doors inside of this crate: small files by subject.
//!
//! Each runs a whole node over a store in memory, with a clock of its own and no sleeps: it waits
//! for events.

/// Who asks for a change.
fn me() -> sanntid_types::Actor {
    sanntid_types::Actor::server("test")
}

mod probe;
mod samples;
mod world;

mod absorbing;
mod access;
mod auditing;
mod batches;
mod configuring;
mod crashes;
mod endings;
mod erasing;
mod expiring;
mod faults;
mod interrupting;
mod jobs;
mod keeping;
mod life;
mod many;
mod moving;
mod overload;
mod pruning;
mod random;
mod refreshing;
mod rejecting;
mod scheduling;
mod simulating;
mod stopping;
mod telling;
mod uploading;
