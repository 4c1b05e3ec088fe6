//! Whatever the XML, it becomes a document that fits its operation, or a refusal. What became one comes back from XML as
//! the same.
//!
//! The input is an envelope. Seeds: `tests/fuzz/seeds/soap_body`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use uuk_contract::{Contract, Limits, SoapCall};

static SMALL: LazyLock<Contract> = LazyLock::new(|| {
    Contract::read(include_bytes!("../../../host/contract/testdata/accept/small.wsdl"))
        .expect("the contract is among the accepted ones")
});

fuzz_target!(|envelope: &str| {
    let limits = Limits::default();
    let call = SoapCall { envelope, attachments: &[("a", b"attached")] };
    let Ok((operation, document)) = SMALL.soap_document(&call, &limits) else { return };
    let element = SMALL.soap_request(operation, &document).expect("a document fits its types");
    let envelope = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{element}</e:Body></e:Envelope>"
    );
    let call = SoapCall { envelope: &envelope, attachments: &[] };
    let (_, again) = SMALL.soap_document(&call, &limits).expect("what was written can be read");
    assert_eq!(again, document);
});
