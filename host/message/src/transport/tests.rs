use proptest::prelude::*;

use super::*;

const BOUNDARY: [u8; 30] = *b"abcdefghijklmnopqrstuvwxyzabcd";
const REST: &str = "GET\r\n/r1/KG/GOV/7/registry/person\r\nX-Road-Client:KG/GOV/8\r\nx-road-id:7\r\n";
const SOAP: &str = r#"<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:id="http://x-road.eu/xsd/identifiers"><e:Header><x:client id:objectType="MEMBER"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>8</id:memberCode></x:client><x:service id:objectType="SERVICE"><id:xRoadInstance>KG</id:xRoadInstance><id:memberClass>GOV</id:memberClass><id:memberCode>7</id:memberCode><id:serviceCode>person</id:serviceCode></x:service><x:id>7</x:id><x:protocolVersion>4.0</x:protocolVersion></e:Header><e:Body><person/></e:Body></e:Envelope>"#;
const OCSP: (&str, &str) = ("application/ocsp-response", "\x30\x00");
const REQUEST: (&str, &str) = ("application/x-road-rest-request", REST);
const BODY: (&str, &str) = ("application/x-road-rest-body", "body");
const ENVELOPE: (&str, &str) = ("text/xml", SOAP);
const ATTACHMENTS: (&str, &str) = ("multipart/mixed; boundary=B", "\r\n--B\r\n\r\na\r\n--B--\r\n");
const RESULT: (&str, &str) = ("application/hash-chain-result", "<r/>");
const CHAIN: (&str, &str) = ("application/hash-chain", "<c/>");
const SIGNED: (&str, &str) = ("signature/bdoc-1.0/ts", "<s/>");

fn boundary() -> Boundary {
    Boundary::random(BOUNDARY)
}

/// A message of these parts, each a media type and content.
fn message(parts: &[(&str, &str)]) -> Vec<u8> {
    let top = boundary().top();
    let parts =
        parts.iter().map(|(kind, content)| format!("--{top}\r\nContent-Type: {kind}\r\n\r\n{content}\r\n"));
    format!("{}--{top}--\r\n", parts.collect::<String>()).into_bytes()
}

fn read_with(
    message: &[u8],
    direction: Direction,
    kind: MessageKind,
    limits: Limits,
    pieces: usize,
) -> Result<Vec<TransportEvent>, TransportError> {
    let mut reader = TransportReader::new(&boundary().content_type(), direction, kind, limits)?;
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

fn read(parts: &[(&str, &str)], kind: MessageKind) -> Result<Vec<TransportEvent>, TransportError> {
    read_with(&message(parts), Direction::Request, kind, Limits::default(), 64)
}

#[track_caller]
fn refuses(parts: &[(&str, &str)], kind: MessageKind, code: &str, xroad_code: &str) {
    let error = read(parts, kind).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), (code, xroad_code), "{error}");
}

use MessageKind::{Rest, Soap};

#[test]
fn reads_every_order_that_is_one() {
    for (kind, parts) in [
        (Rest, &[OCSP, REQUEST, SIGNED][..]),
        (Rest, &[OCSP, OCSP, REQUEST, BODY, RESULT, CHAIN, SIGNED]),
        (Rest, &[REQUEST, BODY, SIGNED]),
        (Rest, &[REQUEST, RESULT, CHAIN, SIGNED]),
        (Soap, &[OCSP, ENVELOPE, SIGNED]),
        (Soap, &[ENVELOPE, ATTACHMENTS, RESULT, CHAIN, SIGNED]),
    ] {
        let events = read(parts, kind).unwrap();
        assert!(matches!(events.last(), Some(TransportEvent::End)), "{parts:?}");
    }
}

#[test]
fn a_fault_may_take_the_place_of_what_should_follow() {
    let fault = SoapFault::new("server.serverproxy.internal_error", "x", "1").to_xml();
    let fault = ("text/xml; charset=UTF-8", std::str::from_utf8(&fault).unwrap());
    for (kind, parts) in [
        (Rest, &[fault][..]),
        (Soap, &[fault]),
        (Rest, &[REQUEST, fault]),
        (Rest, &[REQUEST, BODY, RESULT, fault]),
        (Soap, &[ENVELOPE, ATTACHMENTS, fault]),
    ] {
        let events = read(parts, kind).unwrap();
        let end = events.last_chunk::<2>();
        assert!(matches!(end, Some([TransportEvent::Fault(_), TransportEvent::End])), "{parts:?}");
    }
}

