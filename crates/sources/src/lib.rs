//! Snapshot readers.
