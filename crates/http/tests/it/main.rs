//! The front door as callers see it: a real server on a socket before a mock of its port.

#[cfg(test)]
mod addresses;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod client;
#[cfg(test)]
mod configuring;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod errors;
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
mod stored;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod writes;
