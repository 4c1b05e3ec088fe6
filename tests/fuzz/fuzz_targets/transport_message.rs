//! Whatever the bytes, and in whatever pieces they come, reading a transport message ends with the same verdict.
//!
//! The first byte says what is expected, the second how large the pieces are. Seeds: `tests/fuzz/seeds/transport_message`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use uuk_message::{Direction, Limits, MessageKind, TransportError, TransportEvent, TransportReader};

const CONTENT_TYPE: &str = "multipart/mixed; charset=UTF-8; boundary=xtop";
const ERROR_BYTES_MAX: usize = 1024;

fuzz_target!(|bytes: &[u8]| {
    let Some(([expected, pieces], message)) = bytes.split_first_chunk() else { return };
    let kind = if expected & 1 == 0 { MessageKind::Rest } else { MessageKind::Soap };
    let direction = if expected & 2 == 0 { Direction::Request } else { Direction::Response };
    let whole = read(message, kind, direction, message.len().max(1));
    let in_pieces = read(message, kind, direction, usize::from(*pieces).max(1));
    match (whole, in_pieces) {
        (Ok(whole), Ok(in_pieces)) => assert_eq!(whole, in_pieces),
        (Err(whole), Err(in_pieces)) => {
            // Which of two malformed delimiters is met first, the outer or the nested one, is left to the pieces.
            assert_eq!(whole.xroad_code(), in_pieces.xroad_code());
            assert!(whole.to_string().len() <= ERROR_BYTES_MAX, "{}", whole.code());
        }
        (whole, in_pieces) => panic!("{whole:?}, but in pieces {in_pieces:?}"),
    }
});

/// What was read, in words, with the pieces of bodies joined.
fn read(
    message: &[u8],
    kind: MessageKind,
    direction: Direction,
    pieces: usize,
) -> Result<String, TransportError> {
    let mut reader = TransportReader::new(CONTENT_TYPE, direction, kind, Limits::default())?;
    let mut words = String::new();
    let mut take = |reader: &mut TransportReader| {
        while let Some(event) = reader.next_event()? {
            match event {
                TransportEvent::Body(bytes) => words.push_str(&bytes.escape_ascii().to_string()),
                event => words.push_str(&format!("{event:?}")),
            }
        }
        Ok::<_, TransportError>(())
    };
    for piece in message.chunks(pieces) {
        reader.push(piece);
        take(&mut reader)?;
    }
    reader.end_of_input();
    take(&mut reader)?;
    assert!(words.ends_with("End"), "{words}");
    Ok(words)
}
