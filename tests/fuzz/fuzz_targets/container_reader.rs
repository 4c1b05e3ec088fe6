//! Whatever the bytes, reading a container ends within its limits, and what was read can be written and read again.
//!
//! Seeds: `tests/fuzz/seeds/container_reader`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_asic::{Container, Limits, Profile};

const ERROR_BYTES_MAX: usize = 1024;

/// Small, so that a bomb shows as memory used and not as time spent.
const LIMITS: Limits = Limits {
    container_bytes_max: 1 << 20,
    entries_max: 64,
    entry_bytes_max: 1 << 20,
    content_bytes_max: 2 << 20,
    compression_ratio_max: 200,
};

fuzz_target!(|bytes: &[u8]| {
    for profile in [Profile::bundle(), Profile::message()] {
        match Container::read(bytes, &Profile { limits: LIMITS, ..profile }) {
            Ok(container) => check(&container),
            Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
        }
    }
});

fn check(container: &Container) {
    let content_bytes: usize = container.entries().iter().map(|entry| entry.bytes.len()).sum();
    assert!(content_bytes <= LIMITS.content_bytes_max);
    let others = container.entries().iter().filter(|entry| entry.name.as_str() != "mimetype").cloned();
    let again = Container::new(others).expect("names that were read are unique");
    let mut profile = Profile::message();
    profile.required = &[];
    assert_eq!(Container::read(&again.write(), &profile).expect("what was written is sound"), again);
}
