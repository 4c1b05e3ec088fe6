use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::{Admit, PeerCertificates, PeerIdentity, Stream, UnusableIdentity};
use crate::tls::provider;

#[derive(Clone)]
pub(crate) struct Acceptor(TlsAcceptor);

impl Acceptor {
    pub(super) fn new(identity: &PeerIdentity, admit: Admit) -> Result<Self, UnusableIdentity> {
        let config = || {
            let provider = provider();
            let peers = AdmittedPeers { algorithms: provider.signature_verification_algorithms, admit };
            let (chain, key) = chain_and_key(identity);
            let mut config = ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .with_client_cert_verifier(Arc::new(peers))
                .with_single_cert(chain, key)?;
            // A resumed session would bring back a peer that is no longer admitted.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
            Ok(config)
        };
        let config = config().map_err(|error: rustls::Error| UnusableIdentity(error.into()))?;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    pub(super) async fn accept(self, stream: TcpStream) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        let stream = self.0.accept(stream).await?;
        let certificates = certificates(stream.get_ref().1.peer_certificates())?;
        Ok((Box::new(stream), certificates))
    }
}

#[derive(Clone)]
pub(crate) struct Dialer(TlsConnector);

impl Dialer {
    pub(super) fn new(identity: &PeerIdentity) -> Result<Self, UnusableIdentity> {
        let config = || {
            let provider = provider();
            let peers = JudgedAfterwards { algorithms: provider.signature_verification_algorithms };
            let (chain, key) = chain_and_key(identity);
            let mut config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(peers))
                .with_client_auth_cert(chain, key)?;
            config.enable_sni = false;
            config.resumption = Resumption::disabled();
            Ok(config)
        };
        let config = config().map_err(|error: rustls::Error| UnusableIdentity(error.into()))?;
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    pub(super) async fn connect(
        self,
        stream: impl Stream + 'static,
    ) -> io::Result<(Box<dyn Stream>, PeerCertificates)> {
        // A peer is known by its certificate, whatever its host is called.
        let nameless = ServerName::from(IpAddr::from([0, 0, 0, 0]));
        let stream = self.0.connect(nameless, stream).await?;
        let certificates = certificates(stream.get_ref().1.peer_certificates())?;
        Ok((Box::new(stream), certificates))
    }
}

fn chain_and_key(identity: &PeerIdentity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = identity.certificates.iter().map(|der| CertificateDer::from(der.to_vec())).collect();
    (chain, PrivatePkcs8KeyDer::from(identity.key.expose().clone()).into())
}

fn certificates(sent: Option<&[CertificateDer<'_>]>) -> io::Result<PeerCertificates> {
    let sent = sent.unwrap_or_default().iter().map(|der| Bytes::copy_from_slice(der));
    PeerCertificates::new(sent).ok_or_else(|| io::Error::other("the peer sent no certificate"))
}

/// Admits whom the global configuration knows. Dates, path and revocation are judged with the OCSP answers that come
/// with each message.
struct AdmittedPeers {
    algorithms: WebPkiSupportedAlgorithms,
    admit: Admit,
}

impl ClientCertVerifier for AdmittedPeers {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if (self.admit)(end_entity) {
            Ok(ClientCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl fmt::Debug for AdmittedPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmittedPeers").finish_non_exhaustive()
    }
}

/// Takes any certificate whose key the peer proves to hold: judging it may need OCSP answers, which take time.
#[derive(Debug)]
struct JudgedAfterwards {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for JudgedAfterwards {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
