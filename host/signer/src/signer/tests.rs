//! Which keys sign when.

use uuk_asic::SignatureDocuments;
use uuk_pki::{CertificateStatus as Status, CertificateUse, Sha256};

use super::*;
use crate::inspection::inspect;
use crate::order::{Order, Outcome, TokenSummary};
use crate::sample::{FRESHNESS, World, digests, generate, login, member, pin, server};
use crate::token::KeyAlgorithm;

const MEMBER: &str = "1";

fn verify(world: &World, documents: &SignatureDocuments, parts: &[&str]) -> Sha256 {
    world.verify(&member(MEMBER), documents, parts)
}

async fn refusal(signer: &Signer) -> &'static str {
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap_err().code()
}

#[tokio::test]
async fn signs_messages_that_peers_accept() {
    for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = world.signer(folder.path());
        login(&signer).await;
        let certificate = world.enrol(&signer, "software", &member(MEMBER), algorithm).await;
        for parts in [&["message"][..], &["message", "attachment", "another"]] {
            let documents = signer.sign(&member(MEMBER), digests(parts)).await.unwrap();
            assert_eq!(documents.hash_chain.is_some(), parts.len() > 1);
            assert_eq!(verify(&world, &documents, parts), certificate, "{algorithm}");
        }
    }
}

#[tokio::test]
async fn a_restarted_server_signs_once_its_token_is_open() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    drop(signer);

    let signer = world.signer(folder.path());
    assert_eq!(refusal(&signer).await, "token.locked");
    login(&signer).await;
    let documents = signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    verify(&world, &documents, &["message"]);
}

#[tokio::test]
async fn a_pin_file_opens_the_token_at_the_start() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let pin_file = folder.path().join("pin");
    std::fs::write(&pin_file, "1234\n").unwrap();
    let token = TokenConfig { pin_file: Some(pin_file.clone()), ..TokenConfig::default() };
    let keys = folder.path().join("keys");
    let signer = world.signer_with(&keys, token.clone());
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    drop(signer);
    let signer = world.signer_with(&keys, token.clone());
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    drop(signer);

    std::fs::write(&pin_file, "4321").unwrap();
    let config = world.config_with(&keys, token.clone());
    assert_eq!(closed_because(&inspect(&config)), "token.pin_file_refused");
    let signer = world.signer_with(&keys, token);
    assert_eq!(refusal(&signer).await, "token.locked");
    assert_eq!(closed_because(&tokens(&signer).await), "token.pin_file_refused");
    login(&signer).await;
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    assert!(tokens(&signer).await[0].problem.is_none());
}

async fn tokens(signer: &Signer) -> Vec<TokenSummary> {
    let Outcome::Tokens { tokens } = signer.order(Order::List).await.unwrap() else { panic!() };
    tokens
}

fn closed_because(tokens: &[TokenSummary]) -> String {
    let [token] = tokens else { panic!("{tokens:?}") };
    assert!(!token.open);
    token.problem.as_ref().unwrap().code.clone()
}

#[tokio::test]
async fn refuses_a_pin_file_without_a_pin() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let token = TokenConfig { pin_file: Some(folder.path().join("pin")), ..TokenConfig::default() };
    let config = world.config_with(folder.path(), token);
    let Err(error) = Signer::build(config.clone(), world.dependencies()) else { panic!("opened") };
    assert_eq!(error.code(), "token.read");
    assert_eq!(closed_because(&inspect(&config)), "token.read");
}

#[tokio::test]
async fn refuses_a_second_server_on_the_same_keys() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let _signer = world.signer(folder.path());
    let config = SignerConfig { folder: folder.path().to_owned(), ..SignerConfig::default() };
    let Err(error) = Signer::build(config, world.dependencies()) else { panic!("opened") };
    assert_eq!(error.code(), "token.in_use");
}

#[tokio::test]
async fn refuses_members_without_certificates() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    let error = signer.sign(&member("2"), digests(&["message"])).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("signer.no_certificate", "signer.unknown_member"));
}

#[tokio::test]
async fn refuses_messages_that_would_spoil_a_shared_signature() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    for parts in [Vec::new(), vec![DigestAlgorithm::Sha256.digest(b"message")]] {
        let error = signer.sign(&member(MEMBER), parts).await.unwrap_err();
        assert_eq!(error.code(), "signer.signature");
    }
}

