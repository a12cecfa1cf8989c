//! Owns the life of tenants: one supervised actor for each instance in use, refreshes beside them.
//!
//! `Node` implements [`sanntid_engine::Tenants`]. Must not decide what a write means (`engine`) nor
//! how it is kept (`store`).
//!
//! *Invariant:* an instance has one owner at most; state changes in its tenant's synchronous code
//! only.
//! *Invariant:* nobody is answered before the commit that the answer rests on.
//! *Invariant:* reads don't visit the actor, and an idle tenant needs no memory.

mod access;
mod audit;
mod buckets;
mod config;
mod erase;
mod instances;
mod many;
mod node;
mod outcome;
mod port;
mod published;
mod refresh;
mod registry;
mod running;
mod schedule;
mod shard;
mod sources;
mod tenant;
mod upkeep;
mod uploads;
mod usage;

#[cfg(test)]
mod tests;

pub use config::{Config, ConfigError};
pub use node::Node;
