//! Tests of the whole house. One binary, so that the heavy crates are linked once.

mod tidy;
