//! Five exchanges between real X-Road 7.2.2 servers: what was read is written again to the same bytes.

use uuk_message::{
    Boundary, Direction, FaultCode, Limits, MessageKind, OcspAnswers, Part, PartHeaders, RestRequest,
    RestResponse, Sha512, SoapMessage, TransportEvent, TransportWriter, sha512,
};

use crate::{read_file, read_transport};

/// An HTTP message: its content type, and its body without the framing of HTTP.
struct Http {
    content_type: String,
    body: Vec<u8>,
}

fn capture(name: &str) -> Option<Http> {
    let bytes = read_file(&format!("captures/{name}.bin"))?;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let (head, body) = bytes.split_at(end + 4);
    let head = String::from_utf8(head.to_vec()).unwrap();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (other, value) = line.split_once(": ")?;
            other.eq_ignore_ascii_case(name).then(|| value.to_owned())
        })
    };
    let chunked = header("transfer-encoding").is_some();
    let body = if chunked { dechunk(body) } else { body.to_vec() };
    Some(Http { content_type: header("content-type").unwrap(), body })
}

fn dechunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n").unwrap();
        let (size, after) = rest.split_at(end);
        let size = usize::from_str_radix(std::str::from_utf8(size).unwrap(), 16).unwrap();
        if size == 0 {
            return body;
        }
        let (_, after) = after.split_at(2);
        let (chunk, after) = after.split_at(size);
        body.extend_from_slice(chunk);
        rest = after.strip_prefix(b"\r\n").unwrap();
    }
}

/// Writes what was read.
fn write(events: &[TransportEvent], boundary: Boundary) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = TransportWriter::new(boundary);
    for event in events {
        match event {
            TransportEvent::OcspResponse(der) => writer.write(&mut out, Part::OcspResponse, der),
            TransportEvent::RestRequest(rest) => writer.write(&mut out, Part::RestRequest, rest.bytes()),
            TransportEvent::RestResponse(rest) => writer.write(&mut out, Part::RestResponse, rest.bytes()),
            TransportEvent::Soap(headers, soap) => {
                writer.write(&mut out, Part::Soap(headers), soap.bytes());
            }
            TransportEvent::BodyStart(headers) => {
                let rest_body = headers.content_type.as_deref() == Some("application/x-road-rest-body");
                writer.start(&mut out, if rest_body { Part::RestBody } else { Part::Attachment(headers) });
            }
            TransportEvent::Body(bytes) => out.extend_from_slice(bytes),
            TransportEvent::BodyEnd { .. } | TransportEvent::End => {}
            TransportEvent::HashChainResult(xml) => {
                writer.write(&mut out, Part::HashChainResult, xml.as_bytes());
            }
            TransportEvent::HashChain(xml) => writer.write(&mut out, Part::HashChain, xml.as_bytes()),
            TransportEvent::Signature(xml) => writer.write(&mut out, Part::Signature, xml.as_bytes()),
            TransportEvent::Fault(fault) => writer.write(&mut out, Part::Fault, &fault.to_xml()),
        }
    }
    writer.finish(&mut out);
    out
}

/// Reads a recorded message in pieces of several sizes, and checks that it is written again to the same bytes.
#[track_caller]
fn round_trip(name: &str, direction: Direction, kind: MessageKind) -> Option<Vec<TransportEvent>> {
    let Http { content_type, body } = capture(name)?;
    for pieces in [1, 13, body.len()] {
        let events = read_transport(&body, &content_type, direction, kind, pieces)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let boundary = Boundary::of(&content_type).unwrap();
        assert_eq!(boundary.content_type(), content_type, "{name}");
        let written = write(&events, boundary);
        assert!(written == body, "{name}: {}", String::from_utf8_lossy(&written));
        if pieces == body.len() {
            return Some(events);
        }
    }
    None
}

