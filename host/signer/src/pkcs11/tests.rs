//! Against SoftHSM. It reads where its tokens are when it starts, once per process, so that each test runs again in a
//! process of its own.

use std::fs;
use std::process::Command;

use tokio::runtime::Builder;
use uuk_asic::{MessagePart, PartContent, verify_message};
use uuk_pki::CertificateUse;

use super::*;
use crate::config::TokenConfig;
use crate::inspection::inspect;
use crate::order::{Order, Outcome};
use crate::sample::{World, digests, generate, member, pin};
use crate::signer::Signer;

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LABEL: &str = "uuk";
/// Where the test's own process finds the folder of SoftHSM's tokens.
const FOLDER: &str = "UUK_TEST_SOFTHSM";

/// A device in a folder.
struct SoftHsm {
    tokens: PathBuf,
}

impl SoftHsm {
    fn pull_out(&self) {
        fs::rename(&self.tokens, self.tokens.with_extension("away")).unwrap();
    }

    fn put_in(&self) {
        fs::rename(self.tokens.with_extension("away"), &self.tokens).unwrap();
    }
}

/// Runs the rest of the calling test with a new device, whose PIN is 1234.
fn with_softhsm<F: Future<Output = ()>>(test: impl FnOnce(SoftHsm) -> F) {
    if let Some(tokens) = std::env::var_os(FOLDER) {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        return runtime.block_on(test(SoftHsm { tokens: tokens.into() }));
    }
    if !Path::new(MODULE).exists() {
        return uuk_testkit::fixtures::skip("SoftHSM is not installed");
    }
    let folder = tempfile::tempdir().unwrap();
    let (tokens, config) = (folder.path().join("tokens"), folder.path().join("softhsm2.conf"));
    fs::create_dir(&tokens).unwrap();
    let text = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
    fs::write(&config, text).unwrap();
    let run = |command: &mut Command| {
        let output = command.env("SOFTHSM2_CONF", &config).env(FOLDER, &tokens).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{}", said.concat());
    };
    let arguments = ["--init-token", "--free", "--label", LABEL, "--so-pin", "87654321", "--pin", "1234"];
    run(Command::new("softhsm2-util").args(arguments));
    let name = std::thread::current().name().unwrap().to_owned();
    run(Command::new(std::env::current_exe().unwrap()).args(["--exact", &name, "--nocapture"]));
}

fn device() -> TokenConfig {
    let pkcs11 = Pkcs11Config { module: MODULE.into(), label: LABEL.into() };
    TokenConfig { pkcs11: Some(pkcs11), ..TokenConfig::default() }
}

/// A signer whose token `software` is the device, opened.
async fn signer(world: &World, folder: &Path) -> Signer {
    let signer = world.signer_with(folder, device());
    crate::sample::login(&signer).await;
    signer
}

async fn sign_and_verify(world: &World, signer: &Signer) {
    let parts = digests(&["message", "attachment"]);
    let documents = signer.sign(&member("1"), parts.clone()).await.unwrap();
    let [message, attachment] = parts.as_slice() else { panic!() };
    let parts = [
        MessagePart::message(PartContent::Digest(message)),
        MessagePart::attachment(1, PartContent::Digest(attachment)),
    ];
    let (configuration, now) = (world.configuration(), world.clock.now());
    let authorities = configuration.instance("KG", now).unwrap().authorities();
    verify_message(&documents, &parts, &member("1"), authorities, now).unwrap();
}

#[test]
fn keys_made_in_the_device_sign_messages_that_peers_accept() {
    with_softhsm(async |_device| {
        for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
            let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
            let signer = signer(&world, folder.path()).await;
            world.enrol(&signer, "software", &member("1"), algorithm).await;
            sign_and_verify(&world, &signer).await;
        }
    });
}

