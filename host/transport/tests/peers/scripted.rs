//! A server that writes what the test tells it, byte for byte.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use uuk_transport::PeerAddress;

use super::PATIENCE;
use super::identities::Authority;

pub(crate) struct Scripted {
    socket: TcpListener,
    tls: TlsAcceptor,
}

impl Scripted {
    pub(crate) async fn bind(authority: &Authority) -> Self {
        let identity = authority.identity("scripted");
        let chain =
            identity.certificates.iter().map(|der| CertificateDer::from(der.to_vec())).collect::<Vec<_>>();
        let key = PrivatePkcs8KeyDer::from(identity.key.expose().clone()).into();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { socket, tls: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(crate) fn address(&self) -> PeerAddress {
        super::address(self.socket.local_addr().unwrap())
    }

    pub(crate) async fn accept(&self) -> TlsStream<TcpStream> {
        self.tls.accept(self.accept_tcp().await).await.unwrap()
    }

    pub(crate) async fn accept_tcp(&self) -> TcpStream {
        let (stream, _) = timeout(PATIENCE, self.socket.accept()).await.unwrap().unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Answers one request with `answer`, and closes if told to.
    pub(crate) async fn answer(&self, answer: &str, close: bool) -> TlsStream<TcpStream> {
        let mut stream = self.accept().await;
        read_request(&mut stream).await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        if close {
            stream.shutdown().await.unwrap();
        }
        stream
    }
}

/// Reads a request with a body in chunks.
pub(crate) async fn read_request(stream: &mut TlsStream<TcpStream>) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"0\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "the request ends");
    }
    String::from_utf8(request).unwrap()
}
