//! OpenSSL takes what is made here, and what it makes is taken here.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use uuk_identifiers::ServerId;
use uuk_pki::{
    Applicant, Authorities, Certificate, CertificateId, CertificateProfiles, CertificateStatus,
    CertificateUse, CertificationAuthority, DigestAlgorithm, OcspAnswer, OcspError, OcspRequest,
    OcspResponse, SoftwareKey, TimeStampRequest, TimeStampToken, TimeStamper,
};
use uuk_testkit::authority::{Authority, KeyKind, SigningIdentity};
use uuk_testkit::openssl::{self, Outcome};

const KINDS: [KeyKind; 2] = [KeyKind::P256, KeyKind::Rsa2048];

/// An authority, a certificate by it, and a folder with both, `root.pem` and `signer.pem`.
struct World {
    folder: TempDir,
    root: Authority,
    signer: SigningIdentity,
}

impl World {
    /// The clock of `openssl ts` and `openssl ocsp -index` cannot be set, so the certificates are of today.
    fn new() -> Self {
        let today = now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let root = Authority::new("Root", today).unwrap();
        let signer = root.issue("Signer", KeyKind::P256).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let world = Self { folder, root, signer };
        world.write("root.pem", world.root.pem());
        world.write("signer.pem", world.signer.pem());
        world
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), contents).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(name)).unwrap()
    }

    fn openssl(&self, arguments: &str) -> Option<Outcome> {
        run(self.folder.path(), arguments)
    }

    fn authorities(&self) -> Authorities {
        authorities(&[&self.root])
    }

    fn certificate_id(&self) -> CertificateId {
        CertificateId::new(&certificate(&self.signer), &Certificate::from_der(&self.root.der()).unwrap())
            .unwrap()
    }
}

fn run(folder: &Path, arguments: &str) -> Option<Outcome> {
    openssl::run(folder, arguments).unwrap()
}

fn now() -> Timestamp {
    Timestamp::now()
}

fn certificate(identity: &SigningIdentity) -> Certificate {
    Certificate::from_der(&identity.der()).unwrap()
}

fn key(identity: &SigningIdentity) -> SoftwareKey {
    SoftwareKey::from_pkcs8(&identity.key_der()).unwrap()
}

fn authorities(approved: &[&Authority]) -> Authorities {
    let profile = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";
    let approve = |authority: &&Authority| CertificationAuthority {
        certificate: Certificate::from_der(&authority.der()).unwrap(),
        ocsp_responders: Vec::new(),
        profile: CertificateProfiles::default().find(profile).unwrap().clone(),
        authentication_only: false,
    };
    Authorities {
        certification: approved.iter().map(approve).collect(),
        time_stamping: Vec::new(),
        ocsp_freshness: Duration::from_secs(3600),
        verify_next_update: true,
    }
}

#[test]
fn openssl_accepts_our_ocsp_answers() {
    for kind in KINDS {
        let world = World::new();
        let responder = world.root.issue_for_ocsp("Responder", kind).unwrap();
        for (status, word) in [
            (CertificateStatus::Good, "good"),
            (CertificateStatus::Revoked { time: now() }, "revoked"),
            (CertificateStatus::Unknown, "unknown"),
        ] {
            let answer = OcspAnswer {
                certificate: world.certificate_id(),
                status,
                this_update: now(),
                next_update: Some(now() + Duration::from_secs(3600)),
            };
            world.write("response.der", answer.sign(&certificate(&responder), &key(&responder)).unwrap());
            let verify = "ocsp -respin response.der -CAfile root.pem -issuer root.pem -cert signer.pem";
            let Some(outcome) = world.openssl(verify) else { return };
            assert!(outcome.said.contains("Response verify OK"), "{}", outcome.said);
            assert!(outcome.said.contains(&format!("signer.pem: {word}")), "{}", outcome.said);
        }
    }
}

