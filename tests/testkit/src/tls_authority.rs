//! A certification authority for TLS, with the PEM files that servers and clients are configured with.

use std::path::PathBuf;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    date_time_ymd,
};
use tempfile::TempDir;

/// An authority whose files live as long as it does.
#[derive(Debug)]
pub struct TlsAuthority {
    folder: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Paths of a certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl TlsAuthority {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut params = named("Test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        std::fs::write(folder.path().join("authority.pem"), issuer.pem())?;
        Ok(Self { folder, issuer })
    }

    /// The authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    /// A server's identity for `127.0.0.1` and `localhost`.
    pub fn server(&self, name: &str) -> Result<TlsFiles> {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(name, &params)
    }

    /// A client's identity.
    pub fn client(&self, name: &str) -> Result<TlsFiles> {
        self.issue(name, &client(name))
    }

    /// A client's identity that was valid in 2001.
    pub fn expired_client(&self, name: &str) -> Result<TlsFiles> {
        let mut params = client(name);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.issue(name, &params)
    }

    /// A client's identity that no authority vouches for.
    pub fn self_signed_client(&self, name: &str) -> Result<TlsFiles> {
        let key = KeyPair::generate()?;
        self.store(name, &client(name).self_signed(&key)?.pem(), &key)
    }

    fn issue(&self, name: &str, params: &CertificateParams) -> Result<TlsFiles> {
        let key = KeyPair::generate()?;
        self.store(name, &params.signed_by(&key, &self.issuer)?.pem(), &key)
    }

    fn store(&self, name: &str, certificate: &str, key: &KeyPair) -> Result<TlsFiles> {
        let files = TlsFiles {
            certificate: self.folder.path().join(format!("{name}.pem")),
            key: self.folder.path().join(format!("{name}.key")),
        };
        std::fs::write(&files.certificate, certificate)?;
        std::fs::write(&files.key, key.serialize_pem())?;
        Ok(files)
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn client(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}
