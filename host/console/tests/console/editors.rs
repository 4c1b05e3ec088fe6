//! A member's editors describe and publish a service; a consumer asks for access; the provider decides.

use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::Role;
use uuk_identifiers::SubsystemId;

use crate::browser::Browser;
use crate::catalog::{CONTRACT, PROVIDER, SERVICE, SYSTEM, description, texts};
use crate::joining::{accept, look};
use crate::pages::{form, form_token};
use crate::world::{MEMBER, World, operator};

const CONSUMER: &str = "KG/GOV/70000002/portal";

fn service_path() -> String {
    format!("/api/v1/services/{SERVICE}")
}

fn draft() -> Value {
    json!({ "description": description(), "contract": CONTRACT })
}

fn request() -> Value {
    json!({
        "consumer": CONSUMER, "service": SERVICE, "purpose": "pensions", "legal_basis": "Law 7",
        "fields": ["/get/answer/name"], "until": "2027-12-31T00:00:00Z", "calls_per_day": 10,
    })
}

impl World {
    /// A subsystem that calls.
    async fn furnish_consumer(&self) {
        self.furnish().await;
        let consumer: SubsystemId = CONSUMER.parse().unwrap();
        self.central
            .change(&operator(), "furnish", |registry| registry.add_subsystem(&consumer, None))
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_publishes_once_every_field_is_classified() {
    let world = World::new().await;
    world.furnish().await;
    let editor = &world.token("editor", Role::CatalogEditor, PROVIDER).await;
    let mut incomplete = draft();
    incomplete["description"]["classification"] = json!({ "/get/request/pin": "personal" });
    assert_eq!(world.call("PUT", editor, &service_path(), Some(&incomplete)).await.0, StatusCode::OK);
    let (_, shown) = world.get(editor, &service_path()).await;
    let codes: Vec<_> = shown["flaws"].as_array().unwrap().iter().map(|flaw| flaw["code"].clone()).collect();
    assert_eq!(codes, ["catalog_entry.unclassified", "catalog_entry.unclassified"]);
    let editions = format!("{}/editions", service_path());
    let (status, refused) = world.post(editor, &editions, &json!({})).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("catalog_publishing.unfit")));

    assert_eq!(world.call("PUT", editor, &service_path(), Some(&draft())).await.0, StatusCode::OK);
    let (status, published) = world.post(editor, &editions, &json!({})).await;
    assert_eq!((status, &published["edition"]), (StatusCode::CREATED, &json!(1)));
    let entry = world.audit().await.pop().unwrap();
    assert_eq!((entry.actor.to_string().as_str(), entry.act.as_str()), ("person:editor", "publish-service"));
    let edit = &entry.edits[0];
    assert!(edit.before.is_some() && edit.after.is_some(), "what was there before is noted too");
    assert_eq!(world.call("DELETE", editor, &service_path(), None).await.0, StatusCode::OK);
    assert_eq!(world.get(editor, &service_path()).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_editors_the_second_is_told_and_sees_both() {
    let world = World::new().await;
    world.furnish().await;
    world.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
    let cookie = ("cookie", world.sign_in("editor", Role::CatalogEditor, PROVIDER).await);
    let language = ("accept-language", "en".to_owned());
    let headers = [cookie, language, form()];
    let (service, system) = (format!("/services/{SERVICE}"), format!("/systems/{SYSTEM}"));
    for (page, fields) in [
        (
            &service,
            "&/legal_basis=LAW&/tariff=free&/title/en=T&/description/en=D\
            &/service_level/answer_time_ms:number=1&/service_level/decision_days:number=1&/service_level/down_minutes_per_month_max:number=1",
        ),
        (
            &system,
            "&/title/ky=LAW&/title/ru=T&/title/uz=T&/title/en=T&/description/ky=T&/description/ru=T&/description/uz=T&/description/en=T",
        ),
    ] {
        let shown = world.send("GET", page, &headers[..2], "").await.text;
        let replaces = shown.split_once("name=\"replaces\" value=\"").unwrap().1.split('"').next().unwrap();
        let body = |law: &str| {
            format!("form_token={}&replaces={replaces}{}", form_token(&shown), fields.replace("LAW", law))
        };
        let describe = format!("{page}/describe");
        let first = world.send("POST", &describe, &headers, &body("Act+of+the+first")).await;
        assert_eq!(first.status, StatusCode::SEE_OTHER, "{}", first.text);
        let second = world.send("POST", &describe, &headers, &body("Act+of+the+second")).await;
        assert_eq!(second.status, StatusCode::CONFLICT);
        for told in ["registry.changed_meanwhile", "Act of the first", "Act of the second"] {
            assert!(second.text.contains(told), "{told}: {}", second.text);
        }
        let shown = world.send("GET", page, &headers[..2], "").await.text;
        assert!(shown.contains("Act of the first") && !shown.contains("Act of the second"), "{shown}");
    }

    let editor = &world.token("program", Role::CatalogEditor, PROVIDER).await;
    let (_, read) = world.get(editor, &service_path()).await;
    let mut change = draft();
    change["description"]["resource"] = Value::Null;
    change["replaces"] = read["sha256"].clone();
    assert_eq!(world.call("PUT", editor, &service_path(), Some(&change)).await.0, StatusCode::OK);
    let (status, refused) = world.call("PUT", editor, &service_path(), Some(&change)).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("registry.changed_meanwhile")));
}

