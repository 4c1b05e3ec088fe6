//! The operator writes the working days, and deadlines go by them.

use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::{Central, DatabaseConfig, Role};

use crate::browser::Browser;
use crate::joining::{accept, look};
use crate::world::{MEMBER, World, application, operator};

const KYRGYZSTAN: &str = "/api/v1/calendars/KG";

/// A world on a Monday, 23 November 2026, with a procedure that was submitted on it, and the operator's token.
async fn world() -> (World, String) {
    let world = World::new().await;
    let head = world.token("asanova", Role::Head, MEMBER).await;
    let desk = world.token("bekov", Role::Operator, "").await;
    world.post(&head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let application = application("Person asanova");
    let written = world.step(&head, json!({ "act": "write", "application": application })).await;
    world.step(&head, json!({ "act": "submit", "application": written["application_sha256"] })).await;
    (world, desk)
}

async fn due(world: &World, token: &str) -> Value {
    world.get(token, "/api/v1/procedures/1").await.1["deadline"]["due"].take()
}

/// The calendar of Kyrgyzstan, and the digest by which it is replaced.
async fn calendar(world: &World, token: &str) -> (Value, Value) {
    let (_, mut told) = world.get(token, "/api/v1/calendars").await;
    let mut calendars = told["calendars"].as_array_mut().unwrap().iter_mut();
    let ours = calendars.find(|calendar| calendar["tables"]["country"] == "KG").unwrap();
    (ours["tables"].take(), ours["sha256"].take())
}

/// Adds `days` to a list of 2026.
fn add(tables: &mut Value, list: &str, days: &[&str]) {
    let years = tables["years"].as_array_mut().unwrap();
    let year = years.iter_mut().find(|year| year["year"] == 2026).unwrap();
    year[list].as_array_mut().unwrap().extend(days.iter().map(|day| json!(day)));
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlines_go_by_what_the_operator_writes() {
    let (world, desk) = world().await;
    assert_eq!(due(&world, &desk).await, "2026-12-02");
    let (mut tables, read) = calendar(&world, &desk).await;
    let before = tables.clone();

    // A day off is announced, and a Saturday worked on for one of another year.
    add(&mut tables, "days_off", &["2026-11-30", "2026-12-01"]);
    add(&mut tables, "working_days", &["2026-11-28"]);
    let draft = json!({ "tables": tables, "replaces": read });
    let (status, told) = world.call("PUT", &desk, KYRGYZSTAN, Some(&draft)).await;
    assert_eq!((status, &told["tables"]), (StatusCode::OK, &tables), "{told}");
    assert_eq!(due(&world, &desk).await, "2026-12-03");

    // Whoever had read it before does not undo that unseen.
    let draft = json!({ "tables": before, "replaces": read });
    let (status, told) = world.call("PUT", &desk, KYRGYZSTAN, Some(&draft)).await;
    assert_eq!((status, &told["code"]), (StatusCode::CONFLICT, &json!("registry.changed_meanwhile")));
    assert_eq!(calendar(&world, &desk).await.0, tables);

    let (_, audit) = world.get(&desk, "/api/v1/audit").await;
    let entry = &audit["entries"][0];
    assert_eq!((&entry["act"], &entry["actor"]), (&json!("set-calendar"), &json!("person:bekov")), "{entry}");
    assert_eq!(entry["edits"][0]["after"], tables);

    // Another server on the same database goes by it too.
    let url = format!("sqlite:{}", world.folder.path().join("central.db").display());
    let database = DatabaseConfig { url, password_file: None };
    let other = Central::open(&database, world.clock.clone()).await.unwrap();
    let calendars = other.calendars().await.unwrap();
    assert_eq!(json!(calendars.of("KG").unwrap().tables()), tables);
    let unedited = calendars.of("UZ").unwrap();
    assert_eq!(unedited, uuk_central::joining::Calendar::of("UZ").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_calendar_is_refused() {
    let (world, desk) = world().await;
    let (tables, _) = calendar(&world, &desk).await;
    let with = |list: &str, day: &str| {
        let mut tables = tables.clone();
        add(&mut tables, list, &[day]);
        tables
    };
    let mut elsewhere = tables.clone();
    elsewhere["country"] = json!("XX");
    let mut far = tables.clone();
    far["utc_offset_hours"] = json!(15);
    let cases = [
        (with("days_off", "30.11.2026"), 422, "calendar.date"),
        (with("days_off", "2027-01-08"), 422, "calendar.other_year"),
        (with("working_days", "2026-05-27"), 422, "calendar.contradiction"),
        (far, 422, "calendar.offset"),
        (json!({ "country": "KG" }), 400, "console.malformed"),
        (elsewhere.clone(), 400, "console.malformed"),
    ];
    for (tables, status, code) in cases {
        let (refused, told) = world.call("PUT", &desk, KYRGYZSTAN, Some(&json!({ "tables": tables }))).await;
        assert_eq!((refused.as_u16(), &told["code"]), (status, &json!(code)), "{told}");
    }
    let draft = json!({ "tables": elsewhere });
    let (status, told) = world.call("PUT", &desk, "/api/v1/calendars/XX", Some(&draft)).await;
    assert_eq!((status.as_u16(), &told["code"]), (404, &json!("calendar.unknown")));
    assert_eq!(calendar(&world, &desk).await.0, tables);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_writes_them_in_the_browser() {
    let (world, token) = world().await;
    let Some(browser) = Browser::start(&world.address, "ru").await else { return };
    accept(&browser, &world.invite("sadykov", Role::Operator, "").await).await;
    browser.open("/procedures").await;
    browser.follow("a[href='/calendars']").await;
    look(&browser, "15-calendars").await;

    // The first year is the next one, of which nothing is known yet.
    let (days_off, working_days) = ("/tables/years/0/days_off:lines", "/tables/years/0/working_days:lines");
    browser.fill(days_off, "2027-03-09\n2027-3-10").await;
    browser.follow("form[action='/calendars/KG'] button").await;
    let text = browser.text().await;
    assert!(text.contains("Это не дата") && text.contains("calendar.date: 2027-3-10"), "{text}");
    look(&browser, "16-calendars-refused").await;
    assert_eq!(
        browser.run(&format!("return document.getElementsByName('{days_off}')[0].value")).await,
        "2027-03-09\n2027-3-10"
    );

    browser.fill(days_off, "2027-03-09\n\n2027-03-10").await;
    browser.fill(working_days, "2027-03-13").await;
    let (tables, _) = calendar(&world, &token).await;
    assert!(!tables.to_string().contains("2027"), "{tables}");
    browser.follow("form[action='/calendars/KG'] button").await;
    assert_eq!(browser.path().await, "/calendars#KG");
    let (tables, _) = calendar(&world, &token).await;
    let next = json!({
        "year": 2027, "days_off": ["2027-03-09", "2027-03-10"], "working_days": ["2027-03-13"], "complete": false,
    });
    assert_eq!(tables["years"][0], next, "{tables}");
    assert_eq!(tables["years"][1]["complete"], true);

    // Somebody else is faster.
    browser.open("/calendars").await;
    let mut others = tables.clone();
    others["years"][0]["days_off"] = json!(["2027-03-09"]);
    let others = serde_json::from_value(others).unwrap();
    world.central.set_calendar(&operator(), &others, None).await.unwrap();
    browser.fill(days_off, "2027-03-09\n2027-03-11").await;
    browser.follow("form[action='/calendars/KG'] button").await;
    let text = browser.text().await;
    assert!(text.contains("registry.changed_meanwhile") && text.contains("/years"), "{text}");

    // Who only sees them finds no form.
    let reader = Browser::start(&world.address, "ky").await.unwrap();
    accept(&reader, &world.invite("toktosunov", Role::Specialist, MEMBER).await).await;
    reader.open("/calendars").await;
    look(&reader, "17-calendars-read").await;
    let text = reader.text().await;
    assert!(text.contains("2026-05-27") && text.contains("2027-03-13"), "{text}");
    assert_eq!(reader.run("return document.querySelectorAll('textarea').length").await, 0);
}
