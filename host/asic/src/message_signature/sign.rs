//! Making one signature for the messages that wait for the same key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use jiff::Timestamp;
use uuk_pki::{Certificate, Digest, DigestAlgorithm, SignatureScheme};

use super::{MESSAGE, RESULT, SignatureDocuments};
use crate::hash_chain::{ChainNames, HashChains};
use crate::xades::{Contents, Draft, PartReference, SignError, certificate_reference, certificate_values};

/// The policy that X-Road's signatures follow: 1.3.6.1.4.1.3516.16.2, in canonical form.
const POLICY: &str = concat!(
    "<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId>",
    r#"<xades:SigPolicyId><xades:Identifier Qualifier="OIDAsURN">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier>"#,
    "<xades:Description>Profile for High Performance Digital Signatures (version 1.2)</xades:Description></xades:SigPolicyId>",
    r#"<xades:SigPolicyHash><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"></ds:DigestMethod>"#,
    "<ds:DigestValue>BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw==",
    "</ds:DigestValue></xades:SigPolicyHash>",
    "<xades:SigPolicyQualifiers><xades:SigPolicyQualifier>",
    "<xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf</xades:SPURI>",
    "</xades:SigPolicyQualifier></xades:SigPolicyQualifiers>",
    "</xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>",
);

/// Who signs messages, and what proves it to the receivers.
#[derive(Debug, Clone, Copy)]
pub struct MessageSigner<'a> {
    /// How the key signs.
    pub scheme: SignatureScheme,
    /// The certificate of the key.
    pub certificate: &'a Certificate,
    /// Certificates between it and an approved authority.
    pub intermediates: &'a [Certificate],
    /// DER `OCSPResponse`s: of the certificate, then of each intermediate.
    pub ocsp_answers: &'a [Vec<u8>],
}

/// A signature of messages that waits for its value: the key signs elsewhere, in a token.
#[derive(Debug)]
pub struct PendingSignature {
    draft: Draft,
    /// `None` for one message without attachments.
    chains: Option<HashChains>,
}

impl PendingSignature {
    /// Prepares one signature for all of `messages`, each the SHA-512 digests of its parts: of the message, then of
    /// its attachments in order. `time` is what the signer claims.
    ///
    /// # Errors
    /// [`SignError::NoParts`] if there is no message or one is empty, [`SignError::DigestNotAccepted`] for other
    /// digests, [`SignError::NoOcspAnswer`] and [`SignError::NotForSigning`] if receivers would refuse it.
    ///
    /// # Source
    /// ETSI TS 101 903 v1.3.2 and the profile that the signature names as its policy.
    pub fn new(
        signer: &MessageSigner<'_>,
        messages: &[Vec<Digest>],
        time: Timestamp,
    ) -> Result<Self, SignError> {
        let certificate = signer.certificate;
        if !certificate.may_sign() {
            return Err(SignError::NotForSigning { subject: certificate.subject().to_owned() });
        }
        if signer.ocsp_answers.is_empty() {
            return Err(SignError::NoOcspAnswer { subject: certificate.subject().to_owned() });
        }
        let weak = messages.iter().flatten().find(|digest| digest.algorithm() != DigestAlgorithm::Sha512);
        if let Some(digest) = weak {
            return Err(SignError::DigestNotAccepted { algorithm: digest.algorithm() });
        }

        let (part, chains) = match messages {
            [message] if message.len() == 1 => (message.first().map(message_alone), None),
            messages => {
                let chains = HashChains::new(ChainNames::SIGNATURE, messages.to_vec());
                (chains.as_ref().map(chain_result), chains)
            }
        };
        let draft = Draft::new(&Contents {
            parts: &[part.ok_or(SignError::NoParts)?],
            certificate,
            scheme: signer.scheme,
            time,
            policy: POLICY,
            unsigned: unsigned_properties(signer),
        });
        Ok(Self { draft, chains })
    }

    /// The digest that the key is to sign.
    pub fn digest(&self) -> &Digest {
        self.draft.digest()
    }

    /// Puts in the signature `value`, of the form that the signer's scheme states, and returns what goes with each
    /// message, in their order. The value is checked with the certificate first, so that a failing token shows here
    /// and not at a peer.
    ///
    /// # Errors
    /// [`SignError::KeyMismatch`] if the value was not made by the certificate's key, [`SignError::Certificate`] if
    /// that key cannot be used.
    pub fn complete(self, value: &[u8]) -> Result<Vec<SignatureDocuments>, SignError> {
        self.draft.check(value)?;
        Ok(self.complete_unchecked(value))
    }

    /// The same for a `value` that can only be right: of a key in this process's memory that was compared with the
    /// certificate before.
    pub fn complete_unchecked(self, value: &[u8]) -> Vec<SignatureDocuments> {
        let signatures = Bytes::from(self.draft.complete(value));
        let Some(chains) = self.chains else {
            return vec![SignatureDocuments { signatures, hash_chain: None }];
        };
        let each = chains
            .documents()
            .map(|chain| SignatureDocuments { signatures: signatures.clone(), hash_chain: Some(chain) });
        each.collect()
    }
}

fn message_alone(digest: &Digest) -> PartReference<'static> {
    PartReference { uri: MESSAGE, digest: digest.clone(), media_type: "text/xml" }
}

fn chain_result(chains: &HashChains) -> PartReference<'static> {
    PartReference {
        uri: RESULT,
        digest: DigestAlgorithm::Sha512.digest(chains.result()),
        media_type: "application/hash-chain-result",
    }
}

/// The certificates on the way to the authority, and the OCSP answers.
fn unsigned_properties(signer: &MessageSigner<'_>) -> String {
    let references: String = signer
        .intermediates
        .iter()
        .enumerate()
        .map(|(index, certificate)| {
            let reference = certificate_reference(certificate);
            format!(r##"<xades:Cert URI="#encapsulated-cert-{index}">{reference}</xades:Cert>"##)
        })
        .collect();
    let references = match references.is_empty() {
        true => references,
        false => format!(
            r#"<xades:CompleteCertificateRefs Id="complete-certificate-refs"><xades:CertRefs>{references}</xades:CertRefs></xades:CompleteCertificateRefs>"#,
        ),
    };
    let answers: String = signer
        .ocsp_answers
        .iter()
        .enumerate()
        .map(|(index, answer)| {
            let answer = BASE64.encode(answer);
            format!(r#"<xades:EncapsulatedOCSPValue Id="ocsp-response-{index}">{answer}</xades:EncapsulatedOCSPValue>"#)
        })
        .collect();
    format!(
        "{references}{certificates}<xades:RevocationValues><xades:OCSPValues>{answers}</xades:OCSPValues>\
         </xades:RevocationValues>",
        certificates = certificate_values(signer.intermediates),
    )
}
