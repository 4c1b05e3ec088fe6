//! SQL that gives the rows which a fixture records for a statement.

use serde_json::{Map, Value};
use uuk_bundle::{Scalar, Statement, ValueType};

use crate::commands::adapter::fixture::StatementCall;

/// A text, for SQLite, with the parameters and columns of `statement`: it gives the rows of the call that was
/// recorded with the same parameters, and fails if there is none.
pub(super) fn recorded(name: &str, statement: &Statement, calls: &[&StatementCall]) -> String {
    let mut selects = Vec::new();
    for call in calls {
        let is_this_call = matching(&statement.params, &call.params);
        for row in &call.rows {
            selects.push(format!("SELECT {} WHERE {is_this_call}", columns(&statement.row, row)));
        }
    }
    selects.push(complaint(name, statement, calls));
    selects.join("\nUNION ALL\n")
}

/// Gives no row: if no call was recorded with these parameters, its path of JSON, which is none, is an error.
fn complaint(name: &str, statement: &Statement, calls: &[&StatementCall]) -> String {
    let message = text(&format!("the fixture records no call of {name} with these parameters"));
    let recorded = calls.iter().map(|call| matching(&statement.params, &call.params));
    let recorded = recorded.chain(["FALSE".to_owned()]).collect::<Vec<_>>().join(" OR ");
    let (nothing, uses) = (columns(&statement.row, &Map::new()), uses(statement));
    format!("SELECT {nothing} WHERE NOT ({recorded}) AND json_extract('{{}}', {message}) IS NOT NULL{uses}")
}

/// A text that gives no rows, whatever the parameters.
pub(super) fn without_rows(statement: &Statement) -> String {
    format!("SELECT {} WHERE FALSE{}", columns(&statement.row, &Map::new()), uses(statement))
}

/// A parameter that is declared has to be used.
fn uses(statement: &Statement) -> String {
    statement.params.iter().map(|(name, _)| format!(" AND :{name} IS :{name}")).collect()
}

/// The condition that the parameters are those recorded.
fn matching(declared: &[(String, ValueType)], params: &Map<String, Value>) -> String {
    let conditions = declared
        .iter()
        .map(|(name, r#type)| format!(":{name} IS {}", literal(params.get(name), r#type.scalar)))
        .collect::<Vec<_>>();
    if conditions.is_empty() { "TRUE".to_owned() } else { format!("({})", conditions.join(" AND ")) }
}

/// What is selected for a row; a statement without columns still selects something.
fn columns(declared: &[(String, ValueType)], row: &Map<String, Value>) -> String {
    if declared.is_empty() {
        return "NULL".to_owned();
    }
    let column =
        |(name, r#type): &(String, ValueType)| format!("{} AS {name}", literal(row.get(name), r#type.scalar));
    declared.iter().map(column).collect::<Vec<_>>().join(", ")
}

fn literal(value: Option<&Value>, scalar: Scalar) -> String {
    let is_number = matches!(scalar, Scalar::Integer | Scalar::Float);
    match value {
        None | Some(Value::Null) => "NULL".to_owned(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Number(number)) if is_number => number.to_string(),
        Some(Value::String(hexadecimal)) if scalar == Scalar::Bytes => format!("x{}", text(hexadecimal)),
        Some(Value::String(value)) => text(value),
        Some(value) => text(&value.to_string()),
    }
}

fn text(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use uuk_bundle::Access;

    use super::*;

    fn statement() -> Statement {
        let of = |scalar, nullable| ValueType { scalar, nullable };
        Statement {
            datasource: "registry".into(),
            file: "sql/find.sql".into(),
            mode: Access::Read,
            params: vec![("name".into(), of(Scalar::Text, false)), ("age".into(), of(Scalar::Integer, true))],
            row: vec![("id".into(), of(Scalar::Integer, false)), ("photo".into(), of(Scalar::Bytes, true))],
            rows_max: 10,
            bytes_max: 1024,
            timeout: Duration::from_secs(1),
        }
    }

    fn call(params: Value, rows: Value) -> StatementCall {
        serde_json::from_value(json!({ "statement": "find", "params": params, "rows": rows }))
            .expect("a call")
    }

    #[test]
    fn a_row_is_selected_for_the_parameters_it_was_recorded_with() {
        let call = call(json!({ "name": "O'Neil" }), json!([{ "id": 7, "photo": "ff" }]));
        let sql = recorded("find", &statement(), &[&call]);
        assert_eq!(
            sql.lines().next(),
            Some("SELECT 7 AS id, x'ff' AS photo WHERE (:name IS 'O''Neil' AND :age IS NULL)")
        );
    }

    #[test]
    fn other_parameters_than_recorded_are_complained_about() {
        let call = call(json!({ "name": "a", "age": 3 }), json!([]));
        assert_eq!(
            recorded("find", &statement(), &[&call]),
            "SELECT NULL AS id, NULL AS photo WHERE NOT ((:name IS 'a' AND :age IS 3) OR FALSE) AND \
             json_extract('{}', 'the fixture records no call of find with these parameters') IS NOT NULL \
             AND :name IS :name AND :age IS :age"
        );
    }
}
