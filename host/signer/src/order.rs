//! What operators do with keys, carried out by the server that holds them.

use std::collections::BTreeMap;
use std::error::Error;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tracing::info;
use uuk_globalconf::GlobalConfiguration;
use uuk_identifiers::{ClientId, MemberId};
use uuk_pki::{Applicant, Certificate, CertificateProfile, CertificateUse, Sha256};
use uuk_process::ErrorChain;

use crate::error::OrderError;
use crate::identity::Identities;
use crate::pin::Pin;
use crate::signer::{Shared, Signer, Token};
use crate::token::{
    CertificateRecord, CertificateStatus, KeyAlgorithm, KeyId, KeyRecord, UseName, base64_text,
};

/// What an operator wants done.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub enum Order {
    /// Everything that is known of the tokens.
    List,
    /// Open a token. A software token without keys takes the PIN as its own.
    Login {
        /// The token.
        token: String,
        /// What opens it.
        pin: Pin,
    },
    /// Make a key inside a token.
    Generate {
        /// The token.
        token: String,
        /// For people.
        label: String,
        /// What it is for.
        #[serde(with = "UseName")]
        usage: CertificateUse,
        /// What it is.
        algorithm: KeyAlgorithm,
    },
    /// Make a certificate request.
    Request {
        /// Whose certificate it will be.
        key: KeyId,
        /// For whom, if the key signs; otherwise it is for the server's owner.
        member: Option<MemberId>,
        /// The name of an approved authority, needed if there are several: its profile says how the request looks.
        authority: Option<String>,
        /// What the profile leaves to the operator, by the profile's names.
        fields: BTreeMap<String, String>,
    },
    /// Take in a certificate for a key that is here.
    Import {
        /// The certificate, DER in base64.
        #[serde(with = "base64_text")]
        certificate: Vec<u8>,
    },
    /// Let a certificate be used, in place of others for the same.
    Activate {
        /// Its SHA-256 digest.
        certificate: Sha256,
    },
    /// Let a certificate no longer be used.
    Deactivate {
        /// Its SHA-256 digest.
        certificate: Sha256,
    },
    /// Forget a certificate.
    DeleteCertificate {
        /// Its SHA-256 digest.
        certificate: Sha256,
    },
    /// Destroy a key and forget its certificates.
    DeleteKey {
        /// The key.
        key: KeyId,
    },
}

/// What came of an order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// What is known of the tokens.
    Tokens {
        /// By name.
        tokens: Vec<TokenSummary>,
    },
    /// The key that was made.
    Generated {
        /// Its name.
        key: KeyId,
    },
    /// The request that was made.
    Requested {
        /// PKCS#10, DER in base64.
        #[serde(with = "base64_text")]
        request: Vec<u8>,
    },
    /// The certificate that was taken in.
    Imported {
        /// Its SHA-256 digest.
        certificate: Sha256,
        /// The key it belongs to.
        key: KeyId,
        /// Whom it names, if it is for signing.
        member: Option<MemberId>,
        /// How far its registration is.
        status: CertificateStatus,
    },
    /// It is done.
    Done,
}

/// A token, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Its name in the configuration.
    pub name: String,
    /// Whether it is a device.
    pub device: bool,
    /// Whether its keys can be used.
    pub open: bool,
    /// Why the PIN of its file does not open it, or why it cannot be reached.
    pub problem: Option<Problem>,
    /// Its keys, in the order in which they were made.
    pub keys: Vec<KeySummary>,
}

/// A key, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeySummary {
    /// Its name.
    pub id: KeyId,
    /// For people.
    pub label: String,
    /// What it is for.
    #[serde(with = "UseName")]
    pub usage: CertificateUse,
    /// What it is.
    pub algorithm: KeyAlgorithm,
    /// Its certificates, in the order in which they came.
    pub certificates: Vec<CertificateSummary>,
}

/// A certificate, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// Its SHA-256 digest, by which orders name it.
    pub sha256: Sha256,
    /// The certificate itself, DER in base64.
    #[serde(with = "base64_text")]
    pub der: Vec<u8>,
    /// Whose it is.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// The last instant of its validity.
    pub not_after: Timestamp,
    /// Whom it names, if it is for signing.
    pub member: Option<MemberId>,
    /// How far its registration is.
    pub status: CertificateStatus,
    /// Whether the operator lets it be used.
    pub active: bool,
    /// What keeps it from being used; nothing if it can be.
    pub problem: Option<Problem>,
    /// The last instant at which it is known to be good, by OCSP answers that are here; nothing while it is not.
    pub good_until: Option<Timestamp>,
}

/// What is wrong, with its code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: String,
    /// The whole chain of reasons.
    pub text: String,
}