#[test]
fn a_key_is_found_in_the_device_by_its_certificate() {
    with_softhsm(async |_device| {
        for algorithm in [KeyAlgorithm::EcP256, KeyAlgorithm::Rsa2048] {
            let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
            let signer = signer(&world, folder.path()).await;
            world.enrol(&signer, "software", &member("1"), algorithm).await;
            let documents = signer.sign(&member("1"), digests(&["message"])).await.unwrap();
            let configuration = world.configuration();
            let authorities = configuration.instance("KG", world.clock.now()).unwrap().authorities();
            let [message] = digests(&["message"]).try_into().unwrap();
            let parts = [MessagePart::message(PartContent::Digest(&message))];
            let now = world.clock.now();
            let verified = verify_message(&documents, &parts, &member("1"), authorities, now).unwrap();
            let certificate = verified.certificate();

            let pin_file = folder.path().join("pin");
            fs::write(&pin_file, "1234\n").unwrap();
            let config = device().pkcs11.unwrap();
            let key = crate::open_device_key(&config, &pin_file, certificate).unwrap();
            let digest = DigestAlgorithm::Sha512.digest(b"bundle");
            let signature = key.sign_digest(&digest).unwrap();
            certificate.public_key().unwrap().verify(key.scheme(), &digest, &signature).unwrap();
        }
    });
}

#[test]
fn a_private_key_cannot_leave_the_device() {
    with_softhsm(async |_device| {
        let mut modules = Modules::default();
        let token = Pkcs11Token::new("hsm", &device().pkcs11.unwrap(), &mut modules).unwrap();
        token.open(&pin("1234"), &[]).unwrap();
        let id = KeyId::random().unwrap();
        token.generate(&id, KeyAlgorithm::EcP256).unwrap();
        let kinds = [
            AttributeType::Token,
            AttributeType::Private,
            AttributeType::Sensitive,
            AttributeType::Extractable,
            AttributeType::Sign,
            AttributeType::Decrypt,
        ];
        let found = token.0.call(|open| {
            let key = open.private_key(&id)?;
            let secret = open.session.get_attributes(key, &[AttributeType::Value])?;
            Ok((open.session.get_attributes(key, &kinds)?, secret))
        });
        let (attributes, secret) = found.unwrap();
        let expected = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Decrypt(false),
        ];
        assert_eq!(attributes, expected);
        assert!(secret.is_empty(), "its value is not readable");
        assert!(token.private_key(&id).is_none());

        token.destroy(&id).unwrap();
        let left = token.0.call(|open| open.session.find_objects(&[Attribute::Id(id.bytes())])).unwrap();
        assert!(left.is_empty());
    });
}

#[test]
fn a_token_that_was_pulled_out_signs_again_once_it_is_back() {
    with_softhsm(async |device| {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = signer(&world, folder.path()).await;
        world.enrol(&signer, "software", &member("1"), KeyAlgorithm::EcP256).await;
        sign_and_verify(&world, &signer).await;
        device.pull_out();
        let error = signer.sign(&member("1"), digests(&["message"])).await.unwrap_err();
        assert_eq!(error.code(), "signer.signature");
        device.put_in();
        // The module is not restarted at every attempt.
        let started = Instant::now();
        while signer.sign(&member("1"), digests(&["message"])).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "it does not come back");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sign_and_verify(&world, &signer).await;
    });
}

#[test]
fn a_token_that_is_away_at_the_start_is_opened_when_it_comes() {
    with_softhsm(async |device| {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let keys = folder.path().join("keys");
        let signer_before = signer(&world, &keys).await;
        world.enrol(&signer_before, "software", &member("1"), KeyAlgorithm::EcP256).await;
        drop(signer_before);

        let pin_file = folder.path().join("pin");
        fs::write(&pin_file, "1234").unwrap();
        device.pull_out();
        let token = TokenConfig { pin_file: Some(pin_file), ..self::device() };
        let signer = world.signer_with(&keys, token);
        let error = signer.sign(&member("1"), digests(&["message"])).await.unwrap_err();
        assert_eq!(error.code(), "token.locked");
        device.put_in();
        let started = Instant::now();
        while signer.sign(&member("1"), digests(&["message"])).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(60), "it is not opened");
            signer.look().await;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        sign_and_verify(&world, &signer).await;
    });
}