fn rest_request(events: &[TransportEvent]) -> &RestRequest {
    let found = events.iter().find_map(|event| match event {
        TransportEvent::RestRequest(request) => Some(request),
        _ => None,
    });
    found.unwrap()
}

fn rest_response(events: &[TransportEvent]) -> &RestResponse {
    let found = events.iter().find_map(|event| match event {
        TransportEvent::RestResponse(response) => Some(response),
        _ => None,
    });
    found.unwrap()
}

fn soap(events: &[TransportEvent]) -> (&PartHeaders, &SoapMessage) {
    let found = events.iter().find_map(|event| match event {
        TransportEvent::Soap(headers, message) => Some((headers, &**message)),
        _ => None,
    });
    found.unwrap()
}

/// The digests of body and attachments, in their order.
fn digests(events: &[TransportEvent]) -> Vec<Sha512> {
    let digest = |event: &TransportEvent| match event {
        TransportEvent::BodyEnd { sha512, .. } => Some(*sha512),
        _ => None,
    };
    events.iter().filter_map(digest).collect()
}

/// What each event is.
fn outline(events: &[TransportEvent]) -> String {
    let name = |event: &TransportEvent| match event {
        TransportEvent::OcspResponse(_) => "ocsp",
        TransportEvent::RestRequest(_) => "request",
        TransportEvent::RestResponse(_) => "response",
        TransportEvent::Soap(..) => "soap",
        TransportEvent::BodyStart(_) => "(",
        TransportEvent::Body(_) => "body",
        TransportEvent::BodyEnd { .. } => ")",
        TransportEvent::HashChainResult(_) => "result",
        TransportEvent::HashChain(_) => "chain",
        TransportEvent::Signature(_) => "signature",
        TransportEvent::Fault(_) => "fault",
        TransportEvent::End => "end",
    };
    events.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[test]
fn rest_without_body() {
    use {Direction::*, MessageKind::Rest};
    let Some(request) = round_trip("01-req", Request, Rest) else { return };
    let Some(response) = round_trip("01-resp", Response, Rest) else { return };
    assert_eq!(outline(&request), "ocsp request signature end");
    let head = rest_request(&request).head();
    assert_eq!(head.client.to_string(), "DEV/COM/1234/Cli");
    assert_eq!(head.service.to_string(), "DEV/COM/1234/Svc/getRandom");
    assert_eq!((head.service_path.as_str(), head.query.as_deref()), ("/a/b", Some("q=1")));
    assert_eq!(head.id, "id-get-1");
    rest_response(&response).check(rest_request(&request), None).unwrap();
}

#[test]
fn rest_with_body() {
    use {Direction::*, MessageKind::Rest};
    let Some(request) = round_trip("02-req", Request, Rest) else { return };
    let Some(response) = round_trip("02-resp", Response, Rest) else { return };
    assert_eq!(outline(&request), "ocsp request ( body ) result chain signature end");
    assert_eq!(outline(&response), "response ( body ) result chain signature end");
    assert_eq!(digests(&request), [sha512(br#"{"a":1}"#)]);
    rest_response(&response).check(rest_request(&request), digests(&request).first()).unwrap();
    let error = rest_response(&response).check(rest_request(&request), None).unwrap_err();
    assert_eq!(error.code(), "response.request_hash");
}

#[test]
fn rest_parts_are_composed_as_the_reference_does() {
    use {Direction::*, MessageKind::Rest};
    for name in ["01", "02", "05"] {
        let Some(events) = round_trip(&format!("{name}-req"), Request, Rest) else { return };
        let request = rest_request(&events);
        let head = request.head();
        let target = match &head.query {
            Some(query) => format!("{}?{query}", head.path),
            None => head.path.clone(),
        };
        let request_id = head.request_id.as_deref().unwrap();
        let again = RestRequest::compose(head.method, &target, &head.headers, request_id, "unused").unwrap();
        assert_eq!(&again, request, "{name}");
    }
    for (name, body) in [("01", false), ("02", true)] {
        let Some(request) = round_trip(&format!("{name}-req"), Request, Rest) else { return };
        let Some(response) = round_trip(&format!("{name}-resp"), Response, Rest) else { return };
        let head = rest_response(&response).head();
        let digests = digests(&request);
        let request = rest_request(&request);
        let hash = request.hash(digests.first().filter(|_| body));
        let again = RestResponse::compose(request, hash, head.status, &head.reason, &head.headers).unwrap();
        assert_eq!(&again, rest_response(&response), "{name}");
    }
}

#[test]
fn soap_alone() {
    use {Direction::*, MessageKind::Soap};
    let Some(request) = round_trip("03-req", Request, Soap) else { return };
    let Some(response) = round_trip("03-resp", Response, Soap) else { return };
    assert_eq!(outline(&request), "ocsp soap signature end");
    let (_, asked) = soap(&request);
    let (_, answered) = soap(&response);
    assert_eq!(asked.header().service.titled().to_string(), "SERVICE:DEV/COM/1234/Svc/getRandom/v1");
    assert!(!asked.is_response() && answered.is_response());
    asked.check_response(answered).unwrap();
    asked.check_hash(answered).unwrap();
    // Put in again, where the reference put it, the hash changes nothing.
    assert!(answered.with_request_hash(asked.hash()) == answered.bytes()[..]);
}

#[test]
fn soap_with_an_attachment_answered_by_a_fault() {
    use {Direction::*, MessageKind::Soap};
    let Some(request) = round_trip("04-req", Request, Soap) else { return };
    let Some(response) = round_trip("04-resp", Response, Soap) else { return };
    assert_eq!(outline(&request), "ocsp soap ( body ) result chain signature end");
    assert_eq!(digests(&request), [sha512(b"HELLO-ATTACHMENT")]);
    let (headers, _) = soap(&request);
    assert_eq!(headers.others, [uuk_message::Header::new("Content-ID", "<soap>")]);
    let [TransportEvent::Fault(fault), TransportEvent::End] = &*response else { panic!("{response:?}") };
    assert_eq!(fault.fault_code().as_str(), "server.serverproxy.service_failed.invalid_content_type");
    assert_eq!(fault.string, "Invalid content type: application/json");
}

#[test]
fn refused_client() {
    let Some(_) = round_trip("05-req", Direction::Request, MessageKind::Rest) else { return };
    let Some(Http { content_type, body }) = capture("05-resp") else { return };
    let events = read_transport(&body, &content_type, Direction::Response, MessageKind::Rest, 100).unwrap();
    let [TransportEvent::Fault(fault), TransportEvent::End] = &*events else { panic!("{events:?}") };
    assert_eq!(
        fault.fault_code(),
        FaultCode::parse("server.serverproxy.service_failed.ssl_authentication_failed")
    );
    assert_eq!(fault.to_xml(), body);
    let written_anew = uuk_message::SoapFault { xml: bytes::Bytes::new(), ..fault.clone() };
    assert_eq!(written_anew.to_xml(), body);
}

/// What a real server answered on port 5577. The recording says that its body is in chunks, but they were taken off.
#[test]
fn reads_and_writes_the_recorded_ocsp_answers() {
    let Some(bytes) = read_file("captures/ocsp-5577.bin") else { return };
    let (head, body) = bytes.split_at(bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4);
    let head = std::str::from_utf8(head).unwrap();
    let content_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap();
    let (_, boundary) = content_type.rsplit_once('=').unwrap();

    let answers = OcspAnswers::read(content_type, body, &Limits::default()).unwrap();
    let recorded = read_file("captures/pki/ocsp-05befed170bd1dd8daad5972b0cadffb6591c60f.der").unwrap();
    assert_eq!(answers, OcspAnswers(vec![recorded.into()]));
    assert_eq!(OcspAnswers::content_type(boundary), content_type);
    assert_eq!(answers.write(boundary), body);
}
