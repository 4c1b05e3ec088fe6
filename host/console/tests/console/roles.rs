//! Every action of the API's own description, tried as every role.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use strum::IntoEnumIterator;
use uuk_central::Role;

use crate::catalog::{CONTRACT, PROVIDER, SERVICE, description, texts};
use crate::world::{MEMBER, World, application, digest, review};

/// What somebody can do: an operation, or of those that do several things, one of these (`takeStep:sign`).
struct Action {
    name: String,
    method: String,
    path: String,
    body: Option<Value>,
    media_type: String,
}

/// Everything that needs a token, as the description tells it.
fn actions(described: &Value) -> Vec<Action> {
    let mut actions = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            if operation["security"] == json!([]) {
                continue;
            }
            let id = operation["operationId"].as_str().unwrap();
            let content =
                operation["requestBody"]["content"].as_object().and_then(|content| content.iter().next());
            let (media_type, acts) = match content {
                None => (String::new(), Vec::new()),
                Some((media_type, content)) => (media_type.clone(), acts(described, &content["schema"])),
            };
            let action = |name: String| Action {
                body: content.is_some().then(|| body(&name)),
                name,
                method: method.to_uppercase(),
                path: fill(path) + &question(operation),
                media_type: media_type.clone(),
            };
            match acts.is_empty() {
                true => actions.push(action(id.to_owned())),
                false => actions.extend(acts.iter().map(|act| action(format!("{id}:{act}")))),
            }
        }
    }
    actions
}

/// The acts between which a body chooses, if it does.
fn acts(described: &Value, schema: &Value) -> Vec<String> {
    let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    let schema = reference.map_or(schema, |reference| described.pointer(reference).unwrap());
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    choices.map(|one| one["properties"]["act"]["const"].as_str().unwrap().to_owned()).collect()
}

/// A path of what is there, of the member for whom all those with a role at a member act.
fn fill(path: &str) -> String {
    let names = ["instance", "class", "member", "subsystem", "service"];
    let filled = names
        .into_iter()
        .zip(SERVICE.split('/'))
        .fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value));
    let filled = filled.replace("{number}", "1").replace("{name}", "x").replace("{country}", "KG");
    let filled = filled.replace("{sha256}", &digest("x"));
    assert!(!filled.contains('{'), "{filled}: say what to put there");
    filled
}

/// What is asked in the query, as far as it must be.
fn question(operation: &Value) -> String {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let required = parameters.filter(|one| one["in"] == "query" && one["required"] == true);
    let names: Vec<_> = required.map(|one| one["name"].as_str().unwrap()).collect();
    match names.as_slice() {
        [] => String::new(),
        ["application"] => format!("?application={}", digest("x")),
        ["title"] => "?title=x".to_owned(),
        other => panic!("{other:?}: say what to ask"),
    }
}

/// What an action needs to be more than malformed.
fn body(action: &str) -> Value {
    let pem = "-----BEGIN CERTIFICATE-----";
    let mut body = match action {
        "beginProcedure" => json!({ "profile": "tunduk-2018" }),
        "setCalendar" => {
            json!({ "tables": { "country": "KG", "utc_offset_hours": 6, "days_off": ["03-21"] } })
        }
        "takeStep:write" => json!({ "application": application("A") }),
        "takeStep:submit" => json!({ "application": digest("x") }),
        "takeStep:ask" => json!({ "question": "x" }),
        "takeStep:answer" => json!({ "answer": "x" }),
        "takeStep:return" | "takeStep:reject_certificates" | "takeStep:terminate" => {
            json!({ "explanation": "x" })
        }
        "takeStep:approve" => json!({ "review": review() }),
        "takeStep:refuse" => json!({ "review": review(), "grounds": ["catalog_data"], "explanation": "x" }),
        "takeStep:sign" => json!({ "text": "x", "effective": "2026-12-01" }),
        "takeStep:propose" => json!({ "text": "x" }),
        "takeStep:consent" => json!({ "text": digest("x") }),
        "takeStep:report_host" => json!({ "report": "x" }),
        "takeStep:submit_certificates" => json!({ "authentication": pem, "signing": [pem] }),
        "takeStep:confirm_connection" => json!({ "record": digest("x") }),
        "takeVettingStep:approve" => json!({ "bundle": digest("x"), "tier": "standard", "grants": "x" }),
        "takeVettingStep:refuse" => json!({ "bundle": digest("x"), "explanation": "x" }),
        "takeVettingStep:revoke" => json!({ "reason": "x" }),
        "submitBundle" => json!("no bundle"),
        "takeStep:detach" => json!({ "file": digest("x") }),
        "attach" | "attachSignedCopy" => json!("no paper"),
        "describeSystem" => json!({ "description": { "title": texts("x"), "description": texts("x") } }),
        "draftService" => json!({ "description": description(), "contract": CONTRACT }),
        "publishService" => json!({}),
        "confirmService" => json!({ "edition": 1 }),
        "askAccess" => json!({
            "consumer": PROVIDER, "service": SERVICE, "purpose": "x", "legal_basis": "x", "fields": [],
            "until": "2027-12-31T00:00:00Z", "calls_per_day": 1,
        }),
        "decideAccess" => json!({ "granted": true, "note": "x" }),
        "setMail" => json!({ "mail": "x@example.kg", "language": "ky" }),
        "invitePerson" => json!({ "name": "x", "full_name": "X", "roles": ["auditor"] }),
        // These say nothing but their name.
        "takeStep:withdraw"
        | "takeStep:review"
        | "takeStep:report_keys"
        | "takeStep:report_requests"
        | "takeStep:verify_certificates"
        | "takeStep:register_certificates"
        | "takeStep:confirm_catalog"
        | "takeVettingStep:withdraw" => json!({}),
        other => panic!("{other}: say what its body can be"),
    };
    if let Some((_, act)) = action.split_once(':') {
        body["act"] = json!(act);
    }
    body
}

