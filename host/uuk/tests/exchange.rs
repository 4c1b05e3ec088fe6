//! What `uuk serve --check` and `uuk doctor` say of an exchange before its server runs.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use uuk_pki::CertificateUse;
use uuk_process::Clock;
use uuk_signer::{KeyAlgorithm, Order, Signer, SignerConfig, SignerDependencies};
use uuk_testkit::network::Instance;
use uuk_testkit::ports;

/// A complete configuration for an exchange, which nothing has been downloaded for yet.
struct Site {
    folder: TempDir,
    /// Who would publish it.
    _instance: Instance,
}

impl Site {
    /// `exchange` are further lines of its section.
    async fn new(exchange: &str) -> Self {
        let instance = Instance::start("KG").await.unwrap();
        let site = Self { folder: tempfile::tempdir().unwrap(), _instance: instance.clone() };
        for folder in ["plugins", "grants"] {
            std::fs::create_dir(site.path(folder)).unwrap();
        }
        site.write("catalog.toml", "");
        site.write("clients.toml", "");
        site.write("trust.toml", "author_certificates = []\nvetting_certificates = []\n");
        site.write("anchor.xml", &instance.anchor().write());
        site.write("pin", "1234\n");
        let free = format!("127.0.0.1:{}", ports::reserve().unwrap());
        site.write(
            "uuk.toml",
            &format!(
                "[server]\nid = 'KG/GOV/70000001/ss1'\n[listener]\naddress = '127.0.0.1:0'\nauthentication = 'none'\n\
                 [operations]\naddress = '127.0.0.1:0'\n[exchange]\n{exchange}\n\
                 [exchange.listener]\naddress = '{free}'\n[exchange.certificate_answers]\naddress = '127.0.0.1:0'\n\
                 [exchange.global_configuration]\nanchor = 'anchor.xml'\n\
                 [signer.tokens.software]\npin_file = 'pin'\n\
                 [[message_log.time_stamping.authorities]]\nbase = 'http://127.0.0.1:1'\n"
            ),
        );
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn change(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path("uuk.toml")).unwrap();
        assert!(text.contains(from));
        self.write("uuk.toml", &text.replace(from, to));
    }

    /// Makes a key under the PIN that the file holds.
    async fn make_key(&self) {
        let mut config = SignerConfig::default();
        config.resolve(self.folder.path());
        let dependencies = SignerDependencies {
            server: "KG/GOV/70000001/ss1".parse().unwrap(),
            clock: Clock::system(),
            configuration: watch::channel(None).1,
        };
        let signer = Signer::build(config, dependencies).unwrap();
        let (token, usage) = ("software".to_owned(), CertificateUse::Signing);
        let pin = "1234".to_owned().try_into().unwrap();
        signer.order(Order::Login { token: token.clone(), pin }).await.unwrap();
        let (label, algorithm) = (String::new(), KeyAlgorithm::EcP256);
        signer.order(Order::Generate { token, label, usage, algorithm }).await.unwrap();
    }

    fn uuk(&self, arguments: &[&str]) -> Output {
        run(self.folder.path(), arguments)
    }

    /// Both find the same, and end as they do.
    #[track_caller]
    fn refused(&self, said: &[&str]) {
        for (arguments, exit_code, code) in
            [(["serve", "--check"].as_slice(), 1, "serve.check_failed"), (&["doctor"], 3, "doctor.failed")]
        {
            let output = self.uuk(arguments);
            let talk = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(exit_code), "{talk}");
            assert!(talk.contains(&format!("error[{code}]")), "{talk}");
            for said in said {
                assert!(talk.contains(said), "no `{said}` in:\n{talk}");
            }
        }
    }

    #[track_caller]
    fn accepted(&self) -> Value {
        let check = self.uuk(&["serve", "--check"]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let doctor = self.uuk(&["--json", "doctor"]);
        let found: Value = serde_json::from_slice(&doctor.stdout).unwrap();
        assert!(doctor.status.success(), "{found:#}");
        found
    }
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_uuk")).current_dir(folder).args(arguments).output().unwrap()
}

#[tokio::test]
async fn a_sound_exchange_is_found_fit() {
    let site = Site::new("").await;
    site.make_key().await;
    let found = site.accepted();
    let findings = found["findings"].as_array().unwrap();
    for what in [
        "address",
        "exchange.listener.address",
        "exchange.certificate_answers.address",
        "global configuration",
        "token",
        "message log",
    ] {
        let finding = findings.iter().find(|finding| finding["what"] == what).unwrap();
        assert_eq!(finding["state"], "ok", "{finding}");
    }
    assert!(!site.path("state").exists(), "nothing was changed");
}

#[tokio::test]
async fn refuses_a_pin_file_with_a_wrong_pin() {
    let site = Site::new("").await;
    site.make_key().await;
    site.write("pin", "4321\n");
    site.refused(&[
        "the PIN in pin does not open the token `software`",
        "uuk keys login software --pin-file 'pin'",
    ]);
}

#[tokio::test]
async fn refuses_a_pin_file_that_is_missing() {
    let site = Site::new("").await;
    std::fs::remove_file(site.path("pin")).unwrap();
    site.refused(&["`software`: cannot read pin", "uuk explain token.read"]);
}

#[tokio::test]
async fn refuses_an_anchor_that_is_missing_or_none() {
    let site = Site::new("").await;
    std::fs::remove_file(site.path("anchor.xml")).unwrap();
    site.refused(&[
        "cannot read the anchor `anchor.xml`",
        "uuk explain configuration_client.anchor_unreadable",
    ]);
    site.write("anchor.xml", "<anchor/>");
    site.refused(&["`anchor.xml` is no anchor", "uuk explain configuration_client.anchor_malformed"]);
}

#[tokio::test]
async fn refuses_an_exchange_without_time_stamping() {
    let site = Site::new("").await;
    site.change("[[message_log.time_stamping.authorities]]\nbase = 'http://127.0.0.1:1'\n", "");
    site.refused(&["no authority is configured: every message is refused"]);
}

#[tokio::test]
async fn refuses_certificate_profiles_that_are_missing_or_none() {
    let site = Site::new("certificate_profiles = 'profiles.toml'").await;
    site.refused(&[
        "cannot read the certificate profiles profiles.toml",
        "uuk explain exchange.profiles_unreadable",
    ]);
    site.write("profiles.toml", "[[profile]]\nname = 'ours'\nmember = [{ subject = { CN = '(' } }]\n");
    site.refused(&["certificate profile `ours`", "uuk explain certificate_profile.definition"]);
    site.write(
        "profiles.toml",
        "[[profile]]\nname = 'ours'\nmember = [{ class = 'GOV', subject = { CN = '(?<code>.+)' } }]\n",
    );
    site.accepted();
}

#[tokio::test]
async fn doctor_finds_a_database_that_cannot_be_read() {
    let site = Site::new("").await;
    site.change("[exchange]\n", "[message_log]\ndatabase = 'sqlite:uuk.toml'\n[exchange]\n");
    let output = site.uuk(&["doctor"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("uuk explain message_log."), "{talk}");
}

#[tokio::test]
async fn doctor_finds_a_port_that_another_program_has() {
    let site = Site::new("").await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    site.change(
        "[exchange.certificate_answers]\naddress = '127.0.0.1:0'",
        &format!("[exchange.certificate_answers]\naddress = '{taken}'"),
    );
    let output = site.uuk(&["doctor"]);
    let talk = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    for said in [format!("cannot listen on {taken}"), format!("end what uses {taken}")] {
        assert!(talk.contains(&said), "no `{said}` in:\n{talk}");
    }
}
