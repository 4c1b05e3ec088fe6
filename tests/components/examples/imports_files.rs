//! Imports the file system, which no adapter gets.

use uuk_adapter::probe::{Depth, Finding};

uuk_test_components::component!(probe = read);

fn read(_depth: Depth) -> Vec<Finding> {
    let result = std::fs::read_to_string("/etc/passwd");
    vec![Finding { check: "read".to_owned(), ok: result.is_ok(), detail: format!("{result:?}") }]
}