#[test]
fn refuses_parts_out_of_order() {
    for (kind, parts) in [
        (Rest, &[SIGNED][..]),
        (Rest, &[BODY]),
        (Rest, &[REQUEST, REQUEST]),
        (Rest, &[REQUEST, OCSP, SIGNED]),
        (Rest, &[REQUEST, BODY, BODY]),
        (Rest, &[REQUEST, ATTACHMENTS]),
        (Rest, &[REQUEST, RESULT, BODY]),
        (Soap, &[ENVELOPE, BODY]),
        (Soap, &[ENVELOPE, ATTACHMENTS, ATTACHMENTS]),
        (Soap, &[("application/x-road-rest-body", "")]),
        // A hash chain proves nothing without its result, nor the result without its chain.
        (Rest, &[REQUEST, CHAIN]),
        (Rest, &[REQUEST, RESULT, SIGNED]),
        // An envelope where the signature should be is no fault.
        (Soap, &[ENVELOPE, ENVELOPE]),
    ] {
        refuses(parts, kind, "transport.unexpected_part", "invalid_content_type");
    }
}

#[test]
fn refuses_what_goes_the_other_way() {
    let parts = message(&[REQUEST, SIGNED]);
    let error = read_with(&parts, Direction::Response, Rest, Limits::default(), 64).unwrap_err();
    assert_eq!(error.code(), "transport.unexpected_part");
    let parts = message(&[OCSP, ENVELOPE, SIGNED]);
    let error = read_with(&parts, Direction::Response, Soap, Limits::default(), 64).unwrap_err();
    assert_eq!(error.code(), "transport.unexpected_part");
}

#[test]
fn refuses_a_message_of_the_other_kind() {
    refuses(&[REQUEST, SIGNED], Soap, "transport.missing_soap", "missing_soap");
    refuses(&[ENVELOPE, SIGNED], Rest, "transport.missing_rest", "missing_rest");
}

#[test]
fn refuses_anything_after_the_signature() {
    for part in [SIGNED, BODY, ("", "")] {
        refuses(&[REQUEST, SIGNED, part], Rest, "transport.extra_content", "invalid_message");
    }
}

#[test]
fn refuses_a_message_that_is_not_whole() {
    refuses(&[], Rest, "transport.missing_rest", "missing_rest");
    refuses(&[OCSP], Soap, "transport.missing_soap", "missing_soap");
    refuses(&[REQUEST, BODY], Rest, "transport.missing_signature", "missing_signature");
    let whole = message(&[REQUEST, SIGNED]);
    let cut = whole.strip_suffix(format!("\r\n--{}--\r\n", boundary().top()).as_bytes()).unwrap();
    let error = read_with(cut, Direction::Request, Rest, Limits::default(), 64).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("multipart.truncated", "mime_parsing_failed"));
}

#[test]
fn refuses_an_ocsp_response_that_is_not_der() {
    for der in ["", "\x30", "\x31\x00", "\x30\x01", "\x30\x7F1", "OCSP"] {
        refuses(&[(OCSP.0, der), REQUEST, SIGNED], Rest, "transport.ocsp", "io_error");
    }
}

#[test]
fn refuses_a_signature_that_is_not_text() {
    let mut bytes = message(&[REQUEST, SIGNED]);
    let place = bytes.windows(4).position(|window| window == b"<s/>").unwrap();
    bytes.splice(place..place + 1, [0xFF]);
    let error = read_with(&bytes, Direction::Request, Rest, Limits::default(), 64).unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("transport.not_utf8", "io_error"));
}

#[test]
fn passes_on_what_is_wrong_with_the_message_itself() {
    refuses(&[(REQUEST.0, "GET")], Rest, "rest.line", "internal_error");
    refuses(&[("text/xml", "<a/>")], Soap, "soap.no_envelope", "invalid_soap");
    refuses(&[("multipart/mixed", "")], Soap, "transport.unexpected_part", "invalid_content_type");
    refuses(&[ENVELOPE, ("multipart/mixed", "")], Soap, "transport.media_type", "invalid_content_type");
    refuses(
        &[ENVELOPE, ("multipart/mixed; boundary=B", "--B\r\n\r\na")],
        Soap,
        "multipart.truncated",
        "mime_parsing_failed",
    );
}

#[test]
fn refuses_other_content_types() {
    for (content_type, direction) in [
        ("", Direction::Request),
        ("text/xml", Direction::Request),
        ("multipart/mixed", Direction::Response),
        ("multipart/related; boundary=a", Direction::Response),
    ] {
        let refused = TransportReader::new(content_type, direction, Rest, Limits::default());
        assert_eq!(refused.err().map(|error| error.code()), Some("transport.media_type"), "{content_type}");
    }
}

#[test]
fn an_envelope_alone_must_be_a_fault() {
    let mut reader = TransportReader::new("text/xml", Direction::Response, Soap, Limits::default()).unwrap();
    reader.push(SOAP.as_bytes());
    reader.end_of_input();
    let error = reader.next_event().unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("transport.no_fault", "invalid_message"));
}

