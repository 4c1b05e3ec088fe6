//! A code beside the password: set up, asked for, lost, and taken away.

use std::process::Command;
use std::time::Duration;

use http::StatusCode;
use uuk_central::Role;

use crate::browser::Browser;
use crate::joining::{accept, look};
use crate::pages::{form, form_token};
use crate::world::{MEMBER, World};

const STEP: Duration = Duration::from_secs(30);
const NAME: &str = "asanova";
const PASSWORD: &str = "correct horse battery";

/// The code that an app shows now: RFC 6238 as Python has it.
fn code(world: &World, key: &str) -> String {
    const APP: &str = "import base64, hmac, struct, sys\n\
        tag = hmac.new(base64.b32decode(sys.argv[1]), struct.pack('>Q', int(sys.argv[2]) // 30), 'sha1').digest()\n\
        number = struct.unpack('>I', tag[tag[-1] & 15:][:4])[0] & 0x7fffffff\n\
        print('%06d' % (number % 1000000))";
    let now = world.clock.now().as_second().to_string();
    let ran = Command::new("python3").args(["-c", APP, key, &now]).output().unwrap();
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// Another code than the one that counts.
fn wrong(code: &str) -> String {
    code.chars().map(|digit| if digit == '9' { '0' } else { '9' }).collect()
}

async fn sign_in(browser: &Browser, code: &str) {
    browser.open("/sign-in").await;
    for (field, text) in [("name", NAME), ("password", PASSWORD), ("code", code)] {
        browser.fill(field, text).await;
    }
    browser.follow("main form button").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_asked_for_once_it_is_set_up_and_recovered_once_it_is_lost() {
    let world = World::new().await;
    let Some(browser) = Browser::start(&world.address, "ru").await else { return };
    accept(&browser, &world.invite(NAME, Role::Head, MEMBER).await).await;
    browser.follow("header form.person a").await;
    look(&browser, "40-no-second-factor").await;
    browser.step("begin").await;
    look(&browser, "41-key").await;
    let key = browser.run("return document.querySelector('code').textContent").await;
    let key = key.as_str().unwrap();
    browser.fill("code", &wrong(&code(&world, key))).await;
    browser.step("confirm").await;
    assert!(browser.text().await.contains("people.wrong"), "{}", browser.text().await);
    browser.fill("code", &code(&world, key)).await;
    browser.step("confirm").await;
    look(&browser, "42-recovery").await;
    let recovery =
        browser.run("return [...document.querySelectorAll('code')].map(it => it.textContent)").await;
    let recovery: Vec<String> = serde_json::from_value(recovery).unwrap();
    assert_eq!(recovery.len(), 8);
    browser.follow("form.person button").await;

    let refused = ["".to_owned(), code(&world, key), wrong(&code(&world, key))];
    for (refused, why) in refused.iter().zip(["without a code", "with one that was used", "with a wrong one"])
    {
        sign_in(&browser, refused).await;
        assert_eq!(browser.path().await, "/sign-in", "{why}");
    }
    world.clock.advance(STEP);
    sign_in(&browser, &code(&world, key)).await;
    assert_eq!(browser.path().await, "/procedures");
    browser.follow("form.person button").await;
    sign_in(&browser, &recovery[0]).await;
    assert_eq!(browser.path().await, "/procedures");
    browser.follow("form.person button").await;
    sign_in(&browser, &recovery[0]).await;
    assert_eq!(browser.path().await, "/sign-in", "a recovery code counts once");

    sign_in(&browser, &recovery[1]).await;
    browser.open("/second-factor").await;
    look(&browser, "43-second-factor").await;
    browser.fill("code", &recovery[2]).await;
    browser.step("remove").await;
    browser.follow("form.person button").await;
    sign_in(&browser, "").await;
    assert_eq!(browser.path().await, "/procedures", "no code is asked for any more");
    let acts: Vec<_> = world.audit().await.into_iter().map(|entry| entry.act).collect();
    for act in ["begin-second-factor", "confirm-second-factor", "sign-in", "remove-second-factor"] {
        assert!(acts.iter().any(|one| one == act), "{act}: {acts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_codes_locks_an_account_and_inviting_anew_ends_the_second_factor() {
    let world = World::new().await;
    let cookie = ("cookie", world.sign_in(NAME, Role::Head, MEMBER).await);
    let headers = [cookie.clone(), form()];
    let page = world.send("GET", "/second-factor", &[cookie], "").await.text;
    let token = format!("form_token={}", form_token(&page));
    let begun = world.send("POST", "/second-factor/begin", &headers, &token).await.text;
    let key = begun.split_once("<code>").unwrap().1.split('<').next().unwrap();
    let guess = |code: &str| format!("{token}&code={code}");
    let right = code(&world, key);
    let confirmed = world.send("POST", "/second-factor/confirm", &headers, &guess(&right)).await;
    assert_eq!(confirmed.status, StatusCode::OK);
    let again = world.send("POST", "/second-factor/begin", &headers, &token).await;
    assert_eq!(again.status, StatusCode::CONFLICT, "nobody replaces it without a code");

    world.clock.advance(STEP);
    let (right, wrong) = (code(&world, key), wrong(&code(&world, key)));
    let sign_in = |code: &str| format!("name={NAME}&password={}&code={code}", PASSWORD.replace(' ', "+"));
    for _ in 0..3 {
        let answer = world.send("POST", "/sign-in", &[form()], &sign_in(&wrong)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    for _ in 0..2 {
        let answer = world.send("POST", "/second-factor/remove", &headers, &guess(&wrong)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    for (path, body) in [("/sign-in", sign_in(&right)), ("/second-factor/remove", guess(&right))] {
        let answer = world.send("POST", path, &headers, &body).await;
        assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS, "{path}");
    }

    // Of guesses that come at once, none is overlooked.
    world.clock.advance(Duration::from_secs(16 * 60));
    let wrong = guess(&self::wrong(&code(&world, key)));
    let guesses = (0..40).map(|_| world.send("POST", "/second-factor/remove", &headers, &wrong));
    let answers = futures_util::future::join_all(guesses).await;
    let looked_at = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    assert_eq!(looked_at, 5);

    world.clock.advance(Duration::from_secs(3600));
    world.sign_in(NAME, Role::Head, MEMBER).await;
    let answer = world.send("POST", "/sign-in", &[form()], &sign_in("")).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}
