//! The SOAP requests and answers of X-Road's own tests, with the verdicts of its test cases.

use std::collections::BTreeSet;

use uuk_message::{
    Direction, Limits, MessageKind, PartHeaders, RelatedError, RelatedEvent, RelatedReader, RelatedWriter,
    Soap, SoapMessage,
};
use uuk_testkit::fixtures;

use crate::{read_file, read_transport};

/// How the test case that uses a file sends it.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// By a client, alone or as its boundary says.
    Asked,
    /// By a provider, likewise.
    Answered,
    /// With this content type instead.
    As(&'static str),
    /// By a security server to another.
    Transport,
}
use Sent::{Answered, As, Asked, Transport};

/// What was read (a request, response or fault, its service, the sizes of attachments), or X-Road's code.
type Verdict = Result<&'static str, &'static str>;

const MTOM: &str = "Multipart/Related; start-info=\"application/soap+xml\"; type=\"application/xop+xml\"; \
    boundary=\"jetty771207119h3h10dty\"";

const VERDICTS: &[(&str, Sent, Verdict)] = &[
    ("allowedMethods.query", Asked, Ok("request allowedMethods")),
    // No test case uses it: its service is not what its body says.
    ("attach-error-withsoap.query", Asked, Err("inconsistent_headers")),
    ("attachm-error.query", Asked, Err("invalid_content_type")),
    ("attachm-error.query", Transport, Err("invalid_content_type")),
    ("attachm-faulty-soap.query", Asked, Err("missing_header_field")),
    ("attachm-faulty-soap.query", Answered, Err("missing_header_field")),
    ("attachm-mtom.answer", As(MTOM), Ok("response test 9")),
    ("attachm-mtom.query", As(MTOM), Ok("request test 6")),
    ("attachm-no-soap.query", Asked, Err("invalid_content_type")),
    ("attachm-no-soap.query", Answered, Err("invalid_content_type")),
    ("attachm.answer", Answered, Ok("response test")),
    ("attachm.query", Asked, Ok("request test 108")),
    ("attachm.query", Transport, Err("missing_signature")),
    ("attachm2-utf8bom-inside.answer", Answered, Ok("response test 86")),
    // The test case puts an identifier into the empty element first.
    ("attachm2-utf8bom-inside.query", Asked, Ok("request test 86")),
    ("attachm2.answer", Answered, Ok("response test 86")),
    ("attachm2.query", Asked, Ok("request test 86")),
    ("attachment-small-mantis.answer", Answered, Ok("response test")),
    ("attachments.answer", Answered, Ok("response test 6 7 7")),
    ("attachments.query", Asked, Ok("request test 6 7 7")),
    ("bigAttachment.answer", Answered, Ok("response test")),
    ("bigAttachment.query", Asked, Ok("request test")),
    ("cdata.answer", Answered, Ok("response getState")),
    ("cdata.query", Asked, Ok("request getState")),
    ("customfault.answer", Answered, Ok("fault foo:FOOCODE")),
    ("customsoapenv.answer", Answered, Ok("fault soapenv:Server.CODE")),
    ("empty.query", Asked, Err("invalid_soap")),
    ("empty.query", As("multipart/related; charset=UTF-8; boundary=x"), Err("missing_soap")),
    ("empty.query", As("answer: multipart/related; charset=UTF-8; boundary=x"), Err("invalid_message")),
    ("fault.query", Answered, Ok("fault CODE")),
    ("faulty-fault.answer", Answered, Ok("fault soap:Server")),
    ("faulty-header.query", Answered, Err("missing_header_field")),
    ("faulty-header2.query", Asked, Err("duplicate_header_field")),
    (
        "faulty-multipart.query",
        As("answer: multipart/related; boundary=jetty771207119h3h10dty; charset=utf-8"),
        Err("invalid_message"),
    ),
    ("getstate-defaultnamespace.query", Asked, Ok("request getState")),
    ("getstate-iso88591.answer", As("text/xml; charset=ISO-8859-1"), Ok("response getState")),
    ("getstate-subsystem.answer", Answered, Ok("response getState")),
    ("getstate-subsystem.query", Asked, Ok("request getState")),
    ("getstate.answer", Answered, Ok("response getState")),
    ("getstate.query", Asked, Ok("request getState")),
    ("getstate.query", As("blah"), Err("invalid_content_type")),
    ("inconsistent-headers.query", Asked, Err("inconsistent_headers")),
    ("invalid-service-address.query", Asked, Ok("request invalidServiceAddress")),
    ("listMethods.query", Asked, Ok("request listMethods")),
    ("malformed-body1.query", Asked, Err("invalid_body")),
    ("malformed-body2.query", Asked, Err("invalid_body")),
    ("malformed-body3.query", Asked, Err("inconsistent_headers")),
    ("malformed-protocolVersion.query", Asked, Err("invalid_protocol_version")),
    ("mimesoap.answer", Answered, Ok("response test")),
    ("mimesoap.query", Asked, Ok("request test")),
    ("missing-body.query", Asked, Err("missing_body")),
    // That its client is unknown is for others to say.
    ("missing-org.query", Asked, Ok("request getState")),
    ("missing-protocolVersion.query", Asked, Err("missing_header_field")),
    ("missing-userId.answer", Answered, Ok("response testQuery")),
    ("missing-userId.query", Asked, Ok("request testQuery")),
    ("missingobjecttype.query", Asked, Err("invalid_xml")),
    ("no-header.query", Asked, Err("missing_header")),
    ("no-signature.query", Transport, Err("missing_signature")),
    ("no-soap.query", Transport, Err("invalid_soap")),
    // That this is not allowed is for others to say.
    ("notAllowed.query", Asked, Ok("request test")),
    ("nowhitespace.answer", Answered, Ok("response getState")),
    ("nowhitespace.query", Asked, Ok("request getState")),
    ("proxyemulator.query", Asked, Ok("request testQuery")),
    ("request-suffix.query", Asked, Ok("request testQuery")),
    ("requesthash.answer", Answered, Ok("response getState")),
    ("response-with-requestId.answer", Answered, Ok("response clientReg")),
    // A signature, and below an OCSP response: what test cases put into transport messages.
    ("signature.xml", Asked, Err("invalid_soap")),
    ("signing-error-request.query", Asked, Ok("request getState")),
    ("signing-error-response.query", Asked, Ok("request getState")),
    ("simple-comment.answer", Answered, Ok("response testQuery")),
    ("simple-representedparty.query", Asked, Ok("request testQuery")),
    ("simple-rpc.query", Asked, Ok("request testQuery")),
    ("simple.answer", Answered, Ok("response testQuery")),
    ("simple.query", Asked, Ok("request testQuery")),
    ("simple.query", As("text/html; charset=UTF-8"), Err("invalid_content_type")),
    ("simplesoap.xml", Asked, Ok("request testQuery")),
    ("smallAttachment.answer", Answered, Ok("response test")),
    ("smallAttachment.query", Asked, Ok("request test 25081")),
    // It ends with a delimiter that does not say that it is the last.
    ("soapfault-mtom.answer", As(MTOM), Ok("fault soap:Server")),
    ("soapfault-mtom.query", As(MTOM), Ok("request generateMtom 6")),
    ("soapfaulterror.query", Answered, Ok("fault SOAP-ENV:Clientrwerete")),
    ("split-header.answer", Answered, Ok("response getState")),
    ("split-header.query", Asked, Ok("request getState")),
    ("test.ocsp", Asked, Err("invalid_soap")),
    ("wrong-protocolVersion.query", Asked, Err("invalid_protocol_version")),
    ("wrong-version.query", Asked, Err("invalid_protocol_version")),
    ("xml.query", Asked, Ok("request test")),
    ("xmlencoded.answer", Answered, Ok("response testQuery")),
    ("xmlencoded.query", Asked, Ok("request testQuery")),
    ("xop.answer", Answered, Ok("response testResponse 997")),
];