#[tokio::test(flavor = "multi_thread")]
async fn beginning_a_service_that_is_there_leaves_it_as_it_is() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let before = world.central.snapshot().await.unwrap().registry.catalog().services.clone();
    let cookie = ("cookie", world.sign_in("editor", Role::CatalogEditor, PROVIDER).await);
    let page = world.send("GET", "/services", std::slice::from_ref(&cookie), "").await;
    let body = format!("form_token={}&system={SYSTEM}&code=person", form_token(&page.text));
    let begun = world.send("POST", "/services", &[cookie, form()], &body).await;
    assert_eq!(begun.status, StatusCode::SEE_OTHER, "{}", begun.text);
    assert_eq!(world.central.snapshot().await.unwrap().registry.catalog().services, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_changes_only_what_is_of_their_member() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let other = &world.token("other", Role::CatalogEditor, MEMBER).await;
    let system = json!({ "description": { "title": texts("x"), "description": texts("x") } });
    let tried = [
        ("PUT", service_path(), Some(draft())),
        ("POST", format!("{}/editions", service_path()), Some(json!({}))),
        ("DELETE", service_path(), None),
        ("GET", service_path(), None),
        ("PUT", format!("/api/v1/systems/{SYSTEM}"), Some(system)),
    ];
    for (method, path, body) in tried {
        let (status, _) = world.call(method, other, &path, body.as_ref()).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
        let noted = world.audit().await.pop().unwrap();
        assert!(noted.act.starts_with("denied-") && noted.actor.to_string() == "person:other", "{noted:?}");
    }
    assert_eq!(world.get(other, "/api/v1/systems").await.1["systems"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_decides_on_access_and_may_take_it_back() {
    let world = World::new().await;
    world.furnish_consumer().await;
    world.publish().await;
    let consumer = &world.token("consumer", Role::Head, MEMBER).await;
    let provider = &world.token("provider", Role::Head, PROVIDER).await;
    let (status, asked) = world.post(consumer, "/api/v1/accesses", &request()).await;
    assert_eq!((status, &asked["number"]), (StatusCode::CREATED, &json!(1)));
    let decision = "/api/v1/accesses/1/decision";
    let grant = json!({ "granted": true, "note": "as agreed" });
    assert_eq!(world.post(consumer, decision, &grant).await.0, StatusCode::FORBIDDEN, "not by who asks");
    assert_eq!(world.post(provider, decision, &grant).await.0, StatusCode::OK);
    let (_, listed) = world.get(consumer, "/api/v1/accesses").await;
    let desk = &listed["accesses"][0]["support"][0];
    assert_eq!(desk["mail"], "planted@example.kg", "consumers with access see who helps");
    assert_eq!(
        (&listed["accesses"][0]["counts"], &listed["accesses"][0]["is_provider"]),
        (&json!(true), &json!(false))
    );
    let refuse = json!({ "granted": false, "note": "the law was changed" });
    assert_eq!(world.post(provider, decision, &refuse).await.0, StatusCode::OK);
    assert_eq!(world.post(provider, decision, &grant).await.0, StatusCode::CONFLICT);
    let (_, listed) = world.get(provider, "/api/v1/accesses").await;
    assert_eq!(
        (&listed["accesses"][0]["counts"], &listed["accesses"][0]["support"]),
        (&json!(false), &json!([]))
    );
    let third = &world.token("third", Role::Head, "KG/GOV/70000009").await;
    assert_eq!(world.get(third, "/api/v1/accesses").await.1["accesses"], json!([]));
    let others = json!({ "consumer": PROVIDER, "service": SERVICE });
    let mut in_their_name = request();
    in_their_name["consumer"] = others["consumer"].clone();
    assert_eq!(world.post(consumer, "/api/v1/accesses", &in_their_name).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_described_published_and_granted_in_the_browser() {
    let world = World::new().await;
    world.furnish_consumer().await;
    let Some(editor) = Browser::start(&world.address, "ru").await else { return };
    let Some(consumer) = Browser::start(&world.address, "en").await else { return };
    accept(&editor, &world.invite("editor", Role::CatalogEditor, PROVIDER).await).await;
    editor.open("/services").await;
    editor.fill("code", "person").await;
    look(&editor, "30-own-services").await;
    editor.follow("form[action='/services'] button").await;
    assert_eq!(editor.path().await, format!("/services/{SERVICE}"));

    for language in ["ky", "ru", "uz", "en"] {
        editor.fill(&format!("/title/{language}"), "Register of people").await;
        editor.fill(&format!("/description/{language}"), "Who bears a number").await;
    }
    editor.fill("/legal_basis", "Law 12").await;
    editor.fill("/tariff", "free").await;
    editor.fill("/support/0/name", "Service desk").await;
    editor.step("describe").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("person.json");
    std::fs::write(&file, CONTRACT).unwrap();
    editor.choose_file("contract", &file).await;
    editor.step("contract").await;
    // What is missing stands where it is to be given.
    assert!(editor.text().await.contains("Укажите, что это за поле"), "{}", editor.text().await);
    look(&editor, "31-findings").await;
    editor.step("publish").await;
    assert!(editor.text().await.contains("catalog_publishing.unfit"), "{}", editor.text().await);
    for (field, class) in [("request/pin", "personal"), ("answer/name", "personal"), ("answer/sex", "none")] {
        editor.click(&format!("[name='class /get/{field}'][value={class}]")).await;
    }
    editor.fill("sample get", r#"{"name":"Invented"}"#).await;
    editor.step("classify").await;
    look(&editor, "32-complete").await;
    // Somebody else is faster.
    world.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
    editor.fill("/tariff", "ten som a call").await;
    editor.step("describe").await;
    let told = editor.text().await;
    assert!(told.contains("ten som a call") && told.contains("free of charge"), "{told}");
    look(&editor, "35-overtaken").await;
    editor.step("publish").await;
    assert!(editor.text().await.contains("опубликована редакция 1"), "{}", editor.text().await);

    accept(&consumer, &world.invite("consumer", Role::Head, MEMBER).await).await;
    consumer.open(&format!("/catalog/{SERVICE}")).await;
    consumer.follow("a[href^='/accesses/KG']").await;
    consumer.fill("purpose", "Paying pensions").await;
    consumer.fill("legal_basis", "Law 7").await;
    consumer.click("[name=field][value='/get/answer/name']").await;
    consumer.fill_day("until", "2027-12-31").await;
    consumer.fill("calls_per_day", "10").await;
    look(&consumer, "33-ask").await;
    consumer.follow("main form button").await;
    assert!(consumer.text().await.contains("waits for the provider"), "{}", consumer.text().await);

    editor.open("/accesses").await;
    editor.fill("/note", "по договору").await;
    look(&editor, "34-accesses").await;
    editor.follow("button[name='/granted:truth'][value=yes]").await;
    assert!(editor.text().await.contains("предоставлен"), "{}", editor.text().await);
    consumer.open("/accesses").await;
    assert!(consumer.text().await.contains("granted"), "{}", consumer.text().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_looked_through_is_confirmed_in_the_browser() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    world.advance(183);
    let Some(editor) = Browser::start(&world.address, "ru").await else { return };
    accept(&editor, &world.invite("editor", Role::CatalogEditor, PROVIDER).await).await;
    editor.open("/services").await;
    look(&editor, "36-stale").await;
    assert!(editor.text().await.contains("Никто не проверял это с 2026-11-23"), "{}", editor.text().await);
    editor.follow(&format!("a[href='/services/{SERVICE}']")).await;
    look(&editor, "37-to-confirm").await;
    editor.step("confirm").await;
    assert!(editor.text().await.contains("Подтверждено 2027-05-25"), "{}", editor.text().await);
    editor.open(&format!("/catalog/{SERVICE}")).await;
    assert!(editor.text().await.contains("Подтверждено 2027-05-25"), "{}", editor.text().await);
}
