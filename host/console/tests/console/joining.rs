//! An applicant and an operator go through the whole procedure, each in a browser of their own and in another language.

use std::path::PathBuf;

use uuk_central::{Der, Role};
use uuk_pki::Certificate;

use crate::browser::Browser;
use crate::world::{CHECKLIST, MEMBER, SERVER, World, digest, operator};

const PASSWORD: &str = "correct horse battery";
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
    }
    browser.picture(DESK, &pictures().join(format!("{name}-{DESK}.png"))).await;
}

pub(crate) async fn accept(browser: &Browser, invitation: &str) {
    browser.open("/invitation").await;
    browser.fill("invitation", invitation).await;
    browser.fill("password", PASSWORD).await;
    browser.follow("main button").await;
    assert_eq!(browser.path().await, "/procedures");
}

async fn write_application(head: &Browser) {
    for (name, text) in [
        ("names/ky", "Калктын реестри"),
        ("names/ru", "Реестр населения"),
        ("names/en", "Registry of people"),
        ("address", "Bishkek, Manas 1"),
        ("persons/0/name", HEAD),
        ("persons/0/position", "Директор"),
        ("persons/0/authority/title", "Приказ № 12 от 01.02.2026"),
        ("systems/0/name", "Население"),
        ("systems/0/purpose", "Учёт населения"),
    ] {
        head.fill(&format!("/application/{name}"), text).await;
    }
    head.fill_day("/application/persons/0/valid_until:optional", "2027-12-31").await;
    for duty in 0..4 {
        head.click(&format!("[name='/application/persons/0/duties/{duty}']")).await;
    }
    head.step("write").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_institution_becomes_ready_in_the_browser() {
    let world = World::new().await;
    let Some(head) = Browser::start(&world.address, "ru").await else { return };
    let Some(desk) = Browser::start(&world.address, "en").await else { return };
    head.open("/").await;
    assert!(head.path().await == "/sign-in" && head.text().await.contains("Войти"));
    look(&head, "01-sign-in").await;
    accept(&head, &world.invite("asanova", Role::Head, MEMBER).await).await;
    accept(&desk, &world.invite("bekov", Role::Operator, "").await).await;

    head.follow("main form button").await;
    assert_eq!(head.path().await, "/procedures/1/application");
    write_application(&head).await;
    look(&head, "02-application").await;
    head.open("/procedures/1/print").await;
    look(&head, "03-print").await;
    head.open("/procedures/1").await;
    look(&head, "04-to-submit").await;
    head.step("submit").await;
    assert!(head.text().await.contains("Ход оператора"), "{}", head.text().await);

    desk.open("/procedures").await;
    look(&desk, "05-procedures").await;
    desk.open("/procedures/1").await;
    assert!(desk.text().await.contains("It is your turn"), "{}", desk.text().await);
    desk.step("review").await;
    for item in CHECKLIST {
        desk.click(&format!("[name='/review/items/{item}:truth'][value=yes]")).await;
    }
    look(&desk, "06-review").await;
    // A refusal without a ground is none.
    desk.fill("/explanation", "No").await;
    desk.follow("button[formaction$='/refuse']").await;
    assert!(desk.text().await.contains("at least one ground"), "{}", desk.text().await);
    look(&desk, "07-no-ground").await;
    for item in CHECKLIST {
        desk.click(&format!("[name='/review/items/{item}:truth'][value=yes]")).await;
    }
    desk.step("approve").await;

    head.open("/procedures/1").await;
    head.fill_day("/effective", "2026-12-01").await;
    look(&head, "08-agreement").await;
    head.step("sign").await;
    desk.open("/procedures/1").await;
    desk.step("sign").await;
    desk.fill("/text", "Ports 5500 and 5577.\nTwo keys.").await;
    desk.step("propose").await;
    desk.step("consent").await;
    head.open("/procedures/1").await;
    assert!(head.text().await.contains("Ports 5500 and 5577."));
    look(&head, "09-instructions").await;
    head.step("consent").await;
    head.fill("/report", "uuk doctor: all is well").await;
    head.step("report_host").await;
    head.step("report_keys").await;
    head.step("report_requests").await;

    let [authentication, signing] = world.certificates("GOV/70000002");
    head.fill("/authentication", &authentication).await;
    head.fill("/signing/0", &signing).await;
    head.step("submit_certificates").await;
    desk.open("/procedures/1").await;
    assert!(desk.text().await.contains("finds nothing that differs"), "{}", desk.text().await);
    look(&desk, "10-certificates").await;
    desk.step("verify_certificates").await;
    desk.step("register_certificates").await;
    assert!(desk.text().await.contains("joining.not_registered"), "{}", desk.text().await);
    let certificate = Der::from(Certificate::chain_from_pem(authentication.as_bytes()).unwrap().remove(0));
    let now = world.clock.now();
    let register = |registry: &mut uuk_central::Registry| {
        registry.add_member(&MEMBER.parse().unwrap(), "Registry of people")?;
        registry.add_server(&SERVER.parse().unwrap(), Some("ss1.example.kg"))?;
        registry.add_certificate(&SERVER.parse().unwrap(), &certificate, now)
    };
    world.central.change(&operator(), "register", register).await.unwrap();
    desk.step("register_certificates").await;
    desk.fill("/record", &digest("call")).await;
    desk.step("confirm_connection").await;
    desk.step("confirm_catalog").await;
    head.open("/procedures/1").await;
    assert!(head.text().await.contains("Готово"), "{}", head.text().await);
    look(&head, "11-ready").await;
    head.open("/procedures/1/print").await;
    assert!(head.text().await.contains("Свидетельство о готовности"));
    desk.open("/people").await;
    look(&desk, "12-people").await;
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
