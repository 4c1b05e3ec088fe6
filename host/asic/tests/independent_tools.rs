//! Containers made here, judged by tools that share nothing with this crate: `xmlsec1` and `openssl`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's helpers cannot do, the test reports"
)]

use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuk_asic::{
    Container, MessageContainer, MessageSigner, PendingSignature, PendingTimeStamp, Profile, STAMPED_WITHIN,
    SignatureDocuments, Stamped, examine,
};
use uuk_identifiers::MemberId;
use uuk_pki::{
    Authorities, Certificate, CertificateId, CertificateProfiles, CertificateStatus, CertificationAuthority,
    Digest, DigestAlgorithm, OcspAnswer, SignatureScheme, SigningKey, SoftwareKey, TimeStampRequest,
    TimeStamper,
};
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};
use uuk_testkit::{openssl, xmlsec};

const PROFILE: &str = "[[profile]]\nname = 'test'\nmember = [{ class = 'COM', subject = { CN = '(?<code>.+)' } }]\n\
                       authentication = []\nsigning = []";

struct World {
    authority: Authority,
    signer: SigningIdentity,
    stamper: SigningIdentity,
    authorities: Authorities,
}

/// OpenSSL's clock cannot be set, so that everything here is of today.
fn now() -> Timestamp {
    static NOW: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);
    *NOW
}

fn certificate(identity: &SigningIdentity) -> Certificate {
    Certificate::from_der(&identity.der()).unwrap()
}

fn key(identity: &SigningIdentity) -> SoftwareKey {
    SoftwareKey::from_pkcs8(&identity.key_der()).unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    DigestAlgorithm::Sha512.digest(bytes)
}

impl World {
    fn new(kind: KeyKind) -> Self {
        let authority = Authority::new("Authority", now().to_zoned(TimeZone::UTC).date()).unwrap();
        let stamper = authority.issue_for_time_stamping("Stamper", KeyKind::P256).unwrap();
        let approved = CertificationAuthority {
            certificate: Certificate::from_der(&authority.der()).unwrap(),
            ocsp_responders: Vec::new(),
            profile: CertificateProfiles::default().with(PROFILE).unwrap().find("test").unwrap().clone(),
            authentication_only: false,
        };
        Self {
            signer: authority.issue("4321", kind).unwrap(),
            authorities: Authorities {
                certification: vec![approved],
                time_stamping: vec![certificate(&stamper)],
                ocsp_freshness: Duration::from_secs(3600),
                verify_next_update: true,
            },
            authority,
            stamper,
        }
    }

    /// The authority's own OCSP answer about the signer.
    fn ocsp_answer(&self) -> Vec<u8> {
        let issuer = &self.authorities.certification[0].certificate;
        let answer = OcspAnswer {
            certificate: CertificateId::new(&certificate(&self.signer), issuer).unwrap(),
            status: CertificateStatus::Good,
            this_update: now(),
            next_update: None,
        };
        answer.sign(issuer, &key(&self.authority.identity().unwrap())).unwrap()
    }

    /// Signs `messages` at once, the value made by `sign` from the digest.
    fn sign(
        &self,
        scheme: SignatureScheme,
        messages: &[&[&[u8]]],
        sign: impl Fn(&Digest) -> Vec<u8>,
    ) -> Vec<SignatureDocuments> {
        let digests: Vec<Vec<Digest>> =
            messages.iter().map(|parts| parts.iter().map(|part| digest(part)).collect()).collect();
        let signer = MessageSigner {
            scheme,
            certificate: &certificate(&self.signer),
            intermediates: &[],
            ocsp_answers: &[self.ocsp_answer()],
        };
        let pending = PendingSignature::new(&signer, &digests, now()).unwrap();
        let value = sign(pending.digest());
        pending.complete(&value).unwrap()
    }

    /// Stamps all signatures at once, and puts each in a container with its message.
    fn contain(&self, messages: &[&[&[u8]]], signed: Vec<SignatureDocuments>) -> Vec<MessageContainer> {
        let documents: Vec<&[u8]> = signed.iter().map(|signature| &*signature.signatures).collect();
        let pending = PendingTimeStamp::new(&documents).unwrap().unwrap();
        let request = TimeStampRequest::new(pending.imprint().clone());
        let stamper = TimeStamper { certificate: &certificate(&self.stamper), key: &key(&self.stamper) };
        let mut token = stamper.stamp(&request, 1, now()).unwrap();
        token.enclose(&certificate(&self.stamper)).unwrap();

        let stamped = pending.complete(&token.to_der().unwrap()).unwrap();
        let containers = messages.iter().zip(signed).zip(stamped).map(|((parts, mut signature), stamped)| {
            let time_stamp = match stamped {
                Stamped::Inside(signatures) => {
                    signature.signatures = signatures.into();
                    None
                }
                Stamped::Beside(time_stamp) => Some(time_stamp),
            };
            let attachments = (1..).zip(&parts[1..]).map(|(number, bytes)| (number, Arc::from(*bytes)));
            MessageContainer {
                message: Arc::from(parts[0]),
                signature,
                time_stamp,
                attachments: attachments.collect(),
                others: Vec::new(),
            }
        });
        containers.collect()
    }

