//! Whatever the documents, a message's signature is refused if no authority is approved, and a time-stamp put into it
//! leaves a signature that can be read.
//!
//! The input is a signature, a result and a chain, a zero byte between each two. Seeds:
//! `tests/fuzz/seeds/message_signature`.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use uuk_asic::{
    ChainDocuments, MessagePart, PartContent, PendingTimeStamp, SignatureDocuments, Stamped, verify_message,
};
use uuk_identifiers::MemberId;
use uuk_pki::Authorities;

const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|input: &[u8]| {
    let mut documents = input.splitn(3, |byte| *byte == 0).map(<[u8]>::to_vec);
    let signatures = documents.next().unwrap_or_default();
    let hash_chain =
        documents.next().map(|result| ChainDocuments { result, chain: documents.next().unwrap_or_default() });
    if let Ok(Some(pending)) = PendingTimeStamp::new(&[&signatures])
        && let Ok(stamped) = pending.complete(b"token")
    {
        let [Stamped::Inside(signatures)] = stamped.as_slice() else { panic!("one signature was stamped") };
        assert!(PendingTimeStamp::new(&[signatures]).is_ok());
    }

    // The message of the seeds, so that only the certificate is left to be refused.
    let parts = [MessagePart::message(PartContent::Bytes(b"message"))];
    let sender = MemberId { instance: "DEV".into(), class: "COM".into(), code: "4321".into() };
    let nobody = Authorities {
        certification: Vec::new(),
        time_stamping: Vec::new(),
        ocsp_freshness: Duration::ZERO,
        verify_next_update: true,
    };
    let documents = SignatureDocuments { signatures: signatures.into(), hash_chain };
    match verify_message(&documents, &parts, &sender, &nobody, jiff::Timestamp::UNIX_EPOCH) {
        Ok(_) => panic!("nobody was approved"),
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
});
