use http::StatusCode;
use uuk_central::Role;

use crate::world::{MEMBER, World};

pub(crate) fn form() -> (&'static str, String) {
    ("content-type", "application/x-www-form-urlencoded".to_owned())
}

/// The hidden field by which a form is known to come from the session.
pub(crate) fn form_token(page: &str) -> String {
    let rest = page.split_once("name=\"form_token\" value=\"").unwrap().1;
    rest.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_let_nothing_in_from_elsewhere() {
    let world = World::new().await;
    let answer = world.send("GET", "/sign-in", &[], "").await;
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    assert!(!answer.text.contains("<script") && !answer.text.contains("style="), "{}", answer.text);
    assert!(!answer.text.contains("http://") && !answer.text.contains("https://"), "{}", answer.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_session_or_site_is_refused() {
    let world = World::new().await;
    let cookie = world.sign_in("asanova", Role::Head, MEMBER).await;
    let page = world.send("GET", "/procedures", &[("cookie", cookie.clone())], "").await;
    let body = format!("form_token={}&/profile=tunduk-2018", form_token(&page.text));
    let from_elsewhere = [form(), ("cookie", cookie.clone()), ("sec-fetch-site", "cross-site".to_owned())];
    // As older browsers say it.
    let origin = |site: &str| vec![form(), ("cookie", cookie.clone()), ("origin", format!("http://{site}"))];
    for (headers, body) in [
        (from_elsewhere.to_vec(), body.as_str()),
        (origin("elsewhere.example"), body.as_str()),
        (vec![form(), ("cookie", cookie.clone())], "/profile=tunduk-2018"),
        (vec![form(), ("cookie", cookie.clone())], "form_token=sha256:00&/profile=tunduk-2018"),
    ] {
        let answer = world.send("POST", "/procedures", &headers, body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text.contains("console.forged"), "{}", answer.text);
    }
    let forged = [form(), ("origin", "http://elsewhere.example".to_owned())];
    let answer = world.send("POST", "/invitation", &forged, "invitation=a.b&password=any").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "not even where no session is");
    let answer = world.send("POST", "/procedures", &origin(&world.address), &body).await;
    assert_eq!(
        (answer.status, &answer.headers["location"]),
        (StatusCode::SEE_OTHER, &http::HeaderValue::from_static("/procedures/1/application"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_nobody_uses_it_or_its_person_signs_out() {
    let world = World::new().await;
    let cookie = ("cookie", world.sign_in("asanova", Role::Head, MEMBER).await);
    let page = world.send("GET", "/procedures", std::slice::from_ref(&cookie), "").await;
    assert_eq!(page.status, StatusCode::OK);
    let sign_out = format!("form_token={}", form_token(&page.text));
    let gone = world.send("POST", "/sign-out", &[form(), cookie.clone()], &sign_out).await;
    assert!(gone.headers["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
    let page = world.send("GET", "/procedures", &[cookie], "").await;
    assert_eq!(
        (page.status, page.headers["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/sign-in")
    );

    let cookie = ("cookie", world.sign_in("bekov", Role::Operator, "").await);
    world.advance(1);
    let page = world.send("GET", "/procedures", &[cookie], "").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_passwords_lock_an_account_and_an_invitation_counts_once() {
    let world = World::new().await;
    let invitation = world.invite("asanova", Role::Head, MEMBER).await;
    let accept = format!("invitation={invitation}&password=correct+horse+battery");
    let accepted = world.send("POST", "/invitation", &[form()], &accept).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    let cookie = accepted.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");
    let again = world.send("POST", "/invitation", &[form()], &accept).await;
    assert_eq!(again.status, StatusCode::UNAUTHORIZED);

    let right = "name=asanova&password=correct+horse+battery";
    assert_eq!(world.send("POST", "/sign-in", &[form()], right).await.status, StatusCode::SEE_OTHER);
    for _ in 0..5 {
        let answer = world.send("POST", "/sign-in", &[form()], "name=asanova&password=wrong").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
    let locked = world.send("POST", "/sign-in", &[form()], right).await;
    assert_eq!(locked.status, StatusCode::TOO_MANY_REQUESTS, "even with the right one");
    world.advance(1);
    assert_eq!(world.send("POST", "/sign-in", &[form()], right).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_at_once_gives_no_more_guesses() {
    let world = World::new().await;
    let invitation = world.invite("asanova", Role::Head, MEMBER).await;
    let accept = format!("invitation={invitation}&password=correct+horse+battery");
    world.send("POST", "/invitation", &[form()], &accept).await;
    let headers = [form()];
    let guesses = (0..30).map(|_| world.send("POST", "/sign-in", &headers, "name=asanova&password=wrong"));
    let answers = futures_util::future::join_all(guesses).await;
    let guessed = answers.iter().filter(|answer| answer.status == StatusCode::UNAUTHORIZED).count();
    // Two are looked at at a time, and may count as one.
    assert!((5..=12).contains(&guessed), "{guessed} of {} were looked at", answers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_write_is_text_on_every_page() {
    let world = World::new().await;
    let cookie = ("cookie", world.sign_in("asanova", Role::Head, MEMBER).await);
    let page = world.send("GET", "/procedures", std::slice::from_ref(&cookie), "").await;
    let token = form_token(&page.text);
    let begin = format!("form_token={token}&/profile=tunduk-2018");
    world.send("POST", "/procedures", &[form(), cookie.clone()], &begin).await;
    let write = format!("form_token={token}&/application/address=%3Cscript%3Ealert(1)%3C/script%3E");
    let written = world.send("POST", "/procedures/1/write", &[form(), cookie.clone()], &write).await;
    assert_eq!(written.status, StatusCode::SEE_OTHER, "{}", written.text);
    for path in ["/procedures/1", "/procedures/1/application", "/procedures/1/print"] {
        let page = world.send("GET", path, std::slice::from_ref(&cookie), "").await;
        assert!(page.text.contains("alert(1)") && !page.text.contains("<script"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_speaks_the_language_that_is_liked_or_chosen() {
    let world = World::new().await;
    for (headers, expected) in [
        (vec![], "<html lang=\"en\">"),
        (vec![("accept-language", "ru-RU,ru;q=0.9".to_owned())], "<html lang=\"ru\">"),
        (
            vec![("accept-language", "ru".to_owned()), ("cookie", "language=en".to_owned())],
            "<html lang=\"en\">",
        ),
    ] {
        let page = world.send("GET", "/sign-in", &headers, "").await;
        assert!(page.text.contains(expected), "{}", page.text);
    }
    for to in ["//example.org", "/%09/example.org", "/%5Cexample.org"] {
        let away = world.send("GET", &format!("/language/ru?to={to}"), &[], "").await;
        assert_eq!(away.headers["location"], "/", "nobody is led away by {to}");
    }
}
