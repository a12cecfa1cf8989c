//! Owns the store's tests: one contract for both implementations, then what only a disk can do.
//!
//! Must not sleep: a test waits for what it is about, never for time.

mod conformance;
mod disk_full;
mod faults;
mod kill;
mod reclaim;
mod reopen;
