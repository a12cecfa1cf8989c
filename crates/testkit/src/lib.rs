//! Owns what whole-server tests share: servers to talk to, a clock to set, a client, small input.
//!
//! The servers are the real thing on a real port; only the clock can be a simulated one. Must not
//! know what is right: tests do.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what goes wrong here fails the test that uses it"
)]

mod child;
mod client;
mod clock;
mod hold;
mod log;
mod provider;
mod sample;
mod server;

pub use child::{ChildServer, serve_if_marked};
pub use client::{Answer, Http};
pub use clock::SimulatedClock;
pub use log::log_everything;
pub use provider::IdentityProvider;
pub use sample::{Sample, contoso_folder, wait_for_job};
pub use server::{KEY, TestServer};
