//! Activities: appending them and reading timelines, against state kept in plain maps.

#[cfg(test)]
mod accepting;
#[cfg(test)]
mod configuring;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod history;
#[cfg(test)]
mod instance;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod reading;
#[cfg(test)]
mod repeats;