impl Problem {
    pub(crate) fn new(code: &str, error: &dyn Error) -> Self {
        Self { code: code.to_owned(), text: ErrorChain(error).to_string() }
    }
}

impl Signer {
    /// Carries out an order, and lets what it changes count at once.
    ///
    /// # Errors
    /// [`OrderError`]; then nothing has changed.
    ///
    /// # Cancellation
    /// Once begun, it is carried out even if nobody waits.
    pub async fn order(&self, order: Order) -> Result<Outcome, OrderError> {
        let one_at_a_time = self.shared.ordering.clone().lock_owned().await;
        let shared = self.shared.clone();
        // Keys are made and files flushed: not on this thread.
        let carried_out = spawn_blocking(move || {
            let _one_at_a_time = one_at_a_time;
            let changes = !matches!(order, Order::List | Order::Request { .. });
            let outcome = shared.carry_out(order)?;
            if changes {
                shared.look();
            }
            Ok(outcome)
        });
        carried_out.await.unwrap_or(Err(OrderError::Stopped))
    }

    /// Everything that is known of the tokens, as [`Order::List`] tells it, without waiting for other orders.
    pub fn tokens(&self) -> Vec<TokenSummary> {
        self.shared.tokens()
    }

    /// Notes how far the registration of a certificate is, for whoever asks the central server for it.
    ///
    /// # Errors
    /// [`OrderError::UnknownCertificate`], or [`OrderError::Token`] if it cannot be written.
    pub async fn note_status(
        &self,
        certificate: Sha256,
        status: CertificateStatus,
    ) -> Result<(), OrderError> {
        let shared = self.shared.clone();
        let noted = spawn_blocking(move || {
            shared.change_certificate(certificate, |record| {
                record.status = status;
                Ok(())
            })?;
            shared.look();
            Ok(())
        });
        noted.await.unwrap_or(Err(OrderError::Stopped))
    }
}

impl Shared {
    fn carry_out(&self, order: Order) -> Result<Outcome, OrderError> {
        match order {
            Order::List => Ok(Outcome::Tokens { tokens: self.tokens() }),
            Order::Login { token: name, pin } => {
                let token = self.token(&name)?;
                token.log_in(&pin)?;
                info!(token.id = %name, "An operator has opened the token {name}");
                Ok(Outcome::Done)
            }
            Order::Generate { token, label, usage, algorithm } => {
                self.generate(&token, label, usage, algorithm)
            }
            Order::Request { key, member, authority, fields } => {
                self.request(&key, member.as_ref(), authority.as_deref(), fields)
            }
            Order::Import { certificate } => self.import(&certificate),
            Order::Activate { certificate } => self.activate(certificate),
            Order::Deactivate { certificate } => self.deactivate(certificate),
            Order::DeleteCertificate { certificate } => self.delete_certificate(certificate),
            Order::DeleteKey { key } => self.delete_key(&key),
        }
    }

    fn tokens(&self) -> Vec<TokenSummary> {
        let identities = self.identities.load();
        let summary = |(name, token): (&String, &Token)| TokenSummary {
            name: name.clone(),
            device: token.config.pkcs11.is_some(),
            open: token.device.is_open(),
            problem: token.problem().as_ref().map(|error| Problem::new(error.code(), error)),
            keys: token.record().keys.iter().map(|key| KeySummary::of(key, &identities)).collect(),
        };
        self.tokens.iter().map(summary).collect()
    }

    fn generate(
        &self,
        name: &str,
        label: String,
        usage: CertificateUse,
        algorithm: KeyAlgorithm,
    ) -> Result<Outcome, OrderError> {
        let token = self.token(name)?;
        if usage == CertificateUse::Authentication && token.config.pkcs11.is_some() {
            return Err(OrderError::AuthenticationInDevice { token: name.to_owned() });
        }
        let id = KeyId::random()?;
        let public_key = token.device.generate(&id, algorithm)?;
        let key = KeyRecord::new(id.clone(), label, usage, algorithm, &public_key);
        let kept = token.change(|record| {
            record.keys.push(key);
            Ok::<_, OrderError>(())
        });
        if let Err(error) = kept {
            // Nobody would ever find it again.
            let _ = token.device.destroy(&id);
            return Err(error);
        }
        info!(token.id = %name, key.id = %id, "An operator has made the {algorithm} key {id} for {usage}");
        Ok(Outcome::Generated { key: id })
    }

