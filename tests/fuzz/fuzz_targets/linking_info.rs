//! Whatever the bytes, reading linking information ends, and what was read is written back the same.
//!
//! Seeds: `tests/fuzz/seeds/linking_info`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_asic::LinkingInfo;

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    match LinkingInfo::read(bytes) {
        Ok(info) => {
            let written = info.write();
            assert_eq!(LinkingInfo::read(written.as_bytes()).expect("it was just written"), info);
            // Nothing is in the archive: only an empty list fits.
            assert_eq!(info.verify(None, []).is_ok(), info.entries.is_empty());
        }
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
