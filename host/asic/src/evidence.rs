//! What a container of a message proves, and how each step of finding that out went.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use strum::IntoEnumIterator;
use uuk_identifiers::MemberId;
use uuk_pki::{Authorities, TimeStamp, TimeStampError, TimeStampToken};

use crate::hash_chain::{ChainNames, CoveredPart, HashChainError, verify_hash_chain};
use crate::message_container::MessageContainer;
use crate::message_signature::{
    AbsentAttachments, MessagePart, MessageSignature, MessageSignatureError, PartContent, VerifiedMessage,
};
use crate::time_stamp::DetachedTimeStamp;

/// A signature's own word about when it was made is believed, unless someone says otherwise, if its time-stamp was made
/// at most this long after. For as long, servers go on without a time-stamping authority.
pub const STAMPED_WITHIN: Duration = Duration::from_secs(4 * 3600);

/// What was found out about a container.
#[derive(Debug)]
pub struct Examination {
    /// The checks in their order, each with what it found. Those after one that failed were not made.
    pub steps: Vec<Step>,
    /// What the container proves, or why it proves nothing.
    pub verdict: Result<Evidence, EvidenceError>,
}

/// What a valid container proves: this member signed this message no later than at this time.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Who signed what.
    pub message: VerifiedMessage,
    /// When the signature existed, by the word of the time-stamping authority.
    pub time: Timestamp,
    /// Subject of that authority's certificate.
    pub time_stamped_by: String,
    /// As of when the signer's certificate was judged: `time`, or when the signature says that it was made.
    pub certificate_judged_at: Timestamp,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What was asked.
    pub check: Check,
    /// What was found.
    pub outcome: Outcome,
}

/// What is asked about a container, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::EnumIter)]
pub enum Check {
    /// Whether the signature document can be read.
    #[strum(to_string = "signature document")]
    Document,
    /// Whether a time-stamp shows when it existed.
    #[strum(to_string = "time-stamp")]
    TimeStamp,
    /// Whether it is about the message and everything else in the container.
    #[strum(to_string = "what is signed")]
    Coverage,
    /// Whether its certificate names the member that sent the message.
    #[strum(to_string = "signer")]
    Signer,
    /// Whether that certificate's key signed the message as it is.
    #[strum(to_string = "signature")]
    Signature,
    /// Whether that certificate was valid then.
    #[strum(to_string = "certificate")]
    Certificate,
}

/// What a check found, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed(String),
    /// It does not hold, and why.
    Failed(String),
    /// Not asked, since one before it failed.
    NotMade,
}

/// Why a container proves nothing.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "evidence.")]
#[non_exhaustive]
pub enum EvidenceError {
    /// There is no time-stamp, so that nobody knows when the signature was made.
    #[error("there is no time-stamp")]
    NoTimeStamp,
    /// The hash chain from the time-stamp to the signature.
    #[error("the hash chain of the time-stamp is not valid")]
    TimeStampHashChain(#[source] HashChainError),
    /// The time-stamp.
    #[error("the time-stamp is not valid")]
    TimeStamp(#[from] TimeStampError),
    /// The signature.
    #[error(transparent)]
    Signature(#[from] MessageSignatureError),
}

impl EvidenceError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TimeStampHashChain(error) => error.code(),
            Self::TimeStamp(error) => error.code(),
            Self::Signature(error) => error.code(),
            other => other.into(),
        }
    }

    /// The code that X-Road 7.8 has for it.
    pub fn xroad_code(&self) -> String {
        match self {
            Self::NoTimeStamp | Self::TimeStampHashChain(_) => "malformed_signature".to_owned(),
            Self::TimeStamp(error) => error.xroad_code().to_owned(),
            Self::Signature(error) => error.xroad_code(),
        }
    }
}

/// Finds out what `container` proves. `sender` is the member that the message says it is from: in a request the
/// client's, in a response the service's.
///
/// Everything is judged as of the time-stamp, so that the verdict is the same years later. If the certificate was not
/// known to be good by then, it suffices that it was when the signature says that it was made, if the time-stamp was
/// made within `stamped_within` after that: [`STAMPED_WITHIN`], or zero to believe time-stamps only, as X-Road does.
pub fn examine(
    container: &MessageContainer,
    sender: &MemberId,
    authorities: &Authorities,
    stamped_within: Duration,
) -> Examination {
    let mut steps = Steps(Vec::new());
    let verdict = steps.take_all(container, sender, authorities, stamped_within);
    let made = steps.0.len();
    let not_made = Check::iter().skip(made).map(|check| Step { check, outcome: Outcome::NotMade });
    steps.0.extend(not_made);
    Examination { steps: steps.0, verdict }
}

struct Steps(Vec<Step>);

