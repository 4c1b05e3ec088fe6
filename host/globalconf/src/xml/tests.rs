use crate::sample::shared;
use crate::{Anchor, ParametersError, PrivateParameters, SharedParameters, Version};

/// Parameters that are valid but for one change.
fn changed(from: &str, to: &str) -> Result<SharedParameters, ParametersError> {
    let file = shared("DEV", Version::V6).write().unwrap();
    assert!(file.contains(from), "{from} is not in {file}");
    SharedParameters::read(file.replacen(from, to, 1).as_bytes(), Version::V6)
}

#[track_caller]
fn refuses(from: &str, to: &str, code: &str) {
    let error = changed(from, to).unwrap_err();
    assert_eq!(error.code(), format!("parameters.{code}"), "{error}");
}

#[test]
fn passes_over_what_it_does_not_know_and_comments() {
    let valid = changed("", "").unwrap();
    let unknown = "</globalSettings><centralService/><securityCategory>x</securityCategory><!-- y --><any/>";
    assert_eq!(changed("</globalSettings>", unknown), Ok(valid));
}

#[test]
fn refuses_a_file_larger_than_any() {
    let error = SharedParameters::read(&vec![b' '; super::FILE_BYTES_MAX + 1], Version::V6).unwrap_err();
    assert_eq!(error.code(), "parameters.too_large");
}

#[test]
fn refuses_what_is_not_utf8() {
    assert_eq!(PrivateParameters::read(b"\xff").unwrap_err().code(), "parameters.not_utf8");
    refuses("encoding=\"UTF-8\"", "encoding=\"ISO-8859-1\"", "not_utf8");
}

#[test]
fn refuses_a_document_type() {
    refuses("<x:conf", "<!DOCTYPE conf [<!ENTITY a \"b\">]><x:conf", "document_type");
}

#[test]
fn refuses_what_is_not_well_formed_or_too_deep() {
    refuses("</x:conf>", "", "malformed");
    let (open, close) = ("<a>".repeat(super::DEPTH_MAX as usize), "</a>".repeat(super::DEPTH_MAX as usize));
    refuses("<globalSettings>", &format!("{open}{close}<globalSettings>"), "malformed");
}

#[test]
fn refuses_files_of_another_kind() {
    let file = shared("DEV", Version::V6).write().unwrap();
    let error = Anchor::read(file.as_bytes()).unwrap_err();
    assert_eq!(error, ParametersError::WrongRoot { expected: "configurationAnchor" });
    refuses("http://x-road.eu/xsd/xroad.xsd", "http://example.org", "wrong_root");
}

#[test]
fn refuses_what_is_missing_or_blank() {
    refuses("<instanceIdentifier>DEV</instanceIdentifier>", "", "missing");
    refuses("<instanceIdentifier>DEV", "<instanceIdentifier> ", "wrong_value");
    refuses("ocspFreshnessSeconds", "other", "malformed");
}

#[test]
fn refuses_what_stands_twice() {
    refuses("<serverCode>", "<serverCode>x</serverCode><serverCode>", "twice");
}

#[test]
fn names_the_line() {
    let error =
        changed("<globalSettings>", "\n\n<globalSettings><ocspFreshnessSeconds>1</ocspFreshnessSeconds>");
    assert_eq!(error, Err(ParametersError::Twice { line: 4, element: "ocspFreshnessSeconds" }));
}

#[test]
fn refuses_values_of_the_wrong_form() {
    for (from, to) in [
        ("<ocspFreshnessSeconds>3600", "<ocspFreshnessSeconds>-1"),
        ("<authenticationOnly>false", "<authenticationOnly>no"),
        ("<authCertHash>", "<authCertHash>!"),
        ("<costType>FREE", "<costType>CHEAP"),
        ("objectType=\"SUBSYSTEM\"", "objectType=\"SERVICE\""),
        ("<id:subsystemCode>registry</id:subsystemCode>", ""),
        ("<member id=\"id0\">", "<member>"),
    ] {
        refuses(from, to, "wrong_value");
    }
}

#[test]
fn refuses_an_identifier_with_more_than_its_pieces() {
    refuses("<id:memberCode>", "<id:serviceCode>x</id:serviceCode><id:memberCode>", "unexpected");
}

#[test]
fn refuses_references_to_nobody_and_to_two() {
    refuses("<owner>id0", "<owner>id9", "unknown_reference");
    refuses("<subsystem id=\"id1\">", "<subsystem id=\"id0\">", "duplicate_id");
}

#[test]
fn refuses_an_anchor_that_leads_nowhere() {
    let anchor = |source: &str| {
        let root = "<x:configurationAnchor xmlns:x=\"http://x-road.eu/xsd/xroad.xsd\">";
        let file =
            format!("{root}<instanceIdentifier>DEV</instanceIdentifier>{source}</x:configurationAnchor>");
        Anchor::read(file.as_bytes()).map_err(|error| error.code())
    };
    let certificate = "<verificationCert>AAAA</verificationCert>";
    let url = |url: &str| format!("<source><downloadURL>{url}</downloadURL>{certificate}</source>");
    assert!(anchor(&url("http://cs/internalconf")).is_ok());
    assert_eq!(anchor(""), Err("parameters.missing"));
    assert_eq!(anchor(&url("http://cs").replace(certificate, "")), Err("parameters.missing"));
    assert_eq!(anchor(&url("file:///etc/passwd")), Err("parameters.wrong_value"));
    let dated = |time: &str| anchor(&format!("<generatedAt>{time}</generatedAt>{}", url("https://cs")));
    let time = dated("2026-11-22T14:00:00+02:00").unwrap().generated_at;
    assert_eq!(time, dated("2026-11-22T12:00:00").unwrap().generated_at, "without zone it is UTC");
    assert_eq!(dated("yesterday"), Err("parameters.wrong_value"));
}
