//! Who did what: looked through by the auditor.

use http::StatusCode;
use serde_json::json;
use uuk_central::Role;

use crate::browser::Browser;
use crate::joining::{accept, look};
use crate::world::{MEMBER, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_is_read_in_parts_and_searched() {
    let world = World::new().await;
    let auditor = world.token("isakov", Role::Auditor, "").await;
    let editor = world.token("asanova", Role::CatalogEditor, MEMBER).await;
    for _ in 0..120 {
        assert_eq!(world.get(&editor, "/api/v1/people").await.0, StatusCode::FORBIDDEN);
    }
    let (status, last) = world.get(&auditor, "/api/v1/audit").await;
    assert_eq!(status, StatusCode::OK, "{last}");
    let (entries, next) = (last["entries"].as_array().unwrap(), last["next"].as_i64().unwrap());
    assert_eq!(entries.len(), 100);
    assert_eq!(entries[0]["act"], "denied-see-people");
    assert_eq!(entries[99]["number"], next);

    let (_, older) = world.get(&auditor, &format!("/api/v1/audit?before={next}")).await;
    assert_eq!((&older["entries"][0]["number"], &older["next"]), (&json!(next - 1), &json!(null)));
    let (_, found) = world.get(&auditor, "/api/v1/audit?contains=found-instance").await;
    assert_eq!(found["entries"].as_array().unwrap().len(), 1, "{found}");
    let (status, told) = world.get(&auditor, "/api/v1/audit?before=x").await;
    assert_eq!((status.as_u16(), &told["code"]), (400, &json!("console.malformed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auditor_searches_in_the_browser() {
    let world = World::new().await;
    let Some(browser) = Browser::start(&world.address, "uz").await else { return };
    accept(&browser, &world.invite("isakov", Role::Auditor, "").await).await;
    browser.open("/audit").await;
    browser.fill("contains", "isakov").await;
    browser.follow("form.search button").await;
    assert_eq!(browser.run("return document.querySelectorAll('details.entry').length").await, 2);
    browser.click("details.entry summary").await;
    look(&browser, "18-audit").await;
    let text = browser.text().await;
    assert!(
        text.contains("set-password")
            && text.contains("/has_password")
            && text.contains("Harakatlar jurnali"),
        "{text}"
    );
}
