use bytes::{Bytes, BytesMut};
use memchr::memchr;
use memchr::memmem::Finder;

use crate::{Header, PartHeaders};

/// Why a multipart message cannot be read. Parts count from 1.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "multipart.")]
#[non_exhaustive]
pub enum MultipartError {
    /// It ends inside a part.
    #[error("the message ends inside part {part}")]
    Truncated {
        /// Which part.
        part: usize,
    },
    /// A line begins with the boundary and goes on with something else.
    #[error("the delimiter after part {part} is followed by text")]
    Delimiter {
        /// Which part it ends.
        part: usize,
    },
    /// A header of a part has no colon, no name, or a control character.
    #[error("part {part} has a malformed header")]
    Header {
        /// Which part.
        part: usize,
    },
    /// A part says two media types.
    #[error("part {part} has two media types")]
    RepeatedContentType {
        /// Which part.
        part: usize,
    },
    /// The headers of a part are too long.
    #[error("the headers of part {part} are longer than {bytes_max} bytes")]
    HeadersTooLarge {
        /// Which part.
        part: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Before the first part or after the last one there is too much.
    #[error("there are more than {bytes_max} bytes outside of the parts")]
    TooMuchOutside {
        /// The limit.
        bytes_max: usize,
    },
}

impl MultipartError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// What stands before the first and after the last part means nothing; nobody sends much of it.
const OUTSIDE_BYTES_MAX: usize = 64 << 10;
/// Blanks after a delimiter, which transport may add (RFC 2046 §5.1.1).
const PADDING_BYTES_MAX: usize = 64;

/// What was read of a multipart message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PartEvent {
    Start(PartHeaders),
    Data(Bytes),
    End,
}

/// Reads a multipart message piece by piece, without looking into its parts.
///
/// It holds back no more than a delimiter and the headers of one part. Lines may end with CR LF or LF, as in
/// mime4j, which X-Road reads with. A message that ends right after a delimiter has ended its last part.
///
/// Source: RFC 2046 §5.1.1.
pub(crate) struct MultipartReader {
    delimiter: Finder<'static>,
    header_bytes_max: usize,
    buffer: BytesMut,
    input_ended: bool,
    state: State,
    /// The part that is read, or was read last.
    part: usize,
    /// Its headers so far.
    headers: PartHeaders,
    /// The one read last, which the next line may continue.
    open_header: Option<Header>,
    header_bytes: usize,
    outside_bytes: usize,
}

/// `fresh` says that nothing was read yet, so that a delimiter may stand at once.
#[derive(Clone, Copy)]
enum State {
    Preamble {
        fresh: bool,
    },
    Headers,
    Body {
        fresh: bool,
    },
    /// The content of a part is out, its delimiter is read.
    PartEnd {
        last: bool,
    },
    Epilogue,
}

enum Scan {
    /// Nothing can be said without more bytes.
    Starved,
    /// So many bytes are content.
    Content(usize),
    /// A delimiter after so many bytes of content, which ends `end` bytes from here.
    Delimiter { content: usize, end: usize, last: bool },
}

enum Line {
    Unknown,
    Other,
    Delimiter { end: usize, last: bool },
}

