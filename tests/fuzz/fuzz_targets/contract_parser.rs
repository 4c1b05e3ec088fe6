//! Whatever the bytes, reading a contract ends, with a contract or with an error of bounded length.
//!
//! Seeds: `host/contract/testdata/accept` and the folders of `host/contract/testdata/refuse`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_contract::Contract;

const ERROR_BYTES_MAX: usize = 4096;

fuzz_target!(|document: &[u8]| {
    match Contract::from_openapi(document) {
        Ok(contract) => assert!(!contract.operations().is_empty()),
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
