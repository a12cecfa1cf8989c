//! Owns durable storage: an ordered key-value contract, its durable and in-memory implementations.
//!
//! Must not decide anything about profiles or events, and must not be asynchronous.
//!
//! *Invariant:* a commit is synced before anyone can see it.
//! *Invariant:* after a failed write nothing is accepted until the files have been re-read, and
//! whatever is readable then is durable.
//! *Invariant:* there is no space, file or thread per tenant, and no thread of this crate's own.

mod absorbed;
mod audit_prune;
pub mod catalog;
mod codec;
mod config;
mod count;
mod erased;
mod error;
mod expiry;
mod faulty_kv;
mod files;
mod fjall_kv;
mod fjall_open;
mod gate;
mod journal;
mod key;
mod kv;
mod memory_kv;
mod prune;
mod push;
mod reclaim;
mod row_place;
mod sorter;
mod staged;
mod sweep;
mod table;
mod view;
mod view_all;

pub use audit_prune::{AuditLimits, AuditPruner};
pub use config::Config;
pub use count::Counter;
pub use erased::{EraseBudget, Eraser};
pub use error::{Error, Result};
pub use expiry::Expiry;
pub use faulty_kv::{Fault, FaultyKv};
pub use fjall_kv::FjallKv;
pub use kv::{
    Entries, Epoch, Health, KEY_BYTES_MAX, Kv, Op, Order, Progress, Records, Snapshot, Space,
    WriteBatch, prefix_end,
};
pub use memory_kv::MemoryKv;
pub use prune::Pruner;
pub use reclaim::{Fate, Reclaim};
pub use staged::{Staged, StagedSnapshot};
pub use sweep::{Sweeper, sweep};
pub use table::{Loader, TableRecord, records, records_after};
pub use view::TenantView;
