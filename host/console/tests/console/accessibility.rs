//! Every page to which links lead, as each role sees it, in two languages, for people who do not see it or use no mouse.
//!
//! What pages look like at each step of a procedure, other browser tests look at as they pass; see [`look`].

use std::collections::{BTreeSet, VecDeque};

use serde_json::json;
use strum::IntoEnumIterator;
use uuk_central::Role;

use crate::browser::Browser;
use crate::catalog::{CONTRACT, PROVIDER, description};
use crate::joining::accept;
use crate::vetting::Office;
use crate::world::{MEMBER, World, application, operator};

/// Where `cargo xtask test` puts it.
const AXE: &str =
    concat!(env!("CARGO_TARGET_TMPDIR"), "/../tools/javascript/node_modules/axe-core/axe.min.js");
/// More are the same page of something else.
const PAGES_MAX: usize = 60;

/// What axe finds in the page that keeps people from using it: of its rules, those that it calls serious or critical.
pub(crate) async fn barriers(browser: &Browser) -> Vec<String> {
    const RUN: &str = "const done = arguments[0]; const wrong = one => ['serious', 'critical'].includes(one.impact); \
        const told = one => `${one.id}: ${one.nodes.map(node => node.html).join(' ')}`; \
        axe.run({ resultTypes: ['violations'] }).then(found => done(found.violations.filter(wrong).map(told)))";
    let Ok(axe) = std::fs::read_to_string(AXE) else {
        uuk_testkit::fixtures::skip("no axe-core; `cargo xtask test` installs it");
        return Vec::new();
    };
    browser.run(&axe).await;
    serde_json::from_value(browser.run_until_done(RUN).await).unwrap()
}

/// Something on every page: a procedure at the operator and one that is a draft, a bundle in review, a published service
/// with another draft, and a request for access.
async fn furnish(office: &Office) {
    let world = &office.world;
    world.furnish().await;
    world.publish().await;
    let unfit = uuk_central::ServiceDescription { tariff: String::new(), ..description() };
    world.central.draft_service(&operator(), unfit, CONTRACT.as_bytes()).await.unwrap();
    let head = &world.token("founder", Role::Head, MEMBER).await;
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let written =
        world.step(head, json!({ "act": "write", "application": application("Person founder") })).await;
    world.step(head, json!({ "act": "submit", "application": written["application_sha256"] })).await;
    let provider = &world.token("provider", Role::Head, PROVIDER).await;
    world.post(provider, "/api/v1/procedures", &json!({ "profile": "uz-iip" })).await;
    let asked = json!({
        "consumer": MEMBER, "service": description().service, "purpose": "pensions", "legal_basis": "Law 7",
        "fields": ["/get/answer/name"], "until": "2027-12-31T00:00:00Z", "calls_per_day": 10,
    });
    world.post(head, "/api/v1/accesses", &asked).await;
    office.submit(provider, office.bundle("1.2.0")).await;
    office.at(provider, "review").await;
}

/// Follows all links from `beginnings`, and looks at each page that it has not seen.
async fn walk(browser: &Browser, who: &str, beginnings: &[&str], seen: &mut BTreeSet<String>) {
    let mut to_see: VecDeque<String> = beginnings.iter().map(ToString::to_string).collect();
    while let Some(path) = to_see.pop_front() {
        let is_page = !["/api/", "/language/", "/vetting/1/"].iter().any(|prefix| path.starts_with(prefix));
        let is_page = is_page && !path.ends_with("/contract");
        if !is_page || !seen.insert(path.clone()) {
            continue;
        }
        assert!(seen.len() < PAGES_MAX, "{who}: {seen:?}");
        browser.open(&path).await;
        let barriers = barriers(browser).await;
        assert!(barriers.is_empty(), "{who}, {path}: {barriers:#?}");
        to_see.extend(browser.links().await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_is_found() {
    let world = World::new().await;
    let Some(browser) = Browser::start(&world.address, "en").await else { return };
    browser.open("/sign-in").await;
    assert_eq!(barriers(&browser).await, [""; 0]);
    browser.run("document.querySelector('main').append(document.createElement('input'))").await;
    let barriers = barriers(&browser).await;
    assert_eq!(barriers, ["label: <input>"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_meets_a_barrier_on_any_page() {
    let office = Office::new().await;
    furnish(&office).await;
    let world: &World = &office.world;
    for language in ["ru", "en"] {
        let Some(visitor) = Browser::start(&world.address, language).await else { return };
        let mut seen = BTreeSet::new();
        walk(&visitor, "a visitor", &["/sign-in", "/catalog", "/catalog?q=register", "/nothing"], &mut seen)
            .await;
        assert!(
            seen.contains("/invitation") && seen.iter().any(|path| path.ends_with("/person")),
            "{seen:?}"
        );
        for role in Role::iter() {
            let Some(browser) = Browser::start(&world.address, language).await else { return };
            let name = format!("{}-{language}", role.to_string().replace('_', "-"));
            accept(&browser, &world.invite(&name, role, PROVIDER).await).await;
            let mut seen = BTreeSet::new();
            walk(&browser, &name, &["/procedures"], &mut seen).await;
            assert!(seen.len() > 8, "{name} came to {seen:?} only");
        }
    }
}
