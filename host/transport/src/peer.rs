use std::fmt;
use std::net::SocketAddr;

use aws_lc_rs::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;

/// Who is at the other end of a connection, as far as the connection itself proves it.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where the connection comes from.
    pub address: SocketAddr,
    /// The certificate whose key the peer proved to hold; absent without client authentication.
    pub certificate: Option<ClientCertificate>,
}

/// A certificate a client showed in its TLS handshake, accepted by the listener.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    der: CertificateDer<'static>,
    sha256: [u8; 32],
}

impl ClientCertificate {
    pub(crate) fn new(der: CertificateDer<'static>) -> Self {
        Self { sha256: sha256(&der), der }
    }

    /// The X.509 certificate, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Its SHA-256, by which information systems are registered.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate(")?;
        self.sha256.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}