    /// Has everyone judge a container.
    fn check(&self, container: &MessageContainer) {
        let bytes = container.write().unwrap();
        let read = MessageContainer::read(&bytes).unwrap();
        self.check_here(&read);

        let folder = tempfile::tempdir().unwrap();
        for entry in Container::read(&bytes, &Profile::message()).unwrap().entries() {
            let path = folder.path().join(entry.name.as_str());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &entry.bytes).unwrap();
        }
        let signature = "META-INF/signatures.xml";
        let judge = || xmlsec::verify(folder.path(), signature, &[self.authority.pem()], now()).unwrap();
        if let Some(verdict) = judge() {
            assert!(verdict.accepted, "{}", verdict.said);
        }
        self.check_time_stamp(&read, folder.path());

        let signed =
            if read.signature.hash_chain.is_some() { "sig-hashchainresult.xml" } else { "message.xml" };
        std::fs::write(folder.path().join(signed), "<forged/>").unwrap();
        assert!(judge().is_none_or(|verdict| !verdict.accepted));
    }

    fn check_here(&self, container: &MessageContainer) {
        let member = MemberId { instance: "DEV".into(), class: "COM".into(), code: "4321".into() };
        let examination = examine(container, &member, &self.authorities, STAMPED_WITHIN);
        examination.verdict.unwrap_or_else(|error| panic!("{error}: {:#?}", examination.steps));
    }

    /// Of a batch, the result in the container is what was stamped; of one alone, the bytes of its signature value.
    fn check_time_stamp(&self, container: &MessageContainer, folder: &Path) {
        let write = |name: &str, bytes: &[u8]| std::fs::write(folder.join(name), bytes).unwrap();
        write("root.pem", self.authority.pem().as_bytes());
        let text = String::from_utf8(container.signature.signatures.to_vec()).unwrap();
        let inside = |element: &str| {
            let content = text.split_once(&format!("<{element}"))?.1.split_once('>')?.1.split_once('<')?.0;
            BASE64.decode(content).ok()
        };
        let (token, stamped) = match &container.time_stamp {
            Some(stamp) => {
                (stamp.token.clone(), std::fs::read(folder.join("ts-hashchainresult.xml")).unwrap())
            }
            None => (inside("xades:EncapsulatedTimeStamp").unwrap(), inside("ds:SignatureValue").unwrap()),
        };
        write("token.der", &token);
        write("stamped", &stamped);
        let arguments = "ts -verify -data stamped -in token.der -token_in -CAfile root.pem";
        let Some(outcome) = openssl::run(folder, arguments).unwrap() else { return };
        assert!(outcome.success, "{}", outcome.said);
        write("stamped", b"forged");
        assert!(openssl::run(folder, arguments).unwrap().is_some_and(|outcome| !outcome.success));
    }
}

const ALONE: &[&[&[u8]]] = &[&[b"<message/>"]];
const BATCH: &[&[&[u8]]] =
    &[&[b"<message>1</message>"], &[b"<message>2</message>", b"body"], &[b"<message>3</message>"]];

fn check(kind: KeyKind, messages: &[&[&[u8]]]) {
    let world = World::new(kind);
    let key = key(&world.signer);
    let signed = world.sign(key.scheme(), messages, |digest| key.sign_digest(digest).unwrap());
    for container in world.contain(messages, signed) {
        world.check(&container);
    }
}

#[test]
fn accept_a_message_alone() {
    check(KeyKind::Rsa2048, ALONE);
    check(KeyKind::P256, ALONE);
}

#[test]
fn accept_messages_signed_and_stamped_together() {
    check(KeyKind::Rsa2048, BATCH);
    check(KeyKind::P256, BATCH);
}

/// A token's way of signing, by OpenSSL: `xmlsec1` does not know it yet.
#[test]
fn sign_with_pss_what_is_accepted_here() {
    let world = World::new(KeyKind::Rsa2048);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key.pem"), world.signer.key_pem()).unwrap();
    let sign = |digest: &Digest| {
        std::fs::write(folder.path().join("digest"), digest.as_bytes()).unwrap();
        let arguments = "pkeyutl -sign -inkey key.pem -in digest -out value -pkeyopt digest:sha512 \
                         -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:64";
        let outcome = openssl::run(folder.path(), arguments).unwrap()?;
        assert!(outcome.success, "{}", outcome.said);
        std::fs::read(folder.path().join("value")).ok()
    };
    if sign(&digest(b"")).is_none() {
        return;
    }
    let signed = world.sign(SignatureScheme::RsaPss, ALONE, |digest| sign(digest).unwrap());
    let text = String::from_utf8_lossy(&signed[0].signatures).into_owned();
    assert!(text.contains("http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1"), "{text}");
    for container in world.contain(ALONE, signed) {
        world.check_here(&container);
    }
}
