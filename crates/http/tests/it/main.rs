//! The front door as callers see it: a real server on a socket before a mock of its port.

#[cfg(test)]
mod access;
#[cfg(test)]
mod access_mock;
#[cfg(test)]
mod addresses;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod audit_mock;
#[cfg(test)]
mod batches;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod browsers;
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
mod http2;
#[cfg(test)]
mod jobs;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod people;
#[cfg(test)]
mod reads;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod server;
#[cfg(test)]
mod simulations;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod smuggling;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod workflows;
#[cfg(test)]
mod writes;
