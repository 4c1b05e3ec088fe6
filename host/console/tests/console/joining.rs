//! An applicant and an operator go through the whole procedure, each in a browser of their own and in another language.

use std::path::PathBuf;

use serde_json::{Value, json};
use uuk_central::{Role, ServiceDescription, TimeStampingService};
use uuk_pki::{Certificate, Der};
use uuk_testkit::joining::Joining;
pub(crate) use uuk_testkit::joining::accept;

use crate::accessibility::barriers;
use crate::browser::Browser;
use crate::catalog::{CONTRACT, PROVIDER, SERVICE, description};
use crate::world::{MEMBER, SERVER, World, application, digest, operator, review};

const HEAD: &str = "Person asanova";
/// No page is wider than a small phone.
const PHONE: u32 = 360;
const DESK: u32 = 1280;

/// Where pictures go, for people to look at.
fn pictures() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("pages");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

pub(crate) async fn look(browser: &Browser, name: &str) {
    for width in [DESK, PHONE] {
        browser.picture(width, &pictures().join(format!("{name}-{width}.png"))).await;
        assert!(browser.overflow().await <= 0, "{name} is wider than {width} pixels");
        let barriers = barriers(browser).await;
        assert!(barriers.is_empty(), "{name}, {width} pixels: {barriers:#?}");
    }
    browser.picture(DESK, &pictures().join(format!("{name}-{DESK}.png"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_institution_becomes_ready_in_the_browser() {
    let world = World::new().await;
    let Some(joining) = Joining::start(&world.address).await else { return };
    let Joining { head, desk } = &joining;
    head.open("/").await;
    assert!(head.path().await == "/sign-in" && head.text().await.contains("Войти"));
    look(head, "01-sign-in").await;
    accept(head, &world.invite("asanova", Role::Head, MEMBER).await).await;
    accept(desk, &world.invite("bekov", Role::Operator, "").await).await;

    joining.write(HEAD).await;
    look(head, "02-application").await;
    let order = world.folder.path().join("order.pdf");
    std::fs::write(&order, b"%PDF-1.7\n\xff order 12").unwrap();
    head.open("/procedures/1").await;
    for title in ["Приказ № 12", "Приказ № 12 от 01.02.2026"] {
        head.fill("title", title).await;
        head.choose_file("attachment", &order).await;
        head.step("attachments").await;
    }
    head.step("detach").await;
    assert!(!head.links().await.iter().any(|link| link.contains("/attachments/")));
    head.fill("title", "Приказ № 12 от 01.02.2026").await;
    head.choose_file("attachment", &order).await;
    head.step("attachments").await;
    head.open("/procedures/1/application").await;
    head.click("[name='/application/persons/0/authority/sha256:optional'] option:last-child").await;
    head.follow("main form button").await;
    look(head, "02-attachment").await;
    head.open("/procedures/1/print").await;
    look(head, "03-print").await;
    assert!(head.text().await.contains("(приложение 1)"), "{}", head.text().await);
    let paper = world.folder.path().join("paper.png");
    head.picture(DESK, &paper).await;
    head.open("/procedures/1").await;
    look(head, "04-to-submit").await;
    head.choose_file("signed_copy", &paper).await;
    head.step("signed-copy").await;
    assert!(head.links().await.iter().any(|link| link.ends_with("/procedures/1/signed-copy")));
    joining.submit().await;
    assert!(head.links().await.iter().any(|link| link.contains("/procedures/1/attachments/sha256:")));
    assert!(head.text().await.contains("Ход оператора"), "{}", head.text().await);

    let reached = head.run("return [...document.links].map(link => link.href)").await;
    for link in ["tel:+996312000000", "mailto:help@example.kg"] {
        assert!(reached.as_array().unwrap().contains(&link.into()), "{reached}");
    }
    head.click("summary").await;
    head.fill("/question", "Какой порт открыть?").await;
    head.step("ask").await;
    desk.open("/procedures").await;
    assert!(desk.text().await.contains("A question waits for an answer"), "{}", desk.text().await);
    look(desk, "05-procedures").await;
    desk.open("/procedures/1").await;
    look(desk, "05-question").await;
    desk.fill("/answer", "5500 и 5577").await;
    desk.step("answer").await;
    assert!(desk.text().await.contains("5500 и 5577"), "{}", desk.text().await);
    assert!(desk.text().await.contains("It is your turn"), "{}", desk.text().await);
    joining.review().await;
    look(desk, "06-review").await;
    // A refusal without a ground is none.
    desk.fill("/explanation", "No").await;
    desk.follow("button[formaction$='/refuse']").await;
    assert!(desk.text().await.contains("at least one ground"), "{}", desk.text().await);
    look(desk, "07-no-ground").await;
    joining.find_all_met().await;
    joining.approve().await;
    look(head, "08-agreement").await;
    joining.agree("Ports 5500 and 5577.\nTwo keys.").await;
    assert!(head.text().await.contains("Ports 5500 and 5577."));
    look(head, "09-instructions").await;
    joining.prepare().await;

    let [authentication, signing] = world.certificates("GOV/70000002");
    joining.hand_in([&authentication, &signing]).await;
    assert!(desk.text().await.contains("finds nothing that differs"), "{}", desk.text().await);
    look(desk, "10-certificates").await;
    joining.verify().await;
    joining.register().await;
    assert!(desk.text().await.contains("joining.not_registered"), "{}", desk.text().await);
    let certificate = Der::from(Certificate::chain_from_pem(authentication.as_bytes()).unwrap().remove(0));
    let now = world.clock.now();
    let register = |registry: &mut uuk_central::Registry| {
        registry.add_member(&MEMBER.parse().unwrap(), "Registry of people")?;
        registry.add_server(&SERVER.parse().unwrap(), Some("ss1.example.kg"))?;
        registry.add_certificate(&SERVER.parse().unwrap(), &certificate, now)
    };
    world.central.change(&operator(), "register", register).await.unwrap();
    joining.register().await;
    joining.finish(&digest("call")).await;
    assert!(head.text().await.contains("Готово"), "{}", head.text().await);
    look(head, "11-ready").await;
    head.open("/procedures/1/print").await;
    assert!(head.text().await.contains("Свидетельство о готовности"));
    desk.open("/people").await;
    look(desk, "12-people").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_language_is_chosen_by_a_link() {
    let world = World::new().await;
    let Some(browser) = Browser::start(&world.address, "en").await else { return };
    browser.open("/sign-in").await;
    for (code, expected) in [("ky", "Кирүү"), ("uz", "Kirish"), ("ru", "Войти"), ("en", "Sign in")]
    {
        browser.follow(&format!(".languages a[lang={code}]")).await;
        assert!(browser.text().await.contains(expected), "{code}: {}", browser.text().await);
    }
}

#[tokio::test]
async fn technical_instructions_are_drafted_from_what_is_known() {
    let world = World::new().await;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    let operator_token = &world.token("bekov", Role::Operator, "").await;
    let stamping = &world.instance.time_stamping;
    let stamper =
        TimeStampingService { url: stamping.url(), certificate: Der::from(stamping.certificate().clone()) };
    let approve =
        |registry: &mut uuk_central::Registry| registry.set_time_stamping_service("Stamper", stamper.clone());
    world.central.change(&operator(), "approve", approve).await.unwrap();
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let mut written = application("Person asanova");
    // What somebody writes is no part of the draft's own.
    written["systems"][0]["purpose"] = json!("Registers {persons}</textarea>");
    let written = world.step(head, json!({ "act": "write", "application": written })).await;
    assert_eq!(written["instruction_facts"], Value::Null, "nobody drafts yet");
    world.step(head, json!({ "act": "submit", "application": written["application_sha256"] })).await;
    world.step(operator_token, json!({ "act": "review" })).await;
    world.step(operator_token, json!({ "act": "approve", "review": review() })).await;
    let agreement = json!({ "act": "sign", "text": "We agree.", "effective": "2026-12-01" });
    world.step(head, agreement.clone()).await;
    let signed = world.step(operator_token, agreement).await;
    let facts = &signed["instruction_facts"];
    assert_eq!(facts["instance"], "KG");

    let cookie = world.sign_in("isakova", Role::Operator, "").await;
    for (language, named) in [("ky", "Мекеме"), ("ru", "Учреждение"), ("en", "An institution")]
    {
        let headers = [("cookie", cookie.clone()), ("accept-language", language.to_owned())];
        let page = world.send("GET", "/procedures/1", &headers, "").await.text;
        let (_, form) = page.split_once("name=\"/text\"").unwrap();
        let (_, form) = form.split_once('>').unwrap();
        let (draft, _) = form.split_once("</textarea>").unwrap();
        let source = facts["sources"][0].as_str().unwrap();
        let authority = facts["certification"][0].as_str().unwrap();
        for told in [
            format!("\n{named}, Bishkek, Manas 1\n"),
            format!("   - {source}\n"),
            format!("   - {authority}\n"),
            format!("   - Stamper, {}\n", stamper.url),
            "   - People: Registers {persons}&lt;/textarea&gt;\n".to_owned(),
            "   - Person asanova, Head: ".to_owned(),
            "   - …\n".to_owned(),
        ] {
            assert!(draft.contains(&told), "{language}: {told}: {draft}");
        }
    }
    let proposed = world.step(operator_token, json!({ "act": "propose", "text": "Port 5500" })).await;
    assert_eq!(proposed["instruction_facts"], Value::Null, "there are instructions to go on from");
}

#[tokio::test]
async fn who_reviews_is_told_what_speaks_against_the_applicant() {
    let world = World::new().await;
    world.furnish().await;
    let head = &world.token("osmonova", Role::Head, PROVIDER).await;
    let operator_token = &world.token("bekov", Role::Operator, "").await;
    let unfit = ServiceDescription { tariff: String::new(), ..description() };
    world.central.draft_service(&operator(), unfit, CONTRACT.as_bytes()).await.unwrap();
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let written = json!({ "act": "write", "application": application("Person asanova") });
    let written = world.step(head, written).await;
    let submitted = json!({ "act": "submit", "application": written["application_sha256"] });
    let submitted = world.step(head, submitted).await;
    assert_eq!(submitted["findings"], json!([]), "nothing for who does not decide");
    let reviewed = world.step(operator_token, json!({ "act": "review" })).await;
    let [submitter, draft] = reviewed["findings"].as_array().unwrap().as_slice() else {
        panic!("{}", reviewed["findings"]);
    };
    assert_eq!(submitter, &json!({ "finding": "submitter", "person": "Person osmonova" }));
    assert_eq!(draft["service"], SERVICE);
    assert_eq!(draft["flaws"][0]["code"], "catalog_entry.blank");

    let cookie = world.sign_in("isakova", Role::Reviewer, "").await;
    let headers = [("cookie", cookie.clone()), ("accept-language", "ru".to_owned())];
    let page = world.send("GET", "/procedures/1", &headers, "").await.text;
    for told in [
        "Заявку подал(а) Person osmonova, чьих действующих полномочий в ней нет.",
        "Черновик KG/GOV/70000001/registry/person не готов к публикации:",
        "<li>tariff: ",
        "value=\"unauthorised_person\" checked>",
        "value=\"catalog_data\" checked>",
        "value=\"technical_requirements\">",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }

    // Named with authority that is in force, and with a draft that is fit, there is nothing to tell.
    world.step(operator_token, json!({ "act": "return", "explanation": "Who are you?" })).await;
    let written = json!({ "act": "write", "application": application("Person osmonova") });
    let written = world.step(head, written).await;
    world.step(head, json!({ "act": "submit", "application": written["application_sha256"] })).await;
    world.central.draft_service(&operator(), description(), CONTRACT.as_bytes()).await.unwrap();
    let reviewed = world.step(operator_token, json!({ "act": "review" })).await;
    assert_eq!(reviewed["findings"], json!([]));
}
