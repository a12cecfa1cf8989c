//! Tests of the binary as a child process, and of its client against a server that misbehaves.

#[cfg(test)]
mod access;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod bulk;
#[cfg(test)]
mod child;
#[cfg(test)]
mod client;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod life;
#[cfg(test)]
mod quiet;
#[cfg(test)]
mod tls;