#[tokio::test]
async fn refuses_what_the_operator_deactivated() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let certificate = world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    signer.order(Order::Deactivate { certificate }).await.unwrap();
    let error = signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap_err();
    assert_eq!((error.code(), error.xroad_code()), ("signer.inactive", "signer.internal_error"));
}

#[tokio::test]
async fn refuses_without_a_global_configuration() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    world.withdraw_configuration();
    signer.look().await;
    assert_eq!(refusal(&signer).await, "signer.no_global_configuration");
}

#[tokio::test]
async fn refuses_a_certificate_whose_ocsp_answer_is_stale() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    world.clock.advance(FRESHNESS);
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(refusal(&signer).await, "signer.lapsed", "before anyone looked again");
    signer.look().await;
    assert_eq!(refusal(&signer).await, "ocsp.stale");
}

#[tokio::test]
async fn refuses_a_revoked_certificate_even_if_an_older_answer_comes_again() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let key = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    let certificate = world.issue_to(&signer, &key, CertificateUse::Signing, &member(MEMBER));
    world.take_into_use(&signer, &certificate).await;
    let good = world.answer(&certificate, Status::Good);
    world.clock.advance(Duration::from_secs(60));
    world.say(&signer, &certificate, Status::Revoked { time: world.clock.now() });
    signer.shared.answers.keep(&certificate, good);
    signer.look().await;
    assert_eq!(refusal(&signer).await, "ocsp.revoked");
}

#[tokio::test]
async fn refuses_a_certificate_that_has_expired() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    world.clock.advance(Duration::from_secs(366 * 86_400));
    signer.look().await;
    assert_eq!(refusal(&signer).await, "certificate_path.expired");
}

#[tokio::test]
async fn a_renewed_certificate_takes_over_once_it_is_good() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let old = world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    let signed_by = async || {
        let documents = signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
        verify(&world, &documents, &["message"])
    };

    world.clock.advance(Duration::from_secs(1));
    let key = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    let renewed = world.issue_to(&signer, &key, CertificateUse::Signing, &member(MEMBER));
    let new = Sha256::of(renewed.der());
    signer.order(Order::Import { certificate: renewed.der().to_vec() }).await.unwrap();
    assert_eq!(signed_by().await, old, "not active");
    signer.order(Order::Activate { certificate: new }).await.unwrap();
    assert_eq!(signed_by().await, old, "not known to be good");
    world.say_good(&signer, &renewed);
    signer.look().await;
    assert_eq!(signed_by().await, new);
    signer.order(Order::Deactivate { certificate: old }).await.unwrap();
    assert_eq!(signed_by().await, new);
    signer.order(Order::Activate { certificate: old }).await.unwrap();
    signer.order(Order::Deactivate { certificate: new }).await.unwrap();
    assert_eq!(signed_by().await, old, "back");
}

#[tokio::test]
async fn no_message_is_lost_while_certificates_change() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let old = world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    let signing = tokio::spawn({
        let signer = signer.clone();
        async move {
            let mut signed = Vec::new();
            for number in 0..200 {
                let text = format!("message {number}");
                signed.push((signer.sign(&member(MEMBER), digests(&[&text])).await.unwrap(), text));
                tokio::task::yield_now().await;
            }
            signed
        }
    });
    world.clock.advance(Duration::from_secs(1));
    let new = world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    signer.order(Order::Deactivate { certificate: old }).await.unwrap();
    for (documents, text) in signing.await.unwrap() {
        assert!([old, new].contains(&verify(&world, &documents, &[&text])));
    }
}

