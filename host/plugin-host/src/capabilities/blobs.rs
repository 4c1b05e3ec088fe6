//! Capability `blobs`: large bodies that stay on the host while the adapter moves windows of them.

use aws_lc_rs::digest;
use bytes::Bytes;

/// The largest window moved at once.
const WINDOW_BYTES_MAX: u32 = 1 << 20;

/// Why a blob was not read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlobError {
    OutOfRange,
    QuotaExceeded,
}

/// A finished body.
#[derive(Debug, Clone)]
pub struct Blob {
    pub(crate) name: Option<String>,
    pub(crate) media_type: String,
    pub(crate) data: Bytes,
}

impl Blob {
    pub(crate) fn sha256(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.data).as_ref().to_vec()
    }

    /// At most `max` bytes from `offset`; none at the very end.
    pub(crate) fn read(&self, offset: u64, max: u32) -> Result<&[u8], BlobError> {
        let start = usize::try_from(offset).map_err(|_| BlobError::OutOfRange)?;
        let rest = self.data.get(start..).ok_or(BlobError::OutOfRange)?;
        let window = rest.len().min(max.min(WINDOW_BYTES_MAX) as usize);
        Ok(rest.get(..window).unwrap_or_default())
    }
}

/// A body being written.
#[derive(Debug)]
pub struct BlobWriter {
    name: Option<String>,
    media_type: String,
    data: Vec<u8>,
    bytes_max: u64,
}

impl BlobWriter {
    pub(crate) fn new(media_type: String, name: Option<String>, bytes_max: u64) -> Self {
        Self { name, media_type, data: Vec::new(), bytes_max }
    }

    pub(crate) fn append(&mut self, chunk: &[u8]) -> Result<(), BlobError> {
        if (self.data.len() + chunk.len()) as u64 > self.bytes_max {
            return Err(BlobError::QuotaExceeded);
        }
        self.data.extend_from_slice(chunk);
        Ok(())
    }

    pub(crate) fn finish(self) -> Blob {
        Blob { name: self.name, media_type: self.media_type, data: self.data.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(text: &'static [u8]) -> Blob {
        Blob { name: None, media_type: "text/plain".into(), data: Bytes::from_static(text) }
    }

    #[test]
    fn reads_windows_up_to_the_end() {
        assert_eq!(blob(b"abcdef").read(4, 10), Ok(&b"ef"[..]));
        assert_eq!(blob(b"abcdef").read(6, 10), Ok(&b""[..]));
    }

    #[test]
    fn refuses_a_window_beyond_the_end() {
        assert_eq!(blob(b"abc").read(4, 1), Err(BlobError::OutOfRange));
        assert_eq!(blob(b"abc").read(u64::MAX, 1), Err(BlobError::OutOfRange));
    }

    #[test]
    fn refuses_to_write_beyond_the_quota() {
        let mut writer = BlobWriter::new("text/plain".into(), None, 4);
        assert_eq!(writer.append(b"abc"), Ok(()));
        assert_eq!(writer.append(b"de"), Err(BlobError::QuotaExceeded));
        assert_eq!(writer.finish().data, &b"abc"[..]);
    }
}
