//! Verifying a message's signature: who signed which parts, and whether that certificate stood for the member then.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use uuk_identifiers::MemberId;
use uuk_pki::{
    Authorities, Certificate, CertificateUse, Digest, DigestAlgorithm, OcspError, OcspResponse, PathError,
    ProfileError,
};

use super::{MESSAGE, RESULT, SignatureDocuments};
use crate::entry_name::quote;
use crate::hash_chain::{ChainNames, CoveredPart, HashChainError, verify_hash_chain};
use crate::verify::{SignatureDocument, SignedPart, VerifyError};

/// A part of a message as its verifier has it.
#[derive(Debug, Clone)]
pub struct MessagePart<'a> {
    uri: String,
    content: PartContent<'a>,
}

/// A part's bytes, or the digest computed while they passed.
#[derive(Debug, Clone, Copy)]
pub enum PartContent<'a> {
    /// All of it.
    Bytes(&'a [u8]),
    /// Its digest, by the one algorithm that X-Road's signatures use, SHA-512.
    Digest(&'a Digest),
}

impl<'a> MessagePart<'a> {
    /// The message itself: of SOAP the envelope, of REST the part with headers.
    pub fn message(content: PartContent<'a>) -> Self {
        Self { uri: MESSAGE.to_owned(), content }
    }

    /// A SOAP attachment, counted from one, or as the first a REST body.
    pub fn attachment(number: u16, content: PartContent<'a>) -> Self {
        Self { uri: format!("/attachment{number}"), content }
    }

    fn digest(&self, algorithm: DigestAlgorithm) -> Option<Digest> {
        match self.content {
            PartContent::Bytes(bytes) => Some(algorithm.digest(bytes)),
            PartContent::Digest(digest) => (digest.algorithm() == algorithm).then(|| digest.clone()),
        }
    }
}

/// What a valid signature of a message proves: the member `signer` signed these parts, all of the message.
#[derive(Debug, Clone)]
pub struct VerifiedMessage {
    /// Who signed.
    pub signer: MemberId,
    /// What is covered.
    pub parts: Vec<CoveredPart>,
    document: Arc<SignatureDocument>,
}

impl VerifiedMessage {
    /// With which certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.document.signer
    }

    /// When the signer says it signed.
    pub fn claimed_time(&self) -> Timestamp {
        self.document.claimed_time
    }
}

