use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
use cms::cert::CertificateChoices;
use cms::signed_data::{CertificateSet, SignedAttributes, SignerIdentifier, SignerInfo};
use der::asn1::{ObjectIdentifier, OctetString, SetOfVec};
use der::{Any, Decode, Encode, Tag, Tagged};
use jiff::Timestamp;

use super::asn1::{
    CONTENT_TYPE, EssCertId, MESSAGE_DIGEST, SIGNED_DATA, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2,
    SignedContent, SigningCertificate, TST_INFO, TimeStampResp, TstInfo,
};
use super::request::digest;
use crate::authorities::Authorities;
use crate::certificate::Certificate;
use crate::digest::{Digest, DigestAlgorithm};
use crate::public_key::{RSA, SignatureScheme};
use crate::signature::{SignatureError, check_signature, check_signature_by, digest_algorithm};

/// Larger tokens and responses are refused; those in use are below 8 KiB.
pub const TIME_STAMP_TOKEN_BYTES_MAX: usize = 64 * 1024;

/// A time-stamp token, parsed. Nothing is said about whether to believe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeStampToken {
    pub(super) signed: SignedContent,
    /// The content that is signed: the encoding of `info`.
    content: Vec<u8>,
    info: TstInfo,
    imprint: Digest,
    time: Timestamp,
}

/// What a verified token proves: the digest existed at `time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeStamp<'a> {
    /// When, to the accuracy of the authority.
    pub time: Timestamp,
    /// Who says so.
    pub authority: &'a Certificate,
}

/// Why a time-stamp is not accepted.
#[derive(Debug, thiserror::Error, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "timestamp.")]
#[non_exhaustive]
pub enum TimeStampError {
    /// More bytes than any in use has.
    #[error("the time-stamp message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// Not what RFC 3161 describes.
    #[error("the time-stamp message is malformed")]
    Malformed(#[from] der::Error),
    /// The authority did not stamp.
    #[error("the time-stamping authority refused with status {status}")]
    NotGranted {
        /// `PKIStatus` of RFC 3161 §2.4.2, from 2 on.
        status: u8,
    },
    /// The token holds something else than a time-stamp.
    #[error("the token holds something else than a time-stamp")]
    Content,
    /// The time is not in UTC or impossible.
    #[error("the time of the time-stamp is malformed")]
    Time,
    /// A digest of another kind than SHA-2.
    #[error("the digest algorithm {oid} is too weak or not supported")]
    Digest {
        /// Its object identifier.
        oid: String,
    },
    /// The token stamps something else.
    #[error("the time-stamp is of something else")]
    Imprint,
    /// Not exactly one signature.
    #[error("the time-stamp has {count} signatures instead of one")]
    Signers {
        /// How many it has.
        count: usize,
    },
    /// The global configuration names no time-stamping authority.
    #[error("no time-stamping authority is approved")]
    NoAuthority,
    /// The signer is not an approved authority.
    #[error("the time-stamp is not by an approved time-stamping authority")]
    UnknownAuthority,
    /// The signed attributes do not fit the content or the signer.
    #[error("the time-stamp's signed attribute {attribute} is missing or wrong")]
    Attribute {
        /// Which of them.
        attribute: &'static str,
    },
    /// The signature does not verify.
    #[error("the signature of the time-stamp is not valid")]
    Signature(#[source] SignatureError),
    /// The authority's certificate was not valid at the time it states.
    #[error("the certificate of the time-stamping authority `{authority}` is not valid at {time}")]
    AuthorityNotValid {
        /// The authority.
        authority: String,
        /// The time it states.
        time: Timestamp,
    },
}

impl TimeStampError {
    /// The stable code of the reason.
    pub fn code(&self) -> &'static str {
        self.into()
    }

    /// X-Road's code.
    pub fn xroad_code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } | Self::Malformed(_) => "mlog.reading_timestamp_response_failed",
            Self::NotGranted { .. } => "mlog.timestamp_non_granted_response",
            Self::Content | Self::Time | Self::Digest { .. } | Self::Signers { .. } => {
                "mlog.timestamp_response_object_creation_failed"
            }
            Self::Imprint => "malformed_signature",
            Self::NoAuthority => "mlog.no_timestamping_provider_found",
            Self::UnknownAuthority => "mlog.tsp_certificate_not_found",
            Self::Attribute { .. } | Self::Signature(_) | Self::AuthorityNotValid { .. } => {
                "mlog.timestamp_signer_verification_failed"
            }
        }
    }
}

