use cms::cert::IssuerAndSerialNumber;
use cms::content_info::CmsVersion;
use cms::signed_data::{EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos};
use der::asn1::{Int, ObjectIdentifier, OctetString, SetOfVec, Uint};
use der::{Any, Encode, Tag};
use jiff::Timestamp;
use x509_cert::attr::Attribute;
use x509_cert::serial_number::SerialNumber;

use super::asn1::{
    CONTENT_TYPE, EssCertId, MESSAGE_DIGEST, PkiStatusInfo, SIGNED_DATA, SIGNING_CERTIFICATE_V2,
    SignedContent, SigningCertificate, TST_INFO, TimeStampResp, TstInfo,
};
use super::request::{TimeStampRequest, message_imprint};
use super::token::{TimeStampError, TimeStampToken};
use crate::certificate::Certificate;
use crate::digest::DigestAlgorithm;
use crate::ocsp::AnswerError;
use crate::signature::{digest_identifier, sign};
use crate::signing_key::SigningKey;

/// The policy of stamps that claim no other: ETSI EN 319 421's best practices.
const POLICY: ObjectIdentifier = ObjectIdentifier::new_unwrap("0.4.0.2023.1.1");

/// A time-stamping authority: who stamps, with which key.
pub struct TimeStamper<'a> {
    /// The authority's certificate.
    pub certificate: &'a Certificate,
    /// Its key.
    pub key: &'a dyn SigningKey,
}

impl TimeStamper<'_> {
    /// Stamps what is asked for. `serial` must differ from stamp to stamp; fractions of a second are cut off `time`.
    /// The certificate is not enclosed, since X-Road does not ask for it.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn stamp(
        &self,
        request: &TimeStampRequest,
        serial: u64,
        time: Timestamp,
    ) -> Result<TimeStampToken, AnswerError> {
        let info = TstInfo {
            version: 1,
            policy: POLICY,
            imprint: message_imprint(&request.imprint)?,
            serial_number: Int::from(Uint::new(&serial.to_be_bytes())?),
            time: Any::new(Tag::GeneralizedTime, time.strftime("%Y%m%d%H%M%SZ").to_string().into_bytes())?,
            accuracy: None,
            ordering: false,
            nonce: request.nonce.clone(),
            authority: None,
            extensions: None,
        };
        self.sign(&info.to_der()?)
    }

    fn sign(&self, content: &[u8]) -> Result<TimeStampToken, AnswerError> {
        let algorithm = DigestAlgorithm::Sha512;
        let named = EssCertId {
            algorithm: Some(digest_identifier(algorithm)),
            digest: OctetString::new(self.certificate.digest(algorithm).as_bytes())?,
            issuer_and_serial: None,
        };
        let attributes = SetOfVec::try_from(vec![
            attribute(CONTENT_TYPE, Any::encode_from(&TST_INFO)?)?,
            attribute(MESSAGE_DIGEST, octets(algorithm.digest(content).as_bytes())?)?,
            attribute(
                SIGNING_CERTIFICATE_V2,
                Any::encode_from(&SigningCertificate { certificates: vec![named], policies: None })?,
            )?,
        ])?;
        let (signature_algorithm, signature) = sign(self.key, algorithm, &attributes.to_der()?)?;
        let signer = SignerInfo {
            version: CmsVersion::V1,
            sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
                issuer: self.certificate.issuer_name().clone(),
                serial_number: SerialNumber::new(self.certificate.serial_bytes())?,
            }),
            digest_alg: digest_identifier(algorithm),
            signed_attrs: Some(attributes),
            signature_algorithm,
            signature: OctetString::new(signature)?,
            unsigned_attrs: None,
        };
        let signed = SignedContent {
            kind: SIGNED_DATA,
            content: SignedData {
                version: CmsVersion::V3,
                digest_algorithms: SetOfVec::try_from(vec![digest_identifier(algorithm)])?,
                encap_content_info: EncapsulatedContentInfo {
                    econtent_type: TST_INFO,
                    econtent: Some(octets(content)?),
                },
                certificates: None,
                crls: None,
                signer_infos: SignerInfos(SetOfVec::try_from(vec![signer])?),
            },
        };
        TimeStampToken::read(&signed).map_err(|_| AnswerError::Encoding(der::ErrorKind::Failed.into()))
    }
}

impl TimeStampToken {
    /// The response that grants this token, to send as `application/timestamp-reply`.
    ///
    /// # Errors
    /// [`TimeStampError::Malformed`] if it cannot be written.
    pub fn to_response(&self) -> Result<Vec<u8>, TimeStampError> {
        let status = PkiStatusInfo { status: 0, text: None, failure: None };
        Ok(TimeStampResp { status, token: Some(self.signed.clone()) }.to_der()?)
    }
}

fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute, der::Error> {
    Ok(Attribute { oid, values: SetOfVec::try_from(vec![value])? })
}

fn octets(bytes: &[u8]) -> Result<Any, der::Error> {
    Any::new(Tag::OctetString, bytes)
}
