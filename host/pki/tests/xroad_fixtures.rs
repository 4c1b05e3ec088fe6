//! Certificates, OCSP answers and time-stamps of the X-Road project and its servers, with the verdicts of its own tests
//! or stricter ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "what a test's helpers cannot do, the test reports")]

use std::io::Read;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use uuk_pki::{
    Authorities, Certificate, CertificateProfile, CertificateProfiles, CertificateUse,
    CertificationAuthority, Digest, DigestAlgorithm, KeyFile, OcspResponse, Password, SoftwareKey,
    TimeStampRequest, TimeStampToken, TimeStamper,
};
use uuk_testkit::fixtures;

const OWN_PROFILES: &str = include_str!("../../../tests/fixtures/certificate-profiles/x-road-tests.toml");

fn file(name: &str) -> Option<Vec<u8>> {
    let path = fixtures::folder()?.join(name);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

fn certificate(name: &str) -> Option<Certificate> {
    Some(parse(&file(name)?))
}

/// Reads DER, or its Base64, or that between PEM's lines, with other text before it, or the Base64 of all that.
fn parse(bytes: &[u8]) -> Certificate {
    let Ok(text) = std::str::from_utf8(bytes) else { return Certificate::from_der(bytes).unwrap() };
    match text.split_once("CERTIFICATE-----") {
        Some((_, rest)) => parse(&base64(rest.split_once("-----END").unwrap().0)),
        None => parse(&base64(text)),
    }
}

fn base64(text: &str) -> Vec<u8> {
    let text: String = text.replace("&#13;", "").split_whitespace().collect();
    BASE64_STANDARD.decode(text).unwrap()
}

/// What stands between the tags of the first `element` after `behind`, attributes or not.
fn element<'a>(xml: &'a str, behind: &str, element: &str) -> &'a str {
    let (_, rest) = xml.split_once(behind).unwrap();
    let (_, rest) = rest.split_once(&format!("<{element}")).unwrap();
    let (_, rest) = rest.split_once('>').unwrap();
    rest.split_once("</").unwrap().0
}

fn profile(provider: &str) -> CertificateProfile {
    let profiles = CertificateProfiles::default().with(OWN_PROFILES).unwrap();
    let class =
        format!("ee.ria.xroad.common.certificateprofile.impl.{provider}CertificateProfileInfoProvider");
    profiles.find(&class).unwrap().clone()
}

