use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::BodyError;

/// The body of a request or an answer, as it comes. It is read no faster than it is asked for.
///
/// Another security server that sends nothing for too long while it is waited for is given up ([`BodyError::Slow`]); how
/// long to wait for an upstream is up to whoever reads.
pub struct ReceivedBody {
    incoming: Incoming,
    pause_max: Option<Duration>,
    /// When waiting ends; absent while nobody waits.
    patience: Option<Pin<Box<Sleep>>>,
    /// The connection of an answer, which moves only while its body is read.
    exchange: Option<Box<dyn Exchange>>,
}

/// A connection whose answer is read.
pub(crate) trait Exchange: Send {
    /// Moves what is to be sent and read.
    fn advance(&mut self, context: &mut Context<'_>);

    /// The answer was read to its end: the connection may carry another.
    fn end(self: Box<Self>);
}

impl ReceivedBody {
    /// Of a request to us.
    pub(crate) fn of_request(incoming: Incoming, pause_max: Duration) -> Self {
        Self { incoming, pause_max: Some(pause_max), patience: None, exchange: None }
    }

    /// Of an answer to us; whoever sends it may pause for `pause_max`.
    pub(crate) fn of_answer(
        incoming: Incoming,
        pause_max: Option<Duration>,
        exchange: impl Exchange + 'static,
    ) -> Self {
        let mut body = Self { incoming, pause_max, patience: None, exchange: Some(Box::new(exchange)) };
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

impl Body for ReceivedBody {
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
        let Some(pause_max) = self.pause_max else { return Poll::Pending };
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + pause_max)));
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

impl fmt::Debug for ReceivedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceivedBody").field("incoming", &self.incoming).finish_non_exhaustive()
    }
}
