//! Who the other security server is and who signed, by the global configuration in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;
use uuk_asic::{
    KnownSignatures, MessagePart, MessageSignatureError, SignatureDocuments, check_signer, verify_message_by,
};
use uuk_globalconf::{GlobalConfiguration, GlobalConfigurationError, Instance};
use uuk_identifiers::{ClientId, GlobalGroupId, MemberId, ServerId};
use uuk_pki::{Certificate, CertificateError, CertificateUse, OcspError, OcspResponse, PathError, Sha256};
use uuk_process::Clock;
use uuk_transport::{PeerAddress, PeerCertificates};

use crate::certificate_answers::CertificateAnswersError;

/// A certificate that was found to prove somebody is not looked at again for this long, as in X-Road.
const REMEMBERED: Duration = Duration::from_secs(60);
/// How many are remembered: more than there are security servers and members in any country.
const REMEMBERED_MAX: usize = 10_000;

/// Why another security server or its message is not trusted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// No global configuration was ever downloaded.
    #[error("there is no global configuration yet")]
    NoConfiguration,
    /// It does not count any more.
    #[error(transparent)]
    Configuration(#[from] GlobalConfigurationError),
    /// The member or subsystem is at no security server.
    #[error("`{client}` is at no security server of the global configuration")]
    NoServer {
        /// Whom it is about.
        client: Box<ClientId>,
    },
    /// The security server that the client asks for is not one of the provider's.
    #[error("security server `{server}` does not serve `{provider}`")]
    NotItsServer {
        /// Which the client wants.
        server: Box<ServerId>,
        /// Whose service it calls.
        provider: Box<ClientId>,
    },
    /// All its servers are being maintained.
    #[error("the security server of `{client}` is being maintained: {message}")]
    Maintenance {
        /// Whom it is about.
        client: Box<ClientId>,
        /// What its operator says.
        message: String,
    },
    /// The certificate of a TLS connection cannot be read.
    #[error("the certificate of the connection cannot be read")]
    Unreadable(#[from] CertificateError),
    /// An OCSP answer about it cannot be read.
    #[error("an OCSP answer about the certificate of the connection cannot be read")]
    Answer(#[source] OcspError),
    /// The other server gave none.
    #[error("the other security server gave no OCSP answers about its certificate")]
    Unanswered(#[source] CertificateAnswersError),
    /// No OCSP answer about it.
    #[error("there is no OCSP answer about the certificate of the connection")]
    NoAnswer,
    /// It is not an approved one, or not any more.
    #[error("the certificate of the connection is not accepted")]
    Certificate(#[source] PathError),
    /// It is another server's.
    #[error("`{client}` is not registered at the security server of this connection")]
    NotRegistered {
        /// Whom it is about.
        client: Box<ClientId>,
    },
    /// The message's signature.
    #[error(transparent)]
    Signature(#[from] MessageSignatureError),
}

impl TrustError {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoConfiguration => "exchange.no_configuration",
            Self::Configuration(error) => error.code(),
            Self::NoServer { .. } => "exchange.no_server",
            Self::NotItsServer { .. } => "exchange.not_its_server",
            Self::Maintenance { .. } => "exchange.maintenance",
            Self::Unreadable(_) => "exchange.unreadable_certificate",
            Self::Answer(error) => error.code(),
            Self::Unanswered(error) => error.code(),
            Self::NoAnswer => "exchange.no_ocsp_answer",
            Self::Certificate(error) => error.code(),
            Self::NotRegistered { .. } => "exchange.not_registered",
            Self::Signature(error) => error.code(),
        }
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> String {
        match self {
            Self::NoConfiguration => "global_conf_outdated".to_owned(),
            Self::Configuration(error) => error.xroad_code().to_owned(),
            Self::NoServer { .. } => "unknown_member".to_owned(),
            Self::NotItsServer { .. } => "invalid_security_server".to_owned(),
            Self::Maintenance { .. } => "maintenance_mode".to_owned(),
            Self::Unanswered(error) => error.xroad_code().to_owned(),
            Self::Unreadable(_) | Self::Answer(_) | Self::NoAnswer | Self::NotRegistered { .. } => {
                "ssl_authentication_failed".to_owned()
            }
            Self::Certificate(error) => format!("ssl_authentication_failed.{}", error.xroad_code()),
            Self::Signature(error) => format!("signature_verification.{}", error.xroad_code()),
        }
    }
}

/// Where the global configuration comes from, and what was found good by it.
#[derive(Debug)]
pub(crate) struct TrustSource {
    configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
    clock: Clock,
    remembered: Arc<Mutex<Remembered>>,
    known_signatures: Arc<KnownSignatures>,
}

/// The global configuration at the time of one message.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    configuration: Arc<GlobalConfiguration>,
    now: Timestamp,
    remembered: Arc<Mutex<Remembered>>,
    known_signatures: Arc<KnownSignatures>,
}

/// When a message was signed that is verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed {
    /// What the sender says.
    pub(crate) at: Timestamp,
    /// When it was verified.
    pub(crate) verified_at: Timestamp,
    /// At the latest then, the OCSP answers in the signature are too old, and it is refused.
    pub(crate) counts_for: Duration,
}

/// Certificates that were found to prove somebody, with their OCSP answers and by a configuration.
#[derive(Debug, Default)]
struct Remembered {
    by: Weak<GlobalConfiguration>,
    good: HashMap<Sha256, Timestamp>,
}

impl TrustSource {
    pub(crate) fn new(
        configuration: watch::Receiver<Option<Arc<GlobalConfiguration>>>,
        clock: Clock,
    ) -> Self {
        Self { configuration, clock, remembered: Arc::default(), known_signatures: Arc::default() }
    }

    /// What counts now.
    pub(crate) fn in_force(&self) -> Result<Trust, TrustError> {
        let now = self.clock.now();
        let configuration = self.configuration.borrow().clone().ok_or(TrustError::NoConfiguration)?;
        configuration.check(now)?;
        let (remembered, known_signatures) =
            (Arc::clone(&self.remembered), Arc::clone(&self.known_signatures));
        Ok(Trust { configuration, now, remembered, known_signatures })
    }
}

impl Trust {
    /// The instance of this name, or this server's own.
    pub(crate) fn instance(&self, name: Option<&str>) -> Option<&Instance> {
        self.configuration.instance(name.unwrap_or(self.configuration.main()), self.now)
    }

    /// Whether `client`, exactly, is in a global group.
    pub(crate) fn is_in_global_group(&self, client: &ClientId, group: &GlobalGroupId) -> bool {
        self.configuration.is_in_global_group(client, group, self.now)
    }

    /// Whether this is the authentication certificate of any security server: enough for a handshake, and no more.
    pub(crate) fn knows_server(&self, certificate: &[u8]) -> bool {
        Certificate::from_der(certificate).is_ok_and(|certificate| {
            self.configuration.server_of_certificate(&certificate, self.now).is_some()
        })
    }

    /// Where the provider's security servers are reached: those that are not maintained, or the one that the client
    /// wants.
    pub(crate) fn addresses(
        &self,
        provider: &ClientId,
        only: Option<&ServerId>,
        port: u16,
    ) -> Result<Vec<PeerAddress>, TrustError> {
        let servers: Vec<_> = self.configuration.servers_of(provider, self.now).collect();
        if servers.is_empty() {
            return Err(TrustError::NoServer { client: Box::new(provider.clone()) });
        }
        let wanted = |id: &ServerId| only.is_none_or(|only| only == id);
        if let Some(only) = only
            && !servers.iter().any(|server| wanted(&server.id))
        {
            let (server, provider) = (Box::new(only.clone()), Box::new(provider.clone()));
            return Err(TrustError::NotItsServer { server, provider });
        }
        let mut servers = servers.into_iter().filter(|server| wanted(&server.id)).peekable();
        let first = servers.peek().and_then(|server| server.maintenance.as_ref());
        let message = first.and_then(|maintenance| maintenance.message.clone()).unwrap_or_default();
        let open: Vec<_> = servers.filter(|server| server.maintenance.is_none()).collect();
        if open.is_empty() {
            return Err(TrustError::Maintenance { client: Box::new(provider.clone()), message });
        }
        let addresses: Vec<_> =
            open.iter().filter_map(|server| Some(peer_address(server.address.as_deref()?, port))).collect();
        match addresses.is_empty() {
            true => Err(TrustError::NoServer { client: Box::new(provider.clone()) }),
            false => Ok(addresses),
        }
    }

    /// Checks that the certificates of a connection are those of a security server through which `client` exchanges
    /// messages, by DER OCSP answers about them.
    pub(crate) fn check_server(
        &self,
        certificates: &PeerCertificates,
        answers: &[Bytes],
        client: &ClientId,
    ) -> Result<(), TrustError> {
        self.remember(&format!("server of {client}"), certificates.leaf(), answers, || {
            let leaf = Certificate::from_der(certificates.leaf())?;
            let instance = self.instance_of(client)?;
            if !self.configuration.certificate_serves(&leaf, client, self.now) {
                return Err(TrustError::NotRegistered { client: Box::new(client.clone()) });
            }
            if answers.is_empty() {
                return Err(TrustError::NoAnswer);
            }
            let answers =
                answers.iter().map(|der| OcspResponse::from_der(der)).collect::<Result<Vec<_>, _>>();
            let answers = answers.map_err(TrustError::Answer)?;
            let authorities = instance.authorities();
            let path = authorities.path(&leaf, CertificateUse::Authentication, self.now);
            path.and_then(|path| path.verify_status(&answers, authorities).map(drop))
                .map_err(TrustError::Certificate)
        })
    }

    /// Checks that `sender` signed all of `parts`.
    pub(crate) fn check_message(
        &self,
        signature: &SignatureDocuments,
        parts: &[MessagePart<'_>],
        sender: &MemberId,
    ) -> Result<Signed, TrustError> {
        let instance = self.configuration.instance(&sender.instance, self.now);
        let no_server = || TrustError::NoServer { client: Box::new(ClientId::Member(sender.clone())) };
        let authorities = instance.ok_or_else(no_server)?.authorities();
        let verified =
            verify_message_by(signature, parts, sender, &self.known_signatures, |certificate, answers| {
                self.remember(&format!("signer of {sender}"), certificate.der(), answers, || {
                    check_signer(certificate, answers, sender, authorities, self.now)
                })
            })?;
        let counts_for = authorities.ocsp_freshness;
        Ok(Signed { at: verified.claimed_time(), verified_at: self.now, counts_for })
    }

    fn instance_of(&self, client: &ClientId) -> Result<&Instance, TrustError> {
        let instance = self.configuration.instance(&client.member().instance, self.now);
        instance.ok_or_else(|| TrustError::NoServer { client: Box::new(client.clone()) })
    }

    /// Skips `check` if it found a moment ago that this certificate proves `whom`, with the same OCSP answers and by the
    /// same configuration.
    fn remember<E>(
        &self,
        whom: &str,
        certificate: &[u8],
        answers: &[impl AsRef<[u8]>],
        check: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let parts = [whom.as_bytes(), certificate].into_iter().chain(answers.iter().map(AsRef::as_ref));
        let digests = parts.map(|part| Sha256::of(part).0);
        let id = Sha256::of(&digests.collect::<Vec<_>>().concat());
        {
            let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::ptr::eq(remembered.by.as_ptr(), Arc::as_ptr(&self.configuration)) {
                *remembered = Remembered { by: Arc::downgrade(&self.configuration), good: HashMap::new() };
            }
            let since = remembered.good.get(&id);
            if since.is_some_and(|since| {
                (*since..=since.saturating_add(REMEMBERED).unwrap_or(*since)).contains(&self.now)
            }) {
                return Ok(());
            }
        }
        check()?;
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.good.len() >= REMEMBERED_MAX {
            remembered.good.clear();
        }
        remembered.good.insert(id, self.now);
        Ok(())
    }
}

/// The address in the global configuration, usually without port: all servers of an instance listen on the same one.
fn peer_address(address: &str, port: u16) -> PeerAddress {
    let own_port = address.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
    match own_port.and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => PeerAddress { host: host.trim_matches(['[', ']']).to_owned(), port },
        None => PeerAddress { host: address.trim_matches(['[', ']']).to_owned(), port },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_have_a_port_of_its_own() {
        let cases = [
            ("ss1.example.kg", "ss1.example.kg", 5500),
            ("10.0.0.1", "10.0.0.1", 5500),
            ("10.0.0.1:7000", "10.0.0.1", 7000),
            ("2001:db8::1", "2001:db8::1", 5500),
            ("[2001:db8::1]", "2001:db8::1", 5500),
            ("[2001:db8::1]:7000", "2001:db8::1", 7000),
        ];
        for (address, host, port) in cases {
            assert_eq!(peer_address(address, 5500), PeerAddress { host: host.into(), port }, "{address}");
        }
    }
}
