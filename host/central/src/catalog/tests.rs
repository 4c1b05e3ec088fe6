use serde_json::json;
use uuk_globalconf::InstanceGovernance;
use uuk_identifiers::{MemberId, SubsystemId};
use uuk_process::Clock;

use super::*;
use uuk_pki::Der;

use crate::config::DatabaseConfig;
use crate::registry::{Registry, Settings};

const CONTRACT: &str = r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/people/{pin}":{"get":{
    "operationId":"get","parameters":[{"name":"pin","in":"path","required":true,"schema":{"type":"string"}}],
    "responses":{"200":{"description":"d","content":{"application/json":{"schema":{
        "type":"object","required":["name"],"properties":{"name":{"type":"string"}}}}}}}}}}}"#;

fn texts(text: &str) -> Texts {
    LANGUAGES.iter().map(|language| ((*language).to_owned(), text.to_owned())).collect()
}

fn description(service: &str) -> ServiceDescription {
    ServiceDescription {
        service: service.parse().unwrap(),
        resource: None,
        title: texts("Register of people"),
        description: texts("Who bears a number"),
        legal_basis: "Law 1 of 2020".into(),
        tariff: "free".into(),
        service_level: ServiceLevel {
            down_minutes_per_month_max: 40,
            answer_time_ms: 500,
            decision_days: 10,
        },
        support: vec![Contact {
            name: "Plantedname".into(),
            phone: Some("+996555000111".into()),
            mail: Some("planted@example.kg".into()),
        }],
        classification: [
            ("/get/request/pin", Classification::Personal),
            ("/get/answer/name", Classification::Personal),
        ]
        .map(|(field, class)| (field.to_owned(), class))
        .into(),
        samples: [("get".to_owned(), json!({ "name": "Samplename" }))].into(),
    }
}

const SERVICE_ID: &str = "KG/GOV/70000001/registry/person";

/// A central server with one information system.
async fn central() -> (tempfile::TempDir, Central, Actor) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("central.db").display());
    let clock = Clock::system();
    let central = Central::open(&DatabaseConfig { url, password_file: None }, clock.clone()).await.unwrap();
    let authority = uuk_testkit::authority::Authority::new("Signer", jiff::Zoned::now().date()).unwrap();
    let certificate = authority.issue("Signer", uuk_testkit::authority::KeyKind::P256).unwrap();
    let management = "KG/GOV/10000001/management".parse().unwrap();
    let settings = Settings::new("KG", "127.0.0.1:8080", management);
    let registry = Registry::new(settings, Der::new(&certificate.der()).unwrap(), clock.now()).unwrap();
    let actor: Actor = "test".parse().unwrap();
    central.found(&actor, registry).await.unwrap();
    let member: MemberId = "KG/GOV/70000001".parse().unwrap();
    let subsystem: SubsystemId = "KG/GOV/70000001/registry".parse().unwrap();
    let furnish = |registry: &mut Registry| {
        registry.set_member_class("GOV", "Government")?;
        registry.add_member(&member, "Registry")?;
        registry.add_subsystem(&subsystem, None)?;
        let (title, description) = (texts("Population"), texts("Who lives here"));
        let system = InformationSystem { title, description, resources: Default::default() };
        registry.set_information_system(&subsystem, system)
    };
    central.change(&actor, "furnish", furnish).await.unwrap();
    (folder, central, actor)
}

fn flaws_of(description: &ServiceDescription) -> Vec<String> {
    lint(description, CONTRACT.as_bytes()).0.iter().map(ToString::to_string).collect()
}

#[test]
fn a_field_that_nobody_classified_is_named_by_its_pointer() {
    let mut description = description(SERVICE_ID);
    assert_eq!(flaws_of(&description), [""; 0]);
    description.classification.remove("/get/answer/name");
    assert_eq!(flaws_of(&description), ["the field `/get/answer/name` is not classified"]);
}