#[test]
fn refuses_more_than_the_limits_allow() {
    let limits = Limits {
        message_bytes_max: SOAP.len(),
        ocsp_bytes_max: 2,
        ocsp_responses_max: 1,
        signature_bytes_max: 4,
        body_bytes_max: 4,
        attachments_max: 1,
        ..Limits::default()
    };
    let read = |kind, parts: &[(&str, &str)]| {
        read_with(&message(parts), Direction::Request, kind, limits, 5).map(drop)
    };
    read(Rest, &[OCSP, REQUEST, BODY, RESULT, CHAIN, SIGNED]).unwrap();
    read(Soap, &[OCSP, ENVELOPE, ATTACHMENTS, SIGNED]).unwrap();
    let two = "--B\r\n\r\na\r\n--B\r\n\r\nb\r\n--B--";
    for (kind, parts, code) in [
        (Rest, &[(OCSP.0, "\x30\x00\x00")][..], "transport.part_too_large"),
        (Rest, &[OCSP, OCSP], "transport.too_many_parts"),
        (Soap, &[("text/xml", &*format!("{SOAP} "))], "transport.part_too_large"),
        (Rest, &[REQUEST, (BODY.0, "12345")], "transport.part_too_large"),
        (Soap, &[ENVELOPE, (ATTACHMENTS.0, "--B\r\n\r\n12345\r\n--B--")], "transport.part_too_large"),
        (Soap, &[ENVELOPE, (ATTACHMENTS.0, two)], "transport.too_many_parts"),
        (Rest, &[REQUEST, (RESULT.0, "12345")], "transport.part_too_large"),
        (Rest, &[REQUEST, (SIGNED.0, "12345")], "transport.part_too_large"),
    ] {
        let error = read(kind, parts).unwrap_err();
        assert_eq!((error.code(), error.xroad_code()), (code, "invalid_message"), "{parts:?}");
    }
}

#[test]
fn a_large_fault_is_refused_while_it_comes() {
    let limits = Limits { fault_bytes_max: 10, ..Limits::default() };
    let mut reader = TransportReader::new("text/xml", Direction::Response, Rest, limits).unwrap();
    reader.push(b"12345678901");
    assert_eq!(reader.next_event().unwrap_err().code(), "transport.part_too_large");
}

#[test]
fn holds_no_more_of_a_body_than_could_be_a_delimiter() {
    let start = message(&[REQUEST]).len() - boundary().top().len() - 6;
    let mut reader =
        TransportReader::new(&boundary().content_type(), Direction::Request, Rest, Limits::default())
            .unwrap();
    let head = message(&[REQUEST]);
    reader.push(&head[..start]);
    reader.push(format!("--{}\r\ncontent-type: {REST_BODY}\r\n\r\n", boundary().top()).as_bytes());
    let (mut pushed, mut passed) = (0_usize, 0_usize);
    for _ in 0..100 {
        reader.push(&[b'\n'; 1000]);
        pushed += 1000;
        while let Some(event) = reader.next_event().unwrap() {
            if let TransportEvent::Body(bytes) = event {
                passed += bytes.len();
            }
        }
        assert!(pushed - passed < 100, "{pushed} {passed}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever attachments hold, even what looks like a delimiter, they are read as they were written.
    #[test]
    fn attachments_are_read_as_they_were_written(
        contents in prop::collection::vec("(\r|\n|-|--|xatt|xtop|[ -~]|é){0,40}", 1..4),
        name in "[ -~]{0,20}",
        pieces in 1_usize..50,
    ) {
        let headers = PartHeaders {
            content_type: Some("a/b".into()),
            others: vec![crate::Header::new("Content-ID", name.trim_ascii())],
        };
        let mut out = Vec::new();
        let mut writer = TransportWriter::new(boundary());
        writer.write(&mut out, Part::Soap(&PartHeaders::of_type("text/xml")), SOAP.as_bytes());
        for content in &contents {
            writer.write(&mut out, Part::Attachment(&headers), content.as_bytes());
        }
        writer.write(&mut out, Part::Signature, b"<s/>");
        writer.finish(&mut out);
        let events = read_with(&out, Direction::Request, Soap, Limits::default(), pieces).unwrap();
        let mut read: Vec<Vec<u8>> = Vec::new();
        for event in events {
            match event {
                TransportEvent::BodyStart(found) => {
                    prop_assert_eq!(&found, &headers);
                    read.push(Vec::new());
                }
                TransportEvent::Body(bytes) => read.last_mut().unwrap().extend_from_slice(&bytes),
                TransportEvent::BodyEnd { sha512, size_bytes } => {
                    let content = read.last().unwrap();
                    prop_assert_eq!(sha512, crate::sha512(content));
                    prop_assert_eq!(size_bytes, content.len() as u64);
                }
                _ => {}
            }
        }
        let contents: Vec<_> = contents.iter().map(|content| content.as_bytes().to_vec()).collect();
        prop_assert_eq!(read, contents);
    }
}
