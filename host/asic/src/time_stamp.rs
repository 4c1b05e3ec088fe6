//! Time-stamps over signatures: one inside its signature, or one beside many.
//!
//! The token itself is `uuk-pki`'s: here is what it has to be over, and where it goes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use uuk_pki::{Digest, DigestAlgorithm};

use crate::hash_chain::{ChainNames, HashChains};
use crate::message_signature::ChainDocuments;
use crate::verify::{SignatureDocument, VerifyError, XADES};
use crate::xml::{self, Element};

const ALGORITHM: DigestAlgorithm = DigestAlgorithm::Sha512;

/// Signatures that wait for a time-stamp.
#[derive(Debug)]
pub struct PendingTimeStamp {
    imprint: Digest,
    subject: Subject,
}

#[derive(Debug)]
enum Subject {
    Alone { signatures: Vec<u8> },
    Many(HashChains),
}

/// What a time-stamp makes of one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stamped {
    /// The signature document, with the time-stamp in it.
    Inside(Vec<u8>),
    /// The signature document stays; this goes beside it.
    Beside(DetachedTimeStamp),
}

/// A time-stamp beside a signature document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachedTimeStamp {
    /// DER `TimeStampToken`.
    pub token: Vec<u8>,
    /// From what is stamped to this signature document. Without one, as in old containers, the token is over the
    /// signature value.
    pub hash_chain: Option<ChainDocuments>,
}

impl PendingTimeStamp {
    /// Prepares one time-stamp for all of `signatures`, which are signature documents. `None` if there is none.
    ///
    /// # Errors
    /// As the variants of [`VerifyError`] say, if a signature that is alone cannot be read.
    pub fn new(signatures: &[&[u8]]) -> Result<Option<Self>, VerifyError> {
        if let [alone] = signatures {
            let subject = Subject::Alone { signatures: alone.to_vec() };
            return Ok(Some(Self { imprint: signature_imprint(&SignatureDocument::parse(alone)?), subject }));
        }
        let digests = signatures.iter().map(|document| vec![ALGORITHM.digest(document)]).collect();
        let chains = HashChains::new(ChainNames::TIMESTAMP, digests);
        Ok(chains.map(|chains| Self {
            imprint: ALGORITHM.digest(chains.result()),
            subject: Subject::Many(chains),
        }))
    }

    /// The SHA-512 digest that the authority is to stamp.
    pub fn imprint(&self) -> &Digest {
        &self.imprint
    }

    /// Puts in the DER `token`, already verified, and returns what becomes of each signature, in their order.
    ///
    /// # Errors
    /// [`VerifyError::Structure`] if a signature has no place for it.
    pub fn complete(self, token: &[u8]) -> Result<Vec<Stamped>, VerifyError> {
        match self.subject {
            Subject::Alone { signatures } => Ok(vec![Stamped::Inside(insert(&signatures, token)?)]),
            Subject::Many(chains) => {
                let beside =
                    |hash_chain| DetachedTimeStamp { token: token.to_vec(), hash_chain: Some(hash_chain) };
                Ok(chains.documents().map(|chain| Stamped::Beside(beside(chain))).collect())
            }
        }
    }
}

/// What a time-stamp inside a signature is over: the bytes of the signature value. XAdES would have the canonical form
/// of its element, but X-Road never did.
pub(crate) fn signature_imprint(signature: &SignatureDocument) -> Digest {
    ALGORITHM.digest(&signature.value)
}

