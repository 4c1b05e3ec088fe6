use std::error::Error;
use std::fmt;
use std::future::pending;
use std::pin::Pin;
use std::task::Context;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::listening_socket::{BUFFER_BYTES_MAX, HEADER_BYTES_MAX};

/// A connection that carries requests of ours, one after the other: hyper's handle, and the work behind it for as long as
/// there is any.
///
/// It is driven by the call that uses it, then by whoever reads the answer, and by nobody while idle: there is no task to
/// own or to stop, and dropping a call or an answer closes its connection.
pub(crate) struct Connection<B> {
    sender: SendRequest<B>,
    driver: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

/// Why a request brought no answer, with the request if no byte of it was sent.
pub(crate) struct Failed<B> {
    pub(crate) source: hyper::Error,
    pub(crate) unsent: Option<Box<Request<B>>>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    pub(crate) async fn open(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> hyper::Result<Self> {
        let (sender, driver) = http1::Builder::new()
            .max_header_size(HEADER_BYTES_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Whether it may carry another request, as far as is known here.
    pub(crate) fn is_open(&self) -> bool {
        self.driver.is_some() && !self.sender.is_closed()
    }

    /// Sends `request` and waits until an answer begins.
    pub(crate) async fn send(&mut self, request: Request<B>) -> Result<Response<Incoming>, Failed<B>> {
        let Self { sender, driver } = self;
        let exchange = async {
            if let Err(source) = sender.ready().await {
                return Err(Failed { source, unsent: Some(Box::new(request)) });
            }
            sender.try_send_request(request).await.map_err(|mut failed| {
                let unsent = failed.take_message().map(Box::new);
                Failed { source: failed.into_error(), unsent }
            })
        };
        let work = async {
            if let Some(connection) = driver.as_mut() {
                // How it ended reaches the exchange through its handle.
                let _ = connection.await;
                *driver = None;
            }
            pending().await
        };
        tokio::select! {
            outcome = exchange => outcome,
            outcome = work => outcome,
        }
    }

    /// Moves what is to be sent and read.
    pub(crate) fn advance(&mut self, context: &mut Context<'_>) {
        if self.driver.as_mut().is_some_and(|driver| driver.as_mut().poll(context).is_ready()) {
            self.driver = None;
        }
    }
}

impl<B> fmt::Debug for Connection<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("is_driven", &self.driver.is_some()).finish_non_exhaustive()
    }
}
