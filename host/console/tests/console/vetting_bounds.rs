//! What somebody who means harm, or is in a hurry, does with bundles.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::Role;
use uuk_central::vetting::{VettingError, VettingStep};
use uuk_pki::Sha256;

use crate::pages::form_token;
use crate::vetting::{Office, SUBMISSIONS, approve, report, signed, unsigned_of};
use crate::world::{MEMBER, operator};

const OTHER_MEMBER: &str = "KG/GOV/70000009";
/// Seconds in which what fails would be tried again.
const SOME_TIME: Duration = Duration::from_secs(12);

impl Office {
    /// Hands a bundle in and has two people approve it; gives the tokens of who did so.
    async fn approved(&self) -> [String; 2] {
        let head = self.world.token("asanova", Role::Head, MEMBER).await;
        let reviewers = [
            self.world.token("chon", Role::Reviewer, "").await,
            self.world.token("duysheev", Role::Reviewer, "").await,
        ];
        let (_, submitted) = self.submit(&head, self.bundle("1.2.0")).await;
        self.at(&head, "review").await;
        for reviewer in &reviewers {
            let (status, told) = self.step(reviewer, approve(&submitted["bundle"], "all")).await;
            assert_eq!(status, StatusCode::OK, "{told}");
        }
        reviewers
    }