impl Steps {
    fn take_all(
        &mut self,
        container: &MessageContainer,
        sender: &MemberId,
        authorities: &Authorities,
        stamped_within: Duration,
    ) -> Result<Evidence, EvidenceError> {
        let attachments = container.attachments.iter();
        let parts: Vec<_> = std::iter::once(MessagePart::message(PartContent::Bytes(&container.message)))
            .chain(
                attachments
                    .map(|(number, bytes)| MessagePart::attachment(*number, PartContent::Bytes(bytes))),
            )
            .collect();

        let signature =
            self.take(Check::Document, MessageSignature::read(&container.signature), |signature| {
                format!("says that it was made at {}", signature.document.claimed_time)
            })?;
        let stamp = verify_time_stamp(container, &signature, authorities);
        let stamp = self.take(Check::TimeStamp, stamp, |stamp| {
            format!("made before {}, by the word of `{}`", stamp.time, stamp.authority.subject())
        })?;
        let covered = signature.check_coverage(&parts, AbsentAttachments::Reported);
        let covered = self.take(Check::Coverage, covered, |covered| list(covered, container))?;
        let certificate = signature.document.signer.subject().to_owned();
        self.take(Check::Signer, signature.check_signer(sender, authorities), |()| {
            format!("the certificate of `{certificate}` is {sender}'s")
        })?;
        self.take(Check::Signature, signature.check_value(&parts), |()| {
            "the certificate's key signed these very parts".to_owned()
        })?;
        let judged_at = judge_certificate(&signature, authorities, stamp.time, stamped_within);
        let certificate_judged_at = self.take(Check::Certificate, judged_at, |judged_at| {
            let when = match stamp.time.duration_since(*judged_at) {
                SignedDuration::ZERO => "at that time".to_owned(),
                before => {
                    format!("when the signature says that it was made, {before:#} before the time-stamp")
                }
            };
            format!("issued by an approved authority, valid and not revoked {when}")
        })?;
        Ok(Evidence {
            message: signature.verified(sender.clone(), covered),
            time: stamp.time,
            time_stamped_by: stamp.authority.subject().to_owned(),
            certificate_judged_at,
        })
    }

    /// Notes what `result` says, and hands it on.
    fn take<T, E: Into<EvidenceError>>(
        &mut self,
        check: Check,
        result: Result<T, E>,
        words: impl FnOnce(&T) -> String,
    ) -> Result<T, EvidenceError> {
        let result = result.map_err(Into::into);
        let outcome = match &result {
            Ok(found) => Outcome::Passed(words(found)),
            Err(error) => Outcome::Failed(with_sources(error)),
        };
        self.0.push(Step { check, outcome });
        result
    }
}

/// The time-stamp beside the signature, else the one inside it.
fn verify_time_stamp<'a>(
    container: &MessageContainer,
    signature: &MessageSignature<'_>,
    authorities: &'a Authorities,
) -> Result<TimeStamp<'a>, EvidenceError> {
    let value = &signature.document.value;
    let (token, stamped) = match (&container.time_stamp, &signature.document.time_stamp) {
        (Some(DetachedTimeStamp { token, hash_chain: None }), _) => (token, value),
        (Some(DetachedTimeStamp { token, hash_chain: Some(hash_chain) }), _) => {
            let names = ChainNames::TIMESTAMP;
            let documents = [(names.chain, hash_chain.chain.as_slice())];
            verify_hash_chain(&hash_chain.result, &documents, &[names.first_part], |uri, algorithm| {
                (uri == names.first_part).then(|| algorithm.digest(&container.signature.signatures))
            })
            .map_err(EvidenceError::TimeStampHashChain)?;
            (token, &hash_chain.result)
        }
        (None, Some(token)) => (token, value),
        (None, None) => return Err(EvidenceError::NoTimeStamp),
    };
    let token = TimeStampToken::from_der(token)?;
    let imprint = token.imprint().algorithm().digest(stamped);
    Ok(token.verify(&imprint, authorities)?)
}

/// As of when the signer's certificate is known to have been good.
fn judge_certificate(
    signature: &MessageSignature<'_>,
    authorities: &Authorities,
    stamped_at: Timestamp,
    stamped_within: Duration,
) -> Result<Timestamp, MessageSignatureError> {
    let judge = |time| signature.check_certificate(authorities, time).map(|()| time);
    let signed_at = signature.document.claimed_time;
    // A signature that says it was made after its time-stamp says nothing.
    let delay = Duration::try_from(stamped_at.duration_since(signed_at));
    match delay.is_ok_and(|delay| delay <= stamped_within) {
        true => judge(stamped_at).or_else(|refusal| judge(signed_at).map_err(|_| refusal)),
        false => judge(stamped_at),
    }
}

/// What is signed, what of it is not there, and what is there without being signed.
fn list(covered: &[CoveredPart], container: &MessageContainer) -> String {
    let names = |seen: bool| {
        let parts = covered.iter().filter(move |part| part.seen == seen);
        parts.map(|part| part.uri.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut words = names(true);
    if covered.iter().any(|part| !part.seen) {
        words.push_str(&format!("; signed but not in the container: {}", names(false)));
    }
    if !container.others.is_empty() {
        let others: Vec<_> = container.others.iter().map(ToString::to_string).collect();
        words.push_str(&format!("; in the container but not signed: {}", others.join(", ")));
    }
    words
}

/// An error with all that caused it, in one line.
fn with_sources(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    words
}
