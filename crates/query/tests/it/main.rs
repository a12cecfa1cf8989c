//! Reads as a front door asks for them, against state kept in plain maps.

#[cfg(test)]
mod access;
#[cfg(test)]
mod activities;
#[cfg(test)]
mod cards;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod errors;
#[cfg(test)]
mod expand;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod metadata;
#[cfg(test)]
mod paging_activities;
#[cfg(test)]
mod paging_customers;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod tables;
#[cfg(test)]
mod timelines;
#[cfg(test)]
mod tokens;
