//! Owns the store's tests: one contract for both implementations, then what only a disk can do.
//!
//! Must not sleep: a test waits for what it is about, never for time.

mod absorbed;
mod audit;
mod catalog;
mod conformance;
mod corrupt;
mod disk_full;
mod expiry;
mod faults;
mod fixtures;
mod generations;
mod kill;
mod life;
mod loading;
mod prune;
mod reclaim;
mod reopen;
mod samples;
mod staged;
mod sweep;
mod torn;
mod view;