#[tokio::test]
async fn the_registered_authentication_certificate_proves_this_server() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let mut authentication = signer.authentication();
    let key = generate(&signer, "software", CertificateUse::Authentication, KeyAlgorithm::EcP256).await;
    let certificate = world.issue_to(&signer, &key, CertificateUse::Authentication, &server().owner);
    world.take_into_use(&signer, &certificate).await;
    assert!(authentication.borrow_and_update().is_none(), "not registered");

    world.register(&certificate);
    signer.look().await;
    assert!(authentication.has_changed().unwrap());
    let identity = authentication.borrow_and_update().clone().unwrap();
    assert_eq!(identity.certificate, certificate);
    assert_eq!(identity.intermediates.len(), 1, "the lower authority, and not the root");
    assert_eq!(identity.ocsp_answers.len(), 2);
    assert!(uuk_pki::SoftwareKey::from_pkcs8(identity.key.expose()).is_ok());
    for (certificate, answer) in
        [&certificate].into_iter().chain(&identity.intermediates).zip(&identity.ocsp_answers)
    {
        assert_eq!(signer.ocsp_answer(&ocsp::sha1(certificate)).as_ref(), Some(answer));
    }

    signer.look().await;
    assert!(!authentication.has_changed().unwrap(), "nothing has changed");
    world.clock.advance(FRESHNESS + Duration::from_secs(1));
    assert_eq!(signer.ocsp_answer(&ocsp::sha1(&certificate)), None, "stale");
    signer.look().await;
    assert!(authentication.borrow_and_update().is_none(), "stale");

    world.say_good(&signer, &certificate);
    signer.look().await;
    assert!(authentication.borrow_and_update().is_some());
    world.unregister_all();
    signer.look().await;
    assert!(authentication.borrow_and_update().is_none(), "unregistered");
    let status = signer.shared.tokens["software"].record().keys[0].certificates[0].status;
    assert_eq!(status, CertificateStatus::GlobalError);
}

#[tokio::test]
async fn refuses_a_wrong_pin_and_keeps_what_is_open() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    let wrong = Order::Login { token: "software".into(), pin: pin("4321") };
    assert_eq!(signer.order(wrong).await.unwrap_err().code(), "token.wrong_pin");
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
}

#[tokio::test]
async fn one_damaged_key_does_not_keep_the_others_from_signing() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    let damaged = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    drop(signer);
    std::fs::write(folder.path().join(format!("tokens/software/{damaged}.pem")), "damaged").unwrap();
    let signer = world.signer(folder.path());
    login(&signer).await;
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    let request = Order::Request {
        key: damaged,
        member: Some(member(MEMBER)),
        authority: None,
        fields: BTreeMap::new(),
    };
    assert_eq!(signer.order(request).await.unwrap_err().code(), "token.key_missing");
}

#[tokio::test]
async fn a_key_file_in_the_place_of_another_does_not_sign() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    let signing = async || generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
    let (id, other) = (signing().await, signing().await);
    let certificate = world.issue_to(&signer, &id, CertificateUse::Signing, &member(MEMBER));
    world.take_into_use(&signer, &certificate).await;
    drop(signer);
    let file = |id| folder.path().join(format!("tokens/software/{id}.pem"));
    std::fs::copy(file(other), file(id)).unwrap();
    let signer = world.signer(folder.path());
    login(&signer).await;
    let refused = signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap_err();
    assert_eq!(refused.code(), "token.key_missing");
}

#[tokio::test]
async fn a_crash_while_writing_leaves_what_was_known() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let signer = world.signer(folder.path());
    login(&signer).await;
    world.enrol(&signer, "software", &member(MEMBER), KeyAlgorithm::EcP256).await;
    drop(signer);
    // What is there after a crash: half of the next record beside the last one, and a key that none knows of.
    let token = folder.path().join("tokens/software");
    std::fs::write(token.join("token.part"), "{\"keys\":[{\"id\"").unwrap();
    std::fs::write(token.join("0000000000000000000000000000000000000000.pem"), "half").unwrap();
    let signer = world.signer(folder.path());
    login(&signer).await;
    signer.sign(&member(MEMBER), digests(&["message"])).await.unwrap();
    let Outcome::Tokens { tokens } = signer.order(Order::List).await.unwrap() else { panic!() };
    assert_eq!(tokens[0].keys.len(), 1);
}

#[tokio::test]
async fn refuses_a_damaged_record_rather_than_forget_keys() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(folder.path().join("tokens/software")).unwrap();
    std::fs::write(folder.path().join("tokens/software/token.json"), "{}").unwrap();
    let config = SignerConfig { folder: folder.path().to_owned(), ..SignerConfig::default() };
    let Err(error) = Signer::build(config, world.dependencies()) else { panic!("opened") };
    assert_eq!(error.code(), "token.damaged");
}
