//! Signing in with an OpenID provider: oidc-provider, another site to the browser.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use uuk_central::Role;
use uuk_console::{ConsoleConfig, OpenIdConfig};
use uuk_process::Clock;
use uuk_testkit::fixtures::skip;
use uuk_testkit::openid_provider::OpenIdProvider;

use crate::browser::Browser;
use crate::joining::look;
use crate::world::{MEMBER, World, operator};

/// Where `cargo xtask test` puts it.
const PACKAGES: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../tools/javascript");
const CLIENT: &str = "uuk:central";
/// With all that has to be written otherwise in a form.
const SECRET: &str = "a secret: 100% +/=&";

/// A console that lets people in by a provider, and the host under which a browser knows it: another site than the
/// provider's.
struct Office {
    provider: OpenIdProvider,
    world: World,
    site: String,
}

impl Office {
    async fn new() -> Option<Self> {
        if !Path::new(PACKAGES).join("node_modules/oidc-provider").is_dir() {
            skip("no oidc-provider; `cargo xtask test` installs it");
            return None;
        }
        let provider = OpenIdProvider::start(Path::new(PACKAGES)).unwrap();
        let mut office = Self::of(provider).await;
        let pages = format!("http://{}", office.site);
        office.provider.admit(CLIENT, SECRET, &pages).unwrap();
        Some(office)
    }

    async fn of(provider: OpenIdProvider) -> Self {
        // The provider must know where the pages are, and they where the provider is.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let secret_file = folder.path().join("secret");
        std::fs::write(&secret_file, SECRET).unwrap();
        let site = format!("localhost:{}", address.port());
        let openid = OpenIdConfig {
            issuer: provider.issuer().to_owned(),
            name: "ESI".to_owned(),
            client: CLIENT.to_owned(),
            client_secret_file: Some(secret_file),
            pages: format!("http://{site}"),
            authorities: "/etc/ssl/certs/ca-certificates.crt".into(),
            networks: Vec::new(),
        };
        let config = ConsoleConfig { address, openid: Some(openid), ..ConsoleConfig::default() };
        // What the provider signs counts by its own clock.
        let world = World::with(Clock::set_to(Timestamp::now()), config).await;
        Self { provider, world, site }
    }
}

