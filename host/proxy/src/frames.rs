use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Body;

use crate::incoming::IncomingError;

/// A body as it comes, which has to be whole at a certain time.
pub(crate) struct Frames<B> {
    body: Pin<Box<B>>,
    deadline: Instant,
}

impl<B> Frames<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    pub(crate) fn new(body: B, deadline: Instant) -> Self {
        Self { body: Box::pin(body), deadline }
    }

    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, IncomingError> {
        loop {
            let frame = tokio::time::timeout_at(self.deadline.into(), self.body.frame());
            match frame.await.map_err(|_| IncomingError::Slow)? {
                None => return Ok(None),
                Some(Err(error)) => return Err(IncomingError::Broken(error.into())),
                // What is not data is a trailer, and nobody asked for one.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}
