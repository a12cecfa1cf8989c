//! Whole-server tests, and checks on the repository itself. One binary.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what goes wrong here fails a test"
)]

mod bad_input;
mod bulk;
mod bulk_kill;
mod contoso;
mod copying;
mod data_sources;
mod disk_full;
mod exporting;
mod instances;
mod kill;
mod kill_refresh;
mod main_job;
mod pushing;
mod reads;
mod refresh_faults;
mod refreshes;
mod schedules;
mod shutdown;
mod simulating;
mod tables;
mod tidy;
mod uploading;
