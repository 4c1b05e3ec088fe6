use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

/// Why a body could not be read to its end.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "body.")]
#[non_exhaustive]
pub enum BodyError {
    /// More than the reader takes.
    #[error("body is larger than {bytes_max} bytes")]
    TooLarge {
        /// What the reader takes.
        bytes_max: u64,
    },
    /// The deadline passed before its end.
    #[error("body did not arrive in time")]
    Slow,
    /// The connection broke off, or the framing is wrong.
    #[error("body broke off")]
    Broken(#[from] hyper::Error),
}

impl BodyError {
    /// Stable code, such as `body.too_large`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// Reads a whole body of at most `bytes_max` bytes until `deadline`.
///
/// # Errors
/// [`BodyError::TooLarge`] as soon as the body announces or sends more; [`BodyError::Slow`], [`BodyError::Broken`].
pub async fn read_body(body: Incoming, bytes_max: u64, deadline: Instant) -> Result<Bytes, BodyError> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    tokio::time::timeout_at(deadline.into(), collect(body, bytes_max)).await.unwrap_or(Err(BodyError::Slow))
}

/// Reads a whole body of at most `bytes_max` bytes; the caller sets the deadline.
pub(crate) async fn collect(
    mut body: impl Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
    bytes_max: u64,
) -> Result<Bytes, BodyError> {
    // A length that is announced need not be waited for.
    if body.size_hint().lower() > bytes_max {
        return Err(BodyError::TooLarge { bytes_max });
    }
    let mut size_bytes = 0;
    let mut chunks = Vec::new();
    while let Some(frame) = body.frame().await {
        // What is not data is a trailer, and nobody asked for one.
        let Ok(chunk) = frame.map_err(Into::into)?.into_data() else { continue };
        size_bytes += chunk.len() as u64;
        if size_bytes > bytes_max {
            return Err(BodyError::TooLarge { bytes_max });
        }
        chunks.push(chunk);
    }
    Ok(match <[Bytes; 1]>::try_from(chunks) {
        Ok([whole]) => whole,
        Err(chunks) => chunks.concat().into(),
    })
}
