//! A file of rows in the making: what an export writes without knowing the file's format.
//! Owns the port; the formats are elsewhere.

use std::sync::Arc;

use crate::{EntitySchema, Error, Row};

/// Makes one file of rows, piece by piece and in bounded memory.
pub trait RowFile: Send {
    /// Adds a row, whose values stand in the order of the schema's attributes.
    fn push(&mut self, row: &Row) -> Result<(), Error>;

    /// Takes the bytes that are ready; there may be none for many rows.
    fn take(&mut self) -> Vec<u8>;

    /// Ends the file; gives the bytes that were not taken.
    fn finish(self: Box<Self>) -> Result<Vec<u8>, Error>;
}

/// Begins a file for rows of this schema.
pub type OpenRowFile = fn(&Arc<EntitySchema>) -> Result<Box<dyn RowFile>, Error>;
