//! The fixtures of the X-Road project and the exchanges recorded between its servers.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

mod captures;
mod proxymessages;
mod queries;

use uuk_message::{Direction, Limits, MessageKind, TransportError, TransportEvent, TransportReader};
use uuk_testkit::fixtures;

/// A file of the fixtures; `None` if they are not here.
fn read_file(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Reads a transport message that comes in pieces of so many bytes.
fn read_transport(
    message: &[u8],
    content_type: &str,
    direction: Direction,
    kind: MessageKind,
    pieces: usize,
) -> Result<Vec<TransportEvent>, TransportError> {
    let mut reader = TransportReader::new(content_type, direction, kind, Limits::default())?;
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
