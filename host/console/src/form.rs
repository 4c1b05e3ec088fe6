//! Forms as the JSON that the API reads: the names of fields are JSON pointers.
//!
//! `/persons/0/name` is text. `/persons/0/valid_until:optional` is left out if it is empty, and
//! `/review/items/server:truth` is true for `yes`, `/level/minutes:number` a number, `/tables/days_off:lines` a list of the
//! lines that are not blank. An entry of a list whose every text is empty was not filled in.

use serde_json::{Map, Value};

/// Nobody fills in more.
const FIELDS_MAX: usize = 4000;
const DEPTH_MAX: usize = 8;

/// What a form says, and the fields outside of it, whose names are no pointers.
pub(crate) fn read(body: &[u8]) -> (Value, Vec<(String, String)>) {
    let mut content = Value::Object(Map::new());
    let mut others = Vec::new();
    for (name, value) in form_urlencoded::parse(body).take(FIELDS_MAX) {
        let Some(pointer) = name.strip_prefix('/') else {
            others.push((name.into_owned(), value.into_owned()));
            continue;
        };
        let (pointer, kind) = pointer.split_once(':').unwrap_or((pointer, ""));
        let value = match kind {
            "optional" if value.is_empty() => continue,
            "truth" => Value::Bool(value == "yes"),
            "lines" => value.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
            "number" => value.parse::<i64>().map_or_else(|_| value.as_ref().into(), Value::from),
            _ => Value::String(value.into_owned()),
        };
        let path: Vec<_> = pointer.split('/').collect();
        if path.len() <= DEPTH_MAX {
            put(&mut content, &path, value);
        }
    }
    (listed(content), others)
}

fn put(into: &mut Value, path: &[&str], value: Value) {
    match (path, into.as_object_mut()) {
        ([last], Some(fields)) => {
            fields.insert((*last).to_owned(), value);
        }
        ([first, rest @ ..], Some(fields)) => {
            let next = fields.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            put(next, rest, value);
        }
        _ => {}
    }
}

/// Objects whose every name is a number are lists.
fn listed(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let is_list = !fields.is_empty() && fields.keys().all(|name| name.parse::<usize>().is_ok());
    if !is_list {
        return fields.into_iter().map(|(name, value)| (name, listed(value))).collect();
    }
    let mut entries: Vec<_> =
        fields.into_iter().filter_map(|(name, value)| Some((name.parse::<usize>().ok()?, value))).collect();
    entries.sort_by_key(|(index, _)| *index);
    entries.into_iter().map(|(_, value)| listed(value)).filter(|value| !is_blank(value)).collect()
}

fn is_blank(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Array(entries) => entries.iter().all(is_blank),
        Value::Object(fields) => fields.values().all(is_blank),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_what_the_api_reads() {
        let form = "act=write&/application/persons/1/name=B&/application/persons/0/name=A\
                    &/application/persons/0/duties/0=signs_agreement&/application/persons/2/name=\
                    &/application/persons/0/valid_until:optional=&/items/server:truth=yes&/items/carrier:truth=no\
                    &/days:lines=03-08%0D%0A%0D%0A+03-21+&/hours:number=-3&/no_days:lines=";
        let (content, others) = read(form.as_bytes());
        let persons = json!([{ "name": "A", "duties": ["signs_agreement"] }, { "name": "B" }]);
        assert_eq!(
            content,
            json!({ "application": { "persons": persons }, "items": { "server": true, "carrier": false },
                "days": ["03-08", "03-21"], "hours": -3, "no_days": [] })
        );
        assert_eq!(others, [("act".to_owned(), "write".to_owned())]);
    }

    #[test]
    fn depth_is_bounded() {
        let (content, _) = read(format!("{}=x", "/a".repeat(100)).as_bytes());
        assert_eq!(content, json!({}));
    }
}
