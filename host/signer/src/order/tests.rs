use std::path::Path;

use uuk_pki::{CertificateUse, PublicKey};

use super::*;
use crate::control::{Control, ControlError};
use crate::sample::{World, digests, generate, login, member, server};
use crate::software::SoftwareToken;

async fn refused(signer: &Signer, order: Order) -> &'static str {
    signer.order(order).await.unwrap_err().code()
}

fn request(key: &KeyId, member: Option<MemberId>, authority: Option<&str>) -> Order {
    let authority = authority.map(str::to_owned);
    Order::Request { key: key.clone(), member, authority, fields: BTreeMap::new() }
}

async fn signing_key(signer: &Signer) -> KeyId {
    generate(signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await
}

/// A world, a signer whose token is open, and its folder.
async fn site() -> (World, Signer, tempfile::TempDir) {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    (world, signer, folder)
}

#[tokio::test]
async fn openssl_accepts_requests_for_every_kind_of_key() {
    let (_world, signer, _folder) = site().await;
    for (usage, algorithm, expected) in [
        (CertificateUse::Signing, KeyAlgorithm::EcP256, "C=KG, O=GOV, CN=2"),
        (CertificateUse::Signing, KeyAlgorithm::Rsa2048, "C=KG, O=GOV, CN=2"),
        (CertificateUse::Authentication, KeyAlgorithm::Rsa3072, "C=KG, CN=ss1"),
    ] {
        let key = generate(&signer, "software", usage, algorithm).await;
        let order = request(&key, Some(member("2")), Some("Authority"));
        let Outcome::Requested { request } = signer.order(order).await.unwrap() else { panic!() };
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("request.der"), request).unwrap();
        let arguments =
            "req -in request.der -inform DER -verify -noout -subject -nameopt sep_comma_plus_space";
        let Some(outcome) = uuk_testkit::openssl::run(folder.path(), arguments).unwrap() else { return };
        assert!(outcome.success && outcome.said.contains(expected), "{}", outcome.said);
    }
}

#[tokio::test]
async fn openssl_reads_key_files_with_the_pin() {
    let (_world, signer, folder) = site().await;
    let key = signing_key(&signer).await;
    let file = folder.path().join("tokens/software").join(format!("{key}.pem"));
    let arguments = |pin: &str| format!("pkey -in {} -passin pass:{pin} -noout", file.display());
    let Some(right) = uuk_testkit::openssl::run(Path::new("/"), &arguments("1234")).unwrap() else { return };
    assert!(right.success, "{}", right.said);
    assert!(!uuk_testkit::openssl::run(Path::new("/"), &arguments("4321")).unwrap().unwrap().success);
}

#[tokio::test]
async fn lists_what_is_there_and_what_is_wrong_with_it() {
    let (world, signer, _folder) = site().await;
    let certificate = world.enrol(&signer, "software", &member("1"), KeyAlgorithm::EcP256).await;
    let list = async || match signer.order(Order::List).await.unwrap() {
        Outcome::Tokens { tokens } => tokens[0].keys[0].certificates[0].clone(),
        other => panic!("{other:?}"),
    };
    let listed = list().await;
    assert_eq!((listed.sha256, listed.member, listed.active), (certificate, Some(member("1")), true));
    assert_eq!(listed.status, CertificateStatus::Registered);
    assert!(listed.problem.is_none());
    signer.order(Order::Deactivate { certificate }).await.unwrap();
    assert_eq!(list().await.problem.unwrap().code, "signer.inactive");
}

#[tokio::test]
async fn notes_how_far_a_registration_is() {
    let (world, signer, _folder) = site().await;
    let certificate = world.enrol(&signer, "software", &member("1"), KeyAlgorithm::EcP256).await;
    signer.note_status(certificate, CertificateStatus::DeletionInProgress).await.unwrap();
    let error = signer.sign(&member("1"), digests(&["message"])).await.unwrap_err();
    assert_eq!(error.code(), "signer.not_registered");
}

#[tokio::test]
async fn refuses_what_it_does_not_know() {
    let (_world, signer, _folder) = site().await;
    let unknown: KeyId = "0000000000000000000000000000000000000000".parse().unwrap();
    let certificate = Sha256([0; 32]);
    assert_eq!(refused(&signer, request(&unknown, None, None)).await, "keys.unknown_key");
    assert_eq!(refused(&signer, Order::DeleteKey { key: unknown }).await, "keys.unknown_key");
    for order in [
        Order::Activate { certificate },
        Order::Deactivate { certificate },
        Order::DeleteCertificate { certificate },
    ] {
        assert_eq!(refused(&signer, order).await, "keys.unknown_certificate");
    }
    let order = Order::Login { token: "other".into(), pin: crate::sample::pin("1") };
    assert_eq!(refused(&signer, order).await, "keys.unknown_token");
}

#[tokio::test]
async fn refuses_keys_in_a_locked_token() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    let order = Order::Generate {
        token: "software".into(),
        label: String::new(),
        usage: CertificateUse::Signing,
        algorithm: KeyAlgorithm::EcP256,
    };
    assert_eq!(refused(&signer, order).await, "token.locked");
}

#[tokio::test]
async fn refuses_requests_that_lack_something() {
    let (world, signer, _folder) = site().await;
    let key = signing_key(&signer).await;
    assert_eq!(refused(&signer, request(&key, None, None)).await, "keys.member_missing");
    assert_eq!(refused(&signer, request(&key, Some(member("3")), None)).await, "keys.unknown_member");
    let other = request(&key, Some(member("1")), Some("Other"));
    assert_eq!(refused(&signer, other).await, "keys.authority");
    world.withdraw_configuration();
    let order = request(&key, Some(member("1")), None);
    assert_eq!(refused(&signer, order).await, "keys.no_global_configuration");
}

