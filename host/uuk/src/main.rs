//! A security server whose adapters are WebAssembly plugins.

fn main() {}