    fn request(
        &self,
        id: &KeyId,
        member: Option<&MemberId>,
        authority: Option<&str>,
        fields: BTreeMap<String, String>,
    ) -> Result<Outcome, OrderError> {
        let (token, key) = self.key(id)?;
        let configuration = self.configuration().ok_or(OrderError::NoGlobalConfiguration)?;
        let server = &self.dependencies.server;
        let member = match key.usage {
            CertificateUse::Authentication => &server.owner,
            CertificateUse::Signing => member.ok_or(OrderError::MemberMissing)?,
        };
        let profile = self.profile(&configuration, authority)?;
        let member_name = &self.member_name(&configuration, member)?;
        let applicant = Applicant { member, member_name, server, fields };
        let subject = profile.requested_subject(key.usage, &applicant)?;
        let signing = token.device.key(&key)?;
        let request = subject.request(key.usage, &key.public(), &*signing)?;
        info!(key.id = %id, "An operator has made a certificate request for `{member}`");
        Ok(Outcome::Requested { request })
    }

    /// The profile of an approved authority; of the only one, if none is named.
    fn profile(
        &self,
        configuration: &GlobalConfiguration,
        name: Option<&str>,
    ) -> Result<CertificateProfile, OrderError> {
        let now = self.dependencies.clock.now();
        let instance = configuration.instance(configuration.main(), now);
        let instance = instance.ok_or(OrderError::NoGlobalConfiguration)?;
        let approved = &instance.shared().approved_cas;
        let known = || OrderError::Authority { known: approved.iter().map(|one| one.name.clone()).collect() };
        let chosen = match (name, approved.as_slice()) {
            (None, [only]) => only,
            (None, _) => return Err(known()),
            (Some(name), all) => all.iter().find(|one| one.name == name).ok_or_else(known)?,
        };
        let mut trusted = instance.authorities().certification.iter();
        let found = trusted.find(|one| one.certificate.der() == chosen.top.certificate);
        found.map(|one| one.profile.clone()).ok_or_else(known)
    }

    fn member_name(
        &self,
        configuration: &GlobalConfiguration,
        member: &MemberId,
    ) -> Result<String, OrderError> {
        let now = self.dependencies.clock.now();
        let instance = configuration.instance(configuration.main(), now);
        let mut members = instance.iter().flat_map(|instance| &instance.shared().members);
        let found = members.find(|known| known.id == *member);
        found
            .map(|known| known.name.clone())
            .ok_or_else(|| OrderError::UnknownMember { member: member.clone() })
    }

    /// A signing certificate counts as registered at once; one for authentication must first be registered with the
    /// central server. Neither is active yet.
    fn import(&self, der: &[u8]) -> Result<Outcome, OrderError> {
        let certificate = Certificate::from_der(der)?;
        let subject = || certificate.subject().to_owned();
        let public = certificate.public_key()?;
        let configuration = self.configuration().ok_or(OrderError::NoGlobalConfiguration)?;
        let now = self.dependencies.clock.now();
        let instance = configuration.instance(configuration.main(), now);
        let authorities = instance.ok_or(OrderError::NoGlobalConfiguration)?.authorities();

        let (token, key) = self
            .keys()
            .find(|(_, key)| key.public() == public)
            .ok_or_else(|| OrderError::NoKey { subject: subject() })?;
        authorities.path(&certificate, key.usage, now).map_err(OrderError::NotAccepted)?;
        let (member, status) = match key.usage {
            CertificateUse::Authentication => (None, CertificateStatus::Saved),
            CertificateUse::Signing => {
                let issuer = authorities.issuer(&certificate).map_err(OrderError::NotAccepted)?;
                let member = issuer.profile.member(&certificate, configuration.main())?;
                if !configuration.is_registered(&ClientId::Member(member.clone()), now) {
                    return Err(OrderError::UnknownMember { member });
                }
                (Some(member), CertificateStatus::Registered)
            }
        };
        let new = CertificateRecord {
            member: member.clone(),
            status,
            active_since: None,
            certificate: certificate.clone(),
        };
        let fingerprint = new.fingerprint();
        token.change(|record| {
            let kept =
                record.key_mut(&key.id).ok_or_else(|| OrderError::UnknownKey { key: key.id.clone() })?;
            if kept.certificates.iter().any(|one| one.fingerprint() == fingerprint) {
                return Err(OrderError::AlreadyThere { subject: subject() });
            }
            kept.certificates.push(new);
            Ok(())
        })?;
        info!(certificate = %fingerprint, key.id = %key.id, "An operator has imported the certificate of `{}`", subject());
        Ok(Outcome::Imported { certificate: fingerprint, key: key.id, member, status })
    }

