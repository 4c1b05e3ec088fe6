use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use strum::IntoStaticStr;
use uuk_bundle::{Access, Engine, Manifest, ValueType};

use super::argument::Argument;
use super::sql_text::{Notation, SqlText, SqlTextError};
use super::{Column, SqlError, Value};

/// The statements of a manifest, each ready for every engine that its datasource may be.
#[derive(Debug, Default)]
pub struct Statements {
    by_name: BTreeMap<String, Arc<Statement>>,
}

/// A statement of a manifest, checked and ready to run.
#[derive(Debug)]
pub struct Statement {
    name: String,
    datasource: String,
    mode: Access,
    parameters: Vec<(String, ValueType)>,
    texts: Vec<(Engine, SqlText)>,
    /// Those that can be sent by ODBC.
    odbc_texts: Vec<(Engine, SqlText)>,
    pub(super) row: Vec<(String, ValueType)>,
    pub(super) columns: Arc<[Column]>,
    pub(super) rows_max: u64,
    pub(super) bytes_max: u64,
    pub(super) timeout: Duration,
}

/// Why a statement of a manifest cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, IntoStaticStr)]
#[strum(serialize_all = "snake_case", prefix = "statement.")]
#[non_exhaustive]
pub enum StatementError {
    /// The file it names is missing.
    #[error("file `{file}` of statement `{statement}` is missing or not UTF-8")]
    MissingFile {
        /// The statement.
        statement: String,
        /// The file.
        file: String,
    },
    /// The text is not one statement with the declared parameters.
    #[error("statement `{statement}` in `{file}` cannot be used on {engine}")]
    Text {
        /// The statement.
        statement: String,
        /// The file that holds the text.
        file: String,
        /// The engine by whose rules it was read.
        engine: Engine,
        /// What is wrong with it, and where.
        #[source]
        source: SqlTextError,
    },
}

impl StatementError {
    /// The stable code of the reason; for a text, the code of what is wrong with it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Text { source, .. } => source.code(),
            other => other.into(),
        }
    }
}

impl Statements {
    /// Prepares the statements of `manifest`; `text_of` gives the text of a file of the bundle.
    ///
    /// # Errors
    /// The first [`StatementError`], in the order of the names.
    pub fn compile<'t>(
        manifest: &Manifest,
        text_of: impl Fn(&str) -> Option<&'t str>,
    ) -> Result<Self, StatementError> {
        let by_name = manifest.statements.iter().map(|(name, declared)| {
            let missing =
                || StatementError::MissingFile { statement: name.clone(), file: declared.file.clone() };
            let text = text_of(&declared.file).ok_or_else(missing)?;
            let engines =
                manifest.datasources.get(&declared.datasource).map(|datasource| &*datasource.engine);
            let statement = Statement::compile(name, declared, text, engines.unwrap_or_default())?;
            Ok((name.clone(), Arc::new(statement)))
        });
        Ok(Self { by_name: by_name.collect::<Result<_, StatementError>>()? })
    }

    /// The statement of this name.
    ///
    /// # Errors
    /// [`SqlError::UnknownStatement`].
    pub fn find(&self, name: &str) -> Result<&Arc<Statement>, SqlError> {
        self.by_name.get(name).ok_or(SqlError::UnknownStatement)
    }
}

impl Statement {
    fn compile(
        name: &str,
        declared: &uuk_bundle::Statement,
        text: &str,
        engines: &[Engine],
    ) -> Result<Self, StatementError> {
        let heading = heading(name, &declared.params);
        let read = |engine: Engine, notation, heading: &str| {
            Ok((engine, SqlText::named(engine, notation, heading, text, &declared.params)?))
        };
        let compile = |engine: &Engine| match read(*engine, Notation::Own, &heading) {
            Ok(text) => Ok(text),
            Err(source) => {
                let (statement, file) = (name.to_owned(), declared.file.clone());
                Err(StatementError::Text { statement, file, engine: *engine, source })
            }
        };
        let texts = engines.iter().map(compile).collect::<Result<_, _>>()?;
        // Without heading: the driver of PostgreSQL takes what begins with a comment for no query.
        let by_odbc = |engine: &Engine| read(*engine, Notation::Odbc, "").ok();
        Ok(Self {
            name: name.to_owned(),
            datasource: declared.datasource.clone(),
            mode: declared.mode,
            parameters: declared.params.clone(),
            texts,
            odbc_texts: engines.iter().filter_map(by_odbc).collect(),
            columns: declared.row.iter().map(|(name, value_type)| column(name, *value_type)).collect(),
            row: declared.row.clone(),
            rows_max: declared.rows_max.into(),
            bytes_max: declared.bytes_max,
            timeout: declared.timeout,
        })
    }

    /// Its name in the manifest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The datasource it runs on.
    pub fn datasource(&self) -> &str {
        &self.datasource
    }

    /// Whether it reads or writes.
    pub fn mode(&self) -> Access {
        self.mode
    }

    /// The text for `engine`.
    ///
    /// # Errors
    /// [`SqlError::NotGranted`] if the statement was not written for it.
    pub(super) fn text(&self, engine: Engine, notation: Notation) -> Result<&SqlText, SqlError> {
        let (texts, by) = match notation {
            Notation::Own => (&self.texts, ""),
            Notation::Odbc => (&self.odbc_texts, " by ODBC"),
        };
        let text = texts.iter().find(|(written_for, _)| *written_for == engine).map(|(_, text)| text);
        let refusal = || SqlError::NotGranted(format!("a statement that is not written for {engine}{by}"));
        text.ok_or_else(refusal)
    }

