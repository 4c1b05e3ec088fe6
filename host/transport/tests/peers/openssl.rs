//! `openssl` as a stock X-Road server would be: TLS 1.2, and CBC suites only.

use std::path::Path;
use std::process::Stdio;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use uuk_transport::PeerIdentity;

use super::identities::{Authority, fixed, leaf};
use super::*;

/// What stock servers offer, each with the kind of key it takes.
const SUITES: [(&str, &rcgen::SignatureAlgorithm); 3] = [
    ("ECDHE-RSA-AES256-SHA384", &PKCS_RSA_SHA256),
    ("DHE-RSA-AES256-SHA256", &PKCS_RSA_SHA256),
    ("ECDHE-ECDSA-AES256-SHA384", &PKCS_ECDSA_P256_SHA256),
];

const REQUEST: &str = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

/// A folder with `own.pem`, `own.key` and the intermediate in `chain.pem`.
fn files(identity: &PeerIdentity) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, label: &str, der: &[u8]| {
        let text = BASE64_STANDARD.encode(der);
        let lines: Vec<_> = text.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
        let pem = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"));
        std::fs::write(folder.path().join(name), pem).unwrap();
    };
    write("own.key", "PRIVATE KEY", identity.key.expose());
    for (name, der) in ["own.pem", "chain.pem"].into_iter().zip(&identity.certificates) {
        write(name, "CERTIFICATE", der);
    }
    folder
}

/// Whether `openssl` can be asked.
fn is_installed() -> bool {
    uuk_testkit::openssl::run(Path::new("."), "version").unwrap().is_some()
}

fn openssl(folder: &TempDir, arguments: &str) -> Child {
    let mut command = Command::new("openssl");
    command.args(arguments.split(' ')).current_dir(folder.path()).kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What `s_client` prints when it sends [`REQUEST`].
async fn s_client(folder: &TempDir, echo: &Echo, arguments: &str) -> String {
    let mut client = openssl(folder, &format!("s_client -connect {} -ign_eof {arguments}", echo.address));
    let mut input = client.stdin.take().unwrap();
    // It may end before it has read this.
    let _ = input.write_all(REQUEST.as_bytes()).await;
    let output = timeout(PATIENCE, client.wait_with_output()).await.unwrap().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn answers_a_client_with_cbc_suites_only() {
    if !is_installed() {
        return;
    }
    let intermediate = Authority::new().intermediate();
    for (suite, algorithm) in SUITES {
        let mut theirs = intermediate.identity_of("theirs", algorithm);
        theirs.certificates.push(intermediate.der());
        let mut ours = intermediate.rsa_identity("ours");
        ours.certificates.push(intermediate.der());
        let echo = Echo::start(listener(PeerCiphers::XRoad), fixed(theirs), &[leaf(&ours)]);
        let folder = files(&ours);
        let shown = "-cert own.pem -key own.key -cert_chain chain.pem -showcerts";
        let said = s_client(&folder, &echo, &format!("-tls1_2 -cipher {suite} {shown}")).await;
        assert!(said.contains("\r\n\r\nhello"), "{suite}: {said}");
        assert!(said.contains("certificates: 2"), "{suite}: {said}");
        assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "{suite}: {said}");
    }
}

#[tokio::test]
async fn rustls_does_not_answer_a_client_with_cbc_suites_only() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    let (ours, theirs) = (authority.rsa_identity("ours"), authority.rsa_identity("theirs"));
    let folder = files(&ours);
    let echo = Echo::start(listener(PeerCiphers::Modern), fixed(theirs), &[leaf(&ours)]);
    let [(suite, _), ..] = SUITES;
    let arguments = format!("-tls1_2 -cipher {suite} -cert own.pem -key own.key");
    let said = s_client(&folder, &echo, &arguments).await;
    assert!(said.contains("handshake failure"), "{said}");
}

#[tokio::test]
async fn refuses_a_client_without_a_certificate() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    for (ciphers, version) in
        BOTH.into_iter().flat_map(|ciphers| ["-tls1_2", "-tls1_3"].map(|version| (ciphers, version)))
    {
        let theirs = fixed(authority.rsa_identity("theirs"));
        let echo = Echo::start(listener(ciphers), theirs, &[]);
        let said = s_client(&folder, &echo, version).await;
        assert!(!said.contains("hello"), "{ciphers:?} {version}: {said}");
        assert_eq!(echo.requests(), 0);
    }
}

#[tokio::test]
async fn answers_a_modern_client_too() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    let ours = authority.identity("ours");
    let folder = files(&ours);
    for (ciphers, version) in
        BOTH.into_iter().flat_map(|ciphers| ["-tls1_2", "-tls1_3"].map(|version| (ciphers, version)))
    {
        let theirs = fixed(authority.rsa_identity("theirs"));
        let echo = Echo::start(listener(ciphers), theirs, &[leaf(&ours)]);
        let said = s_client(&folder, &echo, &format!("{version} -cert own.pem -key own.key")).await;
        assert!(said.contains("\r\n\r\nhello"), "{ciphers:?} {version}: {said}");
        let agreed = said.lines().find(|line| line.contains("Cipher is")).unwrap();
        assert!(agreed.contains("GCM") || agreed.contains("CHACHA20"), "{agreed}");
    }
}

#[tokio::test]
async fn calls_a_server_with_cbc_suites_only() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    for (suite, algorithm) in SUITES {
        let folder = files(&authority.identity_of("theirs", algorithm));
        let arguments = "-accept 127.0.0.1:0 -cert own.pem -key own.key -Verify 1 -tls1_2 -cipher";
        let mut server = openssl(&folder, &format!("s_server {arguments} {suite}"));
        let mut output = BufReader::new(server.stdout.take().unwrap());
        let address = listening_at(&mut output).await;
        let connector = connector(PeerCiphers::XRoad, fixed(authority.rsa_identity("ours")));
        let answered = async {
            let mut request = Vec::new();
            while !request.ends_with(b"hello\r\n0\r\n\r\n") {
                assert_ne!(output.read_buf(&mut request).await.unwrap(), 0, "the request arrives");
            }
            let mut input = server.stdin.take().unwrap();
            input.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nthere").await.unwrap();
            input.flush().await.unwrap();
            input
        };
        let addresses = [address];
        let both = async { tokio::join!(answered, ask(&connector, &addresses)) };
        let (_input, answer) = timeout(PATIENCE, both).await.unwrap();
        assert_eq!(answer.unwrap().body(), "there", "{suite}");
    }
}

/// Where `s_server` says that it listens.
async fn listening_at(output: &mut (impl AsyncBufReadExt + Unpin)) -> PeerAddress {
    let mut line = String::new();
    while !line.starts_with("ACCEPT ") {
        line.clear();
        assert_ne!(output.read_line(&mut line).await.unwrap(), 0, "s_server runs");
    }
    address(line.trim_start_matches("ACCEPT ").trim().parse().unwrap())
}
