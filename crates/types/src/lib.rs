//! The vocabulary of Sanntid: ids, time, values, schema, commands and error codes.
//!
//! Owns the words that every other crate speaks (`docs/GLOSSARY.md`) and their parsing: a value of
//! one of these types is valid by construction.
//! Must not do I/O, read a clock, or know how anything is stored or sent.

mod access;
mod activity;
mod audit;
mod data_source;
mod edm;
mod error;
mod id;
mod instance;
mod instant;
mod job;
mod limits;
mod literal;
mod manifest;
mod number;
mod row;
mod row_file;
mod scalar;
mod schedule;
mod schema;
mod secret;
mod settings;
mod simulation;
mod time_text;

pub use access::{
    Actor, ApiKey, ApiKeys, Assignment, InstanceAccess, InstanceLimits, KeySlot, PrincipalId,
    PrincipalType, Principals, Role,
};
pub use activity::{ActivityConfig, ActivityState, Relationship, UnifiedActivity};
pub use audit::{AuditNote, AuditOutcome, AuditRecord};
pub use data_source::{
    BucketLocation, BucketService, DataSource, DataSourceSpec, Location, Origin, RefreshRequest,
    SourceRefresh, SourceState,
};
pub use edm::EdmType;
pub use error::{Detail, Error, ErrorCode, Result, Retry};
pub use id::{
    ActivityId, AuditId, CallerName, DataSourceId, EntityName, Generation, Incarnation, InstanceId,
    JobId, Position, ProfileId, ScheduleId, SnapshotId, TableId,
};
pub use instance::{InstanceInfo, InstanceName, InstanceType};
pub use instant::{Clock, Instant};
pub use job::{
    Job, JobKind, JobReport, JobStatus, JobSubmission, RejectionKind, RowRejection, Stage,
    StageName,
};
pub use limits::{BYTES_PER_SECOND_MIN, LimitKind, LimitName, Limits, Usage};
pub use literal::{Literal, LiteralError, scalar_of};
pub use manifest::{CUSTOMER, Manifest, ManifestAttribute, ManifestEntity, UNIFIED_ACTIVITY};
pub use number::Number;
pub use row::{Row, RowBuilder};
pub use row_file::{OpenRowFile, RowFile};
pub use scalar::Scalar;
pub use schedule::{Schedule, ScheduleRecord, Timezone};
pub use schema::{AlternateKey, Attribute, AttributeRole, EntitySchema, EntityType};
pub use secret::Secret;
pub use settings::{RefreshClears, Settings};
pub use simulation::{ClearedField, DryRun, SIMULATION_SECS_MAX, Simulation, SimulationRequest};
