//! Who gets in, and by which door: client certificates, the door behind an X-Road security server, liveness.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, StatusCode};
use uuk_e2e::{CLIENT, Client, Guest, PROVIDER, Server, Site};
use uuk_testkit::tls_authority::{TlsAuthority, TlsFiles};

const ECHO: Guest = Guest::Component { name: "echo_v1", folder: "echo" };

/// A site with the echo adapter in place; `listener` are the lines of its section.
fn echo(folder: &Path, listener: &str) -> Result<Site> {
    let mut site = Site::new(folder, "127.0.0.1:0", "127.0.0.1:0", "")?;
    site.catalogue(ECHO)?;
    site.grant("kg.example.echo", "")?;
    site.drop_bundle("echo.asice", &site.bundle(ECHO, None)?)?;
    let configuration = format!(
        "[server]\nid = \"KG/GOV/70000001/ss1\"\n\n[listener]\n{listener}\n\n[operations]\naddress = \"127.0.0.1:0\"\n"
    );
    std::fs::write(folder.join("uuk.toml"), configuration)?;
    Ok(site)
}

/// Asks with curl, a client that shares no code with the server; gives the status, 0 if there was no answer.
fn curl(server: &Server, authority: &TlsAuthority, identity: Option<&TlsFiles>, client: &str) -> Result<u16> {
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}", "--cacert"])
        .arg(authority.certificate())
        .args(["--header", &format!("X-Road-Client: {client}")])
        .arg(format!("https://{}/r1/{PROVIDER}/echo/echo/hello", server.address()));
    if let Some(identity) = identity {
        curl.arg("--cert").arg(&identity.certificate).arg("--key").arg(&identity.key);
    }
    let output = curl.output().context("cannot run curl")?;
    Ok(String::from_utf8(output.stdout)?.parse()?)
}

#[tokio::test]
async fn only_registered_certificates_get_in_and_only_for_their_client() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let authority = TlsAuthority::new()?;
    let identity = authority.server("127.0.0.1")?;
    let listener = format!(
        "address = \"127.0.0.1:0\"\nidentity = {{ certificate = \"{}\", key = \"{}\" }}",
        identity.certificate.display(),
        identity.key.display()
    );
    let site = echo(folder.path(), &listener)?;
    let (portal, other, stranger) =
        (authority.client("portal")?, authority.client("other")?, authority.client("stranger")?);
    let clients = |portal: &TlsFiles| {
        format!(
            "[[client]]\nid = \"{CLIENT}\"\ncertificates = [\"{}\"]\nservices = [\"{PROVIDER}/echo\"]\n\
             [[client]]\nid = \"KG/GOV/70000003/other\"\ncertificates = [\"{}\"]\n",
            portal.certificate.display(),
            other.certificate.display()
        )
    };
    std::fs::write(folder.path().join("clients.toml"), clients(&portal))?;
    let server = Server::start(&site)?;
    server
        .until("echo answers its client", Duration::from_secs(60), || async {
            curl(&server, &authority, Some(&portal), CLIENT).is_ok_and(|status| status == 200)
        })
        .await?;

    assert_eq!(curl(&server, &authority, None, CLIENT)?, 0, "no certificate");
    assert_eq!(curl(&server, &authority, Some(&stranger), CLIENT)?, 0, "a certificate of nobody");
    assert_eq!(curl(&server, &authority, Some(&other), CLIENT)?, 403, "another client's certificate");
    assert_eq!(
        curl(&server, &authority, Some(&other), "KG/GOV/70000003/other")?,
        403,
        "a client without right"
    );

    // A client whose certificate is replaced gets in with the new one, without a restart, even if the list names it
    // before it is there.
    let late = folder.path().join("late.pem");
    let named = TlsFiles { certificate: late.clone(), key: stranger.key.clone() };
    std::fs::write(folder.path().join("clients.toml"), clients(&named))?;
    server
        .until("the list is refused", Duration::from_secs(10), || async {
            std::fs::read_to_string(folder.path().join("server.log"))
                .is_ok_and(|log| log.contains("late.pem"))
        })
        .await?;
    assert_eq!(curl(&server, &authority, Some(&portal), CLIENT)?, 200, "what was in force stays");
    std::fs::copy(&stranger.certificate, &late)?;
    server
        .until("the new certificate is admitted", Duration::from_secs(10), || async {
            curl(&server, &authority, Some(&stranger), CLIENT).is_ok_and(|status| status == 200)
        })
        .await?;
    assert_eq!(curl(&server, &authority, Some(&portal), CLIENT)?, 0, "the replaced certificate");
    Ok(())
}

#[tokio::test]
async fn behind_an_x_road_security_server_the_plain_endpoint_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let door = "address = \"127.0.0.1:0\"\nauthentication = \"none\"";
    let site = echo(folder.path(), &format!("{door}\n\n[behind]\n{door}"))?;
    let server = Server::start(&site)?;
    let behind = Client::new(server.behind().context("no door behind")?);
    // The security server has checked the client's right already: a client that is not registered here is answered.
    let call = async |path: String| {
        let headers = [("x-road-client", "KG/GOV/70000007/elsewhere"), ("x-road-id", "id-7")];
        behind.call(Method::GET, &path, &headers, Bytes::new()).await
    };
    server
        .until("echo answers", Duration::from_secs(60), || async {
            call(format!("/{PROVIDER}/echo/echo/hello")).await.is_ok_and(|reply| reply.status == 200)
        })
        .await?;
    let reply = call(format!("/{PROVIDER}/echo/echo/hello")).await?;
    assert_eq!(reply.headers["x-road-id"], "id-7");
    assert_eq!(call(format!("/{PROVIDER}/nothing/echo/hello")).await?.status, StatusCode::NOT_FOUND);
    Ok(())
}

#[tokio::test]
async fn orchestrators_learn_of_life_readiness_and_drift() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let site = echo(folder.path(), "address = \"127.0.0.1:0\"\nauthentication = \"none\"")?;
    std::fs::write(folder.path().join("catalog.toml"), "")?;
    let server = Server::start(&site)?;
    let operations = Client::new(server.operations());
    let get = async |path: &str| operations.call(Method::GET, path, &[], Bytes::new()).await;
    assert_eq!(get("/live").await?.status, StatusCode::OK);
    server
        .until("drift is seen", Duration::from_secs(60), || async {
            let ready = get("/ready").await.and_then(|reply| reply.json());
            ready.is_ok_and(|ready| ready["drift"]["not_catalogued"][0] == format!("{PROVIDER}/echo"))
        })
        .await?;
    // A service outside the catalog does not answer, though its plugin runs.
    let client = Client::new(server.address());
    assert_eq!(client.get("echo", "/echo/hello").await?.status, StatusCode::NOT_FOUND);
    let metrics = get("/metrics").await?;
    assert!(String::from_utf8_lossy(&metrics.body).contains("uuk_requests_total"));
    Ok(())
}