fn authorities(certification: Vec<Certificate>) -> Authorities {
    let approve = |certificate| CertificationAuthority {
        certificate,
        ocsp_responders: Vec::new(),
        profile: profile("FiVRK"),
        authentication_only: false,
    };
    Authorities {
        certification: certification.into_iter().map(approve).collect(),
        time_stamping: Vec::new(),
        ocsp_freshness: Duration::from_secs(3600),
        verify_next_update: true,
    }
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

#[test]
fn subjects_name_members() {
    let Some(estonian) = certificate("xroad/certs/NTREE.pem") else { return };
    for (certificate, provider, expected) in [
        (estonian, "SkKlass3", "EE/COM/10747013"),
        (certificate("xroad/certs/consumer.pem").unwrap(), "Test", "EE/BUSINESS/consumer"),
        (certificate("xroad/certs/test_chain/user_5.pem").unwrap(), "Ejbca", "EE/BUSINESS/CnOfOrg"),
        (certificate("captures/pki/sign.crt").unwrap(), "FiVRK", "DEV/COM/1234"),
    ] {
        assert_eq!(profile(provider).member(&certificate, "EE").unwrap().to_string(), expected);
    }
}

#[test]
fn certificates_tell_where_their_status_is_to_be_had() {
    let Some(estonian) = certificate("xroad/certs/NTREE.pem") else { return };
    assert_eq!(estonian.ocsp_urls(), ["http://aia.demo.sk.ee/klass3-2010"]);
    assert!(certificate("captures/pki/sign.crt").unwrap().ocsp_urls().is_empty());
}

/// X-Road accepts all that is signed with SHA-1 or MD5, and asks neither for key usage nor for the validity of the
/// topmost authority when it builds paths. Here whatever those digests signed is refused, since whoever finds a
/// collision would issue certificates.
#[test]
fn certificates_lead_to_authorities_or_not() {
    use CertificateUse::{Authentication, Signing};
    let Some(cyber) = certificate("xroad/certs/root-ca.pem") else { return };
    let internal = certificate("xroad/certs/int-ca.pem").unwrap();
    let chain: Vec<_> = ["root_ca", "ca_1", "ca_2", "ca_3", "ca_4_no_ext"]
        .iter()
        .map(|name| certificate(&format!("xroad/certs/test_chain/{name}.pem")).unwrap())
        .collect();
    let own = authorities(vec![cyber.clone(), internal.clone()]);
    let only_internal = authorities(vec![internal]);
    let chain = authorities(chain);
    for (name, authorities, usage, time, expected) in [
        ("client", &own, Authentication, "2020-06-01T00:00:00Z", None),
        ("consumer-2", &own, Authentication, "2020-01-01T00:00:00Z", None),
        ("internal", &only_internal, Authentication, "2020-01-01T00:00:00Z", None),
        // Signed with SHA-1.
        ("consumer", &own, Signing, "2014-10-03T00:00:00Z", Some("certificate_path.weak_signature")),
        ("producer", &own, Signing, "2014-10-03T00:00:00Z", Some("certificate_path.weak_signature")),
        // Its issuer is certified with SHA-1, when that is no topmost authority.
        ("internal", &own, Authentication, "2020-01-01T00:00:00Z", Some("certificate_path.weak_signature")),
        ("consumer-2", &own, Signing, "2020-01-01T00:00:00Z", Some("certificate_path.not_for_signing")),
        ("consumer-2", &chain, Authentication, "2020-01-01T00:00:00Z", Some("certificate_path.not_approved")),
        // The authority has run out, which X-Road does not look at.
        ("client", &own, Authentication, "2026-01-01T00:00:00Z", Some("certificate_path.expired")),
        ("expiredClient", &own, Signing, "2020-01-01T00:00:00Z", Some("certificate_path.expired")),
        // Without key usage a certificate is for nothing; X-Road's tests of paths do not ask.
        (
            "test_chain/user_0",
            &chain,
            Signing,
            "2012-10-01T00:00:00Z",
            Some("certificate_path.not_for_signing"),
        ),
        (
            "test_chain/user_3",
            &chain,
            Authentication,
            "2012-10-01T00:00:00Z",
            Some("certificate_path.not_for_authentication"),
        ),
    ] {
        let certificate = certificate(&format!("xroad/certs/{name}.pem")).unwrap();
        let verdict =
            authorities.path(&certificate, usage, at(time)).map(|_| ()).map_err(|error| error.code());
        assert_eq!(verdict.err(), expected, "{name} for {usage}");
    }
}

/// Whose names and signatures lead where, apart from what the certificates are for.
#[test]
fn issuers_of_the_test_chain_are_found() {
    let Some(root) = certificate("xroad/certs/test_chain/root_ca.pem") else { return };
    let authority = certificate("xroad/certs/test_chain/ca_3.pem").unwrap();
    let authorities = authorities(vec![root, authority.clone()]);
    let user = certificate("xroad/certs/test_chain/user_3.pem").unwrap();
    assert_eq!(authorities.issuer(&user).unwrap().certificate, authority);
    assert!(authorities.issuer(&certificate("xroad/certs/test_chain/user_2.pem").unwrap()).is_err());
    let orphan = KeyFile::read(
        &file("xroad/certs/test_chain/user_invalid_sig.p12").unwrap(),
        &Password::new(b"test".to_vec()),
    );
    let orphan = orphan.unwrap().certificates.remove(0);
    assert_eq!(authorities.issuer(&orphan).unwrap_err().code(), "certificate_path.not_approved");
}

/// What X-Road's proxies exchanged in `captures`.
#[test]
fn recorded_certificates_are_good_by_the_recorded_answers() {
    let Some(root) = certificate("captures/pki/ca.crt") else { return };
    let authorities = authorities(vec![root]);
    let answers: Vec<_> = [
        "captures/pki/ocsp-05befed170bd1dd8daad5972b0cadffb6591c60f.der",
        "captures/pki/ocsp-20111ea64fc6a64d67624afb285e2c44c82eaf02.der",
    ]
    .iter()
    .map(|name| OcspResponse::from_der(&file(name).unwrap()).unwrap())
    .collect();
    for (name, usage) in [("sign", CertificateUse::Signing), ("auth", CertificateUse::Authentication)] {
        let certificate = certificate(&format!("captures/pki/{name}.crt")).unwrap();
        let verdict = |time| {
            let path = authorities.path(&certificate, usage, at(time)).unwrap();
            path.verify_status(&answers, &authorities).map(|status| status[0].responder.subject().to_owned())
        };
        assert_eq!(verdict("2026-11-22T05:10:00Z").unwrap(), "CN=Peer OCSP,O=Test");
        assert_eq!(verdict("2026-11-22T07:00:00Z").unwrap_err().code(), "ocsp.stale");
        assert_eq!(verdict("2026-11-22T04:00:00Z").unwrap_err().code(), "ocsp.from_the_future");
    }
}

/// The answer of port 5577 is a multipart with the answer about the server's certificate.
#[test]
fn the_answer_of_a_server_about_itself_is_about_its_certificate() {
    let Some(recorded) = file("captures/ocsp-5577.bin") else { return };
    let find =
        |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).position(|window| window == part).unwrap();
    let body = &recorded[find(&recorded, b"\r\n\r\n--") + 4..];
    let part = &body[find(body, b"\r\n\r\n") + 4..];
    let answer = OcspResponse::from_der(&part[..find(part, b"\r\n--jetty")]).unwrap();
    let authority = certificate("captures/pki/ca.crt").unwrap();
    let about = ["auth", "sign"]
        .map(|name| answer.is_about(&certificate(&format!("captures/pki/{name}.crt")).unwrap(), &authority));
    assert_eq!(about, [false, true]);
}

