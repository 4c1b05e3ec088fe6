//! `uuk keys` from the shell's side, with a signer in this process in the place of a server.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use uuk_process::Clock;
use uuk_signer::{Control, Signer, SignerConfig, SignerDependencies};

/// A folder with a configuration, and a signer that holds its keys.
struct Desk {
    folder: TempDir,
    /// Its tasks end with it.
    _runtime: Runtime,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("uuk.toml"), "[signer]\n").unwrap();
        let mut config = SignerConfig::default();
        config.resolve(folder.path());
        let (_, configuration) = watch::channel(None);
        let server = "KG/GOV/1/ss1".parse().unwrap();
        let dependencies = SignerDependencies { server, clock: Clock::system(), configuration };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let signer = Signer::build(config, dependencies).unwrap();
        let control = runtime.block_on(async { Control::bind(signer) }).unwrap();
        runtime.spawn(control.run(CancellationToken::new()));
        Self { folder, _runtime: runtime }
    }

    fn uuk(&self, arguments: &[&str]) -> Output {
        self.uuk_with(arguments, "")
    }

    fn uuk_with(&self, arguments: &[&str], input: &str) -> Output {
        run(self.folder.path(), arguments, input)
    }

    fn login(&self, pin: &str) -> Output {
        self.uuk_with(&["keys", "login", "software", "--pin-stdin"], pin)
    }
}

fn run(folder: &Path, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uuk"));
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = streams.current_dir(folder).args(arguments).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn fails(output: &Output, exit_code: i32, code: &str) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(exit_code), "{said}");
    assert!(said.contains(&format!("error[{code}]")), "{said}");
}

#[test]
fn a_key_is_made_listed_and_destroyed() {
    let desk = Desk::new();
    let list = desk.uuk(&["keys", "list"]);
    assert!(text(&list.stdout).contains("new; choose its PIN"), "{}", text(&list.stdout));
    assert!(desk.login("1234\n").status.success());
    let made = desk.uuk(&["keys", "generate", "--for", "signing", "--label", "Renewed in autumn"]);
    let key = text(&made.stdout).trim().to_owned();
    assert_eq!(key.len(), 40, "{}", text(&made.stderr));
    let list = desk.uuk(&["keys", "list", "--json"]);
    let list: Value = serde_json::from_slice(&list.stdout).unwrap();
    assert_eq!(list["schema"], "uuk.cli/keys-list/v1");
    let listed = &list["tokens"][0]["keys"][0];
    assert_eq!((&listed["id"], &listed["label"]), (&Value::from(key.as_str()), &"Renewed in autumn".into()));
    assert!(desk.uuk(&["keys", "delete", &key.to_lowercase()[..8]]).status.success());
    fails(&desk.uuk(&["keys", "delete", &key]), 2, "keys.unknown_key");
}

#[test]
fn refuses_a_wrong_pin_and_never_shows_it() {
    let desk = Desk::new();
    assert!(desk.login("1234").status.success());
    assert!(desk.uuk(&["keys", "generate", "--for", "signing"]).status.success());
    let wrong = desk.login("secret");
    fails(&wrong, 1, "token.wrong_pin");
    assert!(!(text(&wrong.stderr) + &text(&wrong.stdout)).contains("secret"));
    fails(&desk.login(""), 2, "keys.no_pin");
    let nobody_to_ask = desk.uuk(&["keys", "login", "software"]);
    fails(&nobody_to_ask, 2, "keys.no_pin");
}

#[test]
fn says_what_the_server_refuses_and_what_to_do() {
    let desk = Desk::new();
    let locked = desk.uuk(&["keys", "generate", "--for", "authentication"]);
    fails(&locked, 1, "token.locked");
    assert!(text(&locked.stderr).contains("uuk keys login"));
    fails(&desk.uuk(&["keys", "activate", "0123456789abcdef"]), 2, "keys.unknown_certificate");
    fails(&desk.uuk(&["keys", "import", "none.pem"]), 5, "keys.file_unreadable");
    std::fs::write(desk.folder.path().join("none.pem"), "hello").unwrap();
    fails(&desk.uuk(&["keys", "import", "none.pem"]), 2, "certificate.not_pem");
}

#[test]
fn says_that_no_server_runs() {
    let folder = tempfile::tempdir().unwrap();
    fails(&run(folder.path(), &["keys", "list"], ""), 2, "config.invalid");
    std::fs::write(folder.path().join("uuk.toml"), "").unwrap();
    fails(&run(folder.path(), &["keys", "list"], ""), 5, "keys.unreachable");
}
