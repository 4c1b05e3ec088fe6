//! Transport messages of X-Road's own tests. Their lines end with LF, and their signatures prove nothing.

use uuk_message::{Direction, MessageKind, TransportEvent};

use crate::{read_file, read_transport};

/// Whether X-Road's verdict was met: what was read, or X-Road's code of the refusal.
#[track_caller]
fn check(name: &str, direction: Direction, expected: Result<&str, &str>) {
    let Some(message) = read_file(&format!("xroad/proxymessages/{name}")) else { return };
    let boundary = message.split(|byte| *byte == b'\n').next().unwrap();
    let boundary = std::str::from_utf8(boundary).unwrap().strip_prefix("--").unwrap();
    let content_type = format!("multipart/mixed; charset=UTF-8; boundary={boundary}");
    for pieces in [1, 29, message.len()] {
        let verdict = read_transport(&message, &content_type, direction, MessageKind::Soap, pieces);
        let verdict = verdict.map(|events| outline(&events)).map_err(|error| error.xroad_code());
        assert_eq!(verdict.as_deref().map_err(|code| *code), expected, "{name} in pieces of {pieces}");
    }
}

/// What of interest was read.
fn outline(events: &[TransportEvent]) -> String {
    let name = |event: &TransportEvent| match event {
        TransportEvent::OcspResponse(_) => Some("ocsp"),
        TransportEvent::Soap(..) => Some("soap"),
        TransportEvent::BodyEnd { .. } => Some("attachment"),
        TransportEvent::Signature(_) => Some("signature"),
        TransportEvent::Fault(_) => Some("fault"),
        _ => None,
    };
    events.iter().filter_map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_message_has_the_verdict_of_the_reference() {
    use Direction::{Request, Response};
    for (name, direction, expected) in [
        ("normal.request", Request, Ok("soap signature")),
        ("attachment.request", Request, Ok("soap attachment signature")),
        ("ocsp.request", Request, Ok("ocsp soap signature")),
        ("normal-soapfault.request", Request, Ok("fault signature")),
        ("fault-signature.request", Request, Ok("soap fault")),
        ("extracontent.request", Request, Err("invalid_message")),
        ("invalid-ocsp.request", Request, Err("io_error")),
        ("invalid-soap-contenttype.request", Request, Err("invalid_content_type")),
        ("invalid-contenttype-signature.request", Request, Err("invalid_content_type")),
        // No test of the reference reads it. Its header is of a protocol before 4.0: the service has no `objectType`.
        ("normal.response", Response, Err("invalid_xml")),
    ] {
        check(name, direction, expected);
    }
}

#[test]
fn a_query_is_no_fault() {
    let Some(query) = read_file("xroad/queries/simple.query") else { return };
    let verdict = read_transport(&query, "text/xml", Direction::Response, MessageKind::Soap, 100);
    assert_eq!(verdict.unwrap_err().xroad_code(), "invalid_message");
}

#[test]
fn a_fault_may_come_alone() {
    let Some(fault) = read_file("xroad/queries/fault.query") else { return };
    let events = read_transport(&fault, "text/xml", Direction::Response, MessageKind::Rest, 100).unwrap();
    assert_eq!(outline(&events), "fault");
}
