//! Whatever the documents, following a hash chain ends; and if it is accepted, it stands for the message.
//!
//! The input is a result and a chain, a zero byte between them. Seeds: `tests/fuzz/seeds/hash_chain`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_asic::{ChainNames, verify_hash_chain};

const ERROR_BYTES_MAX: usize = 1024;
const MESSAGE: &str = "/message.xml";

fuzz_target!(|input: &[u8]| {
    let mut documents = input.splitn(2, |byte| *byte == 0);
    let result = documents.next().unwrap_or_default();
    let chain = documents.next().unwrap_or_default();
    let chains = [(ChainNames::SIGNATURE.chain, chain)];
    // The message of the seeds.
    let covered = verify_hash_chain(result, &chains, &[MESSAGE], |uri, algorithm| {
        (uri == MESSAGE).then(|| algorithm.digest(b"message"))
    });
    match covered {
        Ok(parts) => assert!(parts.iter().any(|part| part.seen && part.uri == MESSAGE)),
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
