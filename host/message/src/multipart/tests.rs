use super::*;

/// Everything there is to read, with the data of a part joined. `pieces` is how many bytes are pushed at a time.
fn read(message: &[u8], pieces: usize) -> Result<Vec<PartEvent>, MultipartError> {
    let mut reader = MultipartReader::new("B", 200);
    let mut events: Vec<PartEvent> = Vec::new();
    let mut chunks = message.chunks(pieces);
    loop {
        while let Some(event) = reader.next_event()? {
            match (events.last_mut(), event) {
                (Some(PartEvent::Data(data)), PartEvent::Data(more)) => {
                    *data = [&data[..], &more[..]].concat().into();
                }
                (_, event) => events.push(event),
            }
        }
        match chunks.next() {
            Some(chunk) => reader.push(chunk),
            None if reader.input_ended => return Ok(events),
            None => reader.end_of_input(),
        }
    }
}

#[track_caller]
fn check(message: &str, expected: &[&str]) {
    for pieces in [1, 2, 3, 7, message.len().max(1)] {
        let events = read(message.as_bytes(), pieces).unwrap();
        let contents: Vec<String> = events.split(|event| *event == PartEvent::End).map(content).collect();
        let (rest, contents) = contents.split_last().unwrap();
        assert_eq!(rest, "", "in pieces of {pieces}");
        assert_eq!(contents, expected, "in pieces of {pieces}");
    }
}

fn content(events: &[PartEvent]) -> String {
    match events {
        [PartEvent::Start(_), PartEvent::Data(data)] => String::from_utf8(data.to_vec()).unwrap(),
        _ => String::new(),
    }
}

#[track_caller]
fn refuses(message: &str, code: &str) {
    for pieces in [1, 5, message.len()] {
        assert_eq!(read(message.as_bytes(), pieces).unwrap_err().code(), code, "in pieces of {pieces}");
    }
}

#[test]
fn reads_parts_with_either_line_end() {
    check("--B\r\na: b\r\n\r\nx\r\n--B\r\n\r\ny\r\n--B--\r\n", &["x", "y"]);
    check("--B\na: b\n\nx\n--B\n\ny\n--B--", &["x", "y"]);
}

#[test]
fn keeps_every_byte_of_a_part_but_its_last_line_break() {
    check("--B\r\n\r\n\r\nx\r\n\r\n--B--", &["\r\nx\r\n"]);
}

#[test]
fn skips_what_stands_around_the_parts() {
    check("before --B\r\n\r\n--B \t\r\n\r\nx\r\n--B--\r\nafter\r\n--B\r\n", &["x"]);
}

#[test]
fn takes_a_longer_boundary_for_content() {
    check("--B\r\n\r\nx\r\n--BC\r\n\r\n--B-C\r\n--B--", &["x\r\n--BC\r\n\r\n--B-C"]);
}

#[test]
fn reads_empty_parts() {
    check("--B\r\n\r\n\r\n--B\r\n\r\n--B--", &["", ""]);
}

#[test]
fn a_message_may_end_with_a_delimiter_or_have_no_parts() {
    check("--B\r\n\r\nx\r\n--B", &["x"]);
    check("", &[]);
    check("no part", &[]);
}

#[test]
fn unfolds_headers() {
    let events =
        read(b"--B\r\nContent-ID:\r\n   <a>\r\nx: y\r\ncontent-type: text/xml\r\n\r\n--B--", 4).unwrap();
    let expected = PartHeaders {
        content_type: Some("text/xml".into()),
        others: vec![Header::new("Content-ID", "<a>"), Header::new("x", "y")],
    };
    assert_eq!(events.first(), Some(&PartEvent::Start(expected)));
}

#[test]
fn refuses_a_part_that_does_not_end() {
    refuses("--B\r\n\r\nx\r\n-", "multipart.truncated");
    refuses("--B\r\na: b", "multipart.truncated");
}

#[test]
fn refuses_text_after_a_delimiter() {
    refuses("--B\r\n\r\nx\r\n--B x\r\n", "multipart.delimiter");
    refuses("--B\r\n\r\nx\r\n--B--x\r\n", "multipart.delimiter");
    refuses(&format!("--B\r\n\r\nx\r\n--B{}\r\n", " ".repeat(65)), "multipart.delimiter");
}

#[test]
fn refuses_malformed_headers() {
    for header in ["no colon", ": x", "a b: c", " folded: first", "a: b\0", "--B"] {
        refuses(&format!("--B\r\n{header}\r\n\r\nx\r\n--B--"), "multipart.header");
    }
}

#[test]
fn refuses_two_media_types() {
    refuses("--B\r\nContent-Type: a/b\r\ncontent-type: a/c\r\n\r\n--B--", "multipart.repeated_content_type");
}

#[test]
fn refuses_long_headers() {
    refuses(&format!("--B\r\na: {}\r\n\r\n--B--", "x".repeat(200)), "multipart.headers_too_large");
    refuses(&format!("--B\r\n{}\r\n\r\n--B--", "a: b\r\n".repeat(40)), "multipart.headers_too_large");
}

#[test]
fn refuses_much_outside_of_parts() {
    let outside = "x".repeat(OUTSIDE_BYTES_MAX + 1);
    refuses(&format!("{outside}\r\n--B--"), "multipart.too_much_outside");
    refuses(&format!("--B--\r\n{outside}"), "multipart.too_much_outside");
}

#[test]
fn no_header_begins_a_second_line() {
    let mut out = Vec::new();
    let headers = PartHeaders { content_type: None, others: vec![Header::new("a", "b\r\nc: d")] };
    MultipartWriter::new("B", ": ").start(&mut out, &headers);
    assert_eq!(out, b"--B\r\na: b??c: d\r\n\r\n");
}