/// Waits until the browser, which is led on by itself, is at a page.
async fn lands(browser: &Browser, path: &str) {
    for _ in 0..300 {
        if browser.path().await == path {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("at {}: {}", browser.path().await, browser.text().await);
}

/// Says at the provider who one is.
async fn sign_in_there(browser: &Browser, name: &str) {
    browser.fill("login", name).await;
    browser.fill("password", "any").await;
    browser.follow("button[type=submit]").await;
    // Whether this program may know it.
    browser.follow("button[type=submit]").await;
}

/// Says it again, at a provider that knows what this program may know.
async fn proves_again(browser: &Browser, name: &str) {
    browser.fill("login", name).await;
    browser.fill("password", "any").await;
    browser.follow("button[type=submit]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_accepts_an_invitation_with_the_provider_signs_in_with_it() {
    let Some(Office { provider: _provider, world, site }) = Office::new().await else { return };
    let Some(browser) = Browser::start(&site, "ru").await else { return };
    let invitation = world.invite("asanova", Role::Head, MEMBER).await;

    browser.open("/invitation").await;
    look(&browser, "50-invitation").await;
    browser.fill("invitation", &invitation).await;
    browser.follow("button[formaction]").await;
    sign_in_there(&browser, "10101194000000").await;
    lands(&browser, "/procedures").await;
    assert!(browser.text().await.contains("Person asanova"), "{}", browser.text().await);
    browser.follow("header form.person a").await;
    assert!(browser.text().await.contains("второй фактор спрашивает он"), "{}", browser.text().await);
    look(&browser, "51-own-page").await;
    browser.follow("header form.person button").await;

    // The provider knows its own session still.
    look(&browser, "52-sign-in").await;
    browser.follow("main a[href='/openid']").await;
    lands(&browser, "/procedures").await;

    // One person with two accounts could approve what two people must.
    let second = world.invite("bekov", Role::Operator, "").await;
    browser.follow("header form.person button").await;
    browser.open("/invitation").await;
    browser.fill("invitation", &second).await;
    browser.follow("button[formaction]").await;
    proves_again(&browser, "10101194000000").await;
    assert!(browser.text().await.contains("people.taken_identity"), "{}", browser.text().await);
    look(&browser, "53-taken").await;

    // By this program's clock, what the provider signs now was signed long ago.
    world.clock.advance(Duration::from_secs(2 * 3600));
    browser.open("/sign-in").await;
    browser.follow("main a[href='/openid']").await;
    assert!(browser.text().await.contains("openid.token"), "{}", browser.text().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_nobody_here_or_is_dismissed_does_not_come_in() {
    let Some(Office { provider: _provider, world, site }) = Office::new().await else { return };
    let Some(browser) = Browser::start(&site, "ky").await else { return };
    browser.open("/sign-in").await;
    browser.follow("main a[href='/openid']").await;
    sign_in_there(&browser, "somebody").await;
    assert!(browser.text().await.contains("people.unknown_identity"), "{}", browser.text().await);
    assert!(browser.path().await.starts_with("/openid/return"));

    browser.open("/invitation").await;
    browser.fill("invitation", &world.invite("asanova", Role::Head, MEMBER).await).await;
    browser.follow("button[formaction]").await;
    // Whoever had signed in at this machine before is not taken for who accepts.
    proves_again(&browser, "somebody").await;
    lands(&browser, "/procedures").await;
    world.central.dismiss(&operator(), "asanova").await.unwrap();
    browser.open("/sign-in").await;
    browser.follow("main a[href='/openid']").await;
    assert!(browser.text().await.contains("people.unknown_identity"), "{}", browser.text().await);
}

/// What is answered to a browser that comes back with a query, and kept an attempt.
async fn comes_back(world: &World, attempt: &str, query: &str) -> (StatusCode, String) {
    let cookie = ("cookie", format!("__Host-openid={attempt}"));
    let answer = world.send("GET", &format!("/openid/return?{query}"), &[cookie], "").await;
    assert!(!answer.headers.contains_key("refresh"), "{query} lets in");
    (answer.status, answer.text)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_is_of_the_attempt_that_the_browser_began() {
    let Some(Office { provider, world, .. }) = Office::new().await else { return };
    let left = world.send("GET", "/openid", &[], "").await;
    assert_eq!(left.status, StatusCode::SEE_OTHER);
    let location = left.headers["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{}/auth?response_type=code&scope=openid&", provider.issuer())));
    let cookie = left.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    let (attempt, _) = cookie.strip_prefix("__Host-openid=").unwrap().split_once(';').unwrap();
    let (state, _) = attempt.split_once('.').unwrap();
    let verifier = attempt.split('.').nth(2).unwrap();
    assert!(!location.contains(verifier), "only its digest leaves this program beforehand");

    let stale = (StatusCode::BAD_REQUEST, "openid.stale");
    for (attempt, query, expected) in [
        ("", format!("code=c&state={state}"), stale),
        (attempt, "code=c".to_owned(), stale),
        (attempt, "code=c&state=other".to_owned(), stale),
        (attempt, format!("code=c&state={state}&iss=https%3A%2F%2Fother.example"), stale),
        (attempt, format!("state={state}"), stale),
        (attempt, format!("error=access_denied&state={state}"), (StatusCode::FORBIDDEN, "openid.refused")),
        (attempt, format!("code=guessed&state={state}"), (StatusCode::FORBIDDEN, "openid.refused")),
    ] {
        let (status, told) = comes_back(&world, attempt, &query).await;
        assert!((status, true) == (expected.0, told.contains(expected.1)), "{query}: {status}: {told}");
    }
    let form = ("content-type", "application/x-www-form-urlencoded".to_owned());
    let odd = world.send("POST", "/invitation/openid", &[form], "invitation=a%0d%0ab").await;
    assert!(odd.text.contains("people.invitation"), "{}", odd.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_keeps_nobody_out_who_has_a_password() {
    let Some(Office { provider, world, .. }) = Office::new().await else { return };
    drop(provider);
    let left = world.send("GET", "/openid", &[], "").await;
    assert_eq!(left.status, StatusCode::BAD_GATEWAY);
    assert!(left.text.contains("openid.unreachable"), "{}", left.text);
    // It is not asked by everybody who comes.
    let left = world.send("GET", "/openid", &[], "").await;
    assert_eq!(left.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(left.text.contains("openid.busy"), "{}", left.text);
    let session = world.sign_in("bekov", Role::Operator, "").await;
    let page = world.send("GET", "/procedures", &[("cookie", session)], "").await;
    assert_eq!(page.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_provider_nothing_speaks_of_one() {
    let world = World::new().await;
    assert_eq!(world.send("GET", "/openid", &[], "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.send("GET", "/openid/return", &[], "").await.status, StatusCode::NOT_FOUND);
    for page in ["/sign-in", "/invitation"] {
        assert!(!world.send("GET", page, &[], "").await.text.contains("openid"), "{page}");
    }
}
