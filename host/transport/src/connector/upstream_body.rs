use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::pool::Exchange;

/// The body of an upstream's answer, as it comes. It is read no faster than it is asked for, and whoever reads it sets
/// the deadline.
#[derive(Debug)]
pub struct UpstreamBody {
    incoming: Incoming,
    /// The connection, which moves only while the body is read.
    exchange: Option<Exchange>,
}

impl UpstreamBody {
    pub(super) fn new(incoming: Incoming, exchange: Exchange) -> Self {
        let mut body = Self { incoming, exchange: Some(exchange) };
        if body.incoming.is_end_stream() {
            body.end_exchange();
        }
        body
    }

    fn end_exchange(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            exchange.end();
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(exchange) = &mut self.exchange {
            exchange.advance(context);
        }
        let frame = Pin::new(&mut self.incoming).poll_frame(context);
        match &frame {
            Poll::Pending => {}
            Poll::Ready(Some(Err(_))) => self.exchange = None,
            Poll::Ready(Some(Ok(_))) if !self.incoming.is_end_stream() => {}
            Poll::Ready(Some(Ok(_)) | None) => self.end_exchange(),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
