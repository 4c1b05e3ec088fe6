//! Which certificates count now: whose key signs for a member, and what proves this server to its peers.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use uuk_globalconf::{GlobalConfiguration, Instance};
use uuk_identifiers::{MemberId, ServerId};
use uuk_pki::{Authorities, Certificate, CertificatePath, PathError, Sha256, SigningKey};
use uuk_process::Secret;

use crate::batch::SigningQueue;
use crate::device::Device;
use crate::error::{SignerError, Unusable};
use crate::ocsp::{AnswerStore, Sha1, sha1};
use crate::token::{CertificateRecord, CertificateStatus, KeyId, KeyRecord, TokenRecord};

/// What proves this server to its peers.
#[derive(Debug, Clone)]
pub struct AuthenticationIdentity {
    /// The authentication certificate.
    pub certificate: Certificate,
    /// The certificates between it and the topmost authority, which is left out.
    pub intermediates: Vec<Certificate>,
    /// Its private key, PKCS#8 DER.
    pub key: Secret<Vec<u8>>,
    /// DER `OCSPResponse`s, of the certificate and then of each intermediate: they go in front of every request.
    pub ocsp_answers: Vec<Bytes>,
    /// The last instant at which all of this counts.
    pub valid_until: Timestamp,
}

impl AuthenticationIdentity {
    /// What peers see of it.
    pub(crate) fn shown(&self) -> (&Certificate, &[Bytes]) {
        (&self.certificate, &self.ocsp_answers)
    }
}

/// A key that signs for a member, with what proves it.
pub(crate) struct SigningIdentity {
    pub(crate) key_id: KeyId,
    pub(crate) key: Arc<dyn SigningKey>,
    pub(crate) certificate: Certificate,
    pub(crate) intermediates: Vec<Certificate>,
    pub(crate) ocsp_answers: Vec<Vec<u8>>,
    pub(crate) valid_until: Timestamp,
    pub(crate) queue: SigningQueue,
}

/// What is to be looked at of a token.
#[derive(Clone)]
pub(crate) struct TokenView<'a> {
    pub(crate) record: &'a TokenRecord,
    pub(crate) device: &'a dyn Device,
    pub(crate) queue: &'a SigningQueue,
}

/// A certificate of a member: how it signs, or why it does not.
type Candidate = Result<Arc<SigningIdentity>, Arc<Unusable>>;

/// What this server may use, and why not the rest; taken once by whoever signs.
pub(crate) struct Identities {
    signing: HashMap<MemberId, Vec<Candidate>>,
    pub(crate) authentication: Option<Arc<AuthenticationIdentity>>,
    /// OCSP answers of certificates in use and of their intermediates, with the last instant at which they count.
    answers: HashMap<Sha1, (Bytes, Timestamp)>,
    /// By certificate, the last instant at which it is known to be good, or what keeps it from being used.
    pub(crate) verdicts: HashMap<Sha256, Result<Timestamp, Arc<Unusable>>>,
    /// The instant after which some of this no longer counts.
    pub(crate) lapses: Timestamp,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            signing: HashMap::new(),
            authentication: None,
            answers: HashMap::new(),
            verdicts: HashMap::new(),
            lapses: Timestamp::MAX,
        }
    }
}

impl Identities {
    /// Looks at every certificate of `tokens`; those activated last come first.
    pub(crate) fn find<'a>(
        tokens: impl Iterator<Item = TokenView<'a>>,
        server: &ServerId,
        configuration: Option<&GlobalConfiguration>,
        answers: &AnswerStore,
        now: Timestamp,
    ) -> Self {
        let mut identities = Self::default();
        let instance = configuration.and_then(|one| one.instance(one.main(), now));
        let mut inspections = Vec::new();
        for token in tokens {
            for (key, certificate) in certificates(token.record) {
                let token = token.clone();
                inspections.push(Inspection { token, key, certificate, server, instance, answers, now });
            }
        }
        // The sort is stable: where activation does not decide, the order of keys does.
        inspections.sort_by_key(|inspection| Reverse(inspection.certificate.active_since));
        for inspection in &inspections {
            let certificate = inspection.certificate;
            let verdict = identities.add(inspection).map_err(Arc::new);
            if let (Some(member), Err(reason)) = (&certificate.member, &verdict) {
                identities.signing.entry(member.clone()).or_default().push(Err(reason.clone()));
            }
            identities.verdicts.insert(certificate.fingerprint(), verdict);
        }
        identities
    }

    fn add(&mut self, inspection: &Inspection<'_>) -> Result<Timestamp, Unusable> {
        let proven = inspection.prove()?;
        let good_until = proven.valid_until;
        self.lapses = self.lapses.min(good_until);
        self.answers.extend(proven.answers_by_certificate());
        match &inspection.certificate.member {
            Some(member) => {
                let identity = inspection.signing(proven)?;
                self.signing.entry(member.clone()).or_default().push(Ok(identity));
            }
            None => {
                let identity = inspection.authentication(proven)?;
                self.authentication.get_or_insert(identity);
            }
        }
        Ok(good_until)
    }

    /// The first key, in order, that signs for `member` at `now`.
    pub(crate) fn signing(
        &self,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<&Arc<SigningIdentity>, SignerError> {
        let candidates = self.signing.get(member).map(Vec::as_slice).unwrap_or_default();
        let mut usable = candidates.iter().flatten();
        if let Some(identity) = usable.find(|identity| now <= identity.valid_until) {
            return Ok(identity);
        }
        let reason = match candidates.first() {
            None => return Err(SignerError::NoCertificate { member: member.clone() }),
            Some(Err(reason)) => reason.clone(),
            Some(Ok(lapsed)) => Arc::new(Unusable::Lapsed { until: lapsed.valid_until }),
        };
        Err(SignerError::NoUsableCertificate { member: member.clone(), reason })
    }

    /// The OCSP answer of a certificate, if it counts at `now`.
    pub(crate) fn answer(&self, certificate: &Sha1, now: Timestamp) -> Option<Bytes> {
        let (answer, until) = self.answers.get(certificate)?;
        (now <= *until).then(|| answer.clone())
    }
}

