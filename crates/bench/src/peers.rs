//! Owns the peers: other programs that do about the same work, where their addresses are given.
//! Must not start or stop them: scripts do so, and say with which settings.

pub(crate) mod postgres;
pub(crate) mod redis;
pub(crate) mod restate;
