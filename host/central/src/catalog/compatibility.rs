//! What a new edition of a contract breaks for those who use the last one.

use std::collections::BTreeMap;

use uuk_contract::Contract;

use super::fields::{Field, Fields, TooManyFields, fields};

/// Something that consumers of the last edition rely on and that the new one does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(tag = "change", content = "at", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Breakage {
    /// Nobody can call it any more.
    #[error("the operation `{0}` is gone")]
    OperationGone(String),
    /// It is called in another way.
    #[error("the operation `{0}` has another method or path")]
    OperationMoved(String),
    /// Requests that have it are refused.
    #[error("`{0}` is gone from the request")]
    RequestFieldGone(String),
    /// Requests without it are refused.
    #[error("`{0}` is now required in the request")]
    RequestFieldRequired(String),
    /// Some of its values are refused.
    #[error("`{0}` takes fewer values")]
    RequestFieldNarrowed(String),
    /// It does not come.
    #[error("`{0}` is gone from the answer")]
    AnswerFieldGone(String),
    /// It does not always come.
    #[error("`{0}` may be missing from the answer")]
    AnswerFieldOptional(String),
    /// It has values that it did not have.
    #[error("`{0}` has values that consumers do not know")]
    AnswerFieldWidened(String),
}

/// What `new` breaks for consumers of `old`, in the order of the fields.
pub(super) fn breakages(old: &Contract, new: &Contract) -> Result<Vec<Breakage>, TooManyFields> {
    let mut found = Vec::new();
    let mut kept = Vec::new();
    for operation in old.operations() {
        let id = operation.id().to_owned();
        match new.operation(&id) {
            None => found.push(Breakage::OperationGone(id)),
            Some(now) if (now.method(), now.path()) != (operation.method(), operation.path()) => {
                found.push(Breakage::OperationMoved(id));
            }
            Some(_) => kept.push(id),
        }
    }
    let (before, after) = (fields(old)?, fields(new)?);
    for id in kept {
        let (request, answer) = (format!("/{id}/request/"), format!("/{id}/answer"));
        found.extend(of_request(&side(&before, &request), &side(&after, &request)));
        found.extend(of_answer(&side(&before, &answer), &side(&after, &answer)));
    }
    Ok(found)
}

fn side<'f>(fields: &'f Fields, prefix: &str) -> BTreeMap<&'f str, &'f Field> {
    let fields = fields.iter().filter(|(pointer, _)| pointer.starts_with(prefix));
    fields.map(|(pointer, field)| (pointer.as_str(), field)).collect()
}

fn of_request(before: &BTreeMap<&str, &Field>, after: &BTreeMap<&str, &Field>) -> Vec<Breakage> {
    let mut found = Vec::new();
    for (pointer, old) in before {
        let at = (*pointer).to_owned();
        match after.get(pointer) {
            None => found.push(Breakage::RequestFieldGone(at)),
            Some(new) if !old.within(new) => found.push(Breakage::RequestFieldNarrowed(at)),
            Some(_) => {}
        }
    }
    let was_required = |pointer: &str| before.get(pointer).is_some_and(|old| old.required);
    let required = after.iter().filter(|(pointer, new)| new.required && !was_required(pointer));
    found.extend(required.map(|(pointer, _)| Breakage::RequestFieldRequired((*pointer).to_owned())));
    found
}

fn of_answer(before: &BTreeMap<&str, &Field>, after: &BTreeMap<&str, &Field>) -> Vec<Breakage> {
    let mut found = Vec::new();
    for (pointer, old) in before {
        let at = (*pointer).to_owned();
        match after.get(pointer) {
            None => found.push(Breakage::AnswerFieldGone(at)),
            Some(new) if !new.within(old) => found.push(Breakage::AnswerFieldWidened(at)),
            Some(new) if old.required && !new.required => found.push(Breakage::AnswerFieldOptional(at)),
            Some(_) => {}
        }
    }
    found
}

impl Field {
    /// Whether every value of this one is one of the other, as far as types and lists say.
    fn within(&self, other: &Self) -> bool {
        let has =
            |one: &String| other.types.contains(one) || (one == "integer" && other.types.contains("number"));
        let types = other.types.is_empty() || (!self.types.is_empty() && self.types.iter().all(has));
        let values = match (&self.values, &other.values) {
            (_, None) => true,
            (None, Some(_)) => false,
            (Some(one), Some(other)) => one.is_subset(other),
        };
        types && values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"openapi":"3.1.0","info":{"title":"t","version":"1"},"paths":{"/people/{pin}":{"get":{
        "operationId":"get","parameters":[
            {"name":"pin","in":"path","required":true,"schema":{"type":"string"}},
            {"name":"lang","in":"query","schema":{"type":"string","enum":["ky","ru"]}}],
        "responses":{"200":{"description":"d","content":{"application/json":{"schema":{
            "type":"object","required":["name"],"properties":{
                "name":{"type":"string"},"sex":{"type":"string","enum":["female","male"]}}}}}}}}}}}"#;

    fn check(from: &str, to: &str) -> Vec<Breakage> {
        assert!(OLD.contains(from), "{from}");
        let read = |text: &str| Contract::read(text.as_bytes()).unwrap();
        breakages(&read(OLD), &read(&OLD.replacen(from, to, 1))).unwrap()
    }

    #[test]
    fn additions_break_nothing() {
        let more = r#""enum":["ky","ru","uz"]}},{"name":"new","in":"query","schema":{"type":"string"}}],"#;
        assert_eq!(check(r#""enum":["ky","ru"]}}],"#, more), []);
        assert_eq!(
            check(r#""name":{"type":"string"}"#, r#""name":{"type":"string"},"age":{"type":"integer"}"#),
            []
        );
    }

    #[test]
    fn names_what_requests_lose() {
        let lang = || "/get/request/lang".to_owned();
        assert_eq!(check(r#"["ky","ru"]"#, r#"["ky"]"#), [Breakage::RequestFieldNarrowed(lang())]);
        assert_eq!(
            check(r#""in":"query""#, r#""in":"query","required":true"#),
            [Breakage::RequestFieldRequired(lang())]
        );
        let gone = check(r#"{"name":"lang","in""#, r#"{"name":"language","in""#);
        assert_eq!(gone, [Breakage::RequestFieldGone(lang())]);
    }

    #[test]
    fn names_what_answers_lose() {
        let name = || "/get/answer/name".to_owned();
        assert_eq!(check(r#""required":["name"],"#, ""), [Breakage::AnswerFieldOptional(name())]);
        assert_eq!(
            check(r#""name":{"type":"string"}"#, r#""name":{"type":["string","null"]}"#),
            [Breakage::AnswerFieldWidened(name())]
        );
        assert_eq!(
            check(r#"["female","male"]"#, r#"["female","male","other"]"#),
            [Breakage::AnswerFieldWidened("/get/answer/sex".to_owned())]
        );
    }

    #[test]
    fn names_an_operation_that_is_gone_or_elsewhere() {
        assert_eq!(
            check(r#""operationId":"get""#, r#""operationId":"find""#),
            [Breakage::OperationGone("get".into())]
        );
        assert_eq!(check("/people/{pin}", "/persons/{pin}"), [Breakage::OperationMoved("get".into())]);
    }
}
