//! The pure core of Sanntid: validates, decides, merges and switches generations.
//!
//! Owns the semantics of real-time updates, activities and refreshes; every other crate calls it.
//! Must not do I/O, read a clock or wait for anything: time and stored state come in as arguments,
//! decisions go out as [`Record`]s. `tenants` is the port that front doors call.

mod access;
mod activity;
mod activity_body;
mod activity_config;
mod activity_counts;
mod audit;
mod body;
mod effect;
mod erase;
mod identity;
mod key_ring;
mod overlay;
mod owner;
mod patch;
mod ports;
mod problems;
mod profile;
mod project;
mod record;
mod redirect;
mod tenant;
mod tenants;
mod timeline;
mod usage;
mod valid_until;

pub use access::{Access, NewKey, TokenRefusal, Tokens, key_hash};
pub use activity::{AppendActivity, Appended, OnUnknownCustomer, append_activity};
pub use activity_config::{check_activities, is_pending, needs_reprojection};
pub use activity_counts::{ActivityTypeCount, activity_counts};
pub use audit::{Audit, AuditLog, AuditPage, AuditPlace, AuditQuery, RefusedAttempt};
pub use body::document_text;
pub use effect::{OverlayEffect, cleared_fields, overlay_effect};
pub use erase::{ERASURES_MAX, Erased, Erasure, Person, person, unmatched_reason};
pub use key_ring::{KeyRing, KeyRingEntry, key_members, key_ring};
pub use overlay::{Overlay, Override};
pub use owner::owner_profile;
pub use patch::{PatchProfile, Patched, patch_profile};
pub use ports::{View, ViewError};
pub use profile::{FieldOrigin, MergedProfile, absorbed_row, merged, profile, view_error};
pub use project::{key_text, project_row};
pub use record::{ActivityIdentity, Owner, Record, SourceActivity, SourceContent, StoredActivity};
pub use redirect::{Claim, compose_redirects};
pub use tenant::{EntityTable, Switch, TenantState};
pub use tenants::{
    ActivitiesAnswer, AppendAnswer, AppendCall, ArrivedPart, CallError, ClockState, JobRequest,
    Later, NewInstance, OpenSnapshot, PartFormat, PartPacking, PartSink, PatchAnswer, PatchCall,
    Readiness, Reading, Snapshot, SnapshotState, Tenants, WriteCall, Written,
};
pub use timeline::{RealtimeOrigin, TimelineEntry, TimelineQuery, timeline};
pub use valid_until::parse_valid_until;
