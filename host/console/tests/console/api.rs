use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::Role;
use uuk_pki::{Certificate, Der};
use uuk_process::Secret;

use crate::surveys::{EVERY, TRIES_MAX, Telling, list};
use crate::world::{MEMBER, PASSWORD, SERVER, World, application, digest, operator, review};

const PORTAL: &str = "KG/GOV/70000002/portal";
const STEPS: &str = "/api/v1/procedures/1/steps";

#[tokio::test(flavor = "multi_thread")]
async fn an_institution_joins_from_the_application_to_readiness() {
    let world = World::new().await;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    let operator_token = &world.token("bekov", Role::Operator, "").await;

    let (status, begun) = world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    assert_eq!((status, begun["stage"].as_str()), (StatusCode::CREATED, Some("draft")), "{begun}");
    let written =
        world.step(head, json!({ "act": "write", "application": application("Person asanova") })).await;
    assert_eq!(written["problems"], json!([]));
    let submitted = json!({ "act": "submit", "application": written["application_sha256"] });
    let submitted = world.step(head, submitted).await;
    assert_eq!(submitted["deadline"]["due"], "2026-12-02", "seven working days");

    world.step(operator_token, json!({ "act": "review" })).await;
    world.step(operator_token, json!({ "act": "approve", "review": review() })).await;
    let agreement = json!({ "act": "sign", "text": "We agree.", "effective": "2026-12-01" });
    world.step(head, agreement.clone()).await;
    let signed = world.step(operator_token, agreement).await;
    assert_eq!(signed["stage"], "agreement_signed");
    assert_eq!(signed["agreement"]["signatures"].as_array().unwrap().len(), 2);

    world.step(operator_token, json!({ "act": "propose", "text": "Port 5500" })).await;
    world.step(operator_token, json!({ "act": "consent", "text": digest("Port 5500") })).await;
    world.step(head, json!({ "act": "consent", "text": digest("Port 5500") })).await;
    world.step(head, json!({ "act": "report_host", "report": "all is well" })).await;
    world.step(head, json!({ "act": "report_keys" })).await;
    world.step(head, json!({ "act": "report_requests" })).await;

    // Another institution's signature is noticed, and handed back.
    let [authentication, others] = world.certificates("GOV/70000009");
    let submit = |signing: &str| json!({ "act": "submit_certificates", "authentication": authentication, "signing": [signing] });
    world.step(head, submit(&others)).await;
    let (status, refused) = world.post(operator_token, STEPS, &json!({ "act": "verify_certificates" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("joining.certificate_mismatch")));
    let (_, shown) = world.get(operator_token, "/api/v1/procedures/1").await;
    let finding = shown["certificate_findings"][0]["finding"].as_str().unwrap();
    assert_eq!(finding, "names KG/GOV/70000009 instead of KG/GOV/70000002");
    world.step(operator_token, json!({ "act": "reject_certificates", "explanation": "Another code" })).await;
    let [_, signing] = world.certificates("GOV/70000002");
    world.step(head, submit(&signing)).await;
    world.step(operator_token, json!({ "act": "verify_certificates" })).await;

    // What is not registered is not confirmed.
    let (status, refused) =
        world.post(operator_token, STEPS, &json!({ "act": "register_certificates" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("joining.not_registered")));
    let certificate = Der::from(Certificate::chain_from_pem(authentication.as_bytes()).unwrap().remove(0));
    let now = world.clock.now();
    let register = |registry: &mut uuk_central::Registry| {
        registry.add_member(&MEMBER.parse().unwrap(), "An institution")?;
        registry.add_server(&SERVER.parse().unwrap(), Some("ss1.example.kg"))?;
        registry.add_certificate(&SERVER.parse().unwrap(), &certificate, now)
    };
    world.central.change(&operator(), "register", register).await.unwrap();
    world.step(operator_token, json!({ "act": "register_certificates" })).await;

    // Everyone sees whether the institution's system answers.
    let telling = Telling::to(&world, EVERY).await;
    let connect = |registry: &mut uuk_central::Registry| {
        registry.add_subsystem(&PORTAL.parse().unwrap(), None)?;
        registry.add_client(&SERVER.parse().unwrap(), &PORTAL.parse().unwrap())
    };
    assert_eq!(world.get(head, "/api/v1/procedures/1").await.1["connections"], json!([]), "none to be asked");
    world.central.change(&operator(), "connect", connect).await.unwrap();
    let silent = connection(&world, head, |test| !test["silence"].is_null()).await;
    assert_eq!(silent["system"], PORTAL);
    *telling.body.lock().unwrap() = list(&[]);
    world.clock.advance(EVERY);
    connection(&world, head, |test| test["at"].is_string() && test["silence"].is_null()).await;
    world.step(operator_token, json!({ "act": "confirm_connection", "record": digest("call") })).await;
    let ready = world.step(operator_token, json!({ "act": "confirm_catalog" })).await;
    assert_eq!((&ready["stage"], &ready["turn"]), (&json!("ready"), &json!("nobody")));
    assert!(ready["gates"].as_array().unwrap().iter().all(|gate| !gate["passed"].is_null()));
    assert_eq!(ready["steps"], json!(["terminate"]));
    let ended = json!({ "act": "terminate", "explanation": "Merged with another institution" });
    let ended = world.step(head, ended).await;
    assert_eq!((&ended["stage"], &ended["steps"]), (&json!("terminated"), &json!([])));
    let passed = |gate: &&serde_json::Value| !gate["passed"].is_null();
    assert_eq!(ended["gates"].as_array().unwrap().iter().filter(passed).count(), 1, "the application alone");
    let (status, begun) = world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    assert_eq!((status, &begun["number"]), (StatusCode::CREATED, &json!(2)), "{begun}");

    let acts: Vec<_> =
        world.audit().await.into_iter().map(|entry| (entry.actor.to_string(), entry.act)).collect();
    assert!(acts.contains(&("person:asanova".to_owned(), "joining-submit".to_owned())), "{acts:?}");
    assert!(acts.contains(&("person:bekov".to_owned(), "joining-confirm-catalog".to_owned())), "{acts:?}");
}

/// The test of the institution's only system, once it is as wanted.
async fn connection(world: &World, token: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..TRIES_MAX {
        let (_, shown) = world.get(token, "/api/v1/procedures/1").await;
        if is_wanted(&shown["connections"][0]) {
            return shown["connections"][0].clone();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the system is not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_needs_a_ground_and_tells_why() {
    let world = World::new().await;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    let reviewer = &world.token("choroev", Role::Reviewer, "").await;
    world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let written =
        world.step(head, json!({ "act": "write", "application": application("Person asanova") })).await;
    world.step(head, json!({ "act": "submit", "application": written["application_sha256"] })).await;
    world.step(reviewer, json!({ "act": "review" })).await;
    let refuse = |grounds: Value| json!({ "act": "refuse", "review": review(), "grounds": grounds, "explanation": "Two services are missing" });
    let (status, refused) = world.post(reviewer, STEPS, &refuse(json!([]))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("joining.no_ground")));
    let told = world.step(reviewer, refuse(json!(["catalog_data"]))).await;
    assert_eq!(told["stage"], "refused");
    let (_, shown) = world.get(head, "/api/v1/procedures/1").await;
    assert_eq!(
        shown["history"].as_array().unwrap().last().unwrap()["explanation"],
        "Two services are missing"
    );
    // And it may try again.
    let (status, _) = world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    assert_eq!(status, StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signed_paper_is_kept_to_the_byte_and_of_one_application_only() {
    let world = World::new().await;
    let head = world.token("asanova", Role::Head, MEMBER).await;
    let desk = world.token("bekov", Role::Operator, "").await;
    let stranger = world.token("osmonov", Role::Head, "KG/GOV/70000009").await;
    world.post(&head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let application = application("Person asanova");
    let written = world.step(&head, json!({ "act": "write", "application": application })).await;
    let signed = written["application_sha256"].as_str().unwrap();
    let place = "/api/v1/procedures/1/signed-copy";
    let send = async |token: &str, digest: &str, file: &[u8]| {
        let headers = [("authorization", format!("Bearer {token}"))];
        let path = format!("{place}?application={digest}");
        let (parts, body) = world.exchange("PUT", &path, &headers, file.to_vec().into()).await;
        let told: Value = serde_json::from_slice(&body).unwrap();
        (parts.status.as_u16(), told["code"].as_str().unwrap_or_default().to_owned())
    };
    let paper = b"%PDF-1.7\n\xff\x00 signed";
    let large = [b"%PDF-".as_slice(), &[0; 10 << 20]].concat();
    let other = digest("x");
    for (token, digest, file, status, code) in [
        (&head, signed, b"<html>".as_slice(), 415, "joining.file_kind"),
        (&head, signed, b"", 415, "joining.file_kind"),
        (&head, signed, &large, 413, "joining.file_too_large"),
        (&head, &other, paper, 409, "joining.other_application"),
        (&head, "x", paper, 400, "console.malformed"),
        (&stranger, signed, paper, 403, "console.denied"),
        (&desk, signed, paper, 403, "console.denied"),
    ] {
        assert_eq!(send(token, digest, file).await, (status, code.to_owned()));
    }
    assert_eq!(world.get(&head, place).await.0.as_u16(), 404);

    assert_eq!(send(&head, signed, paper).await.0, 200);
    world.step(&head, json!({ "act": "submit", "application": signed })).await;
    let headers = [("authorization", format!("Bearer {desk}"))];
    let (parts, body) = world.exchange("GET", place, &headers, Bytes::new()).await;
    assert_eq!((parts.status.as_u16(), &body[..]), (200, paper.as_slice()));
    assert_eq!(parts.headers["content-type"], "application/pdf");
    assert_eq!(parts.headers["content-disposition"], "attachment; filename=\"application-1.pdf\"");
    assert_eq!(world.get(&stranger, place).await.0.as_u16(), 403);
    let (_, shown) = world.get(&desk, "/api/v1/procedures/1").await;
    assert_eq!(shown["signed_copy"]["application"], signed);
}

#[tokio::test(flavor = "multi_thread")]
async fn attachments_are_kept_to_the_byte_for_whoever_sees_the_procedure() {
    let world = World::new().await;
    let head = world.token("asanova", Role::Head, MEMBER).await;
    let desk = world.token("bekov", Role::Operator, "").await;
    let stranger = world.token("osmonov", Role::Head, "KG/GOV/70000009").await;
    world.post(&head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let attach = async |token: &str, title: &str, file: &[u8]| {
        let headers = [("authorization", format!("Bearer {token}"))];
        let path = format!("/api/v1/procedures/1/attachments?title={title}");
        let (parts, body) = world.exchange("POST", &path, &headers, file.to_vec().into()).await;
        (parts.status.as_u16(), serde_json::from_slice::<Value>(&body).unwrap())
    };
    let order = b"%PDF-1.7\n\xff\x00 order";
    let large = [b"%PDF-".as_slice(), &[0; 10 << 20]].concat();
    for (token, title, file, status, code) in [
        (&head, "Order+12", b"<html>".as_slice(), 415, "joining.file_kind"),
        (&head, "Order+12", &large, 413, "joining.file_too_large"),
        (&head, "", order, 409, "joining.incomplete"),
        (&head, "%00", order, 409, "joining.incomplete"),
        (&stranger, "Order+12", order, 403, "console.denied"),
        (&desk, "Order+12", order, 403, "console.denied"),
    ] {
        let (answered, told) = attach(token, title, file).await;
        assert_eq!((answered, told["code"].as_str()), (status, Some(code)), "{title}");
    }
    let (status, shown) = attach(&head, "Order+12", order).await;
    let file = shown["attachments"][0]["file"].as_str().unwrap();
    assert_eq!((status, &shown["attachments"][0]["title"]), (201, &json!("Order 12")));

    // Who answers for what by that order.
    let mut application = application("Person asanova");
    application["persons"][0]["authority"]["sha256"] = json!(digest("another"));
    let written = world.step(&head, json!({ "act": "write", "application": application })).await;
    assert_eq!(written["problems"][0]["field"], "/persons/0/authority/sha256");
    application["persons"][0]["authority"]["sha256"] = json!(file);
    let written = world.step(&head, json!({ "act": "write", "application": application })).await;
    assert_eq!(written["problems"], json!([]));
    world.step(&head, json!({ "act": "submit", "application": written["application_sha256"] })).await;

    let place = format!("/api/v1/procedures/1/attachments/{file}");
    let headers = [("authorization", format!("Bearer {desk}"))];
    let (parts, body) = world.exchange("GET", &place, &headers, Bytes::new()).await;
    assert_eq!((parts.status.as_u16(), &body[..]), (200, order.as_slice()));
    assert_eq!(parts.headers["content-type"], "application/pdf");
    assert_eq!(parts.headers["content-disposition"], "attachment; filename=\"application-1-1.pdf\"");
    assert_eq!(world.get(&stranger, &place).await.0.as_u16(), 403);
    let unknown = format!("/api/v1/procedures/1/attachments/{}", digest("another"));
    assert_eq!(world.get(&desk, &unknown).await.0.as_u16(), 404);
    let detach = json!({ "act": "detach", "file": file });
    assert_eq!(world.post(&head, STEPS, &detach).await.1["code"], "joining.wrong_stage");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incomplete_application_names_its_fields() {
    let world = World::new().await;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    let (_, begun) = world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let submit = json!({ "act": "submit", "application": begun["application_sha256"] });
    let (status, refused) = world.post(head, STEPS, &submit).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("joining.incomplete")));
    let fields: Vec<_> = refused["problems"].as_array().unwrap().iter().map(|it| &it["field"]).collect();
    assert_eq!(fields, ["/names/en", "/names/ky", "/names/ru", "/address", "/persons"]);
    let (status, refused) =
        world.post(head, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("joining.already_begun")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_wrongly_is_refused_with_a_code() {
    let world = World::new().await;
    let head = &world.token("asanova", Role::Head, MEMBER).await;
    let json_type = ("content-type", "application/json".to_owned());
    let bearer = ("authorization", format!("Bearer {head}"));
    for (method, path, headers, body, status, code) in [
        ("GET", "/api/v1/me", vec![], "", 401, "console.not_signed_in"),
        (
            "GET",
            "/api/v1/me",
            vec![("authorization", "Bearer asanova.00".to_owned())],
            "",
            401,
            "console.not_signed_in",
        ),
        ("GET", "/api/v1/nothing", vec![bearer.clone()], "", 404, "console.no_such_page"),
        ("GET", "/api/v1/procedures/x", vec![bearer.clone()], "", 404, "console.no_such_page"),
        ("GET", "/api/v1/procedures/7", vec![bearer.clone()], "", 404, "joining.unknown"),
        ("PUT", "/api/v1/procedures", vec![bearer.clone()], "", 405, "console.method"),
        ("POST", "/api/v1/procedures", vec![bearer.clone()], "{}", 415, "console.media_type"),
        (
            "POST",
            "/api/v1/procedures",
            vec![bearer.clone(), json_type.clone()],
            "{",
            400,
            "console.malformed",
        ),
        (
            "POST",
            "/api/v1/procedures",
            vec![bearer.clone(), json_type.clone()],
            "{\"profile\":\"x\"}",
            422,
            "joining.profile",
        ),
    ] {
        let answer = world.send(method, path, &headers, body).await;
        let problem: Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!((answer.status.as_u16(), &problem["code"]), (status, &json!(code)), "{method} {path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_time_or_its_person() {
    let world = World::new().await;
    let token = &world.token("asanova", Role::Head, MEMBER).await;
    assert_eq!(world.get(token, "/api/v1/me").await.0, StatusCode::OK);
    world.advance(301);
    assert_eq!(world.get(token, "/api/v1/me").await.0, StatusCode::UNAUTHORIZED);
    let token = &world.token("choroev", Role::Specialist, MEMBER).await;
    let operator_token = &world.token("bekov", Role::Operator, "").await;
    let (status, _) = world.call("DELETE", operator_token, "/api/v1/people/choroev", None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(world.get(token, "/api/v1/me").await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_designation_ends_after_its_last_day() {
    let world = World::new().await;
    let operator_token = &world.token("bekov", Role::Operator, "").await;
    let wanted = json!({
        "name": "asanova", "full_name": "A. Asanova", "roles": ["specialist"], "member": MEMBER, "until": "2026-11-24",
    });
    let (status, told) = world.post(operator_token, "/api/v1/people", &wanted).await;
    assert_eq!(status, StatusCode::CREATED);
    let password = || Secret::new(PASSWORD.to_owned());
    world.central.accept_invitation(told["invitation"].as_str().unwrap(), password()).await.unwrap();
    let token = world.central.issue_token(&operator(), "asanova", "test", 300).await.unwrap();

    world.advance(1);
    assert_eq!(world.get(token.expose(), "/api/v1/me").await.1["until"], json!("2026-11-24"));
    world.central.sign_in("asanova", password(), "").await.unwrap();
    world.advance(1);
    assert_eq!(world.get(token.expose(), "/api/v1/me").await.0, StatusCode::UNAUTHORIZED);
    assert!(world.central.sign_in("asanova", password(), "").await.is_err(), "with the right password");
    assert!(world.central.issue_token(&operator(), "asanova", "test", 300).await.is_err());

    let prolonged = json!({
        "name": "asanova", "full_name": "A. Asanova", "roles": ["specialist"], "member": MEMBER, "until": "2027-11-24",
    });
    let (_, told) = world.post(operator_token, "/api/v1/people", &prolonged).await;
    world.central.accept_invitation(told["invitation"].as_str().unwrap(), password()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_refers_to_what_it_defines() {
    let world = World::new().await;
    let (status, description) = world.get("", "/api/v1/openapi.json").await;
    assert_eq!(status, StatusCode::OK);
    let text = description.to_string();
    let references: Vec<_> =
        text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(references.len() > 10, "{references:?}");
    for reference in references {
        assert!(description.pointer(reference).is_some(), "{reference} is not defined");
    }
    assert!(description["paths"].as_object().unwrap().len() > 13);
}
