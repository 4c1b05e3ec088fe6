//! Whatever a mapping says and whatever comes, reading it ends with a mapping or a refusal of bounded length, and an answer
//! is JSON or a refusal that quotes nothing of what came.
//!
//! Seeds: `plugins/declarative/testdata`. What follows a line `---` is the document that comes, if there is such a line.

#![no_main]

use declarative::{CodeTables, Declared, Members, Node, Operation, Scope, check, write_answer};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

const DOCUMENT: &str = r#"{"pin":"17","born":"31.12.1999","sum":12.50,"plate":null,"items":[{"id":1},[]],"status":203}"#;
/// A key is quoted whole, and escaped; the file is bounded by the host.
const REFUSAL_BYTES_MAX: usize = 1024;

fuzz_target!(|text: &str| {
    let (mapping, document) = text.split_once("\n---\n").unwrap_or((text, DOCUMENT));
    let Ok(Node::Table(mapping)) = toml::from_str(mapping) else { return };
    let bounded = |text: String| assert!(text.len() <= REFUSAL_BYTES_MAX + 12 * mapping_bytes(&mapping));
    if let Err(refusal) = check(&mapping, &Declared::default()) {
        bounded(refusal.to_string());
    }
    let Ok(document) = serde_json::from_str::<&RawValue>(document) else { return };
    let codes = mapping.iter().find(|(name, _)| name == "codes");
    let codes = codes.and_then(|(_, codes)| CodeTables::parse(codes).ok()).unwrap_or_default();
    for (name, table) in &mapping {
        let Ok(Operation { answer: Some(answer), .. }) = Operation::parse(name, table, &codes) else { continue };
        match write_answer(&answer, Scope::Document(document), document, name) {
            Ok(answer) => assert!(serde_json::from_str::<Value>(&answer).is_ok(), "{answer}"),
            Err(unfit) => bounded(unfit.to_string()),
        }
    }
});

fn mapping_bytes(mapping: &Members<'_>) -> usize {
    Node::Table(mapping.clone()).to_string().len()
}
