//! Reads the files of a snapshot as typed rows, one by one and in bounded memory; writes Parquet.
//!
//! Owns which kinds of files can be read, how columns find their attributes, what makes a row
//! unreadable, and which files a folder's `snapshot.json` means.
//! Must not know stores or actors; must not load a file as a whole. What a readable
//! row means (a key seen before, a customer that nobody knows) is decided elsewhere.

mod bucket;
mod bucket_error;
mod bucket_secret;
mod buckets;
mod columns;
mod content;
mod csv_record;
mod csv_rows;
mod delta;
mod entity_file;
mod error;
mod file_error;
mod folder;
mod format;
mod input;
mod listing;
mod local_file;
mod ndjson_rows;
mod object;
mod parquet_footer;
mod parquet_groups;
mod parquet_guard;
mod parquet_header;
mod parquet_held;
mod parquet_lengths;
mod parquet_pages;
mod parquet_rows;
mod parquet_unpack;
mod parquet_value;
mod parquet_write;
mod patience;
mod place;
mod regular;
mod rows;
mod thrift;

pub use bucket::OBJECTS_LISTED_MAX;
pub use bucket_error::BucketError;
pub use bucket_secret::BucketSecret;
pub use buckets::{BucketLimits, Buckets, StopCheck};
pub use content::Content;
pub use csv_record::COLUMNS_MAX;
pub use delta::LOG_BYTES_MAX;
pub use entity_file::EntityFile;
pub use error::Error;
pub use folder::{FILES_MAX, Folder, MANIFEST_BYTES_MAX};
pub use format::{FileFormat, FileKind, Packing};
pub use input::ZSTD_WINDOW_LOG_MAX;
pub use parquet_footer::FOOTER_BYTES_MAX;
pub use parquet_guard::is_guarded;
pub use parquet_header::PAGE_BYTES_MAX;
pub use parquet_held::HELD_BYTES_MAX;
pub use parquet_rows::infer_schema;
pub use parquet_write::write_parquet;
pub use patience::Patience;
pub use place::{Found, Place};
pub use regular::open_regular;
pub use rows::{Item, ROW_BYTES_MAX, Rejection, Rows, open, open_content, open_file, open_path};
