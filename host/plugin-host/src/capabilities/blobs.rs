//! Capability `blobs`: large bodies that stay on the host while the adapter moves windows of them.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use bytes::Bytes;

use crate::host_calls::HostCalls;

/// The largest window moved at once.
const WINDOW_BYTES_MAX: u32 = 1 << 20;

/// The longest name and the longest media type.
const LABEL_BYTES_MAX: usize = 256;

/// Why a blob was not read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BlobError {
    #[error("the offset lies beyond the blob's end")]
    OutOfRange,
    #[error("blobs hold more than one call may")]
    QuotaExceeded,
}

/// A finished body.
#[derive(Debug, Clone)]
pub struct Blob {
    pub(crate) name: Option<String>,
    pub(crate) media_type: String,
    pub(crate) data: Bytes,
    pub(crate) sha256: Digest,
}

impl Blob {
    /// At most `max` bytes from `offset`; none at the very end.
    pub(crate) fn read(&self, offset: u64, max: u32) -> Result<&[u8], BlobError> {
        let start = usize::try_from(offset).map_err(|_| BlobError::OutOfRange)?;
        let rest = self.data.get(start..).ok_or(BlobError::OutOfRange)?;
        let window = rest.len().min(max.min(WINDOW_BYTES_MAX) as usize);
        Ok(rest.get(..window).unwrap_or_default())
    }
}

/// A body being written.
pub struct BlobWriter {
    name: Option<String>,
    media_type: String,
    data: Vec<u8>,
    /// Computed while bytes come, so that asking for it costs nothing however often it is asked.
    sha256: Context,
    bytes_max: u64,
}

impl BlobWriter {
    /// Begins a body of at most `bytes_max`, if what `held` has left has place for its labels.
    pub(crate) fn new(
        media_type: String,
        name: Option<String>,
        bytes_max: u64,
        held: &HostCalls,
    ) -> Result<Self, BlobError> {
        let labels = [media_type.len(), name.as_ref().map_or(0, String::len)];
        if labels.iter().any(|length| *length > LABEL_BYTES_MAX) || !held.hold(labels.iter().sum()) {
            return Err(BlobError::QuotaExceeded);
        }
        Ok(Self { name, media_type, data: Vec::new(), sha256: Context::new(&SHA256), bytes_max })
    }

    pub(crate) fn append(&mut self, chunk: &[u8], held: &HostCalls) -> Result<(), BlobError> {
        if (self.data.len() + chunk.len()) as u64 > self.bytes_max || !held.hold(chunk.len()) {
            return Err(BlobError::QuotaExceeded);
        }
        self.data.extend_from_slice(chunk);
        self.sha256.update(chunk);
        Ok(())
    }

    pub(crate) fn finish(self) -> Blob {
        let Self { name, media_type, data, sha256, .. } = self;
        Blob { name, media_type, data: data.into(), sha256: sha256.finish() }
    }
}

#[cfg(test)]
mod tests {
    use crate::host_calls::HELD_BYTES_MAX;

    use super::*;

    fn writer(bytes_max: u64, held: &HostCalls) -> BlobWriter {
        BlobWriter::new("text/plain".into(), None, bytes_max, held).ok().unwrap()
    }

    fn blob(text: &[u8]) -> Blob {
        let held = HostCalls::new(0);
        let mut writer = writer(100, &held);
        writer.append(text, &held).unwrap();
        writer.finish()
    }

    #[test]
    fn reads_windows_up_to_the_end() {
        assert_eq!(blob(b"abcdef").read(4, 10), Ok(&b"ef"[..]));
        assert_eq!(blob(b"abcdef").read(6, 10), Ok(&b""[..]));
    }

    #[test]
    fn tells_the_digest_of_all_that_was_written() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex::encode(blob(b"abc").sha256), digest);
    }

    #[test]
    fn refuses_a_window_beyond_the_end() {
        assert_eq!(blob(b"abc").read(4, 1), Err(BlobError::OutOfRange));
        assert_eq!(blob(b"abc").read(u64::MAX, 1), Err(BlobError::OutOfRange));
    }

    #[test]
    fn refuses_to_write_beyond_the_quota() {
        let held = HostCalls::new(0);
        let mut writer = writer(4, &held);
        assert_eq!(writer.append(b"abc", &held), Ok(()));
        assert_eq!(writer.append(b"de", &held), Err(BlobError::QuotaExceeded));
        assert_eq!(writer.finish().data, &b"abc"[..]);
    }

    #[test]
    fn refuses_to_hold_more_in_many_blobs_than_one_call_may() {
        let held = HostCalls::new(0);
        let chunk = vec![0; HELD_BYTES_MAX as usize / 2];
        let mut writers = [writer(u64::MAX, &held), writer(u64::MAX, &held)];
        assert_eq!(writers[0].append(&chunk, &held), Ok(()));
        assert_eq!(writers[1].append(&chunk, &held), Err(BlobError::QuotaExceeded));
        // Throwing one away does not begin the count anew: whoever repeats that keeps the host as busy.
        assert_eq!(writer(u64::MAX, &held).append(&chunk, &held), Err(BlobError::QuotaExceeded));
    }

    #[test]
    fn refuses_long_name_and_media_type() {
        let held = HostCalls::new(0);
        let long = "x".repeat(LABEL_BYTES_MAX + 1);
        assert!(BlobWriter::new(long.clone(), None, 1, &held).is_err());
        assert!(BlobWriter::new("text/plain".into(), Some(long), 1, &held).is_err());
    }
}
