//! The readers from outside: bytes and folders in, rows, rejections and errors out.

mod buckets;
mod contoso;
mod csv_files;
mod csv_limits;
mod delta_deletions;
mod delta_refused;
mod delta_tables;
mod delta_writing;
mod folders;
mod gzip;
mod ndjson_files;
mod parquet_corrupt;
mod parquet_files;
mod parquet_writing;
mod properties;
mod reading;
mod s3_server;
mod zstd_files;
