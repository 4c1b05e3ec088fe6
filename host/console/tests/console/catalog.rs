//! The catalog: what the public sees of it, and what it never sees.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::{
    AccessRequest, CatalogService, Classification, Contact, InformationSystem, LANGUAGES, Resource, Role,
    ServiceDescription, ServiceLevel, Texts,
};
use uuk_identifiers::{MemberId, SubsystemId};

use crate::browser::Browser;
use crate::joining::look;
use crate::world::{Answer, MEMBER, World, application, operator};

pub(crate) const PROVIDER: &str = "KG/GOV/70000001";
pub(crate) const SYSTEM: &str = "KG/GOV/70000001/registry";
pub(crate) const SERVICE: &str = "KG/GOV/70000001/registry/person";
pub(crate) const CONTRACT: &str = r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/people/{pin}":{"get":{
    "operationId":"get","summary":"Look up a person",
    "parameters":[{"name":"pin","in":"path","required":true,"schema":{"type":"string"}}],
    "responses":{"200":{"description":"d","content":{"application/json":{"schema":{
        "type":"object","required":["name"],"properties":{
            "name":{"type":"string"},"sex":{"enum":["female","male"],"type":"string"}}}}}}}}}}}"#;

/// In every place where a person can be told of; nothing else says so.
const PLANTED: [&str; 3] = ["Plantedname", "555000111", "planted@example.kg"];
const PLANTED_TEXT: &str = "Plantedname +996555000111 planted@example.kg";

pub(crate) fn texts(text: &str) -> Texts {
    LANGUAGES.iter().map(|language| ((*language).to_owned(), format!("{text} ({language})"))).collect()
}

pub(crate) fn description() -> ServiceDescription {
    ServiceDescription {
        service: SERVICE.parse().unwrap(),
        resource: Some("people".into()),
        title: texts("Register of people"),
        description: texts("Who bears a number"),
        legal_basis: "Law 12 of 2020".into(),
        tariff: "free of charge".into(),
        service_level: ServiceLevel {
            down_minutes_per_month_max: 40,
            answer_time_ms: 500,
            decision_days: 10,
        },
        support: vec![Contact {
            name: "Plantedname Asanova".into(),
            phone: Some("+996555000111".into()),
            mail: Some("planted@example.kg".into()),
        }],
        classification: BTreeMap::from([
            ("/get/request/pin".into(), Classification::Personal),
            ("/get/answer/name".into(), Classification::Personal),
            ("/get/answer/sex".into(), Classification::None),
        ]),
        samples: BTreeMap::from([("get".into(), json!({ "name": PLANTED_TEXT }))]),
    }
}

impl World {
    /// A member with an information system that has published nothing yet.
    pub(crate) async fn furnish(&self) {
        let (member, system): (MemberId, SubsystemId) = (PROVIDER.parse().unwrap(), SYSTEM.parse().unwrap());
        let furnish = |registry: &mut uuk_central::Registry| {
            registry.add_member(&member, "Registry of people")?;
            registry.add_subsystem(&system, None)?;
            registry.add_member(&MEMBER.parse().unwrap(), "An institution")?;
            let (title, description) = (texts("Population"), texts("Who lives here"));
            let resources = BTreeMap::from([("people".into(), Resource { title: texts("The people") })]);
            registry.set_information_system(&system, InformationSystem { title, description, resources })
        };
        self.central.change(&operator(), "furnish", furnish).await.unwrap();
    }

    pub(crate) async fn publish(&self) {
        self.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
        self.central.publish_service(&operator(), &SERVICE.parse().unwrap(), false).await.unwrap();
    }