/// The certificates about which OCSP answers are wanted: active and registered ones, and those above them.
pub(crate) fn wanted<'a>(
    records: impl Iterator<Item = &'a TokenRecord>,
    instance: &Instance,
    now: Timestamp,
) -> Vec<Certificate> {
    let mut wanted: HashMap<Sha1, Certificate> = HashMap::new();
    for (key, record) in records.flat_map(certificates) {
        let counts = record.active_since.is_some() && record.status == CertificateStatus::Registered;
        let path = instance.authorities().path(&record.certificate, key.usage, now);
        let steps = path.as_ref().map(CertificatePath::steps).unwrap_or_default();
        let steps = steps.iter().filter(|_| counts).map(|step| step.certificate);
        wanted.extend(steps.map(|certificate| (sha1(certificate), certificate.clone())));
    }
    wanted.into_values().collect()
}

fn certificates(record: &TokenRecord) -> impl Iterator<Item = (&KeyRecord, &CertificateRecord)> {
    record.keys.iter().flat_map(|key| key.certificates.iter().map(move |certificate| (key, certificate)))
}

/// One certificate, and everything that decides about it.
struct Inspection<'a> {
    token: TokenView<'a>,
    key: &'a KeyRecord,
    certificate: &'a CertificateRecord,
    server: &'a ServerId,
    instance: Option<&'a Instance>,
    answers: &'a AnswerStore,
    now: Timestamp,
}

/// A certificate that was good when it was looked at.
struct Proven {
    /// It and the certificates above it, without the topmost.
    chain: Vec<Certificate>,
    /// In the order of `chain`.
    answers: Vec<Bytes>,
    valid_until: Timestamp,
}

impl Proven {
    fn answers_by_certificate(&self) -> impl Iterator<Item = (Sha1, (Bytes, Timestamp))> {
        let each = self.chain.iter().zip(&self.answers);
        each.map(|(certificate, answer)| (sha1(certificate), (answer.clone(), self.valid_until)))
    }

    fn intermediates(&self) -> Vec<Certificate> {
        self.chain.iter().skip(1).cloned().collect()
    }
}

impl Inspection<'_> {
    fn prove(&self) -> Result<Proven, Unusable> {
        let CertificateRecord { certificate, status, active_since, .. } = self.certificate;
        if active_since.is_none() {
            return Err(Unusable::Inactive);
        }
        let instance = self.instance.ok_or(Unusable::NoGlobalConfiguration)?;
        if *status != CertificateStatus::Registered {
            return Err(Unusable::NotRegistered { status: *status });
        }
        let authorities = instance.authorities();
        let path = authorities.path(certificate, self.key.usage, self.now)?;
        self.prove_path(&path, authorities)
    }

    fn prove_path(&self, path: &CertificatePath<'_>, authorities: &Authorities) -> Result<Proven, Unusable> {
        let mut proven = Proven { chain: Vec::new(), answers: Vec::new(), valid_until: Timestamp::MAX };
        for step in path.steps() {
            let subject = || step.certificate.subject().to_owned();
            let response = self.answers.find(step.certificate);
            let response = response.ok_or_else(|| PathError::StatusMissing { subject: subject() })?;
            let good = response
                .verify(step.certificate, step.issuer, authorities, self.now)
                .map_err(|source| PathError::Status { subject: subject(), source })?;
            let stale = good.this_update.saturating_add(authorities.ocsp_freshness);
            let next_update = good.next_update.filter(|_| authorities.verify_next_update);
            let ends = [
                stale.unwrap_or(Timestamp::MAX),
                next_update.unwrap_or(Timestamp::MAX),
                step.certificate.validity().1,
                step.issuer.certificate.validity().1,
            ];
            proven.valid_until = ends.into_iter().fold(proven.valid_until, Timestamp::min);
            proven.chain.push(step.certificate.clone());
            proven.answers.push(Bytes::copy_from_slice(response.der()));
        }
        Ok(proven)
    }

    fn signing(&self, proven: Proven) -> Result<Arc<SigningIdentity>, Unusable> {
        Ok(Arc::new(SigningIdentity {
            key_id: self.key.id.clone(),
            key: self.token.device.key(self.key)?,
            certificate: self.certificate.certificate.clone(),
            intermediates: proven.intermediates(),
            ocsp_answers: proven.answers.iter().map(|answer| answer.to_vec()).collect(),
            valid_until: proven.valid_until,
            queue: self.token.queue.clone(),
        }))
    }

    fn authentication(&self, proven: Proven) -> Result<Arc<AuthenticationIdentity>, Unusable> {
        let certificate = &self.certificate.certificate;
        let named = self.instance.and_then(|instance| instance.server_of_certificate(certificate));
        if named.is_none_or(|named| named.id != *self.server) {
            return Err(Unusable::NotThisServer);
        }
        // Asked first, since it tells a locked token from a missing key.
        self.token.device.key(self.key)?;
        let key = self.token.device.private_key(&self.key.id).ok_or(Unusable::NotThisServer)?;
        Ok(Arc::new(AuthenticationIdentity {
            certificate: certificate.clone(),
            intermediates: proven.intermediates(),
            key,
            ocsp_answers: proven.answers,
            valid_until: proven.valid_until,
        }))
    }
}
