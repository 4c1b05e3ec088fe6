//! Authentication keys and their certificates, as security servers have them.

use std::sync::Arc;

use bytes::Bytes;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, SignatureAlgorithm, date_time_ymd,
};
use tokio::sync::watch;
use uuk_process::Secret;
use uuk_transport::PeerIdentity;

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

pub(crate) type Watched = watch::Receiver<Option<Arc<PeerIdentity>>>;

impl Authority {
    pub(crate) fn new() -> Self {
        Self(CertifiedIssuer::self_signed(ca("Authority"), KeyPair::generate().unwrap()).unwrap())
    }

    /// One that `self` vouches for.
    pub(crate) fn intermediate(&self) -> Self {
        Self(CertifiedIssuer::signed_by(ca("Intermediate"), KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    pub(crate) fn der(&self) -> Bytes {
        self.0.der().to_vec().into()
    }

    pub(crate) fn identity(&self, name: &str) -> PeerIdentity {
        self.identity_of(name, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn rsa_identity(&self, name: &str) -> PeerIdentity {
        self.identity_of(name, &PKCS_RSA_SHA256)
    }

    pub(crate) fn expired_identity(&self, name: &str) -> PeerIdentity {
        let mut params = named(name);
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(2002, 1, 1);
        self.issue(&params, &PKCS_ECDSA_P256_SHA256)
    }

    pub(crate) fn identity_of(&self, name: &str, algorithm: &'static SignatureAlgorithm) -> PeerIdentity {
        self.issue(&named(name), algorithm)
    }

    fn issue(&self, params: &CertificateParams, algorithm: &'static SignatureAlgorithm) -> PeerIdentity {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        PeerIdentity {
            certificates: vec![certificate.der().to_vec().into()],
            key: Secret::new(key.serialize_der()),
        }
    }
}

/// `identity` as a watch that never changes.
pub(crate) fn fixed(identity: PeerIdentity) -> Watched {
    watch::channel(Some(Arc::new(identity))).1
}

pub(crate) fn leaf(identity: &PeerIdentity) -> Bytes {
    identity.certificates.first().unwrap().clone()
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca(name: &str) -> CertificateParams {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
