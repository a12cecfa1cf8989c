//! Owns the life of tenants.
