//! The REST front door: routes, authentication, limits, error mapping and the OpenAPI document.
//!
//! Owns what stands on the wire. It knows [`sanntid_engine::Tenants`] alone: must not know where
//! an instance lives, how it is stored, or decide what a request means for its data.

mod activities;
mod audit;
mod authorize;
mod batch;
mod body;
mod bulk;
mod caller;
mod card;
mod clock;
mod config;
mod connection;
mod cors;
mod csv_file;
mod data_read;
mod data_sources;
mod duration;
mod entities;
mod error;
mod export;
mod export_rows;
mod head;
mod headers;
mod instances;
mod job_model;
mod jobs;
mod key;
mod keys;
mod limits;
mod listen;
mod meta;
mod metadata;
mod observe;
mod openapi;
mod person;
mod places;
mod profile;
mod query;
mod rbac;
mod realtime;
mod relations;
mod render;
mod reply;
mod request;
mod routes;
mod schedules;
mod schemas;
mod segments;
mod server;
mod simulations;
mod snapshots;
mod tls;
mod token;
mod unserved;
mod workflows;
mod write;

pub use config::{Config, ConfigError};
pub use key::AdminKey;
pub use openapi::document;
pub use server::{Front, Server, Stopper, serve};
pub use tls::{Tls, TlsError};