    /// The certificate takes over as soon as it is known to be good; until then, what was in use stays in use.
    fn activate(&self, certificate: Sha256) -> Result<Outcome, OrderError> {
        let now = self.dependencies.clock.now();
        self.change_certificate(certificate, |record| {
            record.active_since = Some(now);
            Ok(())
        })?;
        info!(%certificate, "An operator has activated certificate {certificate}");
        Ok(Outcome::Done)
    }

    fn deactivate(&self, certificate: Sha256) -> Result<Outcome, OrderError> {
        self.change_certificate(certificate, |record| {
            record.active_since = None;
            Ok(())
        })?;
        info!(%certificate, "An operator has deactivated certificate {certificate}");
        Ok(Outcome::Done)
    }

    fn delete_certificate(&self, certificate: Sha256) -> Result<Outcome, OrderError> {
        self.change_certificate(certificate, |record| match record.active_since {
            Some(_) => Err(OrderError::Active { subject: record.certificate.subject().to_owned() }),
            None => Ok(()),
        })?;
        for token in self.tokens.values() {
            token.change(|record| {
                for key in &mut record.keys {
                    key.certificates.retain(|one| one.fingerprint() != certificate);
                }
                Ok::<_, OrderError>(())
            })?;
        }
        info!(%certificate, "An operator has deleted certificate {certificate}");
        Ok(Outcome::Done)
    }

    fn delete_key(&self, id: &KeyId) -> Result<Outcome, OrderError> {
        let (token, key) = self.key(id)?;
        if let Some(active) = key.certificates.iter().find(|one| one.active_since.is_some()) {
            return Err(OrderError::Active { subject: active.certificate.subject().to_owned() });
        }
        token.device.destroy(id)?;
        token.change(|record| {
            record.keys.retain(|key| key.id != *id);
            Ok::<_, OrderError>(())
        })?;
        info!(key.id = %id, "An operator has deleted the key {id}");
        Ok(Outcome::Done)
    }

    fn change_certificate(
        &self,
        fingerprint: Sha256,
        edit: impl Fn(&mut CertificateRecord) -> Result<(), OrderError>,
    ) -> Result<(), OrderError> {
        for token in self.tokens.values() {
            let found = token.change(|record| {
                let found = record.certificates_mut().find(|one| one.fingerprint() == fingerprint);
                found.map(&edit).transpose()
            })?;
            if found.is_some() {
                return Ok(());
            }
        }
        Err(OrderError::UnknownCertificate)
    }

    fn token(&self, name: &str) -> Result<&Token, OrderError> {
        self.tokens.get(name).ok_or_else(|| OrderError::UnknownToken { token: name.to_owned() })
    }

    fn keys(&self) -> impl Iterator<Item = (&Token, KeyRecord)> {
        self.tokens
            .values()
            .flat_map(|token| token.record().keys.clone().into_iter().map(move |key| (token, key)))
    }

    /// An authentication certificate and the key it belongs to.
    pub(crate) fn authentication_key(&self, wanted: Sha256) -> Option<(&Token, KeyRecord, Certificate)> {
        let mut keys = self.keys().filter(|(_, key)| key.usage == CertificateUse::Authentication);
        keys.find_map(|(token, key)| {
            let found = key.certificates.iter().find(|one| one.fingerprint() == wanted);
            let certificate = found?.certificate.clone();
            Some((token, key, certificate))
        })
    }

    pub(crate) fn key(&self, id: &KeyId) -> Result<(&Token, KeyRecord), OrderError> {
        self.keys().find(|(_, key)| key.id == *id).ok_or_else(|| OrderError::UnknownKey { key: id.clone() })
    }
}

impl KeySummary {
    pub(crate) fn of(key: &KeyRecord, identities: &Identities) -> Self {
        let certificates = key.certificates.iter().map(|one| {
            let sha256 = one.fingerprint();
            let verdict = identities.verdicts.get(&sha256);
            CertificateSummary {
                sha256,
                der: one.certificate.der().to_vec(),
                subject: one.certificate.subject().to_owned(),
                issuer: one.certificate.issuer().to_owned(),
                not_after: one.certificate.validity().1,
                member: one.member.clone(),
                status: one.status,
                active: one.active_since.is_some(),
                problem: verdict
                    .and_then(|verdict| verdict.as_ref().err())
                    .map(|reason| Problem::new(reason.code(), &**reason)),
                good_until: verdict.and_then(|verdict| verdict.as_ref().ok().copied()),
            }
        });
        Self {
            id: key.id.clone(),
            label: key.label.clone(),
            usage: key.usage,
            algorithm: key.algorithm,
            certificates: certificates.collect(),
        }
    }
}

impl TokenSummary {
    /// Whether it is a software token that nobody has given a PIN yet.
    pub fn is_new(&self) -> bool {
        !self.device && !self.open && self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests;
