//! The pure core of Sanntid: validates, decides, merges and switches generations.
//!
//! Owns the semantics of real-time updates, activities and refreshes; every other crate calls it.
//! Must not do I/O, read a clock or wait for anything: time and stored state come in as arguments,
//! decisions go out as [`Record`]s. `tenants` is the port that front doors call.

mod activity;
mod activity_body;
mod body;
mod identity;
mod overlay;
mod patch;
mod ports;
mod profile;
mod project;
mod record;
mod redirect;
mod tenant;
mod tenants;
mod timeline;
mod valid_until;

pub use activity::{AppendActivity, Appended, OnUnknownCustomer, append_activity};
pub use body::document_text;
pub use overlay::{Overlay, Override};
pub use patch::{PatchProfile, Patched, patch_profile};
pub use ports::{View, ViewError};
pub use profile::{FieldOrigin, MergedProfile, profile};
pub use project::project_row;
pub use record::{ActivityIdentity, Owner, Record, SourceActivity, StoredActivity};
pub use redirect::{Claim, compose_redirects};
pub use tenant::{EntityTable, Switch, TenantState};
pub use tenants::{
    ActivitiesAnswer, AppendAnswer, AppendCall, CallError, JobRequest, Later, NewInstance,
    PartFormat, PartKind, PartSink, PatchAnswer, PatchCall, Readiness, Reading, Snapshot,
    SnapshotState, Tenants,
};
pub use timeline::{RealtimeOrigin, TimelineEntry, TimelineQuery, timeline};