impl MultipartReader {
    pub(crate) fn new(boundary: &str, header_bytes_max: usize) -> Self {
        Self {
            delimiter: Finder::new(&format!("--{boundary}")).into_owned(),
            header_bytes_max,
            buffer: BytesMut::new(),
            input_ended: false,
            state: State::Preamble { fresh: true },
            part: 0,
            headers: PartHeaders::default(),
            open_header: None,
            header_bytes: 0,
            outside_bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub(crate) fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    /// Whether no event can come any more, once there was none.
    pub(crate) fn is_at_end(&self) -> bool {
        self.input_ended
    }

    /// The next event; `None` if it takes more bytes, or if all were pushed and nothing is left.
    pub(crate) fn next_event(&mut self) -> Result<Option<PartEvent>, MultipartError> {
        loop {
            match self.state {
                State::Preamble { fresh } => match self.scan(fresh)? {
                    Scan::Starved => return Ok(None),
                    Scan::Content(size) => {
                        self.skip_outside(size)?;
                        self.state = State::Preamble { fresh: false };
                    }
                    Scan::Delimiter { end, last, .. } => {
                        self.skip_outside(end)?;
                        self.begin_part(last);
                    }
                },
                State::Headers => {
                    let Some(line) = self.header_line()? else { return Ok(None) };
                    self.read_header(&line)?;
                    if line.is_empty() {
                        self.state = State::Body { fresh: true };
                        return Ok(Some(PartEvent::Start(std::mem::take(&mut self.headers))));
                    }
                }
                State::Body { fresh } => match self.scan(fresh)? {
                    Scan::Starved if self.input_ended => {
                        return Err(MultipartError::Truncated { part: self.part });
                    }
                    Scan::Starved => return Ok(None),
                    Scan::Content(size) => {
                        self.state = State::Body { fresh: false };
                        return Ok(Some(PartEvent::Data(self.buffer.split_to(size).freeze())));
                    }
                    Scan::Delimiter { content, end, last } => {
                        let mut data = self.buffer.split_to(end);
                        data.truncate(content);
                        self.state = State::PartEnd { last };
                        if !data.is_empty() {
                            return Ok(Some(PartEvent::Data(data.freeze())));
                        }
                    }
                },
                State::PartEnd { last } => {
                    self.begin_part(last);
                    return Ok(Some(PartEvent::End));
                }
                State::Epilogue => {
                    self.skip_outside(self.buffer.len())?;
                    return Ok(None);
                }
            }
        }
    }

    fn begin_part(&mut self, was_last: bool) {
        if was_last {
            self.state = State::Epilogue;
        } else {
            self.part += 1;
            self.header_bytes = 0;
            self.state = State::Headers;
        }
    }

    fn skip_outside(&mut self, size: usize) -> Result<(), MultipartError> {
        self.outside_bytes += size;
        let _ = self.buffer.split_to(size);
        if self.outside_bytes > OUTSIDE_BYTES_MAX {
            return Err(MultipartError::TooMuchOutside { bytes_max: OUTSIDE_BYTES_MAX });
        }
        Ok(())
    }

    /// Looks for the delimiter in what is there. `fresh` says that the buffer begins a line.
    fn scan(&self, fresh: bool) -> Result<Scan, MultipartError> {
        let mut from = 0;
        while let Some(start) = self.find_from(from) {
            let before = self.buffer.get(..start).unwrap_or_default();
            if (start == 0 && fresh) || before.ends_with(b"\n") {
                let content = match before.strip_suffix(b"\r\n").or_else(|| before.strip_suffix(b"\n")) {
                    Some(content) => content.len(),
                    None => 0,
                };
                match self.line_at(start)? {
                    Line::Delimiter { end, last } => return Ok(Scan::Delimiter { content, end, last }),
                    Line::Unknown if content == 0 => return Ok(Scan::Starved),
                    Line::Unknown => return Ok(Scan::Content(content)),
                    Line::Other => {}
                }
            }
            from = start + 1;
        }
        // The delimiter could have begun at the end, with the line break before it.
        let kept = if self.input_ended { 0 } else { self.delimiter.needle().len() + 1 };
        match self.buffer.len().saturating_sub(kept) {
            0 => Ok(Scan::Starved),
            size => Ok(Scan::Content(size)),
        }
    }

    fn find_from(&self, from: usize) -> Option<usize> {
        self.delimiter.find(self.buffer.get(from..)?).map(|found| from + found)
    }

    /// What the line is that has the delimiter at `start`.
    fn line_at(&self, start: usize) -> Result<Line, MultipartError> {
        let mut end = start + self.delimiter.needle().len();
        let rest = self.buffer.get(end..).unwrap_or_default();
        let (rest, last) = match rest.strip_prefix(b"--") {
            Some(rest) => (rest, true),
            None if !self.input_ended && b"--".starts_with(rest) => return Ok(Line::Unknown),
            None => (rest, false),
        };
        end += if last { 2 } else { 0 };
        // The boundary may be the beginning of another one, such as that of a nested message.
        if !last && rest.first().is_some_and(|byte| !b" \t\r\n".contains(byte)) {
            return Ok(Line::Other);
        }
        let padding = match memchr(b'\n', rest) {
            Some(line_end) => {
                end += line_end + 1;
                rest.get(..line_end).unwrap_or_default()
            }
            None if self.input_ended => {
                end += rest.len();
                rest
            }
            None if rest.len() <= PADDING_BYTES_MAX => return Ok(Line::Unknown),
            None => rest,
        };
        if padding.len() > PADDING_BYTES_MAX || !padding.iter().all(|byte| b" \t\r".contains(byte)) {
            return Err(MultipartError::Delimiter { part: self.part });
        }
        Ok(Line::Delimiter { end, last })
    }

    /// The next line of headers, without its end; `None` if it is not all there.
    fn header_line(&mut self) -> Result<Option<String>, MultipartError> {
        let (part, bytes_max) = (self.part, self.header_bytes_max);
        let line_end = memchr(b'\n', &self.buffer);
        let size = line_end.map_or(self.buffer.len(), |line_end| line_end + 1);
        if self.header_bytes + size > bytes_max {
            return Err(MultipartError::HeadersTooLarge { part, bytes_max });
        }
        if line_end.is_none() {
            let begun = size > 0 || self.header_bytes > 0;
            let truncated = self.input_ended && begun;
            return if truncated { Err(MultipartError::Truncated { part }) } else { Ok(None) };
        }
        self.header_bytes += size;
        let line = self.buffer.split_to(size);
        let line = line.strip_suffix(b"\r\n").or_else(|| line.strip_suffix(b"\n")).unwrap_or_default();
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(MultipartError::Header { part });
        }
        // ISO-8859-1, as X-Road reads and writes them.
        Ok(Some(line.iter().copied().map(char::from).collect()))
    }

    /// Takes a line of headers: the beginning of one, more of the one before, or the empty line after the last.
    fn read_header(&mut self, line: &str) -> Result<(), MultipartError> {
        let malformed = MultipartError::Header { part: self.part };
        if line.starts_with([' ', '\t']) {
            let header = self.open_header.as_mut().ok_or(malformed)?;
            header.value = format!("{} {}", header.value, line.trim_ascii()).trim_ascii().to_owned();
            return Ok(());
        }
        if let Some(header) = self.open_header.take() {
            if !header.is("content-type") {
                self.headers.others.push(header);
            } else if self.headers.content_type.replace(header.value).is_some() {
                return Err(MultipartError::RepeatedContentType { part: self.part });
            }
        }
        if !line.is_empty() {
            let (name, value) = line.split_once(':').ok_or(malformed)?;
            if name.is_empty() || name.contains([' ', '\t']) {
                return Err(MultipartError::Header { part: self.part });
            }
            self.open_header = Some(Header::new(name, value.trim_ascii()));
        }
        Ok(())
    }
}

/// Writes the frame of a multipart message around contents that the caller writes.
#[derive(Debug)]
pub(crate) struct MultipartWriter {
    boundary: String,
    /// What stands between `content-type` and its value. X-Road's two writers differ in it.
    separator: &'static str,
    /// Whether what was written last needs a line break before the delimiter.
    in_part: bool,
}

impl MultipartWriter {
    pub(crate) fn new(boundary: &str, separator: &'static str) -> Self {
        Self { boundary: boundary.to_owned(), separator, in_part: false }
    }

