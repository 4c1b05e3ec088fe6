//! The main job: a signed adapter dropped into a folder answers a catalogued service from a database.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use http::{Method, StatusCode};
use uuk_e2e::{Client, Guest, PROVIDER, Server, Site};

const SETTINGS: &str = "[plugins]\ncanary_percent = 0\nrescan_every = \"200ms\"\n";
const KNOWN: &str = "/people/10101194000000";

async fn people() -> Result<(tempfile::TempDir, Site, Server, Client)> {
    let folder = tempfile::tempdir()?;
    let mut site = Site::new(folder.path(), "127.0.0.1:0", "127.0.0.1:0", SETTINGS)?;
    site.people().await?;
    let server = Server::start(&site)?;
    let client = Client::new(server.address());
    Ok((folder, site, server, client))
}

async fn answers(client: &Client, status: StatusCode) -> bool {
    client.get("person", KNOWN).await.is_ok_and(|reply| reply.status == status)
}

#[tokio::test]
async fn a_bundle_dropped_into_the_folder_answers_from_the_database() -> Result<()> {
    let (_folder, site, server, client) = people().await?;
    assert_eq!(client.get("person", KNOWN).await?.status, StatusCode::SERVICE_UNAVAILABLE);

    site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
    server.until("people answers", Duration::from_secs(60), || answers(&client, StatusCode::OK)).await?;

    let person = client.get("person", KNOWN).await?.json()?;
    assert_eq!(person["pin"], "10101194000000");
    let missing = client.get("person", "/people/29912209999999").await?;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.headers["content-type"], "application/problem+json");

    let refused = client.get("person", "/people/12?colour=red&colour=blue").await?;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let pointers: Vec<String> = refused.json()?["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["pointer"].to_string())
        .collect();
    assert!(pointers.contains(&"\"/pin\"".to_owned()), "{pointers:?}");
    Ok(())
}

#[tokio::test]
async fn strangers_and_unknown_services_are_refused_by_code() -> Result<()> {
    let (_folder, _site, _server, client) = people().await?;
    let call = async |path: &str, caller: &str| {
        client.call(Method::GET, path, &[("x-road-client", caller)], Bytes::new()).await
    };
    let known = format!("/r1/{PROVIDER}/person{KNOWN}");
    let cases = [
        (known.as_str(), "KG/GOV/70000009/stranger", 403, "proxy.unknown_client"),
        (known.as_str(), "KG/GOV", 400, "proxy.client_id"),
        ("/r1/KG/GOV/70000001/registry/vehicle/x", uuk_e2e::CLIENT, 404, "proxy.unknown_service"),
        ("/r1/KG/GOV/70000001/registry", uuk_e2e::CLIENT, 400, "proxy.service_id"),
        ("/r2/x", uuk_e2e::CLIENT, 404, "proxy.unknown_path"),
    ];
    for (path, caller, status, code) in cases {
        let reply = call(path, caller).await?;
        assert_eq!((reply.status.as_u16(), reply.json()?["code"].as_str()), (status, Some(code)), "{path}");
        assert!(reply.headers.contains_key("x-road-error"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_is_gone_is_a_clear_fault_and_blames_no_adapter() -> Result<()> {
    let (folder, site, server, client) = people().await?;
    site.drop_bundle("people.asice", &site.bundle(Guest::People, None)?)?;
    server.until("people answers", Duration::from_secs(60), || answers(&client, StatusCode::OK)).await?;

    // The register is replaced by something that is no database, and the server starts anew on it.
    drop(server);
    std::fs::write(folder.path().join("grants/people.db"), "no database")?;
    let server = Server::start(&site)?;
    let client = Client::new(server.address());
    server
        .until("the fault is told", Duration::from_secs(60), || async {
            client
                .get("person", KNOWN)
                .await
                .and_then(|reply| reply.json())
                .is_ok_and(|problem| problem["code"] == "service.upstream_unavailable")
        })
        .await?;
    // Far more often than failures of its own would be forgiven.
    for _ in 0..20 {
        let reply = client.get("person", KNOWN).await?;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.json()?["code"], "service.upstream_unavailable");
    }
    Ok(())
}
