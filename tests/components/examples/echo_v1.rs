//! The honest adapter, first version.

uuk_test_components::echo!("1.0.0");
