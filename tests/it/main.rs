//! Whole-server tests, and checks on the repository itself. One binary.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what goes wrong here fails a test"
)]

mod absurd;
mod access;
mod audit;
mod bad_input;
mod bulk;
mod bulk_kill;
mod contoso;
mod copying;
mod data_sources;
mod dependencies;
mod disk_full;
mod exporting;
mod failing_folder;
mod hanging_bucket;
mod instances;
mod isolation;
mod kill;
mod kill_refresh;
mod limits;
mod main_job;
mod people;
mod pushing;
mod reads;
mod refresh_faults;
mod refreshes;
mod schedules;
mod secrets;
mod shutdown;
mod simulating;
mod tables;
mod tidy;
mod tokens;
mod uploading;