#[test]
fn the_recorded_key_stamps_what_its_certificate_verifies() {
    let Some(certificate) = certificate("captures/pki/tsa.crt") else { return };
    let key = SoftwareKey::from_pkcs8(&file("captures/pki/tsa.pk8").unwrap()).unwrap();
    let imprint = DigestAlgorithm::Sha512.digest(b"message");
    let stamper = TimeStamper { certificate: &certificate, key: &key };
    let time = at("2026-11-22T05:10:00Z");
    let token = stamper.stamp(&TimeStampRequest::new(imprint.clone()), 1, time).unwrap();
    let mut authorities = authorities(Vec::new());
    authorities.time_stamping.push(certificate);
    assert_eq!(token.verify(&imprint, &authorities).unwrap().time, time);
}

/// A container of a real server: time-stamp, signing certificate, its status at the time of the stamp.
#[test]
fn evidence_of_a_real_server_verifies_at_the_time_of_its_stamp() {
    let Some(container) = file("xroad/asic/verifier/valid-batch-ts.asice") else { return };
    let mut container = zip::ZipArchive::new(std::io::Cursor::new(container)).unwrap();
    let mut entry = |name: &str| {
        let mut bytes = Vec::new();
        container.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let shared = file("xroad/globalconf/globalconf_good2_v3/DEV/shared-params.xml").unwrap();
    let shared = String::from_utf8(shared).unwrap();
    let mut authorities = authorities(vec![parse(element(&shared, "<topCA>", "cert").as_bytes())]);
    authorities.time_stamping.push(parse(element(&shared, "<approvedTSA>", "cert").as_bytes()));

    let imprint = DigestAlgorithm::Sha512.digest(&entry("ts-hashchainresult.xml"));
    let bytes = entry("META-INF/timestamp.tst");
    let mut token = TimeStampToken::from_der(&bytes).unwrap();
    let stamp = token.verify(&imprint, &authorities).unwrap();
    assert_eq!(stamp.time, at("2024-12-05T07:34:14Z"));
    // The server had enclosed the certificate, and so nothing changes.
    token.enclose(stamp.authority).unwrap();
    assert_eq!(token.to_der().unwrap(), bytes);

    let signatures = String::from_utf8(entry("META-INF/signatures.xml")).unwrap();
    let signer = parse(element(&signatures, "<ds:X509Data>", "ds:X509Certificate").as_bytes());
    let answer = base64(element(&signatures, "<xades:OCSPValues>", "xades:EncapsulatedOCSPValue"));
    let path = authorities.path(&signer, CertificateUse::Signing, stamp.time).unwrap();
    path.verify_status(&[OcspResponse::from_der(&answer).unwrap()], &authorities).unwrap();
    let member = path.steps()[0].issuer.profile.member(&signer, "DEV").unwrap();
    assert_eq!(member.to_string(), "DEV/COM/4321");
}

/// X-Road takes `valid`. Its authority's key is RSA with 1024 bits, and so it is refused here as `invalid-signature` is.
#[test]
fn time_stamps_by_short_keys_are_refused() {
    let Some(data) = file("xroad/timestamps/stamped-data") else { return };
    let imprint = DigestAlgorithm::Sha256.digest(&data);
    let mut approved = authorities(Vec::new());
    approved.time_stamping.push(certificate("xroad/certs/tsp.pem").unwrap());
    let mut others = authorities(Vec::new());
    others.time_stamping.push(certificate("captures/pki/tsa.crt").unwrap());
    let other = DigestAlgorithm::Sha256.digest(b"other");

    let check = |name: &str, imprint: &Digest, authorities: &Authorities| {
        let token = TimeStampToken::from_der(&file(&format!("xroad/timestamps/{name}")).unwrap()).unwrap();
        assert_eq!(token.imprint(), &DigestAlgorithm::Sha256.digest(&data), "{name}");
        let error = token.verify(imprint, authorities).unwrap_err();
        (error.code(), error.xroad_code())
    };
    let signature = ("timestamp.signature", "mlog.timestamp_signer_verification_failed");
    assert_eq!(check("valid", &imprint, &approved), signature);
    assert_eq!(check("invalid-signature", &imprint, &approved), signature);
    assert_eq!(check("valid", &other, &approved), ("timestamp.imprint", "malformed_signature"));
    let unknown = ("timestamp.unknown_authority", "mlog.tsp_certificate_not_found");
    assert_eq!(check("valid", &imprint, &others), unknown);
}

#[test]
fn the_response_of_an_authority_is_read() {
    let Some(response) = file("xroad/misc/tsp.response") else { return };
    let token = TimeStampToken::from_response(&response).unwrap();
    assert_eq!(token.time(), at("2014-05-06T08:28:49Z"));
    assert_eq!(token.imprint().algorithm(), DigestAlgorithm::Sha256);
}
