use http::StatusCode;
use serde_json::{Value, json};
use uuk_central::Role;

use crate::world::{MEMBER, World, application, digest, review};

/// Every step, with whatever it needs.
fn steps() -> Vec<(&'static str, Value)> {
    let pem = "-----BEGIN CERTIFICATE-----";
    vec![
        ("write", json!({ "application": application("A") })),
        ("submit", json!({ "application": digest("x") })),
        ("withdraw", json!({})),
        ("review", json!({})),
        ("return", json!({ "explanation": "x" })),
        ("approve", json!({ "review": review() })),
        ("refuse", json!({ "review": review(), "grounds": ["catalog_data"], "explanation": "x" })),
        ("sign", json!({ "text": "x", "effective": "2026-12-01" })),
        ("propose", json!({ "text": "x" })),
        ("consent", json!({ "text": digest("x") })),
        ("report_host", json!({ "report": "x" })),
        ("report_keys", json!({})),
        ("report_requests", json!({})),
        ("submit_certificates", json!({ "authentication": pem, "signing": [pem] })),
        ("verify_certificates", json!({})),
        ("reject_certificates", json!({ "explanation": "x" })),
        ("register_certificates", json!({})),
        ("confirm_connection", json!({ "record": digest("x") })),
        ("confirm_catalog", json!({})),
    ]
}

/// What can be done with a bundle in vetting.
fn vetting_steps() -> Vec<(&'static str, Value)> {
    let bundle = digest("x");
    vec![
        ("approve_bundle", json!({ "act": "approve", "bundle": bundle, "tier": "standard", "grants": "x" })),
        ("refuse_bundle", json!({ "act": "refuse", "bundle": bundle, "explanation": "x" })),
        ("withdraw_bundle", json!({ "act": "withdraw" })),
        ("revoke_bundle", json!({ "act": "revoke", "reason": "x" })),
    ]
}

/// What each role may do, as the operator's manual says.
fn permitted(role: Role) -> &'static [&'static str] {
    match role {
        Role::Operator => &[
            "review",
            "return",
            "approve",
            "refuse",
            "sign",
            "propose",
            "consent",
            "verify_certificates",
            "reject_certificates",
            "register_certificates",
            "confirm_connection",
            "confirm_catalog",
            "people",
            "invite",
            "dismiss",
            "audit",
            "submissions",
            "submit_bundle",
            "withdraw_bundle",
            "revoke_bundle",
        ],
        Role::Reviewer => &[
            "submissions",
            "approve_bundle",
            "refuse_bundle",
            "revoke_bundle",
            "review",
            "return",
            "approve",
            "refuse",
            "propose",
            "verify_certificates",
            "reject_certificates",
        ],
        Role::Head => &[
            "submissions",
            "submit_bundle",
            "withdraw_bundle",
            "begin",
            "write",
            "submit",
            "withdraw",
            "sign",
            "propose",
            "consent",
            "report_host",
            "report_keys",
            "report_requests",
            "submit_certificates",
        ],
        Role::Specialist => &[
            "submissions",
            "submit_bundle",
            "withdraw_bundle",
            "begin",
            "write",
            "sign",
            "propose",
            "report_host",
            "report_keys",
            "report_requests",
            "submit_certificates",
        ],
        Role::CatalogEditor => &[],
        Role::Auditor => &["people", "audit", "submissions"],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_do_is_denied_and_noted() {
    let world = World::new().await;
    let founder = world.token("founder", Role::Head, MEMBER).await;
    world.post(&founder, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let roles =
        [Role::Operator, Role::Reviewer, Role::Head, Role::Specialist, Role::CatalogEditor, Role::Auditor];
    for role in roles {
        let name = role.to_string().replace('_', "-");
        let token = &world.token(&name, role, MEMBER).await;
        let mut tried = Vec::new();
        for (step, mut body) in steps() {
            body["act"] = json!(step);
            // A withdrawn procedure would end the test.
            if step != "withdraw" || !permitted(role).contains(&step) {
                tried.push((step, world.post(token, "/api/v1/procedures/1/steps", &body).await));
            }
        }
        let begin = json!({ "profile": "tunduk-2018" });
        tried.push(("begin", world.post(token, "/api/v1/procedures", &begin).await));
        tried.push(("people", world.get(token, "/api/v1/people").await));
        tried.push(("audit", world.get(token, "/api/v1/audit").await));
        let somebody = json!({ "name": "x", "full_name": "X", "roles": ["auditor"] });
        tried.push(("invite", world.post(token, "/api/v1/people", &somebody).await));
        tried.push(("dismiss", world.call("DELETE", token, "/api/v1/people/x", None).await));

        tried.push(("submissions", world.get(token, "/api/v1/submissions").await));
        tried.push(("submit_bundle", world.post(token, "/api/v1/submissions", &json!({})).await));
        for (name, step) in vetting_steps() {
            tried.push((name, world.post(token, "/api/v1/submissions/1/steps", &step).await));
        }

        let mut denied = 0;
        for (action, (status, told)) in tried {
            let is_denied = status == StatusCode::FORBIDDEN;
            assert_eq!(is_denied, !permitted(role).contains(&action), "{role} {action}: {status} {told}");
            if is_denied {
                assert_eq!(told["code"], "console.denied");
                denied += 1;
            }
        }
        let actor = format!("person:{name}");
        let noted = world
            .audit()
            .await
            .into_iter()
            .filter(|entry| entry.actor.to_string() == actor && entry.act.starts_with("denied-"));
        assert_eq!(noted.count(), denied, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_acts_for_another_institution() {
    let world = World::new().await;
    let founder = world.token("founder", Role::Head, MEMBER).await;
    world.post(&founder, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let other = &world.token("other", Role::Head, "KG/GOV/70000009").await;
    let (status, listed) = world.get(other, "/api/v1/procedures").await;
    assert_eq!((status, &listed["procedures"]), (StatusCode::OK, &json!([])));
    assert_eq!(world.get(other, "/api/v1/procedures/1").await.0, StatusCode::FORBIDDEN);
    let write = json!({ "act": "write", "application": application("A") });
    assert_eq!(world.post(other, "/api/v1/procedures/1/steps", &write).await.0, StatusCode::FORBIDDEN);
    let last = world.audit().await.pop().unwrap();
    assert_eq!((last.act.as_str(), last.edits[0].id.as_str()), ("denied-joining-write", "procedure 1"));
}
