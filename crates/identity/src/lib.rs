//! Tells whom an identity provider (OpenID Connect) vouches for.
//!
//! Owns signed tokens: the provider's public keys, how they are had and renewed, which tokens are
//! good, and whom their claims name. It implements [`sanntid_engine::Tokens`].
//! Must not know HTTP requests or instances, nor decide what a principal may do.

mod cache;
mod claims;
mod config;
mod crypto;
mod keys;
mod renewal;
mod source;
mod verifier;

pub use config::{Algorithm, Config, ConfigError};
pub use verifier::{StartError, Verifier};
