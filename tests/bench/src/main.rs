//! Whole-path benchmarks.

fn main() {}
