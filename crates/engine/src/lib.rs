//! The pure core of Sanntid: validates, decides, merges and switches generations.
//!
//! Owns the semantics of real-time updates, activities and refreshes; every other crate calls it.
//! Must not do I/O, read a clock or be asynchronous: time and stored state come in as arguments,
//! decisions go out as [`Record`]s.

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
mod timeline;
mod valid_until;

pub use activity::{AppendActivity, Appended, OnUnknownCustomer, append_activity};
pub use body::document_text;
pub use overlay::{Overlay, Override};
pub use patch::{PatchProfile, Patched, patch_profile};
pub use ports::{Journal, JournalError, View, ViewError};
pub use profile::{FieldOrigin, MergedProfile, profile};
pub use project::project_row;
pub use record::{ActivityIdentity, Owner, Record, SourceActivity, StoredActivity};
pub use redirect::{Claim, compose_redirects};
pub use tenant::{EntityTable, Switch, TenantState};
pub use timeline::{TimelineEntry, TimelineQuery, timeline};
