//! Tokens that were signed with real keys, before keys that lie in a file or behind a real server.

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod provider;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod signer;
#[cfg(test)]
mod tokens;