/// Who may do what, as the operator's manual says.
fn permitted(action: &str) -> Vec<Role> {
    use Role::{Auditor, CatalogEditor, Head, Operator, Reviewer, Specialist};
    match action {
        "showMyself" | "setMail" | "listProfiles" | "listCalendars" | "listProcedures" | "showProcedure"
        | "downloadAttachment" | "downloadSignedCopy" | "listOwnSystems" | "showOwnService"
        | "listAccesses" => Role::iter().collect(),
        "beginProcedure"
        | "attach"
        | "attachSignedCopy"
        | "takeStep:write"
        | "takeStep:detach"
        | "takeStep:ask"
        | "takeStep:report_host"
        | "takeStep:report_keys"
        | "takeStep:report_requests"
        | "takeStep:submit_certificates" => vec![Head, Specialist],
        "setCalendar" => vec![Operator],
        "takeStep:submit" | "takeStep:withdraw" => vec![Head],
        "takeStep:review"
        | "takeStep:answer"
        | "takeStep:return"
        | "takeStep:approve"
        | "takeStep:refuse"
        | "takeStep:verify_certificates"
        | "takeStep:reject_certificates" => vec![Operator, Reviewer],
        "takeStep:sign" => vec![Operator, Head, Specialist],
        "takeStep:propose" => vec![Operator, Reviewer, Head, Specialist],
        "takeStep:consent" | "takeStep:terminate" => vec![Operator, Head],
        "takeStep:register_certificates" | "takeStep:confirm_connection" | "takeStep:confirm_catalog" => {
            vec![Operator]
        }
        "listSubmissions" | "showSubmission" | "downloadSubmitted" | "downloadVetted" => {
            vec![Operator, Reviewer, Auditor, Head, Specialist]
        }
        "submitBundle" | "takeVettingStep:withdraw" => vec![Operator, Head, Specialist],
        "takeVettingStep:approve" | "takeVettingStep:refuse" => vec![Reviewer],
        "takeVettingStep:revoke" => vec![Operator, Reviewer],
        "describeSystem" | "draftService" | "publishService" | "confirmService" | "withdrawService" => {
            vec![CatalogEditor]
        }
        "askAccess" | "decideAccess" => vec![Head, CatalogEditor],
        "listPeople" | "listLetters" | "showAudit" => vec![Operator, Auditor],
        "invitePerson" | "dismissPerson" => vec![Operator],
        other => panic!("{other}: say here and in the operator's manual who may do this"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_role_may_not_do_is_denied_and_noted() {
    let world = World::new().await;
    world.furnish().await;
    world.publish().await;
    let founder = world.token("founder", Role::Head, PROVIDER).await;
    world.post(&founder, "/api/v1/procedures", &json!({ "profile": "tunduk-2018" })).await;
    let actions = actions(&world.get("", "/api/v1/openapi.json").await.1);
    assert!(actions.len() > 45, "{}", actions.len());
    for role in Role::iter() {
        let name = role.to_string().replace('_', "-");
        let token = &world.token(&name, role, PROVIDER).await;
        let mut denied = Vec::new();
        for Action { name, method, path, body, media_type } in &actions {
            let mut headers = vec![("authorization", format!("Bearer {token}"))];
            headers.extend((!media_type.is_empty()).then(|| ("content-type", media_type.clone())));
            let body = body.as_ref().map_or(Bytes::new(), |body| body.to_string().into());
            let (parts, told) = world.exchange(method, path, &headers, body).await;
            let (status, told) = (parts.status, String::from_utf8_lossy(&told));
            assert_ne!(status, StatusCode::BAD_REQUEST, "{role} {name}: {told}");
            let may = permitted(name).contains(&role);
            assert_eq!(status == StatusCode::FORBIDDEN, !may, "{role} {name}: {status} {told}");
            if !may {
                assert!(told.contains("\"console.denied\""), "{role} {name}: {told}");
                denied.push(name);
            }
        }
        let actor = format!("person:{name}");
        let noted = world.audit().await.into_iter();
        let noted =
            noted.filter(|entry| entry.actor.to_string() == actor && entry.act.starts_with("denied-"));
        let noted: Vec<_> = noted.map(|entry| entry.act).collect();
        assert_eq!(noted.len(), denied.len(), "{role}: {denied:?} {noted:?}");
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
