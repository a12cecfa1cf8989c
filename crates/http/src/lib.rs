//! Owns the REST front door.