#[test]
fn refuses_a_wrong_pin_and_forgets_it() {
    with_softhsm(async |_device| {
        let mut modules = Modules::default();
        let token = Pkcs11Token::new("hsm", &device().pkcs11.unwrap(), &mut modules).unwrap();
        let error = token.open(&pin("4321"), &[]).unwrap_err();
        assert_eq!(error.code(), "token.wrong_pin");
        assert!(!token.is_open());
        let error = token.generate(&KeyId::random().unwrap(), KeyAlgorithm::EcP256).unwrap_err();
        assert_eq!(error.code(), "token.locked");
        token.open(&pin("1234"), &[]).unwrap();
    });
}

/// A supervisor starts the server again and again, and a device blocks itself after a few wrong PINs.
#[test]
fn a_pin_file_that_was_refused_is_not_tried_again_after_a_restart() {
    with_softhsm(async |_device| {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let pin_file = folder.path().join("pin");
        let config =
            world.config_with(folder.path(), TokenConfig { pin_file: Some(pin_file.clone()), ..device() });
        let start = async || {
            let signer = Signer::build(config.clone(), world.dependencies()).unwrap();
            let Outcome::Tokens { tokens } = signer.order(Order::List).await.unwrap() else { panic!() };
            let code = tokens[0].problem.as_ref().map(|problem| problem.code.clone());
            assert_eq!(inspect(&config)[0].problem.as_ref().map(|problem| problem.code.clone()), code);
            code
        };
        let token = Pkcs11Token::new("hsm", &device().pkcs11.unwrap(), &mut Modules::default()).unwrap();
        let has_counted = || token.0.info().unwrap().user_pin_count_low();

        fs::write(&pin_file, "4321").unwrap();
        assert_eq!(start().await.as_deref(), Some("token.pin_file_refused"));
        assert!(has_counted());
        token.open(&pin("1234"), &[]).unwrap();
        token.close();
        assert!(!has_counted(), "a login makes the device forget");
        assert_eq!(start().await.as_deref(), Some("token.pin_file_refused"));
        assert!(!has_counted(), "the device was not asked");

        fs::write(&pin_file, "1234").unwrap();
        assert_eq!(start().await, None);
        fs::write(&pin_file, "4321").unwrap();
        assert_eq!(start().await.as_deref(), Some("token.pin_file_refused"));
        assert!(has_counted(), "after another PIN it was tried again");
    });
}

#[test]
fn refuses_a_label_that_no_token_has() {
    with_softhsm(async |_device| {
        let config = Pkcs11Config { module: MODULE.into(), label: "other".into() };
        let token = Pkcs11Token::new("hsm", &config, &mut Modules::default()).unwrap();
        assert_eq!(token.open(&pin("1234"), &[]).unwrap_err().code(), "token.no_device");
    });
}

#[test]
fn refuses_a_module_that_is_none() {
    let config = Pkcs11Config { module: "/nowhere/module.so".into(), label: LABEL.into() };
    let Err(error) = Pkcs11Token::new("hsm", &config, &mut Modules::default()) else { panic!("loaded") };
    assert_eq!(error.code(), "token.device");
}

#[test]
fn refuses_authentication_keys_in_the_device() {
    with_softhsm(async |_device| {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let signer = signer(&world, folder.path()).await;
        let order = Order::Generate {
            token: "software".into(),
            label: String::new(),
            usage: CertificateUse::Authentication,
            algorithm: KeyAlgorithm::EcP256,
        };
        assert_eq!(signer.order(order).await.unwrap_err().code(), "keys.authentication_in_device");
        let key = generate(&signer, "software", CertificateUse::Signing, KeyAlgorithm::EcP256).await;
        signer.order(Order::DeleteKey { key }).await.unwrap();
        let Outcome::Tokens { tokens } = signer.order(Order::List).await.unwrap() else { panic!() };
        assert!(tokens[0].keys.is_empty());
    });
}
