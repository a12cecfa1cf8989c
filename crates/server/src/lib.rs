//! Owns the wiring of the server.
