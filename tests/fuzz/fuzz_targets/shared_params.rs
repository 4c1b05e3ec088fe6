//! Whatever the bytes, reading shared parameters ends with a short error or with parameters that, written and read
//! again, are written the same.
//!
//! The first byte says the version. Seeds: `tests/fuzz/seeds/shared_params`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_globalconf::{SharedParameters, Version};

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let Some((version, file)) = bytes.split_first() else { return };
    let version = Version::NEWEST_FIRST[usize::from(*version) % Version::NEWEST_FIRST.len()];
    match SharedParameters::read(file, version) {
        Ok(parameters) => {
            let written = parameters.write().expect("what servers refer to was found");
            let again =
                SharedParameters::read(written.as_bytes(), version).expect("what was written is read");
            assert_eq!(again.write().as_ref(), Ok(&written));
        }
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
