//! Never finishes saying whether it is fit.

use uuk_adapter::probe::{Depth, Finding};

uuk_test_components::component!(probe = loop_forever);

fn loop_forever(_depth: Depth) -> Vec<Finding> {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}
