use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::BodyError;
use crate::peer_connector::Exchange;

/// The body of a request or response of a peer, as it comes. It is read no faster than it is asked for.
///
/// A peer that sends nothing for too long while it is waited for is given up ([`BodyError::Slow`]).
#[derive(Debug)]
pub struct PeerBody {
    incoming: Incoming,
    pause_max: Duration,
    /// When waiting ends; absent while nobody waits.
    patience: Option<Pin<Box<Sleep>>>,
    /// The connection of a response, which moves only while its body is read.
    exchange: Option<Exchange>,
}

impl PeerBody {
    pub(crate) fn new(incoming: Incoming, pause_max: Duration, exchange: Option<Exchange>) -> Self {
        let mut body = Self { incoming, pause_max, patience: None, exchange };
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

impl Body for PeerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(exchange) = &mut self.exchange {
            exchange.advance(context);
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(context) {
            self.patience = None;
            match &frame {
                Some(Err(_)) => self.exchange = None,
                Some(Ok(_)) if !self.incoming.is_end_stream() => {}
                Some(Ok(_)) | None => self.end_exchange(),
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(BodyError::Broken)));
        }
        let deadline = Instant::now() + self.pause_max;
        let patience = self.patience.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        ready!(patience.as_mut().poll(context));
        self.exchange = None;
        Poll::Ready(Some(Err(BodyError::Slow)))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
