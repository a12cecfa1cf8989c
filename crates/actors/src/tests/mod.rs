//! Owns the tests that need the doors inside of this crate: small files by subject.
//!
//! Each runs a whole node over a store in memory, with a clock of its own and no sleeps: it waits
//! for events.

mod probe;
mod world;

mod batches;
mod configuring;
mod crashes;
mod endings;
mod faults;
mod jobs;
mod life;
mod overload;
mod random;
mod refreshing;
mod uploading;