/// The signature document with `token` as the first of its unsigned properties; no other byte changes.
fn insert(signatures: &[u8], token: &[u8]) -> Result<Vec<u8>, VerifyError> {
    const PROPERTIES: &str = "UnsignedSignatureProperties";
    let structure = || VerifyError::Structure { element: PROPERTIES };
    let document = xml::parse(signatures)?;
    let only = |name| match document.get_elements_by_tag_name_ns(XADES, name).as_slice() {
        [] => Ok(None),
        [node] => Ok(Some(Element { document: &document, node: *node })),
        _ => Err(structure()),
    };
    // Verifiers look for these very prefixes.
    let stamp = format!(
        "<xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>{token}</xades:EncapsulatedTimeStamp>\
         </xades:SignatureTimeStamp>",
        token = BASE64.encode(token),
    );
    let (position, inserted) = match only(PROPERTIES)? {
        Some(properties) => {
            let first = properties.children().next().ok_or_else(structure)?;
            (document.node_range(first.node).ok_or_else(structure)?.start, stamp)
        }
        // Whose certificate leads to its authority by itself has nothing to tell unsigned.
        None => {
            let signed = only("SignedProperties")?.ok_or_else(structure)?;
            let properties = format!(
                "<xades:UnsignedProperties><xades:{PROPERTIES}>{stamp}</xades:{PROPERTIES}>\
                 </xades:UnsignedProperties>"
            );
            (document.node_range(signed.node).ok_or_else(structure)?.end, properties)
        }
    };
    let (before, after) = document.input_text().split_at_checked(position).ok_or_else(structure)?;
    let stamped = [before, &inserted, after].concat();
    // With a time-stamp already there, this fails; where the prefix means something else, nobody finds the new one.
    match SignatureDocument::parse(stamped.as_bytes())?.time_stamp {
        Some(found) if found == token => Ok(stamped.into_bytes()),
        _ => Err(structure()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;
    use uuk_pki::{Certificate, SigningKey, SoftwareKey};
    use uuk_testkit::authority::{Authority, KeyKind};

    use super::*;
    use crate::hash_chain::verify_hash_chain;
    use crate::message_signature::{MessageSigner, PendingSignature};

    const TOKEN: &[u8] = b"token";

    fn signed(message: &str) -> Vec<u8> {
        let authority = Authority::new("Authority", date(2026, 11, 1)).unwrap();
        let identity = authority.issue("Signer", KeyKind::P256).unwrap();
        let key = SoftwareKey::from_pkcs8(&identity.key_der()).unwrap();
        let signer = MessageSigner {
            scheme: key.scheme(),
            certificate: &Certificate::from_der(&identity.der()).unwrap(),
            intermediates: &[],
            ocsp_answers: &[b"answer".to_vec()],
        };
        let digest = ALGORITHM.digest(message.as_bytes());
        let pending = PendingSignature::new(&signer, &[vec![digest]], Timestamp::UNIX_EPOCH).unwrap();
        let value = key.sign_digest(pending.digest()).unwrap();
        pending.complete(&value).unwrap().remove(0).signatures.to_vec()
    }

    #[track_caller]
    fn refuses(signatures: &str, code: &str) {
        let pending = PendingTimeStamp::new(&[signatures.as_bytes()]).unwrap().unwrap();
        let error = pending.complete(TOKEN).unwrap_err();
        assert_eq!(error.code(), format!("signature.{code}"), "{error}");
    }

    #[test]
    fn puts_one_token_inside_its_signature() {
        let signatures = signed("message");
        let pending = PendingTimeStamp::new(&[&signatures]).unwrap().unwrap();
        let value = SignatureDocument::parse(&signatures).unwrap().value;
        assert_eq!(*pending.imprint(), ALGORITHM.digest(&value));

        let stamped = pending.complete(TOKEN).unwrap();
        let [Stamped::Inside(stamped)] = stamped.as_slice() else { panic!("{stamped:?}") };
        let text = std::str::from_utf8(stamped).unwrap();
        assert!(text.contains(
            "<xades:UnsignedSignatureProperties><xades:SignatureTimeStamp><xades:EncapsulatedTimeStamp>"
        ));
        assert_eq!(SignatureDocument::parse(stamped).unwrap().time_stamp.as_deref(), Some(TOKEN));
        crate::verify(stamped, |_, algorithm| Some(algorithm.digest(b"message"))).unwrap();
    }

    #[test]
    fn puts_one_token_beside_many_signatures() {
        let signatures = [signed("a"), signed("b"), signed("c")];
        let all: Vec<&[u8]> = signatures.iter().map(Vec::as_slice).collect();
        let pending = PendingTimeStamp::new(&all).unwrap().unwrap();
        let imprint = pending.imprint().clone();
        for (stamped, signatures) in pending.complete(TOKEN).unwrap().into_iter().zip(all) {
            let Stamped::Beside(DetachedTimeStamp { token, hash_chain: Some(hash_chain) }) = stamped else {
                panic!("{stamped:?}")
            };
            assert_eq!((token.as_slice(), ALGORITHM.digest(&hash_chain.result)), (TOKEN, imprint.clone()));
            let names = ChainNames::TIMESTAMP;
            verify_hash_chain(
                &hash_chain.result,
                &[(names.chain, hash_chain.chain.as_slice())],
                &[names.first_part],
                |_, algorithm| Some(algorithm.digest(signatures)),
            )
            .unwrap();
        }
    }

    #[test]
    fn stamps_nothing_for_nothing() {
        assert!(PendingTimeStamp::new(&[]).unwrap().is_none());
    }

    #[test]
    fn refuses_a_signature_that_cannot_be_read() {
        assert!(PendingTimeStamp::new(&[b"<other/>"]).is_err());
    }

    #[test]
    fn refuses_a_second_time_stamp() {
        let stamp = "<xades:SignatureTimeStamp>AAAA</xades:SignatureTimeStamp><xades:RevocationValues>";
        let sound = String::from_utf8(signed("message")).unwrap();
        refuses(&sound.replace("<xades:RevocationValues>", stamp), "structure");
    }

    #[test]
    fn makes_a_place_where_nothing_is_unsigned() {
        let sound = String::from_utf8(signed("message")).unwrap();
        let start = sound.find("<xades:UnsignedProperties>").unwrap();
        let end = sound.find("</xades:QualifyingProperties>").unwrap();
        let bare = [&sound[..start], &sound[end..]].concat();
        let pending = PendingTimeStamp::new(&[bare.as_bytes()]).unwrap().unwrap();
        let stamped = pending.complete(TOKEN).unwrap();
        let [Stamped::Inside(stamped)] = stamped.as_slice() else { panic!("{stamped:?}") };
        let verified = crate::verify(stamped, |_, algorithm| Some(algorithm.digest(b"message"))).unwrap();
        assert_eq!(verified.time_stamp.unwrap().token, TOKEN);
    }

    #[test]
    fn refuses_a_signature_with_an_empty_place_for_it() {
        let sound = String::from_utf8(signed("message")).unwrap();
        let start = sound.find("<xades:UnsignedSignatureProperties>").unwrap();
        let end = sound.find("</xades:UnsignedProperties>").unwrap();
        refuses(
            &[&sound[..start], "<xades:UnsignedSignatureProperties/>", &sound[end..]].concat(),
            "structure",
        );
    }

    #[test]
    fn refuses_other_prefixes() {
        let sound = String::from_utf8(signed("message")).unwrap();
        refuses(&sound.replace("xades:", "other:").replace("xmlns:xades", "xmlns:other"), "malformed");
    }

    /// What is unsigned can be written so by whoever signs, who could say later that there is no time-stamp.
    #[test]
    fn refuses_a_prefix_that_means_something_else() {
        let sound = String::from_utf8(signed("message")).unwrap();
        let (before, unsigned) = sound.split_at(sound.find("<xades:UnsignedProperties>").unwrap());
        let (unsigned, after) = unsigned.split_at(unsigned.find("</xades:QualifyingProperties>").unwrap());
        let declared = format!("<x:UnsignedProperties xmlns:x=\"{XADES}\" xmlns:xades=\"urn:other\">");
        let other = unsigned.replace("xades:", "x:").replace("<x:UnsignedProperties>", &declared);
        refuses(&[before, &other, after].concat(), "structure");
    }
}