#[test]
fn refuses_what_is_incomplete_or_does_not_fit() {
    let check = |spoil: fn(&mut ServiceDescription), code: &str| {
        let mut description = description(SERVICE_ID);
        spoil(&mut description);
        let codes: Vec<_> = lint(&description, CONTRACT.as_bytes()).0.iter().map(Flaw::code).collect();
        assert_eq!(codes, [code]);
    };
    check(|one| drop(one.title.remove("ky")), "catalog_entry.text_missing");
    check(|one| drop(one.title.insert("fr".into(), "x".into())), "catalog_entry.language_unknown");
    check(|one| one.legal_basis.clear(), "catalog_entry.blank");
    check(
        |one| one.classification.extend([("/get/answer/age".to_owned(), Classification::None)]),
        "catalog_entry.field_unknown",
    );
    check(|one| one.samples.clear(), "catalog_entry.sample_missing");
    check(|one| drop(one.samples.insert("get".into(), json!({ "nom": 1 }))), "catalog_entry.sample_unfit");
    check(|one| drop(one.samples.insert("find".into(), json!({}))), "catalog_entry.sample_unknown");
    check(|one| one.tariff = "ask +996 312 000 000".into(), "catalog_entry.tells_of_people");
    check(
        |one| drop(one.title.insert("en".into(), "Of planted@example.kg".into())),
        "catalog_entry.tells_of_people",
    );
    let (flaws, contract) = lint(&description(SERVICE_ID), b"openapi: 3.1.0\npaths: []");
    assert!(contract.is_none() && flaws.iter().any(|flaw| flaw.code() == "catalog_entry.contract"));
}

