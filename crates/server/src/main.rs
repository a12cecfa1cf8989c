//! The binary `sanntid`.

fn main() {}
