//! The second door: components that speak `wasi:http` instead of the adapter contract, with the same checks and grants.

use anyhow::Result;
use http::StatusCode;
use tempfile::TempDir;
use uuk_e2e::{Client, Guest, Operator, Parts, Server, Site};
use uuk_testkit::upstream::{UpstreamOptions, VehiclesUpstream};

const HONEST: Guest = Guest::Component { name: "wasi_http", folder: "echo" };
const MISBEHAVES: Guest = Guest::Component { name: "wasi_http_misbehaves", folder: "echo" };
const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";

/// What the manifest of an adapter that sends requests says besides.
const ASKS_UPSTREAM: &str = "[upstream.api]\nmethods = [\"GET\"]\npaths = [\"/v1/*\"]\n\n[build]";

struct Place {
    server: Server,
    operator: Operator,
    _folder: TempDir,
}

impl Place {
    /// A server with the plugin of `parts` in its folder, and a grant.
    fn with(parts: Parts, grant: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
        site.catalogue(HONEST)?;
        site.grant("kg.example.echo", grant)?;
        site.drop_bundle("echo.asice", &site.sign(parts)?)?;
        Ok(Self { server: Server::start(&site)?, operator: Operator::of(&site), _folder: folder })
    }

    async fn serving(parts: Parts, grant: &str) -> Result<Self> {
        let place = Self::with(parts, grant)?;
        place.operator.sees_version("kg.example.echo", "1.0.0", "active").await?;
        Ok(place)
    }

    fn client(&self) -> Client {
        Client::new(self.server.address())
    }
}

#[tokio::test]
async fn an_http_component_answers_an_operation_of_the_contract() -> Result<()> {
    let place = Place::serving(Parts::of(HONEST)?, "").await?;
    let reply = place.client().get("echo", "/echo/hello").await?;
    assert_eq!((reply.text("message")?.as_str(), reply.text("version")?.as_str()), ("hello", "wasi-http"));
    let refused = place.client().get("echo", "/echo/HELLO").await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "the contract stands before this door too");
    Ok(())
}

#[tokio::test]
async fn an_http_component_that_asks_for_no_upstream_may_not_import_the_way_out() -> Result<()> {
    let place = Place::with(Parts::of(MISBEHAVES)?, "")?;
    assert_eq!(place.operator.sees_refused("echo.asice").await?, "component.import_not_asked");
    Ok(())
}

#[tokio::test]
async fn an_http_component_reaches_its_upstream_and_no_other() -> Result<()> {
    let upstream = VehiclesUpstream::start(UpstreamOptions::default()).await?;
    let grant = format!("[upstream.api]\nbase = \"http://{}\"\n", upstream.address());
    let parts = Parts::of(MISBEHAVES)?.with_manifest("[build]", ASKS_UPSTREAM)?;
    let place = Place::serving(parts, &grant).await?;
    let sent = async |upstream: &str| {
        place.client().get("echo", &format!("/echo/{upstream}")).await?.text("message")
    };

    assert_eq!(sent("api").await?, "status 404", "the upstream knows no such path");
    assert_eq!(upstream.requests(), 1);
    for elsewhere in ["elsewhere", "127", "localhost"] {
        assert_eq!(sent(elsewhere).await?, "ErrorCode::HttpRequestDenied", "{elsewhere}");
    }
    assert_eq!(upstream.requests(), 1);
    Ok(())
}

#[tokio::test]
async fn an_http_component_that_misbehaves_gets_a_code_of_its_own() -> Result<()> {
    let parts = Parts::of(MISBEHAVES)?.with_manifest("[build]", ASKS_UPSTREAM)?;
    let place = Place::serving(parts, "[upstream.api]\nbase = \"http://127.0.0.1:9\"\n").await?;
    let cases = [
        ("traps", StatusCode::BAD_GATEWAY, "plugin.trap"),
        ("answers-too-much", StatusCode::BAD_GATEWAY, "plugin.response"),
        // Neither waits for the end of the call's time.
        ("keeps-silent", StatusCode::BAD_GATEWAY, "plugin.misuse"),
        ("leaves-open", StatusCode::BAD_GATEWAY, "contract.answer_malformed"),
    ];
    for (misdeed, status, code) in cases {
        let reply = place.client().get("echo", &format!("/echo/{misdeed}")).await?;
        assert_eq!((reply.status, reply.text("code")?.as_str()), (status, code), "{misdeed}");
    }
    Ok(())
}