    /// A writer whose first delimiter has a line break before it, as in a part of another multipart message.
    pub(crate) fn nested(boundary: &str, separator: &'static str) -> Self {
        Self { in_part: true, ..Self::new(boundary, separator) }
    }

    /// Ends the part before, if any, and writes the headers of the next.
    pub(crate) fn start(&mut self, out: &mut Vec<u8>, headers: &PartHeaders) {
        self.delimiter(out, "\r\n");
        if let Some(content_type) = &headers.content_type {
            push_line(out, &format!("content-type{}{content_type}", self.separator));
        }
        for Header { name, value } in &headers.others {
            push_line(out, &format!("{name}: {value}"));
        }
        push_line(out, "");
        self.in_part = true;
    }

    /// Ends the last part and the message.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.delimiter(out, "--\r\n");
        self.in_part = false;
    }

    fn delimiter(&self, out: &mut Vec<u8>, end: &str) {
        if self.in_part {
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"--");
        out.extend_from_slice(self.boundary.as_bytes());
        out.extend_from_slice(end.as_bytes());
    }
}

/// Headers read as ISO-8859-1 are written as it. What it lacks, and what would begin a new line, becomes a question mark.
fn push_line(out: &mut Vec<u8>, line: &str) {
    out.extend(line.chars().map(|character| match u8::try_from(character) {
        Ok(byte) if byte == b'\t' || !byte.is_ascii_control() => byte,
        _ => b'?',
    }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
