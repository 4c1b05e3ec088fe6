//! Documents that fit a schema, by chance.

use serde_json::{Map, Value, json};
use uuk_contract::{Operation, Parameter, Place, QueryList};

/// A request document of `operation`. Parameters cannot hold what bodies can: control characters, and lists of nothing.
pub(crate) fn request(operation: &Operation, random: &mut fastrand::Rng) -> Value {
    let mut document = sample(operation.input_schema(), random);
    let Some(members) = document.as_object_mut() else { return document };
    for Parameter { name, .. } in operation.parameters() {
        if let Some(value) = members.get_mut(name) {
            let texts = match value {
                Value::Array(items) => items.as_mut_slice(),
                one => std::slice::from_mut(one),
            };
            for text in texts {
                if let Value::String(text) = text {
                    text.retain(|character| !character.is_control());
                }
            }
        }
        if members.get(name) == Some(&json!([])) {
            members.remove(name);
        }
    }
    document
}

/// The path, query and headers that say the parameters of a document.
pub(crate) fn target(operation: &Operation, document: &Value) -> (String, String, Vec<(String, String)>) {
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let said = |value: &Value| plain(value).bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let (mut path, mut query, mut headers) = (operation.path().to_owned(), Vec::new(), Vec::new());
    for Parameter { name, place, .. } in operation.parameters() {
        let Some(value) = document.get(name) else { continue };
        let items = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        match place {
            Place::Path { .. } => path = path.replace(&format!("{{{name}}}"), &said(value)),
            Place::Header => headers.push((name.clone(), plain(value))),
            Place::Query { list: QueryList::Commas } => {
                query.push(format!("{name}={}", items.iter().map(said).collect::<Vec<_>>().join(",")));
            }
            Place::Query { .. } => query.extend(items.iter().map(|item| format!("{name}={}", said(item)))),
        }
    }
    (path, query.join("&"), headers)
}

/// A value that fits `schema`, which holds its components under `$defs`.
pub(crate) fn sample(schema: &Value, random: &mut fastrand::Rng) -> Value {
    let empty = json!({});
    Sampler { definitions: schema.get("$defs").unwrap_or(&empty), random, depth: 0 }.value(schema)
}

struct Sampler<'s, 'r> {
    definitions: &'s Value,
    random: &'r mut fastrand::Rng,
    depth: usize,
}

impl Sampler<'_, '_> {
    fn value(&mut self, schema: &Value) -> Value {
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let name = reference.rsplit('/').next().unwrap();
            return self.value(&self.definitions[name]);
        }
        if let Some(values) = schema.get("enum").and_then(Value::as_array) {
            return values[self.random.usize(..values.len())].clone();
        }
        if let (Some(forms), None) = (schema.get("anyOf").and_then(Value::as_array), schema.get("type")) {
            let chosen = self.random.usize(..forms.len());
            return self.value(&forms[chosen]);
        }
        let types = match &schema["type"] {
            Value::Array(several) => several.clone(),
            one => vec![one.clone()],
        };
        match types[self.random.usize(..types.len())].as_str() {
            Some("object") => self.object(schema),
            Some("array") => self.array(schema),
            Some("string") => self.text(schema).into(),
            Some("boolean") => self.random.bool().into(),
            Some("integer") => self.integer(schema).into(),
            Some("number") => self.number(schema),
            Some("null") => Value::Null,
            other => panic!("{other:?} {schema}"),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        self.depth += 1;
        let (mut must, mut must_not) = (names(&schema["required"]), Vec::new());
        self.choose(schema, &mut must, &mut must_not);
        let asks_for_some = schema.get("minProperties").is_some();
        let mut members = Map::new();
        for (name, part) in schema["properties"].as_object().into_iter().flatten() {
            let may = !must_not.contains(name) && (asks_for_some || (self.depth < 5 && self.random.bool()));
            // What belongs to a choice that was not taken would ask for its neighbours.
            if must.contains(name) || (may && !is_in_choice(schema, name)) {
                members.insert(name.clone(), self.value(part));
            }
        }
        self.depth -= 1;
        Value::Object(members)
    }