/// A file of the queries, with the content type that its beginning suggests.
fn read_query(name: &str) -> Option<(Vec<u8>, String)> {
    let message = read_file(&format!("xroad/queries/{name}"))?;
    let content_type = match message.strip_prefix(b"--") {
        Some(rest) => {
            let boundary = rest.split(|byte| *byte == b'\n').next().unwrap();
            format!("multipart/related; boundary={}", std::str::from_utf8(boundary).unwrap())
        }
        None => "text/xml".to_owned(),
    };
    Some((message, content_type))
}

fn read(
    message: &[u8],
    content_type: &str,
    direction: Direction,
    pieces: usize,
) -> Result<Vec<RelatedEvent>, RelatedError> {
    let mut reader = RelatedReader::new(content_type, direction, Limits::default())?;
    let mut events = Vec::new();
    for piece in message.chunks(pieces) {
        reader.push(piece);
        while let Some(event) = reader.next_event()? {
            events.push(event);
        }
    }
    reader.end_of_input();
    while let Some(event) = reader.next_event()? {
        events.push(event);
    }
    Ok(events)
}

fn outline(events: &[RelatedEvent]) -> String {
    let say = |event: &RelatedEvent| match event {
        RelatedEvent::Soap(_, message) => {
            let kind = if message.is_response() { "response" } else { "request" };
            Some(format!("{kind} {}", message.header().service.code))
        }
        RelatedEvent::Fault(fault) => Some(format!("fault {}", fault.code)),
        RelatedEvent::AttachmentEnd { size_bytes, .. } => Some(size_bytes.to_string()),
        RelatedEvent::AttachmentStart(_) | RelatedEvent::Attachment(_) | RelatedEvent::End => None,
    };
    events.iter().filter_map(say).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_query_has_the_verdict_of_the_reference() {
    for (name, sent, expected) in VERDICTS {
        let Some((message, content_type)) = read_query(name) else { return };
        let (direction, content_type) = match *sent {
            Answered => (Direction::Response, content_type),
            As(content_type) => match content_type.strip_prefix("answer: ") {
                Some(content_type) => (Direction::Response, content_type.to_owned()),
                None => (Direction::Request, content_type.to_owned()),
            },
            Asked | Transport => (Direction::Request, content_type),
        };
        for pieces in [1, 23, message.len().max(1)] {
            let verdict = if matches!(sent, Transport) {
                let content_type = content_type.replace("related", "mixed");
                let verdict = read_transport(&message, &content_type, direction, MessageKind::Soap, pieces);
                verdict.map(|_| String::new()).map_err(|error| error.xroad_code())
            } else {
                let verdict = read(&message, &content_type, direction, pieces);
                verdict.map(|events| outline(&events)).map_err(|error| error.xroad_code())
            };
            assert_eq!(verdict.as_deref().map_err(|code| *code), *expected, "{name}, {sent:?}");
        }
    }
}

#[test]
fn no_query_is_left_out() {
    let Some(folder) = fixtures::folder() else { return };
    let files = std::fs::read_dir(folder.join("xroad/queries")).unwrap();
    let files: BTreeSet<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    let named: BTreeSet<_> = VERDICTS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(named, files);
    assert_eq!(files.len(), 82);
}

/// The envelopes of all queries that have one, with the content types of their parts.
fn messages() -> impl Iterator<Item = (&'static str, String, SoapMessage)> {
    let read_message = |(name, ..): &(&'static str, Sent, Verdict)| {
        let (message, content_type) = read_query(name)?;
        let events = read(&message, &content_type, Direction::Request, message.len().max(1)).ok()?;
        events.into_iter().find_map(|event| match event {
            RelatedEvent::Soap(headers, message) => {
                Some((*name, headers.content_type.unwrap_or_default(), *message))
            }
            _ => None,
        })
    };
    VERDICTS.iter().filter_map(read_message)
}

fn message(name: &str) -> Option<SoapMessage> {
    fixtures::folder()?;
    messages().find_map(|(other, _, message)| (other == name).then_some(message))
}

#[test]
fn the_hash_of_the_request_goes_into_any_envelope() {
    for (name, content_type, answer) in messages() {
        let hash = answer.hash();
        let bytes = answer.with_request_hash(hash);
        let Ok(Soap::Message(again)) = Soap::read(&content_type, bytes.clone()) else { panic!("{name}") };
        assert_eq!(again.header().request_hash, Some(hash), "{name}");
        assert_eq!(again.with_request_hash(hash), bytes, "{name}");
        answer.check_response(&again).unwrap();
        answer.check_hash(&again).unwrap();
    }
}

#[test]
fn a_message_written_anew_is_the_same_message() {
    for (name, ..) in VERDICTS {
        let Some((message, content_type)) = read_query(name) else { return };
        let Ok(mut writer) = RelatedWriter::new(&content_type) else { continue };
        let Ok(events) = read(&message, &content_type, Direction::Request, message.len()) else { continue };
        let mut out = Vec::new();
        for event in &events {
            match event {
                RelatedEvent::Soap(headers, message) => {
                    writer.start(&mut out, headers);
                    out.extend_from_slice(message.bytes());
                }
                RelatedEvent::Fault(fault) => {
                    writer.start(&mut out, &PartHeaders::of_type("text/xml"));
                    out.extend_from_slice(&fault.to_xml());
                }
                RelatedEvent::AttachmentStart(headers) => writer.start(&mut out, headers),
                RelatedEvent::Attachment(bytes) => out.extend_from_slice(bytes),
                RelatedEvent::AttachmentEnd { .. } | RelatedEvent::End => {}
            }
        }
        writer.finish(&mut out);
        let again = read(&out, &content_type, Direction::Request, out.len()).unwrap();
        assert_eq!(format!("{again:?}"), format!("{events:?}"), "{name}");
    }
}

#[test]
fn a_byte_order_mark_changes_nothing_but_the_bytes() {
    let Some((plain, content_type)) = read_query("getstate-subsystem.query") else { return };
    let marked = ["\u{FEFF}".as_bytes(), &plain].concat();
    let Ok(Soap::Message(marked)) = Soap::read(&content_type, marked) else { panic!("with mark") };
    let Ok(Soap::Message(plain)) = Soap::read(&content_type, plain) else { panic!("without mark") };
    assert_eq!(marked.header(), plain.header());
    assert_ne!(marked.hash(), plain.hash());
}

#[test]
fn a_response_answers_its_request_and_no_other() {
    let Some(asked) = message("getstate.query") else { return };
    let answered = message("getstate.answer").unwrap();
    asked.check_response(&answered).unwrap();
    assert_eq!(asked.check_hash(&answered).unwrap_err().code(), "response.no_request_hash");
    let other = message("simple.query").unwrap();
    let error = other.check_response(&answered).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("response.field", "inconsistent_response"));
    assert!(error.to_string().contains("`service`"), "{error}");
}

#[test]
fn the_represented_party_is_read() {
    let Some(message) = message("simple-representedparty.query") else { return };
    let party = message.header().represented_party.as_ref().unwrap();
    assert_eq!(party.to_string(), "COM/MEMBER3");
    assert_eq!(message.header().issue.as_deref(), Some("issue-1"));
}
