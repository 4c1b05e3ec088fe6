//! The description of the API, made of its routes and of the types that they read.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use uuk_central::vetting::VettingStep;
use uuk_central::{AccessRequest, Step};

use crate::api::{Operation, ROUTES};
use crate::catalog_desk::{Confirming, Deciding, Draft, Publishing, SystemDraft};
use crate::desk::{Beginning, CalendarDraft, Invitation, MailWish};
use crate::reply::MIMETYPE;

/// OpenAPI 3.1.
pub(crate) fn description() -> Value {
    let mut schemas = SchemaGenerator::default();
    let mut paths = Map::new();
    for (operation, method, path, summary) in ROUTES.iter().copied() {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(item) = item.as_object_mut() {
            item.insert(method.to_lowercase(), describe(operation, path, summary, &mut schemas));
        }
    }
    let definitions = Value::Object(schemas.take_definitions(true));
    // schemars names its definitions as JSON Schema does; in OpenAPI they have another place.
    let text = json!({
        "openapi": "3.1.0",
        "info": { "title": "Central server", "version": "1" },
        "paths": paths,
        "security": [{ "token": [] }],
        "components": {
            "schemas": definitions,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "responses": { "Problem": {
                "description": "A refusal, with a stable code (RFC 9457)",
                "content": { "application/problem+json": { "schema": {
                    "type": "object",
                    "required": ["status", "code", "title"],
                    "properties": {
                        "status": { "type": "integer" }, "code": { "type": "string" },
                        "title": { "type": "string" }, "problems": { "type": "array" },
                    },
                } } },
            } },
        },
    });
    let text = text.to_string().replace("#/$defs/", "#/components/schemas/");
    serde_json::from_str(&text).unwrap_or_default()
}

fn describe(operation: Operation, path: &str, summary: &str, schemas: &mut SchemaGenerator) -> Value {
    let (media_type, schema) = match operation {
        Operation::DownloadContract => ("*/*", json!({ "type": "string" })),
        Operation::DownloadAttachment | Operation::DownloadSignedCopy => {
            ("application/pdf", json!({ "type": "string" }))
        }
        Operation::DownloadSubmitted | Operation::DownloadVetted => (MIMETYPE, json!({ "type": "string" })),
        _ => ("application/json", json!({ "type": "object" })),
    };
    let status = match operation {
        Operation::BeginProcedure
        | Operation::Attach
        | Operation::PublishService
        | Operation::AskAccess
        | Operation::InvitePerson
        | Operation::SubmitBundle => "201",
        _ => "200",
    };
    let mut described = json!({
        "operationId": <&str>::from(operation),
        "summary": summary,
        "responses": {
            status: {
                "description": "Done",
                "content": { media_type: { "schema": schema } },
            },
            "default": { "$ref": "#/components/responses/Problem" },
        },
    });
    let body = match operation {
        Operation::BeginProcedure => Some(reference::<Beginning>(schemas)),
        Operation::TakeStep => Some(reference::<Step>(schemas)),
        Operation::DescribeSystem => Some(reference::<SystemDraft>(schemas)),
        Operation::DraftService => Some(reference::<Draft>(schemas)),
        Operation::ConfirmService => Some(reference::<Confirming>(schemas)),
        Operation::PublishService => Some(reference::<Publishing>(schemas)),
        Operation::AskAccess => Some(reference::<AccessRequest>(schemas)),
        Operation::DecideAccess => Some(reference::<Deciding>(schemas)),
        Operation::TakeVettingStep => Some(reference::<VettingStep>(schemas)),
        Operation::SetCalendar => Some(reference::<CalendarDraft>(schemas)),
        Operation::SetMail => Some(reference::<MailWish>(schemas)),
        Operation::InvitePerson => Some(reference::<Invitation>(schemas)),
        _ => None,
    };
    let Some(fields) = described.as_object_mut() else { return described };
    if let Some(schema) = body {
        let content = json!({ "application/json": { "schema": schema } });
        fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let file_type = match operation {
        Operation::SubmitBundle => Some(MIMETYPE),
        Operation::Attach | Operation::AttachSignedCopy => Some("application/pdf"),
        _ => None,
    };
    if let Some(file_type) = file_type {
        let content = json!({ file_type: { "schema": { "type": "string" } } });
        fields.insert("requestBody".to_owned(), json!({ "required": true, "content": content }));
    }
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<_> = names
        .map(|name| {
            let schema = match name {
                "number" => json!({ "type": "integer", "minimum": 1 }),
                _ => json!({ "type": "string" }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    let questions: &[(&str, &str, bool)] = match operation {
        Operation::SearchCatalog => &[("q", "string", false)],
        Operation::ShowAudit => &[("before", "integer", false), ("contains", "string", false)],
        Operation::Attach => &[("title", "string", true)],
        Operation::AttachSignedCopy => &[("application", "string", true)],
        _ => &[],
    };
    for (name, kind, required) in questions {
        parameters.push(json!({
            "name": name, "in": "query", "required": required, "schema": { "type": kind },
        }));
    }
    if !parameters.is_empty() {
        fields.insert("parameters".to_owned(), json!(parameters));
    }
    if operation.is_public() {
        fields.insert("security".to_owned(), json!([]));
    }
    described
}

fn reference<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}
