//! Says of itself that it is not fit.

use uuk_adapter::probe::{Depth, Finding};

uuk_test_components::component!(probe = unfit);

fn unfit(_depth: Depth) -> Vec<Finding> {
    vec![Finding { check: "fitness".to_owned(), ok: false, detail: "unfit by design".to_owned() }]
}