    /// Takes one branch of each choice.
    fn choose(&mut self, schema: &Value, must: &mut Vec<String>, must_not: &mut Vec<String>) {
        for choice in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            let branches = choice["anyOf"].as_array().unwrap();
            let branch = &branches[self.random.usize(..branches.len())];
            must.extend(names(&branch["required"]));
            must_not.extend(branch["properties"].as_object().unwrap().keys().cloned());
            self.choose(branch, must, must_not);
        }
    }

    fn array(&mut self, schema: &Value) -> Value {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
        let min = bound("minItems").unwrap_or_default();
        let most = if self.depth > 4 { min } else { min + 3 };
        let length = self.random.u64(min..=bound("maxItems").map_or(most, |max| max.min(most)));
        (0..length).map(|_| self.value(&schema["items"])).collect()
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_i64);
        let (min, max) = (bound("minimum").unwrap_or(i64::MIN), bound("maximum").unwrap_or(i64::MAX));
        match self.random.u8(..4) {
            0 => min,
            1 => max,
            _ => self.random.i64(min..=max),
        }
    }

    fn number(&mut self, schema: &Value) -> Value {
        let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
        let above = bound("exclusiveMinimum").map(|min| min + 0.125);
        let (min, max) = (bound("minimum").or(above).unwrap_or(-1e6), bound("maximum").unwrap_or(1e6));
        // Powers of two keep every digit in single precision, too.
        let value = min + (max - min) * f64::from(self.random.u8(1..8)) / 8.0;
        if self.random.bool() && value.trunc() >= min { json!(value.trunc() as i64) } else { json!(value) }
    }

    fn text(&mut self, schema: &Value) -> String {
        let typed = schema.get("x-xsd").and_then(|keyword| keyword["type"].as_str());
        let samples: &[&str] = match typed.or_else(|| schema["format"].as_str()) {
            Some("decimal") => &["0", "-1.50", "12345678901234.0123456789", "+7", ".5", "99.99"],
            Some("int" | "integer") => &["0123", "0999", "0001"],
            Some("date") => &["2024-02-29", "1999-12-31"],
            Some("date-time") => &["2024-02-29T23:59:59Z"],
            Some("dateTime") => &["2024-02-29T23:59:59.123+06:00", "1999-12-31T00:00:00"],
            Some("time") => &["00:00:00", "12:30:00.5Z"],
            Some("gYear") => &["2024", "1999Z"],
            Some("gYearMonth") => &["2024-12"],
            Some("gMonthDay") => &["--02-29"],
            Some("duration") => &["P1Y2M", "PT0.5S", "-P3D"],
            Some("base64Binary") => &["", "aGVsbG8=", "AAECAwQ="],
            Some("hexBinary") => &["", "00ff", "DEADBEEF"],
            Some("token") => &["a b", "ticket-1"],
            Some("NMTOKEN" | "NCName" | "ID") => &["a1", "x.y-z"],
            Some("language") => &["ky", "en-US"],
            Some("anyURI") => &["http://example.org/a", "urn:x"],
            Some("normalizedString") => &[" a  b ", ""],
            Some(other) => panic!("no sample of {other}"),
            None => &[
                "",
                "Асан уулу",
                " a\n\tb ",
                "<&>\"'",
                "]]>",
                "x\r\ny",
                "😀",
                "AB",
                "ABC",
                "123456789",
                "abc",
                "a-b",
            ],
        };
        let patterned =
            ["0123456789", "20240229-00001", "12345678901234", "KGZ", "AB", "01KG123ABC", "abc", "x1"];
        let fits = |text: &&str| {
            let length = text.chars().count() as u64;
            let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_u64);
            let patterns = std::iter::once(schema).chain(schema["allOf"].as_array().into_iter().flatten());
            bound("minLength").is_none_or(|min| length >= min)
                && bound("maxLength").is_none_or(|max| length <= max)
                && patterns
                    .filter_map(|part| part["pattern"].as_str())
                    .all(|pattern| regex::Regex::new(pattern).unwrap().is_match(text))
        };
        let fitting: Vec<_> = samples
            .iter()
            .chain(patterned.iter().filter(|_| typed.is_none() && schema.get("format").is_none()))
            .copied()
            .filter(|text| fits(text))
            .collect();
        assert!(!fitting.is_empty(), "no sample for {schema}");
        fitting[self.random.usize(..fitting.len())].to_owned()
    }
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// Whether some choice speaks of `name`.
fn is_in_choice(schema: &Value, name: &str) -> bool {
    schema.get("allOf").is_some_and(|choices| choices.to_string().contains(&format!("\"{name}\"")))
}
