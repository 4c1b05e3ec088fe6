//! Whatever the bytes, reading OCSP answers of another server ends, and what was read is read again when written.
//!
//! Seeds: `tests/fuzz/seeds/ocsp_answers`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_message::{Limits, OcspAnswers};

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let content_type = OcspAnswers::content_type("B");
    match OcspAnswers::read(&content_type, bytes, &limits) {
        Ok(answers) => {
            assert!(answers.0.len() <= limits.ocsp_responses_max);
            // An answer that was read has no line that begins with its own boundary.
            let again = OcspAnswers::read(&content_type, &answers.write("B"), &limits);
            assert_eq!(again.expect("what was written can be read"), answers);
        }
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
