//! The core as its users see it.

#[cfg(test)]
mod effects;
#[cfg(test)]
mod history;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod rules;
