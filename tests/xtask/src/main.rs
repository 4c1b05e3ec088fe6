//! Project tasks: demo, test, bench, layers, plugins.

fn main() {}
