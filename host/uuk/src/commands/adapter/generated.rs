//! Requests that nobody wrote: those of the fixtures with one value exchanged for an odd one that the contract allows.
//!
//! They are the same every time. What the contract refuses is left out, as a server would refuse it before the adapter.

use serde_json::{Map, Value, json};
use uuk_contract::Operation;

use super::fixture::{self, Fixture};
use super::project::Project;

/// Requests made for one operation.
const REQUESTS_MAX: usize = 300;
/// How deep values inside a body are exchanged.
const DEPTH_MAX: usize = 6;
/// Longest text put in; a schema's own bound, if it is lower.
const TEXT_CHARS_MAX: usize = 10_000;
const ITEMS_MAX: usize = 100;

/// Texts that have broken programs.
const ODD_TEXTS: [&str; 10] = [
    "",
    " ",
    "' OR '1'='1' --",
    "%_\\",
    "<script>&amp;]]>",
    "../../etc/passwd",
    "Ң ө ү ё 漢字 😀",
    "\u{202E}\u{200B}\u{FEFF}",
    "${jndi:ldap://x}{{7*7}}",
    "null",
];

/// What was made of the fixtures.
#[derive(Debug, Default)]
pub(super) struct Generated {
    /// Operation and request document.
    pub(super) requests: Vec<(String, Value)>,
    /// How many the contract refused.
    pub(super) refused: usize,
}

/// Makes requests for each operation that a fixture calls.
pub(super) fn generate(project: &Project, fixtures: &[Fixture]) -> Generated {
    let mut generated = Generated::default();
    for contract in &project.contracts {
        for operation in contract.operations() {
            let of_it = |fixture: &&Fixture| fixture.operation == operation.id();
            let Some(seed) = fixtures.iter().find(of_it) else { continue };
            let mut fitting: Vec<Value> = Vec::new();
            for request in variants(operation, &seed.request) {
                let is_new = fitting.len() < REQUESTS_MAX && !fitting.contains(&request);
                match fixture::document(contract, operation, &request) {
                    Some(_) if is_new => fitting.push(request),
                    Some(_) => {}
                    None => generated.refused += 1,
                }
            }
            generated
                .requests
                .extend(fitting.into_iter().map(|request| (operation.id().to_owned(), request)));
        }
    }
    generated
}

/// `seed`, and `seed` with each of its values exchanged or left out, one at a time.
fn variants(operation: &Operation, seed: &Value) -> Vec<Value> {
    let schema = operation.input_schema();
    let mut variants = vec![seed.clone()];
    vary(schema, schema, seed, DEPTH_MAX, &mut |variant| variants.push(variant));
    variants
}

/// Gives `give` each variant of a value that `schema` describes.
fn vary(root: &Value, schema: &Value, value: &Value, depth: usize, give: &mut dyn FnMut(Value)) {
    let schema = resolved(root, schema);
    if let (Some(Value::Object(properties)), Value::Object(members), 1..) =
        (schema.get("properties"), value, depth)
    {
        for (name, property) in properties {
            let with = |exchanged: Option<Value>| -> Value {
                let mut members: Map<String, Value> = members.clone();
                match exchanged {
                    Some(exchanged) => members.insert(name.clone(), exchanged),
                    None => members.shift_remove(name),
                };
                Value::Object(members)
            };
            give(with(None));
            let inner = members.get(name).unwrap_or(&Value::Null);
            vary(root, property, inner, depth - 1, &mut |variant| give(with(Some(variant))));
        }
        return;
    }
    odd(root, schema, value).into_iter().for_each(give);
}

/// Odd values of the type that a schema asks for.
fn odd(root: &Value, schema: &Value, value: &Value) -> Vec<Value> {
    if let Some(Value::Array(listed)) = schema.get("enum") {
        return listed.clone();
    }
    let types = schema.get("type");
    let is = |name: &str| match types {
        Some(Value::String(only)) => only == name,
        Some(Value::Array(several)) => several.iter().any(|one| one == name),
        _ => false,
    };
    let bound =
        |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|bound| bound.try_into().ok());
    let mut odd = Vec::new();
    if is("string") {
        odd.extend(ODD_TEXTS.map(Value::from));
        let longest = bound("maxLength").unwrap_or(TEXT_CHARS_MAX).min(TEXT_CHARS_MAX);
        let shortest = bound("minLength").unwrap_or(0).min(TEXT_CHARS_MAX);
        odd.extend(
            [longest, shortest]
                .iter()
                .flat_map(|chars| [json!("ы".repeat(*chars)), json!("9".repeat(*chars))]),
        );
        // Of the same length, for what is a number in all but name.
        let length = value.as_str().map_or(0, |text| text.chars().count());
        odd.extend(["0", "9"].map(|digit| json!(digit.repeat(length))));
        odd.extend(["0001-01-01", "9999-12-31", "2024-02-29", "9999-12-31T23:59:59Z"].map(Value::from));
    }
    if is("integer") || is("number") {
        let bounds = ["minimum", "maximum"].iter().filter_map(|keyword| schema.get(*keyword).cloned());
        odd.extend(bounds);
        odd.extend([json!(0), json!(-1), json!(1), json!(i64::MAX), json!(i64::MIN)]);
    }
    if is("number") {
        odd.extend([json!(0.1), json!(-1e300), json!(1e-300)]);
    }
    if is("boolean") {
        odd.extend([json!(true), json!(false)]);
    }
    if is("array") {
        let item = value.get(0).cloned().or_else(|| {
            self::odd(root, resolved(root, schema.get("items")?), &Value::Null).into_iter().next()
        });
        let most = bound("maxItems").unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
        odd.push(json!([]));
        odd.extend(item.map(|item| Value::Array(vec![item; most])));
    }
    if is("null") {
        odd.push(Value::Null);
    }
    odd
}

/// What a reference leads to: components stand under `$defs`.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
}

#[cfg(test)]
mod tests {
    use super::super::project::ProjectOptions;
    use super::*;

    #[test]
    fn makes_the_same_requests_every_time_and_all_fit_the_contract() {
        let folder = format!("{}/../../examples/people", env!("CARGO_MANIFEST_DIR"));
        let project = Project::open(&ProjectOptions::at(folder)).expect("the example is sound");
        let fixtures = Fixture::read_all(&project).expect("its fixtures are");
        let generated = generate(&project, &fixtures);
        assert_eq!(generated.requests, generate(&project, &fixtures).requests);
        assert!(generated.refused > 0, "a number of a person is no odd text");
        let surnames: Vec<_> =
            generated.requests.iter().filter_map(|(_, request)| request.get("surname")).collect();
        assert!(surnames.contains(&&json!("' OR '1'='1' --")), "{surnames:?}");
        let pages: Vec<_> =
            generated.requests.iter().filter_map(|(_, request)| request.get("page_size")).collect();
        assert!(pages.contains(&&json!(200)) && !pages.contains(&&json!(201)), "{pages:?}");
    }
}