#[test]
fn openssl_answers_our_ocsp_request_and_we_accept_it() {
    let world = World::new();
    let responder = world.root.issue_for_ocsp("Responder", KeyKind::Rsa2048).unwrap();
    world.write("responder.pem", responder.pem());
    world.write("responder.key", responder.key_pem());
    world.write("request.der", OcspRequest { certificate: world.certificate_id() }.to_der().unwrap());
    let certificate = certificate(&world.signer);
    let Some(serial) = world.openssl("x509 -in signer.pem -noout -serial") else { return };
    let serial = serial.said.trim().trim_start_matches("serial=").to_owned();
    let respond = "ocsp -index index.txt -CA root.pem -rsigner responder.pem -rkey responder.key -nmin 5 \
                   -reqin request.der -respout response.der";
    let verify = |entry: &str, named_by: &str| {
        // OpenSSL's database of certificates: status, expiry, revocation, serial number, file, subject.
        world.write("index.txt", format!("{entry}\t{serial}\tunknown\t/CN=Signer\n"));
        let outcome = world.openssl(&format!("{respond}{named_by}")).unwrap();
        assert!(outcome.success, "{}", outcome.said);
        let authorities = world.authorities();
        let response = OcspResponse::from_der(&world.read("response.der")).unwrap();
        response.verify(&certificate, &authorities.certification[0], &authorities, now())
    };
    assert!(verify("V\t491231235959Z\t", "").is_ok());
    assert!(verify("V\t491231235959Z\t", " -resp_key_id").is_ok());
    let revoked = verify("R\t491231235959Z\t260101000000Z", "").unwrap_err();
    assert!(matches!(revoked, OcspError::Revoked { .. }), "{revoked}");
}

#[test]
fn openssl_accepts_our_time_stamps() {
    for kind in KINDS {
        let world = World::new();
        let stamper = world.root.issue_for_time_stamping("Stamper", kind).unwrap();
        world.write("stamper.pem", stamper.pem());
        world.write("message", "message");
        let Some(query) = world.openssl("ts -query -data message -sha512 -out request.der") else { return };
        assert!(query.success, "{}", query.said);
        let request = TimeStampRequest::from_der(&world.read("request.der")).unwrap();
        let stamper = TimeStamper { certificate: &certificate(&stamper), key: &key(&stamper) };
        let mut token = stamper.stamp(&request, 1, now()).unwrap();

        world.write("response.der", token.to_response().unwrap());
        let with_request =
            "ts -verify -queryfile request.der -in response.der -CAfile root.pem -untrusted stamper.pem";
        let outcome = world.openssl(with_request).unwrap();
        assert!(outcome.success, "{}", outcome.said);

        token.enclose(stamper.certificate).unwrap();
        world.write("token.der", token.to_der().unwrap());
        let alone = "ts -verify -data message -in token.der -token_in -CAfile root.pem";
        let outcome = world.openssl(alone).unwrap();
        assert!(outcome.success, "{}", outcome.said);
        world.write("message", "other");
        assert!(!world.openssl(alone).unwrap().success);
    }
}

#[test]
fn openssl_stamps_our_request_and_we_accept_it() {
    let world = World::new();
    let stamper = world.root.issue_for_time_stamping("Stamper", KeyKind::Rsa2048).unwrap();
    world.write("stamper.pem", stamper.pem());
    world.write("stamper.key", stamper.key_pem());
    world.write("serial", "01\n");
    let imprint = DigestAlgorithm::Sha512.digest(b"message");
    world.write("request.der", TimeStampRequest::new(imprint.clone()).to_der().unwrap());
    let mut authorities = world.authorities();
    authorities.time_stamping.push(certificate(&stamper));
    for (signed_with, named_with) in [("sha256", "sha1"), ("sha512", "sha256"), ("sha512", "sha512")] {
        let settings = format!(
            "[tsa]\ndefault_tsa = own\n[own]\nserial = serial\ndefault_policy = 1.2.3\ndigests = sha512\n\
             accuracy = secs:1, millisecs:500\nclock_precision_digits = 3\nordering = yes\ntsa_name = yes\n\
             signer_digest = {signed_with}\ness_cert_id_alg = {named_with}\n"
        );
        world.write("tsa.conf", settings);
        let reply = "ts -reply -config tsa.conf -queryfile request.der -signer stamper.pem -inkey stamper.key \
                     -out response.der";
        let Some(outcome) = world.openssl(reply) else { return };
        assert!(outcome.success, "{}", outcome.said);
        let mut token = TimeStampToken::from_response(&world.read("response.der")).unwrap();
        let stamp = token.verify(&imprint, &authorities).unwrap();
        assert!((now().as_second() - stamp.time.as_second()).abs() < 600, "{}", stamp.time);

        token.enclose(&certificate(&stamper)).unwrap();
        world.write("token.der", token.to_der().unwrap());
        world.write("message", "message");
        let alone =
            world.openssl("ts -verify -data message -in token.der -token_in -CAfile root.pem").unwrap();
        assert!(alone.success, "{}", alone.said);
    }
}

