//! Whatever the bytes, reading an envelope ends, and the hash of a request can be put into what was read.
//!
//! Seeds: `tests/fuzz/seeds/soap_message`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_message::{Soap, SoapMessage};

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    for content_type in ["text/xml", "text/xml; charset=windows-1251"] {
        match Soap::read(content_type, bytes.to_vec()) {
            Ok(Soap::Message(message)) => check(&message, content_type),
            Ok(Soap::Fault(fault)) => assert_eq!(fault.to_xml(), bytes),
            Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
        }
    }
});

fn check(message: &SoapMessage, content_type: &str) {
    let hash = message.hash();
    let bytes = message.with_request_hash(hash);
    let Ok(Soap::Message(again)) = Soap::read(content_type, bytes.clone()) else {
        panic!("cannot be read with a hash: {}", String::from_utf8_lossy(&bytes));
    };
    message.check_response(&again).expect("the hash changes nothing else");
    message.check_hash(&again).expect("the hash is there");
}
