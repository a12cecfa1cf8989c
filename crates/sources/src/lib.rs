//! Reads the files of a snapshot as typed rows, one by one and in bounded memory.
//!
//! Owns which kinds of files can be read, how columns find their attributes, what makes a row
//! unreadable, and which files a folder's `snapshot.json` means.
//! Must not know stores, actors or the network; must not load a file as a whole. What a readable
//! row means (a key seen before, a customer that nobody knows) is decided elsewhere.

mod columns;
mod csv_record;
mod csv_rows;
mod error;
mod folder;
mod format;
mod input;
mod ndjson_rows;
mod parquet_rows;
mod parquet_value;
mod rows;

pub use csv_record::COLUMNS_MAX;
pub use error::Error;
pub use folder::{EntityFile, FILES_MAX, Folder, MANIFEST_BYTES_MAX};
pub use format::{FileFormat, FileKind, Packing};
pub use input::ZSTD_WINDOW_LOG_MAX;
pub use parquet_rows::{FOOTER_BYTES_MAX, infer_schema};
pub use rows::{Item, ROW_BYTES_MAX, Rejection, Rows, open, open_file};
