//! People at a central server: invited at the terminal, let in by its pages and its API.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use uuk_e2e::{Central, Client};
use uuk_testkit::ports;

#[tokio::test(flavor = "multi_thread")]
async fn who_is_invited_at_the_terminal_begins_to_join_in_the_browser_and_by_api() -> Result<()> {
    let mut central = Central::found()?;
    let address = format!("127.0.0.1:{}", ports::reserve()?);
    let mut config = OpenOptions::new().append(true).open(central.path("central.toml"))?;
    writeln!(config, "[console]\naddress = '{address}'")?;
    let secret = |told: Value| Ok::<_, anyhow::Error>(told["token"].as_str().context("no token")?.to_owned());
    let member = ["--role", "head", "--member", "KG/GOV/70000002"];
    let invitation =
        secret(central.run(&[["person", "invite", "asanova", "A. Asanova"].as_slice(), &member].concat())?)?;
    let token = secret(central.run(&["person", "token", "asanova", "records office"])?)?;
    let refused = central.run(&["person", "invite", "bekov", "B. Bekov", "--role", "head"]);
    ensure!(refused.is_err_and(|error| error.to_string().contains("people.sides")), "a head of nothing");
    central.serve()?;

    let client = Client::new(&address);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let accept = format!("invitation={invitation}&password=correct+horse+battery");
    let accepted = client.call(Method::POST, "/invitation", &form, accept.into()).await?;
    ensure!(accepted.status == StatusCode::SEE_OTHER, "{}", accepted.status);
    let cookie = accepted.headers["set-cookie"].to_str()?.split(';').next().context("no cookie")?.to_owned();
    let page = client.call(Method::GET, "/procedures", &[("cookie", &cookie)], Bytes::new()).await?;
    ensure!(String::from_utf8_lossy(&page.body).contains("A. Asanova"), "{}", page.status);

    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let body = Bytes::from_static(b"{\"profile\": \"tunduk-2018\"}");
    let begun = client.call(Method::POST, "/api/v1/procedures", &headers, body).await?;
    ensure!(begun.status == StatusCode::CREATED && begun.text("member")? == "KG/GOV/70000002", "{begun:?}");

    let audit = central.run(&["audit"])?;
    let entries = audit["entries"].as_array().context("no entries")?;
    let acts: Vec<_> = entries.iter().filter_map(|entry| entry["act"].as_str()).collect();
    ensure!(acts.ends_with(&["invite-person", "issue-token", "set-password", "joining-begin"]), "{acts:?}");
    Ok(())
}
