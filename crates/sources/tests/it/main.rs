//! The readers from outside: bytes and folders in, rows, rejections and errors out.

mod contoso;
mod csv_files;
mod csv_limits;
mod folders;
mod gzip;
mod ndjson_files;
mod parquet_corrupt;
mod parquet_files;
mod properties;
mod reading;
mod zstd_files;
