//! Whatever the answer of an adapter, it goes through XML and comes back as the same JSON, or has no form in XML.
//!
//! The input is an answer of `find`. Seeds: `tests/fuzz/seeds/json_to_xml`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use uuk_contract::{Contract, Limits, SoapCall};

static SMALL: LazyLock<Contract> = LazyLock::new(|| {
    Contract::read(include_bytes!("../../../host/contract/testdata/accept/small.wsdl"))
        .expect("the contract is among the accepted ones")
});

fuzz_target!(|answer: &[u8]| {
    let limits = Limits::default();
    let operation = SMALL.operation("find").expect("the contract has it");
    let Ok(answer) = operation.answer("application/json", answer.to_vec(), &limits) else { return };
    let Ok(element) = SMALL.soap_answer(operation, answer.body()) else { return };
    let envelope = format!(
        "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>{element}</e:Body></e:Envelope>"
    );
    let response = SoapCall { envelope: &envelope, attachments: &[] };
    let again = SMALL.soap_response(operation, &response, &limits).expect("what was written can be read");
    let value = |body: &[u8]| serde_json::from_slice::<Value>(body).expect("an answer is JSON");
    assert_eq!(value(again.body()), value(answer.body()));
});