impl TimeStampToken {
    /// Takes the token out of an authority's answer; it is to be verified next.
    ///
    /// # Errors
    /// [`TimeStampError::NotGranted`], or as [`TimeStampToken::from_der`].
    pub fn from_response(bytes: &[u8]) -> Result<Self, TimeStampError> {
        if bytes.len() > TIME_STAMP_TOKEN_BYTES_MAX {
            return Err(TimeStampError::TooLarge { bytes_max: TIME_STAMP_TOKEN_BYTES_MAX });
        }
        let response = TimeStampResp::from_ber(bytes)?;
        // 0 is granted, 1 is granted with modifications.
        let (0 | 1, Some(token)) = (response.status.status, response.token) else {
            return Err(TimeStampError::NotGranted { status: response.status.status });
        };
        Self::read(&token)
    }

    /// Reads a token. Authorities send BER, so it is taken too; what leaves here is DER.
    ///
    /// # Errors
    /// The variants of [`TimeStampError`] from [`TimeStampError::TooLarge`] to [`TimeStampError::Digest`].
    pub fn from_der(bytes: &[u8]) -> Result<Self, TimeStampError> {
        if bytes.len() > TIME_STAMP_TOKEN_BYTES_MAX {
            return Err(TimeStampError::TooLarge { bytes_max: TIME_STAMP_TOKEN_BYTES_MAX });
        }
        Self::read(&SignedContent::from_ber(bytes)?)
    }

    pub(super) fn read(signed: &SignedContent) -> Result<Self, TimeStampError> {
        // Sets are in order only once they have been read as DER.
        let signed = SignedContent::from_der(&signed.to_der()?)?;
        let encapsulated = &signed.content.encap_content_info;
        let content = match &encapsulated.econtent {
            Some(content) if signed.kind == SIGNED_DATA && encapsulated.econtent_type == TST_INFO => {
                content.decode_as::<OctetString>()?.into_bytes().into_vec()
            }
            _ => return Err(TimeStampError::Content),
        };
        let info = TstInfo::from_der(&content)?;
        let time = time(&info.time).ok_or(TimeStampError::Time)?;
        let imprint = digest(&info.imprint)?;
        Ok(Self { signed, content, info, imprint, time })
    }

    /// When it says that the digest existed.
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// The digest that it stamps.
    pub fn imprint(&self) -> &Digest {
        &self.imprint
    }

    /// Checks that it stamps `imprint` and is signed by an approved authority.
    ///
    /// Accepted as X-Road does, and stricter in two places: the authority's certificate must be valid at the stated
    /// time, and the signed attribute that names the certificate must name this one.
    ///
    /// # Errors
    /// The variants of [`TimeStampError`] from [`TimeStampError::Imprint`] on, the first that applies.
    ///
    /// # Source
    /// RFC 3161 §2.4.2, RFC 5652 §5.4 and §5.6.
    pub fn verify<'a>(
        &self,
        imprint: &Digest,
        authorities: &'a Authorities,
    ) -> Result<TimeStamp<'a>, TimeStampError> {
        if self.imprint != *imprint {
            return Err(TimeStampError::Imprint);
        }
        let signers = self.signed.content.signer_infos.0.as_slice();
        let [signer] = signers else {
            return Err(TimeStampError::Signers { count: signers.len() });
        };
        if authorities.time_stamping.is_empty() {
            return Err(TimeStampError::NoAuthority);
        }
        let authority = authorities
            .time_stamping
            .iter()
            .find(|authority| is_signer(authority, &signer.sid))
            .ok_or(TimeStampError::UnknownAuthority)?;
        self.check_signer(signer, authority)?;
        if !authority.is_valid_at(self.time) {
            let authority = authority.subject().to_owned();
            return Err(TimeStampError::AuthorityNotValid { authority, time: self.time });
        }
        Ok(TimeStamp { time: self.time, authority })
    }

    fn check_signer(&self, signer: &SignerInfo, authority: &Certificate) -> Result<(), TimeStampError> {
        let digest = digest_algorithm(&signer.digest_alg)
            .ok_or_else(|| TimeStampError::Digest { oid: signer.digest_alg.oid.to_string() })?;
        let wrong = |attribute| TimeStampError::Attribute { attribute };
        let attributes = signer.signed_attrs.as_ref().ok_or(wrong("contentType"))?;

        let content_type = attribute(attributes, CONTENT_TYPE).and_then(|value| value.decode_as().ok());
        if content_type != Some(TST_INFO) {
            return Err(wrong("contentType"));
        }
        let digested: Option<OctetString> =
            attribute(attributes, MESSAGE_DIGEST).and_then(|value| value.decode_as().ok());
        if digested.is_none_or(|digested| digested.as_bytes() != digest.digest(&self.content).as_bytes()) {
            return Err(wrong("messageDigest"));
        }
        if !names_certificate(attributes, authority) {
            return Err(wrong("signingCertificate"));
        }

        let message = attributes.to_der()?;
        let value = signer.signature.as_bytes();
        // CMS may name the key alone, since the digest stands beside it (RFC 3370 §3.2).
        let checked = if signer.signature_algorithm.oid == RSA {
            check_signature_by(authority, SignatureScheme::RsaPkcs1, digest, &message, value)
        } else {
            check_signature(authority, &signer.signature_algorithm, &message, value)
        };
        checked.map_err(TimeStampError::Signature)
    }

    /// Adds the authority's certificate, so that the token can be verified by itself; does nothing if it is there.
    ///
    /// X-Road puts it first and then encodes as DER, which sorts, and so does this.
    ///
    /// # Errors
    /// [`TimeStampError::Malformed`] if it cannot be added.
    pub fn enclose(&mut self, authority: &Certificate) -> Result<(), TimeStampError> {
        let certificate = CertificateChoices::Certificate(x509_cert::Certificate::from_der(authority.der())?);
        let certificates = &mut self.signed.content.certificates;
        let mut enclosed = certificates.take().map_or_else(Vec::new, |set| set.0.into_vec());
        if !enclosed.contains(&certificate) {
            enclosed.push(certificate);
        }
        *certificates = Some(CertificateSet(SetOfVec::try_from(enclosed)?));
        Ok(())
    }

    /// The token in DER.
    ///
    /// # Errors
    /// [`TimeStampError::Malformed`] if it cannot be written.
    pub fn to_der(&self) -> Result<Vec<u8>, TimeStampError> {
        Ok(self.signed.to_der()?)
    }
}

