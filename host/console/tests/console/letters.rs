//! Letters reach people through a mail server that is not ours, or wait, or are shown to the operator.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuk_central::{Central, DatabaseConfig, Delivery, Invited, Letter, Notice, Role, ServiceDescription};
use uuk_console::{MailConfig, MailSecurity, Mailer};
use uuk_testkit::mail::{MailServer, PASSWORD, USER};
use uuk_testkit::tls_authority::TlsAuthority;

use crate::browser::Browser;
use crate::catalog::{CONTRACT, PROVIDER, description};
use crate::joining::{accept, look};
use crate::world::{MEMBER, World, application, operator};

/// Tenths of a second; the mailer looks every five.
const TRIES_MAX: usize = 300;

/// A world whose head and operator get letters, and their tokens.
async fn world(desk: &str) -> (World, [String; 2]) {
    let world = World::new().await;
    let head = reachable(&world, "asanova", Role::Head, "a.asanova@registry.example", "ru").await;
    let desk = reachable(&world, "bekov", Role::Operator, desk, "en").await;
    (world, [head, desk])
}

async fn reachable(world: &World, name: &str, role: Role, mail: &str, language: &str) -> String {
    reachable_at(world, name, (role, MEMBER), mail, language).await
}

async fn reachable_at(
    world: &World,
    name: &str,
    (role, member): (Role, &str),
    mail: &str,
    language: &str,
) -> String {
    let invited = Invited {
        name: name.to_owned(),
        full_name: format!("Person {name}"),
        roles: [role].into(),
        member: role.is_at_member().then(|| member.parse().unwrap()),
        mail: Some(mail.parse().unwrap()),
        language: Some(language.to_owned()),
        until: None,
    };
    world.central.invite(&operator(), &invited).await.unwrap();
    world.central.issue_token(&operator(), name, "test", 300).await.unwrap().expose().clone()
}

/// Procedure 1, up to its submission.
async fn submit(world: &World, head: &str) {
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let application = application("Person asanova");
    let written = world.step(head, json!({ "act": "write", "application": application })).await;
    let digest = written["application_sha256"].clone();
    world.step(head, json!({ "act": "submit", "application": digest })).await;
}

fn config(world: &World, port: u16, authority: &TlsAuthority) -> MailConfig {
    let password_file = world.folder.path().join("mail-password");
    std::fs::write(&password_file, PASSWORD).unwrap();
    MailConfig {
        server: "localhost".to_owned(),
        port: Some(port),
        security: MailSecurity::StartTls,
        authorities: Some(authority.certificate()),
        user: Some(USER.to_owned()),
        password_file: Some(password_file),
        from: "exchange@operator.example".parse().unwrap(),
        pages: "https://central.example/".to_owned(),
    }
}

/// Sends until the value is dropped.
fn send(config: &MailConfig, central: &Arc<Central>) -> DropGuard {
    assert_eq!(config.problems(), Vec::<String>::new());
    let stop = CancellationToken::new();
    tokio::spawn(Mailer::build(config, Arc::clone(central)).unwrap().run(stop.clone()));
    stop.drop_guard()
}

