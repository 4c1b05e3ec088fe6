use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame};
use tokio_util::sync::CancellationToken;

/// The body of a request on its way out. It keeps its length to itself, and tells when its end was reached.
pub(super) struct Upload {
    body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>,
    ended: CancellationToken,
}

impl Upload {
    pub(super) fn new(body: UnsyncBoxBody<Bytes, Box<dyn Error + Send + Sync>>) -> Self {
        Self { body, ended: CancellationToken::new() }
    }

    /// Is cancelled once the whole body was taken to be sent.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None) = frame {
            self.ended.cancel();
        }
        frame
    }
}