    async fn look_up(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    async fn told(&self, path: &str) -> Value {
        let answer = self.look_up(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        serde_json::from_str(&answer.text).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anybody_finds_a_service_and_reads_its_contract() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let found = world.told("/api/v1/catalog/services?q=regis%20peo").await;
    assert_eq!(found["services"][0]["service"], SERVICE);
    assert_eq!(world.told("/api/v1/catalog/services?q=absent").await["services"], json!([]));
    let members = world.told("/api/v1/catalog/members").await;
    assert_eq!(
        members["members"],
        json!([{ "member": PROVIDER, "name": "Registry of people", "services": 1 }])
    );
    let member = world.told(&format!("/api/v1/catalog/members/{PROVIDER}")).await;
    assert_eq!(member["systems"][0]["services"][0]["title"]["ky"], "Register of people (ky)");
    let service = world.told(&format!("/api/v1/catalog/services/{SERVICE}")).await;
    let answer = &service["operations"][0]["answer"];
    assert_eq!(answer[1]["values"], json!(["\"female\"", "\"male\""]));
    assert_eq!((&answer[0]["class"], &answer[0]["required"]), (&json!("personal"), &json!(true)));
    let contract = world.look_up(&format!("/api/v1/catalog/services/{SERVICE}/contract")).await;
    assert_eq!(contract.text, CONTRACT);
    assert_eq!(contract.headers["content-disposition"], "attachment; filename=\"person.json\"");

    let page = world.look_up(&format!("/catalog/{SERVICE}")).await;
    for expected in
        ["Look up a person", "Law 12 of 2020", "free of charge", "personal data", "The people (en)"]
    {
        assert!(page.text.contains(expected), "{expected}: {}", page.text);
    }
    for path in [
        "/catalog".into(),
        "/catalog?q=peop".into(),
        format!("/catalog/{PROVIDER}"),
        format!("/catalog/{SYSTEM}"),
    ] {
        let page = world.look_up(&path).await;
        assert!(
            page.status == StatusCode::OK
                && (page.text.contains("egister of people") || page.text.contains("Registry of people")),
            "{path}: {}",
            page.text
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_published_is_not_there() {
    let world = World::new().await;
    world.furnish().await;
    world.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
    for path in [
        format!("/catalog/{SERVICE}"),
        format!("/api/v1/catalog/services/{SERVICE}"),
        format!("/api/v1/catalog/services/{SERVICE}/contract"),
        format!("/catalog/{MEMBER}"),
        format!("/api/v1/catalog/members/{MEMBER}"),
        "/catalog/KG/GOV".into(),
        "/api/v1/catalog/services/KG/GOV/1/2/".into(),
        "/api/v1/catalog/services/KG/GOV/1/2/%00".into(),
    ] {
        assert_eq!(world.look_up(&path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(world.told("/api/v1/catalog/services?q=people").await["services"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_answer_is_kept_until_it_changes() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let page = format!("/catalog/{SERVICE}");
    for path in [page.clone(), format!("/api/v1/catalog/services/{SERVICE}")] {
        let first = world.look_up(&path).await;
        assert_eq!(first.headers["cache-control"], "public, max-age=60");
        let known = [("if-none-match", format!("\"other\", W/{}", first.headers["etag"].to_str().unwrap()))];
        let again = world.send("GET", &path, &known, "").await;
        assert_eq!((again.status, again.text.as_str()), (StatusCode::NOT_MODIFIED, ""), "{path}");
        world.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
        world.central.publish_service(&operator(), &SERVICE.parse().unwrap(), false).await.unwrap();
        assert_eq!(world.send("GET", &path, &known, "").await.status, StatusCode::OK, "{path}");
    }
    // Who is signed in stands on the page.
    let cookie = world.sign_in("asanova", Role::Head, MEMBER).await;
    let own = world.send("GET", &page, &[("cookie", cookie)], "").await;
    assert_eq!(own.headers["cache-control"], "no-store");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_person_is_in_any_public_answer() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    // People, applications, drafts, requests for access and decisions tell of them as well.
    let head = &world.token("plantedname", Role::Head, MEMBER).await;
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let mut written = application(PLANTED_TEXT);
    written["address"] = json!(PLANTED_TEXT);
    world.step(head, json!({ "act": "write", "application": written })).await;
    let mut draft = description();
    draft.title = texts(PLANTED_TEXT);
    let contract = CONTRACT.replace(r#""title":"t""#, r#""title":"t","contact":{"name":"Plantedname"}"#);
    world.central.draft_service(&operator(), draft, contract.as_bytes()).await.unwrap();
    let now = world.clock.now();
    let request = AccessRequest {
        consumer: MEMBER.parse().unwrap(),
        service: SERVICE.parse().unwrap(),
        purpose: PLANTED_TEXT.into(),
        legal_basis: PLANTED_TEXT.into(),
        fields: Default::default(),
        until: now + jiff::SignedDuration::from_hours(24),
        calls_per_day: 10,
    };
    let ask = |registry: &mut uuk_central::Registry| {
        let number = registry.request_access(request.clone(), now)?;
        registry.decide_access(number, true, PLANTED_TEXT, now)
    };
    world.central.change(&operator(), "ask", ask).await.unwrap();

    let registry = world.central.snapshot().await.unwrap().registry;
    let service: &CatalogService = &registry.catalog().services[&SERVICE.parse().unwrap()];
    assert!(format!("{service:?}").contains(PLANTED[0]), "it is stored");
    let mut answers = Vec::new();
    for path in public_paths(&world).await {
        let answer = world.look_up(&path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        answers.push((path, answer.text));
    }
    assert!(answers.len() >= 11, "{}", answers.len());
    for planted in PLANTED {
        for path in [format!("/api/v1/catalog/services?q={planted}"), format!("/catalog?q={planted}")] {
            let found = world.look_up(&path).await.text;
            assert!(!found.contains(SERVICE), "{path} finds by what it does not tell");
        }
        for (path, text) in &answers {
            assert!(!text.to_lowercase().contains(&planted.to_lowercase()), "{path} tells {planted}");
        }
    }
}

/// All that is answered to anybody: as the API's description says, and the pages.
async fn public_paths(world: &World) -> Vec<String> {
    let described = world.told("/api/v1/openapi.json").await;
    let parts = SERVICE.split('/').collect::<Vec<_>>();
    let names = ["{instance}", "{class}", "{member}", "{subsystem}", "{service}"];
    let public = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(_, item)| item["get"]["security"] == json!([]));
    let mut paths: Vec<String> = public
        .map(|(path, _)| {
            names.iter().zip(&parts).fold(path.clone(), |path, (name, part)| path.replace(name, part))
        })
        .collect();
    paths.push("/api/v1/catalog/services?q=regis".into());
    paths.extend(["/catalog", "/catalog?q=regis", "/sign-in", "/invitation"].map(str::to_owned));
    paths.extend([PROVIDER, SYSTEM, SERVICE].map(|id| format!("/catalog/{id}")));
    paths
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_pages_fit_a_phone_and_need_no_mouse() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let Some(browser) = Browser::start(&world.address, "ky").await else { return };
    browser.open("/catalog").await;
    look(&browser, "20-catalog").await;
    browser.fill("q", "regis peo\u{e007}").await;
    browser.wait_for_path("/catalog?q=regis+peo").await;
    look(&browser, "21-found").await;
    browser.open(&format!("/catalog/{PROVIDER}")).await;
    look(&browser, "22-member").await;
    browser.open(&format!("/catalog/{SERVICE}")).await;
    assert!(browser.text().await.contains("Укуктук негиз"), "{}", browser.text().await);
    look(&browser, "23-service").await;
    browser.follow(".languages a[lang=uz]").await;
    assert!(browser.text().await.contains("Register of people (uz)"), "{}", browser.text().await);
}
