//! TLS 1.2 and 1.3 through rustls: identities and trust from PEM files, and the decision about client certificates.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use der::Decode;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde::Deserialize;

use crate::peer::sha256;

/// The PEM files by which this side of a connection identifies itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityFiles {
    /// The certificate, followed by its intermediates if there are any.
    pub certificate: PathBuf,
    /// Its private key: PKCS#8, PKCS#1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

impl IdentityFiles {
    /// Makes both files relative to `folder`, where they were named.
    pub fn resolve(&mut self, folder: &Path) {
        self.certificate = folder.join(&self.certificate);
        self.key = folder.join(&self.key);
    }
}

/// Why TLS cannot be set up from the files given.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "tls.")]
#[non_exhaustive]
pub enum TlsError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is damaged, or holds no certificate.
    #[error("`{}` is not a PEM file of certificates", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file is damaged, or holds no unencrypted private key.
    #[error("`{}` is not a PEM file of an unencrypted private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// There is no version of TLS that both this program and its cryptography know.
    #[error("TLS is not to be had")]
    Unsupported(#[source] rustls::Error),
    /// The key is of an unsupported kind, or belongs to another certificate.
    #[error("key `{}` does not serve certificate `{}`", files.key.display(), files.certificate.display())]
    Identity {
        /// The two files.
        files: Box<IdentityFiles>,
        /// Why.
        #[source]
        source: rustls::Error,
    },
}

impl TlsError {
    /// Stable code, such as `tls.identity`.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// What a server shows and whom it admits.
pub(crate) fn server_config(
    identity: &IdentityFiles,
    clients: Option<ClientTrust>,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|source| TlsError::Identity { files: Box::new(identity.clone()), source })?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(Arc::new(clients)),
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = read_identity(identity)?;
    builder
        .with_single_cert(chain, key)
        .map_err(|source| TlsError::Identity { files: Box::new(identity.clone()), source })
}

/// What a client shows and whom it believes.
pub(crate) fn client_config(
    authorities: &Path,
    identity: Option<&IdentityFiles>,
) -> Result<ClientConfig, TlsError> {
    let unusable =
        |source: rustls::Error| TlsError::Certificate { path: authorities.to_owned(), source: source.into() };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(read_roots(&[authorities.to_owned()])?);
    let Some(identity) = identity else { return Ok(builder.with_no_client_auth()) };
    let (chain, key) = read_identity(identity)?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|source| TlsError::Identity { files: Box::new(identity.clone()), source })
}

/// What a client shows, which is nothing, and whom it believes: whoever holds the key of `certificate`, whatever that
/// says of names, dates and issuers.
pub(crate) fn client_config_for(certificate: &[u8]) -> Result<ClientConfig, TlsError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let only = OnlyServer { certificate: sha256(certificate), algorithms };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Unsupported)?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(only)).with_no_client_auth())
}

/// Believes the holder of one certificate.
#[derive(Debug)]
struct OnlyServer {
    certificate: [u8; 32],
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for OnlyServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match sha256(end_entity) == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
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

/// The client certificates a listener admits: those registered one by one, and those that lead to an authority.
///
/// A registered certificate need not lead anywhere: information systems commonly show self-signed ones, and being
/// registered is what makes them known. It must still be within its period of validity.
pub(crate) struct ClientTrust {
    registered: HashMap<[u8; 32], Validity>,
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Seconds since 1970 at which a certificate begins and ceases to be valid, both included.
struct Validity {
    not_before: u64,
    not_after: u64,
}

impl ClientTrust {
    /// Reads PEM files, each of one certificate or several.
    pub(crate) fn read(registered: &[PathBuf], authorities: &[PathBuf]) -> Result<Self, TlsError> {
        let mut known = HashMap::new();
        for path in registered {
            for certificate in read_certificates(path)? {
                known.insert(sha256(&certificate), Validity::of(&certificate, path)?);
            }
        }
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let authorities = match authorities {
            [] => None,
            [first, ..] => {
                let roots = Arc::new(read_roots(authorities)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|source| TlsError::Certificate { path: first.clone(), source: source.into() })?;
                Some(verifier)
            }
        };
        Ok(Self { registered: known, authorities, algorithms })
    }
}

impl Validity {
    fn of(certificate: &CertificateDer<'_>, path: &Path) -> Result<Self, TlsError> {
        let certificate = x509_cert::Certificate::from_der(certificate)
            .map_err(|source| TlsError::Certificate { path: path.to_owned(), source: source.into() })?;
        let validity = certificate.tbs_certificate().validity();
        Ok(Self {
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
        })
    }

    fn check(&self, now: UnixTime) -> Result<(), CertificateError> {
        match now.as_secs() {
            now if now < self.not_before => Err(CertificateError::NotValidYet),
            now if now > self.not_after => Err(CertificateError::Expired),
            _ => Ok(()),
        }
    }
}

impl ClientCertVerifier for ClientTrust {
    /// Empty on purpose: a client that is told names of authorities may hold back its self-signed certificate.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        if let Some(validity) = self.registered.get(&sha256(end_entity)) {
            validity.check(now)?;
            return Ok(ClientCertVerified::assertion());
        }
        match &self.authorities {
            Some(authorities) => authorities.verify_client_cert(end_entity, intermediates, now),
            None => Err(CertificateError::UnknownIssuer.into()),
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

impl fmt::Debug for ClientTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientTrust")
            .field("registered", &self.registered.len())
            .field("authorities", &self.authorities.is_some())
            .finish_non_exhaustive()
    }
}

/// Named instead of installed: a process-wide default would be global state.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read_identity(
    files: &IdentityFiles,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let chain = read_certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?)
        .map_err(|source| TlsError::Key { path: files.key.clone(), source })?;
    Ok((chain, key))
}

fn read_roots(paths: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in paths {
        for certificate in read_certificates(path)? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::Certificate { path: path.clone(), source: source.into() })?;
        }
    }
    Ok(roots)
}

/// The certificates of a PEM file, at least one.
fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let unusable =
        |source: pem::Error| TlsError::Certificate { path: path.to_owned(), source: source.into() };
    let certificates =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>().map_err(unusable)?;
    if certificates.is_empty() { Err(unusable(pem::Error::NoItemsFound)) } else { Ok(certificates) }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}
