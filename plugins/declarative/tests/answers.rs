//! What answers are made of what came.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use declarative::{CodeTables, Operation, Row, Scope, write_answer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuk_adapter::sql::{self, Column};

const REQUEST: &str = r#"{"pin":"17"}"#;

#[track_caller]
fn check(answer: &str, document: &str, expected: &str) {
    let document: &RawValue = serde_json::from_str(document).unwrap();
    assert_eq!(written(answer, Scope::Document(document)).unwrap(), expected, "{answer}");
}

#[track_caller]
fn refuses(answer: &str, document: &str, reason: &str) {
    let document: &RawValue = serde_json::from_str(document).unwrap();
    let error = written(answer, Scope::Document(document)).unwrap_err();
    assert_eq!(error, format!("map.toml: get.answer.a: what came {reason}"), "{answer}");
}

fn written(answer: &str, scope: Scope<'_>) -> Result<String, String> {
    let codes = json!({ "sex": { "1": "male", "true": "yes" }, "yes": { "Y": true } });
    let answer: Value = toml::from_str(answer).unwrap();
    let table = json!({ "upstream": "api", "path": "/v1", "answer": answer });
    let [table, codes] = [table, codes].map(|tables| tables.to_string());
    let [table, codes] = [&table, &codes].map(|tables| serde_json::from_str(tables).unwrap());
    let operation = Operation::parse("get", &table, &CodeTables::parse(&codes).unwrap()).unwrap();
    let request: &RawValue = serde_json::from_str(REQUEST).unwrap();
    write_answer(&operation.answer.unwrap(), scope, request, "get").map_err(|unfit| unfit.to_string())
}

#[test]
fn values_are_written_as_they_came() {
    check("a = '/x'", r#"{"x":"ä\u0000\""}"#, r#"{"a":"ä\u0000\""}"#);
    check("a = '/x'", r#"{"x":12345678901234567890.1000}"#, r#"{"a":12345678901234567890.1000}"#);
    check("a = '/x'", r#"{"x":{"y":[1, true]}}"#, r#"{"a":{"y":[1, true]}}"#);
    check("a = 7\nb = { value = '/x' }", "{}", r#"{"a":7,"b":"/x"}"#);
    check("a = { request = '/pin' }", r#"{"pin":"18"}"#, r#"{"a":"17"}"#);
}

#[test]
fn what_is_not_there_is_left_out() {
    check("a = '/x'\nb = '/y'", r#"{"x":null,"y":1}"#, r#"{"b":1}"#);
    check("a = '/x'\nb = '/y'", r#"{"y":1,"x":null}"#, r#"{"b":1}"#);
    check("b = '/y'\na = '/x'", r#"{"y":1}"#, r#"{"b":1}"#);
    check("a = { from = '/x', nullable = true }", "{}", r#"{"a":null}"#);
    check("a = { from = '/x', default = '' }", "{}", r#"{"a":""}"#);
}

#[test]
fn codes_are_translated() {
    check("a = { from = '/x', codes = 'sex' }", r#"{"x":1}"#, r#"{"a":"male"}"#);
    check("a = { from = '/x', codes = 'sex' }", r#"{"x":true}"#, r#"{"a":"yes"}"#);
    check("a = { from = '/x', codes = 'yes' }", r#"{"x":"Y"}"#, r#"{"a":true}"#);
    refuses("a = { from = '/x', codes = 'sex' }", r#"{"x":"2"}"#, "is none of the codes");
    refuses("a = { from = '/x', codes = 'sex' }", r#"{"x":[]}"#, "is none of the codes");
}

#[test]
fn dates_are_rewritten() {
    check(
        "a = { from = '/x', date = { read = 'dd.mm.yyyy' } }",
        r#"{"x":"31.12.1999"}"#,
        r#"{"a":"1999-12-31"}"#,
    );
    refuses("a = { from = '/x', date = {} }", r#"{"x":"31.12.1999"}"#, "is no date as `date` says");
}

#[test]
fn decimals_lose_nothing() {
    let sum = "a = { from = '/x', digits = 2 }";
    check(sum, r#"{"x":"12.5"}"#, r#"{"a":12.50}"#);
    check(sum, r#"{"x":99999999999999999999.10}"#, r#"{"a":99999999999999999999.10}"#);
    refuses(sum, r#"{"x":12.345}"#, "is no decimal of so few digits");
    check("a = { from = '/x', digits = 2, as = 'text' }", r#"{"x":12}"#, r#"{"a":"12.00"}"#);
    check("a = { from = '/x', as = 'integer' }", r#"{"x":"12.00"}"#, r#"{"a":12}"#);
    refuses("a = { from = '/x', as = 'integer' }", r#"{"x":"12.01"}"#, "is no whole number");
    refuses("a = { from = '/x', as = 'decimal' }", r#"{"x":"1e3"}"#, "is no decimal");
}

#[test]
fn a_list_is_a_list_whether_none_one_or_many() {
    let list = "a = { each = '/x', item = { b = '/y' } }";
    check(list, "{}", r#"{"a":[]}"#);
    check(list, r#"{"x":null}"#, r#"{"a":[]}"#);
    check(list, r#"{"x":{"y":1}}"#, r#"{"a":[{"b":1}]}"#);
    check(list, r#"{"x":[{"y":1},{"z":2}]}"#, r#"{"a":[{"b":1},{}]}"#);
}

#[test]
fn columns_of_a_row_are_found_by_name() {
    let column = |name: &str| Column { name: name.into(), db_type: "text".into(), nullable: None };
    let columns = ["pin", "sum", "at", "extra"].map(column);
    let values = [
        sql::Value::Text("17".into()),
        sql::Value::Decimal("0.10".into()),
        sql::Value::Null,
        sql::Value::Json(r#"{"a":1}"#.into()),
    ];
    let row = Scope::Row(Row { columns: &columns, values: &values });
    let answer = "p = '/pin'\ns = '/sum'\nt = '/at'\ne = '/extra'";
    assert_eq!(written(answer, row).unwrap(), r#"{"p":"17","s":0.10,"e":{"a":1}}"#);
}

#[test]
fn octets_and_numbers_that_are_none_have_no_place() {
    let columns = [Column { name: "x".into(), db_type: "float".into(), nullable: None }];
    for value in [sql::Value::Float(f64::NAN), sql::Value::Bytes(vec![1])] {
        let row = Scope::Row(Row { columns: &columns, values: std::slice::from_ref(&value) });
        assert_eq!(
            written("a = '/x'", row).unwrap_err(),
            "map.toml: get.answer.a: what came has no place in a document"
        );
    }
}
