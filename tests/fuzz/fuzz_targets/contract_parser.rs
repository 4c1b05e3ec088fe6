//! Whatever the bytes, reading a contract ends, with a contract or with an error of bounded length: OpenAPI, or WSDL if
//! they begin with `<`. What was read as one can be said as the other.
//!
//! Seeds: `host/contract/testdata/accept` and the folders of `host/contract/testdata/refuse`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_contract::Contract;

const ERROR_BYTES_MAX: usize = 4096;

fuzz_target!(|document: &[u8]| {
    match Contract::read(document) {
        Ok(contract) => {
            assert!(!contract.operations().is_empty());
            let again = Contract::from_openapi(&contract.openapi().1).expect("what was read can be read again");
            assert_eq!(again.operations().len(), contract.operations().len());
            contract.wsdl("http://localhost/");
        }
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
