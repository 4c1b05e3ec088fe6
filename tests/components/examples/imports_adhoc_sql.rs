//! Imports free SQL, which its manifest does not ask for.

use uuk_adapter::probe::{Depth, Finding};
use uuk_adapter::sql_adhoc;

uuk_test_components::component!(probe = query);

fn query(_depth: Depth) -> Vec<Finding> {
    let result = sql_adhoc::query("registry", "SELECT 1; DROP TABLE visits", &[]);
    vec![Finding { check: "query".to_owned(), ok: result.is_ok(), detail: format!("{result:?}") }]
}
