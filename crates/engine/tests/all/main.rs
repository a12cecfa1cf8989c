//! Profiles and activities together, against a naive model that recomputes every read.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod entities;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod model;
#[cfg(test)]
mod run;
#[cfg(test)]
mod steps;
#[cfg(test)]
mod stored;