#[test]
fn openssl_accepts_our_certificate_requests() {
    for kind in KINDS {
        let world = World::new();
        let identity = world.root.issue("Signer", kind).unwrap();
        let profiles = CertificateProfiles::default();
        let profile = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider";
        let server: ServerId = "FI/GOV/1/ss1".parse().unwrap();
        let fields = [("organization", "Väestö"), ("dns", "ss1.example.org")];
        let applicant = Applicant {
            member: &server.owner,
            member_name: "Owner",
            server: &server,
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        for (usage, subject, key_usage) in [
            (
                CertificateUse::Authentication,
                "C=FI, O=Väestö, serialNumber=FI/ss1/GOV, CN=ss1.example.org",
                "Digital Signature, Key Encipherment, Data Encipherment",
            ),
            (
                CertificateUse::Signing,
                "C=FI, O=Väestö, serialNumber=FI/ss1/GOV, CN=1",
                "Non Repudiation, Certificate Sign",
            ),
        ] {
            let requested = profiles.find(profile).unwrap().requested_subject(usage, &applicant).unwrap();
            let public_key = certificate(&identity).public_key().unwrap();
            world.write("request.der", requested.request(usage, &public_key, &key(&identity)).unwrap());
            let show =
                "req -inform der -in request.der -verify -noout -text -nameopt utf8,sep_comma_plus_space";
            let Some(outcome) = world.openssl(show) else { return };
            assert!(outcome.success && outcome.said.contains("verify OK"), "{}", outcome.said);
            for expected in [subject, key_usage, "DNS:ss1.example.org"] {
                assert!(outcome.said.contains(expected), "{expected} is not in {}", outcome.said);
            }
        }
    }
}

#[test]
fn openssl_gives_the_same_verdicts_on_paths() {
    let world = World::new();
    let below = world.root.intermediate("Below").unwrap();
    let pretender = world.root.pretender("Pretender").unwrap();
    let stranger = Authority::new("Root", jiff::civil::date(2026, 11, 22)).unwrap();
    let (day, years) = (now(), now() + Duration::from_secs(3 * 365 * 24 * 3600));
    for (case, issuer, time, expected) in [
        ("by the top", &world.root, day, true),
        ("over an intermediate", &below, day, true),
        ("after the end", &below, years, false),
        ("by one that is no authority", &pretender, day, false),
        ("by a stranger of the same name", &stranger, day, false),
    ] {
        let signer = issuer.issue("Signer", KeyKind::P256).unwrap();
        world.write("signer.pem", signer.pem());
        world.write("issuer.pem", issuer.pem());
        let seconds = time.as_second();
        let verify = format!("verify -attime {seconds} -CAfile root.pem -untrusted issuer.pem signer.pem");
        let Some(theirs) = world.openssl(&verify) else { return };

        let approved =
            if std::ptr::eq(issuer, &stranger) { vec![&world.root] } else { vec![&world.root, issuer] };
        let authorities = authorities(&approved);
        let signer = certificate(&signer);
        let ours = authorities.path(&signer, CertificateUse::Signing, time);
        assert_eq!((theirs.success, ours.is_ok()), (expected, expected), "{case}: {} {ours:?}", theirs.said);
    }
}
