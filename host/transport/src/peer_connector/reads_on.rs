use std::io;
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection that can be read to its end after writing to it has failed.
///
/// A server that refuses a request may close after its answer and before it has read everything. HTTP would see the
/// failed write first, and never the answer that explains it.
pub(super) struct ReadsOn {
    stream: Arc<TcpStream>,
    /// Why writing failed; told at the end of what can be read.
    failure: Option<io::Error>,
}

impl ReadsOn {
    pub(super) fn new(stream: Arc<TcpStream>) -> Self {
        Self { stream, failure: None }
    }
}

impl AsyncRead for ReadsOn {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read_buf(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) => return Poll::Ready(self.failure.take().map_or(Ok(()), Err)),
                read => return Poll::Ready(read.map(drop)),
            }
        }
    }
}

impl AsyncWrite for ReadsOn {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        while self.failure.is_none() {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write(bytes) {
                Ok(size) => return Poll::Ready(Ok(size)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => self.failure = Some(error),
            }
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}

/// Whether nothing came since the connection became idle: neither its end nor anything else that nobody asked for.
///
/// Asks the kernel, since the runtime may not have heard of it yet. A request that is written to a connection whose
/// other side has closed is lost, and cannot be sent again.
pub(super) fn is_quiet(stream: &TcpStream) -> bool {
    let peeked = SockRef::from(stream).peek(&mut [MaybeUninit::uninit()]);
    peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}