    /// The values that the database expects for `text`, in its order.
    pub(super) fn arguments(
        &self,
        text: &SqlText,
        params: Vec<(String, Value)>,
    ) -> Result<Vec<Argument>, SqlError> {
        let mut given: Vec<Option<Argument>> = vec![None; self.parameters.len()];
        for (name, value) in params {
            let bad = || SqlError::bad_parameter(&name);
            let index = self.parameters.iter().position(|(declared, _)| *declared == name).ok_or_else(bad)?;
            let (slot, (_, declared)) =
                given.get_mut(index).zip(self.parameters.get(index)).ok_or_else(bad)?;
            let argument = Argument::declared(value, *declared).ok_or_else(bad)?;
            if slot.replace(argument).is_some() {
                return Err(bad());
            }
        }
        if let Some(((missing, _), _)) = self.parameters.iter().zip(&given).find(|(_, value)| value.is_none())
        {
            return Err(SqlError::bad_parameter(missing));
        }
        Ok(text.bindings.iter().filter_map(|index| given.get(*index).cloned().flatten()).collect())
    }
}

/// Names the statement in the lists of the database's operator. It also keeps statements apart that have the same
/// text and differ in the types of their parameters: connections remember statements by their text.
fn heading(name: &str, parameters: &[(String, ValueType)]) -> String {
    let types: Vec<String> = parameters
        .iter()
        .map(|(_, declared)| format!("{}{}", declared.scalar, if declared.nullable { "?" } else { "" }))
        .collect();
    format!("/* {name}({}) */ ", types.join(", "))
}

fn column(name: &str, value_type: ValueType) -> Column {
    Column {
        name: name.to_owned(),
        db_type: value_type.scalar.to_string(),
        nullable: Some(value_type.nullable),
    }
}

#[cfg(test)]
mod tests {
    use uuk_bundle::Scalar;
    use uuk_process::ErrorChain;

    use super::*;

    fn declared() -> uuk_bundle::Statement {
        let of = |scalar, nullable| ValueType { scalar, nullable };
        uuk_bundle::Statement {
            datasource: "people".into(),
            file: "find.sql".into(),
            mode: Access::Read,
            params: vec![("pin".into(), of(Scalar::Text, false)), ("since".into(), of(Scalar::Date, true))],
            row: vec![("name".into(), of(Scalar::Text, false))],
            rows_max: 2,
            bytes_max: 1000,
            timeout: Duration::from_secs(1),
        }
    }

    const TEXT: &str = "SELECT name FROM p WHERE pin = :pin AND (:since < d OR :since IS NULL)";

    fn compile(statement: &uuk_bundle::Statement) -> Result<Statement, StatementError> {
        Statement::compile("find", statement, TEXT, &[Engine::Mariadb])
    }

    fn arguments(params: &[(&str, Value)]) -> Result<Vec<Argument>, SqlError> {
        let statement = compile(&declared()).unwrap();
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        statement.arguments(statement.text(Engine::Mariadb, Notation::Own).unwrap(), params)
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[track_caller]
    fn refuses_parameters(params: &[(&str, Value)], name: &str) {
        assert_eq!(arguments(params).unwrap_err(), SqlError::BadParameter(name.into()));
    }

    #[test]
    fn gives_values_in_the_databases_order() {
        let arguments = arguments(&[("since", Value::Null), ("pin", text("1"))]).unwrap();
        assert!(
            matches!(arguments.as_slice(), [Argument::Text(_), Argument::Null(_), Argument::Null(_)]),
            "{arguments:?}"
        );
    }

    #[test]
    fn refuses_missing_parameter() {
        refuses_parameters(&[("pin", text("1"))], "since");
    }

    #[test]
    fn refuses_unknown_parameter() {
        refuses_parameters(&[("pin", text("1")), ("since", Value::Null), ("age", Value::Null)], "age");
    }

    #[test]
    fn refuses_parameter_given_twice() {
        refuses_parameters(&[("pin", text("1")), ("pin", text("1"))], "pin");
    }

    #[test]
    fn refuses_parameter_of_another_type() {
        refuses_parameters(&[("pin", Value::Integer(1)), ("since", Value::Null)], "pin");
    }

    #[test]
    fn refuses_null_for_a_parameter_that_is_not_nullable() {
        refuses_parameters(&[("pin", Value::Null), ("since", Value::Null)], "pin");
    }

    #[test]
    fn cuts_a_long_name_of_an_unknown_parameter() {
        refuses_parameters(&[("ы".repeat(1000).as_str(), Value::Null)], &"ы".repeat(64));
    }

    #[test]
    fn refuses_unknown_statement() {
        assert_eq!(Statements::default().find("x").unwrap_err(), SqlError::UnknownStatement);
    }

    #[test]
    fn refuses_engine_the_statement_is_not_written_for() {
        let error = compile(&declared()).unwrap().text(Engine::Sqlite, Notation::Own).unwrap_err();
        assert_eq!(error, SqlError::NotGranted("a statement that is not written for sqlite".into()));
    }

    #[test]
    fn names_statement_file_engine_and_place_of_a_wrong_text() {
        let mut statement = declared();
        statement.params.truncate(1);
        let error = compile(&statement).unwrap_err();
        assert_eq!(error.code(), "sql_text.undeclared_parameter");
        assert_eq!(
            ErrorChain(&error).to_string(),
            "statement `find` in `find.sql` cannot be used on mariadb: \
             1:42: parameter `since` is not declared in the manifest"
        );
    }
}
