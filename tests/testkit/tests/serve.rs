//! `uuk-network serve` writes what members are given, answers, and ends when it is told.

#![expect(clippy::unwrap_used, reason = "what a test's helpers cannot do, the test reports")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use uuk_globalconf::Anchor;
use uuk_pki::{Certificate, SoftwareKey};

const PLAN: &str = r#"
instance = "KG"
keys = "rsa-2048"
profile = "Ejbca"
intermediate = true

[[server]]
id = "GOV/70000001/SS1"
address = "127.0.0.1"
clients = ["GOV/70000001/registry", "COM/5"]

[[group]]
code = "all"
members = ["GOV/70000001/registry"]
"#;

fn serve(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_uuk-network"));
    command.arg("serve").arg(folder).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_for(file: &Path) {
    let begun = Instant::now();
    while !file.exists() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} does not appear", file.display());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn serves_until_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("network.toml"), PLAN).unwrap();
    let network = serve(folder.path());
    wait_for(&folder.path().join("anchor.xml"));
    let anchor = Anchor::read(&fs::read(folder.path().join("anchor.xml")).unwrap()).unwrap();
    assert_eq!(anchor.instance, "KG");
    let server = folder.path().join("servers/GOV-70000001-SS1");
    for (name, subject) in
        [("authentication", "CN=SS1"), ("signing-GOV-70000001", "CN=70000001"), ("signing-COM-5", "CN=5")]
    {
        let chain = fs::read(server.join(format!("{name}.pem"))).unwrap();
        let chain = Certificate::chain_from_pem(&chain).unwrap();
        assert_eq!(chain.len(), 2, "with the intermediate authority");
        assert!(chain[0].subject().contains(subject), "{}", chain[0].subject());
        assert!(chain[0].is_issued_by(&chain[1]));
        let key = pkcs8::SecretDocument::read_pem_file(server.join(format!("{name}.key"))).unwrap().1;
        SoftwareKey::from_pkcs8(key.as_bytes()).unwrap();
    }
    Command::new("kill").args(["-INT", &network.id().to_string()]).status().unwrap();
    let output = network.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("OCSP           http://127.0.0.1:"), "{said}");
}

#[test]
fn refuses_a_plan_that_it_does_not_understand() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("network.toml"), "instance = \"KG\"\ncountry = \"KG\"").unwrap();
    let output = serve(folder.path()).wait_with_output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("unknown field `country`"), "{said}");
}