/// Why a message's signature was refused.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "message_signature.")]
#[non_exhaustive]
pub enum MessageSignatureError {
    /// The XAdES document or what it refers to.
    #[error("the signature is not valid")]
    Signature(#[from] VerifyError),
    /// The hash chain between the signature and the message.
    #[error("the signature's hash chain is not valid")]
    HashChain(#[from] HashChainError),
    /// The signature is of a hash chain that did not come with it.
    #[error("the signature is of a hash chain, which is missing")]
    NoHashChain,
    /// The signature is of something else.
    #[error("the signature refers neither to the message nor to a hash chain")]
    MessageNotCovered,
    /// A part of the message is not signed.
    #[error("the signature does not cover `{uri}`")]
    PartNotCovered {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// The hash chain covers something that is not part of this message.
    #[error("the signature covers `{uri}`, which is no part of this message")]
    UnexpectedPart {
        /// Its URI, escaped and shortened.
        uri: String,
    },
    /// The certificate's subject names no member.
    #[error(transparent)]
    NoMember(#[from] ProfileError),
    /// The certificate is another member's than the one that sent the message.
    #[error("the message is from {sender}, but the certificate is of {certified}")]
    WrongMember {
        /// Who should have signed.
        sender: Box<MemberId>,
        /// Whom the certificate names.
        certified: Box<MemberId>,
    },
    /// The signature comes without OCSP answers.
    #[error("the signature has no OCSP answer for its certificate")]
    NoOcspAnswer,
    /// An OCSP answer in the signature cannot be read.
    #[error("an OCSP answer in the signature cannot be read")]
    OcspAnswer(#[from] OcspError),
    /// The certificate was not issued by an approved authority, or not valid then.
    #[error(transparent)]
    Certificate(#[from] PathError),
}

impl MessageSignatureError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signature(error) => error.code(),
            Self::HashChain(error) => error.code(),
            Self::NoMember(error) => error.code(),
            Self::OcspAnswer(error) => error.code(),
            Self::Certificate(error) => error.code(),
            other => other.into(),
        }
    }

    /// The code that X-Road 7.8 has for it.
    pub fn xroad_code(&self) -> String {
        match self {
            Self::Signature(error) => error.xroad_code().to_owned(),
            Self::HashChain(error) => format!("malformed_signature.{}", error.xroad_code()),
            Self::NoHashChain
            | Self::MessageNotCovered
            | Self::PartNotCovered { .. }
            | Self::UnexpectedPart { .. }
            | Self::NoOcspAnswer
            | Self::OcspAnswer(_) => "malformed_signature".to_owned(),
            Self::NoMember(_) | Self::WrongMember { .. } => "incorrect_certificate".to_owned(),
            Self::Certificate(error) => error.xroad_code().to_owned(),
        }
    }
}

/// Verifies that `sender` signed all of `parts` and nothing else, with a certificate that was valid at `time`.
///
/// # Errors
/// The first reason of [`MessageSignatureError`] to refuse it.
///
/// # Source
/// Unlike X-Road's servers, a signature that leaves a part out, or covers something besides the message, is refused.
pub fn verify_message(
    documents: &SignatureDocuments,
    parts: &[MessagePart<'_>],
    sender: &MemberId,
    authorities: &Authorities,
    time: Timestamp,
) -> Result<VerifiedMessage, MessageSignatureError> {
    verify_message_by(documents, parts, sender, &KnownSignatures::default(), |certificate, answers| {
        check_signer(certificate, answers, sender, authorities, time)
    })
}

/// The same, where `check` decides whether a certificate and the DER OCSP answers that came with it prove `sender`, as
/// [`check_signer`] does. A server that sees the same ones a thousand times a second need not do the same sums each time;
/// nor for each of the messages under one signature, which `known` remembers.
///
/// # Errors
/// As [`verify_message`], or what `check` says.
pub fn verify_message_by(
    documents: &SignatureDocuments,
    parts: &[MessagePart<'_>],
    sender: &MemberId,
    known: &KnownSignatures,
    check: impl FnOnce(&Certificate, &[Vec<u8>]) -> Result<(), MessageSignatureError>,
) -> Result<VerifiedMessage, MessageSignatureError> {
    let signature = match known.find(&documents.signatures) {
        Some(document) => MessageSignature { documents, document, value_holds: true },
        None => MessageSignature::read(documents)?,
    };
    let covered = signature.check_coverage(parts, AbsentAttachments::Refused)?;
    signature.check_value(parts)?;
    check(&signature.document.signer, &signature.document.ocsp_answers)?;
    known.remember(&signature);
    Ok(signature.verified(sender.clone(), covered))
}

/// Signatures of hash chains that were right: messages that share one come shortly after each other.
///
/// What is remembered is only what the document says and that its certificate's key signed it. Whether the message is what
/// was signed, and the certificate to be trusted, is found out each time. What a stranger signed is not remembered: it
/// would displace what counts.
#[derive(Debug, Default)]
pub struct KnownSignatures(pub(super) Mutex<VecDeque<Known>>);

#[derive(Debug)]
pub(super) struct Known {
    bytes: Bytes,
    document: Arc<SignatureDocument>,
}

/// More than there are batches on their way to a server at a time.
pub(super) const KNOWN_MAX: usize = 64;
/// Larger ones are not remembered; usual ones have a tenth of it.
const KNOWN_BYTES_MAX: usize = 64 << 10;

impl KnownSignatures {
    pub(super) fn find(&self, bytes: &[u8]) -> Option<Arc<SignatureDocument>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|known| known.bytes == bytes);
        found.map(|known| Arc::clone(&known.document))
    }

    fn remember(&self, signature: &MessageSignature<'_>) {
        let bytes = &signature.documents.signatures;
        let is_shared = signature.document.parts.iter().all(|part| part.uri == RESULT);
        if signature.value_holds || !is_shared || bytes.len() > KNOWN_BYTES_MAX {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Another message under it may have been verified meanwhile.
        known.retain(|known| known.bytes != *bytes);
        known.truncate(KNOWN_MAX - 1);
        known.push_front(Known { bytes: bytes.clone(), document: Arc::clone(&signature.document) });
    }
}

/// Checks that a certificate is for signing and of the member `sender`, was valid at `time`, and not revoked.
///
/// # Errors
/// [`MessageSignatureError::NoMember`], [`MessageSignatureError::WrongMember`], [`MessageSignatureError::NoOcspAnswer`],
/// [`MessageSignatureError::OcspAnswer`] or [`MessageSignatureError::Certificate`].
pub fn check_signer(
    certificate: &Certificate,
    ocsp_answers: &[Vec<u8>],
    sender: &MemberId,
    authorities: &Authorities,
    time: Timestamp,
) -> Result<(), MessageSignatureError> {
    check_member(certificate, sender, authorities)?;
    check_certificate(certificate, ocsp_answers, authorities, time)
}

fn check_member(
    certificate: &Certificate,
    sender: &MemberId,
    authorities: &Authorities,
) -> Result<(), MessageSignatureError> {
    if !certificate.is_for_signing() {
        return Err(PathError::NotForSigning { subject: certificate.subject().to_owned() }.into());
    }
    let authority = authorities.issuer(certificate)?;
    let certified = authority.profile.member(certificate, &sender.instance)?;
    match certified == *sender {
        true => Ok(()),
        false => Err(MessageSignatureError::WrongMember {
            sender: Box::new(sender.clone()),
            certified: Box::new(certified),
        }),
    }
}

fn check_certificate(
    certificate: &Certificate,
    ocsp_answers: &[Vec<u8>],
    authorities: &Authorities,
    time: Timestamp,
) -> Result<(), MessageSignatureError> {
    if ocsp_answers.is_empty() {
        return Err(MessageSignatureError::NoOcspAnswer);
    }
    let answers =
        ocsp_answers.iter().map(|der| OcspResponse::from_der(der)).collect::<Result<Vec<_>, _>>()?;
    authorities.path(certificate, CertificateUse::Signing, time)?.verify_status(&answers, authorities)?;
    Ok(())
}

/// What to do about attachments that a hash chain covers and that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AbsentAttachments {
    /// They belong to the message, which is therefore incomplete.
    Refused,
    /// The message log need not keep them; what is there is proven all the same.
    Reported,
}

/// A message's signature on the way to be verified: each check is one step.
pub(crate) struct MessageSignature<'a> {
    documents: &'a SignatureDocuments,
    pub(crate) document: Arc<SignatureDocument>,
    /// Whether it is known that the certificate's key signed the document.
    value_holds: bool,
}

impl<'a> MessageSignature<'a> {
    /// Reads a signature that is of a message or of a hash chain.
    pub(crate) fn read(documents: &'a SignatureDocuments) -> Result<Self, MessageSignatureError> {
        let document = Arc::new(SignatureDocument::parse(&documents.signatures)?);
        match document.parts.iter().any(|part| part.uri == MESSAGE || part.uri == RESULT) {
            true => Ok(Self { documents, document, value_holds: false }),
            false => Err(MessageSignatureError::MessageNotCovered),
        }
    }

    /// Checks that the signature refers to all of `parts` and nothing else, itself or through its hash chain.
    pub(crate) fn check_coverage(
        &self,
        parts: &[MessagePart<'_>],
        absent: AbsentAttachments,
    ) -> Result<Vec<CoveredPart>, MessageSignatureError> {
        let references = &self.document.parts;
        if let [only] = references.as_slice()
            && only.uri == RESULT
        {
            return self.follow_hash_chain(parts, absent);
        }
        if let Some(other) = references.iter().find(|known| !parts.iter().any(|part| part.uri == known.uri)) {
            return Err(MessageSignatureError::UnexpectedPart { uri: quote(other.uri.as_bytes()) });
        }
        if let Some(part) = parts.iter().find(|part| !references.iter().any(|known| known.uri == part.uri)) {
            return Err(MessageSignatureError::PartNotCovered { uri: quote(part.uri.as_bytes()) });
        }
        // That each is as it was signed is checked with the signature value.
        let covered = |part: &SignedPart| CoveredPart {
            uri: part.uri.clone(),
            digest: part.digest.clone(),
            seen: true,
        };
        Ok(references.iter().map(covered).collect())
    }

    fn follow_hash_chain(
        &self,
        parts: &[MessagePart<'_>],
        absent: AbsentAttachments,
    ) -> Result<Vec<CoveredPart>, MessageSignatureError> {
        let chain = self.documents.hash_chain.as_ref().ok_or(MessageSignatureError::NoHashChain)?;
        let required: Vec<_> = parts.iter().map(|part| part.uri.as_str()).collect();
        let documents = [(ChainNames::SIGNATURE.chain, chain.chain.as_slice())];
        let covered = verify_hash_chain(&chain.result, &documents, &required, |uri, algorithm| {
            parts.iter().find(|part| part.uri == uri)?.digest(algorithm)
        })?;
        let may_be_absent =
            |part: &CoveredPart| absent == AbsentAttachments::Reported && is_attachment(&part.uri);
        match covered.iter().find(|part| !part.seen && !may_be_absent(part)) {
            Some(part) => Err(MessageSignatureError::UnexpectedPart { uri: quote(part.uri.as_bytes()) }),
            None => Ok(covered),
        }
    }

    /// Checks that the certificate is for signing and of the member `sender`.
    pub(crate) fn check_signer(
        &self,
        sender: &MemberId,
        authorities: &Authorities,
    ) -> Result<(), MessageSignatureError> {
        check_member(&self.document.signer, sender, authorities)
    }

    /// Checks that the certificate's key signed `parts` as they are.
    pub(crate) fn check_value(&self, parts: &[MessagePart<'_>]) -> Result<(), MessageSignatureError> {
        if !self.value_holds {
            self.document.verify_value()?;
        }
        self.document.verify_parts(|uri, algorithm| match (uri, &self.documents.hash_chain) {
            (RESULT, Some(chain)) => Some(algorithm.digest(&chain.result)),
            _ => parts.iter().find(|part| part.uri == uri)?.digest(algorithm),
        })?;
        Ok(())
    }

    /// Checks that the certificate was valid at `time`, and not revoked.
    pub(crate) fn check_certificate(
        &self,
        authorities: &Authorities,
        time: Timestamp,
    ) -> Result<(), MessageSignatureError> {
        check_certificate(&self.document.signer, &self.document.ocsp_answers, authorities, time)
    }

    pub(crate) fn verified(self, signer: MemberId, parts: Vec<CoveredPart>) -> VerifiedMessage {
        VerifiedMessage { signer, document: self.document, parts }
    }
}

/// `/attachment1` and so on.
fn is_attachment(uri: &str) -> bool {
    uri.strip_prefix("/attachment").is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number > 0))
}
