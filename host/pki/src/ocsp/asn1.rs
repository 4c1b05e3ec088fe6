//! The structures of RFC 6960 §4.

use der::asn1::{BitString, GeneralizedTime, Null, ObjectIdentifier, OctetString};
use der::{Any, Choice, Enumerated, Sequence};
use x509_cert::ext::Extensions;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

pub(super) const BASIC_RESPONSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");

#[derive(Sequence)]
pub(super) struct OcspRequest {
    pub(super) request: TbsRequest,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) signature: Option<Any>,
}

#[derive(Sequence)]
pub(super) struct TbsRequest {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub(super) version: u8,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) requestor: Option<Any>,
    pub(super) list: Vec<Request>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

#[derive(Sequence)]
pub(super) struct Request {
    pub(super) certificate: CertId,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub(super) struct CertId {
    pub(super) hash_algorithm: AlgorithmIdentifierOwned,
    pub(super) issuer_name_hash: OctetString,
    pub(super) issuer_key_hash: OctetString,
    pub(super) serial_number: SerialNumber,
}

#[derive(Sequence)]
pub(super) struct OcspResponse {
    pub(super) status: ResponseStatus,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) bytes: Option<ResponseBytes>,
}

/// Why a responder did not answer, or that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enumerated, strum::Display)]
#[repr(u32)]
pub enum ResponseStatus {
    /// It answered.
    #[strum(serialize = "successful")]
    Successful = 0,
    /// It could not read the request.
    #[strum(serialize = "malformed request")]
    MalformedRequest = 1,
    /// It failed.
    #[strum(serialize = "internal error")]
    InternalError = 2,
    /// It is busy.
    #[strum(serialize = "try later")]
    TryLater = 3,
    /// It answers signed requests only.
    #[strum(serialize = "signature required")]
    SignatureRequired = 5,
    /// It does not answer this client, or not about this certificate.
    #[strum(serialize = "unauthorized")]
    Unauthorized = 6,
}

#[derive(Sequence)]
pub(super) struct ResponseBytes {
    pub(super) kind: ObjectIdentifier,
    pub(super) response: OctetString,
}

#[derive(Sequence)]
pub(super) struct BasicResponse {
    /// A [`ResponseData`], kept as it is because it is signed.
    pub(super) data: Any,
    pub(super) algorithm: AlgorithmIdentifierOwned,
    pub(super) signature: BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
pub(super) struct ResponseData {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", default = "Default::default")]
    pub(super) version: u8,
    pub(super) responder: ResponderId,
    pub(super) produced_at: GeneralizedTime,
    pub(super) responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

#[derive(Debug, Clone, Choice)]
pub(super) enum ResponderId {
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", constructed = "true")]
    Name(Name),
    /// SHA-1 of the bits of the public key.
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", constructed = "true")]
    KeyHash(OctetString),
}

#[derive(Sequence)]
pub(super) struct SingleResponse {
    pub(super) certificate: CertId,
    pub(super) status: CertStatus,
    pub(super) this_update: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) next_update: Option<GeneralizedTime>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) extensions: Option<Extensions>,
}

#[derive(Choice)]
pub(super) enum CertStatus {
    #[asn1(context_specific = "0", tag_mode = "IMPLICIT")]
    Good(Null),
    #[asn1(context_specific = "1", tag_mode = "IMPLICIT", constructed = "true")]
    Revoked(RevokedInfo),
    #[asn1(context_specific = "2", tag_mode = "IMPLICIT")]
    Unknown(Null),
}

#[derive(Sequence)]
pub(super) struct RevokedInfo {
    pub(super) time: GeneralizedTime,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    pub(super) reason: Option<Any>,
}
