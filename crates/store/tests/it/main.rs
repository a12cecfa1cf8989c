//! Owns the store's tests: one contract for both implementations, then what only a disk can do.
//!
//! Must not sleep: a test waits for what it is about, never for time.

mod catalog;
mod conformance;
mod disk_full;
mod expiry;
mod faults;
mod kill;
mod life;
mod reclaim;
mod reopen;
mod samples;
mod staged;
mod sweep;
mod view;
