//! JSON to XML to JSON gives the same document, and the XML is valid to a reader that is not ours: for the services of
//! X-Road's own tests, for the shapes that services in the field have, and for a hundred schemas that nobody has seen.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

mod corpus {
    pub(crate) mod documents;
    pub(crate) mod schemas;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use corpus::{documents, schemas};
use serde_json::Value;
use uuk_contract::{Contract, Limits, Operation, RestCall, SoapCall};
use uuk_testkit::fixtures;

/// Documents made for each direction of each operation.
const DOCUMENTS: usize = 8;

/// How many schemas are generated.
const SCHEMAS: u64 = 120;

fn envelope(body: &str) -> String {
    format!(
        "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/' xmlns='urn:other'><soap:Body>{body}</soap:Body></soap:Envelope>"
    )
}

/// Carries documents through XML and back, and leaves the XML in `folder`.
fn carry(contract: &Contract, random: &mut fastrand::Rng, folder: &Path) -> usize {
    let mut written = 0;
    let mut leave = |xml: &str| {
        fs::write(folder.join(format!("{written}.xml")), xml).unwrap();
        written += 1;
    };
    for operation in contract.operations().iter().filter(|one| contract.soap_form(one).is_ok()) {
        for _ in 0..DOCUMENTS {
            leave(&carry_request(contract, operation, random));
            leave(&carry_answer(contract, operation, random));
        }
    }
    written
}

fn carry_request(contract: &Contract, operation: &Operation, random: &mut fastrand::Rng) -> String {
    let document = documents::request(operation, random);
    let empty = Value::Null;
    let body = document.get("body").unwrap_or(&empty).to_string();
    let (path, query, headers) = documents::target(operation, &document);
    let mut headers: Vec<(&str, &[u8])> =
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    headers.push(("content-type", b"application/json"));
    let call = RestCall {
        method: operation.method().into(),
        path: &path,
        query: Some(&query),
        headers: &headers,
        body: if document.get("body").is_some() { body.as_bytes() } else { b"" },
    };
    let (_, sent) = contract.document(&call, &Limits::default()).unwrap_or_else(|refusal| {
        panic!("{refusal:?} {path}?{query} {document:#} {:#}", operation.input_schema())
    });
    let xml = contract.soap_request(operation, &sent).unwrap();
    let soap = SoapCall { envelope: &envelope(&xml), attachments: &[] };
    let (found, received) = contract
        .soap_document(&soap, &Limits::default())
        .unwrap_or_else(|refusal| panic!("{refusal:?} {xml} {:#}", operation.input_schema()));
    assert_eq!(found.id(), operation.id());
    assert_eq!(serde_json::from_slice::<Value>(received.as_bytes()).unwrap(), document, "{xml}");
    xml
}

fn carry_answer(contract: &Contract, operation: &Operation, random: &mut fastrand::Rng) -> String {
    let content = operation.output_schema().map(|schema| documents::sample(schema, random));
    let bytes = content.as_ref().map(Value::to_string).unwrap_or_default().into_bytes();
    let answer = operation.answer("application/json", bytes, &Limits::default()).unwrap_or_else(|problem| {
        panic!("{problem:?} {content:#?} {:#}", operation.output_schema().unwrap())
    });
    let xml = contract.soap_answer(operation, answer.body()).unwrap();
    let soap = SoapCall { envelope: &envelope(&xml), attachments: &[] };
    let received = contract
        .soap_response(operation, &soap, &Limits::default())
        .unwrap_or_else(|problem| panic!("{problem:?} {xml} {content:#?}"));
    match content {
        Some(content) => {
            assert_eq!(serde_json::from_slice::<Value>(received.body()).unwrap(), content, "{xml}");
        }
        None => assert!(received.body().is_empty()),
    }
    xml
}

/// Lets `xmllint` judge every message in `folder` by `schema`.
fn validate(folder: &Path, schema: &str, written: usize) {
    fs::write(folder.join("schema.xsd"), schema).unwrap();
    let files = (0..written).map(|number| format!("{number}.xml"));
    let judged = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema", "schema.xsd"])
        .args(files)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(judged.status.success(), "{}\n{schema}", String::from_utf8_lossy(&judged.stderr));
}

fn has_xmllint() -> bool {
    let found = Command::new("xmllint").arg("--version").output().is_ok();
    if !found {
        fixtures::skip("xmllint is not installed");
    }
    found
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

fn check(name: &str, wsdl: &str, schema: &str, seed: u64) {
    let contract =
        Contract::from_wsdl(wsdl.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}\n{wsdl}"));
    let folder = tempfile::tempdir().unwrap();
    let written = carry(&contract, &mut fastrand::Rng::with_seed(seed), folder.path());
    assert!(written > 0, "{name}");
    validate(folder.path(), schema, written);
    // The OpenAPI document made of a WSDL declares the same operations.
    let again = Contract::from_openapi(&contract.openapi().1).unwrap();
    for (one, other) in contract.operations().iter().zip(again.operations()) {
        assert_eq!((one.id(), one.input_schema()), (other.id(), other.input_schema()), "{name}");
        assert_eq!(one.output_schema(), other.output_schema(), "{name}");
    }
}

#[test]
fn carries_the_shapes_of_services_in_the_field() {
    if !has_xmllint() {
        return;
    }
    for (seed, file) in
        (0..).zip(files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/shapes"), "xsd"))
    {
        let schema = fs::read_to_string(&file).unwrap();
        check(&file.display().to_string(), &schemas::wsdl(&schema), &schema, seed);
    }
}

#[test]
fn carries_generated_schemas() {
    if !has_xmllint() {
        return;
    }
    for seed in 0..SCHEMAS {
        let schema = schemas::generate(seed);
        check(&format!("seed {seed}"), &schemas::wsdl(&schema), &schema, seed);
    }
}

#[test]
fn carries_contracts_given_as_openapi_by_their_generated_wsdl() {
    if !has_xmllint() {
        return;
    }
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/accept"), "yaml") {
        let contract = Contract::read(&fs::read(&file).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let written = carry(&contract, &mut fastrand::Rng::with_seed(1), folder.path());
        if written == 0 {
            continue;
        }
        let wsdl = String::from_utf8(contract.wsdl("http://localhost/").into_owned()).unwrap();
        validate(folder.path(), &schemas::last_schema(&wsdl), written);
        let imported = Contract::from_wsdl(wsdl.as_bytes())
            .unwrap_or_else(|error| panic!("{}: {error}\n{wsdl}", file.display()));
        let ids = |contract: &Contract| -> Vec<String> {
            let can = contract.operations().iter().filter(|one| contract.soap_form(one).is_ok());
            can.map(|one| one.id().to_owned()).collect()
        };
        assert_eq!(ids(&imported), ids(&contract));
    }
}

#[test]
fn judges_every_service_of_x_roads_own_tests() {
    let Some(fixtures) = fixtures::folder().filter(|_| has_xmllint()) else { return };
    let mut verdicts = Vec::new();
    for file in files(&fixtures.join("xroad/services/wsdl"), "wsdl") {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let wsdl = fs::read_to_string(&file).unwrap();
        let verdict = match Contract::from_wsdl(wsdl.as_bytes()) {
            Ok(contract) => {
                check(&name, &wsdl, &schemas::last_schema(&wsdl), 7);
                format!("{} operations", contract.operations().len())
            }
            Err(error) => error.to_string(),
        };
        verdicts.push((name, verdict));
    }
    let expected = [
        (
            "error.wsdl",
            "line 23: `` is no name of an element, attribute or type; use a letter or `_`, then letters, digits, `.`, `-`, `_`",
        ),
        (
            "invalid-servicecode-all.wsdl",
            "line 13: `xroadGetRandom:aa` is no name of an element, attribute or type; use a letter or `_`, then letters, digits, `.`, `-`, `_`",
        ),
        (
            "invalid-servicecode-colon.wsdl",
            "line 13: `xroadGetRandom:aa` is no name of an element, attribute or type; use a letter or `_`, then letters, digits, `.`, `-`, `_`",
        ),
        ("invalid-serviceurl.wsdl", "1 operations"),
        (
            "invalid-serviceversion-percent.wsdl",
            "line 79: `v1%234` is no name of a version; use letters of ASCII, digits, `.`, `-` and `_`, at most 64",
        ),
        (
            "invalid.wsdl",
            "line 1: the WSDL is not well-formed XML: Well-formedness error at 1:1: Content found outside of root element",
        ),
        ("testservice.wsdl", "2 operations"),
        (
            "valid-additional-services.wsdl",
            "line 16: an element without a type, which may hold anything (`element`) is not supported; name its type: \
             `<xsd:complexType/>` is an empty one",
        ),
        ("valid-getrandom.wsdl", "1 operations"),
        ("valid-smallattachment.wsdl", "1 operations"),
        ("valid.wsdl", "3 operations"),
        ("warning.wsdl", "2 operations"),
        (
            "xxe.wsdl",
            "line 2: the WSDL has a document type (`<!DOCTYPE`); delete it, and write out its entities",
        ),
    ];
    for ((name, verdict), (expected_name, expected)) in verdicts.iter().zip(expected) {
        assert_eq!((name.as_str(), verdict.as_str()), (expected_name, expected));
    }
    assert_eq!(verdicts.len(), expected.len());
}