/// The first `count` letters that a mail server has.
async fn received(server: &MailServer, count: usize) -> Vec<String> {
    for _ in 0..TRIES_MAX {
        let letters = server.letters().unwrap();
        if letters.len() >= count {
            return letters;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:#?}", server.letters());
}

/// Waits until a letter was tried in vain for another reason than before, and gives that.
async fn hindrance(central: &Central, before: &str) -> String {
    for _ in 0..TRIES_MAX {
        let unsent = central.unsent_letters(10).await.unwrap();
        if let Some(hindrance) =
            unsent.into_iter().find_map(|letter| letter.hindrance).filter(|now| now != before)
        {
            return hindrance;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no letter was tried in vain: {:?}", central.unsent_letters(10).await);
}

/// Waits until no letter is left. A mail server has one before we hear that it does.
async fn all_sent(central: &Central) {
    for _ in 0..TRIES_MAX {
        if central.unsent_letters(10).await.unwrap().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:#?}", central.unsent_letters(10).await);
}

async fn due(central: &Central) -> Vec<Letter> {
    let mut letters = Vec::new();
    while let Some(letter) = central.take_letter().await.unwrap() {
        central.settle_letter(&letter, &Delivery::Taken).await.unwrap();
        letters.push(letter);
    }
    letters
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_turn_it_is_comes_by_mail_in_the_readers_language() {
    let (world, [head, desk]) = world("bekov@operator.example").await;
    let authority = TlsAuthority::new().unwrap();
    let server = MailServer::start(Some(&authority.server("mail").unwrap())).unwrap();
    let _sending = send(&config(&world, server.port(), &authority), &world.central);
    submit(&world, &head).await;

    let letters = received(&server, 1).await;
    let [letter] = letters.as_slice() else { panic!("{letters:#?}") };
    for part in [
        "From: exchange@operator.example\r\n",
        "To: \"Person bekov\" <bekov@operator.example>\r\n",
        &format!("Subject: Joining of {MEMBER}: The application is submitted\r\n"),
        "Auto-Submitted: auto-generated\r\n",
        "@operator.example>\r\n",
        "\r\n\r\nHello Person bekov,\r\n",
        "It is your turn.\r\n",
        "https://central.example/procedures/1\r\n",
    ] {
        assert!(letter.contains(part), "{part}: {letter}");
    }

    world.step(&desk, json!({ "act": "review" })).await;
    let letters = received(&server, 2).await;
    let (_, body) = letters[1].split_once("\r\n\r\n").unwrap();
    let text = STANDARD.decode(body.split_whitespace().collect::<String>()).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(letters[1].contains("<a.asanova@registry.example>"), "{}", letters[1]);
    assert!(text.contains("Здравствуйте, Person asanova!") && text.contains("Ход оператора"), "{text}");
    all_sent(&world.central).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_wait_for_a_mail_server_and_through_a_restart() {
    let (world, [head, _]) = world("bekov@operator.example").await;
    let authority = TlsAuthority::new().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sending = send(&config(&world, nobody, &authority), &world.central);
    submit(&world, &head).await;
    hindrance(&world.central, "").await;
    drop(sending);

    let url = format!("sqlite:{}", world.folder.path().join("central.db").display());
    let config_of_database = DatabaseConfig { url, password_file: None };
    let central = Arc::new(Central::open(&config_of_database, world.clock.clone()).await.unwrap());
    assert!(due(&central).await.is_empty(), "it was to be tried later");
    world.clock.advance(Duration::from_secs(60));
    let server = MailServer::start(Some(&authority.server("mail").unwrap())).unwrap();
    let _sending = send(&config(&world, server.port(), &authority), &central);
    assert_eq!(received(&server, 1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_no_mailbox_takes_is_given_up_and_shown() {
    let (world, [head, desk]) = world("nobody@operator.example").await;
    let authority = TlsAuthority::new().unwrap();
    let server = MailServer::start(Some(&authority.server("mail").unwrap())).unwrap();
    let _sending = send(&config(&world, server.port(), &authority), &world.central);
    submit(&world, &head).await;
    let why = hindrance(&world.central, "").await;
    assert!(why.contains("no such mailbox"), "{why}");

    let (_, told) = world.get(&desk, "/api/v1/letters").await;
    let letter = &told["letters"][0];
    assert_eq!((&letter["person"], &letter["next"]), (&json!("bekov"), &json!(null)), "{told}");
    assert_eq!(letter["notice"]["stage"], "submitted", "{told}");
    let wish = json!({ "mail": "bekov@operator.example", "language": "uz" });
    let (status, told) = world.call("PUT", &desk, "/api/v1/me/mail", Some(&wish)).await;
    assert_eq!((status.as_u16(), &told["language"]), (200, &json!("uz")));
    let (status, _) =
        world.call("PUT", &desk, "/api/v1/me/mail", Some(&json!({ "mail": "a@b>\r\nRCPT TO:<c@d" }))).await;
    assert_eq!(status.as_u16(), 400);
    let (status, told) =
        world.call("PUT", &desk, "/api/v1/me/mail", Some(&json!({ "language": "tlh" }))).await;
    assert_eq!((status.as_u16(), &told["code"]), (422, &json!("people.language")));
    assert!(!format!("{:?}", world.audit().await).contains("operator.example"));
}

/// What a consumer asks of the provider.
fn request() -> Value {
    json!({
        "consumer": MEMBER, "service": description().service, "purpose": "pensions", "legal_basis": "Law 7",
        "fields": ["/get/answer/name"], "until": "2027-12-31T00:00:00Z", "calls_per_day": 10,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_and_consumers_learn_what_changes_for_them() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let consumer = reachable(&world, "asanova", Role::Head, "a@registry.example", "ru").await;
    let editor = (Role::CatalogEditor, PROVIDER);
    let provider = reachable_at(&world, "osmonov", editor, "o@people.example", "en").await;
    let service = description().service;
    let asked = request();
    let told = async || {
        let letters = due(&world.central).await;
        let told = letters.iter().map(|letter| (letter.person.name.clone(), letter.notice.clone()));
        told.collect::<Vec<_>>()
    };
    let (to_provider, to_consumer) = ("osmonov".to_owned(), "asanova".to_owned());

    assert_eq!(world.post(&consumer, "/api/v1/accesses", &asked).await.0.as_u16(), 201);
    let (access, member) = (1, MEMBER.parse().unwrap());
    let notice = Notice::AccessAsked { access, service: service.clone(), consumer: member };
    assert_eq!(told().await, [(to_provider, notice)]);

    let decision = json!({ "granted": true, "note": "as asked" });
    world.post(&provider, "/api/v1/accesses/1/decision", &decision).await;
    let notice = Notice::AccessDecided { access, service: service.clone(), granted: true };
    assert_eq!(told().await, [(to_consumer.clone(), notice)]);

    let edition = ServiceDescription { tariff: "10 som a call".into(), ..description() };
    world.central.draft_service(&operator(), edition, CONTRACT.as_bytes()).await.unwrap();
    assert_eq!(told().await, [], "a draft is its writer's own affair");
    world.central.publish_service(&operator(), &service, false).await.unwrap();
    let notice = Notice::Edition { service: service.clone(), edition: 2 };
    assert_eq!(told().await, [(to_consumer.clone(), notice)]);

    let withdraw = |registry: &mut uuk_central::Registry| registry.withdraw_service(&service);
    world.central.change(&operator(), "withdraw-service", withdraw).await.unwrap();
    assert_eq!(told().await, [(to_consumer, Notice::Withdrawn { service })]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_help_is_read_by_the_operator_and_answered() {
    let world = World::new().await;
    let head = reachable(&world, "asanova", Role::Head, "a@registry.example", "ru").await;
    let desk = reachable_at(&world, "bekov", (Role::Operator, ""), "b@operator.example", "en").await;
    world.post(&head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    world.step(&head, json!({ "act": "ask", "question": "Which port?" })).await;
    let (procedure, member) = (1, MEMBER.parse().unwrap());
    let asked = due(&world.central).await.pop().unwrap();
    assert_eq!(asked.person.name, "bekov");
    assert_eq!(asked.notice, Notice::Asked { procedure, member });
    let shown = world.step(&desk, json!({ "act": "answer", "answer": "5500" })).await;
    assert_eq!(shown["history"][1]["explanation"], "5500");
    let answered = due(&world.central).await.pop().unwrap();
    assert_eq!(answered.person.name, "asanova");
    assert_eq!(answered.notice, Notice::Answered { procedure, member: MEMBER.parse().unwrap() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_is_reminded_to_look_through_what_it_published() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let editor = (Role::CatalogEditor, PROVIDER);
    let provider = reachable_at(&world, "osmonov", editor, "o@people.example", "ky").await;
    let service = description().service;
    let (own, public) =
        (format!("/api/v1/services/{service}"), format!("/api/v1/catalog/services/{service}"));
    let is_stale = async || world.get(&provider, &own).await.1["is_stale"].as_bool().unwrap();
    let reminded = async || {
        world.central.remind().await.unwrap();
        due(&world.central).await.into_iter().map(|letter| letter.notice).collect::<Vec<_>>()
    };

    world.advance(181);
    assert_eq!((is_stale().await, reminded().await), (false, Vec::new()));
    world.advance(1);
    let since = "2026-11-23T06:00:00Z".parse().unwrap();
    let notice = Notice::Unconfirmed { service: service.clone(), since };
    assert_eq!((is_stale().await, reminded().await), (true, vec![notice]));
    world.advance(1);
    assert_eq!(reminded().await, [], "once");

    let confirm = async |edition: u32| {
        let path = format!("{own}/confirmation");
        let (status, told) = world.post(&provider, &path, &json!({ "edition": edition })).await;
        (status.as_u16(), told["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(confirm(2).await, (409, "registry.changed_meanwhile".to_owned()));
    assert_eq!(confirm(1).await, (200, String::new()));
    assert!(!is_stale().await);
    let (_, told) = world.get(&provider, &public).await;
    assert_eq!(
        (&told["edition"], &told["confirmed_at"]),
        (&json!(1), &json!("2027-05-25T06:00:00Z")),
        "{told}"
    );

    // A reminder that nobody could send for a month is not sent any more.
    world.advance(182 + 30);
    assert_eq!(reminded().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waits_for_longer_than_promised_is_told_and_comes_first() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let consumer = reachable(&world, "asanova", Role::Head, "a@registry.example", "ru").await;
    let editor = (Role::CatalogEditor, PROVIDER);
    let provider = reachable_at(&world, "osmonov", editor, "o@people.example", "uz").await;
    reachable(&world, "bekov", Role::Operator, "b@operator.example", "ky").await;
    let service = description().service;
    let asked = request();
    let ask = async || assert_eq!(world.post(&consumer, "/api/v1/accesses", &asked).await.0.as_u16(), 201);
    let listed = async || {
        let (_, told) = world.get(&provider, "/api/v1/accesses").await;
        let listed = told["accesses"].as_array().unwrap().iter();
        listed.map(|one| (one["number"].as_u64().unwrap(), one["is_overdue"] == true)).collect::<Vec<_>>()
    };
    let reminded = async || {
        world.central.remind().await.unwrap();
        let letters = due(&world.central).await;
        letters.into_iter().map(|letter| (letter.person.name, letter.notice)).collect::<Vec<_>>()
    };
    ask().await;
    reminded().await;

    world.advance(10);
    ask().await;
    let asked_anew = reminded().await;
    assert!(matches!(asked_anew.as_slice(), [(_, Notice::AccessAsked { access: 2, .. })]), "{asked_anew:?}");
    assert_eq!(listed().await, [(2, false), (1, false)], "the last day is a day");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(listed().await, [(1, true), (2, false)]);
    let notice = Notice::AccessOverdue { access: 1, service, consumer: MEMBER.parse().unwrap() };
    let [to_provider, to_operator] = ["osmonov", "bekov"].map(|name| (name.to_owned(), notice.clone()));
    let mut told = reminded().await;
    told.sort_by(|one, other| other.0.cmp(&one.0));
    assert_eq!(told, [to_provider, to_operator]);
    assert_eq!(reminded().await, [], "once");

    let decision = json!({ "granted": true, "note": "as asked" });
    world.post(&provider, "/api/v1/accesses/1/decision", &decision).await;
    assert_eq!(listed().await, [(2, false), (1, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_what_did_not_get_through_and_say_where_their_own_letters_go() {
    let (world, [head, _]) = world("bekov@operator.example").await;
    let Some(browser) = Browser::start(&world.address, "ru").await else { return };
    submit(&world, &head).await;
    let letter = world.central.take_letter().await.unwrap().unwrap();
    let delivery = Delivery::Refused("550 5.1.1 no such mailbox".to_owned());
    world.central.settle_letter(&letter, &delivery).await.unwrap();

    accept(&browser, &world.invite("sadykov", Role::Operator, "").await).await;
    browser.open("/people").await;
    let text = browser.text().await;
    assert!(text.contains("Неотправленные письма") && text.contains("no such mailbox"), "{text}");
    look(&browser, "13-people").await;
    browser.open("/second-factor").await;
    browser.fill("/mail:optional", "sadykov@operator.example").await;
    browser.follow("form[action='/mail'] button").await;
    look(&browser, "14-own-letters").await;
    let people = world.central.people().await.unwrap();
    let own = people.iter().find(|person| person.name == "sadykov").unwrap();
    assert_eq!(own.mail, Some("sadykov@operator.example".parse().unwrap()));
    assert_eq!(own.language.as_deref(), Some("ru"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_to_a_mail_server_that_is_not_the_one() {
    let (world, [head, _]) = world("bekov@operator.example").await;
    let (authority, other) = (TlsAuthority::new().unwrap(), TlsAuthority::new().unwrap());
    submit(&world, &head).await;
    let impostor = MailServer::start(Some(&other.server("mail").unwrap())).unwrap();
    let plain = MailServer::start(None).unwrap();
    let honest = MailServer::start(Some(&authority.server("mail").unwrap())).unwrap();
    let mut wrong_password = config(&world, honest.port(), &authority);
    let file = world.folder.path().join("wrong-password");
    std::fs::write(&file, "wrong").unwrap();
    wrong_password.password_file = Some(file);
    let mut before = String::new();
    for (config, expected) in [
        (config(&world, impostor.port(), &authority), "certificate"),
        (config(&world, plain.port(), &authority), "STARTTLS"),
        (wrong_password, "535"),
    ] {
        let sending = send(&config, &world.central);
        let why = hindrance(&world.central, &before).await;
        assert!(why.contains(expected) && !why.contains(PASSWORD), "{expected}: {why}");
        drop(sending);
        // It waits: none of this is the letter's fault.
        world.clock.advance(Duration::from_secs(6 * 3600));
        before = why;
    }
    for server in [impostor, plain, honest] {
        assert!(server.letters().unwrap().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_reminded_once_and_a_late_one_is_seen_by_more() {
    let (world, [head, desk]) = world("bekov@operator.example").await;
    reachable(&world, "sadykov", Role::Auditor, "sadykov@operator.example", "ky").await;
    submit(&world, &head).await;
    assert_eq!(due(&world.central).await.len(), 1, "the submission");

    // Seven working days from Monday, 23 November 2026: the last is Wednesday of the week after.
    let mut told = Vec::new();
    for day in 0..12 {
        world.central.remind().await.unwrap();
        world.central.remind().await.unwrap();
        told.extend(due(&world.central).await.into_iter().map(|letter| {
            let notice = serde_json::to_value(&letter.notice).unwrap();
            format!("day {day}, {}: {} {}", letter.person.name, notice["timeliness"], notice["due"])
        }));
        world.advance(1);
    }
    assert_eq!(
        told,
        [
            r#"day 8, bekov: "due_soon" "2026-12-02""#,
            r#"day 10, bekov: "overdue" "2026-12-02""#,
            r#"day 10, sadykov: "overdue" "2026-12-02""#,
        ]
    );

    // While the applicant must act, no clock runs and nobody is reminded.
    world.step(&desk, json!({ "act": "review" })).await;
    world.step(&desk, json!({ "act": "return", "explanation": "x" })).await;
    due(&world.central).await;
    world.advance(30);
    world.central.remind().await.unwrap();
    assert!(due(&world.central).await.is_empty());
}