#[tokio::test]
async fn refuses_certificates_that_are_none() {
    let (_world, signer, _folder) = site().await;
    let order = Order::Import { certificate: b"hello".to_vec() };
    assert_eq!(refused(&signer, order).await, "certificate.malformed");
}

#[tokio::test]
async fn refuses_a_certificate_twice() {
    let (world, signer, _folder) = site().await;
    let key = signing_key(&signer).await;
    let certificate = world.issue_to(&signer, &key, CertificateUse::Signing, &member("1"));
    let import = || Order::Import { certificate: certificate.der().to_vec() };
    signer.order(import()).await.unwrap();
    assert_eq!(refused(&signer, import()).await, "keys.already_there");
}

#[tokio::test]
async fn refuses_the_certificate_of_a_key_that_is_elsewhere() {
    let (world, signer, _folder) = site().await;
    let (_world, other, _other_folder) = site().await;
    let key = signing_key(&other).await;
    let certificate = world.issue_to(&other, &key, CertificateUse::Signing, &member("1"));
    let order = Order::Import { certificate: certificate.der().to_vec() };
    assert_eq!(refused(&signer, order).await, "keys.no_key");
}

#[tokio::test]
async fn refuses_a_certificate_of_an_authority_that_is_not_approved() {
    let (_world, signer, _folder) = site().await;
    let key = signing_key(&signer).await;
    // Its authorities have the same names and other keys.
    let certificate = World::new().issue_to(&signer, &key, CertificateUse::Signing, &member("1"));
    let order = Order::Import { certificate: certificate.der().to_vec() };
    assert_eq!(refused(&signer, order).await, "certificate_path.broken");
}

#[tokio::test]
async fn refuses_a_certificate_for_something_else_than_its_key() {
    let (world, signer, _folder) = site().await;
    let key = signing_key(&signer).await;
    let certificate = world.issue_to(&signer, &key, CertificateUse::Authentication, &server().owner);
    let order = Order::Import { certificate: certificate.der().to_vec() };
    assert_eq!(refused(&signer, order).await, "certificate_path.not_for_signing");
}

#[tokio::test]
async fn refuses_the_signing_certificate_of_someone_who_is_no_member() {
    let (world, signer, _folder) = site().await;
    let key = signing_key(&signer).await;
    let certificate = world.issue_to(&signer, &key, CertificateUse::Signing, &member("3"));
    let order = Order::Import { certificate: certificate.der().to_vec() };
    assert_eq!(refused(&signer, order).await, "keys.unknown_member");
}

#[tokio::test]
async fn deletes_nothing_that_is_active() {
    let (world, signer, folder) = site().await;
    let key = signing_key(&signer).await;
    let issued = world.issue_to(&signer, &key, CertificateUse::Signing, &member("1"));
    let certificate = world.take_into_use(&signer, &issued).await;
    assert_eq!(refused(&signer, Order::DeleteCertificate { certificate }).await, "keys.active");
    assert_eq!(refused(&signer, Order::DeleteKey { key: key.clone() }).await, "keys.active");
    signer.order(Order::Deactivate { certificate }).await.unwrap();
    signer.order(Order::DeleteCertificate { certificate }).await.unwrap();
    let file = folder.path().join("tokens/software").join(format!("{key}.pem"));
    assert!(file.exists());
    signer.order(Order::DeleteKey { key }).await.unwrap();
    assert!(!file.exists());
}

#[test]
fn a_key_that_cannot_be_kept_is_not_made() {
    use crate::device::Device;
    let folder = tempfile::tempdir().unwrap();
    let token = SoftwareToken::new("software", &folder.path().join("gone"));
    token.open(&crate::sample::pin("1234"), &[]).unwrap();
    let id = KeyId::random().unwrap();
    let error = token.generate(&id, KeyAlgorithm::EcP256).unwrap_err();
    assert_eq!(error.code(), "token.write");
    let record = KeyRecord::new(
        id,
        String::new(),
        CertificateUse::Signing,
        KeyAlgorithm::EcP256,
        &PublicKey::EcP256(Vec::new()),
    );
    assert!(token.key(&record).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_come_through_the_socket() {
    use std::os::unix::fs::PermissionsExt;
    use tokio_util::sync::CancellationToken;

    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    let (control, stop) = (Control::bind(signer).unwrap(), CancellationToken::new());
    let mode = std::fs::metadata(folder.path().join("control.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let running = tokio::spawn(control.run(stop.clone()));
    let path = folder.path().to_owned();
    let asked = tokio::task::spawn_blocking(move || {
        let login = Order::Login { token: "software".into(), pin: crate::sample::pin("1234") };
        assert!(matches!(Control::ask(&path, &login), Ok(Outcome::Done)));
        let Ok(Outcome::Tokens { tokens }) = Control::ask(&path, &Order::List) else { panic!() };
        assert!(tokens[0].open);
        let error = Control::ask(&path, &Order::Activate { certificate: Sha256([0; 32]) }).unwrap_err();
        assert_eq!(error.code(), "keys.unknown_certificate");
        path
    });
    let path = asked.await.unwrap();
    stop.cancel();
    running.await.unwrap();
    assert!(matches!(Control::ask(&path, &Order::List), Err(ControlError::Unreachable { .. })));
}
