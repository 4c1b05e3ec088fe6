//! Whatever the document, verifying ends; and since nobody can forge, a part that is not what was signed is refused.
//!
//! Seeds: `tests/fuzz/seeds/signature`.

#![no_main]

use libfuzzer_sys::fuzz_target;

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|document: &[u8]| {
    // The seeds are sound; here everyone finds another part in the place of the one signed.
    match uuk_asic::verify(document, |_, algorithm| Some(algorithm.digest(b"another part"))) {
        Ok(verified) => panic!("{:?} were never signed", verified.parts),
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
