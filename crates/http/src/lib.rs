//! The REST front door: routes, authentication, limits, error mapping and the OpenAPI document.
//!
//! Owns what stands on the wire. It knows [`sanntid_engine::Tenants`] alone: must not know where
//! an instance lives, how it is stored, or decide what a request means for its data.

mod activities;
mod batch;
mod body;
mod bulk;
mod card;
mod clock;
mod config;
mod csv_file;
mod data_read;
mod data_sources;
mod duration;
mod entities;
mod error;
mod export;
mod export_rows;
mod instances;
mod job_model;
mod jobs;
mod key;
mod meta;
mod metadata;
mod observe;
mod openapi;
mod profile;
mod query;
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
mod unserved;
mod workflows;
mod write;

pub use config::{Config, ConfigError};
pub use key::AdminKey;
pub use openapi::document;
pub use server::{Front, Server, Stopper, serve};
