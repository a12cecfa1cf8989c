//! The front door as callers see it: a real server on a socket before a mock of its port.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod bulk_streams;
#[cfg(test)]
mod bulks;
#[cfg(test)]
mod client;
mod clock;
#[cfg(test)]
mod configuring;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod exports;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod server;
#[cfg(test)]
mod simulations;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod workflows;
#[cfg(test)]
mod writes;
