use std::io;
use std::pin::Pin;

use bytes::Bytes;
use openssl::bn::BigNum;
use openssl::dh::Dh;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    self, Ssl, SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use openssl::stack::StackRef;
use openssl::x509::{X509, X509Ref};
use tokio_openssl::SslStream;

use super::{Admit, PeerCertificates, PeerIdentity, Stream, UnusableIdentity};

/// For TLS 1.2. The last three are all that stock X-Road servers offer.
const CIPHERS: &str = "ECDHE+AESGCM:ECDHE+CHACHA20:\
    ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:DHE-RSA-AES256-SHA256";

#[derive(Clone)]
pub(crate) struct Acceptor(SslContext);

impl Acceptor {
    pub(super) fn new(identity: &PeerIdentity, admit: Admit) -> Result<Self, UnusableIdentity> {
        let context = || {
            let mut context = context(SslMethod::tls_server(), identity)?;
            context.set_num_tickets(0)?;
            context.set_tmp_dh(&*Dh::from_pqg(
                BigNum::get_rfc3526_prime_2048()?,
                None,
                BigNum::from_u32(2)?,
            )?)?;
            // Asked about each certificate of a path that OpenSSL tries to build; what it found does not count.
            context.set_verify_callback(
                SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT,
                move |_, path| {
                    let leaf = path.chain().and_then(|chain| chain.get(0));
                    leaf.is_some_and(|leaf| leaf.to_der().is_ok_and(|der| admit(&der)))
                },
            );
            Ok(context.build())
        };
        context().map(Self).map_err(|error: ErrorStack| UnusableIdentity(error.into()))
    }

    pub(super) async fn accept(
        self,
        stream: impl Stream + 'static,
    ) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, stream)?;
        Pin::new(&mut stream).accept().await.map_err(as_io)?;
        let leaf = stream.ssl().peer_certificate();
        // For a server OpenSSL leaves out the leaf.
        let certificates = certificates(leaf.as_deref(), stream.ssl().peer_cert_chain())?;
        Ok((Box::new(stream), certificates))
    }
}

#[derive(Clone)]
pub(crate) struct Dialer(SslContext);

impl Dialer {
    pub(super) fn new(identity: &PeerIdentity) -> Result<Self, UnusableIdentity> {
        let context = || {
            let mut context = context(SslMethod::tls_client(), identity)?;
            // Certificates are judged after the handshake: that may need OCSP answers, which take time.
            context.set_verify(SslVerifyMode::NONE);
            Ok(context.build())
        };
        context().map(Self).map_err(|error: ErrorStack| UnusableIdentity(error.into()))
    }

    pub(super) async fn connect(
        self,
        stream: impl Stream + 'static,
    ) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        let mut stream = SslStream::new(Ssl::new(&self.0)?, stream)?;
        Pin::new(&mut stream).connect().await.map_err(as_io)?;
        let certificates = certificates(None, stream.ssl().peer_cert_chain())?;
        Ok((Box::new(stream), certificates))
    }
}

/// What both sides have in common.
fn context(method: SslMethod, identity: &PeerIdentity) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContextBuilder::new(method)?;
    context.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    context.set_cipher_list(CIPHERS)?;
    context.set_options(
        SslOptions::CIPHER_SERVER_PREFERENCE | SslOptions::NO_RENEGOTIATION | SslOptions::NO_TICKET,
    );
    // A resumed session would bring back a peer that is no longer admitted.
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    context.set_mode(
        // Otherwise OpenSSL adds what it finds in the system's store to the certificates that it sends.
        SslMode::NO_AUTO_CHAIN
            | SslMode::AUTO_RETRY
            | SslMode::ACCEPT_MOVING_WRITE_BUFFER
            | SslMode::ENABLE_PARTIAL_WRITE
            | SslMode::RELEASE_BUFFERS,
    );
    let mut certificates = identity.certificates.iter();
    if let Some(leaf) = certificates.next() {
        context.set_certificate(&*X509::from_der(leaf)?)?;
    }
    for intermediate in certificates {
        context.add_extra_chain_cert(X509::from_der(intermediate)?)?;
    }
    context.set_private_key(&*PKey::private_key_from_pkcs8(identity.key.expose())?)?;
    context.check_private_key()?;
    Ok(context)
}

fn certificates(leaf: Option<&X509Ref>, others: Option<&StackRef<X509>>) -> io::Result<PeerCertificates> {
    let others = others.into_iter().flatten();
    let sent = leaf.into_iter().chain(others).map(X509Ref::to_der).collect::<Result<Vec<_>, _>>()?;
    PeerCertificates::new(sent.into_iter().map(Bytes::from))
        .ok_or_else(|| io::Error::other("the peer sent no certificate"))
}

fn as_io(error: ssl::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(io::Error::other)
}