fn is_signer(certificate: &Certificate, identifier: &SignerIdentifier) -> bool {
    match identifier {
        SignerIdentifier::IssuerAndSerialNumber(named) => {
            named.issuer == *certificate.issuer_name()
                && named.serial_number.as_bytes() == certificate.serial_bytes()
        }
        SignerIdentifier::SubjectKeyIdentifier(named) => {
            certificate.subject_key_identifier().is_some_and(|identifier| identifier == named.0.as_bytes())
        }
    }
}

/// The only value of the only attribute of this type.
fn attribute(attributes: &SignedAttributes, oid: ObjectIdentifier) -> Option<&Any> {
    let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
    let (Some(attribute), None) = (found.next(), found.next()) else { return None };
    let [value] = attribute.values.as_slice() else { return None };
    Some(value)
}

/// Whether the first certificate that the attribute of RFC 5035 or RFC 2634 names is `certificate`.
fn names_certificate(attributes: &SignedAttributes, certificate: &Certificate) -> bool {
    let value = attribute(attributes, SIGNING_CERTIFICATE_V2);
    let older = attribute(attributes, SIGNING_CERTIFICATE);
    let Some(named) = value.or(older).and_then(|value| value.decode_as::<SigningCertificate>().ok()) else {
        return false;
    };
    let Some(EssCertId { algorithm, digest, .. }) = named.certificates.first() else { return false };
    let expected = match algorithm.as_ref().map(digest_algorithm) {
        Some(Some(algorithm)) => certificate.digest(algorithm).as_bytes().to_vec(),
        Some(None) => return false,
        None if value.is_some() => certificate.digest(DigestAlgorithm::Sha256).as_bytes().to_vec(),
        // The signature is checked with this very certificate, so a collision of SHA-1 gains nothing.
        None => aws_lc_rs::digest::digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der()).as_ref().to_vec(),
    };
    digest.as_bytes() == expected
}

/// `20241205073414Z`, with at most nine decimals of the second.
pub(super) fn time(value: &Any) -> Option<Timestamp> {
    let text = std::str::from_utf8(value.value()).ok().filter(|_| value.tag() == Tag::GeneralizedTime)?;
    let digits = text.strip_suffix('Z')?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !(1..=9).contains(&fraction.len()) || !all_digits(whole) || !all_digits(fraction)
    {
        return None;
    }
    let (date, time) = (whole.get(..8)?, whole.get(8..)?);
    format!("{date}T{time}.{fraction}Z").parse().ok()
}