#[test]
fn refuses_a_contract_that_tells_of_people() {
    let check = |from: &str, to: &str, expected: &[&str]| {
        let contract = CONTRACT.replace(from, to);
        let flaws = lint(&description(SERVICE_ID), contract.as_bytes()).0;
        let places: Vec<_> = flaws.iter().map(ToString::to_string).collect();
        let expected: Vec<_> =
            expected.iter().map(|at| format!("`{at}` tells the public of people")).collect();
        assert_eq!(places, expected, "{contract}");
    };
    let schema = "/paths/~1people~1{pin}/get/responses/200/content/application~1json/schema/properties/name";
    let name = r#""name":{"type":"string"}"#;
    check(r#""title":"t""#, r#""title":"t","contact":{"name":"Someone"}"#, &["/info/contact"]);
    let example = r#""name":{"type":"string","example":"Asan"}"#;
    check(name, example, &[&format!("{schema}/example")]);
    let described = r#""name":{"type":"string","description":"ask a@b.kg"}"#;
    check(name, described, &[&format!("{schema}/description")]);
    // In no tree: only whoever downloads the contract reads it.
    let commented = format!("# ask a@b.kg\n{CONTRACT}");
    let flaws = lint(&description(SERVICE_ID), commented.as_bytes()).0;
    let places: Vec<_> = flaws.iter().map(ToString::to_string).collect();
    assert_eq!(places, ["`line 1 of the contract` tells the public of people"]);
    // A field may be called so.
    let mut of_field = description(SERVICE_ID);
    of_field.classification.insert("/get/answer/example".into(), Classification::None);
    let contract = CONTRACT.replace(name, r#""name":{"type":"string"},"example":{"type":"string"}"#);
    assert!(lint(&of_field, contract.as_bytes()).0.is_empty());
}

#[tokio::test]
async fn publishes_what_is_fit_and_finds_it_by_the_beginning_of_words() {
    let (_folder, central, actor) = central().await;
    let id: ServiceId = SERVICE_ID.parse().unwrap();
    central.draft_service(&actor, description(SERVICE_ID), CONTRACT.as_bytes()).await.unwrap();
    assert!(central.search_catalog("people").await.unwrap().is_empty(), "a draft is nobody's business");
    assert!(central.snapshot().await.unwrap().registry.catalog().published().service(&id).is_none());
    assert_eq!(central.publish_service(&actor, &id, false).await.unwrap(), 1);
    for question in ["people", "REG peop", "70000001", "name"] {
        assert_eq!(central.search_catalog(question).await.unwrap().len(), 1, "{question}");
    }
    for question in ["peoples", "people absent", "", "planted"] {
        assert!(central.search_catalog(question).await.unwrap().is_empty(), "{question}");
    }
    let published = central.snapshot().await.unwrap().registry.catalog().published();
    assert!(published.service(&id).unwrap().personal, "servers learn that it gives out data about people");
    assert_eq!(published.service(&id).unwrap().contract, Sha256::of(CONTRACT.as_bytes()));
    central.change(&actor, "withdraw", |registry| registry.withdraw_service(&id)).await.unwrap();
    assert!(central.search_catalog("people").await.unwrap().is_empty());
}

#[tokio::test]
async fn an_edition_that_breaks_consumers_is_refused_and_says_how() {
    let (_folder, central, actor) = central().await;
    let id: ServiceId = SERVICE_ID.parse().unwrap();
    central.draft_service(&actor, description(SERVICE_ID), CONTRACT.as_bytes()).await.unwrap();
    central.publish_service(&actor, &id, false).await.unwrap();
    let optional = CONTRACT.replace(r#""required":["name"],"#, "");
    central.draft_service(&actor, description(SERVICE_ID), optional.as_bytes()).await.unwrap();
    let Err(PublishingError::Breaks { breakages, .. }) = central.publish_service(&actor, &id, false).await
    else {
        panic!("published");
    };
    assert_eq!(breakages, [Breakage::AnswerFieldOptional("/get/answer/name".into())]);
    assert_eq!(central.publish_service(&actor, &id, true).await.unwrap(), 2);
}

#[tokio::test]
async fn refuses_a_service_of_a_system_that_nobody_described() {
    let (_folder, central, actor) = central().await;
    let elsewhere = description("KG/GOV/70000001/other/person");
    let error = central.draft_service(&actor, elsewhere, CONTRACT.as_bytes()).await.unwrap_err();
    assert!(error.to_string().contains("information system `KG/GOV/70000001/other`"), "{error}");
}

#[tokio::test]
async fn the_public_is_told_of_no_person() {
    let (_folder, central, actor) = central().await;
    let id: ServiceId = SERVICE_ID.parse().unwrap();
    central.draft_service(&actor, description(SERVICE_ID), CONTRACT.as_bytes()).await.unwrap();
    central.publish_service(&actor, &id, false).await.unwrap();
    let found = central.search_catalog("people").await.unwrap();
    let told = serde_json::to_string(&found).unwrap();
    assert!(told.contains("Register of people"));
    let registry = central.snapshot().await.unwrap().registry;
    let governance = String::from_utf8(registry.governance().unwrap().write().unwrap()).unwrap();
    for planted in ["Plantedname", "996555000111", "planted@", "Samplename"] {
        assert!(!told.contains(planted) && !governance.contains(planted), "{planted}");
    }
}

#[tokio::test]
async fn one_member_does_not_use_up_the_requests_of_all() {
    let (_folder, central, actor) = central().await;
    let id: ServiceId = SERVICE_ID.parse().unwrap();
    central.draft_service(&actor, description(SERVICE_ID), CONTRACT.as_bytes()).await.unwrap();
    central.publish_service(&actor, &id, false).await.unwrap();
    let mut registry = Registry::clone(&central.snapshot().await.unwrap().registry);
    let other: MemberId = "KG/GOV/70000002".parse().unwrap();
    registry.add_member(&other, "Other").unwrap();
    let now = central.clock().now();
    let mut ask = |consumer: &str| {
        let request = AccessRequest {
            consumer: consumer.parse().unwrap(),
            service: id.clone(),
            purpose: "pensions".into(),
            legal_basis: "Law 2".into(),
            fields: Default::default(),
            until: now + jiff::SignedDuration::from_hours(24),
            calls_per_day: 100,
        };
        registry.request_access(request, now)
    };
    for _ in 0..2_000 {
        ask("KG/GOV/70000001").unwrap();
    }
    assert_eq!(ask("KG/GOV/70000001/registry").unwrap_err().code(), "registry.too_many_accesses");
    ask("KG/GOV/70000002").unwrap();
}

#[tokio::test]
async fn access_is_asked_for_granted_and_ends() {
    let (_folder, central, actor) = central().await;
    let id: ServiceId = SERVICE_ID.parse().unwrap();
    central.draft_service(&actor, description(SERVICE_ID), CONTRACT.as_bytes()).await.unwrap();
    central.publish_service(&actor, &id, false).await.unwrap();
    let now = central.clock().now();
    let until = now + jiff::SignedDuration::from_hours(24);
    let request = AccessRequest {
        consumer: "KG/GOV/70000001".parse().unwrap(),
        service: id,
        purpose: "pensions".into(),
        legal_basis: "Law 2".into(),
        fields: ["/get/answer/name".to_owned()].into(),
        until,
        calls_per_day: 100,
    };
    let ask = |request: AccessRequest| {
        let (central, actor) = (&central, &actor);
        async move { central.change(actor, "ask", |registry| registry.request_access(request.clone(), now)).await }
    };
    let unknown = AccessRequest { fields: ["/get/answer/age".to_owned()].into(), ..request.clone() };
    assert!(ask(unknown).await.unwrap_err().to_string().contains("/get/answer/age"));
    let over = AccessRequest { until: now, ..request.clone() };
    assert_eq!(ask(over).await.unwrap_err().code(), "registry.over");
    let number = ask(request).await.unwrap();
    let decide = |granted| {
        let (central, actor) = (&central, &actor);
        async move {
            central
                .change(actor, "decide", |registry| registry.decide_access(number, granted, "ok", now))
                .await
        }
    };
    let served = async || {
        let registry = central.snapshot().await.unwrap().registry;
        let governance = InstanceGovernance::read(&registry.governance().unwrap().write().unwrap()).unwrap();
        let (client, service) = ("KG/GOV/70000001".parse().unwrap(), SERVICE_ID.parse().unwrap());
        [now, until].map(|at| governance.accesses.cover(&client, &service, at))
    };
    assert_eq!(served().await, [false, false], "asked for");
    let late = |registry: &mut Registry| registry.decide_access(number, true, "ok", until);
    assert_eq!(central.change(&actor, "decide", late).await.unwrap_err().code(), "registry.over");
    decide(true).await.unwrap();
    assert_eq!(served().await, [true, true], "granted");
    let access = central.snapshot().await.unwrap().registry.catalog().accesses[&number].clone();
    assert!(access.counts(until) && !access.counts(until + jiff::SignedDuration::from_secs(1)));
    assert!(decide(true).await.is_err(), "decided already");
    decide(false).await.unwrap();
    assert_eq!(served().await, [false, false], "taken back");
    assert!(!central.snapshot().await.unwrap().registry.catalog().accesses[&number].counts(now));
    assert!(decide(true).await.is_err(), "what was refused is asked for anew");
}

#[test]
fn what_was_kept_before_providers_promised_to_decide_is_read() {
    let mut description = serde_json::to_value(description("KG/GOV/70000001/registry/person")).unwrap();
    description["service_level"].as_object_mut().unwrap().remove("decision_days");
    let read: ServiceDescription = serde_json::from_value(description).unwrap();
    assert_eq!(read.service_level.decision_days, 10);
    let request = json!({
        "consumer": "KG/GOV/70000002", "service": "KG/GOV/70000001/registry/person", "purpose": "x",
        "legal_basis": "x", "fields": [], "until": "2027-12-31T00:00:00Z", "calls_per_day": 1,
    });
    let access = json!({ "request": request, "asked_at": "2020-01-01T00:00:00Z", "decision": null });
    let access: Access = serde_json::from_value(access).unwrap();
    assert!(!access.is_overdue(jiff::Timestamp::MAX), "nothing was promised");
}
