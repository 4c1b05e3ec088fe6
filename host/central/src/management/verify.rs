use bytes::Bytes;
use jiff::Timestamp;
use uuk_identifiers::{ClientId, MemberId};
use uuk_message::{
    Direction, Limits, ManagementRequest, PartHeaders, RelatedEvent, RelatedReader, SoapMessage,
    signature_algorithm,
};
use uuk_pki::{Certificate, CertificateUse, OcspResponse};

use super::error::ManagementError;
use crate::registry::Registry;

/// Signature and certificate twice, an OCSP answer: each a few kilobytes.
pub(super) const REQUEST_BYTES_MAX: u64 = 512 << 10;
const LIMITS: Limits = Limits {
    part_header_bytes_max: 4 << 10,
    message_bytes_max: 128 << 10,
    ocsp_bytes_max: 64 << 10,
    ocsp_responses_max: 1,
    signature_bytes_max: 64 << 10,
    fault_bytes_max: 0,
    body_bytes_max: REQUEST_BYTES_MAX,
    attachments_max: 5,
};

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Door {
    /// Anyone may register an authentication certificate here, and nothing else.
    Registration,
    /// The security server that serves the instance passes on all others.
    Management,
}

/// A request that is proven to be wanted by whom it concerns.
#[derive(Debug)]
pub(super) struct VerifiedRequest {
    pub(super) message: SoapMessage,
    pub(super) request: ManagementRequest,
    /// It is only to be looked at.
    pub(super) dry_run: bool,
}

struct Part {
    headers: PartHeaders,
    content: Vec<u8>,
}

impl VerifiedRequest {
    /// Reads a request that came in at `door`, and checks who signed it.
    pub(super) fn read(
        door: Door,
        content_type: &str,
        body: Bytes,
        registry: &Registry,
        now: Timestamp,
    ) -> Result<Self, ManagementError> {
        let (message, parts) = read_parts(content_type, &body)?;
        let (request, dry_run) = ManagementRequest::read(message.bytes())?;
        let is_registration = matches!(request, ManagementRequest::AuthCertReg { .. });
        if is_registration != (door == Door::Registration) {
            return Err(ManagementError::UnknownService);
        }
        check_header(&message, &request, registry)?;
        let signed = message.bytes();
        match (&request, request.signer()) {
            (ManagementRequest::AuthCertReg { certificate, .. }, Some(owner)) => {
                let [by_server, by_owner, server, signer, answer] = exactly(parts)?;
                if server.content != certificate.as_bytes() {
                    return Err(ManagementError::OtherCertificate);
                }
                registry.check_certificate(certificate, now)?;
                check_signature(&by_server, &certificate.certificate()?, signed, "authentication key")?;
                check_signer(&by_owner, &signer, &answer, signed, owner, registry, now)?;
            }
            (_, Some(member)) => {
                let [by_member, signer, answer] = exactly(parts)?;
                check_signer(&by_member, &signer, &answer, signed, member, registry, now)?;
            }
            (_, None) => {
                let [] = exactly(parts)?;
            }
        }
        Ok(Self { message, request, dry_run })
    }
}

fn read_parts(content_type: &str, body: &[u8]) -> Result<(SoapMessage, Vec<Part>), ManagementError> {
    let mut reader = RelatedReader::new(content_type, Direction::Request, LIMITS)?;
    reader.push(body);
    reader.end_of_input();
    let mut message = None;
    let mut parts: Vec<Part> = Vec::new();
    while let Some(event) = reader.next_event()? {
        match event {
            RelatedEvent::Soap(_, soap) => message = Some(*soap),
            RelatedEvent::AttachmentStart(headers) => parts.push(Part { headers, content: Vec::new() }),
            RelatedEvent::Attachment(bytes) => {
                if let Some(part) = parts.last_mut() {
                    part.content.extend_from_slice(&bytes);
                }
            }
            RelatedEvent::Fault(_) => return Err(ManagementError::UnknownService),
            RelatedEvent::AttachmentEnd { .. } | RelatedEvent::End => {}
        }
    }
    Ok((message.ok_or(ManagementError::Body { what: "SOAP message" })?, parts))
}

fn exactly<const N: usize>(parts: Vec<Part>) -> Result<[Part; N], ManagementError> {
    parts.try_into().map_err(|parts: Vec<Part>| ManagementError::Parts { found: parts.len(), expected: N })
}

/// The owner of the server asks it of the instance's own service.
fn check_header(
    message: &SoapMessage,
    request: &ManagementRequest,
    registry: &Registry,
) -> Result<(), ManagementError> {
    let header = message.header();
    let service = &header.service;
    let is_ours = service.provider == registry.settings().management_provider
        && service.code == request.service()
        && message.body_element() == request.service();
    if !is_ours {
        return Err(ManagementError::WrongService { service: service.code.clone() });
    }
    match &header.client {
        ClientId::Member(member) if *member == request.server().owner => Ok(()),
        client => Err(ManagementError::NotOwner { client: client.clone() }),
    }
}

/// Checks that `member` signed, with a certificate that is good at `now`.
fn check_signer(
    signature: &Part,
    certificate: &Part,
    ocsp_answer: &Part,
    signed: &[u8],
    member: &MemberId,
    registry: &Registry,
    now: Timestamp,
) -> Result<(), ManagementError> {
    let certificate = Certificate::from_der(&certificate.content)?;
    let authorities = registry.authorities();
    authorities.path(&certificate, CertificateUse::Signing, now)?;
    let issuer = authorities.issuer(&certificate)?;
    let signer = issuer.profile.member(&certificate, &registry.settings().instance)?;
    if signer != *member {
        let (signer, expected) = (Box::new(signer), Box::new(member.clone()));
        return Err(ManagementError::OtherSigner { signer, expected });
    }
    OcspResponse::from_der(&ocsp_answer.content)?.verify(&certificate, issuer, &authorities, now)?;
    check_signature(signature, &certificate, signed, "signing key")
}

fn check_signature(
    signature: &Part,
    certificate: &Certificate,
    signed: &[u8],
    whose: &'static str,
) -> Result<(), ManagementError> {
    let algorithm = signature_algorithm(&signature.headers).ok_or(ManagementError::Algorithm)?;
    let key = certificate.public_key()?;
    let verified = key.verify_der(algorithm, signed, &signature.content);
    verified.map_err(|source| ManagementError::Signature { whose, source })
}
