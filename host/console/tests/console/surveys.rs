//! What the operator's security server tells of a system is shown to who is responsible, whatever it tells.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use uuk_central::{Role, SurveyConfig, Surveyor};
use uuk_transport::UpstreamConfig;

use crate::browser::Browser;
use crate::catalog::{PROVIDER, SYSTEM};
use crate::joining::{accept, look};
use crate::world::World;

pub(crate) const EVERY: Duration = Duration::from_secs(1);
/// Tenths of a second.
pub(crate) const TRIES_MAX: usize = 300;

/// A security server that answers whatever it is told to.
pub(crate) struct Telling {
    pub(crate) body: Arc<Mutex<String>>,
    _stop: DropGuard,
}

impl Telling {
    pub(crate) async fn to(world: &World, interval: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let body = Arc::new(Mutex::new(String::new()));
        let told = Arc::clone(&body);
        let stop = CancellationToken::new();
        tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
            loop {
                let (mut connection, _) = listener.accept().await.unwrap();
                let _ = connection.read(&mut [0; 4096]).await;
                let body = told.lock().unwrap().clone();
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = connection.write_all((head + &body).as_bytes()).await;
            }
        }));
        let config = SurveyConfig {
            server: UpstreamConfig::new(format!("http://{address}")),
            client: "KG/GOV/10000001/management".parse().unwrap(),
            interval,
        };
        let surveyor = Surveyor::build(&config, Arc::clone(&world.central)).unwrap();
        tokio::spawn(surveyor.run(stop.clone()));
        Self { body, _stop: stop.drop_guard() }
    }

    /// What is known of the provider's system once it was asked again and answered this.
    async fn tells(&self, world: &World, token: &str, body: String) -> Value {
        *self.body.lock().unwrap() = body;
        world.clock.advance(EVERY);
        let due = world.clock.now().to_string();
        for _ in 0..TRIES_MAX {
            let (_, told) = world.get(token, "/api/v1/systems").await;
            let survey = &told["systems"][0]["survey"];
            if survey["at"] == due.as_str() {
                return survey.clone();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{SYSTEM} is not asked");
    }
}

pub(crate) fn list(codes: &[&str]) -> String {
    let services: Vec<_> =
        codes.iter().map(|code| json!({ "service_code": code, "endpoint_list": [] })).collect();
    json!({ "service": services }).to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_is_shown_to_who_is_responsible_whatever_the_server_tells() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let token = world.token("auditor", Role::Auditor, "").await;
    let telling = Telling::to(&world, EVERY).await;

    for (body, silence) in [
        ("no list".to_owned(), "the answer is no list of services"),
        ("{\"service\": [{}]}".to_owned(), "the answer is no list of services"),
        ("x".repeat((4 << 20) + 1), "answer is larger than 4194304 bytes"),
    ] {
        let survey = telling.tells(&world, &token, body).await;
        assert!(survey["silence"].as_str().unwrap().contains(silence), "{survey}");
        assert_eq!(survey["drifts"], json!([]));
    }
    let codes: Vec<_> = (100..1100).map(|number| format!("s{number}")).collect();
    let survey =
        telling.tells(&world, &token, list(&codes.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!(survey["drifts"].as_array().unwrap().len(), 100, "no list fills the database");

    let long = format!("\u{1b}[31m{}", "x".repeat(1 << 20));
    let survey = telling.tells(&world, &token, list(&[&long, "person"])).await;
    let drifts = survey["drifts"].as_array().unwrap();
    let told =
        drifts.iter().find(|drift| drift["kind"] == "undescribed").unwrap()["service"].as_str().unwrap();
    assert!(told.starts_with("\u{fffd}[31mx") && told.chars().count() == 255, "{survey}");

    let survey = telling.tells(&world, &token, list(&["<script>alert(1)</script>"])).await;
    assert_eq!(survey["drifts"][1], json!({ "service": "person", "kind": "not_offered" }), "{survey}");
    let Some(browser) = Browser::start(&world.address, "uz").await else { return };
    accept(&browser, &world.invite("editor", Role::CatalogEditor, PROVIDER).await).await;
    browser.open("/services").await;
    let text = browser.text().await;
    for told in ["<script>alert(1)</script>: taklif qilinadi, lekin katalogda yo‘q", "person: katalogda bor"]
    {
        assert!(text.contains(told), "{told}: {text}");
    }
    look(&browser, "54-drift").await;
    // Another institution sees nothing of it.
    let other = world.token("other", Role::CatalogEditor, crate::world::MEMBER).await;
    assert_eq!(world.get(&other, "/api/v1/systems").await.1, json!({ "systems": [] }));
}