    async fn revoke(&self, contents: &Value) {
        let contents: Sha256 = contents.as_str().unwrap().parse().unwrap();
        let now = self.world.clock.now();
        let revoke =
            |registry: &mut uuk_central::Registry| registry.revoke_bundle(contents, "wrong dates", now);
        self.world.central.change(&operator(), "revoke-bundle", revoke).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_servers_would_refuse_is_not_stamped_and_can_be_refused_while_it_waits() {
    let office = Office::new().await;
    let vetting = Sha256::of(office.anchors[1].der());
    let distrust = |registry: &mut uuk_central::Registry| {
        registry.distrust_bundle_signer(uuk_bundle::Role::Vetting, &vetting)
    };
    office.world.central.change(&operator(), "distrust", distrust).await.unwrap();
    let [_, second] = office.approved().await;
    tokio::time::sleep(SOME_TIME).await;
    assert_eq!(office.world.instance.time_stamping.requests(), 0, "a stamp was bought in vain");

    let shown = office.at(&second, "signing").await;
    assert!(shown["hindrance"].as_str().unwrap().contains("no bundle came of it"), "{shown}");
    assert_eq!(shown["steps"], json!(["refuse"]));
    let refuse = json!({ "act": "refuse", "bundle": shown["bundle"], "explanation": "It cannot be signed" });
    assert_eq!(office.step(&second, refuse).await.1["stage"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_contents_are_not_taken_anew_and_what_waits_can_still_be_refused() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    let reviewer = &office.world.token("chon", Role::Reviewer, "").await;
    let (_, submitted) = office.submit(head, office.bundle("1.2.0")).await;
    office.at(reviewer, "review").await;
    office.revoke(&submitted["contents"]).await;
    assert_eq!(office.at(reviewer, "review").await["steps"], json!(["approve", "refuse"]));
    assert_eq!(office.at(head, "review").await["steps"], json!(["withdraw"]));
    // Another signature of the author makes it another file with the same contents.
    let (status, refused) = office.submit(head, office.bundle("1.2.0")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("vetting.revoked")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_what_was_refused_or_withdrawn_is_gone() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    let bundle = office.bundle("1.2.0");
    office.submit(head, bundle.clone()).await;
    let file = format!("{SUBMISSIONS}/1/submitted");
    let bearer = [("authorization", format!("Bearer {head}"))];
    let (parts, body) = office.world.exchange("GET", &file, &bearer, Bytes::new()).await;
    assert_eq!((parts.status, &body), (StatusCode::OK, &bundle));
    office.step(head, json!({ "act": "withdraw" })).await;
    assert_eq!(office.world.get(head, &file).await.0, StatusCode::NOT_FOUND);
    // And it may come again.
    assert_eq!(office.submit(head, bundle).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_member_does_not_fill_the_queue_of_all() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    for number in 1..=20 {
        let (status, told) = office.submit(head, office.bundle("1.2.0")).await;
        assert_eq!((status, &told["number"]), (StatusCode::CREATED, &json!(number)), "{told}");
    }
    let (status, refused) = office.submit(head, office.bundle("1.2.0")).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("vetting.member_queue_full")));
    let other = &office.world.token("other", Role::Head, OTHER_MEMBER).await;
    assert_eq!(office.submit(other, office.bundle("1.2.0")).await.0, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_hands_in_or_begins_at_the_same_moment_gets_a_number_of_their_own() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    let handed_in = join_all((0..4).map(|_| office.submit(head, office.bundle("1.2.0")))).await;
    let mut numbers: Vec<_> = handed_in.iter().map(|(_, told)| told["number"].as_u64()).collect();
    numbers.sort();
    assert_eq!(numbers, [1, 2, 3, 4].map(Some), "{handed_in:?}");

    let mut heads = Vec::new();
    for number in 0..4 {
        heads.push(
            office.world.token(&format!("head-{number}"), Role::Head, &format!("KG/GOV/8{number}")).await,
        );
    }
    let profile = &json!({ "profile": "tunduk-2018" });
    let begun =
        join_all(heads.iter().map(|head| office.world.post(head, "/api/v1/procedures", profile))).await;
    let mut numbers: Vec<_> = begun.iter().map(|(_, told)| told["number"].as_u64()).collect();
    numbers.sort();
    assert_eq!(numbers, [1, 2, 3, 4].map(Some), "{begun:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_that_nobody_reads_fill_no_memory() {
    let office = Office::new().await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    // More than a connection takes by itself, and not to be made smaller.
    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    let mut state = 1_u64;
    component.extend((0..24 << 20).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    }));
    office.submit(head, signed(&unsigned_of("1.2.0", component), &office.author)).await;
    let request =
        format!("GET {SUBMISSIONS}/1/submitted HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {head}\r\n\r\n");
    let mut held = Vec::new();
    for _ in 0..8 {
        let (connection, first_line) = office.world.begin(&request).await;
        assert_eq!(first_line, "HTTP/1.1 200 OK");
        held.push(connection);
    }
    let path = format!("{SUBMISSIONS}/1/submitted");
    let (status, refused) = office.world.get(head, &path).await;
    assert_eq!((status, &refused["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("console.busy")));
    assert_eq!(refused["title"], "too many bundles are being sent at the moment; try again");
    drop(held);
    let bearer = [("authorization", format!("Bearer {head}"))];
    for _ in 0..100 {
        if office.world.exchange("GET", &path, &bearer, Bytes::new()).await.0.status == StatusCode::OK {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("places are not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bundle_declares_turns_no_line_of_the_page() {
    let mut found = report();
    found["differences"][1]["detail"] =
        json!("registry (read): SELECT \u{202e}pin\u{2066}\u{7f} FROM person");
    found["trial"]["wrong_answers"] = json!(["200\u{200b}"]);
    let examine = "printf %s \"$0\" | sed s/DIGEST/$(sha256sum bundle.asice | cut -c1-64)/ > report.json";
    let office = Office::with_examiner("/bin/sh", &["-c", examine, &found.to_string()]).await;
    let head = &office.world.token("asanova", Role::Head, MEMBER).await;
    office.submit(head, office.bundle("1.2.0")).await;
    office.at(head, "review").await;
    let cookie = office.world.sign_in("chon", Role::Reviewer, "").await;
    let page = office.world.send("GET", "/vetting/1", &[("cookie", cookie)], "").await.text;
    assert!(page.contains("SELECT \u{fffd}pin\u{fffd}\u{fffd} FROM person"), "{page}");
    assert!(!page.contains(['\u{202e}', '\u{2066}', '\u{7f}', '\u{200b}']), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_in_a_form_of_another_session_is_not_taken() {
    let office = Office::new().await;
    let world = &office.world;
    let cookie = ("cookie", world.sign_in("asanova", Role::Head, MEMBER).await);
    let other = ("cookie", world.sign_in("bekova", Role::Head, MEMBER).await);
    let page = world.send("GET", "/vetting", &[other], "").await;
    let content_type = ("content-type", "multipart/form-data; boundary=----x".to_owned());
    let hand_in = |token: Option<String>| {
        let field = |name: &str, value: &[u8]| {
            let head = format!("------x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
            [head.as_bytes(), value, b"\r\n"].concat()
        };
        let token = token.map(|token| field("form_token", token.as_bytes())).unwrap_or_default();
        let body = [token, field("bundle", &office.bundle("1.2.0")), b"------x--\r\n".to_vec()].concat();
        let headers = [cookie.clone(), content_type.clone()];
        async move { world.exchange("POST", "/vetting", &headers, body.into()).await.0.status }
    };
    assert_eq!(hand_in(Some(form_token(&page.text))).await, StatusCode::FORBIDDEN);
    assert_eq!(hand_in(None).await, StatusCode::FORBIDDEN);
    let own = world.send("GET", "/vetting", std::slice::from_ref(&cookie), "").await;
    assert_eq!(hand_in(Some(form_token(&own.text))).await, StatusCode::SEE_OTHER);
    assert_eq!(world.central.submissions().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_approves_what_was_not_examined_by_whatever_way() {
    let office = Office::with_examiner("/bin/false", &[]).await;
    let world = &office.world;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    world.token("chon", Role::Reviewer, "").await;
    let (_, submitted) = office.submit(head, office.bundle("1.2.0")).await;
    office.at(head, "review").await;
    let people = world.central.people().await.unwrap();
    let reviewer = people.iter().find(|person| person.name == "chon").unwrap();
    let step: VettingStep = serde_json::from_value(approve(&submitted["bundle"], "all")).unwrap();
    let approved = world.central.vetting_step(reviewer, 1, step).await;
    assert!(matches!(approved, Err(VettingError::Unexamined)), "{approved:?}");
}
