//! The honest adapter, second version.

uuk_test_components::echo!("2.0.0");
